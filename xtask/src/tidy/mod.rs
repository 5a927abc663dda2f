//! The text rules: what a machine can check by reading.

mod agreement;
mod attributes;
mod circles;
mod crates;
mod dependencies;
mod documents;
mod examples;
mod imports;
pub(crate) mod layers;
mod lines;
mod lists;
pub(crate) mod manifests;
mod modules;
mod sources;

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use crate::command::{Outcome, cargo, git, output, root};
use crate::generate;
use crate::packages::packages;
use modules::Crate;

/// The text of a file.
type Read<'a> = &'a dyn Fn(&str) -> Option<&'a str>;

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
    fn at(&self, line: usize, what: &str) -> String {
        format!("{}:{line}: {what}", self.path)
    }

    /// Complains about each line for which `wrong` has something to say.
    fn lines(&self, wrong: impl Fn(&str) -> Option<String>) -> Vec<String> {
        let numbered = self.text.lines().enumerate();
        numbered.filter_map(|(index, line)| Some(self.at(index + 1, &wrong(line)?))).collect()
    }

    fn is_source(&self) -> bool {
        self.path.ends_with(".rs")
    }
}

pub(crate) fn check() -> Outcome {
    let files = files()?;
    let packages = packages()?;
    let find = |path: &str| files.iter().find(|file| file.path == path);
    let tests = find(examples::TESTED).ok_or_else(|| format!("{} is missing", examples::TESTED))?;
    let mut complaints: Vec<String> = Vec::new();
    for package in &packages {
        complaints.extend(manifests::check(package));
        let list = format!("package --locked --allow-dirty --list --package {}", package.name);
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
    if complaints.is_empty() {
        println!("    {} files, nothing to complain about", files.len());
        Ok(())
    } else {
        complaints.sort();
        Err(format!("{} complaints\n{}", complaints.len(), complaints.join("\n")))
    }
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
    let document = generate::layers::DOCUMENT;
    let Some(text) = read(document) else { return Some(format!("{document} is missing")) };
    match generate::layers::fill(text) {
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

/// The files git tracks or would track.
pub(crate) fn files() -> Outcome<Vec<File>> {
    let words = ["ls-files", "--cached", "--others", "--exclude-standard"];
    let list = output(&mut git(&words))?;
    let mut files = Vec::new();
    for path in list.lines().filter(|path| is_text(path)) {
        // A file that was removed but not yet committed is still listed.
        if let Ok(text) = fs::read_to_string(root().join(path)) {
            files.push(File { path: path.to_owned(), text });
        }
    }
    Ok(files)
}

fn is_text(path: &str) -> bool {
    let name = Path::new(path);
    let ending = name.extension().and_then(|ending| ending.to_str()).unwrap_or_default();
    ["md", "rs", "toml", "txt"].contains(&ending) || path == ".ci/run"
}

#[cfg(test)]
mod tests {
    use super::*;

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
        let filled = generate::layers::fill(include_str!("../../../ARCHITECTURE.md")).unwrap();
        assert!(shown_layers(&|_| Some(filled.as_str())).is_none());
        let drifted = filled.replace("| ground | ", "| ground, sand | ");
        assert!(shown_layers(&|_| Some(drifted.as_str())).unwrap().contains("has drifted"));
    }
}
