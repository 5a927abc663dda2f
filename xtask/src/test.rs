//! `cargo xtask test`: every test, with nothing to install beforehand.

use crate::command::{Outcome, cargo, output, root, run};
use crate::members::{everything, members};
use crate::tools::{NEXTEST, Tls};

pub(crate) fn all() -> Outcome {
    let features = everything(&members()?, Tls::here());
    if NEXTEST.present().is_some() {
        run(&mut cargo(&format!("nextest run --locked --workspace {features}")))?;
        run(&mut cargo(&format!("test --locked --workspace --doc {features}")))?;
    } else {
        println!("    cargo-nextest is absent, so these are run by cargo itself");
        run(&mut cargo(&format!("test --locked --workspace --no-fail-fast {features}")))?;
    }
    loom()
}

/// Every interleaving of the shared flight.
fn loom() -> Outcome {
    let mut command = cargo("test --locked --package mstr-core --lib -- loom");
    // A folder of its own: the flag rebuilds everything.
    command.env("CARGO_TARGET_DIR", root().join("target/loom"));
    command.env("RUSTFLAGS", "--cfg loom").env("LOOM_MAX_PREEMPTIONS", "3");
    println!("    RUSTFLAGS=\"--cfg loom\" cargo test --package mstr-core --lib -- loom");
    let text = output(&mut command)?;
    print!("{text}");
    if text.contains("running 0 tests") {
        return Err("no test has \"loom\" in its name".into());
    }
    Ok(())
}

/// What TLS has to do with, with isahc's other library: no build can have both.
pub(crate) fn isahc_rustls() -> Outcome {
    if Tls::here() == Tls::Rustls {
        println!("    that is what the other tests have run with");
        return Ok(());
    }
    let runner = if NEXTEST.present().is_some() { "nextest run" } else { "test" };
    run(&mut cargo(&format!(
        "{runner} --locked --package mstr-tests --no-default-features --features \
         isahc-rustls-tls --test conformance --test suite --test transports -- isahc trust"
    )))
}
