//! The text files of the repository.

use std::path::Path;

use crate::command::{Outcome, root, tracked};

/// The text of a file.
pub(crate) type Read<'a> = &'a dyn Fn(&str) -> Option<&'a str>;

/// One text file of the repository.
pub(crate) struct File {
    /// Relative to the root, with `/`.
    pub(crate) path: String,
    pub(crate) text: String,
}

impl File {
    #[cfg(test)]
    pub(crate) fn new(path: &str, text: &str) -> Self {
        Self { path: path.into(), text: text.into() }
    }

    /// `path:line: what`.
    pub(crate) fn at(&self, line: usize, what: &str) -> String {
        format!("{}:{line}: {what}", self.path)
    }

    /// Complains about each line for which `wrong` has something to say.
    pub(crate) fn lines(&self, wrong: impl Fn(&str) -> Option<String>) -> Vec<String> {
        let numbered = self.text.lines().enumerate();
        numbered.filter_map(|(index, line)| Some(self.at(index + 1, &wrong(line)?))).collect()
    }

    pub(crate) fn is_source(&self) -> bool {
        self.path.ends_with(".rs")
    }
}

/// The files git tracks or would track.
pub(crate) fn files() -> Outcome<Vec<File>> {
    let mut files = Vec::new();
    for path in tracked()?.into_iter().filter(|path| is_text(path)) {
        // A file that was removed but not yet committed is still listed.
        if let Ok(text) = std::fs::read_to_string(root().join(&path)) {
            files.push(File { path, text });
        }
    }
    Ok(files)
}

fn is_text(path: &str) -> bool {
    let name = Path::new(path);
    let ending = name.extension().and_then(|ending| ending.to_str()).unwrap_or_default();
    ["md", "rs", "toml", "txt"].contains(&ending) || path == ".ci/run"
}
