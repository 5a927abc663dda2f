//! Real clients of the REST API against the fake server.
//!
//! A server that only clients from here have talked to proves little. The vendor's Python client
//! and plain `requests` lead their sessions against the program `mstr-fake`, over http and https.

use std::io::ErrorKind;
use std::process::Command;

use crate::command::{Outcome, mstr_fake, root};

/// The exit code of `run.py` where something is absent, which it has printed.
const SKIPPED: i32 = 77;

pub(crate) fn check() -> Outcome {
    if cfg!(windows) {
        println!("    SKIPPED: the scenarios end the server with a signal that Windows has not");
        return Ok(());
    }
    let mut python = Command::new("python3");
    python.arg("-u").arg("tests/interop/run.py").arg(mstr_fake()?).arg("target/interop");
    match python.current_dir(root()).status() {
        Ok(status) if status.success() || status.code() == Some(SKIPPED) => Ok(()),
        Ok(_) => Err("a scenario failed: see above".into()),
        Err(error) if error.kind() == ErrorKind::NotFound => {
            println!("    SKIPPED: there is no python3 here");
            Ok(())
        }
        Err(error) => Err(format!("python3: {error}")),
    }
}
