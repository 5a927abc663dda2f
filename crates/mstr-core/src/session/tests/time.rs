//! Idle timeouts, renewals, and when neither is needed.

use super::*;

#[test]
fn a_busy_hour_against_a_timeout_of_ten_minutes_needs_no_renewal() {
    let mut rig = Rig::open();
    for _ in 0..3600 {
        rig.seconds(1);
        let grant = rig.granted();
        assert_eq!(rig.observe(&grant, 200, &[], ""), Verdict::Sound);
        assert!(rig.session.renew_at().expect("open") > rig.now);
    }
    rig.nothing_sent();
}

#[test]
fn an_idle_session_is_due_for_renewal_in_the_last_fifth_of_its_time() {
    let mut rig = Rig::open();
    let due = rig.session.renew_at().expect("open") - rig.now;
    assert!(due <= Duration::from_secs(540) && due >= Duration::from_secs(525), "{due:?}");
    // Nothing happens by itself: whoever wants it renewed says so.
    rig.seconds(599);
    rig.granted();
    rig.nothing_sent();
}

#[test]
fn a_session_that_was_idle_for_too_long_is_asked_about_before_it_is_used() {
    let mut rig = Rig::open();
    rig.seconds(601);
    rig.pending();
    rig.pending();
    rig.answer(Purpose::Renew, ok(204, ""));
    assert_eq!(rig.granted().generation().number(), 1, "the same session");
    rig.nothing_sent();
    assert_eq!(rig.events(), "opened1 renewed1");
    rig.seconds(599);
    rig.granted();
}

#[test]
fn renewal_whose_answer_lay_unread_has_extended_the_session_when_it_was_sent() {
    let mut rig = Rig::open();
    rig.command(Command::Renew);
    let renewal = rig.take(Purpose::Renew);
    rig.now += Duration::from_secs(3_600);
    rig.session.handle_response(renewal.id, ok(204, ""), rig.now);
    rig.pending();
    rig.answer(Purpose::Renew, ok(204, ""));
    rig.granted();
}

#[test]
fn renewal_that_is_asked_for_long_after_what_is_under_way_is_sent_after_it() {
    // A question and a renewal that were left behind.
    for what in [Purpose::Inspect, Purpose::Renew] {
        let mut rig = Rig::open();
        let grant = rig.granted();
        match what {
            Purpose::Renew => rig.command(Command::Renew),
            _ => assert!(rig.session.question(grant.generation(), rig.now, rig.now)),
        }
        rig.drain();
        rig.seconds(40);
        rig.command(Command::Renew);
        rig.answer(what, ok(200, "{}"));
        assert!(!rig.session.is_settled());
        rig.answer(Purpose::Renew, ok(204, ""));
        rig.nothing_sent();
        assert!(rig.session.take_failure().is_none());
    }
    // A session whose opening was left behind.
    let mut rig = Rig::new(config().checks(true), Some(alice()));
    rig.pending();
    rig.answer(Purpose::Login, opened("t1"));
    rig.answer(Purpose::Inspect, ok(200, r#"{"timeout":600}"#));
    rig.seconds(40);
    rig.command(Command::Renew);
    rig.answer(Purpose::Status, ok(200, NEW_SERVER));
    rig.answer(Purpose::Renew, ok(204, ""));
    rig.nothing_sent();
}

#[test]
fn check_that_the_server_answers_extends_the_session() {
    const LIST: &str = r#"[{"id":"B19DEDCC11D4E0EFC000EB9495D0F44F","name":"Tutorial"}]"#;
    let mut rig = Rig::new(config().project("Tutorial"), Some(alice()));
    rig.pending();
    let login = rig.take(Purpose::Login);
    rig.now += Duration::from_secs(3_600);
    rig.session.handle_response(login.id, opened("t1"), rig.now);
    rig.answer(Purpose::ListProjects, ok(200, LIST));
    rig.granted();
    rig.nothing_sent();
}

#[test]
fn a_session_that_has_expired_is_replaced() {
    let mut rig = Rig::open();
    rig.seconds(601);
    rig.pending();
    rig.answer(Purpose::Renew, ok(401, EXPIRED));
    rig.pending();
    rig.answer(Purpose::Login, opened("t2"));
    assert_eq!(rig.granted().generation().number(), 2);
    rig.nothing_sent();
    assert_eq!(rig.events(), "opened1 lost1:Expired opened2");
}

#[test]
fn a_renewal_that_fails_in_passing_never_takes_away_a_usable_session() {
    for answer in [ok(503, ""), ok(500, ""), broken(TransportErrorKind::Timeout)] {
        let mut rig = Rig::open();
        rig.seconds(550);
        rig.command(Command::Renew);
        rig.granted();
        rig.answer(Purpose::Renew, answer);
        let error = rig.failure();
        assert_eq!(error.operation(), Some("renew"));
        assert!(error.is_retryable(), "{error}");
        rig.granted();
        assert!(rig.session.renew_at().expect("open") > rig.now, "not again at once");
    }
}

#[test]
fn a_required_renewal_that_fails_in_passing_leaves_the_session_on_trust() {
    let mut rig = Rig::open();
    rig.seconds(601);
    rig.pending();
    rig.wait();
    assert_eq!(rig.granted().generation().number(), 1);
    assert!(rig.session.take_failure().is_none(), "nobody asked to renew");
}

#[test]
fn many_who_ask_to_renew_share_one_request() {
    let mut rig = Rig::open();
    for _ in 0..50 {
        rig.command(Command::Renew);
    }
    rig.answer(Purpose::Renew, ok(204, ""));
    rig.nothing_sent();
}

#[test]
fn a_renewal_nobody_waited_for_does_not_spoil_the_next_one() {
    let mut rig = Rig::open();
    rig.command(Command::Renew);
    rig.take(Purpose::Renew);
    rig.seconds(61);
    rig.granted();
    rig.command(Command::Renew);
    rig.answer(Purpose::Renew, ok(204, ""));
    assert!(rig.session.take_failure().is_none(), "this one has succeeded");
}

#[test]
fn sessions_opened_together_are_not_renewed_together() {
    let due = |seed| {
        let mut rig = Rig::new(config().checks(true).seed(seed), Some(alice()));
        rig.settle(r#"{"timeout":600}"#, NEW_SERVER);
        rig.session.renew_at().expect("open") - rig.now
    };
    assert_eq!(due(1), due(1));
    assert_ne!(due(1), due(2));
}

#[test]
fn a_limit_of_for_ever_is_a_limit() {
    let for_ever = config().exchange_timeout(Duration::MAX).logout_timeout(Duration::MAX);
    let mut rig = Rig::new(for_ever, Some(alice()));
    rig.pending();
    rig.answer(Purpose::Login, opened("t1"));
    rig.granted();
    rig.log_out();
    rig.answer(Purpose::Logout, ok(204, ""));
}

#[test]
fn a_renewal_that_crossed_an_answer_with_new_cookies_says_nothing_about_the_session() {
    let mut rig = Rig::open();
    let grant = rig.granted();
    rig.command(Command::Renew);
    let verdict = rig.observe(&grant, 200, &["JSESSIONID=new"], "");
    assert_eq!(verdict, Verdict::Sound);
    rig.answer(Purpose::Renew, ok(401, EXPIRED));
    assert_eq!(rig.granted().generation().number(), 1);
    rig.nothing_sent();
    // With the cookies it was sent with, a refusal is a refusal, unless others may be on their way:
    // then it is asked again before it is believed.
    rig.command(Command::Renew);
    for milliseconds in [10, 20, 40] {
        rig.answer(Purpose::Renew, ok(401, EXPIRED));
        assert_eq!(rig.wait(), Duration::from_millis(milliseconds));
    }
    rig.answer(Purpose::Renew, ok(401, EXPIRED));
    rig.answer(Purpose::Login, opened("t2"));
    assert_eq!(rig.granted().generation().number(), 2);
}
