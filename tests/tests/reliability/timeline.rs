//! Why did it log in (renew, repeat, wait) just now? What a connection's timeline says, with both
//! drivers.

use std::time::Duration;

use mstr::{Credentials, ErrorKind, Timeline};

use crate::rig::{Driver, Rig, Setting, on_both, server};

const MINUTE: Duration = Duration::from_secs(60);

/// A connection that keeps many entries.
fn open(driver: Driver, server: mstr_fake::ServerBuilder) -> Rig {
    let described = Some(Box::new(|it: mstr::ConnectionBuilder| it.timeline(256)) as _);
    driver.with(server, Setting { described, ..Setting::default() })
}

/// Why the session in use was opened, without the time.
fn why(rig: &Rig, generation: u64) -> String {
    let timeline = rig.timeline();
    let opened = timeline.entries().filter(|entry| entry.kind() == "opened");
    let mut generations = opened.filter_map(|entry| entry.generation());
    let wanted = generations.find(|it| it.number() == generation).unwrap();
    untimed(&timeline.explain(wanted).unwrap())
}

fn untimed(timeline: &Timeline) -> String {
    let text = timeline.to_string();
    text.split_once(" s ").map_or_else(|| text.clone(), |(_, rest)| rest.to_owned())
}

/// The lines with such words.
fn lines(timeline: &Timeline, words: &str) -> Vec<String> {
    let text = timeline.to_string();
    text.lines().filter(|line| line.contains(words)).map(str::to_owned).collect()
}

/// Nothing that this side has done is without a cause, and every chain ends where something came from
/// outside.
pub(crate) fn assert_every_chain_has_a_root(timeline: &Timeline) {
    let entries: Vec<_> = timeline.entries().collect();
    for entry in &entries {
        let mut last = *entry;
        while let Some(cause) = last.cause() {
            assert!(cause < last.seq(), "{timeline}");
            let Some(found) = entries.iter().find(|it| it.seq() == cause) else {
                assert!(cause <= timeline.overwritten(), "{timeline}");
                break;
            };
            assert_eq!(found.root(), entry.root(), "{timeline}");
            last = *found;
        }
        if last.cause().is_none() {
            assert!(last.is_root(), "{} {last} has no cause:\n{timeline}", last.kind());
        }
    }
}

#[test]
fn timeline_says_that_the_first_login_was_for_a_caller() {
    on_both(|driver| {
        let rig = open(driver, server());
        rig.get("/api/echo").unwrap();
        assert_eq!(why(&rig, 1), "login (session 1) <- a caller needs a session");
        rig.get("/api/echo").unwrap();
        let timeline = rig.timeline();
        rig.get("/api/echo").unwrap();
        assert_eq!(timeline.calls() + 1, rig.timeline().calls());
        assert_eq!(rig.timeline().entries().count(), timeline.entries().count());
        rig.close();
        let closed = rig.timeline();
        let said = "closed: logged out <- 204 on logout (session 1) <- close was asked for";
        assert_eq!(lines(&closed, "closed").len(), 1, "{closed}");
        assert!(closed.to_string().ends_with(said), "{closed}");
        assert_every_chain_has_a_root(&closed);
    });
}

#[test]
fn timeline_says_that_the_version_was_asked_for_with_the_login() {
    on_both(|driver| {
        let rig = open(driver, server());
        rig.open().unwrap();
        let timeline = rig.timeline();
        let cause = |exchange: &str| {
            let mut sent = timeline.entries().filter(|entry| entry.kind() == "sent");
            sent.find(|entry| entry.exchange() == Some(exchange)).unwrap().cause()
        };
        assert!(cause("login").is_some());
        assert_eq!(cause("login"), cause("server status"), "{timeline}");
        rig.close();
        assert_every_chain_has_a_root(&rig.timeline());
    });
}

#[test]
fn error_of_a_late_login_does_not_say_that_the_version_was_late() {
    on_both(|driver| {
        let rule = |text: &str| text.parse::<mstr_fake::Fault>().unwrap();
        let silent = server().fault(rule("login:*:stall")).fault(rule("status:*:stall"));
        let described = |it: mstr::ConnectionBuilder| it.retry(mstr::RetryPolicy::never());
        let described = Some(Box::new(described) as _);
        let rig = driver.with(silent, Setting { described, ..Setting::default() });
        let error = rig.open().unwrap_err();
        let (told, all) = (error.timeline().unwrap().to_string(), rig.timeline());
        assert!(told.contains("login") && !told.contains("status"), "{told}\n\n{all}");
        assert_every_chain_has_a_root(&all);
        rig.close();
    });
}

#[test]
fn timeline_says_that_a_session_was_idle_for_too_long() {
    on_both(|driver| {
        let rig = open(driver, server().session_timeout(30 * MINUTE));
        rig.open().unwrap();
        rig.pass(31 * MINUTE);
        rig.get("/api/echo").unwrap();
        assert_eq!(
            why(&rig, 2),
            "login (session 2) <- session 1 expired: idle 31 min, the limit is 30 min <- \
             401 ERR009 on renew (session 1) <- idle 31 min, the limit is 30 min"
        );
        assert_every_chain_has_a_root(&rig.timeline());
    });
}

#[test]
fn timeline_says_which_call_found_the_session_gone() {
    on_both(|driver| {
        let rig = open(driver, server());
        rig.get("/api/echo").unwrap();
        rig.server(|server| server.expire_all_sessions());
        rig.get("/api/echo?token=hush").unwrap();
        assert_eq!(
            why(&rig, 2),
            "login (session 2) <- session 1 lost <- 401 ERR009 on GET /api/echo (session 1)"
        );
        let timeline = rig.timeline();
        let repeated = lines(&timeline, "repeated");
        assert_eq!(repeated.len(), 1, "{timeline}");
        assert!(repeated[0].contains(
            "GET /api/echo repeated in a new session (session 1) <- session 1 lost <- 401 ERR009"
        ));
        let json = serde_json::to_value(&timeline).unwrap();
        assert!(!format!("{timeline}{timeline:?}{json}").contains("hush"));
        let lost = json["entries"].as_array().unwrap().iter().find(|it| it["kind"] == "lost");
        assert_eq!(lost.unwrap()["root"], "server", "{json}");
        assert_every_chain_has_a_root(&timeline);
    });
}

#[test]
fn timeline_says_that_a_renewal_was_asked_for() {
    on_both(|driver| {
        let rig = open(driver, server());
        rig.open().unwrap();
        rig.renew().unwrap();
        let timeline = rig.timeline();
        let said = "session 1 renewed <- 204 on renew (session 1) <- renew was asked for";
        assert!(timeline.to_string().ends_with(said), "{timeline}");
        assert_every_chain_has_a_root(&timeline);
    });
}

#[test]
fn timeline_says_that_a_get_was_repeated_after_a_reset() {
    on_both(|driver| {
        let rig = open(driver, server());
        rig.open().unwrap();
        rig.fault("call:1:reset-after");
        rig.get("/api/echo").unwrap();
        let timeline = rig.timeline();
        let line = lines(&timeline, "GET /api/echo failed").pop().unwrap();
        let said = "because that may pass <- GET /api/echo failed: the connection was lost";
        assert!(line.contains("GET /api/echo waits") && line.ends_with(said), "{line}");
        assert_every_chain_has_a_root(&timeline);
    });
}

#[test]
fn timeline_says_that_the_server_asked_to_wait() {
    on_both(|driver| {
        let rig = open(driver, server());
        rig.open().unwrap();
        rig.fault("call:1:status=503,retry-after=7");
        rig.get("/api/echo").unwrap();
        let timeline = rig.timeline();
        let said = "GET /api/echo waits 7 s as the server asks (Retry-After) (session 1) <- \
                    503 on GET /api/echo (session 1)";
        assert!(timeline.to_string().ends_with(said), "{timeline}");
        assert_every_chain_has_a_root(&timeline);
    });
}

#[test]
fn error_says_which_attempts_of_its_call_came_before() {
    on_both(|driver| {
        let rig = open(driver, server());
        rig.open().unwrap();
        rig.fault("call:*:status=503");
        let error = rig.get("/api/echo").unwrap_err();
        let chain = error.timeline().unwrap();
        assert_eq!(chain.entries().filter(|it| it.kind() == "answered").count(), 3, "{chain}");
        assert!(chain.to_string().ends_with("503 on GET /api/echo (session 1)"), "{chain}");
        rig.heal();
        let error = rig.get("/api/nowhere").unwrap_err();
        assert!(error.timeline().is_none(), "a refusal at once has no story");
    });
}

#[test]
fn error_of_a_refused_password_says_who_wanted_the_session() {
    on_both(|driver| {
        let credentials = Some(Credentials::standard("alice", "wrong"));
        let rig = driver.with(server(), Setting { credentials, ..Setting::default() });
        for _ in 0..2 {
            let error = rig.get("/api/echo").unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Credentials);
            assert_eq!(
                untimed(error.timeline().unwrap()),
                "the server refuses the credentials <- 401 ERR003 on login <- a caller needs a session"
            );
        }
        rig.reset(Some(Credentials::standard("alice", "secret")));
        rig.get("/api/echo").unwrap();
        assert_eq!(why(&rig, 1), "login (session 1) <- the credentials were reset");
        assert_every_chain_has_a_root(&rig.timeline());
    });
}

#[test]
fn timeline_says_that_a_login_came_after_a_pause() {
    on_both(|driver| {
        let rig = open(driver, server());
        rig.fault("login:1:status=503,retry-after=9");
        rig.open().unwrap();
        assert_eq!(
            why(&rig, 1),
            "login (session 1) <- a pause was over <- 503 on login <- a caller needs a session"
        );
        assert_every_chain_has_a_root(&rig.timeline());
    });
}

#[test]
fn timeline_says_how_many_callers_shared_a_login() {
    let rig = open(Driver::Tasks, server().latency(Duration::from_millis(5)));
    rig.together(&[60, 60, 60]);
    let timeline = rig.timeline();
    let said = "one login for 3 callers <- login (session 1) <- a caller needs a session";
    assert!(timeline.to_string().contains(said), "{timeline}");
    assert_every_chain_has_a_root(&timeline);
}

#[test]
fn timeline_says_that_a_late_login_was_logged_out() {
    on_both(|driver| {
        let rig = open(driver, server().latency(Duration::from_secs(5)));
        rig.within(Duration::from_millis(1), "/api/echo").unwrap_err();
        rig.reset(Some(Credentials::standard("alice", "secret")));
        rig.time.run_until_idle();
        rig.get("/api/echo").unwrap();
        rig.time.run_until_idle();
        assert_eq!(rig.left(), 1);
        let timeline = rig.timeline();
        let logout = lines(&timeline, "logout").pop().unwrap_or_default();
        assert!(
            logout.ends_with("logout <- 204 on login <- a caller needs a session"),
            "{timeline}"
        );
        assert_every_chain_has_a_root(&timeline);
    });
}

#[test]
fn timeline_of_no_entries_stays_empty() {
    on_both(|driver| {
        let described = Some(Box::new(|it: mstr::ConnectionBuilder| it.timeline(0)) as _);
        let rig = driver.with(server(), Setting { described, ..Setting::default() });
        rig.get("/api/echo").unwrap();
        rig.server(|server| server.expire_all_sessions());
        rig.get("/api/echo").unwrap();
        rig.fault("call:*:status=503");
        assert!(rig.get("/api/echo").unwrap_err().timeline().is_none());
        assert_eq!(
            (rig.timeline().entries().count(), rig.timeline().to_string()),
            (0, String::new())
        );
    });
}
