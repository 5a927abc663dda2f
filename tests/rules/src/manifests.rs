//! What a registry and docs.rs are told about each published package.

use crate::packages::Package;

pub(crate) fn check(package: &Package) -> Vec<String> {
    let mut complaints = fields(package);
    complaints.extend(docs_rs(package));
    complaints
        .into_iter()
        .map(|complaint| format!("{}/Cargo.toml: {complaint}", package.folder))
        .collect()
}

fn fields(package: &Package) -> Vec<String> {
    let texts = ["description", "documentation", "license", "readme", "rust_version"];
    let lists = ["authors", "categories", "keywords"];
    let missing = texts.iter().filter(|field| package.says(field).trim().is_empty());
    let missing = missing.chain(lists.iter().filter(|field| package.lists(field).is_empty()));
    let mut complaints: Vec<String> =
        missing.map(|field| format!("{} is missing", field.replace('_', "-"))).collect();
    // From development dependencies cargo strips them without a word.
    let unversioned = package.unversioned();
    complaints.extend(unversioned.iter().map(|name| format!("{name} has a path and no version")));
    let documentation = format!("https://docs.rs/{}", package.name);
    if !["", &documentation].contains(&package.says("documentation")) {
        complaints.push(format!("documentation is not {documentation}"));
    }
    // What registries refuse, and say so only when a version is published.
    for field in ["categories", "keywords"] {
        if package.lists(field).len() > 5 {
            complaints.push(format!("more than five {field}"));
        }
    }
    let long = package.lists("keywords").into_iter().filter(|keyword| keyword.len() > 20);
    complaints.extend(long.map(|keyword| format!("the keyword {keyword} is too long")));
    complaints
}

/// Features that exclude others, of which there can be one only.
const EXCLUSIVE: [&str; 4] =
    ["isahc-native-tls-static", "isahc-rustls-tls", "native-tls-static", "rustls-tls"];

/// docs.rs shows what is behind features, and is asked for features that there are: for all that go
/// together, because the tests take the same.
fn docs_rs(package: &Package) -> Vec<String> {
    let settings = package.docs_rs();
    if settings["all-features"] == true || package.features().is_empty() {
        return Vec::new();
    }
    let Some(named) = settings["features"].as_array() else {
        return vec!["[package.metadata.docs.rs] names no features".into()];
    };
    let features = package.features();
    let unknown = named.iter().filter_map(|name| name.as_str());
    let unknown = unknown.filter(|name| !features.contains(name));
    let unknown =
        unknown.map(|name| format!("docs.rs is asked for the feature {name}, which is none"));
    let defaults = package.default_features();
    let known = |name: &&str| {
        *name == "default"
            || defaults.contains(name)
            || EXCLUSIVE.contains(name)
            || named.iter().any(|named| named == name)
    };
    let forgotten = features.iter().filter(|name| !known(name));
    let forgotten = forgotten
        .map(|name| format!("neither docs.rs nor the tests are asked for the feature {name}"));
    unknown.chain(forgotten).collect()
}

/// Complains about files that `cargo package --list` shows and a build does not need, and
/// about what is missing there.
pub(crate) fn contents(package: &Package, list: &str) -> Vec<String> {
    let files: Vec<String> = list.lines().map(|path| path.replace('\\', "/")).collect();
    let made_by_cargo = [".cargo_vcs_info.json", "Cargo.lock", "Cargo.toml", "Cargo.toml.orig"];
    let texts = ["LICENSE-APACHE", "LICENSE-MIT", "README.md"];
    // Code, and what it includes.
    let is_source = |path: &str| [".rs", ".json"].iter().any(|ending| path.ends_with(ending));
    let is_wanted = |path: &&String| {
        let folder = path.split_once('/').map(|(folder, _)| folder);
        match folder {
            Some(folder) => ["examples", "src", "tests"].contains(&folder) && is_source(path),
            None => made_by_cargo.contains(&path.as_str()) || texts.contains(&path.as_str()),
        }
    };
    let superfluous = files.iter().filter(|path| !is_wanted(path));
    let superfluous =
        superfluous.map(|path| format!("{}/{path}: would be published", package.folder));
    let missing = texts.iter().filter(|text| !files.iter().any(|path| path == *text));
    let missing = missing.map(|text| {
        format!("{}/Cargo.toml: the package would not hold {text}: see `include`", package.folder)
    });
    superfluous.chain(missing).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn complete() -> Value {
        json!({
            "description": "d", "documentation": "https://docs.rs/a", "license": "MIT",
            "readme": "README.md", "rust_version": "1.88", "authors": ["x"],
            "categories": ["c"], "keywords": ["k"], "features": {"f": []},
            "metadata": {"docs": {"rs": {"all-features": true}}}
        })
    }

    fn with(field: &str, value: Value) -> Vec<String> {
        let mut manifest = complete();
        manifest[field] = value;
        check(&Package::new("a", manifest))
    }

    #[test]
    fn a_missing_field_is_named() {
        assert!(check(&Package::new("a", complete())).is_empty());
        for field in [
            "description",
            "documentation",
            "license",
            "readme",
            "authors",
            "categories",
            "keywords",
        ] {
            assert_eq!(
                with(field, Value::Null),
                [format!("crates/a/Cargo.toml: {field} is missing")]
            );
        }
        assert_eq!(
            with("rust_version", Value::Null),
            ["crates/a/Cargo.toml: rust-version is missing"]
        );
        assert_eq!(with("keywords", json!([])).len(), 1);
    }

    #[test]
    fn metadata_that_a_registry_refuses_is_found() {
        assert!(
            with("documentation", json!("https://docs.rs/b"))[0]
                .contains("is not https://docs.rs/a")
        );
        assert_eq!(with("keywords", json!(["a", "b", "c", "d", "e", "f"])).len(), 1);
        assert_eq!(with("keywords", json!(["a-keyword-that-is-too-long"])).len(), 1);
    }

    #[test]
    fn a_path_without_a_version_is_found() {
        let dependencies = json!([
            { "name": "b", "path": "/b", "req": "*" },
            { "name": "c", "path": "/c", "req": "^0.1" },
            { "name": "d", "path": null, "req": "*" },
        ]);
        assert_eq!(
            with("dependencies", dependencies),
            ["crates/a/Cargo.toml: b has a path and no version"]
        );
    }

    #[test]
    fn docs_rs_is_asked_for_features_that_there_are() {
        let features =
            |names: Value| with("metadata", json!({"docs": {"rs": {"features": names}}}));
        assert!(features(json!(["f"])).is_empty());
        assert!(features(json!(["f", "g"]))[0].contains("the feature g"));
        assert!(features(json!([]))[0].ends_with("asked for the feature f"));
        assert!(with("metadata", Value::Null)[0].contains("names no features"));
        assert!(with("features", json!({})).is_empty());
    }

    #[test]
    fn a_package_holds_its_sources_and_texts_and_nothing_else() {
        let package = Package::new("a", json!({}));
        let list = "Cargo.lock\nCargo.toml\nLICENSE-APACHE\nLICENSE-MIT\nREADME.md\nsrc/lib.rs\n";
        assert!(contents(&package, list).is_empty());
        let more = format!("{list}notes.md\nscratch/x.rs\ntests\\a.rs\ntests/key.pem\nsrc/.env\n");
        let found = contents(&package, &more);
        let stray = ["notes.md", "scratch/x.rs", "tests/key.pem", "src/.env"];
        assert_eq!(found, stray.map(|path| format!("crates/a/{path}: would be published")));
        let less = contents(&package, "Cargo.toml\nsrc/lib.rs\n");
        assert!(less.len() == 3 && less[0].contains("LICENSE-APACHE"), "{less:?}");
    }
}
