//! The commands and their options.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

use crate::release::Next;

/// The project's automation. `test` runs every test and `ci` every check of a change; the
/// rest are its steps, the checks that take longer, and releases.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask", version = None, after_help = AFTER)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
}

const AFTER: &str = "\
Every day:             cargo xtask test
Before a change is merged:  cargo xtask ci
Something is missing:  cargo xtask doctor
A release:       RELEASING.md

A step of ci whose tool is missing says so and is skipped; only cargo-deny is installed. The commands
of a release install the tools that they need, at pinned versions.";

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Every test, with nothing to install beforehand
    Test,
    /// Everything a change has to pass: the tests and the gates
    Ci(Ci),
    /// The tools that are missing here, their purpose, and how to get them
    Doctor,
    /// Writes the generated parts: tables, licences, documents
    Generate {
        /// Writes nothing; fails if a file differs
        #[arg(long)]
        check: bool,
    },
    /// Prepares, checks, publishes and rehearses a release of all crates
    #[command(subcommand)]
    Release(Release),

    /// The cost of a call beside a bare request: times, allocations, instructions
    Bench(Bench),
    /// Sessions over a network that fails at random, compared with the server's journal
    Chaos(Chaos),
    /// Advisories, bans, licences and sources of dependencies (cargo-deny)
    Deny,
    /// The crates that are allowed in each dependency tree
    Deps,
    /// The documentation, with warnings denied
    Docs,
    /// The foreign types in public signatures, against an allow-list
    ExternalTypes,
    /// Sessions through nginx, HAProxy, Apache httpd, Squid and tinyproxy, as far as they are installed
    Gateways {
        /// Only those whose name contains this, such as "nginx", "reloads" or "isahc, blocking"
        #[arg(value_name = "NAME")]
        name: Option<String>,
    },
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
    /// Breaking changes of each published crate since the last release (cargo-semver-checks)
    Semver {
        /// Compares with this tag or commit instead of the last release
        #[arg(long, value_name = "REVISION")]
        baseline: Option<String>,
    },
    /// The whole session layer in a deterministic simulation, with random faults
    Simulate(Simulate),
    /// Spelling (typos)
    Spelling,
    /// The text rules: layout, links, names, layers, statements that have to agree
    Tidy {
        /// Only counts the lines of code of the published crates
        #[arg(long)]
        lines: bool,
    },
}

#[derive(Args, Debug)]
pub(crate) struct Bench {
    /// Only those whose name contains this, such as "blocking", "threads" or "sessions"; with --sockets
    /// a client or a part, such as "JSON", "streams", "connecting", "cold" or "python"
    #[arg(value_name = "NAME")]
    pub(crate) name: Option<String>,
    /// Only the instructions, counted by callgrind
    #[arg(long)]
    pub(crate) instructions: bool,
    /// Only the cost of a request over a socket, beside other clients: hyper-util, reqwest, ureq, isahc,
    /// and two in Python
    #[arg(long, conflicts_with = "instructions")]
    pub(crate) sockets: bool,
    /// Fewer rounds: rough numbers, soon
    #[arg(long)]
    pub(crate) quick: bool,
    /// No times; fails where a request or the timeline costs more than it may, by counts
    #[arg(long, conflicts_with = "instructions")]
    pub(crate) check: bool,
    /// Keeps the figures in target/figures.jsonl, and writes docs/performance.md from them
    #[arg(long, conflicts_with_all = ["name", "instructions", "sockets", "check"])]
    pub(crate) write: bool,
    /// Measures nothing; writes docs/performance.md from a file that --write has kept
    #[arg(long, value_name = "FILE", exclusive = true)]
    pub(crate) from: Option<PathBuf>,
}

#[derive(Args, Debug)]
pub(crate) struct Chaos {
    /// How many requests each transport gets: 20000 take about a minute
    #[arg(long, default_value_t = 2000, value_name = "COUNT")]
    pub(crate) requests: u64,
    /// The seed of the faults, as a failed run has printed it; random by default
    #[arg(long, value_name = "NUMBER")]
    pub(crate) seed: Option<u64>,
    /// Only this transport: hyper, isahc, hyper-blocking or isahc-blocking
    #[arg(long, value_name = "NAME")]
    pub(crate) transport: Option<String>,
}

#[derive(Args, Debug)]
pub(crate) struct Simulate {
    /// How many seeds it tries
    #[arg(long, value_name = "COUNT", conflicts_with = "planted")]
    pub(crate) seeds: Option<u64>,
    /// The first seed
    #[arg(long, value_name = "NUMBER", conflicts_with = "planted")]
    pub(crate) from: Option<u64>,
    /// Shows what the seeds have reached
    #[arg(long, conflicts_with = "planted")]
    pub(crate) coverage: bool,
    /// Tests the simulation itself: plants faults in a copy of the sources, and it has to find each
    #[arg(long)]
    pub(crate) planted: bool,
    /// With --planted: only this fault
    #[arg(long, value_name = "NAME", requires = "planted")]
    pub(crate) only: Option<String>,
    /// When it ends, whatever is left; with --planted for each fault, and 60 by default
    #[arg(long, value_name = "SECONDS")]
    pub(crate) seconds: Option<u64>,
    /// More options of the simulation
    #[arg(last = true, value_name = "OPTIONS", conflicts_with = "planted")]
    pub(crate) rest: Vec<String>,
}

#[derive(Args, Debug)]
pub(crate) struct Ci {
    /// Its steps
    #[arg(long, conflicts_with = "step")]
    pub(crate) list: bool,
    /// Only this step
    #[arg(long, value_name = "NAME")]
    pub(crate) step: Option<String>,
    /// Also the steps that take too long for every change, as before a release
    #[arg(long, conflicts_with = "step")]
    pub(crate) release: bool,
    /// Not the tests: `cargo xtask test` has just passed
    #[arg(long, conflicts_with_all = ["release", "step"])]
    pub(crate) tested: bool,
    /// For the table: how many seconds a part has taken before this began
    #[arg(long, value_name = "PART=SECONDS")]
    pub(crate) spent: Vec<String>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Release {
    /// Checks that a release may be made, and makes its commit: version and changelog
    Prepare(Prepare),
    /// Packages every crate and builds and tests them from the archives alone
    Check,
    /// Publishes the crates that are not published yet, in dependency order, and tags the commit
    Publish(Publish),
    /// Prepares, publishes, interrupts and resumes releases of a copy, against a registry on
    /// this machine
    Rehearse,
}

#[derive(Args, Debug)]
pub(crate) struct Prepare {
    #[command(flatten)]
    pub(crate) next: NextArgs,
    /// The day of the release, for the changelog: 2026-11-24
    #[arg(long, value_name = "YYYY-MM-DD")]
    pub(crate) date: String,
}

#[derive(Args, Debug)]
#[group(required = true, multiple = false)]
pub(crate) struct NextArgs {
    /// Which number of the version goes up
    #[arg(long)]
    bump: Option<crate::release::Bump>,
    /// The version itself; the way to make the first release
    #[arg(long, value_name = "X.Y.Z")]
    version: Option<semver::Version>,
}

impl NextArgs {
    pub(crate) fn next(self) -> Option<Next> {
        self.version.map(Next::Version).or_else(|| self.bump.map(Next::Bump))
    }
}

#[derive(Args, Debug)]
pub(crate) struct Publish {
    /// Does everything but the upload and the tag
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// A registry of cargo's configuration instead of the public one
    #[arg(long, value_name = "NAME")]
    pub(crate) registry: Option<String>,
}
