//! Running other programs, and what the repository says about itself.

use std::path::PathBuf;
use std::process::Command;

/// Why something failed, for a person to read.
pub(crate) type Outcome<T = ()> = Result<T, String>;

/// The root of the workspace.
pub(crate) fn root() -> PathBuf {
    // Where it runs, and not where it was built: copies of the repository may share a target folder.
    #[expect(clippy::disallowed_methods, reason = "cargo sets it for programs it runs")]
    let own = std::env::var("CARGO_MANIFEST_DIR").map(PathBuf::from);
    let own = own.unwrap_or_else(|_| PathBuf::from(env!("CARGO_MANIFEST_DIR")));
    own.ancestors().nth(2).map_or_else(|| own.clone(), PathBuf::from)
}

/// Where the copy and the program are built.
///
/// Not where this workspace is: cargo takes two workspaces with the same layout for the same one.
/// It outlives the rehearsal, so that the next one is faster.
pub(crate) fn build_folder() -> PathBuf {
    root().join("target/rehearsal-build")
}

/// A file of the workspace.
pub(crate) fn read(path: &str) -> Outcome<String> {
    std::fs::read_to_string(root().join(path)).map_err(|error| format!("{path}: {error}"))
}

/// The names of the packages of the workspace: of all, or of those that are published.
pub(crate) fn packages(all: bool) -> Outcome<Vec<String>> {
    let text = output(&mut cargo("metadata --locked --no-deps --format-version 1"))?;
    let metadata: serde_json::Value =
        serde_json::from_str(&text).map_err(|error| format!("cargo metadata: {error}"))?;
    let manifests = metadata["packages"].as_array().into_iter().flatten();
    // `publish = false` is an empty list of registries.
    let wanted = manifests.filter(|manifest| all || manifest["publish"].is_null());
    Ok(wanted.filter_map(|manifest| manifest["name"].as_str()).map(str::to_owned).collect())
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

/// `git`, with these words, in the root of the workspace.
pub(crate) fn git(words: &[&str]) -> Command {
    let mut command = Command::new("git");
    command.current_dir(root()).args(words);
    command
}

/// Runs a program and returns what it prints.
pub(crate) fn output(command: &mut Command) -> Outcome<String> {
    let shown = format!("{command:?}");
    let output = command.output().map_err(|error| format!("{shown}: {error}"))?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    if output.status.success() {
        return Ok(text);
    }
    let errors = String::from_utf8_lossy(&output.stderr);
    Err(format!("{shown} failed ({})\n{text}{errors}", output.status))
}
