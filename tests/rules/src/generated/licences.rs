//! The licence texts beside each published crate: a package holds its own folder only.
//!
//! Copies rather than symbolic links, because git on Windows may write a link out as a text file
//! that holds a path.

use super::Document;
use crate::packages::Package;

/// The texts at the root.
pub(super) const TEXTS: [&str; 2] = ["LICENSE-APACHE", "LICENSE-MIT"];

pub(super) fn copies(package: &Package, name: &str, text: &str) -> Document {
    Document { path: format!("{}/{name}", package.folder), text: text.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_copy_is_the_text_in_the_crate_s_folder() {
        let package = Package::new("mstr-core", serde_json::json!({}));
        let copy = copies(&package, TEXTS[1], "MIT License\n");
        assert_eq!(copy.path, "crates/mstr-core/LICENSE-MIT");
        assert_eq!(copy.text, "MIT License\n");
    }
}
