//! What has to be in an archive, and what may not be.

use std::fs;
use std::path::Path;

use serde_json::Value;
use toml_edit::{DocumentMut, Item};

use crate::command::Outcome;

/// Written by cargo, or for people.
const EXPECTED: [&str; 7] = [
    ".cargo_vcs_info.json",
    "Cargo.lock",
    "Cargo.toml",
    "Cargo.toml.orig",
    "LICENSE-APACHE",
    "LICENSE-MIT",
    "README.md",
];
/// Without these nobody finds a crate, or may use it.
const NEEDED: [&str; 3] = ["LICENSE-APACHE", "LICENSE-MIT", "README.md"];
const METADATA: [&str; 7] =
    ["categories", "description", "documentation", "keywords", "license", "readme", "rust-version"];
/// Folders, and the endings of what may be in them.
const FOLDERS: [(&str, &[&str]); 3] =
    [("examples", &["rs"]), ("src", &["rs", "json"]), ("tests", &["rs"])];

/// What is wrong with an archive that has been unpacked.
pub(super) fn check(package: &str, folder: &Path) -> Outcome<Vec<String>> {
    let mut files = Vec::new();
    list(folder, "", &mut files)?;
    let manifest = fs::read_to_string(folder.join("Cargo.toml"));
    let manifest = manifest.map_err(|error| format!("{package}: Cargo.toml: {error}"))?;
    let mut complaints: Vec<String> = stray(&files)
        .into_iter()
        .map(|file| format!("{package}: {file} does not belong into the archive"))
        .collect();
    for name in NEEDED {
        let there = fs::metadata(folder.join(name)).is_ok_and(|file| file.len() > 0);
        if !there {
            complaints.push(format!("{package}: {name} is missing or empty"));
        }
    }
    complaints.extend(self::manifest(package, &manifest)?);
    Ok(complaints)
}

fn stray(files: &[String]) -> Vec<&str> {
    let belongs = |file: &str| {
        EXPECTED.contains(&file)
            || FOLDERS.iter().any(|(folder, endings)| {
                let inside = file.strip_prefix(folder).is_some_and(|rest| rest.starts_with('/'));
                let ending = file.rsplit('.').next().unwrap_or_default();
                inside && endings.contains(&ending)
            })
    };
    files.iter().map(String::as_str).filter(|file| !belongs(file)).collect()
}

/// What is missing in the manifest that cargo has written into the archive.
fn manifest(package: &str, text: &str) -> Outcome<Vec<String>> {
    let document: DocumentMut =
        text.parse().map_err(|error| format!("{package}: Cargo.toml: {error}"))?;
    let metadata = document.get("package");
    let has = |name: &str| {
        let item = metadata.and_then(|table| table.get(name));
        item.is_some_and(|item| {
            item.as_str().is_some_and(|text| !text.trim().is_empty())
                || item.as_array().is_some_and(|array| !array.is_empty())
        })
    };
    let mut complaints: Vec<String> = METADATA
        .iter()
        .filter(|name| !has(name))
        .map(|name| format!("{package}: the manifest has no {name}"))
        .collect();
    for table in ["dependencies", "dev-dependencies", "build-dependencies"] {
        let dependencies = document.get(table).and_then(Item::as_table_like);
        for (name, dependency) in dependencies.into_iter().flat_map(|table| table.iter()) {
            if dependency.get("version").is_none() && !dependency.is_str() {
                complaints.push(format!("{package}: {name} in {table} has no version"));
            }
        }
    }
    Ok(complaints)
}

/// Dependencies of published packages that only this folder can satisfy, in the output of
/// `cargo metadata`. From development dependencies cargo strips them without a word.
pub(super) fn unversioned(metadata: &Value) -> Vec<String> {
    let packages = metadata["packages"].as_array().into_iter().flatten();
    // `publish` is null for everywhere and an empty list for nowhere.
    let published = packages.filter(|package| package["publish"].is_null());
    let mut complaints = Vec::new();
    for package in published {
        let name = package["name"].as_str().unwrap_or_default();
        for dependency in package["dependencies"].as_array().into_iter().flatten() {
            if !dependency["path"].is_null() && dependency["req"] == "*" {
                let other = dependency["name"].as_str().unwrap_or_default();
                complaints.push(format!("{name} depends on {other} by a path without a version"));
            }
        }
    }
    complaints
}

fn list(root: &Path, below: &str, files: &mut Vec<String>) -> Outcome {
    let folder = root.join(below);
    let entries =
        fs::read_dir(&folder).map_err(|error| format!("{}: {error}", folder.display()))?;
    for entry in entries {
        let entry = entry.map_err(|error| error.to_string())?;
        let name = entry.file_name().to_string_lossy().into_owned();
        let path = if below.is_empty() { name } else { format!("{below}/{name}") };
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            list(root, &path, files)?;
        } else {
            files.push(path);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stray_file_is_named() {
        let files = [
            "Cargo.toml",
            "README.md",
            "src/lib.rs",
            "src/a/b.rs",
            "src/recorded/x.json",
            "examples/a.rs",
            "notes.md",
            "src/.env",
            "target/x.rs",
            "srcs/x.rs",
            "tests/key.pem",
        ];
        let files: Vec<String> = files.iter().map(|file| (*file).to_owned()).collect();
        let stray = stray(&files);
        assert_eq!(stray, ["notes.md", "src/.env", "target/x.rs", "srcs/x.rs", "tests/key.pem"]);
    }

    #[test]
    fn missing_metadata_is_named() {
        let full = "[package]\nname = \"a\"\nlicense = \"MIT\"\nreadme = \"README.md\"\n\
                    description = \"A.\"\ndocumentation = \"https://docs.rs/a\"\n\
                    rust-version = \"1.88\"\nkeywords = [\"a\"]\ncategories = [\"b\"]\n\
                    [dependencies]\nb = \"1\"\n[dependencies.c]\nversion = \"1\"\n";
        assert_eq!(manifest("a", full).unwrap(), Vec::<String>::new());
        let bare = "[package]\nname = \"a\"\nlicense = \" \"\nkeywords = []\n[dependencies.c]\n\
                    path = \"../c\"\n";
        let complaints = manifest("a", bare).unwrap();
        assert_eq!(complaints.len(), METADATA.len() + 1, "{complaints:?}");
        assert!(complaints.contains(&"a: the manifest has no license".into()));
        assert!(complaints.contains(&"a: c in dependencies has no version".into()));
        assert!(manifest("a", "[package").is_err());
    }

    #[test]
    fn a_path_without_a_version_is_named_unless_the_package_stays_here() {
        let metadata = serde_json::json!({ "packages": [
            { "name": "a", "publish": null, "dependencies": [
                { "name": "b", "path": "/b", "req": "*" },
                { "name": "c", "path": "/c", "req": "^0.1" },
                { "name": "d", "path": null, "req": "*" },
            ] },
            { "name": "tests", "publish": [], "dependencies": [
                { "name": "b", "path": "/b", "req": "*" },
            ] },
        ] });
        assert_eq!(unversioned(&metadata), ["a depends on b by a path without a version"]);
    }

    #[test]
    fn an_archive_is_listed_with_its_folders() {
        let mut files = Vec::new();
        let own = Path::new(env!("CARGO_MANIFEST_DIR"));
        list(own, "", &mut files).unwrap();
        assert!(files.contains(&"src/release/check/archive.rs".into()));
        assert!(check("a", &own.join("nowhere")).is_err());
    }
}
