//! Files and parts of files that are written from other texts, so that nothing is said twice.
//!
//! - the table of features in each crate's documentation, from its manifest;
//! - the licence texts beside each crate, from those at the root;
//! - the table of layers in `ARCHITECTURE.md`, from the one that is enforced here.

mod features;
pub(crate) mod layers;
mod licences;

use std::fs;

use crate::command::{Outcome, read, root};
use crate::packages::packages;

/// A file as it should be.
#[derive(Debug)]
struct Document {
    /// Relative to the root, with `/`.
    path: String,
    text: String,
}

/// Writes what has changed.
pub(crate) fn write() -> Outcome {
    let mut written = 0;
    for Document { path, text } in documents()? {
        if read(&path).ok().as_ref() != Some(&text) {
            fs::write(root().join(&path), text).map_err(|error| format!("{path}: {error}"))?;
            println!("    written: {path}");
            written += 1;
        }
    }
    println!("    {written} files had to be written");
    Ok(())
}

/// Complains about each file that is not as `write` would leave it.
pub(crate) fn check() -> Outcome {
    let documents = documents()?;
    let drifts: Vec<String> = documents
        .iter()
        .filter_map(|document| drift(document, read(&document.path).ok()))
        .collect();
    if drifts.is_empty() {
        println!("    {} files, as `cargo xtask generate` writes them", documents.len());
        return Ok(());
    }
    Err(format!("{}\nrun `cargo xtask generate`", drifts.join("\n")))
}

/// Every file that is written here, as it should be.
fn documents() -> Outcome<Vec<Document>> {
    let packages = packages()?;
    let mut documents = Vec::new();
    for package in &packages {
        let library = format!("{}/src/lib.rs", package.folder);
        let manifest = format!("{}/Cargo.toml", package.folder);
        let text = features::fill(&library, &read(&library)?, &manifest, &read(&manifest)?)?;
        documents.push(Document { path: library, text });
        for name in licences::TEXTS {
            documents.push(licences::copies(package, name, &read(name)?));
        }
    }
    documents.push(layers::document(&read(layers::DOCUMENT)?)?);
    Ok(documents)
}

/// The first line in which a file differs from what it should be.
fn drift(should: &Document, is: Option<String>) -> Option<String> {
    let path = &should.path;
    let Some(is) = is else { return Some(format!("{path} is missing")) };
    if is == should.text {
        return None;
    }
    let (mut old, mut new) = (is.lines(), should.text.lines());
    for number in 1.. {
        let (is, should) = (old.next(), new.next());
        if is.is_none() && should.is_none() {
            break;
        }
        if is != should {
            return Some(format!(
                "{path}:{number}: has drifted\n    is:        {}\n    should be: {}",
                quoted(is),
                quoted(should)
            ));
        }
    }
    Some(format!("{path}: has drifted in how it ends"))
}

fn quoted(line: Option<&str>) -> String {
    line.map_or_else(|| "nothing".to_owned(), |line| format!("\"{line}\""))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::packages::Package;

    #[test]
    fn a_drift_shows_the_first_line_that_differs() {
        let should = Document { path: "a.md".into(), text: "one\ntwo\n".into() };
        assert_eq!(drift(&should, Some("one\ntwo\n".into())), None);
        let line = |is: &str| drift(&should, Some(is.into())).unwrap();
        let told = line("one\nzwei\n");
        assert!(told.starts_with("a.md:2: has drifted"), "{told}");
        assert!(told.contains("\"zwei\"") && told.contains("\"two\""), "{told}");
        assert!(line("one\n").contains("is:        nothing"));
        assert!(line("one\ntwo\nthree\n").contains("should be: nothing"));
        assert!(line("one\ntwo").contains("how it ends"));
        assert_eq!(drift(&should, None).unwrap(), "a.md is missing");
    }

    #[test]
    fn every_published_crate_has_licences() {
        let documents = documents().unwrap();
        for Package { folder, .. } in packages().unwrap() {
            for name in ["LICENSE-APACHE", "LICENSE-MIT", "src/lib.rs"] {
                let path = format!("{folder}/{name}");
                assert!(documents.iter().any(|document| document.path == path), "{path}");
            }
        }
    }
}
