//! The transition table: from each state, each input.

use super::*;

/// Brings a machine into a state and checks that it is there.
fn in_state(state: &str) -> Rig {
    let mut rig = Rig::standard();
    match state {
        "idle" => {}
        "awaiting credentials" => {
            rig = Rig::new(config(), None);
            rig.pending();
        }
        "logging in" => rig.pending(),
        "backing off" => {
            rig.pending();
            rig.answer(Purpose::Login, ok(503, ""));
        }
        "refused" => {
            rig.pending();
            rig.answer(Purpose::Login, ok(401, LOGIN_FAILED));
        }
        "checking the session" => {
            rig = Rig::new(config().checks(true), Some(alice()));
            rig.pending();
            rig.answer(Purpose::Login, opened("t1"));
        }
        "open" => {
            rig.pending();
            rig.answer(Purpose::Login, opened("t1"));
        }
        "renewing" => {
            rig = in_state("open");
            rig.command(Command::Renew);
        }
        "closing" => {
            rig = in_state("open");
            rig.log_out();
        }
        "closing a login" => {
            rig = in_state("logging in");
            rig.log_out();
        }
        "closed" => rig.log_out(),
        other => panic!("{other}"),
    }
    let described = if state == "closing a login" { "closing" } else { state };
    assert_eq!(rig.session.describe(), described);
    rig.events.clear();
    rig
}

const STATES: [&str; 11] = [
    "idle",
    "awaiting credentials",
    "logging in",
    "backing off",
    "refused",
    "checking the session",
    "open",
    "renewing",
    "closing",
    "closing a login",
    "closed",
];

#[test]
fn access_is_pending_granted_or_denied_by_state() {
    for (state, expected) in STATES.into_iter().zip([
        "pending", "pending", "pending", "pending", "denied", "pending", "granted", "granted",
        "denied", "denied", "denied",
    ]) {
        let access = match in_state(state).access() {
            Access::Denied(_) => "denied",
            Access::Granted(_) => "granted",
            Access::Pending => "pending",
        };
        assert_eq!(access, expected, "{state}");
    }
}

#[test]
fn the_table_of_transitions_holds() {
    let refused = || ok(401, LOGIN_FAILED);
    let limit = || ok(500, r#"{"code":"ERR001","iServerCode":-2147072486}"#);
    let none = || broken(TransportErrorKind::Connect);
    let late = || broken(TransportErrorKind::Timeout);
    let tls = || broken(TransportErrorKind::Tls);
    use Purpose::{Inspect, Login, Logout, Renew};
    // state, the exchange that is answered, the answer, the state after it, events
    let table: Vec<(&str, Purpose, Answer, &str, &str)> = vec![
        ("logging in", Login, opened("t1"), "open", "opened1"),
        ("logging in", Login, refused(), "refused", "rejected"),
        ("logging in", Login, ok(403, FORBIDDEN), "refused", "rejected"),
        ("logging in", Login, ok(403, ""), "backing off", ""),
        ("logging in", Login, ok(401, "<html>"), "backing off", ""),
        ("logging in", Login, ok(503, ""), "backing off", ""),
        ("logging in", Login, ok(429, ""), "backing off", ""),
        ("logging in", Login, none(), "backing off", ""),
        ("logging in", Login, late(), "backing off", ""),
        ("logging in", Login, tls(), "idle", ""),
        ("logging in", Login, limit(), "idle", ""),
        ("logging in", Login, ok(200, "<html>"), "backing off", ""),
        ("logging in", Login, ok(200, "{}"), "idle", ""),
        ("logging in", Login, ok(302, ""), "idle", ""),
        ("logging in", Login, ok(500, ""), "backing off", ""),
        ("logging in", Login, ok(500, INTERNAL), "idle", ""),
        ("checking the session", Inspect, ok(500, ""), "checking the session", ""),
        ("checking the session", Inspect, ok(500, INTERNAL), "leaving a session", ""),
        ("checking the session", Inspect, ok(401, EXPIRED), "checking the session", ""),
        ("checking the session", Inspect, ok(503, ""), "checking the session", ""),
        ("renewing", Renew, ok(204, ""), "open", "renewed1"),
        ("renewing", Renew, ok(401, EXPIRED), "logging in", "lost1:Expired"),
        ("renewing", Renew, ok(401, ""), "open", ""),
        ("renewing", Renew, ok(503, ""), "open", ""),
        ("renewing", Renew, ok(403, ""), "open", ""),
        ("renewing", Renew, late(), "open", ""),
        ("closing", Logout, ok(204, ""), "closed", "closed:LoggedOut"),
        ("closing", Logout, ok(401, EXPIRED), "closed", "closed:AlreadyEnded"),
        ("closing", Logout, ok(503, ""), "closing", ""),
        ("closing", Logout, ok(401, ""), "closing", ""),
        ("closing", Logout, ok(200, "<html>"), "closing", ""),
        ("closing a login", Login, opened("t1"), "closing", ""),
        ("closing a login", Login, refused(), "closed", "closed:NotOpen"),
        ("closing a login", Login, late(), "closed", "closed:NotOpen"),
    ];
    for (state, purpose, answer, expected, events) in table {
        let mut rig = in_state(state);
        let shown = format!("{state}, {purpose:?} answered {answer:?}");
        rig.answer(purpose, answer);
        assert_eq!(rig.session.describe(), expected, "{shown}");
        assert_eq!(rig.events(), events, "{shown}");
    }
}

#[test]
fn time_moves_each_state_on_and_never_too_early() {
    for (state, expected) in [
        ("awaiting credentials", "idle"),
        ("logging in", "backing off"),
        ("backing off", "logging in"),
        ("checking the session", "checking the session"),
        ("renewing", "open"),
        ("closing", "closed"),
        ("closing a login", "closed"),
    ] {
        let mut rig = in_state(state);
        let due = rig.drain().unwrap_or_else(|| panic!("{state} waits for something"));
        let before = rig.session.describe();
        rig.session.handle_timeout(due - Duration::from_nanos(1));
        assert_eq!(rig.session.describe(), before, "{state}, too early");
        rig.wait();
        assert_eq!(rig.session.describe(), expected, "{state}");
    }
    for state in ["idle", "refused", "open", "closed"] {
        let mut rig = in_state(state);
        assert_eq!(rig.drain(), None, "{state} waits for nothing");
        rig.seconds(1_000_000);
        rig.session.handle_timeout(rig.now);
        assert_eq!(rig.session.describe(), state);
    }
}

#[test]
fn a_wrong_password_is_submitted_once_until_the_credentials_are_reset() {
    let mut rig = in_state("refused");
    for _ in 0..5 {
        rig.seconds(3600);
        let error = rig.denied();
        assert_eq!(error.kind(), ErrorKind::Credentials);
        assert_eq!(error.operation(), Some("login"));
        rig.command(Command::Renew);
    }
    rig.nothing_sent();
    rig.command(Command::Reset(Some(Credentials::standard("alice", "right"))));
    rig.pending();
    assert!(written(&rig.take(Purpose::Login)).contains("right"));
}

#[test]
fn a_session_limit_is_not_waited_out() {
    let mut rig = in_state("logging in");
    rig.answer(
        Purpose::Login,
        ok(500, r#"{"code":"ERR001","iServerCode":-2147072486,"message":"too many"}"#),
    );
    rig.nothing_sent();
    let error = rig.failure();
    assert_eq!(error.kind(), ErrorKind::SessionLimit);
    assert!(!error.is_retryable());
    assert_eq!(error.attempts(), 1);
}

#[test]
fn the_server_s_wait_is_honoured_up_to_five_minutes() {
    for (asked, at_least, at_most) in [("7", 7, 8), ("100000", 300, 301), ("soon", 0, 1)] {
        let mut rig = in_state("logging in");
        rig.answer(Purpose::Login, busy(asked));
        let wait = rig.wait();
        assert!(wait >= Duration::from_secs(at_least), "{asked}: {wait:?}");
        assert!(wait <= Duration::from_secs(at_most), "{asked}: {wait:?}");
        rig.take(Purpose::Login);
    }
}

#[test]
fn when_the_attempts_are_used_up_the_failure_is_delivered_once_and_the_next_call_begins_anew() {
    let mut rig = in_state("logging in");
    for _ in 0..2 {
        rig.answer(Purpose::Login, broken(TransportErrorKind::Connect));
        rig.pending();
        rig.wait();
    }
    rig.answer(Purpose::Login, broken(TransportErrorKind::Connect));
    assert!(rig.session.is_settled());
    let error = rig.failure();
    assert_eq!((error.kind(), error.attempts()), (ErrorKind::Connect, 3));
    assert!(error.transport().is_some());
    assert!(rig.session.take_failure().is_none(), "once");
    rig.nothing_sent();
    rig.pending();
    rig.answer(Purpose::Login, opened("t1"));
    rig.granted();
}

#[test]
fn an_abandoned_login_is_given_up_at_its_deadline_and_the_next_call_begins_another() {
    let mut rig = in_state("logging in");
    let first = rig.take(Purpose::Login);
    rig.seconds(3600);
    // Nobody has polled for an hour.
    rig.pending();
    rig.wait();
    let second = rig.take(Purpose::Login);
    assert_ne!(first.id, second.id);
    assert!(!rig.session.awaits(first.id) && rig.session.awaits(second.id));
}

#[test]
fn a_login_that_succeeds_after_its_deadline_is_logged_out() {
    let mut rig = in_state("logging in");
    let late = rig.take(Purpose::Login);
    rig.wait();
    rig.wait();
    rig.answer(Purpose::Login, opened("t2"));
    rig.report(&late, opened("t1"));
    let logout = rig.take(Purpose::Logout);
    assert!(logout.detached);
    assert_eq!(header(&logout, "x-mstr-authtoken"), Some("t1"));
    assert_eq!(header(&logout, "cookie"), Some("JSESSIONID=j-t1; iSession=t1"));
    assert_eq!(token_and_cookies(&rig.granted()).0, "t2");
    // Once only.
    rig.report(&late, opened("t1"));
    rig.nothing_sent();
}

#[test]
fn a_late_delegation_is_left_to_its_owner_whoever_logs_in_now() {
    // The provider's credentials have been forgotten by the time the answer arrives.
    let mut rig = Rig::new(config(), None);
    rig.pending();
    rig.supply(borrowed());
    let late = rig.take(Purpose::Delegate);
    rig.wait();
    assert_eq!(rig.failure().kind(), ErrorKind::Timeout);
    rig.report(&late, opened("t1"));
    rig.nothing_sent();

    // And others have been set in the meantime.
    let mut rig = Rig::new(config(), Some(borrowed()));
    rig.pending();
    let late = rig.take(Purpose::Delegate);
    rig.command(Command::Reset(Some(alice())));
    rig.report(&late, opened("t1"));
    rig.nothing_sent();
    let mut rig = Rig::standard();
    rig.pending();
    let late = rig.take(Purpose::Login);
    rig.command(Command::Reset(Some(borrowed())));
    rig.report(&late, opened("t1"));
    rig.take(Purpose::Logout);
}

#[test]
fn an_identity_token_whose_answer_was_lost_is_not_tried_again() {
    let mut rig = Rig::new(config(), Some(borrowed()));
    rig.pending();
    rig.answer(Purpose::Delegate, broken(TransportErrorKind::Interrupted));
    assert_eq!(rig.failure().kind(), ErrorKind::Interrupted);

    let mut rig = Rig::new(config(), Some(borrowed()));
    rig.pending();
    let unsent = TransportError::new(TransportErrorKind::Connect);
    rig.answer(Purpose::Delegate, Err(unsent.with_sent(crate::Sent::No)));
    rig.wait();
    rig.take(Purpose::Delegate);
}

#[test]
fn a_reset_retires_what_is_under_way() {
    let mut rig = in_state("logging in");
    let first = rig.take(Purpose::Login);
    rig.command(Command::Reset(Some(Credentials::standard("bob", "other"))));
    assert!(!rig.session.awaits(first.id));
    rig.pending();
    assert!(written(&rig.answer(Purpose::Login, opened("t2"))).contains("bob"));
    rig.report(&first, opened("t1"));
    let logout = rig.take(Purpose::Logout);
    assert_eq!(header(&logout, "x-mstr-authtoken"), Some("t1"));
    assert_eq!(token_and_cookies(&rig.granted()).0, "t2");
}

#[test]
fn a_reset_replaces_an_open_session_and_logs_it_out() {
    for state in ["open", "renewing", "checking the session"] {
        let mut rig = in_state(state);
        rig.sent.clear();
        rig.command(Command::Reset(Some(Credentials::standard("bob", "other"))));
        assert!(rig.take(Purpose::Logout).detached);
        assert_eq!(rig.events(), "replaced1", "{state}");
        rig.pending();
        rig.take(Purpose::Login);
    }
    for state in ["closing", "closing a login", "closed"] {
        let mut rig = in_state(state);
        rig.command(Command::Reset(Some(alice())));
        assert_eq!(rig.denied().kind(), ErrorKind::Closed, "{state}");
    }
}

#[test]
fn a_reset_keeps_the_rules_of_the_first_credentials() {
    let mut rig = in_state("refused");
    rig.command(Command::Reset(Some(Credentials::ldap("alice", ""))));
    assert_eq!(rig.denied().kind(), ErrorKind::Config, "an empty password is no password");
    rig.nothing_sent();

    let base = BaseUrl::parse("http://env.example.com/L").expect("a URL");
    let mut rig = Rig::new(SessionConfig::new(base), Some(Credentials::anonymous()));
    rig.command(Command::Reset(Some(alice())));
    assert_eq!(rig.denied().kind(), ErrorKind::Config, "a password in clear");
    rig.nothing_sent();
    rig.command(Command::Reset(Some(Credentials::anonymous())));
    rig.pending();
}

#[test]
fn a_provider_is_asked_at_each_login_and_its_answer_forgotten_once_the_session_is_open() {
    let mut rig = Rig::new(config(), None);
    rig.pending();
    rig.nothing_sent();
    rig.supply(alice());
    assert_eq!(rig.session.username(), Some("alice"), "while the login is under way");
    rig.answer(Purpose::Login, ok(503, ""));
    rig.wait();
    rig.answer(Purpose::Login, opened("t1"));
    let grant = rig.granted();
    assert_eq!(rig.session.username(), None);
    assert!(rig.asked.is_empty(), "the attempts of one login share one answer");
    rig.session.revoke(grant.generation(), rig.now);
    rig.pending();
    rig.supply(Credentials::standard("bob", "other"));
    assert!(written(&rig.take(Purpose::Login)).contains("bob"));
}

#[test]
fn a_provider_that_gives_nothing_usable_ends_the_opening() {
    for supplied in
        [Err(Error::new(ErrorKind::Credentials, "sealed")), Ok(Credentials::ldap("a", ""))]
    {
        let mut rig = Rig::new(config(), None);
        rig.pending();
        let id = rig.asked.pop_front().expect("asked");
        rig.session.supply_credentials(id, supplied, rig.now);
        rig.failure();
        rig.nothing_sent();
    }
}
