//! What can be asked for: the map of the project's habits.

use clap::{Args, Parser, Subcommand};

/// The project's automation. `ci` is what a change has to pass; the rest are its steps, and the
/// checks that take longer.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask", version = None, after_help = AFTER)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
}

const AFTER: &str = "\
Every day:       cargo xtask ci
Something is missing:  cargo xtask doctor

What a step needs and this machine lacks is installed by the step, at a pinned version.";

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Everything a change has to pass, in one go
    Ci(Ci),
    /// What this machine lacks, what it is for, and how to get it
    Doctor,
    /// Advisories, bans, licences and sources of dependencies (cargo-deny)
    Deny,
    /// Which crates may stand in whose dependency tree
    Deps,
    /// Whose types the published crates show, against an allow-list
    ExternalTypes,
    /// Python clients against the fake server: the vendor's and plain requests
    Interop,
    /// Every case of both test suites on every backend, as tables
    Matrix,
    /// The oldest dependencies that the manifests allow
    Minimal,
    /// The minimum supported Rust version, as far as this machine can show it
    Msrv,
    /// mstr-isahc in a program that keeps http 0.2
    OldHttp,
    /// Every combination of features of each published crate (cargo-hack)
    Powerset {
        /// Of this crate only
        #[arg(long, value_name = "CRATE")]
        package: Option<String>,
    },
    /// Spelling (typos)
    Spelling,
    /// The text rules: layout, links, what has to agree
    Tidy,
    /// Dependencies that nothing uses (cargo-machete)
    Unused,
}

#[derive(Args, Debug)]
pub(crate) struct Ci {
    /// Its steps
    #[arg(long, conflicts_with = "step")]
    pub(crate) list: bool,
    /// Only this step
    #[arg(long, value_name = "NAME")]
    pub(crate) step: Option<String>,
}
