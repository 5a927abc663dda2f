//! What the workspace's packages have to have beside their own folder.

use super::Read;
use crate::members::MEMBERS;
use crate::packages::Package;

/// Those of the published packages that are no transports.
const NO_TRANSPORTS: [&str; 3] = ["mstr", "mstr-core", "mstr-fake"];

/// `packages` are the published ones, `all` is the names of all of the workspace.
pub(super) fn check(packages: &[Package], all: &[String], read: Read<'_>) -> Vec<String> {
    let listed: Vec<(String, bool)> =
        MEMBERS.iter().map(|member| (member.to_string(), member.published)).collect();
    let mut complaints = members(packages, all, &listed);
    for package in packages {
        complaints.extend(places(&package.name, read));
    }
    complaints
}

/// The list in `xtask/src/members.rs` says what the manifests say, in the order of dependencies.
fn members(packages: &[Package], all: &[String], listed: &[(String, bool)]) -> Vec<String> {
    let mut complaints = Vec::new();
    let place = |name: &str| listed.iter().position(|(listed, _)| listed == name);
    for name in all {
        let published = packages.iter().any(|package| package.name == *name);
        match place(name).and_then(|place| listed.get(place)) {
            None => complaints.push(format!("{name} is missing")),
            Some((_, listed)) if *listed != published => {
                complaints.push(format!("whether {name} is published is not what it says itself"));
            }
            Some(_) => {}
        }
    }
    let gone = listed.iter().filter(|(name, _)| !all.contains(name));
    complaints.extend(gone.map(|(name, _)| format!("{name} is no package of the workspace")));
    for package in packages {
        for needed in package.needs() {
            if let (Some(own), Some(needs)) = (place(&package.name), place(needed))
                && needs > own
            {
                complaints.push(format!("{} comes before {needed}, which it needs", package.name));
            }
        }
    }
    complaints.into_iter().map(|what| format!("xtask/src/members.rs: {what}")).collect()
}

/// Where else a published package has to be named.
fn places(name: &str, read: Read<'_>) -> Vec<String> {
    let types = format!("xtask/external-types/{name}.toml");
    let mut complaints = Vec::new();
    if read(&types).is_none() {
        complaints.push(format!("{types} is missing: it says whose types {name} may show"));
    }
    let mut named = vec![
        ("README.md", format!("[`{name}`](crates/{name})"), "the table of crates"),
        ("ARCHITECTURE.md", name.to_owned(), "the map"),
    ];
    if !NO_TRANSPORTS.contains(&name) {
        named.extend([
            ("crates/mstr/Cargo.toml", format!("\"dep:{name}\""), "a feature of the facade"),
            ("tests/src/backends.rs", format!("\"{name}\""), "a backend of the conformance suite"),
            ("docs/transports.md", name.to_owned(), "what it can do"),
        ]);
    }
    let absent = named
        .iter()
        .filter(|(path, words, _)| read(path).is_none_or(|text| !text.contains(words.as_str())));
    complaints.extend(absent.map(|(path, words, what)| {
        format!("{path}: does not name {name}: {what} ({words}) is missing")
    }));
    complaints
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn listed(names: &[&str]) -> Vec<(String, bool)> {
        names.iter().map(|name| ((*name).to_owned(), *name != "xtask")).collect()
    }

    #[test]
    fn a_list_that_is_not_what_the_manifests_say_is_found() {
        let dependencies = json!({"dependencies": [
            {"name": "a", "path": "/a", "kind": null},
            {"name": "c", "path": "/c", "kind": "dev"},
        ]});
        let packages = [
            Package::new("a", json!({})),
            Package::new("b", dependencies),
            Package::new("c", json!({})),
        ];
        let all = ["a", "b", "c", "xtask"].map(str::to_owned);
        let found = |names: &[&str]| {
            let complaints = members(&packages, &all, &listed(names)).into_iter();
            let texts = complaints.map(|text| text.replace("xtask/src/members.rs: ", ""));
            texts.collect::<Vec<String>>()
        };
        assert!(found(&["a", "b", "c", "xtask"]).is_empty());
        assert_eq!(found(&["a", "b", "xtask"]), ["c is missing"]);
        assert_eq!(found(&["a", "b", "c", "d", "xtask"]), ["d is no package of the workspace"]);
        assert_eq!(found(&["b", "a", "c", "xtask"]), ["b comes before a, which it needs"]);
        let secret = members(&packages[..2], &all, &listed(&["a", "b", "c", "xtask"]));
        assert!(secret.len() == 1 && secret[0].contains("whether c is published"), "{secret:?}");
    }

    #[test]
    fn a_published_package_is_named_wherever_that_is_needed() {
        let nowhere = places("mstr-new", &|_| Some(""));
        assert_eq!(nowhere.len(), 5, "{nowhere:?}");
        let text = "[`mstr-new`](crates/mstr-new) \"dep:mstr-new\" \"mstr-new\"";
        assert!(places("mstr-new", &|_| Some(text)).is_empty());
        let types = |path: &str| (!path.ends_with("mstr-new.toml")).then_some(text);
        assert!(places("mstr-new", &types)[0].starts_with("xtask/external-types/mstr-new.toml is"));
        assert!(places("mstr-core", &|_| Some("[`mstr-core`](crates/mstr-core)")).is_empty());
    }
}
