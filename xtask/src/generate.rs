//! Starts what writes the generated files: `tests/rules` what comes from other texts, tests what
//! only the code can tell.
//!
//! - `docs/session-machine.md` and `docs/call-machine.md`, from the machines;
//! - the table of login modes in `README.md`, from the modes;
//! - the table of capabilities in `docs/transports.md`, from the backends of the conformance suite.

use crate::command::{Outcome, cargo, rules, run};
use crate::members::package;

/// Writes the files that have changed.
pub(crate) fn write() -> Outcome {
    rules(&["generate"])?;
    let mut test = cargo(&format!(
        "test --locked {} --test machine --test conformance --test opening -- the_document",
        package("mstr-tests")?
    ));
    run(test.env("MSTR_GENERATE", "1"))
}

/// Fails if a file differs. Tests that write a file also compare it.
pub(crate) fn check() -> Outcome {
    rules(&["generate", "--check"])
}
