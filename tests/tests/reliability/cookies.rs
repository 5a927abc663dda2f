//! Servers that exchange the session's cookie with every answer, and those that do it once.

use std::time::Duration;

use bytes::Bytes;
use futures_util::{StreamExt, poll, stream};
use http_body::Frame;
use http_body_util::StreamBody;
use mstr::{Body, CloseOutcome, Error, ErrorKind, SessionStatus};
use mstr_fake::{Fault, Purpose};

use crate::rig::{Driver, Rig, on_both, server};

const LATENCY: Duration = Duration::from_millis(100);

/// Tasks, on a server that has been seen to exchange the cookie with every answer.
fn in_turns() -> Rig {
    let rig = Driver::Tasks.open(server().rotate_jsessionid(true).latency(LATENCY));
    for _ in 0..5 {
        rig.get("/api/echo").unwrap();
    }
    rig
}

#[test]
fn status_never_ends_a_living_session_of_a_server_that_exchanges_cookies() {
    on_both(|driver| {
        let rig = driver.open(server().rotate_jsessionid(true));
        for _ in 0..10 {
            rig.get("/api/echo").unwrap();
            assert!(matches!(rig.status().unwrap(), SessionStatus::Active(_)));
        }
        assert_eq!(rig.logins(), 1);
        rig.close();
        assert_eq!(rig.left(), 0);
    });
}

#[test]
fn dead_session_where_turns_are_taken_costs_one_refused_request() {
    on_both(|driver| {
        let rig = driver.open(server().rotate_jsessionid(true));
        for _ in 0..5 {
            rig.get("/api/echo").unwrap();
        }
        rig.server(|server| server.expire_all_sessions());
        let (calls, logins) = (rig.count(Purpose::Call), rig.logins());
        let began = rig.elapsed();
        rig.get("/api/echo").unwrap();
        assert_eq!(rig.count(Purpose::Call) - calls, 2, "one is refused, one is answered");
        assert_eq!(rig.logins() - logins, 1);
        assert_eq!(rig.elapsed(), began, "and nothing is waited for");
        rig.close();
    });
}

#[test]
fn buffered_calls_with_a_call_in_the_loop_s_body_finish_as_fast_as_turns_allow() {
    let rig = in_turns();
    let (began, calls) = (rig.elapsed(), rig.count(Purpose::Call));
    let connection = rig.tasks();
    rig.time.run(async {
        let get = |number: u32| connection.get(format!("/api/echo?call={number}")).send();
        let mut answers = stream::iter(0..8).map(get).buffered(4);
        while let Some(answer) = answers.next().await {
            answer.unwrap();
            // Meanwhile the others are not polled; one of them has the turn.
            connection.get("/api/echo").send().await.unwrap();
        }
    });
    assert_eq!(rig.count(Purpose::Call) - calls, 16, "none was refused");
    assert_eq!(rig.elapsed() - began, LATENCY * 16);
    assert_eq!(rig.logins(), 1);
    rig.close();
}

#[test]
fn calls_that_are_alive_and_never_polled_again_do_not_block_others() {
    let rig = in_turns();
    let connection = rig.tasks();
    rig.time.run(async {
        let mut sent = Box::pin(connection.get("/api/echo?which=sent").send());
        let mut waiting = Box::pin(connection.get("/api/echo?which=waiting").send());
        assert!(poll!(sent.as_mut()).is_pending());
        assert!(poll!(waiting.as_mut()).is_pending());
        let began = rig.elapsed();
        connection.get("/api/echo").send().await.unwrap();
        assert_eq!(rig.elapsed() - began, LATENCY * 3, "both were before it");
        // Their answers wait for them.
        let calls = rig.count(Purpose::Call);
        assert!(sent.await.unwrap().text().await.unwrap().contains("which=sent"));
        assert!(waiting.await.unwrap().text().await.unwrap().contains("which=waiting"));
        assert_eq!(rig.count(Purpose::Call), calls);
    });
    rig.close();
    assert_eq!(rig.left(), 0);
}

#[test]
fn call_that_is_dropped_while_it_has_the_turn_or_waits_for_it_lets_the_next_through() {
    let rig = in_turns();
    let connection = rig.tasks();
    rig.time.run(async {
        let call = |path| Box::pin(connection.get(path).send());
        let (mut sent, mut waiting) = (call("/api/echo"), call("/api/blob?size=9"));
        let mut last = call("/api/echo");
        assert!(poll!(sent.as_mut()).is_pending());
        assert!(poll!(waiting.as_mut()).is_pending());
        assert!(poll!(last.as_mut()).is_pending());
        drop(waiting);
        // The answer, and the cookie in it, is lost: the next call finds out.
        drop(sent);
        last.await.unwrap();
    });
    let paths = |path| {
        rig.server(|server| {
            server.journal().entries().iter().filter(|entry| entry.path == path).count()
        })
    };
    assert_eq!(paths("/api/blob"), 0, "it was never sent");
    rig.close();
}

#[test]
fn upload_that_only_an_unpolled_caller_feeds_lapses_at_the_idle_limit() {
    let rig = in_turns();
    let connection = rig.tasks();
    rig.time.run(async {
        let unfed = Body::wrap(StreamBody::new(stream::pending::<Result<Frame<Bytes>, Error>>()));
        let mut upload = Box::pin(connection.post("/api/echo").body(unfed).send());
        assert!(poll!(upload.as_mut()).is_pending());
        let began = rig.elapsed();
        connection.get("/api/echo").send().await.unwrap();
        assert_eq!(rig.elapsed() - began, Duration::from_secs(30) + LATENCY);
        let error = upload.await.unwrap_err();
        let cause = std::error::Error::source(&error).unwrap().to_string();
        assert!(cause.contains("idle_body"), "{cause}");
    });
    rig.close();
    assert_eq!(rig.left(), 0);
}

#[test]
fn upload_in_its_turn_keeps_the_limit_of_its_attempt() {
    let rig = in_turns();
    let connection = rig.tasks();
    rig.time.run(async {
        rig.server(|server| server.add_fault("path=/api/echo:1:stall".parse().unwrap()));
        let pieces = stream::iter([Ok::<_, Error>(Frame::data(Bytes::from_static(b"one")))]);
        let upload = connection.post("/api/echo").body(Body::wrap(StreamBody::new(pieces)));
        let began = rig.elapsed();
        assert_eq!(upload.send().await.unwrap_err().kind(), ErrorKind::Timeout);
        assert!(rig.elapsed() - began <= Duration::from_secs(60));
    });
    rig.close();
}

#[test]
fn call_that_waits_for_its_turn_keeps_its_deadline() {
    let rig = in_turns();
    let connection = rig.tasks();
    rig.time.run(async {
        let mut sent = Box::pin(connection.get("/api/echo").send());
        assert!(poll!(sent.as_mut()).is_pending());
        let began = rig.elapsed();
        let late = connection.get("/api/echo").timeout(LATENCY / 2).send().await.unwrap_err();
        assert_eq!(late.kind(), ErrorKind::Timeout);
        assert_eq!(rig.elapsed() - began, LATENCY / 2);
        sent.await.unwrap();
    });
    rig.close();
}

#[test]
fn renewal_that_crosses_a_call_ends_no_living_session() {
    for guarded in [false, true] {
        let rig = Driver::Tasks.open(server().rotate_jsessionid(true).latency(LATENCY));
        rig.get("/api/echo").unwrap();
        if guarded {
            rig.fault("path=/api/v2/guarded:*:status=401");
        }
        // The refusal of the renewal is here before the answer that explains it.
        rig.fault("path=/api/echo:*:slow=50");
        for _ in 0..20 {
            rig.beside(if guarded { "/api/v2/guarded" } else { "/api/echo" });
            rig.pass(Duration::from_secs(5));
        }
        rig.get("/api/echo").unwrap();
        assert_eq!((rig.logins(), rig.left()), (1, 1), "{guarded}");
        assert!(matches!(rig.close(), CloseOutcome::LoggedOut));
        assert_eq!(rig.left(), 0);
    }
}

#[test]
fn cookies_that_are_huge_or_many_leave_room_for_the_session_and_its_logout() {
    on_both(|driver| {
        let huge = format!("huge={}; Path=/", "x".repeat(300_000));
        let mut server =
            server().max_head_size(8_192).fault(Fault::set_cookie(Purpose::Call, huge.as_bytes()));
        for number in 0..20 {
            let line = format!("c{number}={}; Path=/", "y".repeat(1_000));
            server = server.fault(Fault::set_cookie(Purpose::Login, line.as_bytes()));
        }
        let rig = driver.open(server);
        for _ in 0..3 {
            rig.get("/api/echo").unwrap();
        }
        assert_eq!(rig.logins(), 1);
        assert!(matches!(rig.close(), CloseOutcome::LoggedOut));
        assert_eq!(rig.left(), 0);
    });
}

#[test]
fn cookie_that_is_deleted_by_a_date_of_yesterday_is_sent_no_more() {
    on_both(|driver| {
        let kept = "sticky=a; Path=/";
        let server = server()
            .endpoint(http::Method::GET, "/api/v2/cookies", |request| {
                request.header("cookie").unwrap_or_default().to_owned()
            })
            .endpoint(http::Method::GET, "/api/v2/deletes", |_| {
                mstr_fake::Answer::new(204).with_header("date", "Fri, 27 Nov 2026 04:00:00 GMT")
            })
            .fault(Fault::set_cookie(Purpose::Login, kept.as_bytes()));
        let rig = driver.open(server);
        assert!(rig.get("/api/v2/cookies").unwrap().body.contains("sticky=a"));
        let deletion = b"sticky=; Path=/; Expires=Thu, 26 Nov 2026 04:00:00 GMT";
        rig.server(|server| server.add_fault(Fault::set_cookie(Purpose::Call, deletion)));
        rig.get("/api/v2/deletes").unwrap();
        assert!(!rig.get("/api/v2/cookies").unwrap().body.contains("sticky"));
        rig.close();
    });
}
