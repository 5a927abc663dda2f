//! Who gets which connection, without any.

use std::time::{Duration, Instant};

use super::*;

type Bench = Host<&'static str, &'static str, u32>;

const LIMITS: Limits = Limits {
    connections: Some(2),
    streams: None,
    idle: 1,
    idle_timeout: Some(Duration::from_secs(15)),
};

#[expect(clippy::disallowed_methods, reason = "an arbitrary origin")]
fn origin() -> Instant {
    Instant::now()
}

fn host(speaks: Speaks) -> Bench {
    Host::new(speaks, LIMITS)
}

/// A connection that stands already has given an answer.
fn answered(host: &mut Bench, number: Number, connection: &'static str) {
    host.standing.insert(number);
    assert_eq!(host.returned(number, connection, origin()), None);
}

fn waits(host: &mut Bench, requests: impl IntoIterator<Item = u32>) {
    requests.into_iter().for_each(|request| host.wait(request));
}

fn sends(
    request: u32,
    connection: &'static str,
    number: u64,
) -> Option<Step<&'static str, &'static str, u32>> {
    Some(Step::Send(request, Room::Kept(connection), number))
}

#[test]
fn http1_makes_a_connection_for_each_request_up_to_the_limit() {
    let mut host = host(Speaks::Http1);
    waits(&mut host, [1, 2, 3]);
    assert_eq!(host.next(), Some(Step::Dial(1)));
    assert_eq!(host.next(), Some(Step::Dial(2)));
    assert_eq!(host.next(), None);
    assert!(host.is_full());
}

#[test]
fn those_who_wait_are_served_in_their_order_and_before_those_who_come() {
    let mut host = host(Speaks::Http1);
    waits(&mut host, [1, 2]);
    assert_eq!(host.next(), Some(Step::Dial(1)));
    assert_eq!(host.next(), Some(Step::Dial(2)));
    assert_eq!(host.connected(7, "a", origin()), None);
    assert_eq!(host.take(), None, "others wait");
    assert_eq!(host.next(), sends(1, "a", 1));
    assert_eq!(host.next(), None, "the second connection is being made");
    assert_eq!(host.returned(7, "a", origin()), None);
    assert_eq!(host.next(), sends(2, "a", 2));
}

#[test]
fn a_connection_that_nobody_needed_is_used_after_those_that_have_answered() {
    let mut host = Bench::new(Speaks::Http1, Limits { idle: 9, ..LIMITS });
    answered(&mut host, 1, "answered");
    host.connected(2, "new", origin());
    assert_eq!(host.take(), Some((Room::Kept("answered"), 1)));
    assert_eq!(host.take(), Some((Room::Kept("new"), 2)));
}

#[test]
fn a_dial_that_fails_is_told_to_the_one_it_was_for_or_to_all_who_share_it() {
    let mut host = host(Speaks::Http1);
    waits(&mut host, [1, 2, 3]);
    assert_eq!(host.next(), Some(Step::Dial(1)));
    assert_eq!(host.next(), Some(Step::Dial(2)));
    assert_eq!(host.failed(&2, |_| true), [2]);
    assert_eq!(host.next(), Some(Step::Dial(3)));

    let mut host = Bench::new(Speaks::Unknown(1), LIMITS);
    waits(&mut host, [1, 2, 3]);
    assert_eq!(host.next(), Some(Step::Dial(1)));
    assert_eq!(host.next(), None, "one connection for all");
    assert_eq!(host.failed(&1, |other| *other != 2), [1, 3]);
    assert_eq!(host.next(), Some(Step::Dial(2)));
}

#[test]
fn dials_to_a_server_whose_version_is_unknown_are_two_and_the_last_to_fail_is_told_to_all() {
    let mut host = Bench::new(Speaks::Unknown(2), Limits { connections: None, ..LIMITS });
    waits(&mut host, [1, 2, 3, 4]);
    assert_eq!(host.next(), Some(Step::Dial(1)));
    assert_eq!(host.next(), Some(Step::Dial(2)));
    assert_eq!(host.next(), None, "enough for what is not known");
    assert_eq!(host.failed(&1, |_| true), [1], "the others may have better luck");
    assert_eq!(host.next(), None, "one at a time from now on");
    assert_eq!(host.failed(&2, |_| true), [2, 3, 4]);
    waits(&mut host, [5, 6]);
    assert_eq!(host.next(), Some(Step::Dial(5)));
    assert_eq!(host.next(), None);
}

#[test]
fn dial_too_many_is_used_over_http1_and_let_go_over_http2() {
    let unknown = || {
        let mut host = Bench::new(Speaks::Unknown(2), LIMITS);
        waits(&mut host, [1, 2]);
        assert_eq!(host.next(), Some(Step::Dial(1)));
        assert_eq!(host.next(), Some(Step::Dial(2)));
        host
    };
    let mut host = unknown();
    assert_eq!(host.connected(7, "a", origin()), None);
    assert_eq!(host.next(), sends(1, "a", 1));
    assert_eq!(host.connected(8, "b", origin()), None);
    assert_eq!(host.next(), sends(2, "b", 2));

    let mut host = unknown();
    assert_eq!(host.connected_shared(7, "a", origin()), None);
    for (request, alone) in [(1, true), (2, false)] {
        let shared = Step::Send(request, Room::Shared("a", alone), request.into());
        assert_eq!(host.next(), Some(shared));
    }
    assert_eq!(host.connected_shared(8, "b", origin()), Some("b"));
    host.ended(8);
    host.stream_ended(7, origin());
    assert_eq!(host.take(), Some((Room::Shared("a", false), 3)));

    let mut host = unknown();
    assert!(host.leave(&2), "no request needs it any longer");
}

#[test]
fn a_dial_that_failed_after_its_request_was_served_is_told_to_nobody() {
    let mut host = host(Speaks::Http1);
    waits(&mut host, [1]);
    assert_eq!(host.next(), Some(Step::Dial(1)));
    answered(&mut host, 7, "a");
    assert_eq!(host.next(), sends(1, "a", 1));
    assert!(host.failed(&1, |_| true).is_empty());
}

#[test]
fn http2_connections_that_are_retired_count_until_they_end() {
    let mut host = Bench::new(Speaks::Http2, Limits { idle: 0, ..LIMITS });
    for number in [7, 8] {
        waits(&mut host, [1]);
        assert_eq!(host.next(), Some(Step::Dial(1)));
        assert_eq!(host.connected_shared(number, "h2", origin()), None);
        assert!(matches!(host.next(), Some(Step::Send(1, ..))));
    }
    host.gone(7);
    waits(&mut host, [2]);
    assert_eq!(host.next(), None, "two are open, and one of them will be free");
    host.ended(7);
    assert_eq!(host.next(), Some(Step::Dial(2)));
}

#[test]
fn http2_connections_that_are_retired_do_not_keep_the_next_one_from_being_made() {
    let mut host = host(Speaks::Http2);
    for number in [7, 8, 9] {
        waits(&mut host, [1]);
        assert_eq!(host.next(), Some(Step::Dial(1)), "{number}");
        assert_eq!(host.connected_shared(number, "h2", origin()), None);
        assert!(matches!(host.next(), Some(Step::Send(1, ..))));
        host.gone(number);
    }
    assert!(!host.is_unused());
    [7, 8, 9].into_iter().for_each(|number| host.ended(number));
    assert!(host.is_unused());
}

#[test]
fn a_dial_that_nobody_waits_for_is_given_up() {
    let mut host = host(Speaks::Http1);
    waits(&mut host, [1, 2]);
    assert_eq!(host.next(), Some(Step::Dial(1)));
    assert!(!host.leave(&1), "another needs it");
    assert!(host.leave(&2));
    host.given_up();
    assert!(host.is_unused());
}

#[test]
fn http2_shares_one_connection_and_keeps_to_what_the_server_takes() {
    let mut host = Bench::new(Speaks::Http2, Limits { streams: Some(3), ..LIMITS });
    waits(&mut host, [1, 2, 3, 4]);
    assert_eq!(host.next(), Some(Step::Dial(1)));
    assert_eq!(host.next(), None);
    assert_eq!(host.connected_shared(7, "h2", origin()), None);
    let shared =
        |request, alone, number| Some(Step::Send(request, Room::Shared("h2", alone), number));
    assert_eq!(host.next(), shared(1, true, 1));
    // The server has not said how many it takes: one more waits inside of the stack.
    assert_eq!(host.next(), shared(2, false, 2));
    assert_eq!(host.next(), None);
    host.allow(7, 100);
    assert_eq!(host.next(), shared(3, false, 3));
    assert_eq!(host.next(), None, "our own limit");
    host.stream_ended(7, origin());
    assert_eq!(host.next(), shared(4, false, 4));
}

#[test]
fn a_connection_that_takes_no_more_requests_makes_room_for_another() {
    let mut host = Bench::new(Speaks::Http2, Limits { connections: Some(1), ..LIMITS });
    waits(&mut host, [1]);
    assert_eq!(host.next(), Some(Step::Dial(1)));
    host.connected_shared(7, "first", origin());
    assert!(matches!(host.next(), Some(Step::Send(1, Room::Shared("first", true), 1))));
    assert_eq!(host.gone(7), Some((None, Some("first"))));
    assert_eq!(host.gone(7), None, "its place is free already");
    waits(&mut host, [2]);
    assert_eq!(host.next(), Some(Step::Dial(2)));
}

#[test]
fn what_has_been_silent_since_before_a_late_request_is_suspected() {
    let mut host = Bench::new(Speaks::Http1, Limits { idle: 9, connections: None, ..LIMITS });
    answered(&mut host, 1, "before");
    answered(&mut host, 2, "late");
    let Some((Room::Kept("late"), request)) = host.take() else { panic!("the one used last") };
    answered(&mut host, 3, "after");
    assert_eq!(host.suspect(request), ["before"]);
    assert_eq!(host.take(), Some((Room::Kept("after"), 2)));
}

#[test]
fn what_is_kept_for_long_enough_or_too_much_is_let_go() {
    let mut host = host(Speaks::Http1);
    let start = origin();
    for (number, connection) in [(1, "a"), (2, "b")] {
        waits(&mut host, [0]);
        assert_eq!(host.next(), Some(Step::Dial(0)));
        host.connected(number, connection, start);
        assert!(matches!(host.next(), Some(Step::Send(..))));
    }
    assert_eq!(host.returned(1, "a", start), None);
    assert_eq!(host.returned(2, "b", start + Duration::from_secs(5)), Some("a"));
    assert_eq!(host.expires(), Some(start + Duration::from_secs(20)));
    assert_eq!(host.expired(start + Duration::from_secs(19)), (Vec::new(), None));
    assert_eq!(host.expired(start + Duration::from_secs(20)), (vec!["b"], None));
    assert!(host.is_unused());
}

#[test]
fn a_kept_connection_that_is_looked_at_is_waited_for() {
    let mut host = host(Speaks::Http1);
    host.connected(1, "a", origin());
    assert!(host.take().is_some());
    host.look();
    waits(&mut host, [1]);
    assert_eq!(host.next(), None, "it may be usable");
    host.looked();
    assert_eq!(host.next(), Some(Step::Dial(1)));
}

#[test]
fn what_has_been_let_go_gives_back_no_second_place_and_is_not_kept() {
    let mut host = Bench::new(Speaks::Http1, Limits { idle: 9, connections: None, ..LIMITS });
    answered(&mut host, 1, "a");
    answered(&mut host, 2, "b");
    assert!(host.take().is_some());
    assert_eq!(host.suspect(u64::MAX), ["a"]);
    // Its task ends now.
    assert_eq!(host.gone(1), None);
    assert_eq!(host.standing.len(), 1);
    assert!(host.gone(2).is_some());
    assert_eq!(host.returned(2, "b", origin()), Some("b"));
    assert!(host.is_unused());
}

#[test]
fn with_nothing_kept_a_connection_over_http2_has_its_place_until_its_request_has_ended() {
    let limits = Limits { idle: 0, connections: Some(1), ..LIMITS };
    let mut host = Bench::new(Speaks::Http2, limits);
    waits(&mut host, [1, 2]);
    assert_eq!(host.next(), Some(Step::Dial(1)));
    host.connected_shared(7, "h2", origin());
    assert!(matches!(host.next(), Some(Step::Send(1, Room::Shared("h2", true), 1))));
    assert_eq!(host.next(), None, "there is one");
    assert!(host.stream_ended(7, origin()), "it is of no further use");
    assert_eq!(host.gone(7), Some((None, None)));
    assert_eq!(host.next(), Some(Step::Dial(2)));
}
