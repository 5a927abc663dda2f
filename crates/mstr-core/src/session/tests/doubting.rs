//! Refusals without the server's word, and what they lead to.

use super::*;

const LIMIT: &str = r#"{"code":"ERR001","iServerCode":-2147072486}"#;

/// A request that was sent now is refused; whether the session asks about itself.
fn refused(rig: &mut Rig, grant: &Grant) -> bool {
    assert_eq!(rig.observe(grant, 401, &[], ""), Verdict::Suspected);
    let asks = rig.session.question(grant.generation(), rig.now, rig.now);
    rig.drain();
    asks
}

/// So many questions are answered by nothing of the server's.
fn unheard(rig: &mut Rig, questions: usize) {
    let grant = rig.granted();
    for _ in 0..questions {
        rig.seconds(60);
        assert!(refused(rig, &grant));
        rig.answer(Purpose::Inspect, ok(401, ""));
    }
}

#[test]
fn one_question_is_asked_for_all() {
    let mut rig = Rig::open();
    let grant = rig.granted();
    for _ in 0..100 {
        assert!(refused(&mut rig, &grant));
    }
    assert!(!rig.session.is_settled());
    rig.granted();
    rig.answer(Purpose::Inspect, ok(200, "{}"));
    rig.nothing_sent();
    assert!(rig.session.is_settled());
    // All were sent before that answer.
    assert!(!refused(&mut rig, &grant));
    rig.seconds(1);
    assert!(refused(&mut rig, &grant));
    assert_eq!(rig.events(), "opened1");
}

#[test]
fn renewal_that_is_under_way_is_the_question() {
    let mut rig = Rig::open();
    let grant = rig.granted();
    rig.command(Command::Renew);
    assert!(refused(&mut rig, &grant));
    rig.answer(Purpose::Renew, ok(204, ""));
    rig.nothing_sent();
    assert!(!refused(&mut rig, &grant));
}

#[test]
fn question_that_was_sent_before_a_request_says_nothing_of_its_refusal() {
    for what in [Purpose::Inspect, Purpose::Renew] {
        let mut rig = Rig::open();
        let grant = rig.granted();
        match what {
            Purpose::Renew => rig.command(Command::Renew),
            _ => assert!(refused(&mut rig, &grant)),
        }
        rig.seconds(1);
        // The server may have looked at the question before the session ended.
        assert!(refused(&mut rig, &grant), "the question is waited for");
        let sent_at = rig.now;
        rig.answer(what, ok(200, "{}"));
        assert!(rig.session.question(grant.generation(), sent_at, rig.now), "{what:?}");
        rig.drain();
        rig.answer(Purpose::Inspect, ok(401, EXPIRED));
        assert!(rig.events().contains("lost1"), "{what:?}");
    }
}

#[test]
fn question_decides_by_the_server_s_word() {
    for (answer, open) in [
        (ok(200, "{}"), true),
        (ok(403, FORBIDDEN), true),
        (ok(401, EXPIRED), false),
        (ok(500, r#"{"code":"ERR001","iServerCode":-2147468901}"#), false),
    ] {
        let mut rig = Rig::open();
        let grant = rig.granted();
        assert!(refused(&mut rig, &grant));
        let said = format!("{answer:?}");
        rig.answer(Purpose::Inspect, answer);
        assert_eq!(rig.session.is_open(), open, "{said}");
        if open {
            rig.seconds(1);
            assert!(refused(&mut rig, &grant), "decided: the next one is asked at once");
        }
    }
}

#[test]
fn questions_that_decide_nothing_grow_rare() {
    for nothing in [
        || ok(401, ""),
        || ok(403, "<html>"),
        || ok(200, "<html>"),
        || ok(503, ""),
        || ok(500, INTERNAL),
        || broken(TransportErrorKind::Interrupted),
    ] {
        let mut rig = Rig::new(config(), Some(borrowed()));
        rig.pending();
        rig.answer(Purpose::Delegate, opened("t1"));
        let grant = rig.granted();
        for pause in [1_u64, 2, 4, 8, 16, 32, 60, 60, 60] {
            assert!(refused(&mut rig, &grant));
            rig.answer(Purpose::Inspect, nothing());
            rig.pass(Duration::from_millis(pause * 1000 - 1));
            assert!(!refused(&mut rig, &grant), "{pause}");
            rig.pass(Duration::from_millis(1));
        }
        rig.nothing_sent();
        assert_eq!(rig.events(), "opened1", "one that is borrowed is never given up");
    }
}

#[test]
fn session_that_is_doubted_three_times_is_replaced_by_a_login_and_then_logged_out() {
    let mut rig = Rig::open();
    unheard(&mut rig, 3);
    // It is kept until there is another one.
    let old = rig.granted();
    assert!(refused(&mut rig, &old), "it is waited for");
    rig.answer(Purpose::Login, opened("t2"));
    let logout = rig.take(Purpose::Logout);
    assert_eq!((logout.detached, header(&logout, "x-mstr-authtoken")), (true, Some("t1")));
    assert_eq!(token_and_cookies(&rig.granted()).0, "t2");
    assert_eq!(rig.observe(&old, 401, &[], ""), Verdict::Outdated);
    assert_eq!(rig.events(), "opened1 replaced1 opened2");
    // Not again within 30 seconds, whatever is heard.
    rig.seconds(16);
    let grant = rig.granted();
    assert!(refused(&mut rig, &grant));
    rig.answer(Purpose::Inspect, ok(401, ""));
    rig.nothing_sent();
}

#[test]
fn replacement_whose_answer_lay_unread_has_been_idle_since() {
    let mut rig = Rig::open();
    unheard(&mut rig, 3);
    let login = rig.take(Purpose::Login);
    rig.now += Duration::from_secs(3_600);
    rig.session.handle_response(login.id, opened("t2"), rig.now);
    rig.pending();
    rig.answer(Purpose::Renew, ok(204, ""));
    rig.granted();
}

#[test]
fn session_is_kept_where_the_login_that_would_replace_it_fails() {
    for answer in [
        ok(401, ""),
        ok(401, LOGIN_FAILED),
        ok(500, LIMIT),
        ok(503, ""),
        ok(200, "<html>"),
        broken(TransportErrorKind::Timeout),
    ] {
        let mut rig = Rig::open();
        unheard(&mut rig, 3);
        let said = format!("{answer:?}");
        let refused_for_good = said.contains("ERR003");
        rig.answer(Purpose::Login, answer);
        rig.nothing_sent();
        assert!(rig.session.is_settled(), "{said}");
        let grant = rig.granted();
        assert_eq!(grant.generation().number(), 1, "{said}");
        // What the server says of the password counts once that session has ended.
        rig.observe(&grant, 401, &[], EXPIRED);
        match rig.access() {
            Access::Denied(error) => {
                assert!(refused_for_good, "{error:?}");
                assert_eq!(error.kind(), ErrorKind::Credentials);
            }
            _ => assert!(!refused_for_good, "{said}"),
        }
    }
}

#[test]
fn login_that_would_replace_a_session_may_be_late() {
    let mut rig = Rig::open();
    unheard(&mut rig, 3);
    let login = rig.take(Purpose::Login);
    rig.wait();
    assert_eq!(rig.granted().generation().number(), 1);
    rig.report(&login, opened("late"));
    assert_eq!(header(&rig.take(Purpose::Logout), "x-mstr-authtoken"), Some("late"));
}

#[test]
fn provider_is_asked_for_the_login_that_replaces_a_session() {
    let mut rig = Rig::new(config(), None);
    rig.pending();
    rig.supply(alice());
    rig.answer(Purpose::Login, opened("t1"));
    unheard(&mut rig, 3);
    rig.granted();
    rig.supply(alice());
    rig.answer(Purpose::Login, opened("t2"));
    assert_eq!(token_and_cookies(&rig.granted()).0, "t2");
    // One that has nothing to give changes nothing.
    let grant = rig.granted();
    rig.observe(&grant, 200, &[], "");
    unheard(&mut rig, 3);
    let id = rig.asked.pop_front().expect("credentials are asked for");
    let away = Error::new(ErrorKind::Credentials, "the vault is closed");
    rig.session.supply_credentials(id, Err(away), rig.now);
    assert_eq!(token_and_cookies(&rig.granted()).0, "t2");
    assert!(rig.session.is_settled() && rig.session.take_failure().is_none());
    // Nor does one that never answers.
    rig.observe(&grant, 200, &[], "");
    unheard(&mut rig, 3);
    rig.wait();
    assert_eq!(token_and_cookies(&rig.granted()).0, "t2");
}

#[test]
fn session_that_ends_while_it_is_replaced_costs_no_second_login() {
    let mut rig = Rig::open();
    unheard(&mut rig, 3);
    let grant = rig.granted();
    let login = rig.take(Purpose::Login);
    assert_eq!(rig.observe(&grant, 401, &[], EXPIRED), Verdict::Gone);
    rig.pending();
    rig.nothing_sent();
    rig.report(&login, opened("t2"));
    assert_eq!(token_and_cookies(&rig.granted()).0, "t2");
}

#[test]
fn closing_and_resetting_while_a_session_is_replaced_leave_nothing_open() {
    let leaves: [fn(&mut Rig); 3] = [
        Rig::log_out,
        |rig| rig.command(Command::Reset(Some(Credentials::standard("bob", "hidden")))),
        |rig| {
            rig.session.abandon(rig.now);
            rig.drain();
        },
    ];
    for leave in leaves {
        let mut rig = Rig::open();
        unheard(&mut rig, 3);
        assert!(rig.session.needs_closing());
        let login = rig.take(Purpose::Login);
        leave(&mut rig);
        assert_eq!(header(&rig.take(Purpose::Logout), "x-mstr-authtoken"), Some("t1"));
        rig.report(&login, opened("late"));
        assert_eq!(header(&rig.take(Purpose::Logout), "x-mstr-authtoken"), Some("late"));
    }
}

#[test]
fn cookies_of_a_refusal_are_not_the_session_s() {
    let gateways = || {
        let response = Response::builder()
            .status(401)
            .header("Set-Cookie", "JSESSIONID=gateways; Path=/")
            .body(Bytes::new());
        Ok(response.expect("a response"))
    };
    let mut rig = Rig::open();
    let grant = rig.granted();
    let before = token_and_cookies(&grant);
    assert!(refused(&mut rig, &grant));
    rig.answer(Purpose::Inspect, gateways());
    rig.command(Command::Renew);
    rig.answer(Purpose::Renew, gateways());
    assert_eq!(token_and_cookies(&rig.granted()), before);

    let mut rig = Rig::new(config().checks(true), Some(alice()));
    rig.pending();
    rig.answer(Purpose::Login, opened("t1"));
    rig.answer(Purpose::Status, ok(200, NEW_SERVER));
    rig.answer(Purpose::Inspect, gateways());
    rig.answer(Purpose::Inspect, ok(200, "{}"));
    assert_eq!(token_and_cookies(&rig.granted()), before);
}

#[test]
fn renewal_that_is_asked_for_while_a_session_is_replaced_is_told_how_it_ended() {
    for answer in [ok(503, ""), ok(401, ""), broken(TransportErrorKind::Interrupted)] {
        let mut rig = Rig::open();
        unheard(&mut rig, 3);
        rig.command(Command::Renew);
        rig.answer(Purpose::Login, answer);
        assert_eq!(rig.failure().operation(), Some("login"));
        rig.granted();
    }
}

#[test]
fn success_between_the_questions_keeps_the_session_from_being_replaced() {
    let mut rig = Rig::open();
    for _ in 0..20 {
        unheard(&mut rig, 2);
        let grant = rig.granted();
        rig.observe(&grant, 200, &[], "");
    }
    rig.nothing_sent();
    unheard(&mut rig, 3);
    rig.take(Purpose::Login);
}

#[test]
fn cookies_of_the_server_are_told_from_those_of_what_stands_in_front_of_it() {
    for (status, body, own) in [
        (200, "", true),
        (307, "", true),
        (404, r#"{"code":"ERR004"}"#, true),
        (500, INTERNAL, true),
        (401, r#"{"code":"ERR001"}"#, true),
        (403, "<html>", false),
        (404, "<html>", false),
        (503, "", false),
        (401, "", false),
    ] {
        let mut rig = Rig::open();
        let grant = rig.granted();
        rig.observe(&grant, status, &["JSESSIONID=new", "iSession=new"], body);
        let cookies = token_and_cookies(&rig.granted()).1;
        assert_eq!(cookies.contains("JSESSIONID=new"), own, "{status} {body}");
        assert_eq!(cookies.contains("iSession=new"), own, "{status} {body}");
    }
}
