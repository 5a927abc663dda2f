//! The text rules: what a machine can check by reading.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use crate::command::{Outcome, cargo, output, root};
use crate::file::{File, Read, files};
use crate::modules::Crate;
use crate::packages::{packages, packages_in};
use crate::{
    agreement, circles, crates, dependencies, documents, examples, generated, imports, layers,
    lines, lists, manifests, sources,
};

/// Complains about everything that breaks a rule.
pub(crate) fn repository() -> Outcome {
    let files = files()?;
    let packages = packages()?;
    let find = |path: &str| files.iter().find(|file| file.path == path);
    let tests = find(examples::TESTED).ok_or_else(|| format!("{} is missing", examples::TESTED))?;
    let mut complaints: Vec<String> = Vec::new();
    for package in &packages {
        complaints.extend(manifests::check(package));
        let list = ["package", "--locked", "--allow-dirty", "--list", "--package", &package.name];
        // Without a README cargo lists nothing, and there is more to say than that.
        match output(&mut cargo(&list)) {
            Ok(list) => complaints.extend(manifests::contents(package, &list)),
            Err(error) => complaints.push(format!("{}: {error}", package.folder)),
        }
    }
    for file in &files {
        complaints.extend(examples::check(file, &tests.text));
        complaints.extend(documents::check(file, &files, &|path| root().join(path).exists()));
        if file.is_source() {
            complaints.extend(sources::check(file));
            complaints.extend(lists::check(file));
        }
    }
    let read: Read<'_> = &|path| Some(find(path)?.text.as_str());
    complaints.extend(agreement::check(read));
    complaints.extend(crates::check(&packages, read));
    complaints.extend(dependencies::check(&files));
    complaints.extend(structure(&files));
    complaints.extend(shown_layers(read));
    told(complaints)?;
    println!("    {} files, nothing to complain about", files.len());
    Ok(())
}

/// Complains about packages that hold something else than what is published.
pub(crate) fn archives(folder: &Path) -> Outcome {
    let mut complaints = Vec::new();
    for package in packages_in(folder)? {
        complaints.extend(manifests::check(&package));
        complaints.extend(manifests::contents(&package, &list(&folder.join(&package.folder), "")?));
    }
    told(complaints)
}

fn told(mut complaints: Vec<String>) -> Outcome {
    if complaints.is_empty() {
        return Ok(());
    }
    complaints.sort();
    Err(format!("{} complaints\n{}", complaints.len(), complaints.join("\n")))
}

/// The files below a folder, a line each.
fn list(root: &Path, below: &str) -> Outcome<String> {
    let folder = root.join(below);
    let failed = |error: std::io::Error| format!("{}: {error}", folder.display());
    let mut files = String::new();
    for entry in fs::read_dir(&folder).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        let name = entry.file_name().to_string_lossy().into_owned();
        let path = if below.is_empty() { name } else { format!("{below}/{name}") };
        if entry.file_type().map_err(failed)?.is_dir() {
            files.push_str(&list(root, &path)?);
        } else {
            files.push_str(&format!("{path}\n"));
        }
    }
    Ok(files)
}

/// Prints how many lines of code the published crates have.
pub(crate) fn lines() -> Outcome {
    let files = files()?;
    print!("{}", lines::table(&files, &crate_names(&files))?);
    Ok(())
}

/// Which file may import which.
fn structure(files: &[File]) -> Vec<String> {
    let mut complaints = Vec::new();
    for name in crate_names(files) {
        let krate = match Crate::read(files, &name) {
            Ok(krate) => krate,
            Err(complaint) => {
                complaints.push(complaint);
                continue;
            }
        };
        let imports = imports::imports(&krate);
        complaints.extend(circles::check(&krate, &imports));
        if name == layers::CRATE {
            complaints.extend(layers::check(&krate, &imports));
        }
    }
    complaints
}

/// People are shown the table of layers that holds.
fn shown_layers(read: Read<'_>) -> Option<String> {
    let document = generated::layers::DOCUMENT;
    let Some(text) = read(document) else { return Some(format!("{document} is missing")) };
    match generated::layers::fill(text) {
        Ok(filled) if filled == text => None,
        Ok(_) => Some(format!("{document}: the table of layers has drifted: cargo xtask generate")),
        Err(complaint) => Some(complaint),
    }
}

/// The folders below `crates` that have sources.
fn crate_names(files: &[File]) -> Vec<String> {
    let folders = files.iter().filter(|file| file.is_source()).filter_map(|file| {
        let (name, rest) = file.path.strip_prefix("crates/")?.split_once('/')?;
        rest.starts_with("src/").then(|| name.to_owned())
    });
    folders.collect::<BTreeSet<String>>().into_iter().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_files_of_an_archive_are_listed_with_their_folders() {
        let files = list(Path::new(env!("CARGO_MANIFEST_DIR")), "").unwrap();
        assert!(files.lines().any(|file| file == "src/generated/mod.rs"), "{files}");
        assert!(list(Path::new("nowhere"), "").is_err());
    }

    #[test]
    fn a_planted_circle_and_an_import_against_the_table_are_complaints() {
        let files = [
            File::new("crates/mstr-core/src/call/a.rs", "use super::b::B;\n"),
            File::new("crates/mstr-core/src/call/b.rs", "use super::a::A;\n"),
            File::new("crates/mstr-core/src/error/mod.rs", "use crate::call::C;\n"),
            File::new("crates/mstr-core/src/call/mod.rs", "mod a;\nmod b;\npub struct C;\n"),
            File::new("crates/mstr-new/src/a.rs", "use crate::b::B;\n"),
            File::new("crates/mstr-new/src/b.rs", "use crate::a::A;\n"),
            File::new("crates/mstr-new/src/c.rs", "use {\n"),
        ];
        let found = structure(&files);
        let has = |words: &str| found.iter().any(|complaint| complaint.contains(words));
        assert!(has("call/a.rs -> call/b.rs -> call/a.rs"), "{found:?}");
        assert!(has("error/mod.rs:1: imports crate::call::C of call/mod.rs"), "{found:?}");
        assert!(has("crates/mstr-new/src/c.rs:"), "a file that cannot be read: {found:?}");
        let found = structure(&files[4..6]);
        assert!(found.len() == 1 && found[0].contains("a.rs -> b.rs -> a.rs"), "{found:?}");
    }

    #[test]
    fn a_table_of_layers_that_is_not_the_enforced_one_is_a_complaint() {
        let shown = |text: &'static str| shown_layers(&|_| Some(text)).unwrap_or_default();
        assert!(shown("# Architecture\n").contains("is missing"));
        let filled = generated::layers::fill(include_str!("../../../ARCHITECTURE.md")).unwrap();
        assert!(shown_layers(&|_| Some(filled.as_str())).is_none());
        let drifted = filled.replace("| ground | ", "| ground, sand | ");
        assert!(shown_layers(&|_| Some(drifted.as_str())).unwrap().contains("has drifted"));
    }
}
