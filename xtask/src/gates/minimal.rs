//! The published crates with the oldest dependencies that their manifests allow.
//!
//! A program that has an older version in its lock keeps it as long as the manifests say that it will
//! do. Only direct dependencies are taken down: what those ask for is their own business.

use std::fs;

use super::copy;
use crate::command::{Outcome, cargo, root, run, unstable};
use crate::members::published;
use crate::tools::Tls;

pub(crate) fn check() -> Outcome {
    let tls = Tls::here();
    let folder = copy::workspace("minimal")?;
    let within = |words: &str| {
        let mut command = cargo(words);
        // A folder of its own: cargo takes two workspaces with the same layout for the same one.
        command.current_dir(&folder).env("CARGO_TARGET_DIR", root().join("target/minimal-build"));
        command
    };
    let lock = folder.join("Cargo.lock");
    fs::remove_file(&lock).map_err(|error| format!("{}: {error}", lock.display()))?;
    run(unstable(&mut within("generate-lockfile -Z direct-minimal-versions")))?;
    for member in published()? {
        let features = member.everything(tls);
        run(&mut within(&format!("check --locked --lib --package {member} {features}")))?;
    }
    Ok(())
}
