//! Whether the crates compile for Windows and macOS, as far as another system can show it.
//!
//! `cargo check` links nothing, so it needs the target's standard library only, unless a dependency
//! compiles C: that needs the target's C compiler, which hardly any machine has.

use std::path::Path;
use std::process::Command;

use crate::command::{Outcome, cargo, output, run};
use crate::tools::version;

const TARGETS: [&str; 2] = ["x86_64-pc-windows-msvc", "aarch64-apple-darwin"];

/// The pure Rust parts of the core, the facade with hyper, and the fake server.
const PURE: [&str; 3] = [
    "mstr-core --all-features",
    "mstr-sdk --no-default-features --features hyper,platform-roots,tower",
    "mstr-fake --features tokio",
];

pub(crate) fn check() -> Outcome {
    for target in TARGETS {
        if let Err(why) = provide(target) {
            println!("    {target} is SKIPPED: {why}");
            continue;
        }
        for package in PURE {
            run(&mut cargo(&format!(
                "check --locked --lib --target {target} --package {package}"
            )))?;
        }
    }
    println!(
        "    not shown here: what is written in C (TLS by aws-lc-rs or ring, so also the fake \
         server on a socket, and libcurl), and that anything runs there"
    );
    Ok(())
}

/// Has rustup fetch the target's standard library where it is absent.
fn provide(target: &str) -> Outcome {
    let mut place = Command::new("rustc");
    place.args(["--print", "target-libdir", "--target", target]);
    if Path::new(output(&mut place)?.trim()).is_dir() {
        return Ok(());
    }
    if version(&["rustup", "--version"]).is_none() {
        return Err("its standard library is absent, and so is rustup, which could get it".into());
    }
    println!("    the standard library for {target} is absent: rustup fetches it");
    run(Command::new("rustup").args(["target", "add", target]))
}
