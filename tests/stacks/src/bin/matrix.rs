//! Prints every case of both suites on every backend, and what each backend can do.
//!
//! `cargo xtask matrix` runs it.
#![forbid(unsafe_code)]
#![expect(clippy::print_stdout, reason = "this is what it is for")]

use std::process::ExitCode;
use std::sync::Arc;

use mstr_fake::conformance::{self, Backend};
use mstr_suite::matrix;

fn main() -> ExitCode {
    let mut backends: Vec<Arc<dyn Backend>> = mstr_suite::backends::all();
    backends.extend(mstr_stacks::backends::all());
    println!("## End to end\n");
    let suite = matrix::suite();
    println!("{}", suite.text);
    println!("## The transport contract\n");
    let contract = matrix::conformance(backends.clone());
    println!("{}", contract.text);
    println!("## What each can do\n");
    let shown: Vec<&dyn Backend> = backends.iter().map(|backend| &**backend).collect();
    println!("{}", conformance::table(&shown));
    let failed = suite.failed + contract.failed;
    println!("{failed} failed");
    if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
