//! What a request costs over a socket, beside what others need for it: ratios to hyper-util's
//! client, in turns, with a server in a process of its own on the other core.
//!
//! Times differ from run to run and from machine to machine. What can be compared is the ratio of
//! two that were measured in turns; it comes with its spread. Allocations and instructions are exact.
//!
//! ```text
//! [--quick] [--check] [NAME]
//! ```
//!
//! A name selects the contestants whose names contain it. `--quick` measures fewer pairs. `--check`
//! measures no times and fails where a cost is above what `costs.txt` says.
#![expect(
    clippy::disallowed_methods,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "this is a program for testers, which spawns and measures time"
)]

mod clients;
mod costs;
mod server;
mod times;

use std::process::ExitCode;

use self::clients::{CONTESTANTS, Contestant};
use self::server::Server;

/// The client that all others are compared with.
const BASE: &str = "hyper-util";

fn main() -> ExitCode {
    // Cargo adds a word of its own.
    let words: Vec<String> = std::env::args().skip(1).filter(|word| word != "--bench").collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    match words[..] {
        [server::SERVE] => server::serve(),
        [costs::COUNTED, name, times, base] => costs::repeat(name, times, base),
        _ => measure(&words),
    }
}

fn measure(words: &[&str]) -> ExitCode {
    let (mut quick, mut check, mut filter) = (false, false, "");
    for word in words {
        match *word {
            "--quick" => quick = true,
            "--check" => check = true,
            name if !name.starts_with('-') => filter = name,
            _ => {
                println!("expected: [--quick] [--check] [NAME]");
                return ExitCode::FAILURE;
            }
        }
    }
    let chosen: Vec<&Contestant> =
        CONTESTANTS.iter().filter(|contestant| contestant.name.contains(filter)).collect();
    if chosen.is_empty() {
        println!("no client has \"{filter}\" in its name; there are:");
        CONTESTANTS.iter().for_each(|contestant| println!("    {}", contestant.name));
        return ExitCode::FAILURE;
    }
    let server = match Server::start() {
        Ok(server) => server,
        Err(error) => {
            println!("the server cannot be started: {error}");
            return ExitCode::FAILURE;
        }
    };
    let costs = costs::print(&server, &chosen, check);
    if !check {
        times::print(&server, &chosen, quick);
    }
    match costs {
        true => ExitCode::SUCCESS,
        false => ExitCode::FAILURE,
    }
}
