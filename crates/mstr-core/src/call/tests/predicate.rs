//! What a policy's predicate decides, and what it cannot.

use http::StatusCode;

use super::*;

const MAINTENANCE: &[u8] = br#"{"code":"ERR013","message":"Down for maintenance"}"#;
const BUSY: &[u8] = br#"{"code":"ERR001","message":"Cube busy","iServerCode":-2147000000}"#;

fn when(mut spec: Spec, is_worth: fn(&Error, bool) -> bool) -> Spec {
    spec.retry = RetryPolicy::new().when(is_worth);
    spec
}

fn busy(error: &Error, _: bool) -> bool {
    error.server().and_then(|said| said.iserver_code) == Some(-2_147_000_000)
}

#[test]
fn predicate_decides_which_answers_are_worth_repeating() {
    let mut rig = Rig::new();
    for (spec, status, body, repeated) in [
        // Without one, a part that is away passes and this server's other errors stay.
        (get(), 503, MAINTENANCE, true),
        (get(), 500, BUSY, false),
        (when(get(), busy), 503, MAINTENANCE, false),
        (when(get(), busy), 500, BUSY, true),
        (when(get(), |error, _| error.status() == Some(StatusCode::NOT_FOUND)), 404, b"{}", true),
        // Whether it is harmless is not the predicate's to say.
        (when(get(), |_, passes| passes), 500, BUSY, false),
        (when(get(), |_, passes| passes), 503, b"", true),
        (when(post(), |_, _| panic!("a POST is not repeated")), 503, MAINTENANCE, false),
        (when(post(), |_, _| true), 429, b"", true),
        (when(post(), |_, _| false), 429, b"", false),
    ] {
        let shown = format!("{spec:?} {status}");
        let mut call = rig.call(spec);
        rig.sent(&mut call);
        let again = matches!(rig.answer(&mut call, status, &[], body), Output::Wait(_));
        assert_eq!(again, repeated, "{shown}");
    }
}

#[test]
fn predicate_is_asked_about_each_attempt_and_bounded_by_the_policy() {
    let mut rig = Rig::new();
    let mut call = rig.call(when(get(), |error, _| error.attempts() < 3));
    for _ in 0..2 {
        rig.sent(&mut call);
        let Output::Wait(at) = rig.answer(&mut call, 404, &[], b"{}") else {
            panic!("it is worth repeating");
        };
        rig.now = at;
    }
    rig.sent(&mut call);
    assert!(matches!(rig.answer(&mut call, 404, &[], b"{}"), Output::Fail(_)));
}

#[test]
fn predicate_decides_which_failures_below_http_are_worth_repeating() {
    let maybe = TransportError::new(TransportErrorKind::Interrupted);
    let tls = TransportError::new(TransportErrorKind::Tls).with_sent(Sent::No);
    let config = TransportError::new(TransportErrorKind::Config).with_sent(Sent::No);
    let mut rig = Rig::new();
    for (spec, error, repeated) in [
        (when(get(), |_, _| false), &maybe, false),
        (when(get(), |error, _| error.kind() == ErrorKind::Tls), &tls, true),
        (when(get(), |error, _| error.kind() == ErrorKind::Tls), &maybe, false),
        (when(get(), |_, _| true), &config, false),
        (when(post(), |_, _| true), &maybe, false),
    ] {
        let shown = format!("{spec:?} {error}");
        assert_eq!(matches!(rig.fail(spec, error), Output::Wait(_)), repeated, "{shown}");
    }
}

#[test]
fn predicate_is_told_what_the_caller_would_be_and_not_asked_after_the_last_attempt() {
    thread_local! {
        static TOLD: std::cell::RefCell<Vec<String>> = const { std::cell::RefCell::new(Vec::new()) };
    }
    fn tell(error: &Error, _: bool) -> bool {
        TOLD.with_borrow_mut(|told| told.push(error.to_string()));
        true
    }
    let mut rig = Rig::new();
    let mut spec = get();
    spec.retry = RetryPolicy::new().max_attempts(2).when(tell);
    let mut call = rig.call(spec);
    rig.sent(&mut call);
    let Output::Wait(at) = rig.answer(&mut call, 404, &[], b"{}") else {
        panic!("it is worth repeating");
    };
    rig.now = at;
    rig.sent(&mut call);
    let error = failure(rig.answer(&mut call, 404, &[], b"{}"));
    let told = TOLD.take();
    assert_eq!(told.len(), 1, "{told:?}");
    assert_eq!(format!("{}, after 2 attempts", told[0]), error.to_string());
}

#[test]
fn predicate_is_not_asked_about_a_session_that_has_ended() {
    let mut rig = Rig::new();
    let mut call = rig.call(when(post(), |_, _| false));
    rig.sent(&mut call);
    assert!(matches!(rig.answer(&mut call, 401, &[], EXPIRED), Output::Wait(_)));
    rig.sent(&mut call);
    assert_eq!(rig.logins, 2);
}
