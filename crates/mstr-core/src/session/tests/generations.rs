//! Tokens, cookies and the sessions they belong to.

use super::*;

#[test]
fn token_and_cookies_are_swapped_together() {
    let mut rig = Rig::open();
    let first = rig.granted();
    assert_eq!(token_and_cookies(&first), ("t1".into(), "JSESSIONID=j-t1; iSession=t1".into()));
    rig.observe(&first, 200, &["AWSALB=a; Path=/"], "");
    rig.session.revoke(first.generation(), rig.now);
    rig.pending();
    rig.answer(Purpose::Login, opened("t2"));
    let second = rig.granted();
    assert_eq!(token_and_cookies(&second), ("t2".into(), "JSESSIONID=j-t2; iSession=t2".into()));
    // What was granted before keeps what it had.
    assert_eq!(token_and_cookies(&first).0, "t1");
}

#[test]
fn cookies_are_merged_within_a_generation_and_never_across() {
    let mut rig = Rig::open();
    let first = rig.granted();
    rig.observe(&first, 200, &["AWSALB=a; Path=/", "AWSALBCORS=b; Path=/"], "");
    let merged = rig.granted();
    assert_eq!(merged.generation(), first.generation());
    let expected = "JSESSIONID=j-t1; iSession=t1; AWSALB=a; AWSALBCORS=b";
    assert_eq!(token_and_cookies(&merged).1, expected);
    rig.observe(&merged, 404, &["AWSALB=c"], "{}");
    assert!(token_and_cookies(&rig.granted()).1.contains("AWSALB=c;"));

    rig.session.revoke(first.generation(), rig.now);
    rig.pending();
    rig.answer(Purpose::Login, opened("t2"));
    rig.observe(&merged, 200, &["AWSALB=late"], "");
    assert_eq!(token_and_cookies(&rig.granted()).1, "JSESSIONID=j-t2; iSession=t2");
}

#[test]
fn a_late_refusal_of_an_old_generation_costs_nothing() {
    let mut rig = Rig::open();
    let old = rig.granted();
    rig.session.revoke(old.generation(), rig.now);
    rig.pending();
    rig.answer(Purpose::Login, opened("t2"));
    for _ in 0..50 {
        assert_eq!(rig.observe(&old, 401, &[], EXPIRED), Verdict::Outdated);
        rig.session.revoke(old.generation(), rig.now);
    }
    assert_eq!(rig.granted().generation().number(), 2);
    rig.nothing_sent();
}

#[test]
fn a_refusal_is_told_by_its_code() {
    let (gone, suspected) = (Verdict::Gone, Verdict::Suspected);
    for (status, body, verdict) in [
        (401, EXPIRED, gone),
        (500, r#"{"code":"ERR001","iServerCode":-2147468901}"#, gone),
        (403, r#"{"code":"ERR0009"}"#, gone),
        (401, "", suspected),
        (401, "{}", suspected),
        (401, r#"{"message":"Unauthorized"}"#, suspected),
        (401, r#"{"code":"ERR003"}"#, Verdict::Sound),
        (401, "<html>sign in</html>", suspected),
        (403, "", Verdict::Sound),
        (500, "", Verdict::Sound),
        (200, EXPIRED, Verdict::Sound),
    ] {
        let mut rig = Rig::open();
        let grant = rig.granted();
        assert_eq!(rig.observe(&grant, status, &[], body), verdict, "{status} {body}");
        assert_eq!(rig.session.is_open(), verdict != gone, "{status} {body}");
    }
}

#[test]
fn a_refusal_of_cookies_that_have_been_replaced_is_no_loss() {
    let mut rig = Rig::open();
    let stale = rig.granted();
    rig.observe(&stale, 200, &["AWSALB=new"], "");
    assert_eq!(rig.observe(&stale, 401, &[], EXPIRED), Verdict::Outdated);
    let fresh = rig.granted();
    assert_eq!(rig.observe(&fresh, 401, &[], EXPIRED), Verdict::Gone);
}

#[test]
fn a_borrowed_session_that_is_lost_is_never_replaced() {
    let mut rig = Rig::new(config(), Some(borrowed()));
    rig.pending();
    rig.answer(Purpose::Delegate, opened("t1"));
    let grant = rig.granted();
    rig.session.revoke(grant.generation(), rig.now);
    for _ in 0..3 {
        let error = rig.denied();
        assert_eq!(error.kind(), ErrorKind::SessionLost);
        assert_eq!(error.generation(), Some(grant.generation()));
    }
    rig.nothing_sent();
    assert_eq!(rig.events(), "opened1 lost1:Refused");
}

#[test]
fn after_three_sessions_in_which_nothing_worked_no_further_one_is_opened_for_a_while() {
    let mut rig = Rig::open();
    rig.observe(&rig.session.current_grant().expect("open"), 200, &[], "");
    rig.session.revoke(rig.session.generation().expect("opened"), rig.now);
    for round in 0..3 {
        rig.pending();
        rig.answer(Purpose::Login, opened(&format!("f{round}")));
        let grant = rig.granted();
        assert_eq!(rig.observe(&grant, 401, &[], EXPIRED), Verdict::Gone);
        rig.session.revoke(grant.generation(), rig.now);
        let logout = rig.take(Purpose::Logout);
        assert!(logout.detached, "it may live, with only its cookies lost");
    }
    rig.seconds(29);
    let error = rig.denied();
    assert_eq!(error.kind(), ErrorKind::SessionLost);
    assert_eq!(error.retry_after(), Some(Duration::from_secs(1)));
    rig.command(Command::Renew);
    rig.nothing_sent();
    rig.seconds(2);
    rig.pending();
    rig.take(Purpose::Login);
}

#[test]
fn sessions_that_were_idle_for_too_long_before_their_first_request_are_not_fruitless() {
    let mut rig = Rig::open();
    for _ in 0..10 {
        rig.seconds(601);
        rig.pending();
        rig.answer(Purpose::Renew, ok(401, EXPIRED));
        rig.pending();
        rig.answer(Purpose::Login, opened("t"));
        rig.granted();
    }
}

#[test]
fn a_session_in_which_something_worked_ends_the_count_of_fruitless_ones() {
    let mut rig = Rig::open();
    for round in 0..10 {
        let grant = rig.granted();
        if round % 2 == 0 {
            rig.observe(&grant, 200, &[], "");
            rig.seconds(10);
        }
        rig.session.revoke(grant.generation(), rig.now);
        rig.pending();
        rig.answer(Purpose::Login, opened("t"));
    }
    rig.granted();
}

#[test]
fn credentials_that_come_while_a_session_is_left_are_used_for_what_follows() {
    let mut rig = Rig::new(config().checks(true), Some(alice()));
    rig.pending();
    rig.answer(Purpose::Login, opened("t1"));
    rig.answer(Purpose::Inspect, ok(500, INTERNAL));
    // The session whose check has failed is being logged out.
    rig.command(Command::Reset(Some(Credentials::standard("bob", "hidden"))));
    rig.answer(Purpose::Logout, ok(204, ""));
    assert!(rig.session.take_failure().is_none(), "it is no matter of theirs any more");
    rig.pending();
    let login = rig.answer(Purpose::Login, opened("t2"));
    assert!(login.request.body().windows(5).any(|part| part == b"\"bob\""), "{login:?}");
}

#[test]
fn credentials_that_cannot_be_used_are_refused_once_the_session_is_left() {
    let mut rig = Rig::new(config().checks(true), Some(alice()));
    rig.pending();
    rig.answer(Purpose::Login, opened("t1"));
    rig.answer(Purpose::Inspect, ok(500, INTERNAL));
    rig.command(Command::Reset(Some(Credentials::ldap("bob", ""))));
    rig.answer(Purpose::Logout, ok(204, ""));
    assert_eq!(rig.denied().kind(), ErrorKind::Config);
}

#[test]
fn credentials_that_cannot_be_used_are_never_logged_in_with() {
    let mut rig = Rig::new(config(), None);
    rig.command(Command::Reset(Some(Credentials::ldap("bob", ""))));
    assert_eq!(rig.denied().kind(), ErrorKind::Config);
    // The refusal is lifted: what was there before is used, here the provider.
    rig.command(Command::Reset(None));
    rig.pending();
    rig.nothing_sent();
    rig.supply(alice());
    rig.take(Purpose::Login);
}

#[test]
fn good_credentials_lift_the_refusal_of_bad_ones_while_a_session_is_left() {
    for good in [Some(Credentials::standard("bob", "hidden")), None] {
        let mut rig = Rig::new(config().checks(true), Some(alice()));
        rig.pending();
        rig.answer(Purpose::Login, opened("t1"));
        rig.answer(Purpose::Inspect, ok(500, INTERNAL));
        rig.command(Command::Reset(Some(Credentials::ldap("bob", ""))));
        rig.command(Command::Reset(good));
        rig.answer(Purpose::Logout, ok(204, ""));
        rig.pending();
        rig.take(Purpose::Login);
    }
}

#[test]
fn balancer_that_does_not_stick_is_named_and_costs_five_logins_and_then_one_in_30_seconds() {
    let mut rig = Rig::open();
    rig.events();
    for session in 1..=5 {
        let grant = rig.granted();
        // Some reach the server that knows it.
        rig.observe(&grant, 200, &[], "");
        rig.seconds(1);
        assert_eq!(rig.observe(&grant, 401, &[], EXPIRED), Verdict::Gone);
        if session > 1 {
            rig.answer(Purpose::Logout, ok(204, ""));
        }
        if session < 5 {
            rig.pending();
            rig.answer(Purpose::Login, opened("t"));
        }
    }
    assert!(rig.events().contains("not-sticky"));
    let error = rig.denied();
    assert_eq!(error.kind(), ErrorKind::SessionLost);
    assert!(error.to_string().contains("sticky sessions"), "{error}");
    assert_eq!(error.retry_after(), Some(Duration::from_secs(30)));
    rig.seconds(30);
    rig.pending();
    rig.answer(Purpose::Login, opened("t"));
    let grant = rig.granted();
    assert_eq!(rig.observe(&grant, 401, &[], EXPIRED), Verdict::Gone);
    rig.answer(Purpose::Logout, ok(204, ""));
    assert_eq!(rig.denied().retry_after(), Some(Duration::from_secs(30)));
    // One that lasts shows that it is over.
    rig.seconds(30);
    rig.pending();
    rig.answer(Purpose::Login, opened("t"));
    rig.seconds(10);
    let grant = rig.granted();
    rig.observe(&grant, 200, &[], "");
    assert_eq!(rig.observe(&grant, 401, &[], EXPIRED), Verdict::Gone);
    rig.pending();
}
