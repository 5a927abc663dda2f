//! Statements that several files make and that have to agree.

use crate::file::Read;

/// Where documents state the minimum supported Rust version, and after which words.
const STATES_RUST_VERSION: [(&str, &str); 3] = [
    ("README.md", "minimum supported Rust version is "),
    ("README.md", "needs Rust "),
    ("README.md", "badge/MSRV-"),
];

pub(crate) fn check(read: Read<'_>) -> Vec<String> {
    rust_version(read)
}

fn rust_version(read: Read<'_>) -> Vec<String> {
    let declared = read("Cargo.toml").and_then(|text| {
        text.lines().find_map(|line| line.strip_prefix("rust-version = \"")?.strip_suffix('"'))
    });
    let Some(declared) = declared else {
        return vec!["Cargo.toml declares no rust-version".into()];
    };
    let stated = STATES_RUST_VERSION.map(|(path, words)| (path, format!("{words}{declared}")));
    stated
        .iter()
        .filter(|(path, words)| read(path).is_none_or(|text| !text.contains(words)))
        .map(|(path, words)| format!("{path}: does not say \"{words}\""))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rust_version_is_the_same_everywhere() {
        let complaints = |readme: &'static str| {
            rust_version(&|path| match path {
                "Cargo.toml" => Some("rust-version = \"1.88\"\n"),
                _ => Some(readme),
            })
        };
        let one = "badge/MSRV-1.88 needs Rust 1.88, minimum supported Rust version is 1.88";
        assert!(complaints(one).is_empty());
        let two = "badge/MSRV-1.88 needs Rust 1.88, minimum supported Rust version is 1.85";
        let found = complaints(two);
        assert_eq!(found, ["README.md: does not say \"minimum supported Rust version is 1.88\""]);
        assert_eq!(rust_version(&|_| None), ["Cargo.toml declares no rust-version"]);
    }
}
