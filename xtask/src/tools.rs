//! Programs that steps need, installed at a pinned version where they are absent.

use std::process::Command;

use crate::command::{Outcome, cargo, run};

/// A subcommand of cargo.
pub(crate) struct Tool {
    name: &'static str,
    version: &'static str,
}

pub(crate) const NEXTEST: Tool = Tool { name: "nextest", version: "0.9.143" };
pub(crate) const DENY: Tool = Tool { name: "deny", version: "0.20.2" };

impl Tool {
    /// Installs it unless some version of it is there.
    pub(crate) fn provide(&self) -> Outcome {
        let Self { name, version } = self;
        let present = cargo(&format!("{name} --version")).output();
        if present.is_ok_and(|output| output.status.success()) {
            return Ok(());
        }
        println!("    cargo-{name} is absent: installing {version}, which takes minutes, once");
        run(&mut cargo(&format!("install --locked cargo-{name} --version {version}")))
    }
}

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
    Err("mstr-isahc needs the headers of OpenSSL and pkg-config to build:\n    \
         apt-get install libssl-dev pkg-config    (Debian, Ubuntu)\n    \
         dnf install openssl-devel pkgconf        (Fedora, Red Hat)"
        .into())
}
