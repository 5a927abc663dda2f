//! How long things take, and what errors say about it.

use std::time::{Duration, Instant};

use async_trait::async_trait;
use http::{Request, Response};
use mstr::{
    BlockingTransport, Body, BoxError, CloseOutcome, CredentialProvider, Credentials, ErrorKind,
    Timeouts, TransportError, blocking,
};
use mstr_fake::{FakeTransport, Purpose, VirtualTime};

use crate::rig::{Driver, Setting, on_both, server};

#[test]
fn timeout_that_is_longer_than_an_attempt_waits_for_one_slow_report() {
    on_both(|driver| {
        let rig = driver.open(server());
        rig.open().unwrap();
        rig.fault("call:*:slow=90000");
        rig.within(Duration::from_secs(600), "/api/echo").unwrap();
        assert_eq!(rig.count(Purpose::Call), 1, "the report is run once");
        rig.close();
    });
}

#[test]
fn timeout_says_which_limit_was_reached_how_long_it_is_and_what_raises_it() {
    on_both(|driver| {
        let timeouts = Timeouts::new().attempt(Duration::from_secs(20));
        let rig = driver.with(server(), Setting { timeouts, ..Setting::default() });
        rig.open().unwrap();
        rig.fault("call:*:stall");
        let error = rig.upload("/api/echo").unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Timeout);
        let text = error.to_string();
        assert!(
            text.contains("attempt timeout of 20s") && text.contains("Timeouts::attempt"),
            "{text}"
        );
        let error = rig.within(Duration::from_secs(7), "/api/echo").unwrap_err();
        let text = error.to_string();
        assert!(text.contains("total timeout of 7s") && text.contains("timeout()"), "{text}");
        rig.close();
    });
}

#[test]
fn total_bounds_opening_renewing_and_closing_of_tasks() {
    total_bounds_opening_renewing_and_closing(Driver::Tasks);
}

#[test]
fn total_bounds_opening_renewing_and_closing_of_threads() {
    total_bounds_opening_renewing_and_closing(Driver::Threads);
}

fn total_bounds_opening_renewing_and_closing(driver: Driver) {
    let total = Duration::from_secs(3);
    for (rule, operation) in [
        ("login:1:stall", "login"),
        ("projects:1:stall", "login"),
        ("projects:1:stall-mid-body", "login"),
        ("renew:1:stall", "renew"),
        ("logout:1:stall", "logout"),
    ] {
        eprintln!("{rule}");
        let timeouts = Timeouts::new().total(Some(total));
        let project = Some("MicroStrategy Tutorial");
        let rig = driver.with(server(), Setting { timeouts, project, ..Setting::default() });
        if operation != "login" {
            rig.open().unwrap();
        }
        rig.fault(rule);
        let begun = rig.elapsed();
        let error = match operation {
            "login" => rig.open().unwrap_err(),
            "renew" => rig.renew().unwrap_err(),
            _ => match rig.close() {
                CloseOutcome::Failed(error) => error,
                other => panic!("{other:?}"),
            },
        };
        assert_eq!((error.kind(), error.operation()), (ErrorKind::Timeout, Some(operation)));
        assert!(error.to_string().contains("total timeout of 3s"), "{error}");
        if operation != "logout" {
            assert_eq!(rig.elapsed() - begun, total, "{rule}");
            rig.close();
        } else if driver == Driver::Threads {
            assert_eq!(rig.elapsed() - begun, total, "{rule}");
        }
    }
}

#[test]
fn total_of_a_call_bounds_the_login_that_it_leads() {
    on_both(|driver| {
        let rig = driver.open(server());
        rig.fault("login:1:stall");
        let total = Duration::from_secs(2);
        for round in 1..=3 {
            let error = rig.within(total, "/api/echo").unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Timeout, "{error}");
            assert_eq!((rig.elapsed(), rig.logins()), (total * round, 1));
        }
        rig.close();
    });
}

#[test]
fn total_is_exceeded_by_one_attempt_where_the_transport_sends_in_place() {
    #[derive(Debug)]
    struct InPlace(FakeTransport);

    impl BlockingTransport for InPlace {
        fn send(&self, request: Request<Body>) -> Result<Response<Body>, TransportError> {
            BlockingTransport::send(&self.0, request)
        }

        fn now(&self) -> Instant {
            self.0.now()
        }

        fn sleep_until(&self, deadline: Instant) {
            self.0.sleep_until(deadline);
        }
    }

    let time = VirtualTime::new();
    let fake = FakeTransport::new(server().build(), time.clone());
    fake.server(|server| server.add_fault("login:1:stall".parse().unwrap()));
    let (total, attempt) = (Duration::from_secs(3), Duration::from_secs(20));
    let connection = blocking::Connection::builder(fake.base_url())
        .standard("alice", "secret")
        .timeouts(Timeouts::new().total(Some(total)).attempt(attempt))
        .blocking_transport(InPlace(fake.clone()))
        .build()
        .unwrap();
    let error = connection.open().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Timeout, "{error}");
    assert_eq!(time.elapsed(), attempt);
    connection.open().unwrap();
    connection.close();
}

#[test]
fn login_that_outlives_its_caller_is_finished_by_the_next_one_without_another_submission() {
    on_both(|driver| {
        let rig = driver.open(server());
        rig.fault("login:1:slow=5000");
        let error = rig.within(Duration::from_secs(2), "/api/echo").unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Timeout, "{error}");
        assert_eq!(rig.elapsed(), Duration::from_secs(2));
        rig.get("/api/echo").unwrap();
        assert_eq!(rig.elapsed(), Duration::from_secs(5), "it has gone on meanwhile");
        assert_eq!((rig.logins(), rig.left()), (1, 1));
        rig.close();
        assert_eq!(rig.left(), 0);
    });
}

#[test]
fn login_that_fails_after_its_caller_has_left_is_told_to_the_next_one() {
    on_both(|driver| {
        let rig = driver.open(server());
        rig.fault("login:1:slow=5000");
        rig.fault("login:1:error=500,ERR001");
        rig.within(Duration::from_secs(2), "/api/echo").unwrap_err();
        rig.pass(Duration::from_secs(10));
        let error = rig.get("/api/echo").unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Server, "{error}");
        assert_eq!(rig.logins(), 1);
        rig.get("/api/echo").unwrap();
        assert_eq!(rig.logins(), 2);
        rig.close();
    });
}

#[test]
fn login_that_was_answered_in_time_counts_however_late_the_next_thread_comes() {
    let rig = Driver::Threads.open(server());
    rig.fault("login:1:slow=5000");
    rig.within(Duration::from_secs(2), "/api/echo").unwrap_err();
    rig.pass(Duration::from_secs(100));
    rig.get("/api/echo").unwrap();
    assert_eq!((rig.logins(), rig.left()), (1, 1));
    rig.close();
}

#[test]
fn login_under_way_when_the_last_handle_is_dropped_leaves_no_session() {
    on_both(|driver| {
        let rig = driver.open(server());
        rig.fault("login:1:slow=5000");
        rig.within(Duration::from_secs(2), "/api/echo").unwrap_err();
        assert_eq!(rig.logins(), 1);
        let (fake, time) = (rig.fake.clone(), rig.time.clone());
        drop(rig);
        time.run_until_idle();
        assert_eq!(fake.server(|server| server.journal().count(Purpose::Logout)), 1);
        assert_eq!(fake.server(|server| server.open_sessions()), 0);
    });
}

/// Never gives any credentials.
#[derive(Debug)]
struct Never;

#[async_trait]
impl CredentialProvider for Never {
    async fn credentials(&self) -> Result<Credentials, BoxError> {
        std::future::pending().await
    }
}

#[test]
fn provider_that_never_returns_does_not_delay_a_caller_beyond_its_time() {
    on_both(|driver| {
        let total = Duration::from_secs(3);
        let rig = driver.provided_within(server(), total, Never);
        let error = rig.open().unwrap_err();
        assert_eq!((error.kind(), error.operation()), (ErrorKind::Timeout, Some("login")));
        assert_eq!(rig.elapsed(), total);
        let error = rig.within(Duration::from_secs(1), "/api/echo").unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Timeout);
        assert_eq!(rig.elapsed(), total + Duration::from_secs(1));
        assert!(matches!(rig.close(), CloseOutcome::NotOpen));
        assert_eq!(rig.elapsed(), total + Duration::from_secs(1), "closing is not held up");
        assert_eq!(rig.get("/api/echo").unwrap_err().kind(), ErrorKind::Closed);
        assert_eq!(rig.logins(), 0);
    });
}

#[test]
fn project_header_of_a_caller_is_obeyed() {
    const OTHER: &str = "00000000000000000000000000000001";
    on_both(|driver| {
        let setting = Setting { project: Some("MicroStrategy Tutorial"), ..Setting::default() };
        let rig = driver.with(server(), setting);
        let own = rig.get("/api/echo").unwrap();
        assert!(own.body.contains("x-mstr-projectid"), "{}", own.body);
        assert!(!own.body.contains(OTHER));
        let error = rig.with_header("/api/echo", "X-MSTR-ProjectID", OTHER).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ProjectUnavailable, "{error}");
        rig.close();
    });
}

#[test]
fn answer_to_a_conditional_request_is_delivered_also_where_nothing_has_changed() {
    on_both(|driver| {
        let rig = driver.open(server());
        rig.fault("call:*:status=304");
        let answered = rig.with_header("/api/echo", "If-None-Match", "\"1\"").unwrap();
        assert_eq!(answered.status, 304);
        let error = rig.get("/api/echo").unwrap_err();
        assert_eq!(error.status().map(|status| status.as_u16()), Some(304), "it was not asked for");
        rig.close();
    });
}

/// A caller with three seconds.
fn hurried() -> Setting {
    Setting { timeouts: Timeouts::new().total(Some(Duration::from_secs(3))), ..Setting::default() }
}

#[test]
fn retry_after_that_outlasts_its_caller_is_told_at_once() {
    on_both(|driver| {
        for (rule, operation) in [
            ("login:1:status=503,retry-after=120", "login"),
            ("login:1:status=429,retry-after=120", "login"),
            ("inspect:1:status=503,retry-after=120", "session info"),
            ("status:1:status=503,retry-after=120", "server status"),
            ("renew:1:status=503,retry-after=120", "renew"),
        ] {
            let rig = driver.with(server(), hurried());
            rig.fault(rule);
            let outcome = if operation == "renew" {
                rig.open().unwrap();
                rig.renew()
            } else {
                rig.open()
            };
            let error = outcome.unwrap_err();
            assert!(!error.is_timeout(), "{rule}: {error}");
            assert_eq!(error.operation(), Some(operation), "{rule}");
            assert!(matches!(error.status().unwrap().as_u16(), 503 | 429), "{rule}");
            assert_eq!(error.retry_after(), Some(Duration::from_secs(120)), "{rule}");
            assert_eq!(rig.elapsed(), Duration::ZERO, "{rule}: a wait was begun");
            rig.close();
            assert_eq!(rig.left(), 0, "{rule}");
        }
    });
}

#[test]
fn retry_after_that_outlasts_a_renewal_s_caller_is_told_at_once() {
    on_both(|driver| {
        let setting = Setting {
            timeouts: Timeouts::new().total(Some(Duration::from_secs(20))),
            ..Setting::default()
        };
        let rig = driver.with(server(), setting);
        rig.fault("login:1:status=503,retry-after=90");
        // The first caller learns of the pause, and the next one meets it.
        rig.renew().unwrap_err();
        let begun = rig.elapsed();
        let error = rig.renew().unwrap_err();
        assert!(error.retry_after().is_some(), "{error:?}");
        assert!(rig.elapsed() - begun < Duration::from_secs(1), "{:?}", rig.elapsed() - begun);
        assert_eq!(rig.logins(), 1);
        rig.close();
    });
}

#[test]
fn retry_after_is_waited_for_by_callers_that_have_the_time() {
    on_both(|driver| {
        for rule in [
            "login:1:status=503,retry-after=120",
            "inspect:1:status=503,retry-after=120",
            "projects:1:status=429,retry-after=120",
        ] {
            let project = Some("MicroStrategy Tutorial");
            let rig = driver.with(server(), Setting { project, ..Setting::default() });
            rig.fault(rule);
            let error = rig.within(Duration::from_secs(3), "/api/echo").unwrap_err();
            assert_eq!(error.retry_after(), Some(Duration::from_secs(120)), "{rule}");
            assert_eq!(rig.elapsed(), Duration::ZERO, "{rule}");
            rig.within(Duration::from_secs(200), "/api/echo").unwrap();
            assert_eq!(rig.elapsed(), Duration::from_secs(120), "{rule}");
            let logins = if rule.starts_with("login") { 2 } else { 1 };
            assert_eq!(rig.logins(), logins, "{rule}: nothing is begun anew");
            rig.close();
            assert_eq!(rig.left(), 0, "{rule}");
        }
    });
}

#[test]
fn retry_after_divides_callers_that_wait_together() {
    let rig = Driver::Tasks.open(server());
    rig.fault("login:1:status=503,retry-after=120");
    let told = rig.together(&[3, 200, 4, 300]);
    let at: Vec<_> = told.iter().map(|(error, at)| (error.is_some(), at.as_secs())).collect();
    assert_eq!(at, [(true, 0), (false, 120), (true, 0), (false, 120)]);
    let retry_after = told[0].0.as_ref().unwrap().retry_after();
    assert_eq!((retry_after, rig.logins()), (Some(Duration::from_secs(120)), 2));
}

#[test]
fn login_that_was_answered_in_time_counts_however_late_the_next_caller_comes() {
    on_both(|driver| {
        let rig = driver.open(server());
        rig.fault("login:1:slow=5000");
        let error = rig.within(Duration::from_secs(2), "/api/echo").unwrap_err();
        assert!(error.is_timeout(), "{error}");
        rig.pass(Duration::from_secs(100));
        rig.within(Duration::from_secs(2), "/api/echo").unwrap();
        assert_eq!((rig.logins(), rig.left()), (1, 1), "and is not begun anew");
        rig.close();
        assert_eq!(rig.left(), 0);
    });
}

#[test]
fn login_without_a_waiting_caller_leaves_no_session_when_the_last_handle_is_dropped() {
    on_both(|driver| {
        for hurried in [None, Some(Duration::from_millis(50))] {
            let rig = driver.open(server());
            rig.fault("login:1:slow=5000");
            rig.within(Duration::from_secs(2), "/api/echo").unwrap_err();
            rig.pass(Duration::from_secs(100));
            if let Some(total) = hurried {
                drop(rig.within(total, "/api/echo"));
            }
            let fake = rig.fake.clone();
            let time = rig.time.clone();
            drop(rig);
            time.run_until_idle();
            assert_eq!(fake.server(|server| server.open_sessions()), 0, "{hurried:?}");
        }
    });
}

#[test]
fn renewing_takes_no_longer_than_total_with_all_that_it_leads_to() {
    on_both(|driver| {
        let timeouts = Timeouts::new().total(Some(Duration::from_secs(10)));
        let rig = driver.with(server(), Setting { timeouts, ..Setting::default() });
        rig.fault("login:1:status=503,retry-after=8");
        rig.fault("login:2:status=503,retry-after=8");
        let error = rig.renew().unwrap_err();
        assert!(rig.elapsed() <= Duration::from_secs(10), "{:?}: {error}", rig.elapsed());
    });
}

#[test]
fn login_that_outlasts_the_total_of_a_connection_leaves_no_session() {
    on_both(|driver| {
        let rig = driver.with(server(), hurried());
        rig.fault("login:1:slow=20000");
        assert!(rig.open().unwrap_err().is_timeout());
        let (fake, time) = (rig.fake.clone(), rig.time.clone());
        drop(rig);
        time.run_until_idle();
        assert_eq!(fake.server(|server| server.open_sessions()), 0);
    });
}

#[test]
fn project_that_a_request_names_is_looked_up_in_the_request_s_own_time() {
    const NAME: &str = "Platform Analytics";
    let seconds = Duration::from_secs;
    on_both(|driver| {
        let rig = driver.open(server());
        rig.in_project(NAME, seconds(5), "/api/echo").unwrap();
        // The lookup takes all of it, or some of it, or fails.
        rig.fault("path=/api/projects:*:stall");
        let begun = rig.elapsed();
        let error = rig.in_project(NAME, seconds(5), "/api/echo").unwrap_err();
        assert_eq!((error.kind(), rig.elapsed() - begun), (ErrorKind::Timeout, seconds(5)));
        rig.heal();
        rig.fault("path=/api/projects:*:slow=4000");
        rig.fault("call:*:stall");
        let begun = rig.elapsed();
        let error = rig.in_project(NAME, seconds(5), "/api/echo").unwrap_err();
        assert_eq!((error.kind(), rig.elapsed() - begun), (ErrorKind::Timeout, seconds(5)));
        assert!(error.to_string().contains("total timeout of 5s"), "{error}");
        rig.heal();
        rig.fault("path=/api/projects:*:status=503");
        let lookups = rig.count(Purpose::Projects);
        let error = rig.in_project(NAME, seconds(5), "/api/echo").unwrap_err();
        assert_eq!((error.kind(), error.attempts()), (ErrorKind::Server, 1));
        assert_eq!(rig.count(Purpose::Projects) - lookups, 1);
    });
}
