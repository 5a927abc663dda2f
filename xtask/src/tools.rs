//! Programs that steps need, installed at a pinned version where they are absent.

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
