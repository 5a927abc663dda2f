//! What the workspace's packages have to have beside their own folder.

use crate::file::Read;
use crate::packages::Package;

/// The published packages that are not transports.
const NO_TRANSPORTS: [&str; 3] = ["mstr-sdk", "mstr-core", "mstr-fake"];

/// `packages` are the published ones.
pub(crate) fn check(packages: &[Package], read: Read<'_>) -> Vec<String> {
    packages.iter().flat_map(|package| places(&package.name, &package.folder, read)).collect()
}

/// Where else a published package has to be named.
fn places(name: &str, folder: &str, read: Read<'_>) -> Vec<String> {
    let types = format!("xtask/external-types/{name}.toml");
    let mut complaints = Vec::new();
    if read(&types).is_none() {
        complaints.push(format!("{types} is missing: it says whose types {name} may show"));
    }
    let mut named = vec![
        ("README.md", format!("[`{name}`]({folder})"), "the table of crates"),
        ("ARCHITECTURE.md", name.to_owned(), "the map"),
    ];
    if !NO_TRANSPORTS.contains(&name) {
        named.extend([
            ("crates/mstr/Cargo.toml", format!("\"dep:{name}\""), "a feature of the facade"),
            (
                "tests/suite/src/backends.rs",
                format!("\"{name}\""),
                "a backend of the conformance suite",
            ),
            ("docs/transports.md", name.to_owned(), "what it can do"),
        ]);
    }
    let absent = named
        .iter()
        .filter(|(path, words, _)| read(path).is_none_or(|text| !text.contains(words.as_str())));
    complaints.extend(absent.map(|(path, words, what)| {
        format!("{path}: does not name {name}: {what} ({words}) is missing")
    }));
    complaints
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_published_package_is_named_wherever_that_is_needed() {
        let nowhere = places("mstr-new", "crates/mstr-new", &|_| Some(""));
        assert_eq!(nowhere.len(), 5, "{nowhere:?}");
        let text = "[`mstr-new`](crates/mstr-new) \"dep:mstr-new\" \"mstr-new\"";
        assert!(places("mstr-new", "crates/mstr-new", &|_| Some(text)).is_empty());
        let types = |path: &str| (!path.ends_with("mstr-new.toml")).then_some(text);
        assert!(
            places("mstr-new", "crates/mstr-new", &types)[0]
                .starts_with("xtask/external-types/mstr-new.toml is")
        );
        let text = "[`mstr-sdk`](crates/mstr)";
        assert!(places("mstr-sdk", "crates/mstr", &|_| Some(text)).is_empty());
    }
}
