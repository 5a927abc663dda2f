//! Servers that mean harm: what they send ends in its time, and takes no more memory than
//! `SECURITY.md` says.
//!
//! Measured in processes of their own, because the peak is a process's, which has libcurl's memory
//! too: a test starts itself again for its client.

#![expect(clippy::unwrap_used, reason = "this is test code")]
#![expect(clippy::print_stdout, reason = "what was measured is shown where a test fails")]

mod attacks;
mod clients;
mod peak;

use std::time::Duration;

use attacks::{ATTACKS, Attack, Ends};
use clients::Client;
use mstr_fake::loopback::RawServer;

/// The most memory that an answer may take, in MiB.
const BOUND: u64 = 8;
/// The same of a list of projects, of which 16 MiB are read.
const BOUND_OF_A_LIST: u64 = 128;
/// When each has to be over. The clients give up after half a second; what is without optimizations
/// on a busy machine needs more for the bytes that are there already.
const LIMIT: Duration = Duration::from_secs(10);

#[test]
fn hostile_servers_meet_hyper_in_tasks() {
    attack(Client::HyperTasks);
}

#[test]
fn hostile_servers_meet_hyper_on_threads() {
    attack(Client::HyperThreads);
}

#[test]
fn hostile_servers_meet_isahc_in_tasks() {
    attack(Client::IsahcTasks);
}

#[test]
fn hostile_servers_meet_isahc_on_threads() {
    attack(Client::IsahcThreads);
}

fn attack(client: Client) {
    if !peak::is_measured() {
        return peak::start_again(client.test());
    }
    let mut wrong = Vec::new();
    for attack in ATTACKS {
        if let Err(problem) = survive(client, attack) {
            wrong.push(format!("{}: {problem}", attack.name));
        }
    }
    assert!(wrong.is_empty(), "{client:?}\n{}", wrong.join("\n"));
}

fn survive(client: Client, attack: &'static Attack) -> Result<(), String> {
    let server = RawServer::start(|connection| attack.serve(connection)).unwrap();
    let begun = mstr_suite::at_once::now();
    let (outcome, peak) = peak::of(|| client.run(&server.url("/"), attack.act));
    let took = mstr_suite::at_once::now().saturating_duration_since(begun);
    println!("{client:?}, {}: {took:?}, {peak:?} KiB, {outcome:?}", attack.name);
    match (&outcome, attack.ends) {
        (Err(_), Ends::Failed) | (Ok(_), Ends::Well) | (_, Ends::Anyhow) => {}
        _ => return Err(format!("ended as {outcome:?}")),
    }
    if let Err(error) = &outcome
        && error.report().len() > 4_000
    {
        return Err(format!("its error has {} bytes", error.report().len()));
    }
    if took > LIMIT {
        return Err(format!("took {took:?}"));
    }
    let bound = if attack.is_list { BOUND_OF_A_LIST } else { BOUND };
    match peak {
        Some(peak) if peak > bound * 1024 => Err(format!("took {peak} KiB")),
        _ => Ok(()),
    }
}
