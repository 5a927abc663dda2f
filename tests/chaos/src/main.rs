//! `cargo xtask chaos`: sessions over a network that fails at random, and whether everything
//! balances afterwards.
//!
//! Callers of each transport make calls through a relay, which cuts, resets, stalls, loses, delays
//! and refuses, while some of them drop their futures. Then the network is well again, everything is
//! closed, and what the callers were told is compared with what the server has done, call by call.
//!
//! The seed decides what is called and what goes wrong, and in which order; which call it hits is up
//! to the machine.
#![forbid(unsafe_code)]
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "this is a program")]

mod balance;
mod callers;
mod chance;
mod plan;
mod run;
mod trouble;
mod watched;
mod world;

use std::process::ExitCode;

use clap::Parser;

use run::{Report, Stack};

/// Complaints of the same kind tell little that is new.
const SHOWN: usize = 20;

#[derive(Debug, Parser)]
struct Options {
    /// How many requests each transport gets
    #[arg(long, default_value_t = 2000, value_name = "COUNT")]
    requests: u64,
    /// The seed of the faults; random by default
    #[arg(long, value_name = "NUMBER")]
    seed: Option<u64>,
    /// Only this transport
    #[arg(long, value_name = "NAME")]
    transport: Option<Stack>,
}

fn main() -> ExitCode {
    let options = Options::parse();
    let seed = options.seed.unwrap_or_else(chance::seed);
    let stacks = match options.transport {
        Some(stack) => vec![stack],
        None => Stack::ALL.to_vec(),
    };
    println!("seed {seed}");
    let threads = stacks.into_iter().map(|stack| {
        let thread = std::thread::Builder::new().name(stack.name().into());
        (stack, thread.spawn(move || stack.run(seed, options.requests)))
    });
    let threads: Vec<_> = threads.collect();
    let mut failed = false;
    for (stack, thread) in threads {
        let outcome = thread.map_err(|error| error.to_string()).and_then(|thread| {
            thread.join().map_err(|_| "it panicked".to_owned()).and_then(|outcome| outcome)
        });
        match outcome {
            Ok(report) => {
                println!("{}", summary(&report));
                failed |= !report.complaints.is_empty();
                for complaint in report.complaints.iter().take(SHOWN) {
                    eprintln!("    {complaint}");
                }
                if report.complaints.len() > SHOWN {
                    eprintln!("    and {} more", report.complaints.len() - SHOWN);
                }
            }
            Err(error) => {
                failed = true;
                eprintln!("{}: {error}", stack.name());
            }
        }
    }
    if failed {
        eprintln!("it does not balance: --requests {} --seed {seed}", options.requests);
        return ExitCode::FAILURE;
    }
    println!("everything balances");
    ExitCode::SUCCESS
}

fn summary(report: &Report) -> String {
    let Report { stack, totals, troubles, sessions, .. } = report;
    format!(
        "{}: {:.1} s; {} answered, {} cancelled, failed {:?}; {} carried out unknown to the caller; \
         slowest {:.2} s; {} connections, {} at most; {} sessions, {} tokens lost, {} left; \
         {troubles:?}",
        stack.name(),
        report.took.as_secs_f64(),
        totals.answered,
        totals.cancelled,
        totals.failed,
        totals.unknown,
        totals.slowest.as_secs_f64(),
        report.connections,
        report.max_open_connections,
        sessions.opened,
        sessions.lost,
        sessions.left,
    )
}
