//! The version in the workspace's manifest and its lock: one for all crates.

use semver::Version;
use toml_edit::{DocumentMut, Item, TableLike};

use crate::command::Outcome;

pub(super) const PATH: &str = "Cargo.toml";

/// The version that all crates have.
pub(super) fn version(text: &str) -> Outcome<Version> {
    let document = parse(text)?;
    let version = document
        .get("workspace")
        .and_then(|workspace| workspace.get("package"))
        .and_then(|package| package.get("version"))
        .and_then(Item::as_str)
        .ok_or_else(|| format!("{PATH} has no workspace.package.version"))?;
    version.parse().map_err(|error| format!("{PATH}: \"{version}\": {error}"))
}

/// The same manifest with another version, also where members depend on each other.
pub(super) fn with_version(text: &str, next: &Version) -> Outcome<String> {
    let mut document = parse(text)?;
    let workspace = document
        .get_mut("workspace")
        .and_then(Item::as_table_like_mut)
        .ok_or_else(|| format!("{PATH} has no workspace"))?;
    let package = workspace.get_mut("package").and_then(Item::as_table_like_mut);
    let package = package.ok_or_else(|| format!("{PATH} has no workspace.package"))?;
    set(package, next);
    let dependencies = workspace.get_mut("dependencies").and_then(Item::as_table_like_mut);
    for (_, dependency) in dependencies.into_iter().flat_map(|table| table.iter_mut()) {
        if let Some(dependency) = dependency.as_table_like_mut()
            && dependency.contains_key("path")
            && dependency.contains_key("version")
        {
            set(dependency, next);
        }
    }
    Ok(document.to_string())
}

/// Writes the version and leaves the comments and spaces around it.
fn set(table: &mut dyn TableLike, next: &Version) {
    if let Some(version) = table.get_mut("version").and_then(Item::as_value_mut) {
        let around = version.decor().clone();
        *version = next.to_string().into();
        *version.decor_mut() = around;
    }
}

/// The packages of a lock that come from a registry.
pub(super) fn locked(lock: &str) -> Vec<&str> {
    let packages = lock.split("[[package]]").skip(1).map(str::trim);
    packages.filter(|package| package.contains("\nsource = ")).collect()
}

fn parse(text: &str) -> Outcome<DocumentMut> {
    text.parse().map_err(|error| format!("{PATH}: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "\
[workspace.package]
version = \"0.1.0\" # one for all

[workspace.dependencies]
a = { path = \"crates/a\", version = \"0.1.0\" }
b = { path = \"crates/b\", version = \"0.1.0\", default-features = false }
c = { version = \"0.1.0\" }
d = \"0.1.0\"
";

    #[test]
    fn one_version_is_written_for_all_crates_and_for_nothing_else() {
        assert_eq!(version(TEXT).unwrap(), Version::new(0, 1, 0));
        let text = with_version(TEXT, &Version::new(0, 2, 0)).unwrap();
        let expected = "\
[workspace.package]
version = \"0.2.0\" # one for all

[workspace.dependencies]
a = { path = \"crates/a\", version = \"0.2.0\" }
b = { path = \"crates/b\", version = \"0.2.0\", default-features = false }
c = { version = \"0.1.0\" }
d = \"0.1.0\"
";
        assert_eq!(text, expected);
    }

    #[test]
    fn a_manifest_without_a_version_is_an_error() {
        assert!(version("[workspace]\n").unwrap_err().contains("no workspace.package.version"));
        assert!(version("[workspace.package]\nversion = \"one\"\n").unwrap_err().contains("one"));
        assert!(version("[").is_err());
        assert!(with_version("[package]\n", &Version::new(1, 0, 0)).is_err());
    }

    #[test]
    fn what_a_lock_holds_of_a_registry_is_told_from_the_members() {
        let lock = "version = 4\n\n[[package]]\nname = \"a\"\nversion = \"0.1.0\"\n\n[[package]]\n\
                    name = \"b\"\nversion = \"1.0.0\"\nsource = \"registry\"\n";
        assert_eq!(locked(lock), ["name = \"b\"\nversion = \"1.0.0\"\nsource = \"registry\""]);
    }
}
