//! The packages of the workspace and what "all features" means for each.

use std::fmt;

/// A package of the workspace.
#[derive(Clone, Copy)]
pub(crate) struct Member {
    name: &'static str,
    /// Whether it goes to the registry.
    pub(crate) published: bool,
    /// The features that can be enabled together and are not enabled by default, where that is
    /// not simply all of them.
    together: Option<&'static [&'static str]>,
}

const fn member(name: &'static str, published: bool) -> Member {
    Member { name, published, together: None }
}

/// In the order in which they depend on each other.
pub(crate) const MEMBERS: &[Member] = &[
    member("mstr-core", true),
    member("mstr-fake", true),
    member("mstr-hyper", true),
    // isahc refuses to build with two TLS libraries, so its features are not all for one build.
    Member { name: "mstr-isahc", published: true, together: Some(&["dangerous", "webpki-roots"]) },
    Member {
        name: "mstr",
        published: true,
        together: Some(&["dangerous", "fake", "isahc", "rustls-ring", "tower", "webpki-roots"]),
    },
    Member { name: "mstr-tests", published: false, together: Some(&["isahc-native-tls"]) },
    member("mstr-stacks", false),
    member("xtask", false),
];

/// Those that go to the registry.
pub(crate) fn published() -> impl Iterator<Item = &'static Member> {
    MEMBERS.iter().filter(|member| member.published)
}

impl Member {
    /// The options of cargo that enable what can be enabled together in this package.
    pub(crate) fn everything(&self) -> String {
        match self.together {
            None => "--all-features".to_owned(),
            Some(features) => format!("--features {}", features.join(",")),
        }
    }
}

impl fmt::Display for Member {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)
    }
}

/// The same for the whole workspace at once.
pub(crate) fn everything() -> String {
    together(|_| true)
}

/// The same for what is published.
pub(crate) fn published_features() -> String {
    together(|member| member.published)
}

fn together(wanted: impl Fn(&Member) -> bool) -> String {
    // Cargo has no "all features but these", so the packages that take all of theirs are spelled
    // out as well.
    let others = [
        "mstr-core/dangerous",
        "mstr-core/tower",
        "mstr-fake/loopback",
        "mstr-fake/tokio",
        "mstr-hyper/dangerous",
        "mstr-hyper/rustls-ring",
        "mstr-hyper/webpki-roots",
    ];
    let named = MEMBERS.iter().filter(|member| wanted(member)).flat_map(|member| {
        let features = member.together.unwrap_or_default();
        features.iter().map(move |feature| format!("{member}/{feature}"))
    });
    let all: Vec<String> = named.chain(others.map(str::to_owned)).collect();
    format!("--features {}", all.join(","))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    /// Features that exclude each other.
    const EXCLUSIVE: [&str; 4] =
        ["isahc-native-tls-static", "isahc-rustls-tls", "native-tls-static", "rustls-tls"];

    #[test]
    fn no_feature_is_forgotten() {
        let enabled = everything();
        for member in MEMBERS.iter().filter(|member| member.published) {
            let path = crate::command::root().join(format!("crates/{member}/Cargo.toml"));
            let manifest = std::fs::read_to_string(path).unwrap();
            let section = manifest.split("[features]\n").nth(1).unwrap_or_default();
            let section = section.split("\n[").next().unwrap_or_default();
            let defaults: BTreeSet<&str> = section
                .lines()
                .find_map(|line| line.strip_prefix("default = "))
                .map(|list| list.split('"').collect())
                .unwrap_or_default();
            let names = section.lines().filter(|line| !line.starts_with('#'));
            for name in names.filter_map(|line| Some(line.split_once(" = ")?.0)) {
                let known = name == "default"
                    || defaults.contains(name)
                    || EXCLUSIVE.contains(&name)
                    || enabled.contains(&format!("{member}/{name}"));
                assert!(known, "{member}/{name} is in no run of the tests");
            }
        }
    }
}
