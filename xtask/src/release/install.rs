//! The lines by which users depend on the facade: from a clone until the first release, then by its
//! version.

use semver::Version;

/// Where they stand.
pub(super) const PATHS: [&str; 4] =
    ["README.md", "crates/mstr/README.md", "crates/mstr/src/lib.rs", "docs/testing.md"];

/// A line that is only true until the first release.
const UNPUBLISHED: &str =
    "Until the first release, from a clone of this repository beside your package:";
const FROM_A_CLONE: [&str; 2] =
    ["cargo add --path ../mstr/crates/mstr", "mstr-sdk = { path = \"../mstr/crates/mstr\""];
/// What begins with these goes on with a version.
const RELEASED: [&str; 2] = ["cargo add mstr-sdk@", "mstr-sdk = { version = \""];

/// The text with the lines for this version.
pub(super) fn with_version(text: &str, version: &Version) -> String {
    let numbers = format!("{}.{}", version.major, version.minor);
    let mut written = text.replace(UNPUBLISHED, "It is in the registry:");
    for (clone, released) in FROM_A_CLONE.iter().zip(RELEASED) {
        let quote = if released.ends_with('"') { "\"" } else { "" };
        written = written.replace(clone, &format!("{released}{numbers}{quote}"));
        let mut parts = written.split(released);
        let mut renewed = parts.next().unwrap_or_default().to_owned();
        for part in parts {
            let rest = part.trim_start_matches(|c: char| c.is_ascii_digit() || c == '.');
            renewed.push_str(&format!("{released}{numbers}{rest}"));
        }
        written = renewed;
    }
    written
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::command::read;

    #[test]
    fn install_lines_name_the_clone_and_then_each_version() {
        for path in PATHS {
            let text = read(path).expect(path);
            let first = with_version(&text, &Version::new(0, 1, 0));
            let lines = ["cargo add mstr-sdk@0.1\n", "mstr-sdk = { version = \"0.1\", features"];
            assert!(lines.iter().any(|line| first.contains(line)), "{path}");
            assert!(!first.contains("../mstr") && !first.contains(UNPUBLISHED), "{path}");
            let second = with_version(&first, &Version::new(0, 2, 3));
            assert_eq!(second, first.replace("0.1", "0.2"), "{path}");
            assert_eq!(with_version(&second, &Version::new(0, 2, 4)), second, "a patch");
        }
    }
}
