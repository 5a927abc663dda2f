//! The documentation of every crate, with warnings denied.

use crate::command::{Outcome, cargo, run};
use crate::members::{everything, members};
use crate::tools::Tls;

pub(crate) fn check() -> Outcome {
    let mut command = cargo(&format!(
        "doc --locked --workspace --no-deps {}",
        everything(&members()?, Tls::here())
    ));
    run(command.env("RUSTDOCFLAGS", "-D warnings"))
}
