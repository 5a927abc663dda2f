//! The minimum supported Rust version, as far as this machine can show it.

use crate::command::{Outcome, cargo, output, run};
use crate::members::published;
use crate::tools::Tls;

pub(crate) fn check() -> Outcome {
    let declared = declared()?;
    // 1. No dependency asks for more. The resolver prefers such versions; this says they are used.
    let text = output(&mut cargo("metadata --locked --format-version 1 --all-features"))?;
    let newer = newer_than(&text, &declared)?;
    if !newer.is_empty() {
        return Err(format!("these ask for more than Rust {declared}: {}", newer.join(", ")));
    }
    println!("    no dependency asks for more than Rust {declared}");
    // 2. Nothing of the standard library that is younger.
    let (published, tls) = (published()?, Tls::here());
    for package in &published {
        let features = package.everything(tls);
        run(&mut cargo(&format!(
            "clippy --locked --lib {features} --package {package} -- -D clippy::incompatible_msrv"
        )))?;
    }
    // 3. The real thing, where rustup has it.
    let toolchains = std::process::Command::new("rustup").args(["toolchain", "list"]).output();
    let toolchains = toolchains.map(|output| String::from_utf8_lossy(&output.stdout).into_owned());
    if !toolchains.unwrap_or_default().lines().any(|line| line.starts_with(&declared)) {
        println!("    a build with Rust {declared} is SKIPPED: rustup has no such toolchain here");
        return Ok(());
    }
    for package in published {
        let mut command = std::process::Command::new("rustup");
        command.current_dir(crate::command::root());
        command.args(["run", &declared, "cargo", "check", "--locked", "--lib"]);
        command.args(package.everything(tls).split(' '));
        run(command.args(["--package", &package.to_string()]))?;
    }
    Ok(())
}

pub(crate) fn declared() -> Outcome<String> {
    let manifest = crate::command::root().join("Cargo.toml");
    let text = std::fs::read_to_string(manifest).map_err(|error| error.to_string())?;
    let line = text.lines().find_map(|line| line.strip_prefix("rust-version = \""));
    let version = line.and_then(|rest| rest.strip_suffix('"'));
    version.map(str::to_owned).ok_or_else(|| "Cargo.toml declares no rust-version".into())
}

/// The packages in the output of `cargo metadata` that declare a younger version.
fn newer_than(metadata: &str, limit: &str) -> Outcome<Vec<String>> {
    let metadata: serde_json::Value =
        serde_json::from_str(metadata).map_err(|error| format!("cargo metadata: {error}"))?;
    let limit = parts(limit);
    let packages = metadata["packages"].as_array().into_iter().flatten();
    let newer = packages.filter_map(|package| {
        let version = package["rust_version"].as_str()?;
        let name = package["name"].as_str().unwrap_or_default();
        (parts(version) > limit).then(|| format!("{name} ({version})"))
    });
    Ok(newer.collect())
}

pub(crate) fn parts(version: &str) -> Vec<u32> {
    let mut parts: Vec<u32> =
        version.split('.').map(|part| part.parse().unwrap_or_default()).collect();
    parts.resize(3, 0);
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dependency_that_asks_for_more_is_named() {
        let metadata = r#"{"packages":[
{"name":"old","version":"1.0.0","rust_version":"1.56"},
{"name":"none","version":"1.0.0","rust_version":null},
{"name":"new","version":"1.0.0","rust_version":"1.90.1"}]}"#;
        assert_eq!(newer_than(metadata, "1.88").unwrap(), ["new (1.90.1)"]);
        assert!(newer_than(metadata, "1.91").unwrap().is_empty());
        assert!(newer_than("", "1.91").is_err());
    }

    #[test]
    fn versions_are_compared_by_number() {
        assert!(parts("1.100") > parts("1.88.1"));
        assert_eq!(parts("1.88"), parts("1.88.0"));
    }
}
