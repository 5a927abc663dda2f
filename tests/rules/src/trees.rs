//! Which crates may stand in whose dependency tree.
//!
//! The session layer is used with any HTTP stack, so it must not bring one, nor TLS, nor a
//! runtime. Every package in its tree has a reason in `core-dependencies.txt`.

use std::collections::{BTreeMap, BTreeSet};

use crate::command::{Outcome, cargo, output, read};
use crate::packages::packages;

/// How many packages the tree of `mstr-core` may have with every feature, itself included.
const LIMIT: usize = 48;
const REASONS: &str = "tests/rules/core-dependencies.txt";

/// HTTP stacks, TLS libraries and runtimes.
const STACKS: [&str; 21] = [
    "async-io",
    "async-std",
    "aws-lc-rs",
    "aws-lc-sys",
    "curl",
    "curl-sys",
    "h2",
    "hyper",
    "hyper-rustls",
    "hyper-util",
    "isahc",
    "mio",
    "native-tls",
    "openssl",
    "openssl-sys",
    "reqwest",
    "ring",
    "rustls",
    "smol",
    "tokio",
    "ureq",
];

/// What stands in the tree of nothing that is published.
const EXAMPLES: &[&str] = &["mstr-stacks", "reqwest", "ureq"];
const EXAMPLE: &str = "it is there as an example";
const EVERYTHING: &str = "--all-features --edges normal,build,dev";

/// Package, options of `cargo tree`, what must not stand in the tree, and why.
type Absence<'a> = (&'a str, &'a str, &'a [&'a str], &'a str);

const ABSENT: &[Absence<'static>] = &[
    ("mstr-core", "--all-features", &STACKS, "it is used with any HTTP stack"),
    ("mstr-core", "--all-features", &["futures-executor"], "the task that awaits drives"),
    (
        "mstr-core",
        "--edges normal,build,dev",
        &["mstr-fake", "mstr-hyper", "mstr-isahc"],
        "tests live in tests/",
    ),
    (
        "mstr-isahc",
        "--features dangerous,webpki-roots",
        &["hyper", "mstr-fake", "mstr-hyper", "rustls", "tokio"],
        "it exists for programs that want none of them",
    ),
    ("mstr-hyper", "--all-features", &["mstr-isahc"], "transports do not see each other"),
    ("mstr-hyper", "--all-features", &["mstr-fake"], "users must not build the test server"),
    (
        "mstr-hyper",
        "--no-default-features --features rustls-ring,platform-roots",
        &["aws-lc-rs", "aws-lc-sys"],
        "ring was chosen instead",
    ),
    (
        "mstr-hyper",
        "",
        &["ring", "native-tls", "openssl-sys"],
        "aws-lc-rs is the default and the only provider",
    ),
    ("mstr-sdk", "--no-default-features", &STACKS, "without features the facade has no transport"),
    ("mstr-sdk", "", &["mstr-fake"], "users must not build the test server"),
    (
        "mstr-sdk",
        "--edges normal,build,dev",
        &["curl-sys", "openssl-sys"],
        "the quickstart needs a C compiler and nothing else",
    ),
    ("mstr-fake", "", &STACKS, "in memory it needs no socket"),
];

pub(crate) fn check() -> Outcome {
    let mut complaints = Vec::new();
    let published = packages()?;
    let everywhere =
        published.iter().map(|package| (&*package.name, EVERYTHING, EXAMPLES, EXAMPLE));
    let everywhere: Vec<Absence<'_>> = everywhere.collect();
    for (package, options, absent, why) in ABSENT.iter().chain(&everywhere) {
        let packages = tree(package, options)?;
        for name in absent.iter().filter(|name| packages.contains(**name)) {
            let how = if options.is_empty() { "default features" } else { options };
            complaints.push(format!("{name} stands in the tree of {package} ({how}): {why}"));
        }
    }
    let packages = tree("mstr-core", "--all-features")?;
    complaints.extend(unreasonable(&packages, &read(REASONS)?));
    complaints.extend(too_many(packages.len()));
    if complaints.is_empty() {
        println!("    mstr-core: {} packages, each with a reason", packages.len());
        Ok(())
    } else {
        Err(complaints.join("\n"))
    }
}

fn tree(package: &str, options: &str) -> Outcome<BTreeSet<String>> {
    let edges = if options.contains("--edges") { "" } else { "--edges normal,build" };
    let words =
        format!("tree --locked --package {package} --prefix none --format {{p}} {edges} {options}");
    let words: Vec<&str> = words.split_whitespace().collect();
    let text = output(&mut cargo(&words))?;
    let names = text.lines().filter_map(|line| line.split_whitespace().next());
    Ok(names.map(str::to_owned).collect())
}

fn too_many(count: usize) -> Option<String> {
    (count >= LIMIT)
        .then(|| format!("mstr-core has {count} packages in its tree, {LIMIT} are too many"))
}

/// Packages without a reason, and reasons without a package.
fn unreasonable(packages: &BTreeSet<String>, reasons: &str) -> Vec<String> {
    let lines = reasons.lines().filter(|line| !line.starts_with('#') && !line.trim().is_empty());
    let reasons: BTreeMap<&str, &str> = lines
        .map(|line| line.split_once(':').unwrap_or((line, "")))
        .map(|(name, reason)| (name.trim(), reason.trim()))
        .collect();
    let missing = packages
        .iter()
        .filter(|name| reasons.get(name.as_str()).is_none_or(|reason| reason.is_empty()))
        .map(|name| {
            format!("{name} is new in mstr-core's tree: give a reason for it in {REASONS}")
        });
    let idle = reasons
        .keys()
        .filter(|name| !packages.contains(**name))
        .map(|name| format!("{name} has a reason in {REASONS} but is not in the tree: remove it"));
    missing.chain(idle).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn packages(names: &[&str]) -> BTreeSet<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    #[test]
    fn a_package_without_a_reason_is_named() {
        let tree = packages(&["bytes", "tokio"]);
        let complaints = unreasonable(&tree, "# why\nbytes: buffers\n");
        assert_eq!(complaints.len(), 1);
        assert!(complaints[0].starts_with("tokio is new"), "{complaints:?}");
        assert_eq!(unreasonable(&tree, "bytes: buffers\ntokio:\n").len(), 1, "an empty reason");
    }

    #[test]
    fn a_reason_without_a_package_is_named() {
        let complaints = unreasonable(&packages(&["bytes"]), "bytes: buffers\nurl: addresses\n");
        assert!(complaints[0].starts_with("url has a reason"), "{complaints:?}");
        assert!(unreasonable(&packages(&["bytes"]), "bytes: buffers\n").is_empty());
    }

    #[test]
    fn the_number_of_packages_is_limited() {
        assert!(too_many(LIMIT - 1).is_none());
        assert!(too_many(LIMIT).is_some());
    }
}
