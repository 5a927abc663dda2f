//! Answers that lie in files.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use bytes::Bytes;
use serde_json::Value;

/// The type of an answer in JSON, as real servers have been recorded to send it.
pub(super) const JSON: &str = "application/json";

/// What is in a file.
#[derive(Clone, Debug)]
pub(super) struct Fixture {
    pub(super) content_type: &'static str,
    pub(super) body: Bytes,
}

impl Fixture {
    /// Reads a file; the error says what is wrong with which.
    pub(super) fn read(path: &Path) -> Result<Self, String> {
        let body = fs::read(path).map_err(|error| unreadable("file", path, &error))?;
        let extension = path.extension().map(|extension| extension.to_string_lossy());
        let content_type = match extension.as_deref() {
            Some("json") => JSON,
            Some("txt") => "text/plain;charset=UTF-8",
            Some("html") => "text/html;charset=UTF-8",
            Some("xml") => "application/xml",
            Some("csv") => "text/csv;charset=UTF-8",
            _ => "application/octet-stream",
        };
        if content_type == JSON
            && let Err(error) = serde_json::from_slice::<Value>(&body)
        {
            let path = path.display();
            return Err(format!(
                "the file \"{path}\" is no JSON: {error}; one that is broken on purpose needs \
                 another name than .json"
            ));
        }
        Ok(Self { content_type, body: body.into() })
    }
}

/// The files below a folder, by their paths in it, with and without the extension. Read at once:
/// no request can reach outside of it.
#[derive(Debug)]
pub(super) struct Folder {
    files: BTreeMap<String, Fixture>,
}

impl Folder {
    /// Reads a folder with all folders in it.
    pub(super) fn read(path: &Path) -> Result<Self, String> {
        let mut whole = BTreeMap::new();
        collect(path, "", &mut whole)?;
        if whole.is_empty() {
            return Err(format!("the folder \"{}\" has no files", path.display()));
        }
        let mut files = whole.clone();
        let mut short: BTreeMap<&str, &str> = BTreeMap::new();
        for (name, fixture) in &whole {
            let Some((stem, _)) = name.rsplit_once('.').filter(|(stem, _)| !stem.is_empty()) else {
                continue;
            };
            if let Some(other) = short.insert(stem, name) {
                return Err(format!(
                    "in the folder \"{}\" both \"{other}\" and \"{name}\" would answer for \
                     \"{stem}\"",
                    path.display()
                ));
            }
            files.entry(stem.to_owned()).or_insert_with(|| fixture.clone());
        }
        Ok(Self { files })
    }

    pub(super) fn get(&self, name: &str) -> Option<Fixture> {
        self.files.get(name).cloned()
    }
}

fn collect(
    folder: &Path,
    prefix: &str,
    files: &mut BTreeMap<String, Fixture>,
) -> Result<(), String> {
    let failed = |error| unreadable("folder", folder, &error);
    for entry in fs::read_dir(folder).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        let path = entry.path();
        let name = format!("{prefix}{}", entry.file_name().to_string_lossy());
        if path.is_dir() {
            collect(&path, &format!("{name}/"), files)?;
        } else {
            files.insert(name, Fixture::read(&path)?);
        }
    }
    Ok(())
}

fn unreadable(kind: &str, path: &Path, error: &std::io::Error) -> String {
    let here = match std::env::current_dir() {
        Ok(here) if path.is_relative() => format!(" (paths are relative to {})", here.display()),
        _ => String::new(),
    };
    format!("the {kind} \"{}\" cannot be read: {error}{here}", path.display())
}
