//! Running other programs.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Why a task failed, for a person to read.
pub(crate) type Outcome<T = ()> = Result<T, String>;

/// The root of the workspace.
pub(crate) fn root() -> PathBuf {
    let own = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    own.parent().map_or_else(|| own.clone(), PathBuf::from)
}

/// Fails if this program was built from another copy of the repository.
///
/// Cargo takes two copies with one target folder for the same workspace, and may then run the
/// program of one in the other.
pub(crate) fn at_home() -> Outcome {
    let built = env!("CARGO_MANIFEST_DIR");
    #[expect(clippy::disallowed_methods, reason = "cargo sets it for programs it runs")]
    match std::env::var("CARGO_MANIFEST_DIR") {
        Ok(run) if Path::new(&run) != Path::new(built) => Err(format!(
            "this program was built from {built} and is run in {run}: they share a target folder, \
             which cargo cannot tell apart. Give each its own (CARGO_TARGET_DIR), or run `cargo \
             clean --package xtask` first"
        )),
        _ => Ok(()),
    }
}

/// `git`, with these words, in the root of the workspace.
pub(crate) fn git(words: &[&str]) -> Command {
    let mut command = Command::new("git");
    // In a hook git says by variables which repository is meant, whatever the folder.
    for name in ["GIT_DIR", "GIT_INDEX_FILE", "GIT_PREFIX", "GIT_WORK_TREE"] {
        command.env_remove(name);
    }
    command.current_dir(root()).args(words);
    command
}

/// The files that git tracks or would track, and that are there.
pub(crate) fn listed() -> Outcome<Vec<String>> {
    let words = ["ls-files", "-z", "--cached", "--others", "--exclude-standard"];
    let paths = output(&mut git(&words))?;
    let paths = paths.split_terminator('\0').map(str::to_owned);
    // A file that was removed but not yet committed is still listed.
    Ok(paths.filter(|path| root().join(path).is_file()).collect())
}

/// A file of the workspace.
pub(crate) fn read(path: &str) -> Outcome<String> {
    let text = std::fs::read_to_string(root().join(path));
    let text = text.map_err(|error| format!("{path}: {error}"))?;
    // As git keeps it, whatever it makes of line breaks on this system.
    Ok(text.replace("\r\n", "\n"))
}

/// Cargo's metadata of the workspace in this folder.
pub(crate) fn metadata(folder: &Path) -> Outcome<serde_json::Value> {
    let mut command = cargo("metadata --locked --no-deps --format-version 1");
    let text = output(command.current_dir(folder))?;
    serde_json::from_str(&text).map_err(|error| format!("cargo metadata: {error}"))
}

/// The folder of cargo's build products.
pub(crate) fn target() -> Outcome<PathBuf> {
    let metadata = metadata(&root())?;
    let target = metadata["target_directory"].as_str();
    target.map(PathBuf::from).ok_or_else(|| "cargo metadata names no target directory".into())
}

/// Builds the program `mstr-fake` and says where it is.
pub(crate) fn mstr_fake() -> Outcome<PathBuf> {
    run(&mut cargo(
        "build --locked --quiet --package mstr-fake --features loopback --bin mstr-fake",
    ))?;
    Ok(target()?.join("debug/mstr-fake"))
}

/// `cargo`, with these words, in the root of the workspace.
pub(crate) fn cargo(words: &str) -> Command {
    // The very cargo that runs this, so that toolchain overrides hold.
    #[expect(clippy::disallowed_methods, reason = "cargo sets it for programs it runs")]
    let program = std::env::var("CARGO").unwrap_or_else(|_| "cargo".into());
    let mut command = Command::new(program);
    command.args(words.split_whitespace()).current_dir(root());
    command
}

/// Lets cargo and rustc use unstable features.
///
/// With a folder of its own: some build scripts look at the variable, and everything that depends
/// on them would be built anew each time it comes or goes.
pub(crate) fn unstable(command: &mut Command) -> &mut Command {
    command.env("RUSTC_BOOTSTRAP", "1").env("CARGO_TARGET_DIR", root().join("target/unstable"))
}

/// Builds with what `tests/simulate` needs of the sources, in a folder of its own: the flag rebuilds
/// everything.
pub(crate) fn simulation<'a>(command: &'a mut Command, target: &Path) -> &'a mut Command {
    command.env("CARGO_TARGET_DIR", target).env("RUSTFLAGS", "--cfg mstr_simulation")
}

/// Runs `tests/rules`, the rules for the repository's text.
pub(crate) fn rules(words: &[&str]) -> Outcome {
    let mut command = cargo("run --locked --quiet --package mstr-rules --");
    let output = command.args(words).output().map_err(|error| format!("cargo: {error}"))?;
    print!("{}", String::from_utf8_lossy(&output.stdout));
    let errors = String::from_utf8_lossy(&output.stderr);
    if output.status.success() { Ok(()) } else { Err(errors.trim_end().to_owned()) }
}

/// Runs a program and shows what it prints.
pub(crate) fn run(command: &mut Command) -> Outcome {
    println!("    {}", shown(command));
    let status = command.status().map_err(|error| format!("{}: {error}", shown(command)))?;
    if status.success() { Ok(()) } else { Err(format!("{} failed ({status})", shown(command))) }
}

/// Runs a program and shows what it prints, and returns what it says of its work.
pub(crate) fn overheard(command: &mut Command) -> (Outcome, String) {
    let shown = shown(command);
    println!("    {shown}");
    let mut told = String::new();
    let ended = command.stderr(Stdio::piped()).spawn().and_then(|mut process| {
        let lines = process.stderr.take().map(BufReader::new);
        for line in lines.into_iter().flat_map(BufRead::lines) {
            let line = line?;
            eprintln!("{line}");
            told.push_str(&line);
            told.push('\n');
        }
        process.wait()
    });
    let outcome = match ended {
        Ok(status) if status.success() => Ok(()),
        Ok(status) => Err(format!("{shown} failed ({status})")),
        Err(error) => Err(format!("{shown}: {error}")),
    };
    (outcome, told)
}

/// Runs a program and returns what it prints.
pub(crate) fn output(command: &mut Command) -> Outcome<String> {
    let output = command.output().map_err(|error| format!("{}: {error}", shown(command)))?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    if output.status.success() {
        Ok(text)
    } else {
        let errors = String::from_utf8_lossy(&output.stderr);
        Err(format!("{} failed ({})\n{text}{errors}", shown(command), output.status))
    }
}

fn shown(command: &Command) -> String {
    let program = PathBuf::from(command.get_program());
    let name = program.file_stem().unwrap_or_default().to_string_lossy().into_owned();
    let words = command.get_args().map(|word| word.to_string_lossy().into_owned());
    std::iter::once(name).chain(words).collect::<Vec<_>>().join(" ")
}
