//! The first session is checked before anyone uses it.

use super::*;

const OLD_BUT_SUPPORTED: &str = r#"{"iServerVersion":"11.3.0100.1","webVersion":"11.3.0100.1J"}"#;

fn checking(config: SessionConfig) -> Rig {
    let mut rig = Rig::new(config.checks(true), Some(alice()));
    rig.pending();
    rig.answer(Purpose::Login, opened("t1"));
    rig
}

#[test]
fn all_checks_are_asked_at_once_and_the_session_is_used_when_all_are_answered() {
    let mut rig = checking(config());
    assert_eq!(rig.sent.len(), 2, "side by side");
    rig.pending();
    rig.answer(Purpose::Status, ok(200, NEW_SERVER));
    rig.pending();
    rig.answer(Purpose::Inspect, ok(200, r#"{"timeout":1800}"#));
    rig.granted();
    let version = rig.session.server().and_then(|server| server.iserver_version.clone());
    assert_eq!(version.expect("told").to_string(), "11.5.0600.0001");
    let timeout = rig.session.info().and_then(|info| info.timeout);
    assert_eq!(timeout, Some(Duration::from_secs(1800)));
    assert_eq!(rig.events(), "opened1");
}

#[test]
fn session_that_ends_while_its_checks_wait_is_replaced_and_is_no_error_of_a_later_caller() {
    let mut rig = checking(config());
    rig.answer(Purpose::Status, ok(200, NEW_SERVER));
    // The caller has gone, and the session is idle until another one comes.
    rig.pass(Duration::from_secs(50));
    rig.pending();
    rig.answer(Purpose::Inspect, ok(401, EXPIRED));
    rig.answer(Purpose::Inspect, ok(401, EXPIRED));
    rig.answer(Purpose::Inspect, ok(401, EXPIRED));
    rig.answer(Purpose::Logout, ok(401, EXPIRED));
    rig.answer(Purpose::Login, opened("t2"));
    rig.answer(Purpose::Inspect, ok(200, r#"{"timeout":600}"#));
    assert_eq!(token_and_cookies(&rig.granted()).0, "t2");
    assert_eq!(rig.events(), "opened1 lost1:Refused opened2");
}

#[test]
fn a_server_before_11_5_0600_gets_a_second_login_as_35_after_the_first_is_logged_out() {
    let mut rig = checking(config());
    rig.answer(Purpose::Inspect, ok(200, r#"{"timeout":600}"#));
    rig.answer(Purpose::Status, ok(200, OLD_BUT_SUPPORTED));
    rig.pending();
    let logout = rig.take(Purpose::Logout);
    assert_eq!(header(&logout, "x-mstr-authtoken"), Some("t1"));
    rig.nothing_sent();
    rig.report(&logout, ok(204, ""));
    let login = rig.answer(Purpose::Login, opened("t2"));
    assert!(written(&login).contains(r#""applicationType":35"#));
    assert_eq!(token_and_cookies(&rig.granted()).0, "t2");
    rig.nothing_sent();
    assert_eq!(rig.events(), "opened1 replaced1 opened2");
}

#[test]
fn an_application_type_of_one_s_own_is_never_replaced() {
    let mut rig = checking(config().application_type(76));
    rig.answer(Purpose::Inspect, ok(200, r#"{"timeout":600}"#));
    rig.answer(Purpose::Status, ok(200, OLD_BUT_SUPPORTED));
    rig.granted();
    rig.nothing_sent();
}

#[test]
fn a_login_refused_for_constraint_violations_is_repeated_once_as_35() {
    let violations = r#"{"code":"ERR001","message":"Constraint violations: applicationType"}"#;
    let mut rig = Rig::standard();
    rig.pending();
    rig.answer(Purpose::Login, ok(400, violations));
    let second = rig.answer(Purpose::Login, ok(400, violations));
    assert!(written(&second).contains(r#""applicationType":35"#));
    rig.nothing_sent();
    assert_eq!(rig.failure().kind(), ErrorKind::Request);

    // It is remembered: the next login does not try 76 again.
    rig.pending();
    assert!(written(&rig.take(Purpose::Login)).contains(r#""applicationType":35"#));
}

#[test]
fn a_server_before_11_1_0400_is_refused_and_the_session_logged_out() {
    let mut rig = checking(config());
    rig.answer(Purpose::Status, ok(200, r#"{"iServerVersion":"11.1.0300.00001"}"#));
    rig.pending();
    rig.answer(Purpose::Logout, ok(204, ""));
    let error = rig.failure();
    assert_eq!(error.kind(), ErrorKind::UnsupportedServer);
    let text = error.to_string();
    assert!(text.contains("11.1.0300.00001") && text.contains("11.1.0400"), "{text}");
    rig.sent.clear();
    assert!(rig.session.generation().is_some());
    assert!(rig.session.expose_token().is_none());
}

#[test]
fn an_application_id_is_dropped_on_servers_before_11_3_1200() {
    let mut rig = checking(config().application_id("APP").application_type(35));
    rig.answer(Purpose::Inspect, ok(200, r#"{"timeout":600}"#));
    rig.answer(Purpose::Status, ok(200, OLD_BUT_SUPPORTED));
    let grant = rig.granted();
    assert_eq!(rig.events(), "opened1 application-id-dropped");
    rig.session.revoke(grant.generation(), rig.now);
    rig.pending();
    assert!(!written(&rig.take(Purpose::Login)).contains("applicationId"));
}

#[test]
fn a_session_that_will_not_describe_itself_is_usable_on_an_assumed_timeout() {
    for answer in [ok(403, "{}"), ok(404, ""), ok(200, "nonsense"), ok(200, r#"{"timeout":0}"#)] {
        let mut rig = checking(config());
        rig.answer(Purpose::Inspect, answer);
        rig.answer(Purpose::Status, ok(200, NEW_SERVER));
        rig.granted();
        assert_eq!(rig.events(), "opened1 assumed:300");
        let left = rig.session.renew_at().expect("open") - rig.now;
        assert!(left > Duration::from_secs(200) && left < Duration::from_secs(300), "{left:?}");
    }
}

#[test]
fn a_session_that_stays_refused_is_logged_out_and_reported() {
    let mut rig = checking(config());
    rig.answer(Purpose::Status, ok(200, NEW_SERVER));
    rig.answer(Purpose::Inspect, ok(401, EXPIRED));
    // The refusal may have crossed the other answer, so it is asked again at once.
    for _ in 0..2 {
        rig.answer(Purpose::Inspect, ok(401, EXPIRED));
    }
    rig.answer(Purpose::Logout, ok(401, EXPIRED));
    assert_eq!(rig.failure().kind(), ErrorKind::SessionLost);
}

#[test]
fn a_check_that_crossed_another_s_answer_is_asked_again_alone() {
    let mut rig = checking(config());
    // Refused before the answer with the new cookie is here: that answer is waited for.
    rig.answer(Purpose::Inspect, ok(401, EXPIRED));
    assert!(!rig.session.is_settled());
    rig.answer(Purpose::Status, ok(200, NEW_SERVER));
    rig.answer(Purpose::Inspect, ok(200, r#"{"timeout":600}"#));
    rig.granted();
    assert_eq!(rig.session.generation().map(Generation::number), Some(1));
}

#[test]
fn a_project_that_is_not_there_ends_the_opening_and_the_session() {
    let mut rig = Rig::new(config().project("Sales"), Some(alice()));
    rig.pending();
    rig.answer(Purpose::Login, opened("t1"));
    rig.answer(Purpose::ListProjects, ok(200, "[]"));
    rig.answer(Purpose::Logout, ok(204, ""));
    assert_eq!(rig.failure().kind(), ErrorKind::ProjectUnavailable);
}

#[test]
fn a_check_is_repeated_after_a_passing_failure() {
    let mut rig = checking(config());
    rig.answer(Purpose::Inspect, ok(200, r#"{"timeout":600}"#));
    rig.answer(Purpose::Status, busy("2"));
    rig.pending();
    assert!(rig.wait() >= Duration::from_secs(2));
    rig.answer(Purpose::Status, broken(TransportErrorKind::Interrupted));
    rig.wait();
    rig.answer(Purpose::Status, ok(200, NEW_SERVER));
    rig.granted();
}

#[test]
fn checks_that_time_out_together_lead_to_one_logout() {
    let policy = crate::RetryPolicy::never();
    let mut rig = checking(config().retry(policy).project("Sales"));
    rig.sent.clear();
    rig.wait();
    rig.take(Purpose::Logout);
    rig.nothing_sent();
}

#[test]
fn an_absurd_idle_timeout_is_no_reason_to_panic() {
    let mut rig = checking(config());
    rig.answer(Purpose::Inspect, ok(200, r#"{"timeout":9223372036854775807}"#));
    rig.answer(Purpose::Status, ok(200, NEW_SERVER));
    let grant = rig.granted();
    assert_eq!(rig.observe(&grant, 200, &[], ""), Verdict::Sound);
}

#[test]
fn a_server_that_is_too_old_is_refused_each_time() {
    let mut rig = Rig::new(config().checks(true), Some(alice()));
    for token in ["t1", "t2"] {
        rig.pending();
        rig.answer(Purpose::Login, opened(token));
        rig.sent.retain(|exchange| exchange.purpose != Purpose::Inspect);
        rig.answer(Purpose::Status, ok(200, r#"{"iServerVersion":"11.1.0300.00001"}"#));
        rig.answer(Purpose::Logout, ok(204, ""));
        assert_eq!(rig.failure().kind(), ErrorKind::UnsupportedServer);
    }
}

#[test]
fn who_borrowed_first_logs_in_as_35_on_a_server_before_11_5_0600() {
    let mut rig = Rig::new(config().checks(true), Some(borrowed()));
    rig.pending();
    rig.answer(Purpose::Delegate, opened("t1"));
    rig.answer(Purpose::Inspect, ok(200, r#"{"timeout":600}"#));
    rig.answer(Purpose::Status, ok(200, OLD_BUT_SUPPORTED));
    rig.granted();
    rig.command(Command::Reset(Some(alice())));
    rig.pending();
    assert!(written(&rig.take(Purpose::Login)).contains(r#""applicationType":35"#));
}

#[test]
fn a_refused_delegation_is_not_repeated_as_another_application() {
    let mut rig = Rig::new(config(), Some(borrowed()));
    rig.pending();
    let violations = r#"{"code":"ERR001","message":"Constraint violations: identityToken"}"#;
    rig.answer(Purpose::Delegate, ok(400, violations));
    rig.nothing_sent();
    assert_eq!(rig.failure().kind(), ErrorKind::Request);
}

#[test]
fn balancer_that_does_not_stick_is_named_also_where_the_first_checks_show_it() {
    let mut rig = Rig::new(config().checks(true), Some(alice()));
    for session in 1..=5 {
        rig.pending();
        rig.answer(Purpose::Login, opened("t"));
        if session == 1 {
            rig.answer(Purpose::Status, ok(200, NEW_SERVER));
        }
        while rig.sent.iter().any(|sent| sent.purpose == Purpose::Inspect) {
            rig.answer(Purpose::Inspect, ok(401, EXPIRED));
        }
        assert_eq!(rig.events().contains("not-sticky"), session == 5);
        rig.answer(Purpose::Logout, ok(401, EXPIRED));
        if session == 5 {
            // The next try may reach the server that knows it.
            rig.wait();
            rig.answer(Purpose::Logout, ok(204, ""));
        }
        assert_eq!(rig.failure().kind(), ErrorKind::SessionLost);
    }
    let error = rig.denied();
    assert!(error.to_string().contains("sticky sessions"), "{error}");
    assert_eq!(error.kind(), ErrorKind::SessionLost);
}
