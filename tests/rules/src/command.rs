//! Where the repository is, and what other programs say about it.

use std::path::{Path, PathBuf};
use std::process::Command;

/// Why something is not as it should be, for a person to read.
pub(crate) type Outcome<T = ()> = Result<T, String>;

/// The root of the workspace.
pub(crate) fn root() -> PathBuf {
    // Where it runs, and not where it was built: copies of the repository may share a target folder.
    #[expect(clippy::disallowed_methods, reason = "cargo sets it for programs it runs")]
    let own = std::env::var("CARGO_MANIFEST_DIR").map(PathBuf::from);
    let own = own.unwrap_or_else(|_| PathBuf::from(env!("CARGO_MANIFEST_DIR")));
    own.ancestors().nth(2).map_or_else(|| own.clone(), PathBuf::from)
}

/// A file of the workspace.
pub(crate) fn read(path: &str) -> Outcome<String> {
    let text = std::fs::read_to_string(root().join(path));
    let text = text.map_err(|error| format!("{path}: {error}"))?;
    // As git keeps it, whatever it makes of line breaks on this system.
    Ok(text.replace("\r\n", "\n"))
}

/// What cargo says about the packages of the workspace in this folder.
pub(crate) fn metadata(folder: &Path) -> Outcome<serde_json::Value> {
    let words = ["metadata", "--locked", "--no-deps", "--format-version", "1"];
    let text = output(cargo(&words).current_dir(folder))?;
    serde_json::from_str(&text).map_err(|error| format!("cargo metadata: {error}"))
}

pub(crate) fn cargo(words: &[&str]) -> Command {
    // The very cargo that runs this, so that toolchain overrides hold.
    #[expect(clippy::disallowed_methods, reason = "cargo sets it for programs it runs")]
    let program = std::env::var("CARGO").unwrap_or_else(|_| "cargo".into());
    let mut command = Command::new(program);
    command.args(words).current_dir(root());
    command
}

/// The files git tracks or would track.
pub(crate) fn tracked() -> Outcome<Vec<String>> {
    let mut git = Command::new("git");
    // In a hook git says by variables which repository is meant, whatever the folder.
    for name in ["GIT_DIR", "GIT_INDEX_FILE", "GIT_PREFIX", "GIT_WORK_TREE"] {
        git.env_remove(name);
    }
    git.current_dir(root()).args(["ls-files", "--cached", "--others", "--exclude-standard"]);
    Ok(output(&mut git)?.lines().map(str::to_owned).collect())
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
