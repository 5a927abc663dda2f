//! The cost of opening, and the state after a failure.

use std::time::Duration;

use mstr::{ErrorKind, RetryPolicy, Timeouts};
use mstr_fake::{Fault, Purpose};
use mstr_suite::{Lab, login_modes, server};

#[test]
fn connecting_takes_two_round_trips_and_one_without_checks() {
    let latency = Duration::from_millis(50);
    Lab::in_memory(async move |lab| {
        let Lab::Memory(time) = &lab else { unreachable!("in memory") };
        for by_id in [false, true] {
            let world = lab.start(server().latency(latency));
            let builder = world.builder();
            let builder = if by_id {
                builder.project_id("B7CA92F04B9FAE8D941C3E9B7E0CD754")
            } else {
                builder.project_name("MicroStrategy Tutorial")
            };
            let begun = time.elapsed();
            let connection = builder.connect().await.unwrap();
            assert_eq!(time.elapsed() - begun, latency * 2);
            assert_eq!(world.server(|server| server.journal().sequential_round_trips()), 2);
            connection.close().await;
        }
        let world = lab.start(server().latency(latency));
        let connection = world.builder().checks(false).connect().await.unwrap();
        assert_eq!(world.server(|server| server.journal().sequential_round_trips()), 1);
        connection.close().await;
    });
}

#[test]
fn a_second_login_asks_for_nothing_again() {
    Lab::in_memory(async |lab| {
        let world = lab.start(server());
        let connection =
            world.builder().project_name("Platform Analytics").connect().await.unwrap();
        let asked = |world: &mstr_suite::World| {
            [Purpose::Inspect, Purpose::Status, Purpose::Projects]
                .map(|purpose| world.count(purpose))
        };
        assert_eq!(asked(&world), [1, 1, 1]);
        world.server(|server| server.expire_all_sessions());
        connection.get("/api/echo").send().await.unwrap();
        assert_eq!(asked(&world), [1, 1, 1]);
        connection.close().await;
    });
}

#[test]
fn a_check_that_fails_once_is_asked_again_in_the_same_session() {
    for rule in ["inspect:1:status=503", "status:1:reset-after", "projects:1:reset-mid-body"] {
        Lab::in_memory(async move |lab| {
            let world = lab.start(server().fault(rule.parse().unwrap()));
            let connection =
                world.builder().project_name("MicroStrategy Tutorial").connect().await.unwrap();
            assert_eq!(world.logins(), 1, "{rule}");
            connection.close().await;
            assert_eq!(world.open_sessions(), 0);
        });
    }
}

#[test]
fn opening_that_fails_anywhere_leaves_no_session() {
    let checks = ["inspect", "status", "projects"];
    let effects =
        ["status=500", "status=503", "status=301", "reset-before", "reset-after", "stall"];
    for check in checks {
        // A status that cannot be read does not prevent connecting.
        let read =
            |effect: &&str| check != "status" || !["status=500", "status=301"].contains(effect);
        for effect in effects.into_iter().filter(read) {
            Lab::in_memory(async move |lab| {
                let rule = format!("{check}:*:{effect}").parse::<Fault>().unwrap();
                let world = lab.start(server().fault(rule));
                let connecting = world.builder().project_name("MicroStrategy Tutorial").connect();
                connecting.await.unwrap_err();
                assert_eq!(world.open_sessions(), 0, "{check} {effect}");
                assert_eq!(world.count(Purpose::Logout), 1, "{check} {effect}");
            });
        }
    }
}

#[test]
fn a_login_that_is_answered_too_late_is_logged_out() {
    // The server answers after 70 seconds; the machine waits 60.
    Lab::in_memory(async |lab| {
        let Lab::Memory(time) = &lab else { unreachable!("in memory") };
        let rule = "login:1:slow=70000".parse::<Fault>().unwrap();
        let world = lab.start(server().fault(rule));
        let connection = world.builder().build().unwrap();
        connection.get("/api/echo").timeout(Duration::from_secs(200)).send().await.unwrap();
        assert_eq!(world.logins(), 2);
        time.sleep(Duration::from_secs(30)).await;
        assert_eq!(world.open_sessions(), 1, "only the one in use is left");
        connection.close().await;
        assert_eq!(world.open_sessions(), 0);
    });
}

#[test]
fn a_login_without_retries_is_tried_once() {
    Lab::in_memory(async |lab| {
        let world = lab.start(server().fault("login:*:status=503".parse().unwrap()));
        let error = world.builder().retry(RetryPolicy::never()).connect().await.unwrap_err();
        assert_eq!((error.kind(), error.attempts()), (ErrorKind::Server, 1));
        assert_eq!(world.logins(), 1);
    });
}

#[test]
fn a_session_limit_is_told_at_once() {
    Lab::in_memory(async |lab| {
        let world = lab.start(server().max_sessions_per_user(1));
        let first = world.connect().await;
        let error = world.builder().connect().await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::SessionLimit);
        assert_eq!(world.logins(), 2, "a 500, and yet not repeated");
        first.close().await;
        world.connect().await.close().await;
    });
}

#[test]
fn a_login_honours_the_server_s_wait() {
    Lab::in_memory(async |lab| {
        let Lab::Memory(time) = &lab else { unreachable!("in memory") };
        let world = lab.start(server().fault("login:1:status=503,retry-after=30".parse().unwrap()));
        let begun = time.elapsed();
        let connection = world.connect().await;
        let waited = time.elapsed() - begun;
        assert!(waited >= Duration::from_secs(30), "{waited:?}");
        connection.close().await;
    });
}

#[test]
fn opening_takes_no_longer_than_a_call_may() {
    let total = Duration::from_secs(5);
    for (rule, kind, took) in [
        ("login:*:stall", ErrorKind::Timeout, total),
        // A wait that ends after that is not begun.
        ("login:*:status=503,retry-after=60", ErrorKind::Server, Duration::ZERO),
    ] {
        Lab::in_memory(async move |lab| {
            let Lab::Memory(time) = &lab else { unreachable!("in memory") };
            let world = lab.start(server().fault(rule.parse().unwrap()));
            let timeouts = Timeouts::new().total(Some(total));
            let error = world.builder().timeouts(timeouts).connect().await.unwrap_err();
            assert_eq!(error.kind(), kind, "{rule}");
            assert_eq!(time.elapsed(), took, "{rule}");
        });
    }
}

#[test]
fn closing_does_not_wait_for_a_login_or_a_logout_that_hangs() {
    for rule in ["login:1:slow=40000", "logout:*:stall"] {
        Lab::in_memory(async move |lab| {
            let Lab::Memory(time) = &lab else { unreachable!("in memory") };
            let world = lab.start(server().fault(rule.parse().unwrap()));
            let connection = world.builder().build().unwrap();
            let hasty = connection.get("/api/echo").timeout(Duration::from_secs(1)).send();
            drop(hasty.await);
            let begun = time.elapsed();
            connection.close().await;
            let took = time.elapsed() - begun;
            assert!(took <= Duration::from_secs(10), "{rule}: {took:?}");
            if rule.starts_with("login") {
                // The session that the login has opened after all is logged out in the background.
                time.sleep(Duration::from_secs(60)).await;
                assert_eq!(world.open_sessions(), 0);
            }
        });
    }
}

#[test]
fn status_that_hangs_beside_the_login_is_left_when_the_connection_is_closed() {
    Lab::in_memory(async |lab| {
        let Lab::Memory(time) = &lab else { unreachable!("in memory") };
        let rule = |text: &str| text.parse::<Fault>().unwrap();
        let faults = server().fault(rule("login:1:slow=3000")).fault(rule("status:*:stall"));
        let world = lab.start(faults);
        let connection = world.builder().build().unwrap();
        let hasty = connection.get("/api/echo").timeout(Duration::from_secs(1)).send();
        drop(hasty.await);
        let begun = time.elapsed();
        connection.close().await;
        assert_eq!(time.elapsed() - begun, Duration::from_secs(2), "as long as the login takes");
        time.sleep(Duration::from_secs(120)).await;
        assert_eq!((world.count(Purpose::Status), world.open_sessions()), (1, 0));
    });
}

#[test]
fn a_timeout_of_zero_is_an_error_that_names_it() {
    Lab::in_memory(async |lab| {
        let world = lab.start(server());
        let zero = Duration::ZERO;
        for (timeouts, name) in [
            (Timeouts::new().connect(zero), "connect"),
            (Timeouts::new().attempt(zero), "attempt"),
            (Timeouts::new().total(Some(zero)), "total"),
            (Timeouts::new().idle_body(zero), "idle_body"),
        ] {
            let error = world.builder().timeouts(timeouts).build().unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Config);
            assert!(error.to_string().contains(name), "{error}");
        }
        let connection = world.connect().await;
        let error = connection.get("/api/echo").timeout(zero).send().await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Usage);
        connection.close().await;
    });
}

#[test]
fn a_login_whose_answer_loses_its_body_has_opened_a_session_all_the_same() {
    Lab::in_memory(async |lab| {
        let world = lab.start(server().fault("login:1:reset-mid-body".parse().unwrap()));
        let connection = world.connect().await;
        assert_eq!((world.logins(), world.open_sessions()), (1, 1));
        connection.close().await;
        assert_eq!(world.open_sessions(), 0);
    });
}

/// The one list of login modes for people, from the modes themselves.
#[test]
fn the_document_has_the_table_of_login_modes() {
    let root = concat!(env!("CARGO_MANIFEST_DIR"), "/..");
    let read = |path: &str| std::fs::read_to_string(format!("{root}/{path}")).unwrap();
    let builder = read("crates/mstr-core/src/builder.rs");
    let mut table = String::from("\n| mode | number | |\n|---|---|---|\n");
    for mode in login_modes() {
        let method = mode.to_string().replace('-', "_");
        let signature = builder.split_once(&format!("pub fn {method}(")).map(|(_, rest)| rest);
        let signature = signature.unwrap_or_else(|| panic!("the builder has no method {method}"));
        let arguments = if signature.starts_with("self)") { "" } else { ".." };
        let number = u32::from(mode);
        table.push_str(&format!("| `{mode}` | {number} | `.{method}({arguments})` |\n"));
    }
    table.push('\n');
    let (begin, end) = ("<!-- begin: login modes -->\n", "<!-- end: login modes -->");
    let text = read("README.md").replace("\r\n", "\n");
    let (before, rest) = text.split_once(begin).unwrap();
    let (shown, after) = rest.split_once(end).unwrap();
    #[expect(clippy::disallowed_methods, reason = "set by `cargo xtask generate` for this test")]
    if std::env::var("MSTR_GENERATE").is_ok_and(|value| value == "1") {
        let text = format!("{before}{begin}{table}{end}{after}");
        std::fs::write(format!("{root}/README.md"), text).unwrap();
        return;
    }
    assert_eq!(shown, table, "README.md is out of date: run `cargo xtask generate`");
}
