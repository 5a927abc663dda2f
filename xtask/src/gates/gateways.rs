//! Sessions through gateways and proxies of others, as far as they are installed.
//!
//! A client that only our own server model has met, with the faults that we have thought of, has not
//! met much. The package `mstr-gateways` starts what the machine has, and says what it has not.

use crate::command::{Outcome, cargo, run};
use crate::members::package;
use crate::tools::{GATEWAYS, gateways};

/// All of them.
pub(crate) fn check() -> Outcome {
    check_some(None)
}

/// Only those whose name contains this.
pub(crate) fn check_some(name: Option<&str>) -> Outcome {
    if cfg!(windows) {
        println!("    SKIPPED: the gateways are told by signals, which Windows has not");
        return Ok(());
    }
    if gateways().is_empty() {
        println!("    SKIPPED: there is none of them here. To have them, {GATEWAYS}");
        return Ok(());
    }
    let words = format!("run --locked --quiet {} --", package("mstr-gateways")?);
    run(cargo(&words).args(name))
}
