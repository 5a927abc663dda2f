//! Releases of all crates at once; RELEASING.md is for people.

mod changelog;
mod check;
pub(crate) mod git;
mod manifest;
mod prepare;
mod publish;
mod registry;
mod rehearse;
mod version;

pub(crate) use check::archives;
pub(crate) use rehearse::run_if_equipped;
pub(crate) use version::{Bump, Next};

use crate::cli::Release;
use crate::command::Outcome;

pub(crate) fn run(command: Release) -> Outcome {
    match command {
        Release::Check => check::run(),
        Release::Prepare(prepare) => {
            let next = prepare.next.next().ok_or("say --bump or --version")?;
            prepare::run(next, &prepare.date)
        }
        Release::Publish(publish) => publish::run(publish.dry_run, publish.registry.as_deref()),
        Release::Rehearse => rehearse::run(),
    }
}
