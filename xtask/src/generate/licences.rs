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
