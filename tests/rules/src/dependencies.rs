//! Dependencies that nothing uses.
//!
//! Decided by the text: code that uses a crate contains its name.

use toml_edit::{Document, Item, TableLike};

use crate::file::File;

const KINDS: [&str; 3] = ["build-dependencies", "dependencies", "dev-dependencies"];

/// Packages whose crate has another name.
const RENAMED: [(&str, &str); 1] = [("rustls-webpki", "webpki")];

/// Complains about each dependency of each manifest whose name stands in no source beside it.
pub(crate) fn check(files: &[File]) -> Vec<String> {
    let manifests = files.iter().filter_map(|file| Some((file, folder(file)?)));
    let folders: Vec<&str> = manifests.clone().map(|(_, folder)| folder).collect();
    let mut complaints = Vec::new();
    for (manifest, own) in manifests {
        // What stands in a package within this one is not its.
        let is_own = |file: &&File| {
            let inner = folders.iter().filter(|folder| file.path.starts_with(**folder));
            file.is_source() && inner.max_by_key(|folder| folder.len()) == Some(&own)
        };
        let sources: Vec<&File> = files.iter().filter(is_own).collect();
        match names(&manifest.text) {
            Ok(names) => complaints.extend(
                names
                    .iter()
                    .filter(|name| !sources.iter().any(|file| has(&file.text, &crate_name(name))))
                    .map(|name| format!("{}: nothing uses {name}", manifest.path)),
            ),
            Err(error) => complaints.push(format!("{}: {error}", manifest.path)),
        }
    }
    complaints
}

/// The folder of a package's manifest, with `/` at its end.
fn folder(file: &File) -> Option<&str> {
    file.path.strip_suffix("Cargo.toml").filter(|_| file.text.contains("[package]\n"))
}

fn names(manifest: &str) -> Result<Vec<String>, String> {
    let document = Document::parse(manifest).map_err(|error| error.to_string())?;
    let mut names = Vec::new();
    let mut take = |table: &dyn TableLike| {
        for kind in KINDS {
            let list = table.get(kind).and_then(Item::as_table_like);
            names
                .extend(list.into_iter().flat_map(|list| list.iter()).map(|(name, _)| name.into()));
        }
    };
    take(document.as_table());
    let targets = document.get("target").and_then(Item::as_table_like);
    for (_, target) in targets.into_iter().flat_map(|targets| targets.iter()) {
        if let Some(target) = target.as_table_like() {
            take(target);
        }
    }
    Ok(names)
}

fn crate_name(package: &str) -> String {
    let renamed = RENAMED.iter().find(|(name, _)| *name == package);
    renamed.map_or(package, |(_, name)| name).replace('-', "_")
}

/// Whether the word stands in the text.
fn has(text: &str, word: &str) -> bool {
    let is_part = |character: char| character.is_alphanumeric() || character == '_';
    text.split(|character| !is_part(character)).any(|other| other == word)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dependency_that_no_source_beside_it_names_is_found() {
        let manifest = "[package]\n[dependencies]\na-b = \"1\"\nc.workspace = true\n\
                        rustls-webpki = \"1\"\n[target.x.dev-dependencies]\nd = \"1\"\n";
        let files = [
            File::new("p/Cargo.toml", manifest),
            File::new("p/src/lib.rs", "use a_b::X;\nuse webpki::Y;\nfn dd() {}\n"),
            File::new("p/q/Cargo.toml", "[package]\n"),
            File::new("p/q/src/lib.rs", "use c::Z;\n"),
            File::new("Cargo.toml", "[workspace.dependencies]\ne = \"1\"\n"),
        ];
        assert_eq!(check(&files), ["p/Cargo.toml: nothing uses c", "p/Cargo.toml: nothing uses d"]);
    }
}
