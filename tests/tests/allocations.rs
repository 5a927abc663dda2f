//! The number of allocations of a call on an open session.
//!
//! The numbers are exact: a change that saves one lowers the constant, a change that adds one gives
//! the reason. Times are
//! printed by `cargo xtask bench` and asserted nowhere.

use std::pin::Pin;
use std::task::{Context, Waker};

use allocation_counter::measure;
use http::header::{ETAG, SET_COOKIE};
use mstr::Connection;
use mstr_suite::at_once::calls::{self, Bare, at_once};
use mstr_suite::at_once::{AtOnce, PROJECT};

/// A call until its response's head is there, from a task: one for the path that the caller gives,
/// one for the description, which is large and would be moved from place to place, one for the
/// address, two for the table of headers, the box of the transport's future.
const SEND: u64 = 6;
/// The same, with its body read. It is in memory already, and is handed on as it is.
const BYTES: u64 = 6;
/// The same two, from a thread: without the box, and with a waker to wait for the body.
const BLOCKING_SEND: u64 = 5;
const BLOCKING_BYTES: u64 = 6;
/// A bare request from a task: two for the address and what its parts share, two for the table of
/// headers, the box of the transport's future. From a thread there is no such box. Their bodies
/// are in memory already, and reading one costs nothing.
const BARE: u64 = 5;
const BLOCKING_BARE: u64 = 4;
/// A task that meets a session that has ended, as others do at the same time: it is refused, waits for
/// their login and asks again. The path, the description, and twice the address, the table of headers (two)
/// and the box of the transport's future; code and message of the refusal.
const REFUSED: u64 = 12;
/// What one of them makes for all of them, with the login, and the growing room for those that wait.
const FOR_ALL: u64 = 120;

/// How many allocations each repetition of `call` makes, after what only the first ones do.
fn each<T>(mut call: impl FnMut() -> T) -> u64 {
    const TIMES: u64 = 100;
    for _ in 0..TIMES {
        drop(call());
    }
    let all = measure(|| (0..TIMES).for_each(|_| drop(call()))).count_total;
    assert_eq!(all % TIMES, 0, "{TIMES} calls make {all} allocations: they differ");
    all / TIMES
}

type Task = Pin<Box<dyn Future<Output = usize> + Send>>;

fn task(connection: &Connection) -> Task {
    let connection = connection.clone();
    Box::pin(async move { calls::bytes(&connection).await.len() })
}

/// Polls each task that has not ended, once. Whether all have.
fn poll_all(tasks: &mut [Option<Task>]) -> bool {
    let mut context = Context::from_waker(Waker::noop());
    for task in &mut *tasks {
        if task.as_mut().is_some_and(|task| task.as_mut().poll(&mut context).is_ready()) {
            *task = None;
        }
    }
    tasks.iter().all(Option::is_none)
}

#[test]
fn a_call_from_a_task_makes_so_many_allocations() {
    let connection = calls::connection(&AtOnce::new());
    let send = each(|| at_once(calls::send(&connection)));
    let bytes = each(|| at_once(calls::bytes(&connection)));
    assert_eq!((send, bytes), (SEND, BYTES));
}

#[test]
fn a_call_from_a_thread_makes_so_many_allocations() {
    let connection = calls::blocking(&AtOnce::new());
    let send = each(|| calls::blocking_send(&connection));
    let bytes = each(|| calls::blocking_bytes(&connection));
    assert_eq!((send, bytes), (BLOCKING_SEND, BLOCKING_BYTES));
}

#[test]
fn tasks_that_meet_a_dead_session_make_so_many_allocations_each_whatever_their_number() {
    let stampede = |number: u64| {
        let transport = AtOnce::new().hesitating();
        let connection = calls::connection(&transport);
        let mut tasks: Vec<Option<Task>> = (0..number).map(|_| Some(task(&connection))).collect();
        transport.end_session();
        let counted = measure(|| while !poll_all(&mut tasks) {});
        assert_eq!((transport.logins(), transport.refused()), (2, number));
        counted.count_total
    };
    for number in [100, 10_000] {
        let all = stampede(number);
        assert!(all <= number * REFUSED + FOR_ALL, "{number} tasks make {all} allocations");
    }
}

#[test]
fn cookie_that_stays_the_same_makes_no_allocation() {
    let cookie =
        "JSESSIONID=00000000000000000000000000000001; Path=/MicroStrategyLibrary; HttpOnly";
    // The table of the answer's headers is the transport's, whatever is in it.
    let [none, same] = [ETAG, SET_COOKIE].map(|name| {
        let server = || AtOnce::new().with_header(name.clone(), cookie);
        let tasks = calls::connection(&server());
        let tasks = each(|| at_once(calls::send(&tasks)));
        let threads = calls::blocking(&server());
        (tasks, each(|| calls::blocking_send(&threads)))
    });
    assert_eq!(none, same);
}

#[test]
fn a_bare_request_makes_so_many_allocations() {
    let bare = Bare::new(&AtOnce::new());
    let (send, bytes) = (each(|| at_once(bare.send())), each(|| at_once(bare.bytes())));
    assert_eq!((send, bytes), (BARE, BARE));
    let (send, bytes) = (each(|| bare.blocking_send()), each(|| bare.blocking_bytes()));
    assert_eq!((send, bytes), (BLOCKING_BARE, BLOCKING_BARE));
}

#[test]
fn a_bare_request_carries_what_a_call_carries() {
    let transport = AtOnce::new();
    let connection = calls::connection(&transport);
    let ours = transport.watch(|| drop(at_once(calls::bytes(&connection)))).pop().unwrap();
    let transport = AtOnce::new();
    let bare = Bare::new(&transport);
    let theirs = transport.watch(|| drop(at_once(bare.bytes()))).pop().unwrap();
    assert_eq!(ours, theirs);
    assert_eq!(ours.len(), 6, "{ours:?}");
    assert_eq!(ours["x-mstr-projectid"], PROJECT);
}

#[test]
fn a_session_that_has_ended_costs_one_login_and_is_replaced() {
    let transport = AtOnce::new();
    let connection = calls::blocking(&transport);
    transport.end_session();
    assert_eq!(calls::blocking_bytes(&connection).len(), 200);
    assert_eq!((transport.logins(), transport.refused()), (2, 1));
}
