//! What a request costs over a socket, beside what others need for it: ratios to hyper-util's
//! client, in turns, with a server in a process of its own on the other core.
//!
//! Times differ from run to run and from machine to machine. What can be compared is the ratio of
//! two that were measured in turns; it comes with its spread. System calls and instructions are counted. What
//! is allocated is counted by the program `allocated`, because counting takes time.
//!
//! Requests in flight are tasks of one thread for most clients, and threads for those that block. The
//! server has the first core for itself. Whatever a client starts shares the others: on a machine with
//! two cores, a client on 64 threads has the same one as a client on one.
//!
//! | part | what it measures | minutes |
//! |---|---|---|
//! | `costs` | what can be counted of a request | 1 |
//! | a heading, such as `JSON`, `1 MiB`, `HTTP/2`, and `directly` | throughput with 1, 8 and 64 requests in flight | 6 |
//! | `streams` | a gibibyte in each direction: throughput, and the growth of the peak of memory | 2 |
//! | `connecting` | a server that is 50 ms away | 1 |
//! | `cold` | processes that make one request; it builds them first | 1 |
//! | `python` | `requests` and the vendor's client | 1 |
//!
//! ```text
//! [--quick] [--check] [NAME]
//! ```
//!
//! A name selects the parts whose names contain it, and of the others the clients. `--quick` measures fewer
//! pairs. `--check` measures no times and fails where a cost is above what `costs.txt` says.
#![expect(
    clippy::disallowed_methods,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "this is a program for testers, which spawns and measures time"
)]

mod answers;
mod clients;
mod cold;
mod connecting;
mod costs;
mod limits;
mod parts;
mod python;
mod server;
mod streams;
mod times;

use std::process::ExitCode;

use self::clients::CONTESTANTS;
use self::parts::Run;
use self::server::Server;

/// The client that all others are compared with.
const BASE: &str = "hyper-util";
/// The one of ours that most programs use.
const OURS: &str = "mstr over hyper";

fn main() -> ExitCode {
    // Cargo adds a word of its own.
    let words: Vec<String> = std::env::args().skip(1).filter(|word| word != "--bench").collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    match words[..] {
        [server::SERVE] => server::serve(),
        [costs::COUNTED, name, base, times] => costs::repeat(name, base, times),
        [streams::TRANSFER, name, direction, bytes, base] => {
            streams::run_one(name, direction, bytes, base)
        }
        _ => measure(&words),
    }
}

fn measure(words: &[&str]) -> ExitCode {
    let (mut quick, mut check, mut filter) = (false, false, "");
    for word in words {
        match *word {
            "--quick" => quick = true,
            "--check" => check = true,
            name if !name.starts_with('-') && filter.is_empty() => filter = name,
            _ => {
                println!("expected: [--quick] [--check] [NAME]");
                return ExitCode::FAILURE;
            }
        }
    }
    let server = match Server::start() {
        Ok(server) => server,
        Err(error) => {
            println!("the server cannot be started: {error}");
            return ExitCode::FAILURE;
        }
    };
    let run = Run::new(&server, quick, filter);
    let kept = costs::print(&run, check);
    if !check {
        run.timed(connecting::PART, connecting::print);
        // Before what needs the server's core, because this builds programs.
        run.timed(cold::PART, cold::print);
        run.timed("throughput", times::print);
        run.timed(streams::PART, streams::print);
        run.timed(python::PART, python::print);
    }
    if !run.has_chosen() {
        let none = if check { "no client with a limit" } else { "no part and no client" };
        println!("{none} has \"{filter}\" in its name; there are the clients");
        CONTESTANTS.iter().for_each(|contestant| println!("    {}", contestant.name));
        return ExitCode::FAILURE;
    }
    match kept {
        true => ExitCode::SUCCESS,
        false => ExitCode::FAILURE,
    }
}
