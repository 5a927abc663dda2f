//! What a request over a socket allocates, by client.
//!
//! The numbers are exact. They are counted in a program of its own: the allocator that counts takes longer for
//! each allocation and copies what grows, so that `sockets` would show clients that allocate more as slower than
//! they are.
//!
//! ```text
//! [--check] [NAME]
//! ```
//!
//! A name selects clients. `--check` fails where one allocates more than `costs.txt` says.
#![expect(
    clippy::disallowed_methods,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "this is a program for testers, which spawns"
)]
#![allow(dead_code, reason = "modules of the program sockets, of which this one needs a part")]

mod answers;
mod clients;
mod limits;
mod parts;
mod server;

use std::process::ExitCode;

use allocation_counter::measure;
use mstr_suite::figures::{Figure, Spread};

use self::clients::{CONTESTANTS, Contestant, requests, runtime};
use self::limits::{Limit, TABLE, limit};
use self::parts::Run;
use self::server::Server;

/// Before anything is counted, and what is counted.
const FEW: u64 = 200;
const MANY: u64 = 1_200;

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    if words.iter().any(|word| word == server::SERVE) {
        return server::serve();
    }
    let check = words.iter().any(|word| word == "--check");
    // The other options are for `sockets`; nothing here takes long.
    let filter = words.iter().find(|word| !word.starts_with('-')).map_or("", String::as_str);
    let server = Server::start().unwrap();
    let run = Run::new(&server, false, filter);
    let countable = CONTESTANTS
        .iter()
        .filter(|contestant| contestant.alone && (!check || limit(contestant.name).is_some()));
    let chosen = run.chosen("costs", countable, |contestant| contestant.name);
    if !chosen.is_empty() {
        println!("\n{TABLE}\n{:<28} {:>11} {:>8}", "", "allocations", "bytes");
    }
    let mut kept = true;
    for contestant in chosen {
        let name = contestant.name;
        let (allocations, bytes) = allocated(contestant, &server.plain);
        println!("{name:<28} {allocations:>11} {bytes:>8}");
        if !check {
            record(name, "allocations", "allocations", allocations);
            record(name, "bytes allocated", "B", bytes);
        } else if let Some(Limit { allocations: most, bytes: most_bytes, .. }) = limit(name)
            && (allocations > most || bytes > most_bytes)
        {
            println!("    more than {most} allocations or {most_bytes} bytes (costs.txt)");
            kept = false;
        }
    }
    if kept { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn record(row: &str, column: &str, unit: &str, value: u64) {
    Figure { table: TABLE, row, column, unit, spread: Spread::exact(value as f64) }.record();
}

/// How much is allocated for a request: how often, and how many bytes.
fn allocated(contestant: &Contestant, base: &str) -> (u64, u64) {
    let runtime = runtime();
    let call = {
        let _entered = runtime.enter();
        contestant.small(base)
    };
    let repeat = |times| runtime.block_on(requests(&call, times));
    repeat(FEW);
    let counted = measure(|| repeat(MANY));
    (counted.count_total.div_ceil(MANY), counted.bytes_total / MANY)
}
