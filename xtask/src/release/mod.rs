//! Releases of all crates at once; RELEASING.md is for people.

mod changelog;
mod check;
pub(crate) mod git;
mod install;
mod manifest;
mod prepare;
mod publish;
mod registry;
mod version;

pub(crate) use check::archives;
pub(crate) use version::{Bump, Next};

use crate::cli::Release;
use crate::command::{Outcome, cargo, read, run as run_command};
use crate::tools::{HTTP_REGISTRY, SEMVER, openssl};

/// Fails if the changelog has the manifest's version and git has no tag of it.
pub(crate) fn all_tagged() -> Outcome {
    let current = manifest::version(&read(manifest::PATH)?)?;
    let released = changelog::section(&read(changelog::PATH)?, &current).is_some();
    if !released || git::tagged(&current).is_some() {
        return Ok(());
    }
    Err(format!(
        "{current} is in the changelog and has no tag here. If it has been published, this copy has \
         not got the tags: git fetch --tags. If it is prepared, go on with `cargo xtask release \
         publish`. If it cannot be completed, name the version that takes its place: --version X.Y.Z"
    ))
}

pub(crate) fn run(command: Release) -> Outcome {
    match command {
        Release::Check => check::run(),
        Release::Prepare(prepare) => {
            let next = prepare.next.next().ok_or("say --bump or --version")?;
            prepare::run(next, &prepare.date)
        }
        Release::Publish(publish) => publish::run(publish.dry_run, publish.registry.as_deref()),
        Release::Rehearse => rehearse(),
    }
}

/// `tests/rehearsal` tells its stories with the commands above.
fn rehearse() -> Outcome {
    openssl()?;
    HTTP_REGISTRY.provide()?;
    SEMVER.provide()?;
    run_command(&mut cargo("run --locked --quiet --package mstr-rehearsal"))
}
