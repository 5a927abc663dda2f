//! The published packages, as cargo reads their manifests.

use std::path::Path;

use serde_json::Value;

use crate::command::{Outcome, metadata, root};

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

    /// The other packages of this workspace that it depends on without naming a version.
    pub(crate) fn unversioned(&self) -> Vec<&str> {
        let dependencies = self.manifest["dependencies"].as_array().into_iter().flatten();
        dependencies
            .filter(|dependency| !dependency["path"].is_null() && dependency["req"] == "*")
            .filter_map(|dependency| dependency["name"].as_str())
            .collect()
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

    /// Those that are enabled by default.
    pub(crate) fn default_features(&self) -> Vec<&str> {
        let names = self.manifest["features"]["default"].as_array();
        names.into_iter().flatten().filter_map(Value::as_str).collect()
    }
}

/// The published packages of this workspace.
pub(crate) fn packages() -> Outcome<Vec<Package>> {
    packages_in(&root())
}

/// Those of the workspace in this folder.
pub(crate) fn packages_in(folder: &Path) -> Outcome<Vec<Package>> {
    read(&metadata(folder)?, folder)
}

fn read(metadata: &Value, root: &Path) -> Outcome<Vec<Package>> {
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
    Ok(packages)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn packages_that_are_not_published_are_left_out() {
        let metadata = json!({ "packages": [
            {
                "name": "mstr-a", "manifest_path": "/w/crates/mstr-a/Cargo.toml",
                "publish": null, "license": "MIT", "keywords": ["x"], "features": { "b": [] },
                "metadata": { "docs": { "rs": { "all-features": true } } },
            },
            { "name": "tests", "manifest_path": "/w/tests/Cargo.toml", "publish": [] },
        ] });
        let packages = read(&metadata, Path::new("/w")).unwrap();
        let [package] = packages.as_slice() else { panic!("there are {}", packages.len()) };
        assert_eq!((&*package.name, &*package.folder), ("mstr-a", "crates/mstr-a"));
        assert_eq!((package.says("license"), package.says("readme")), ("MIT", ""));
        assert_eq!((package.lists("keywords"), package.features()), (vec!["x"], vec!["b"]));
        assert_eq!(package.docs_rs()["all-features"], true);
    }

    #[test]
    fn metadata_that_cannot_be_read_is_an_error() {
        assert!(read(&Value::Null, Path::new("/w")).is_err());
        assert!(read(&json!({ "packages": [] }), Path::new("/w")).is_err());
        let outside = json!({ "packages": [{ "name": "a", "manifest_path": "/x/Cargo.toml" }] });
        assert!(read(&outside, Path::new("/w")).is_err());
    }
}
