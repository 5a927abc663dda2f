//! Dependencies that nothing uses.

use std::process::Command;

use crate::command::{Outcome, root, run};
use crate::tools::MACHETE;

pub(crate) fn check() -> Outcome {
    MACHETE.provide()?;
    // As `cargo machete` it would take its own name for a folder.
    run(Command::new("cargo-machete").current_dir(root()).args(["crates", "tests", "xtask"]))
}
