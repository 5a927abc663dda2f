//! Things that stand in several places and have to agree.

use std::collections::BTreeSet;

/// The text of a file.
type Read<'a> = &'a dyn Fn(&str) -> Option<&'a str>;

const MANIFEST: &str = "crates/mstr/Cargo.toml";
const FACADE: &str = "crates/mstr/src/lib.rs";
/// Where the minimum supported Rust version is stated for people.
const STATES_RUST_VERSION: [&str; 2] = ["README.md", FACADE];

pub(super) fn check(read: Read<'_>) -> Vec<String> {
    let mut complaints = features(read);
    complaints.extend(rust_version(read));
    complaints
}

/// The facade's table of features lists those of its manifest.
fn features(read: Read<'_>) -> Vec<String> {
    let (Some(manifest), Some(facade)) = (read(MANIFEST), read(FACADE)) else {
        return vec![format!("{MANIFEST} or {FACADE} is missing")];
    };
    let section = manifest.split("[features]").nth(1).unwrap_or_default();
    let section = section.split("\n[").next().unwrap_or_default();
    let declared: BTreeSet<&str> = section
        .lines()
        .filter(|line| !line.starts_with('#'))
        .filter_map(|line| Some(line.split_once(" = ")?.0))
        .filter(|name| *name != "default")
        .collect();
    let table = facade.split("//! # Features").nth(1).unwrap_or_default();
    let listed: BTreeSet<&str> =
        table.lines().filter_map(|line| line.strip_prefix("//! | `")?.split('`').next()).collect();
    let missing =
        declared.difference(&listed).map(|name| format!("{FACADE}: does not list {name}"));
    let idle =
        listed.difference(&declared).map(|name| format!("{FACADE}: lists {name}, which is none"));
    missing.chain(idle).collect()
}

fn rust_version(read: Read<'_>) -> Vec<String> {
    let declared = read("Cargo.toml").and_then(|text| {
        text.lines().find_map(|line| line.strip_prefix("rust-version = \"")?.strip_suffix('"'))
    });
    let Some(declared) = declared else {
        return vec!["Cargo.toml declares no rust-version".into()];
    };
    let stated = format!("minimum supported Rust version is {declared}");
    let silent = |path: &&&str| read(path).is_none_or(|text| !text.contains(&stated));
    STATES_RUST_VERSION
        .iter()
        .filter(silent)
        .map(|path| format!("{path}: does not say \"{stated}\""))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_feature_that_is_not_listed_is_found() {
        let manifest =
            "[features]\ndefault = [\"a\"]\na = []\n# why\nb = []\n\n[dependencies]\nc = 1\n";
        let listing = |names: &[&str]| {
            let rows: String = names.iter().map(|name| format!("//! | `{name}` | |\n")).collect();
            format!("//! # Features\n//!\n{rows}")
        };
        let complaints = |facade: &str| {
            features(&|path| match path {
                MANIFEST => Some(manifest),
                _ => Some(facade.to_owned().leak()),
            })
        };
        assert!(complaints(&listing(&["a", "b"])).is_empty());
        assert_eq!(complaints(&listing(&["a"])), [format!("{FACADE}: does not list b")]);
        assert_eq!(
            complaints(&listing(&["a", "b", "z"])),
            [format!("{FACADE}: lists z, which is none")]
        );
    }

    #[test]
    fn the_rust_version_is_the_same_everywhere() {
        let read = |path: &str| match path {
            "Cargo.toml" => Some("rust-version = \"1.88\"\n"),
            "README.md" => Some("The minimum supported Rust version is 1.88."),
            _ => Some("The minimum supported Rust version is 1.85."),
        };
        assert_eq!(rust_version(&read).len(), 1);
    }
}
