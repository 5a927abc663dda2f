//! What is sent: every login mode and every request of the session's own, byte for byte.

use super::*;
use crate::contract::TransportInfo;
use crate::protocol::{Locale, LoginMode};

const OWN: &str = concat!("mstr/", env!("CARGO_PKG_VERSION"));
const BASE: &str = "https://env.example.com/MicroStrategyLibrary";
const ACCEPT: &str = "accept: application/json, */*;q=0.8";

fn login_of(config: SessionConfig, credentials: Credentials) -> Exchange {
    let mut rig = Rig::new(config, Some(credentials));
    rig.pending();
    rig.drain();
    rig.sent.pop_front().expect("a login")
}

fn expected_login(path: &str, body: &str) -> String {
    format!(
        "POST {BASE}{path}\n{ACCEPT}\ncontent-type: application/json\nuser-agent: {OWN}\n\n{body}"
    )
}

#[test]
fn every_login_mode_sends_its_golden_request() {
    let golden = [
        (alice(), r#"{"loginMode":1,"applicationType":76,"username":"alice","password":"secret"}"#),
        (
            Credentials::ldap("cn=älice", "p\"w\\\n"),
            r#"{"loginMode":16,"applicationType":76,"username":"cn=älice","password":"p\"w\\\n"}"#,
        ),
        (Credentials::anonymous(), r#"{"loginMode":8,"applicationType":76}"#),
        (
            Credentials::api_token("apitoken"),
            r#"{"loginMode":4096,"applicationType":76,"username":"apitoken"}"#,
        ),
    ];
    for mode in LoginMode::ALL {
        let found = golden.iter().any(|(credentials, _)| credentials.login_mode() == Some(mode));
        assert!(found, "the golden request of a login as \"{mode}\" is missing");
    }
    for (credentials, body) in golden {
        let login = login_of(config(), credentials);
        assert_eq!(login.purpose, Purpose::Login);
        assert!(!login.detached);
        assert_eq!(written(&login), expected_login("/api/auth/login", body));
    }
}

#[test]
fn an_identity_token_is_delegated_with_the_number_minus_one_and_nothing_else() {
    let everything = config().application_id("A").working_set(3).locale(Locale::all("de_de"));
    let login = login_of(everything, borrowed());
    assert_eq!(login.purpose, Purpose::Delegate);
    let body = r#"{"loginMode":-1,"identityToken":"identity"}"#;
    assert_eq!(written(&login), expected_login("/api/auth/delegate", body));
}

#[test]
fn every_optional_field_of_a_login_is_sent_under_its_name() {
    let locale = Locale::new()
        .metadata("a")
        .warehouse_data("b")
        .display("c")
        .messages("d")
        .number("e")
        .time_zone("Europe/Berlin");
    let everything = config()
        .application_type(35)
        .application_id("APP")
        .working_set(10)
        .max_search(4)
        .locale(locale);
    let body = concat!(
        r#"{"loginMode":8,"applicationType":35,"workingSet":10,"maxSearch":4,"#,
        r#""applicationId":"APP","metadataLocale":"a","warehouseDataLocale":"b","#,
        r#""displayLocale":"c","messagesLocale":"d","numberLocale":"e","#,
        r#""timeZone":"Europe/Berlin"}"#,
    );
    let login = login_of(everything, Credentials::anonymous());
    assert_eq!(written(&login), expected_login("/api/auth/login", body));
}

#[test]
fn the_user_agent_names_application_library_and_transport() {
    let info = TransportInfo::new("mstr-fake", "9.9");
    let application = http::HeaderValue::from_static("nightly/2");
    let login = login_of(config().user_agent(info, Some(&application)), alice());
    let expected = format!("nightly/2 {OWN} (mstr-fake/9.9)");
    assert_eq!(header(&login, "user-agent"), Some(expected.as_str()));
}

fn in_session(line: &str, length: &str) -> String {
    format!(
        "{line}\n{ACCEPT}\n{length}cookie: JSESSIONID=j-t1; iSession=t1\nuser-agent: \
         {OWN}\nx-mstr-authtoken: t1\n\n"
    )
}

#[test]
fn the_session_s_own_requests_carry_token_and_cookies_and_no_project() {
    let project = "B7CA92F04B9FAE8D941C3E9B7E0CD754";
    let mut rig = Rig::new(config().checks(true).project(project), Some(alice()));
    rig.pending();
    rig.answer(Purpose::Login, opened("t1"));
    let inspect = rig.answer(Purpose::Inspect, ok(200, r#"{"timeout":600}"#));
    let beside = rig.answer(Purpose::Status, ok(404, ""));
    let expected = format!("GET {BASE}/api/status\n{ACCEPT}\nuser-agent: {OWN}\n\n");
    assert_eq!(written(&beside), expected, "in no session");
    let status = rig.answer(Purpose::Status, ok(200, NEW_SERVER));
    let listed = format!(r#"[{{"id":"{project}","name":"Tutorial"}}]"#);
    let projects = rig.answer(Purpose::ListProjects, ok(200, &listed));
    rig.granted();
    assert_eq!(rig.session.project().expect("found").id.as_str(), project);
    rig.command(Command::Renew);
    let renew = rig.answer(Purpose::Renew, ok(204, ""));
    rig.log_out();
    let logout = rig.take(Purpose::Logout);

    let empty = "content-length: 0\n";
    for (exchange, line, length) in [
        (inspect, "GET /api/sessions", ""),
        (status, "GET /api/status", ""),
        (projects, "GET /api/projects", ""),
        (renew, "PUT /api/sessions", empty),
        (logout, "POST /api/auth/logout", empty),
    ] {
        let line = line.replacen(' ', &format!(" {BASE}"), 1);
        assert_eq!(written(&exchange), in_session(&line, length));
        for secret in ["x-mstr-authtoken", "cookie"] {
            assert!(exchange.request.headers()[secret].is_sensitive());
        }
        assert!(!exchange.request.headers().contains_key("x-mstr-projectid"));
    }
}

#[test]
fn a_second_login_carries_nothing_of_the_dead_session() {
    let mut rig = Rig::open();
    let grant = rig.granted();
    assert_eq!(rig.observe(&grant, 401, &[], EXPIRED), Verdict::Gone);
    rig.session.revoke(grant.generation(), rig.now);
    rig.pending();
    let login = rig.take(Purpose::Login);
    assert_eq!(header(&login, "x-mstr-authtoken"), None);
    assert_eq!(header(&login, "cookie"), None);
}

#[test]
fn nothing_secret_is_shown_by_what_the_machine_hands_out() {
    let mut rig = Rig::standard();
    rig.pending();
    let login = rig.answer(Purpose::Login, opened("t0k3n"));
    let grant = rig.granted();
    let shown = format!("{:?} {grant:?} {:?}", rig.session, login.id);
    for secret in ["secret", "t0k3n", "j-t0k3n"] {
        assert!(!shown.contains(secret), "{shown}");
    }
}

#[test]
fn seed_keys_the_fingerprints_and_is_never_printed() {
    let seed = 1_234_567_890_123_456_789;
    let config = config().seed(seed);
    let printed = format!("{config:?}");
    assert!(!printed.contains(&seed.to_string()), "{printed}");

    let session = Session::new(config, Some(alice())).expect("a session");
    let printed = format!("{session:?} {session:#?}");
    assert!(!printed.contains(&seed.to_string()), "{printed}");
}

#[test]
fn retry_after_of_the_last_attempt_is_obeyed_by_the_next_caller_too() {
    let mut rig = Rig::standard();
    rig.pending();
    for attempt in 1..=3 {
        let answer = Response::builder().status(503).header("retry-after", "20");
        rig.answer(Purpose::Login, Ok(answer.body(Bytes::new()).expect("valid")));
        if attempt < 3 {
            rig.pass(Duration::from_secs(20));
            rig.pending();
        }
    }
    rig.session.take_failure().expect("the attempts are over");
    rig.pass(Duration::from_secs(5));
    let soon = rig.now + Duration::from_secs(10);
    match rig.session.request_access_by(Some(soon), rig.now) {
        Access::Denied(error) => assert!(error.retry_after().is_some(), "{error}"),
        other => panic!("{other:?}"),
    }
    // A caller that has the time waits for it.
    rig.pending();
    rig.nothing_sent();
    rig.pass(Duration::from_secs(15));
    rig.pending();
    rig.answer(Purpose::Login, opened("t1"));
    rig.granted();
}

#[test]
fn login_that_a_kept_connection_lost_is_not_sent_when_its_time_is_over() {
    let mut rig = Rig::standard();
    rig.pending();
    let login = rig.take(Purpose::Login);
    // The driver was paused, and brings the failure late.
    rig.now += Duration::from_secs(600);
    let lost = TransportError::new(TransportErrorKind::Interrupted).with_sent(crate::Sent::No);
    rig.session.handle_response(login.id, Err(lost), rig.now);
    rig.nothing_sent();
    // It is sent again as after any failure that passes, with a time of its own.
    rig.pass(Duration::from_secs(2));
    rig.pending();
    rig.answer(Purpose::Login, opened("t1"));
    rig.granted();
}

#[test]
fn wait_that_a_late_answer_to_a_login_asks_for_is_obeyed() {
    let mut rig = Rig::standard();
    rig.pending();
    let login = rig.take(Purpose::Login);
    rig.seconds(61);
    rig.pending();
    // It is late, and the next attempt backs off.
    let busy = Response::builder().status(503).header("retry-after", "20").body(Bytes::new());
    rig.report(&login, Ok(busy.expect("a response")));
    rig.seconds(19);
    rig.pending();
    rig.nothing_sent();
    rig.seconds(2);
    rig.pending();
    rig.take(Purpose::Login);
}

#[test]
fn wait_that_a_late_answer_to_a_login_asks_for_shortens_none() {
    let mut rig = Rig::new(config().retry(crate::RetryPolicy::never()), Some(alice()));
    let busy = |seconds: u32| {
        let head = Response::builder().status(503).header("retry-after", seconds.to_string());
        Ok(head.body(Bytes::new()).expect("a response"))
    };
    rig.pending();
    let late = rig.take(Purpose::Login);
    rig.seconds(61);
    rig.pending();
    let second = rig.take(Purpose::Login);
    rig.report(&second, busy(300));
    rig.report(&late, busy(20));
    for wait in [0, 290] {
        rig.seconds(wait);
        rig.pending();
        rig.nothing_sent();
    }
    rig.seconds(11);
    rig.pending();
    rig.take(Purpose::Login);
}

#[test]
fn late_answer_to_a_login_does_not_put_off_that_with_other_credentials() {
    let mut rig = Rig::standard();
    rig.pending();
    let login = rig.take(Purpose::Login);
    rig.seconds(61);
    rig.pending();
    rig.command(Command::Reset(Some(Credentials::standard("bob", "other"))));
    let busy = Response::builder().status(503).header("retry-after", "20").body(Bytes::new());
    rig.report(&login, Ok(busy.expect("a response")));
    rig.pending();
    rig.take(Purpose::Login);
}

#[test]
fn login_that_a_driver_has_kept_is_not_waited_for_longer_by_a_close() {
    let mut rig = Rig::standard();
    rig.pending();
    let login = rig.take(Purpose::Login);
    rig.log_out();
    let patience = rig.drain().expect("it is awaited for a while");
    rig.seconds(5);
    assert_eq!(rig.session.begin(login.id, rig.now), Some(patience));
}

#[test]
fn exchange_that_a_driver_has_kept_has_its_time_from_when_it_is_sent() {
    let mut rig = Rig::standard();
    rig.pending();
    let login = rig.take(Purpose::Login);
    let limit = login.deadline - rig.now;
    rig.seconds(600);
    let deadline = rig.session.begin(login.id, rig.now);
    assert_eq!(deadline, Some(rig.now + limit));
    rig.seconds(30);
    rig.pending();
    rig.nothing_sent();
    rig.report(&login, opened("t1"));
    rig.granted();
    assert_eq!(rig.session.begin(login.id, rig.now), None, "it is not awaited any more");
}

#[test]
fn login_whose_answer_lay_unread_has_opened_a_session_that_was_idle_since() {
    let mut rig = Rig::standard();
    rig.pending();
    let login = rig.take(Purpose::Login);
    rig.now += Duration::from_secs(3_600);
    rig.session.handle_response(login.id, opened("t1"), rig.now);
    // It is extended before it is used: a body that can be sent once must not meet its end.
    rig.pending();
    rig.answer(Purpose::Renew, ok(204, ""));
    rig.granted();
}
