//! The server's version, asked for beside the first login.

use http::HeaderMap;

use super::*;

const INFO: &str = r#"{"timeout":600}"#;
const OLD: &str = r#"{"iServerVersion":"11.3.0100.1"}"#;
const TOO_OLD: &str = r#"{"iServerVersion":"10.4.0000.1"}"#;

/// A machine that logs in. The login and the question have been sent.
fn logging_in(config: SessionConfig) -> Rig {
    let mut rig = Rig::new(config.checks(true), Some(alice()));
    rig.pending();
    rig
}

fn purposes(rig: &Rig) -> Vec<Purpose> {
    rig.sent.iter().map(|exchange| exchange.purpose).collect()
}

fn with_cookie(mut answer: Answer, cookie: &str) -> Answer {
    if let Ok(response) = &mut answer {
        response.headers_mut().insert("set-cookie", cookie.parse().expect("a value"));
    }
    answer
}

fn in_session(exchange: &Exchange) -> bool {
    let named = ["x-mstr-authtoken", "cookie"].map(|name| header(exchange, name).is_some());
    assert_eq!(named[0], named[1]);
    named[0]
}

/// What does not say which version the server has.
fn useless() -> Vec<Answer> {
    let mut all = vec![
        ok(200, "<html>Sign in</html>"),
        ok(200, "{}"),
        ok(302, ""),
        ok(401, EXPIRED),
        ok(401, "{}"),
        ok(403, FORBIDDEN),
        ok(404, ""),
        ok(500, INTERNAL),
        busy("2"),
    ];
    let kinds = [TransportErrorKind::Connect, TransportErrorKind::Tls, TransportErrorKind::Timeout];
    all.extend(kinds.map(broken));
    all
}

#[test]
fn status_is_asked_beside_the_login_after_it_and_in_no_session() {
    let mut rig = logging_in(config());
    assert_eq!(purposes(&rig), [Purpose::Login, Purpose::Status]);
    assert!(!in_session(&rig.take(Purpose::Status)));
}

#[test]
fn status_answered_before_the_login_is_no_check_any_more() {
    let mut rig = logging_in(config());
    rig.answer(Purpose::Status, ok(200, NEW_SERVER));
    assert!(!rig.session.is_settled());
    rig.answer(Purpose::Login, opened("t1"));
    assert_eq!(purposes(&rig), [Purpose::Inspect]);
    rig.answer(Purpose::Inspect, ok(200, INFO));
    rig.granted();
    assert!(rig.session.server().is_some());
    assert_eq!(rig.events(), "opened1");
}

#[test]
fn status_answered_after_the_login_is_one_of_the_checks() {
    let mut rig = logging_in(config());
    rig.answer(Purpose::Login, opened("t1"));
    assert_eq!(purposes(&rig), [Purpose::Status, Purpose::Inspect], "the one that was sent");
    rig.answer(Purpose::Inspect, ok(200, INFO));
    rig.pending();
    rig.answer(Purpose::Status, ok(200, NEW_SERVER));
    rig.granted();
    assert_eq!(rig.events(), "opened1");
}

#[test]
fn status_that_does_not_say_the_version_before_the_login_is_asked_again_in_the_session() {
    for answer in useless().into_iter().chain([ok(200, TOO_OLD)]) {
        let shown = format!("{answer:?}");
        let mut rig = logging_in(config().retry(crate::RetryPolicy::never()));
        rig.answer(Purpose::Status, answer);
        assert_eq!(rig.events(), "", "{shown}");
        rig.answer(Purpose::Login, opened("t1"));
        rig.answer(Purpose::Inspect, ok(200, INFO));
        assert!(in_session(&rig.answer(Purpose::Status, ok(404, ""))), "{shown}");
        rig.granted();
        assert_eq!(rig.events(), "opened1 version-unknown", "{shown}");
    }
}

#[test]
fn status_that_does_not_say_the_version_after_the_login_is_asked_again_in_the_session() {
    for answer in useless() {
        let shown = format!("{answer:?}");
        let mut rig = logging_in(config().retry(crate::RetryPolicy::never()));
        rig.answer(Purpose::Login, opened("t1"));
        rig.answer(Purpose::Status, answer);
        rig.answer(Purpose::Inspect, ok(200, INFO));
        if purposes(&rig).is_empty() {
            // What may pass by itself is waited for.
            rig.wait();
        }
        assert!(in_session(&rig.answer(Purpose::Status, ok(200, NEW_SERVER))), "{shown}");
        rig.granted();
        assert_eq!(rig.events(), "opened1", "{shown}");
    }
}

#[test]
fn status_that_is_never_answered_is_asked_again_in_the_session_at_its_deadline() {
    let mut rig = logging_in(config().retry(crate::RetryPolicy::never()));
    rig.seconds(50);
    rig.answer(Purpose::Login, opened("t1"));
    rig.answer(Purpose::Inspect, ok(200, INFO));
    let silent = rig.take(Purpose::Status);
    assert_eq!(rig.wait(), Duration::from_secs(10));
    let again = rig.take(Purpose::Status);
    assert!(in_session(&again));
    rig.report(&silent, ok(200, NEW_SERVER));
    rig.pending();
    rig.report(&again, ok(200, NEW_SERVER));
    rig.granted();
}

#[test]
fn status_of_a_server_that_is_too_old_fails_the_opening_and_not_the_login() {
    let mut rig = logging_in(config());
    rig.answer(Purpose::Login, opened("t1"));
    rig.answer(Purpose::Status, ok(200, TOO_OLD));
    rig.answer(Purpose::Logout, ok(204, ""));
    assert_eq!(rig.failure().kind(), ErrorKind::UnsupportedServer);
    assert!(rig.session.server().is_none());
}

#[test]
fn status_of_an_old_server_counts_for_the_next_attempt_to_log_in() {
    let mut rig = logging_in(config().application_id("APP"));
    rig.answer(Purpose::Status, ok(200, OLD));
    rig.answer(Purpose::Login, busy("0"));
    rig.wait();
    let login = written(&rig.take(Purpose::Login));
    assert!(login.contains(r#""applicationType":35"#) && !login.contains("APP"), "{login}");
    assert_eq!(rig.events(), "application-id-dropped");
}

#[test]
fn status_is_given_up_with_the_login_and_asked_beside_one_attempt_alone() {
    for answer in [busy("0"), broken(TransportErrorKind::Interrupted)] {
        let mut rig = logging_in(config());
        let status = rig.take(Purpose::Status);
        rig.answer(Purpose::Login, answer);
        assert!(!rig.session.awaits(status.id));
        rig.report(&status, ok(200, NEW_SERVER));
        assert!(rig.session.server().is_none());
        rig.wait();
        assert_eq!(purposes(&rig), [Purpose::Login]);
        rig.answer(Purpose::Login, opened("t1"));
        assert!(in_session(&rig.take(Purpose::Status)));
    }
    // One that is late takes the question with it.
    let mut rig = logging_in(config());
    let status = rig.take(Purpose::Status);
    rig.wait();
    assert!(!rig.session.awaits(status.id));
    assert_eq!(rig.session.kept_copies(), 0);
}

#[test]
fn status_goes_on_beside_the_login_as_another_type_of_application() {
    let violations = r#"{"code":"ERR001","message":"Constraint violations: applicationType"}"#;
    let mut rig = logging_in(config());
    let status = rig.take(Purpose::Status);
    rig.answer(Purpose::Login, ok(400, violations));
    assert_eq!(purposes(&rig), [Purpose::Login]);
    rig.report(&status, ok(200, NEW_SERVER));
    assert!(rig.session.server().is_some());
}

#[test]
fn status_is_forgotten_when_the_login_is_refused_and_its_answer_is_kept() {
    let mut rig = logging_in(config());
    let status = rig.take(Purpose::Status);
    rig.answer(Purpose::Login, ok(401, LOGIN_FAILED));
    assert!(rig.session.is_settled() && !rig.session.awaits(status.id));
    rig.report(&status, ok(200, NEW_SERVER));
    rig.denied();
    rig.nothing_sent();

    let mut rig = logging_in(config());
    rig.answer(Purpose::Status, ok(200, NEW_SERVER));
    rig.answer(Purpose::Login, ok(401, LOGIN_FAILED));
    rig.command(Command::Reset(Some(Credentials::standard("bob", "secret"))));
    rig.pending();
    assert_eq!(purposes(&rig), [Purpose::Login], "it is known");
}

#[test]
fn status_is_forgotten_by_a_reset_an_adoption_and_a_close() {
    let record = Rig::open().session.record().expect("open");
    let ends: [fn(&mut Rig, SessionRecord); 3] = [
        |rig, _| rig.command(Command::Reset(Some(alice()))),
        |rig, record| rig.session.adopt(record, rig.now).expect("adopted"),
        |rig, _| rig.log_out(),
    ];
    for end in ends {
        let mut rig = logging_in(config());
        let status = rig.take(Purpose::Status);
        end(&mut rig, record.clone());
        rig.sent.clear();
        assert!(!rig.session.awaits(status.id));
        rig.report(&status, ok(503, ""));
        rig.nothing_sent();
    }
}

#[test]
fn status_of_a_closed_connection_sends_nothing() {
    let mut rig = logging_in(config());
    rig.log_out();
    let status = rig.take(Purpose::Status);
    rig.report(&status, Err(TransportError::new(TransportErrorKind::Canceled)));
    rig.answer(Purpose::Login, ok(401, LOGIN_FAILED));
    assert!(matches!(rig.session.close_outcome(), Some(CloseOutcome::NotOpen)));
    rig.nothing_sent();

    // In the middle of the checks too.
    let mut rig = logging_in(config());
    rig.answer(Purpose::Login, opened("t1"));
    rig.log_out();
    let status = rig.take(Purpose::Status);
    rig.report(&status, ok(404, ""));
    rig.answer(Purpose::Logout, ok(204, ""));
    rig.sent.retain(|exchange| exchange.purpose != Purpose::Inspect);
    rig.nothing_sent();
}

#[test]
fn status_given_up_before_it_was_taken_is_not_sent() {
    let mut rig = Rig::new(config().checks(true), Some(alice()));
    drop(rig.session.request_access(rig.now));
    let Output::Send(login) = rig.session.poll_output() else { panic!("the login first") };
    rig.report(&login, ok(401, LOGIN_FAILED));
    rig.nothing_sent();
    assert!(rig.session.is_settled());
}

#[test]
fn status_beside_the_login_leaves_no_cookies_in_the_session() {
    for first in [Purpose::Status, Purpose::Login] {
        let mut rig = logging_in(config());
        let cookie = "JSESSIONID=other; Path=/";
        let mut answers = vec![
            (Purpose::Login, opened("t1")),
            (Purpose::Status, with_cookie(ok(200, NEW_SERVER), cookie)),
        ];
        answers.sort_by_key(|(purpose, _)| *purpose != first);
        for (purpose, answer) in answers {
            rig.answer(purpose, answer);
        }
        rig.answer(Purpose::Inspect, ok(200, INFO));
        let (_, cookies) = token_and_cookies(&rig.granted());
        assert_eq!(cookies, "JSESSIONID=j-t1; iSession=t1", "{first:?}");
    }
}

#[test]
fn status_that_a_connection_lost_is_sent_once_more_beside_the_login() {
    let mut rig = logging_in(config());
    let lost = || Err(TransportError::new(TransportErrorKind::Canceled).with_sent(crate::Sent::No));
    let status = rig.answer(Purpose::Status, lost());
    let again = rig.answer(Purpose::Status, lost());
    assert_eq!(status.id, again.id);
    assert_eq!(purposes(&rig), [Purpose::Login]);
}

#[test]
fn status_beside_the_login_goes_with_front_headers_of_its_own() {
    let front = |value: &str| {
        let mut front = HeaderMap::new();
        front.insert("cf-access-token", value.parse().expect("a value"));
        Ok(front)
    };
    let mut rig = logging_in(config().front_headers(true));
    let (login, status) = (rig.fronting[0], rig.fronting[1]);
    rig.nothing_sent();
    rig.session.supply_front_headers(status, front("second"), rig.now);
    assert_eq!(header(&rig.take(Purpose::Status), "cf-access-token"), Some("second"));
    rig.session.supply_front_headers(login, front("first"), rig.now);
    assert_eq!(header(&rig.take(Purpose::Login), "cf-access-token"), Some("first"));

    // Without them it is not sent, and the login is.
    let mut rig = logging_in(config().front_headers(true));
    let away = Err(Error::new(ErrorKind::Credentials, "away"));
    rig.session.supply_front_headers(rig.fronting[1], away, rig.now);
    rig.session.supply_front_headers(rig.fronting[0], front("first"), rig.now);
    rig.answer(Purpose::Login, opened("t1"));
    assert_eq!(rig.session.describe(), "checking the session");

    // Once it is closed they are of no use.
    let mut rig = logging_in(config().front_headers(true));
    rig.log_out();
    rig.session.supply_front_headers(rig.fronting[1], front("second"), rig.now);
    rig.nothing_sent();
}

#[test]
fn status_is_asked_beside_no_login_where_it_is_not_wanted_or_known() {
    for config in [config().checks(false), config().checks(true).login_alone(true)] {
        let mut rig = Rig::new(config, Some(alice()));
        rig.pending();
        assert_eq!(purposes(&rig), [Purpose::Login]);
    }
    let mut rig = Rig::open();
    rig.command(Command::Reset(None));
    rig.pending();
    assert!(!purposes(&rig).contains(&Purpose::Status));
}

#[test]
fn status_is_asked_once_the_provider_has_given_credentials() {
    let mut rig = Rig::new(config().checks(true), None);
    rig.pending();
    rig.nothing_sent();
    rig.supply(borrowed());
    assert_eq!(purposes(&rig), [Purpose::Delegate, Purpose::Status]);
}
