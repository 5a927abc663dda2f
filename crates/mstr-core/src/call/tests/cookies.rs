//! Cookies that are replaced while requests are under way, and the turns that calls take then.

use super::*;

#[test]
fn outdated_grant_is_repeated_a_bounded_number_of_times() {
    let mut rig = Rig::new();
    let mut call = rig.call(post());
    for _ in 0..OUTDATED_LIMIT {
        rig.sent(&mut call);
        // Another call's answer replaces a cookie meanwhile.
        let mut other = rig.call(get());
        rig.sent(&mut other);
        let cookie = format!("AWSALB={}", call.sends());
        let delivered = rig.answer(&mut other, 200, &[("set-cookie", &cookie)], b"");
        assert!(matches!(delivered, Output::Deliver));
        assert!(matches!(rig.answer(&mut call, 401, &[], EXPIRED), Output::Wait(_)));
    }
    assert_eq!(rig.logins, 1);
    rig.sent(&mut call);
    let mut other = rig.call(get());
    rig.sent(&mut other);
    rig.answer(&mut other, 200, &[("set-cookie", "AWSALB=last")], b"");
    assert!(matches!(rig.answer(&mut call, 401, &[], EXPIRED), Output::Wait(_)));
    rig.sent(&mut call);
    assert_eq!(rig.logins, 2, "then it is taken for a loss");
}

#[test]
fn cookie_that_may_be_on_its_way_is_waited_for_a_moment() {
    let mut rig = Rig::exchanging(1);
    let mut call = rig.call(post());
    for wait in [10, 20, 40] {
        rig.sent(&mut call);
        let Output::Wait(at) = rig.answer(&mut call, 401, &[], EXPIRED) else {
            panic!("it is waited for");
        };
        assert_eq!(at, rig.now + Duration::from_millis(wait));
        rig.now = at;
    }
    assert_eq!(rig.logins, 1);
    rig.sent(&mut call);
    assert!(matches!(rig.answer(&mut call, 401, &[], EXPIRED), Output::Wait(at) if at == rig.now));
    rig.sent(&mut call);
    assert_eq!(rig.logins, 2, "then it is taken for a loss");
    let told = failure(rig.answer(&mut call, 401, &[], EXPIRED));
    assert_eq!(told.kind(), ErrorKind::SessionLost, "one new session for a call");
}

#[test]
fn turn_is_taken_before_the_grant_and_given_back_with_each_wait() {
    let mut rig = Rig::exchanging(2);
    let mut call = rig.call(get());
    for _ in 0..2 {
        assert!(matches!(call.proceed(rig.now), Output::NeedGrant));
        let Access::Granted(grant) = call.ask(&mut rig.session, rig.now) else { panic!("open") };
        assert!(matches!(call.handle_access(Ok(grant), None, rig.now), Output::TakeTurn));
        assert!(matches!(call.proceed(rig.now), Output::NeedGrant), "the cookies may be new");
        let Access::Granted(grant) = call.ask(&mut rig.session, rig.now) else { panic!("open") };
        let output = call.handle_access(Ok(grant), None, rig.now);
        request(&mut call, output);
        assert!(matches!(rig.answer(&mut call, 503, &[], b""), Output::Wait(_)));
    }
}

#[test]
fn turn_leaves_no_doubt_about_a_dead_session() {
    let mut rig = Rig::exchanging(2);
    let mut call = rig.call(post());
    rig.sent(&mut call);
    assert!(matches!(rig.answer(&mut call, 401, &[], EXPIRED), Output::Wait(at) if at == rig.now));
    assert!(!rig.session.is_open(), "nothing can have overtaken it");

    // A renewal can.
    let mut rig = Rig::exchanging(2);
    rig.session.handle(Command::Renew, rig.now);
    let mut call = rig.call(post());
    rig.sent(&mut call);
    assert!(matches!(rig.answer(&mut call, 401, &[], EXPIRED), Output::Wait(at) if at > rig.now));
    assert!(rig.session.is_open());
}

#[test]
fn turns_are_taken_after_repeated_changes_and_no_longer_when_they_stop() {
    let mut rig = Rig::exchanging(1);
    assert!(!rig.session.takes_turns(), "a failover changes the cookie once");
    rig.exchange(1);
    assert!(rig.session.takes_turns());
    for _ in 0..3 {
        assert!(rig.session.takes_turns());
        rig.succeed(&[]);
    }
    assert!(!rig.session.takes_turns());
    // A new session begins without a suspicion.
    let mut rig = Rig::exchanging(2);
    let lost = rig.session.generation().expect("open");
    rig.session.revoke(lost, rig.now);
    rig.succeed(&[]);
    assert!(!rig.session.takes_turns());
}

#[test]
fn undecided_status_is_an_error_and_ends_no_session() {
    let mut rig = Rig::exchanging(1);
    let mut call = rig.call(existing_only());
    for _ in 0..3 {
        rig.sent(&mut call);
        let Output::Wait(at) = rig.answer(&mut call, 401, &[], EXPIRED) else {
            panic!("it may have been overtaken");
        };
        rig.now = at;
    }
    rig.sent(&mut call);
    let told = failure(rig.answer(&mut call, 401, &[], EXPIRED));
    assert_eq!(told.kind(), ErrorKind::Server);
    assert!(rig.session.is_open());
}

#[test]
fn refusal_that_newer_cookies_explain_ends_no_session_of_a_call_that_is_sent_once() {
    let mut rig = Rig::new();
    rig.succeed(&[]);
    let mut call = rig.call(with_body(stream()));
    rig.sent(&mut call);
    // Another call's answer replaces a balancer's cookie meanwhile.
    rig.succeed(&[("set-cookie", "AWSALB=2")]);
    let told = failure(rig.answer(&mut call, 401, &[], EXPIRED));
    assert_eq!(told.kind(), ErrorKind::SessionLost);
    assert!(rig.session.is_open(), "it lives, with newer cookies");

    let mut status = rig.call(existing_only());
    rig.sent(&mut status);
    rig.succeed(&[("set-cookie", "AWSALB=3")]);
    assert!(matches!(rig.answer(&mut status, 401, &[], EXPIRED), Output::Wait(_)));
    assert!(rig.session.is_open());
}

#[test]
fn turn_is_waited_for_before_the_session_is_extended() {
    let mut rig = Rig::exchanging(2);
    rig.now += Duration::from_secs(3_600);
    let mut call = rig.call(get());
    assert!(matches!(call.proceed(rig.now), Output::NeedGrant));
    let Access::Granted(grant) = call.ask(&mut rig.session, rig.now) else { panic!("open") };
    assert!(matches!(call.handle_access(Ok(grant), None, rig.now), Output::TakeTurn));
    assert!(!rig.session.is_renewing(), "another call may be under way");
    assert!(matches!(call.proceed(rig.now), Output::NeedGrant));
    assert!(matches!(call.ask(&mut rig.session, rig.now), Access::Pending));
    assert!(rig.session.is_renewing());
}

#[test]
fn cookie_is_not_waited_for_beyond_the_deadline() {
    let mut rig = Rig::exchanging(1);
    let mut call = rig.call(with_total(Duration::from_secs(1)));
    rig.sent(&mut call);
    rig.now += Duration::from_millis(995);
    assert!(matches!(rig.answer(&mut call, 401, &[], EXPIRED), Output::Wait(at) if at == rig.now));
    assert!(!rig.session.is_open(), "it is taken for a loss");
}

#[test]
fn refusal_of_a_call_that_is_sent_once_is_taken_for_the_loss_that_it_may_be() {
    // A failover has replaced a cookie of late. Were the refusal no word about the session, a
    // client that sends nothing else would be refused for ever.
    let mut rig = Rig::exchanging(1);
    let mut call = rig.call(with_body(stream()));
    rig.sent(&mut call);
    let told = failure(rig.answer(&mut call, 401, &[], EXPIRED));
    assert_eq!(told.kind(), ErrorKind::SessionLost);
    assert!(!rig.session.is_open());
}
