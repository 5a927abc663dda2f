//! What an idle session keeps in memory: a service may have thousands, one for each user.
//!
//! The numbers are limits of this library's own part, in bytes. A change that saves some lowers them,
//! a change that adds some gives the reason.

#![expect(clippy::unwrap_used, reason = "this is test code")]

use allocation_counter::measure;
use mstr::{Connection, ConnectionBuilder, NoTransport, blocking};
use mstr_suite::at_once::{AtOnce, BASE_URL, PROJECT};

/// Beside the token, the cookies and the entries of the timeline. Eight of them are for the question
/// that goes beside a login.
const SESSION: usize = 1_857;
/// The same without what the server says of itself.
const UNCHECKED: usize = 1_677;
/// One entry of the timeline, and room for one that may come.
const ENTRY: usize = 64;
/// The token and the cookie of the server, each as it was told and as it is sent.
const SECRETS: usize = 2 * (26 + 43);

const SESSIONS: usize = 200;

/// The heap that one of many open connections takes.
fn each<T>(open: impl Fn() -> T) -> usize {
    // Some things are made once.
    let first = open();
    let mut kept = Vec::with_capacity(SESSIONS);
    let counted = measure(|| kept.extend((0..SESSIONS).map(|_| open())));
    drop((first, kept));
    usize::try_from(counted.bytes_current).unwrap() / SESSIONS
}

fn described(checks: bool, timeline: usize) -> ConnectionBuilder<NoTransport> {
    let builder = Connection::builder(BASE_URL).standard("alice", "secret").project_id(PROJECT);
    builder.checks(checks).timeline(timeline)
}

fn tasks(transport: &AtOnce, checks: bool, timeline: usize) -> Connection {
    let builder = described(checks, timeline).transport(transport.clone());
    futures_executor::block_on(builder.connect()).unwrap()
}

fn threads(transport: &AtOnce, checks: bool, timeline: usize) -> blocking::Connection {
    described(checks, timeline).blocking_transport(transport.clone()).connect().unwrap()
}

#[test]
fn session_that_is_idle_keeps_little() {
    let transport = AtOnce::new();
    for (checks, limit) in [(true, SESSION), (false, UNCHECKED)] {
        let kept = [each(|| tasks(&transport, checks, 0)), each(|| threads(&transport, checks, 0))];
        assert!(kept.iter().all(|kept| kept - SECRETS <= limit), "{checks}: {kept:?} bytes");
    }
}

#[test]
fn session_that_has_made_calls_keeps_what_it_kept_before() {
    let transport = AtOnce::new();
    let called = |connection: Connection| {
        for _ in 0..3 {
            let answer = futures_executor::block_on(connection.get("/api/x").send()).unwrap();
            drop(futures_executor::block_on(answer.bytes()).unwrap());
        }
        futures_executor::block_on(connection.renew()).unwrap();
        connection
    };
    let before = each(|| tasks(&transport, true, 0));
    let after = each(|| called(tasks(&transport, true, 0)));
    // The project's header is shared from its first use on.
    assert!((before..=before + 24).contains(&after), "{before} bytes before, {after} after");
}

#[test]
fn timeline_takes_the_room_of_its_entries() {
    let transport = AtOnce::new();
    let entries = tasks(&transport, true, 16).timeline().entries().count();
    let without = each(|| tasks(&transport, true, 0));
    let with = each(|| tasks(&transport, true, 16));
    let limit = (entries + 1) * ENTRY;
    assert!(with - without <= limit, "{entries} entries take {} bytes", with - without);
}

#[test]
fn timeline_costs_a_warm_call_no_allocation() {
    let transport = AtOnce::new();
    let allocations = |timeline| {
        let connection = tasks(&transport, true, timeline);
        let call = || {
            let answer = futures_executor::block_on(connection.get("/api/x").send()).unwrap();
            drop(futures_executor::block_on(answer.bytes()).unwrap());
        };
        call();
        measure(call).count_total
    };
    assert_eq!(allocations(256), allocations(0));
}
