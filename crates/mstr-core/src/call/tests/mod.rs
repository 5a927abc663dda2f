//! The machine of one request against a session in virtual time.

mod cookies;
mod predicate;
mod texts;

use std::time::{Duration, Instant};

use bytes::Bytes;
use http::header::{HeaderMap, HeaderValue};
use http::response::Parts;
use http::{Method, Request, Response};

use super::repeats::OUTDATED_LIMIT;
use super::*;
use crate::contract::{Body, Sent, TransportError, TransportErrorKind};
use crate::error::{Error, ErrorKind};
use crate::protocol::{BaseUrl, Credentials};
use crate::retry::RetryPolicy;
use crate::session::{Access, Command, Output as SessionOutput, Purpose, Session, SessionConfig};
use crate::timeouts::Timeouts;

const EXPIRED: &[u8] = br#"{"code":"ERR009","message":"The session has expired"}"#;

/// A call, the session it is made in, and a clock.
struct Rig {
    config: SessionConfig,
    session: Session,
    now: Instant,
    logins: u32,
}

fn config() -> SessionConfig {
    let base = BaseUrl::parse("https://env.example.com/L").expect("a URL");
    SessionConfig::new(base).checks(false).seed(7)
}

fn get() -> Spec {
    Spec::new(Method::GET, "/api/x")
}

fn post() -> Spec {
    with_body("{}".into())
}

fn with_body(body: Body) -> Spec {
    let mut spec = Spec::new(Method::POST, "/api/x");
    spec.body = body;
    spec
}

fn with_total(total: Duration) -> Spec {
    let mut spec = get();
    spec.timeouts = Timeouts::new().total(Some(total));
    spec
}

fn existing_only() -> Spec {
    let mut spec = get();
    spec.existing_only = true;
    spec
}

fn without_auth(path: &str) -> Spec {
    let mut spec = Spec::new(Method::GET, path);
    spec.authenticated = false;
    spec
}

fn head(status: u16, headers: &[(&'static str, &str)]) -> Parts {
    let mut response = Response::builder().status(status);
    for (name, value) in headers {
        response = response.header(*name, *value);
    }
    response.body(()).expect("a response").into_parts().0
}

impl Rig {
    fn new() -> Self {
        #[expect(clippy::disallowed_methods, reason = "an arbitrary origin for virtual time")]
        let now = Instant::now();
        let credentials = Credentials::standard("alice", "secret");
        let session = Session::new(config(), Some(credentials)).expect("settings that work");
        Self { config: config(), session, now, logins: 0 }
    }

    /// A session whose server has replaced its cookie with so many answers.
    fn exchanging(answers: u32) -> Self {
        let mut rig = Self::new();
        for number in 0..answers {
            rig.exchange(number);
        }
        rig
    }

    /// A call is answered with a new cookie for the session.
    fn exchange(&mut self, number: u32) {
        let cookie = format!("JSESSIONID=n{number}");
        self.succeed(&[("set-cookie", &cookie)]);
    }

    fn succeed(&mut self, headers: &[(&'static str, &str)]) {
        let mut call = self.call(get());
        self.sent(&mut call);
        assert!(matches!(self.answer(&mut call, 200, headers, b""), Output::Deliver));
    }

    fn call(&self, spec: Spec) -> Call {
        Call::new(spec, &self.config, 7, self.now)
    }

    /// Goes from the beginning of an attempt to what is to be sent, logging in if need be.
    fn attempt(&mut self, call: &mut Call) -> Output {
        let output = call.proceed(self.now);
        self.until_sent(call, output)
    }

    /// The same, and the request that is sent then.
    fn sent(&mut self, call: &mut Call) -> Request<Body> {
        let output = self.attempt(call);
        request(call, output)
    }

    fn until_sent(&mut self, call: &mut Call, mut output: Output) -> Output {
        loop {
            output = match output {
                Output::NeedGrant => match call.ask(&mut self.session, self.now) {
                    Access::Granted(grant) => call.handle_access(Ok(grant), None, self.now),
                    Access::Denied(error) => call.handle_access(Err(error), None, self.now),
                    Access::Pending => {
                        self.log_in();
                        Output::NeedGrant
                    }
                },
                Output::TakeTurn => call.proceed(self.now),
                other => return other,
            }
        }
    }

    fn log_in(&mut self) {
        while let SessionOutput::Send(exchange) = {
            let mut output = self.session.poll_output();
            while matches!(output, SessionOutput::Event(_)) {
                output = self.session.poll_output();
            }
            output
        } {
            if exchange.purpose == Purpose::Login {
                self.logins += 1;
                let response = Response::builder()
                    .status(204)
                    .header("X-MSTR-AuthToken", format!("t{}", self.logins))
                    .header("Set-Cookie", format!("JSESSIONID=j{}", self.logins));
                let response = response.body(Bytes::new()).expect("a response");
                self.session.handle_response(exchange.id, Ok(response), self.now);
            }
        }
    }

    /// Answers the attempt under way; an error's body is given when it is asked for.
    fn answer(
        &mut self,
        call: &mut Call,
        status: u16,
        headers: &[(&'static str, &str)],
        body: &[u8],
    ) -> Output {
        let head = head(status, headers);
        match call.handle_head(&head, None, &mut self.session, self.now) {
            Output::ReadError { .. } => {
                call.handle_head(&head, Some(body), &mut self.session, self.now)
            }
            other => other,
        }
    }

    /// Answers each attempt alike until it is not sent again; how often it was sent.
    fn answer_all(&mut self, spec: Spec, status: u16, body: &[u8]) -> (u32, Output) {
        let mut call = self.call(spec);
        let mut output = self.attempt(&mut call);
        while let Output::Send = output {
            call.request().expect("it is to be sent");
            output = self.answer(&mut call, status, &[], body);
            if let Output::Wait(at) = output {
                self.now = self.now.max(at);
                output = self.attempt(&mut call);
            }
        }
        (call.sends(), output)
    }

    fn fail(&mut self, spec: Spec, error: &TransportError) -> Output {
        let mut call = self.call(spec);
        self.sent(&mut call);
        call.handle_failure(error, self.now)
    }
}

fn request(call: &mut Call, output: Output) -> Request<Body> {
    match output {
        Output::Send => call.request().expect("it is to be sent"),
        other => panic!("{other:?}"),
    }
}

fn failure(output: Output) -> Error {
    match output {
        Output::Fail(error) => error,
        other => panic!("{other:?}"),
    }
}

fn stream() -> Body {
    Body::wrap(Body::from("once"))
}

#[test]
fn failure_is_repeated_only_where_that_does_no_harm() {
    let maybe = TransportError::new(TransportErrorKind::Interrupted);
    let unsent = TransportError::new(TransportErrorKind::Connect).with_sent(Sent::No);
    let tls = TransportError::new(TransportErrorKind::Tls).with_sent(Sent::No);
    let mut rig = Rig::new();
    for (spec, error, repeated) in [
        (get(), &maybe, true),
        (post(), &maybe, false),
        (post(), &unsent, true),
        (with_body(stream()), &unsent, false),
        (get(), &tls, false),
    ] {
        let shown = format!("{spec:?} {error}");
        let again = matches!(rig.fail(spec, error), Output::Wait(_));
        assert_eq!(again, repeated, "{shown}");
    }
}

#[test]
fn status_that_stays_is_told_at_once_and_one_that_passes_is_waited_out() {
    let mut rig = Rig::new();
    for status in [400, 404, 409, 413, 501] {
        let (sends, output) = rig.answer_all(get(), status, b"");
        assert_eq!((sends, failure(output).status().map(|it| it.as_u16())), (1, Some(status)));
    }
    let own = br#"{"code":"ERR001","message":"unknown object"}"#;
    assert_eq!(rig.answer_all(get(), 500, own).0, 1, "the server's own word");
    let away = br#"{"code":"ERR0013","message":"the Intelligence Server cannot be reached"}"#;
    assert_eq!(rig.answer_all(get(), 500, away).0, 3, "a part of the server is away");
    assert_eq!(rig.answer_all(post(), 500, away).0, 1);
    for status in [408, 429, 500, 502, 503, 504] {
        assert_eq!(rig.answer_all(get(), status, b"<html>").0, 3, "{status}");
        // 429 says that nothing was processed.
        let posted = if status == 429 { 3 } else { 1 };
        assert_eq!(rig.answer_all(post(), status, b"").0, posted, "{status}");
    }
}

#[test]
fn retry_after_is_waited_for_and_attempts_are_counted() {
    let mut rig = Rig::new();
    let mut call = rig.call(get());
    rig.sent(&mut call);
    let Output::Wait(at) = rig.answer(&mut call, 503, &[("retry-after", "9")], b"") else {
        panic!("the first refusal is waited out");
    };
    assert!(at >= rig.now + Duration::from_secs(9));
    let error = failure(rig.answer_all(get(), 503, b"").1);
    assert_eq!((error.attempts(), error.operation()), (3, Some("call")));
}

#[test]
fn deadline_cuts_no_wait_short_and_none_that_would_pass_it_is_begun() {
    let mut rig = Rig::new();
    let mut call = rig.call(with_total(Duration::from_secs(1)));
    rig.sent(&mut call);
    let told = rig.answer(&mut call, 503, &[("retry-after", "2")], b"");
    assert_eq!(failure(told).kind(), ErrorKind::Server);

    let mut call = rig.call(with_total(Duration::from_secs(1)));
    rig.now += Duration::from_secs(2);
    assert_eq!(failure(rig.attempt(&mut call)).kind(), ErrorKind::Timeout);
    assert_eq!(call.sends(), 0);
}

#[test]
fn lost_session_costs_one_login_and_one_repetition_even_for_a_post() {
    let mut rig = Rig::new();
    let mut call = rig.call(post());
    rig.sent(&mut call);
    assert!(matches!(rig.answer(&mut call, 401, &[], EXPIRED), Output::Wait(at) if at == rig.now));
    rig.sent(&mut call);
    assert_eq!(rig.logins, 2);
    let error = failure(rig.answer(&mut call, 401, &[], EXPIRED));
    assert_eq!(error.kind(), ErrorKind::SessionLost);
    assert_eq!(call.sends(), 2);
}

#[test]
fn lost_session_is_given_up_by_a_call_that_cannot_be_repeated() {
    for spec in [with_body(stream()), existing_only()] {
        let mut rig = Rig::new();
        rig.session.handle(Command::Renew, rig.now);
        rig.log_in();
        let mut call = rig.call(spec);
        rig.sent(&mut call);
        let error = failure(rig.answer(&mut call, 401, &[], EXPIRED));
        assert_eq!(error.generation().map(|it| it.number()), Some(1));
        assert!(!rig.session.is_open(), "the next call logs in");
    }
}

#[test]
fn place_store_and_front_headers_are_asked_for_where_they_are_wanted() {
    let mut rig = Rig::new();
    let wants = Wants { place: true, store: true, front_headers: true };
    let mut call = rig.call(get()).wants(wants);
    let front = || {
        let mut front = HeaderMap::new();
        front.insert("x-front", HeaderValue::from_static("secret"));
        front.append("x-front", HeaderValue::from_static("second"));
        front.insert("x-mstr-authtoken", HeaderValue::from_static("forged"));
        Ok(front)
    };
    assert!(matches!(call.proceed(rig.now), Output::TakePlace));
    assert!(matches!(call.proceed(rig.now), Output::ConsultStore));
    let output = call.proceed(rig.now);
    assert!(matches!(rig.until_sent(&mut call, output), Output::FrontHeaders));
    let output = call.handle_front_headers(front(), rig.now);
    let sent = request(&mut call, output);
    let values: Vec<_> = sent.headers().get_all("x-front").iter().collect();
    assert_eq!(values, ["secret", "second"]);
    assert!(values.iter().all(|value| value.is_sensitive()));
    assert_eq!(sent.headers()["x-mstr-authtoken"], "t1");

    // A place for each attempt; the store is read once.
    assert!(matches!(rig.answer(&mut call, 503, &[], b""), Output::Wait(_)));
    assert!(matches!(call.proceed(rig.now), Output::TakePlace));
    let output = call.proceed(rig.now);
    assert!(matches!(rig.until_sent(&mut call, output), Output::FrontHeaders));
    let error = Error::new(ErrorKind::Credentials, "no front headers");
    let told = failure(call.handle_front_headers(Err(error), rig.now));
    assert_eq!((told.kind(), told.operation()), (ErrorKind::Credentials, Some("call")));
}

#[test]
fn front_headers_never_go_to_another_host() {
    let rig = Rig::new();
    let wants = Wants { front_headers: true, ..Wants::default() };
    let elsewhere = without_auth("https://other.example/x");
    let mut elsewhere = rig.call(elsewhere).wants(wants);
    let output = elsewhere.proceed(rig.now);
    request(&mut elsewhere, output);
    let here = without_auth("/api/status");
    let mut here = rig.call(here).wants(wants);
    assert!(matches!(here.proceed(rig.now), Output::FrontHeaders));
}

#[test]
fn call_about_the_session_in_use_opens_none() {
    let mut rig = Rig::new();
    let mut call = rig.call(existing_only());
    let error = failure(rig.attempt(&mut call));
    assert_eq!(error.kind(), ErrorKind::SessionLost);
    assert_eq!(rig.logins, 0);
}

#[test]
fn call_without_the_session_needs_no_grant_and_tells_it_nothing() {
    let mut rig = Rig::new();
    let mut call = rig.call(without_auth("/api/x"));
    let output = call.proceed(rig.now);
    let sent = request(&mut call, output);
    assert!(!sent.headers().contains_key("x-mstr-authtoken"));
    let told = failure(rig.answer(&mut call, 401, &[], EXPIRED));
    assert_eq!(told.generation(), None);
}

#[test]
fn input_that_was_not_asked_for_ends_the_call_and_sends_nothing() {
    let mut rig = Rig::new();
    let unsent = TransportError::new(TransportErrorKind::Connect).with_sent(Sent::No);
    type Input = Box<dyn FnMut(&mut Call, &mut Rig) -> Output>;
    let mut inputs: Vec<Input> = vec![
        Box::new(|call, rig| call.proceed(rig.now)),
        Box::new(|call, rig| call.handle_front_headers(Ok(HeaderMap::new()), rig.now)),
        Box::new(|call, rig| call.handle_head(&head(200, &[]), None, &mut rig.session, rig.now)),
        Box::new(move |call, rig| call.handle_failure(&unsent, rig.now)),
    ];
    for input in &mut inputs {
        let mut call = rig.call(get());
        assert!(matches!(call.proceed(rig.now), Output::NeedGrant));
        assert_eq!(failure(input(&mut call, &mut rig)).kind(), ErrorKind::Usage);
        assert_eq!(failure(call.proceed(rig.now)).kind(), ErrorKind::Usage, "it is over");
        assert_eq!((call.sends(), call.describe()), (0, "over"));
    }
}

#[test]
fn repetition_goes_to_the_same_address_and_a_redirect_to_the_new_one() {
    let mut rig = Rig::new();
    let mut call = rig.call(Spec { path: "/api/x?a=1".into(), ..post() });
    let first = rig.sent(&mut call);
    assert_eq!(first.uri(), "https://env.example.com/L/api/x?a=1");
    assert!(matches!(rig.answer(&mut call, 429, &[], b""), Output::Wait(_)));
    assert_eq!(rig.sent(&mut call).uri(), first.uri());
    let moved = rig.answer(&mut call, 303, &[("location", "y")], b"");
    assert!(matches!(moved, Output::Wait(at) if at == rig.now));
    let followed = rig.sent(&mut call);
    assert_eq!((followed.method(), followed.uri().path()), (&Method::GET, "/L/api/y"));
    let away = rig.answer(&mut call, 307, &[("location", "https://evil.example/")], b"");
    assert_eq!(failure(away).kind(), ErrorKind::Redirect);
}

#[test]
fn retry_policy_of_one_attempt_repeats_for_a_lost_session_only() {
    let mut rig = Rig::new();
    let once = || Spec { retry: RetryPolicy::never(), ..get() };
    assert_eq!(rig.answer_all(once(), 503, b"").0, 1);
    assert_eq!(rig.answer_all(once(), 401, EXPIRED).0, 2);
}

#[test]
fn request_is_made_once_for_each_time_it_is_asked_for() {
    let mut rig = Rig::new();
    let mut call = rig.call(get());
    assert!(matches!(rig.attempt(&mut call), Output::Send));
    call.request().expect("it is to be sent");
    assert_eq!(call.request().expect_err("a second one").kind(), ErrorKind::Usage);
    assert_eq!((call.sends(), call.describe()), (1, "over"));
    // Nor is there an answer to what was not sent.
    let mut call = rig.call(get());
    rig.attempt(&mut call);
    let unsent = TransportError::new(TransportErrorKind::Connect).with_sent(Sent::No);
    assert_eq!(failure(call.handle_failure(&unsent, rig.now)).kind(), ErrorKind::Usage);
}

#[test]
fn redirect_after_one_that_took_the_body_away_is_followed() {
    let mut rig = Rig::new();
    let mut call = rig.call(with_body(stream()));
    rig.sent(&mut call);
    assert!(matches!(rig.answer(&mut call, 303, &[("location", "y")], b""), Output::Wait(_)));
    rig.sent(&mut call);
    assert!(matches!(rig.answer(&mut call, 302, &[("location", "z")], b""), Output::Wait(_)));
    assert_eq!(rig.sent(&mut call).uri().path(), "/L/api/z");
}

#[test]
fn headers_of_a_caller_may_be_many() {
    let mut rig = Rig::new();
    let mut spec = get();
    for _ in 0..20_000 {
        spec.header("x-many".parse().expect("a name"), HeaderValue::from_static("1"));
    }
    let mut call = rig.call(spec);
    assert_eq!(rig.sent(&mut call).headers().get_all("x-many").iter().count(), 20_000);
}

#[test]
fn what_was_answered_was_sent_whatever_its_body_s_failure_says() {
    let mut rig = Rig::new();
    let unsent = TransportError::new(TransportErrorKind::Connect).with_sent(Sent::No);
    for (spec, repeated) in [(get(), true), (post(), false)] {
        let mut call = rig.call(spec);
        rig.sent(&mut call);
        let asked = call.handle_head(&head(500, &[]), None, &mut rig.session, rig.now);
        assert!(matches!(asked, Output::ReadError { .. }));
        let output = call.handle_failure(&unsent, rig.now);
        assert_eq!(matches!(output, Output::Wait(_)), repeated);
    }
}

#[test]
fn empty_body_of_any_kind_has_a_length() {
    let mut rig = Rig::new();
    for body in [Body::empty(), Body::from(""), Body::replayable(|| Body::wrap(Body::empty()))] {
        let mut call = rig.call(with_body(body));
        assert_eq!(rig.sent(&mut call).headers()["content-length"], "0");
    }
    let mut call = rig.call(get());
    assert!(!rig.sent(&mut call).headers().contains_key("content-length"));
}
