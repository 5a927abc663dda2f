//! Spelling, in code and documents; `typos.toml` has the exceptions.

use std::process::Command;

use crate::command::{Outcome, root, run};

pub(crate) fn check() -> Outcome {
    run(Command::new("typos").current_dir(root()).args(["--format", "brief"]))
}
