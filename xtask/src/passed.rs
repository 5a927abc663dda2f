//! Which commit has passed a check that takes long, so that a release does not repeat it.

use std::fs;
use std::path::PathBuf;

use crate::command::{Outcome, root};
use crate::release::git;

/// A check that is remembered.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Check {
    Ci,
    Packages,
}

impl Check {
    /// Whether the commit that is checked out has passed it.
    pub(crate) fn has_passed(self) -> Outcome<bool> {
        let commit = git::head()?;
        Ok(fs::read_to_string(self.file()).is_ok_and(|text| text.trim() == commit))
    }

    /// Runs it and remembers a success, if what was checked is a commit.
    pub(crate) fn remember(self, run: impl FnOnce() -> Outcome) -> Outcome {
        let before = committed();
        run()?;
        match before {
            Some(commit) if committed().as_ref() == Some(&commit) => self.record(&commit),
            _ => Ok(()),
        }
    }

    pub(crate) fn record(self, commit: &str) -> Outcome {
        let file = self.file();
        let written = file.parent().map_or(Ok(()), fs::create_dir_all);
        let written = written.and_then(|()| fs::write(&file, commit));
        written.map_err(|error| format!("{}: {error}", file.display()))
    }

    fn file(self) -> PathBuf {
        let name = match self {
            Self::Ci => "ci",
            Self::Packages => "packages",
        };
        root().join("target/passed").join(name)
    }
}

/// The commit that is checked out, unless files differ from it.
fn committed() -> Option<String> {
    git::clean().ok()?;
    git::head().ok()
}
