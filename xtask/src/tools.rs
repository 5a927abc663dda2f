//! Programs and headers that steps need, and what happens where they are absent.

use std::path::Path;
use std::process::Command;

use crate::command::{Outcome, cargo, run};

/// A program from the package registry.
#[derive(Debug)]
pub(crate) struct Tool {
    /// Of the package.
    pub(crate) name: &'static str,
    pub(crate) version: &'static str,
    /// The command that prints its version.
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
    needed_by: "external-types, release prepare",
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
pub(crate) const NEXTEST: Tool = Tool {
    name: "cargo-nextest",
    version: "0.9.143",
    probe: &["cargo-nextest", "nextest", "--version"],
    needed_by: "nothing; it shows the tests nicer",
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
    needed_by: "ci (spelling)",
};

pub(crate) const ALL: [&Tool; 7] =
    [&DENY, &EXTERNAL_TYPES, &HACK, &HTTP_REGISTRY, &NEXTEST, &SEMVER, &TYPOS];

impl Tool {
    /// Installs it unless some version of it is there.
    pub(crate) fn provide(&self) -> Outcome {
        if self.present().is_some() {
            return Ok(());
        }
        println!("    {} is absent: installing it, which takes minutes, once", self.name);
        run(&mut cargo(&self.install()))
    }

    /// The words for cargo that install it.
    pub(crate) fn install(&self) -> String {
        format!("install --locked {} --version {}", self.name, self.version)
    }

    /// Its version, as it prints it; empty if it does not.
    pub(crate) fn present(&self) -> Option<String> {
        let (program, words) = self.probe.split_first()?;
        // Some answer with the right words and the wrong status.
        let answer = Command::new(program).args(words).output().ok()?;
        Some(first_number(&answer.stdout))
    }
}

/// A program's version, as it prints it; empty if it does not.
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

/// How to get the gateways and proxies that `cargo xtask gateways` starts.
pub(crate) const GATEWAYS: &str = "apt-get install nginx haproxy apache2 squid tinyproxy";

/// Those of them that are here, in the path or where the administrator's programs are.
pub(crate) fn gateways() -> Vec<&'static str> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders = || std::env::split_paths(&path).chain(["/usr/sbin".into()]);
    ["nginx", "haproxy", "apache2", "squid", "tinyproxy"]
        .into_iter()
        .filter(|name| folders().any(|folder| folder.join(name).is_file()))
        .collect()
}

/// Which TLS library libcurl is built with here.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Tls {
    /// OpenSSL on Linux, what the system has elsewhere: what `mstr-isahc` takes by default.
    Native,
    /// rustls, which needs no headers.
    Rustls,
}

impl Tls {
    /// The first one where its headers are; says so where they are not.
    pub(crate) fn here() -> Self {
        if has_openssl() {
            return Self::Native;
        }
        println!("    OpenSSL's headers are absent: mstr-isahc has its rustls TLS here");
        Self::Rustls
    }
}

/// How to get what libcurl's TLS is built with.
pub(crate) const OPENSSL: &str = "apt-get install libssl-dev pkg-config    (Debian, Ubuntu)\n    \
                                  dnf install openssl-devel pkgconf        (Fedora, Red Hat)";

/// Fails where libcurl cannot be built with the system's TLS, for what a release needs.
///
/// The compiler's own message, a page of it, names neither the package nor the way out.
pub(crate) fn openssl() -> Outcome {
    if has_openssl() {
        return Ok(());
    }
    Err(format!("mstr-isahc needs the headers of OpenSSL and pkg-config to build:\n    {OPENSSL}"))
}

/// Whether OpenSSL's headers are where its build looks for them.
#[expect(clippy::disallowed_methods, reason = "these are the build's own variables")]
pub(crate) fn has_openssl() -> bool {
    if !cfg!(target_os = "linux") {
        return true;
    }
    if let Ok(folder) = std::env::var("OPENSSL_DIR") {
        return Path::new(&folder).join("include/openssl/opensslv.h").is_file();
    }
    let program = std::env::var("PKG_CONFIG").unwrap_or_else(|_| "pkg-config".into());
    let found = Command::new(program).args(["--exists", "openssl"]).status();
    found.is_ok_and(|status| status.success())
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
