//! A copy of the workspace, for checks that have to change its files.

use std::fs;
use std::path::PathBuf;

use crate::command::{Outcome, listed, root};

/// Copies the files git tracks or would track, and returns the folder.
pub(super) fn workspace(name: &str) -> Outcome<PathBuf> {
    let folder = root().join("target").join(name);
    let failed = |path: &str, error: std::io::Error| format!("{path}: {error}");
    if folder.exists() {
        fs::remove_dir_all(&folder).map_err(|error| failed(name, error))?;
    }
    for path in listed()? {
        let to = folder.join(&path);
        let made = to.parent().map_or(Ok(()), fs::create_dir_all);
        made.and_then(|()| fs::copy(root().join(&path), &to))
            .map_err(|error| failed(&path, error))?;
    }
    Ok(folder)
}
