//! Closing, from wherever the machine is.

use super::*;

#[test]
fn closing_an_open_session_logs_it_out_and_everything_is_denied_from_then_on() {
    let mut rig = Rig::open();
    rig.log_out();
    assert_eq!(rig.denied().kind(), ErrorKind::Closed);
    assert!(!rig.session.is_settled());
    rig.answer(Purpose::Logout, ok(204, ""));
    assert!(matches!(rig.session.close_outcome(), Some(CloseOutcome::LoggedOut)));
    assert!(rig.session.is_settled() && !rig.session.needs_closing());
    assert!(rig.session.expose_token().is_none());
    for _ in 0..3 {
        rig.log_out();
        rig.command(Command::Renew);
        rig.command(Command::Reset(Some(alice())));
        rig.seconds(3600);
        assert_eq!(rig.denied().kind(), ErrorKind::Closed);
    }
    rig.nothing_sent();
    assert_eq!(rig.events(), "opened1 closed:LoggedOut");
}

#[test]
fn closing_what_is_not_open_needs_no_server() {
    let mut idle = Rig::standard();
    let mut backing_off = Rig::standard();
    backing_off.pending();
    backing_off.answer(Purpose::Login, ok(503, ""));
    let mut refused = Rig::standard();
    refused.pending();
    refused.answer(Purpose::Login, ok(401, LOGIN_FAILED));
    let mut asking = Rig::new(config(), None);
    asking.pending();
    for rig in [&mut idle, &mut backing_off, &mut refused, &mut asking] {
        rig.log_out();
        rig.nothing_sent();
        assert!(matches!(rig.session.close_outcome(), Some(CloseOutcome::NotOpen)));
        assert_eq!(rig.denied().kind(), ErrorKind::Closed);
    }
    // Credentials that arrive too late open nothing.
    asking.supply(alice());
    asking.nothing_sent();
}

#[test]
fn a_login_under_way_is_awaited_and_what_it_opens_is_logged_out() {
    let mut rig = Rig::standard();
    rig.pending();
    rig.log_out();
    rig.answer(Purpose::Login, opened("t1"));
    assert!(!rig.session.is_settled());
    let logout = rig.answer(Purpose::Logout, ok(204, ""));
    assert_eq!(header(&logout, "x-mstr-authtoken"), Some("t1"));
    assert!(matches!(rig.session.close_outcome(), Some(CloseOutcome::LoggedOut)));
}

#[test]
fn a_login_that_answers_after_closing_gave_it_up_is_still_logged_out() {
    let mut rig = Rig::standard();
    rig.pending();
    let login = rig.take(Purpose::Login);
    rig.log_out();
    rig.wait();
    assert!(matches!(rig.session.close_outcome(), Some(CloseOutcome::NotOpen)));
    rig.report(&login, opened("t1"));
    assert!(rig.take(Purpose::Logout).detached);
}

#[test]
fn closing_while_a_session_is_checked_or_left_closes_once() {
    let mut rig = Rig::new(config().checks(true), Some(alice()));
    rig.pending();
    rig.answer(Purpose::Login, opened("t1"));
    rig.log_out();
    rig.answer(Purpose::Logout, ok(204, ""));
    assert!(matches!(rig.session.close_outcome(), Some(CloseOutcome::LoggedOut)));

    let mut rig = Rig::new(config().project("Sales"), Some(alice()));
    rig.pending();
    rig.answer(Purpose::Login, opened("t1"));
    rig.answer(Purpose::ListProjects, ok(200, "[]"));
    rig.log_out();
    rig.answer(Purpose::Logout, ok(204, ""));
    rig.nothing_sent();
    assert!(matches!(rig.session.close_outcome(), Some(CloseOutcome::LoggedOut)));
    assert!(rig.session.take_failure().is_none());
}

#[test]
fn a_logout_is_repeated_after_a_passing_failure_and_reported_when_it_fails() {
    let mut rig = Rig::open();
    rig.log_out();
    rig.answer(Purpose::Logout, ok(503, ""));
    rig.wait();
    rig.answer(Purpose::Logout, broken(TransportErrorKind::Connect));
    rig.wait();
    rig.answer(Purpose::Logout, ok(503, ""));
    rig.nothing_sent();
    let Some(CloseOutcome::Failed(error)) = rig.session.close_outcome() else {
        panic!("{:?}", rig.session.close_outcome());
    };
    assert_eq!((error.operation(), error.attempts()), (Some("logout"), 3));

    let mut rig = Rig::open();
    rig.log_out();
    rig.take(Purpose::Logout);
    assert_eq!(rig.wait(), Duration::from_secs(10), "a logout that hangs is not repeated");
    rig.nothing_sent();
    assert!(matches!(rig.session.close_outcome(), Some(CloseOutcome::Failed(_))));
}

#[test]
fn a_borrowed_session_is_left_to_its_owner_unless_asked_otherwise() {
    let open = || {
        let mut rig = Rig::new(config(), Some(borrowed()));
        rig.pending();
        rig.answer(Purpose::Delegate, opened("t1"));
        rig.granted();
        rig
    };
    let mut rig = open();
    assert!(!rig.session.needs_closing());
    rig.log_out();
    rig.nothing_sent();
    assert!(matches!(rig.session.close_outcome(), Some(CloseOutcome::Kept)));

    let mut rig = open();
    rig.command(Command::Logout { even_if_borrowed: true });
    rig.answer(Purpose::Logout, ok(204, ""));
    assert!(matches!(rig.session.close_outcome(), Some(CloseOutcome::LoggedOut)));
}

#[test]
fn the_same_holds_for_a_delegation_that_is_still_under_way() {
    for (even_if_borrowed, twice) in [(false, false), (true, false), (true, true)] {
        let mut rig = Rig::new(config(), Some(borrowed()));
        rig.pending();
        if twice {
            rig.log_out();
        }
        rig.command(Command::Logout { even_if_borrowed });
        rig.answer(Purpose::Delegate, opened("t1"));
        if even_if_borrowed {
            rig.answer(Purpose::Logout, ok(204, ""));
            assert!(matches!(rig.session.close_outcome(), Some(CloseOutcome::LoggedOut)));
        } else {
            rig.nothing_sent();
            assert!(matches!(rig.session.close_outcome(), Some(CloseOutcome::Kept)));
        }
    }
}

#[test]
fn a_sign_in_page_confirms_neither_a_logout_nor_a_renewal() {
    let page = || ok(200, "<!DOCTYPE html><html>Please sign in</html>");
    let mut rig = Rig::open();
    rig.command(Command::Renew);
    rig.answer(Purpose::Renew, page());
    assert_eq!(rig.failure().kind(), ErrorKind::Gateway);
    assert_eq!(rig.events(), "opened1", "not renewed");
    rig.granted();

    rig.log_out();
    for _ in 0..2 {
        rig.answer(Purpose::Logout, page());
        rig.wait();
    }
    rig.answer(Purpose::Logout, page());
    match rig.session.close_outcome() {
        Some(CloseOutcome::Failed(error)) => {
            assert_eq!(error.kind(), ErrorKind::Gateway);
            assert!(error.to_string().contains("sign-in page"), "{error}");
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn logout_that_was_not_taken_is_sent_again_with_the_cookies_that_are_valid_by_then() {
    let mut rig = Rig::open();
    let grant = rig.granted();
    rig.log_out();
    let first = rig.take(Purpose::Logout);
    rig.observe(&grant, 200, &["JSESSIONID=new"], "");
    let untaken = TransportError::new(TransportErrorKind::Canceled);
    rig.report(&first, Err(untaken.with_sent(crate::contract::Sent::No)));
    let again = rig.take(Purpose::Logout);
    assert_eq!(again.id, first.id);
    assert!(header(&again, "cookie").expect("cookies").contains("JSESSIONID=new"));
}

#[test]
fn exchanges_that_are_given_up_are_not_kept() {
    let mut rig = Rig::open();
    for _ in 0..50 {
        rig.command(Command::Renew);
        rig.take(Purpose::Renew);
        rig.wait();
    }
    assert_eq!(rig.session.kept_copies(), 0);
    rig.log_out();
    rig.take(Purpose::Logout);
    rig.wait();
    assert_eq!(rig.session.kept_copies(), 0, "nothing of a session that is closed");
}

#[test]
fn balancer_that_does_not_stick_leaves_the_logout_to_be_tried_again_and_told_as_it_ended() {
    for known in [true, false] {
        let mut rig = Rig::open();
        for _ in 0..5 {
            let grant = rig.granted();
            rig.observe(&grant, 200, &[], "");
            rig.observe(&grant, 401, &[], EXPIRED);
            rig.sent.clear();
            rig.seconds(30);
            rig.pending();
            rig.answer(Purpose::Login, opened("t"));
        }
        rig.log_out();
        let mut tries = 1;
        rig.answer(Purpose::Logout, ok(401, EXPIRED));
        while rig.session.close_outcome().is_none() {
            rig.wait();
            tries += 1;
            rig.answer(Purpose::Logout, if known { ok(204, "") } else { ok(401, EXPIRED) });
        }
        match rig.session.close_outcome() {
            Some(CloseOutcome::LoggedOut) if known => assert_eq!(tries, 2),
            Some(CloseOutcome::Failed(error)) if !known => {
                assert!(error.to_string().contains("sticky sessions"), "{error}");
            }
            other => panic!("{other:?}"),
        }
    }
}
