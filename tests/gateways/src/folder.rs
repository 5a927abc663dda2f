//! A folder that is there for one run.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::outcome::{Outcome, Told};

/// Dropping it removes it.
pub(crate) struct Folder(PathBuf);

impl Folder {
    /// Short, because the path of a socket may have a hundred letters.
    pub(crate) fn new() -> Outcome<Self> {
        static NUMBER: AtomicUsize = AtomicUsize::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let name = format!("mstr-gateways-{}-{number}", std::process::id());
        let path = std::env::temp_dir().join(name);
        fs::create_dir_all(&path).told("a temporary folder")?;
        Ok(Self(path))
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }

    pub(crate) fn write(&self, name: &str, text: &str) -> Outcome<PathBuf> {
        let path = self.0.join(name);
        fs::write(&path, text).told(name)?;
        Ok(path)
    }

    /// Lets every user write into it.
    pub(crate) fn open_to_all(&self) -> Outcome {
        let status = Command::new("chmod").arg("777").arg(&self.0).status().told("chmod")?;
        if status.success() { Ok(()) } else { Err("chmod failed".into()) }
    }

    /// The last lines of a file; nothing if there is none.
    pub(crate) fn tail(&self, name: &str) -> String {
        let text = fs::read_to_string(self.0.join(name)).unwrap_or_default();
        let lines: Vec<&str> = text.lines().collect();
        lines[lines.len().saturating_sub(8)..].join("\n    ")
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // A process that is on its way out may still write. What is left is the system's to remove.
        drop(fs::remove_dir_all(&self.0));
    }
}
