//! The documentation of every crate, and the links to it.

use crate::command::{Outcome, cargo, run};
use crate::generate;
use crate::members::everything;

pub(crate) fn check() -> Outcome {
    let mut command = cargo(&format!("doc --locked --workspace --no-deps {}", everything()));
    run(command.env("RUSTDOCFLAGS", "-D warnings"))?;
    generate::addresses()
}
