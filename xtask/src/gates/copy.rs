//! A copy of the workspace, for checks that have to change its files.

use std::fs;
use std::path::PathBuf;

use crate::command::{Outcome, git, output, root};

/// Copies the files git tracks or would track, and returns the folder.
pub(super) fn workspace(name: &str) -> Outcome<PathBuf> {
    let folder = root().join("target").join(name);
    let failed = |path: &str, error: std::io::Error| format!("{path}: {error}");
    if folder.exists() {
        fs::remove_dir_all(&folder).map_err(|error| failed(name, error))?;
    }
    let words = ["ls-files", "--cached", "--others", "--exclude-standard"];
    for path in output(&mut git(&words))?.lines() {
        let from = root().join(path);
        // A file that was removed but not yet committed is still listed.
        if from.is_file() {
            let to = folder.join(path);
            let made = to.parent().map_or(Ok(()), fs::create_dir_all);
            made.and_then(|()| fs::copy(&from, &to)).map_err(|error| failed(path, error))?;
        }
    }
    Ok(folder)
}
