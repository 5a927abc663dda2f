//! The packages of the workspace and what "all features" means for each, by their manifests.

use std::fmt;
use std::path::PathBuf;

use serde_json::Value;

use crate::command::{Outcome, metadata, root};
use crate::tools::Tls;

/// A package of the workspace.
pub(crate) struct Member {
    name: String,
    /// Where its manifest is.
    pub(crate) manifest: PathBuf,
    /// What it says it is.
    pub(crate) description: String,
    /// Whether it goes to the registry.
    pub(crate) published: bool,
    /// The features that can be enabled together.
    features: Vec<String>,
    /// How many others of the workspace its library needs.
    needs: usize,
}

/// What stands for one TLS library of isahc, and what for the other: it refuses to build with both.
const TLS: [(&str, &str); 3] = [
    ("native-tls", "rustls-tls"),
    ("isahc", "isahc-rustls-tls"),
    ("isahc-native-tls", "isahc-rustls-tls"),
];

/// All of them.
pub(crate) fn members() -> Outcome<Vec<Member>> {
    let metadata = metadata(&root())?;
    Ok(metadata["packages"].as_array().into_iter().flatten().map(Member::read).collect())
}

/// Those that go to the registry, each after those it depends on.
pub(crate) fn published() -> Outcome<Vec<Member>> {
    let mut published = members()?;
    published.retain(|member| member.published);
    published.sort_by_key(|member| member.needs);
    Ok(published)
}

/// The package of this name, and the options of cargo that give it what can be enabled together on
/// this machine.
pub(crate) fn package(name: &str) -> Outcome<String> {
    let members = members()?;
    let member = members.iter().find(|member| member.name == name);
    let member = member.ok_or_else(|| format!("the workspace has no package {name}"))?;
    Ok(format!("--package {member} {}", member.everything(Tls::here())))
}

/// The options of cargo that enable, in these packages at once, what can be enabled together.
pub(crate) fn everything(members: &[Member], tls: Tls) -> String {
    let features = members.iter().flat_map(|member| {
        let features = member.with(tls).into_iter();
        features.map(move |feature| format!("{member}/{feature}"))
    });
    options(features.collect())
}

fn options(features: Vec<String>) -> String {
    if features.is_empty() {
        return String::new();
    }
    format!("--no-default-features --features {}", features.join(","))
}

impl Member {
    /// What docs.rs shows can be enabled together; a package that is not published says so by its
    /// default features.
    fn read(manifest: &Value) -> Self {
        let names = |list: &Value| {
            let names = list.as_array().into_iter().flatten().filter_map(Value::as_str);
            names.map(str::to_owned).collect::<Vec<String>>()
        };
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let docs = &manifest["metadata"]["docs"]["rs"];
        let mut features = names(&manifest["features"]["default"]);
        if docs["all-features"] == true {
            let all = manifest["features"].as_object().into_iter().flatten();
            features = all.map(|(name, _)| name.clone()).filter(|name| name != "default").collect();
        }
        features.extend(names(&docs["features"]));
        Self {
            name: text(&manifest["name"]),
            manifest: text(&manifest["manifest_path"]).into(),
            description: text(&manifest["description"]),
            // `publish = false` is an empty list of registries.
            published: manifest["publish"] != Value::Array(Vec::new()),
            features,
            needs: manifest["dependencies"]
                .as_array()
                .into_iter()
                .flatten()
                .filter(|needed| !needed["path"].is_null() && needed["kind"] != "dev")
                .count(),
        }
    }

    /// Where its manifest is, relative to the root, as git writes it. The folder need not have the
    /// package's name.
    pub(crate) fn path(&self) -> String {
        let path = self.manifest.strip_prefix(root()).unwrap_or(&self.manifest);
        path.to_string_lossy().replace('\\', "/")
    }

    /// The options of cargo that enable what can be enabled together in this package.
    pub(crate) fn everything(&self, tls: Tls) -> String {
        options(self.with(tls))
    }

    fn with(&self, tls: Tls) -> Vec<String> {
        let other = |name: &String| TLS.iter().find(|(native, _)| native == name);
        let features = self.features.iter().map(|name| match (tls, other(name)) {
            (Tls::Rustls, Some((_, rustls))) => (*rustls).to_owned(),
            _ => name.clone(),
        });
        features.collect()
    }
}

impl fmt::Display for Member {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::command::read;

    #[test]
    fn manifest_of_a_package_is_found_whatever_its_folder_is_called() {
        for member in published().expect("the workspace") {
            let manifest = read(&member.path()).expect("its path");
            assert!(manifest.contains(&format!("name = \"{member}\"\n")), "{member}");
        }
    }

    #[test]
    fn what_can_be_enabled_together_stands_in_the_manifest() {
        let all = json!({ "name": "a", "publish": null, "features": { "x": [], "default": [] },
            "metadata": { "docs": { "rs": { "all-features": true } } } });
        let some = json!({ "name": "b", "publish": null, "features": { "default": ["native-tls"],
            "native-tls": [], "rustls-tls": [], "x": [] },
            "metadata": { "docs": { "rs": { "features": ["x"] } } } });
        let own = json!({ "name": "c", "publish": [], "features": {} });
        let members = [all, some, own].map(|manifest| Member::read(&manifest));
        let published: Vec<bool> = members.iter().map(|member| member.published).collect();
        assert_eq!(published, [true, true, false]);
        let own = members.each_ref().map(|member| member.everything(Tls::Native));
        let start = "--no-default-features --features";
        assert_eq!(own, [format!("{start} x"), format!("{start} native-tls,x"), String::new()]);
        let together = everything(&members, Tls::Rustls);
        assert_eq!(together, format!("{start} a/x,b/rustls-tls,b/x"));
    }
}
