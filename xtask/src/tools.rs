//! Programs that steps need, installed at a pinned version where they are absent.

use std::process::Command;

use crate::command::{Outcome, cargo, run};

/// A program from the package registry.
#[derive(Debug)]
pub(crate) struct Tool {
    /// Of the package.
    pub(crate) name: &'static str,
    pub(crate) version: &'static str,
    /// What asks it for its version.
    probe: &'static [&'static str],
    /// The commands that need it.
    pub(crate) needed_by: &'static str,
}

pub(crate) const DENY: Tool = Tool {
    name: "cargo-deny",
    version: "0.20.2",
    probe: &["cargo-deny", "--version"],
    needed_by: "ci, deny",
};
pub(crate) const EXTERNAL_TYPES: Tool = Tool {
    name: "cargo-check-external-types",
    version: "0.5.0",
    // It does not tell.
    probe: &["cargo-check-external-types", "check-external-types", "--help"],
    needed_by: "ci, external-types",
};
pub(crate) const HACK: Tool = Tool {
    name: "cargo-hack",
    version: "0.6.46",
    probe: &["cargo-hack", "hack", "--version"],
    needed_by: "powerset",
};
pub(crate) const HTTP_REGISTRY: Tool = Tool {
    name: "cargo-http-registry",
    version: "0.1.8",
    probe: &["cargo-http-registry", "--version"],
    needed_by: "release rehearse",
};
pub(crate) const MACHETE: Tool = Tool {
    name: "cargo-machete",
    version: "0.9.2",
    probe: &["cargo-machete", "--version"],
    needed_by: "ci, unused",
};
pub(crate) const NEXTEST: Tool = Tool {
    name: "cargo-nextest",
    version: "0.9.143",
    probe: &["cargo-nextest", "nextest", "--version"],
    needed_by: "ci, old-http",
};
pub(crate) const SEMVER: Tool = Tool {
    name: "cargo-semver-checks",
    version: "0.51.0",
    probe: &["cargo-semver-checks", "semver-checks", "--version"],
    needed_by: "semver, release prepare, release rehearse",
};
pub(crate) const TYPOS: Tool = Tool {
    name: "typos-cli",
    version: "1.52.0",
    probe: &["typos", "--version"],
    needed_by: "ci, spelling",
};

pub(crate) const ALL: [&Tool; 8] =
    [&DENY, &EXTERNAL_TYPES, &HACK, &HTTP_REGISTRY, &MACHETE, &NEXTEST, &SEMVER, &TYPOS];

impl Tool {
    /// Installs it unless some version of it is there.
    pub(crate) fn provide(&self) -> Outcome {
        if self.present().is_some() {
            return Ok(());
        }
        let Self { name, version, .. } = self;
        println!("    {name} is absent: installing {version}, which takes minutes, once");
        run(&mut cargo(&format!("install --locked {name} --version {version}")))
    }

    /// What it says of its version; empty if it does not say.
    pub(crate) fn present(&self) -> Option<String> {
        let (program, words) = self.probe.split_first()?;
        // Some answer with the right words and the wrong status.
        let answer = Command::new(program).args(words).output().ok()?;
        Some(first_number(&answer.stdout))
    }
}

/// What a program says of its version; empty if it does not say.
pub(crate) fn version(probe: &[&str]) -> Option<String> {
    let (program, words) = probe.split_first()?;
    let answer = Command::new(program).args(words).output().ok()?;
    answer.status.success().then(|| first_number(&answer.stdout))
}

/// The first word that begins with a digit.
pub(crate) fn first_number(answer: &[u8]) -> String {
    let text = String::from_utf8_lossy(answer);
    let mut words = text.lines().next().unwrap_or_default().split_whitespace();
    let number = words.find(|word| word.starts_with(|letter: char| letter.is_ascii_digit()));
    let end = |letter: char| letter != '.' && !letter.is_ascii_digit();
    number.unwrap_or_default().split(end).next().unwrap_or_default().to_owned()
}

/// How to get what libcurl's TLS is built with.
pub(crate) const OPENSSL: &str = "apt-get install libssl-dev pkg-config    (Debian, Ubuntu)\n    \
                                  dnf install openssl-devel pkgconf        (Fedora, Red Hat)";

/// Says what is missing where libcurl's TLS cannot be built.
///
/// The compiler's own message, a page of it, names neither the package nor the way out.
pub(crate) fn openssl() -> Outcome {
    if !cfg!(target_os = "linux") {
        return Ok(());
    }
    let found = Command::new("pkg-config").args(["--exists", "openssl"]).status();
    if found.is_ok_and(|status| status.success()) {
        return Ok(());
    }
    Err(format!("mstr-isahc needs the headers of OpenSSL and pkg-config to build:\n    {OPENSSL}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_is_found_in_what_programs_say() {
        assert_eq!(first_number(b"git version 2.47.3\n"), "2.47.3");
        assert_eq!(first_number(b"rustc 1.95.0 (59807616e 2026-04-14)\n"), "1.95.0");
        assert_eq!(first_number(b"cc (Debian 12.2.0-14) 12.2.0\n"), "12.2.0");
        assert_eq!(first_number(b"Usage: x\n1\n"), "");
    }
}
