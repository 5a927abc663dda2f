//! The published packages, as cargo reads their manifests.

use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::command::{Outcome, cargo, output, root};

/// A package that goes to the registry.
pub(crate) struct Package {
    /// Its name, `mstr-core`.
    pub(crate) name: String,
    /// Its folder relative to the root, with `/`.
    pub(crate) folder: String,
    /// Its manifest, what it takes from the workspace included.
    manifest: Value,
}

impl Package {
    #[cfg(test)]
    pub(crate) fn new(name: &str, manifest: Value) -> Self {
        Self { name: name.into(), folder: format!("crates/{name}"), manifest }
    }

    /// What the manifest says in a field; empty if it says nothing.
    pub(crate) fn says(&self, field: &str) -> &str {
        self.manifest[field].as_str().unwrap_or_default()
    }

    /// The list in a field of the manifest.
    pub(crate) fn lists(&self, field: &str) -> Vec<&str> {
        self.manifest[field].as_array().into_iter().flatten().filter_map(Value::as_str).collect()
    }

    /// The settings of docs.rs in the manifest.
    pub(crate) fn docs_rs(&self) -> &Value {
        &self.manifest["metadata"]["docs"]["rs"]
    }

    /// The names of the features.
    pub(crate) fn features(&self) -> Vec<&str> {
        self.manifest["features"]
            .as_object()
            .into_iter()
            .flatten()
            .map(|(name, _)| &**name)
            .collect()
    }

    /// The crate's name in code, `mstr_core`.
    pub(crate) fn crate_name(&self) -> String {
        self.name.replace('-', "_")
    }
}

/// The published packages and the folder that cargo builds into.
pub(crate) struct Workspace {
    pub(crate) packages: Vec<Package>,
    pub(crate) target: PathBuf,
}

/// Asks cargo.
pub(crate) fn workspace() -> Outcome<Workspace> {
    read(&output(&mut cargo("metadata --locked --no-deps --format-version 1"))?, &root())
}

fn read(metadata: &str, root: &Path) -> Outcome<Workspace> {
    let metadata: Value =
        serde_json::from_str(metadata).map_err(|error| format!("cargo metadata: {error}"))?;
    let target = metadata["target_directory"].as_str().unwrap_or("target").into();
    let mut packages = Vec::new();
    for manifest in metadata["packages"].as_array().into_iter().flatten() {
        // `publish = false` is an empty list of registries.
        if manifest["publish"].as_array().is_some_and(Vec::is_empty) {
            continue;
        }
        let name = manifest["name"].as_str().unwrap_or_default().to_owned();
        let path = Path::new(manifest["manifest_path"].as_str().unwrap_or_default());
        let folder = path.parent().and_then(|folder| folder.strip_prefix(root).ok());
        let folder = folder.ok_or_else(|| format!("{name} is outside of the workspace"))?;
        let folder = folder.to_string_lossy().replace('\\', "/");
        packages.push(Package { name, folder, manifest: manifest.clone() });
    }
    if packages.is_empty() {
        return Err("cargo metadata names no package that is published".into());
    }
    Ok(Workspace { packages, target })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packages_that_are_not_published_are_left_out() {
        let metadata = r#"{"target_directory":"/w/target","packages":[
{"name":"mstr-a","manifest_path":"/w/crates/mstr-a/Cargo.toml","publish":null,"license":"MIT",
 "keywords":["x"],"features":{"b":[]},"metadata":{"docs":{"rs":{"all-features":true}}}},
{"name":"tests","manifest_path":"/w/tests/Cargo.toml","publish":[]}]}"#;
        let Workspace { packages, target } = read(metadata, Path::new("/w")).unwrap();
        assert_eq!(target, Path::new("/w/target"));
        let [package] = packages.as_slice() else { panic!("there are {}", packages.len()) };
        assert_eq!((&*package.name, &*package.folder), ("mstr-a", "crates/mstr-a"));
        assert_eq!(package.crate_name(), "mstr_a");
        assert_eq!((package.says("license"), package.says("readme")), ("MIT", ""));
        assert_eq!((package.lists("keywords"), package.features()), (vec!["x"], vec!["b"]));
        assert_eq!(package.docs_rs()["all-features"], true);
    }

    #[test]
    fn metadata_that_makes_no_sense_is_an_error() {
        assert!(read("", Path::new("/w")).is_err());
        assert!(read(r#"{"packages":[]}"#, Path::new("/w")).is_err());
        let outside = r#"{"packages":[{"name":"a","manifest_path":"/x/Cargo.toml"}]}"#;
        assert!(read(outside, Path::new("/w")).is_err());
    }
}
