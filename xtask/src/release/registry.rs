//! The content of a registry, as cargo sees it: with its configuration, credentials and cache.

use semver::Version;

use crate::command::{Outcome, cargo};

/// Cargo's name of the public registry.
const PUBLIC: &str = "crates-io";

/// The public registry's entry for a name; `None` if the name is free.
pub(super) fn about(package: &str) -> Outcome<Option<String>> {
    ask(package, PUBLIC)
}

/// Whether this version of a package is there.
pub(super) fn has(package: &str, version: &Version, registry: Option<&str>) -> Outcome<bool> {
    Ok(ask(&format!("{package}@{version}"), registry.unwrap_or(PUBLIC))?.is_some())
}

fn ask(package: &str, registry: &str) -> Outcome<Option<String>> {
    // With the registry named, cargo asks it and not the workspace.
    let mut command = cargo(&format!("info {package} --registry {registry}"));
    let asked = command.output().map_err(|error| format!("cargo info: {error}"))?;
    if asked.status.success() {
        return Ok(Some(String::from_utf8_lossy(&asked.stdout).into_owned()));
    }
    let errors = String::from_utf8_lossy(&asked.stderr);
    if is_absence(&errors, package) {
        return Ok(None);
    }
    Err(format!("whether {package} is published cannot be told:\n{errors}"))
}

fn is_absence(errors: &str, package: &str) -> bool {
    errors.contains(&format!("could not find `{package}"))
}

#[cfg(test)]
mod tests {
    use super::is_absence;

    #[test]
    fn a_registry_that_cannot_be_asked_is_not_one_without_the_package() {
        assert!(is_absence("error: could not find `a@0.1.0` in registry `r`", "a"));
        assert!(!is_absence("error: registry index was not found in any configuration: `r`", "a"));
        assert!(!is_absence("error: failed to query replaced source\ncould not connect", "a"));
    }
}
