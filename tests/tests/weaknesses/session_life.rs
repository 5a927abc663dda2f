//! B: how a session lasts, is replaced and ends.

use std::time::{Duration, Instant};

use bytes::Bytes;
use mstr::core::Timer;
use mstr::{BaseUrl, CloseOutcome, Credentials, ErrorKind};
use mstr_core::session::{Access, Output, Session, SessionConfig};
use mstr_fake::{Fault, Purpose, ReplyBody, Server, VirtualTime};
use mstr_suite::{Lab, server};

use crate::network::{Network, response};

const DAY: Duration = Duration::from_secs(86_400);

/// A server that tells a shorter idle timeout than it has, so that a session that seems to have
/// been idle for too long is still alive.
fn patient() -> Fault {
    Fault::answer("/api/sessions", 200, "application/json", r#"{"timeout": 60}"#).once()
}

/// Lets the machine do what it wants to do now.
fn drive(session: &mut Session, server: &mut Server, now: Instant) {
    while !session.is_settled() {
        match session.poll_output() {
            Output::Send(exchange) => {
                let reply = server.handle(exchange.request, now);
                let answer = reply.response.map(|body| match body {
                    ReplyBody::Bytes(bytes) => bytes,
                    _ => Bytes::new(),
                });
                session.handle_response(exchange.id, Ok(answer), now);
            }
            Output::Wait(_) => break,
            _ => {}
        }
    }
}

/// 12.
#[test]
fn a_clock_that_steps_back_costs_no_renewal() {
    let mut server = server().build();
    let base = BaseUrl::parse("https://env.example.com/MicroStrategyLibrary").unwrap();
    let credentials = Credentials::standard("alice", "secret");
    let mut session = Session::new(SessionConfig::new(base), Some(credentials)).unwrap();
    let opened = VirtualTime::new().now() + DAY;
    assert!(matches!(session.request_access(opened), Access::Pending));
    drive(&mut session, &mut server, opened);
    let seconds = Duration::from_secs;
    for now in [opened - seconds(1), opened - seconds(3_600), opened, opened + seconds(1)] {
        assert!(matches!(session.request_access(now), Access::Granted(_)));
        assert!(session.is_settled(), "nothing is to be sent");
    }
    assert_eq!(server.journal().count(Purpose::Renew), 0);
    assert_eq!(server.journal().count(Purpose::Login), 1);
}

/// Weakness 13. Between the last moment at which the server takes a session for alive and the
/// first at which the client takes it for dead there is no gap.
#[test]
fn no_idle_time_leads_to_a_refused_call() {
    for idle in (1_000..4_000).step_by(50) {
        Lab::in_memory(async move |lab| {
            let Lab::Memory(time) = &lab else { unreachable!("in memory") };
            let short = server().session_timeout(Duration::from_secs(2));
            let world = lab.start(short.latency(Duration::from_millis(20)));
            let connection = world.connect().await;
            time.sleep(Duration::from_millis(idle)).await;
            connection.get("/api/echo").send().await.unwrap();
            world.server(|server| {
                let calls = server.journal().entries().iter();
                let calls: Vec<_> =
                    calls.filter(|entry| entry.purpose == Purpose::Call).cloned().collect();
                assert_eq!(calls.len(), 1, "{idle} ms");
                assert_eq!(calls[0].status.unwrap(), 200, "{idle} ms");
            });
            connection.close().await;
        });
    }
}

/// 15.
#[test]
fn a_living_session_is_extended_once_however_many_tasks_come_back_to_it() {
    Lab::in_memory(async |lab| {
        let Lab::Memory(time) = &lab else { unreachable!("in memory") };
        let world = lab.start(server().fault(patient()).latency(Duration::from_millis(20)));
        let connection = world.connect().await;
        time.sleep(Duration::from_secs(120)).await;
        let tasks: Vec<_> = (0..20)
            .map(|_| {
                let connection = connection.clone();
                time.spawn(async move { connection.get("/api/echo").send().await.map(drop) })
            })
            .collect();
        for task in tasks {
            task.await.unwrap().unwrap();
        }
        assert_eq!(world.count(Purpose::Renew), 1);
        assert_eq!((world.logins(), world.open_sessions()), (1, 1));
        connection.close().await;
    });
}

/// 16.
#[test]
fn a_stampede_on_a_server_that_allows_one_session_succeeds() {
    for round in 0..10 {
        let time = VirtualTime::seeded(round);
        let lab = Lab::Memory(time.clone());
        let strict = server().max_sessions_per_user(1);
        let world = lab.start(strict.latency(Duration::from_millis(20)));
        time.run(async {
            let connection = world.connect().await;
            world.server(|server| server.expire_all_sessions());
            let tasks: Vec<_> = (0..20)
                .map(|_| {
                    let connection = connection.clone();
                    time.spawn(async move { connection.get("/api/echo").send().await.map(drop) })
                })
                .collect();
            for task in tasks {
                task.await.unwrap().unwrap();
            }
            // And the connection is none the worse for it.
            connection.get("/api/echo").send().await.unwrap();
            assert_eq!(world.logins(), 2);
            assert_eq!(world.open_sessions(), 1);
            let mixed = world.server(|server| server.journal().mismatched_cookie_and_token());
            assert_eq!(mixed, 0);
            connection.close().await;
        });
    }
}

/// 17.
#[test]
fn renewal_that_is_slow_is_waited_for_and_fails_no_call() {
    Lab::in_memory(async |lab| {
        let Lab::Memory(time) = &lab else { unreachable!("in memory") };
        let slow: Fault = "renew:*:slow=7000".parse().unwrap();
        let world = lab.start(server().fault(patient()).fault(slow));
        let connection = world.connect().await;
        for round in 1..3 {
            time.sleep(Duration::from_secs(120)).await;
            connection.get("/api/echo").send().await.unwrap();
            assert_eq!(world.count(Purpose::Renew), round);
        }
        assert_eq!(world.logins(), 1);
        connection.close().await;
    });
}

/// 19.
#[test]
fn a_server_that_forbids_to_ask_for_the_timeout_is_usable() {
    for status in [403, 404, 405] {
        Lab::in_memory(async move |lab| {
            let Lab::Memory(time) = &lab else { unreachable!("in memory") };
            let rule = format!("inspect:*:status={status}").parse::<Fault>().unwrap();
            let world = lab.start(server().fault(rule));
            let connection = world.connect().await;
            for _ in 0..3 {
                time.sleep(Duration::from_secs(500)).await;
                connection.get("/api/echo").send().await.unwrap();
            }
            assert_eq!(world.logins(), 1, "{status}");
            connection.close().await;
        });
    }
}

/// 19: Gateways rewrite schemes and paths, and forget the cookies about it.
#[test]
fn cookies_are_sent_back_whatever_scheme_and_path_they_name() {
    Lab::in_memory(async |lab| {
        let world = lab.start(server());
        let network = Network::of(&[&world]);
        let base = "http://gateway.example/Library";
        network.answer(&format!("{base}/api/auth/login"), || {
            response(
                204,
                &[
                    ("x-mstr-authtoken", "t0k3n"),
                    ("set-cookie", "JSESSIONID=one; Path=/MicroStrategyLibrary; Secure"),
                    ("set-cookie", "AWSALB=two; Path=/; SameSite=None; Secure"),
                ],
            )
        });
        network.answer(&format!("{base}/api/echo"), || response(200, &[]));
        network.answer(&format!("{base}/api/auth/logout"), || response(204, &[]));
        let builder = network.builder(base).allow_insecure_http().checks(false);
        let connection = builder.connect().await.unwrap();
        connection.get("/api/echo").send().await.unwrap();
        connection.close().await;
        let seen = network.seen_at(&format!("{base}/api/echo")).remove(0);
        assert_eq!(seen.headers["cookie"], "JSESSIONID=one; AWSALB=two");
    });
}

/// 21.
#[test]
fn a_closed_connection_does_not_come_back_to_life_after_days() {
    Lab::in_memory(async |lab| {
        let Lab::Memory(time) = &lab else { unreachable!("in memory") };
        let world = lab.start(server());
        let connection = world.connect().await;
        connection.close().await;
        let before = world.server(|server| server.journal().len());
        for _ in 0..3 {
            time.sleep(DAY).await;
            let error = connection.get("/api/echo").send().await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Closed);
            assert_eq!(connection.open().await.unwrap_err().kind(), ErrorKind::Closed);
        }
        assert_eq!(world.server(|server| server.journal().len()), before, "nothing was sent");
        assert_eq!(world.open_sessions(), 0);
    });
}

/// 22.
#[test]
fn however_a_logout_fails_the_connection_is_closed_and_the_outcome_the_body_s_own() {
    for rule in [
        "logout:*:status=401",
        "logout:*:status=404",
        "logout:*:status=500",
        "logout:*:status=503",
        "logout:*:reset-before",
        "logout:*:reset-after",
        "logout:*:refuse",
        "logout:*:stall",
    ] {
        Lab::in_memory(async move |lab| {
            let Lab::Memory(time) = &lab else { unreachable!("in memory") };
            let world = lab.start(server().fault(rule.parse().unwrap()));
            let connection = world.connect().await;
            let begun = time.elapsed();
            let body = connection.clone().scope(async |_| Err::<(), _>("the body's own")).await;
            assert_eq!(body, Err("the body's own"), "{rule}");
            assert!(time.elapsed() - begun <= Duration::from_secs(60), "{rule}");
            assert!(connection.expose_token().is_none(), "{rule}");
            let outcome = connection.close().await;
            assert!(
                matches!(outcome, CloseOutcome::Failed(_) | CloseOutcome::AlreadyEnded),
                "{rule}: {outcome:?}"
            );
            let error = connection.get("/api/echo").send().await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Closed, "{rule}");
        });
    }
}

/// 23.
#[test]
fn a_login_carries_nothing_of_the_session_it_replaces() {
    Lab::in_memory(async |lab| {
        let world = lab.start(server());
        let network = Network::of(&[&world]);
        let connection = network.builder(&world.base_url).connect().await.unwrap();
        for _ in 0..3 {
            world.server(|server| server.expire_all_sessions());
            connection.get("/api/echo").send().await.unwrap();
        }
        connection.close().await;
        let logins = network.seen_at(&format!("{}/api/auth/login", world.base_url));
        assert_eq!(logins.len(), 4);
        for login in logins {
            assert!(!login.headers.contains_key("x-mstr-authtoken"));
            assert!(!login.headers.contains_key("cookie"));
        }
    });
}

/// Weakness 24.
#[test]
fn a_cookie_that_is_exchanged_on_every_answer_costs_no_login() {
    for (seed, tasks) in [(0, 2), (1, 8), (2, 8), (3, 20), (4, 64)] {
        let time = VirtualTime::seeded(seed);
        let rotating = server().rotate_jsessionid(true).latency(Duration::from_millis(20));
        let world = Lab::Memory(time.clone()).start(rotating);
        time.run(async {
            let connection = world.connect().await;
            let tasks: Vec<_> = (0..tasks)
                .map(|_| {
                    let connection = connection.clone();
                    time.spawn(async move {
                        for _ in 0..20 {
                            connection.get("/api/echo").send().await.unwrap();
                        }
                    })
                })
                .collect();
            for task in tasks {
                task.await.unwrap();
            }
            assert_eq!(world.logins(), 1);
            assert_eq!(world.server(|server| server.orphan_sessions()), 0);
            connection.close().await;
        });
        assert_eq!(world.open_sessions(), 0);
    }
}

/// Weakness 39. The total time holds for a body that stalls, too.
#[test]
fn a_body_that_stalls_ends_with_the_call_s_total_time() {
    Lab::in_memory(async |lab| {
        let Lab::Memory(time) = &lab else { unreachable!("in memory") };
        let stalled = server().fault("call:*:stall-mid-body".parse().unwrap());
        let world = lab.start(stalled);
        let connection = world.connect().await;
        let begun = time.elapsed();
        let limit = Duration::from_millis(500);
        let response = connection.get("/api/echo").timeout(limit).send().await.unwrap();
        let error = response.bytes().await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Timeout);
        assert_eq!(time.elapsed() - begun, limit);
        connection.close().await;
    });
}
