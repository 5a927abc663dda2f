//! The project's automation: `cargo xtask --help`.
#![forbid(unsafe_code)]
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "this is a program")]

mod bench;
mod chaos;
mod ci;
mod cli;
mod command;
mod doctor;
mod gates;
mod generate;
mod members;
mod passed;
mod planted;
mod release;
mod simulate;
mod test;
mod tools;

use std::process::ExitCode;

use clap::Parser;

use cli::{Cli, Command};
use command::Outcome;

fn main() -> ExitCode {
    let command = Cli::parse().command;
    match command::at_home().and_then(|()| run(command)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("xtask: {message}");
            ExitCode::FAILURE
        }
    }
}

fn run(command: Command) -> Outcome {
    match command {
        Command::Bench(bench) => bench::run_some(&bench),
        Command::Chaos(chaos) => chaos::run_one(&chaos),
        Command::Ci(ci) => ci::run_some(ci),
        Command::Deny => gates::deny::check(),
        Command::Deps => command::rules(&["trees"]),
        Command::Docs => gates::docs::check(),
        Command::Doctor => doctor::run(),
        Command::ExternalTypes => gates::external_types::check(),
        Command::Generate { check: true } => generate::check(),
        Command::Generate { check: false } => generate::write(),
        Command::Gateways { name } => gates::gateways::check_some(name.as_deref()),
        Command::Interop => gates::interop::check(),
        Command::Matrix => command::run(&mut command::cargo(&format!(
            "run --locked --quiet {} --features paused --bin matrix",
            members::package("mstr-stacks")?
        ))),
        Command::Minimal => gates::minimal::check(),
        Command::Msrv => gates::msrv::check(),
        Command::OldHttp => gates::old_http::check(),
        Command::Powerset { package } => gates::powerset::check(package.as_deref()),
        Command::Release(command) => release::run(command),
        Command::Semver { baseline } => gates::semver::check(baseline.as_deref()),
        Command::Simulate(simulate) => simulate::run_one(&simulate),
        Command::Spelling => gates::spelling::check(),
        Command::Test => test::all(),
        Command::Tidy { lines: true } => command::rules(&["lines"]),
        Command::Tidy { lines: false } => command::rules(&["check"]),
    }
}
