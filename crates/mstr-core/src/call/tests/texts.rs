//! What the error of a call says: its first line, and whether the call may have been executed.

use super::*;
use crate::contract::{Stage, TransportErrorKind as Kind};

/// What becomes of the last attempt.
enum Last<'a> {
    Answer(u16, &'a str),
    Fails(TransportError),
}

use Last::{Answer, Fails};

fn below_http(kind: Kind, stage: Stage) -> TransportError {
    TransportError::new(kind).with_sent(stage.sent()).with_place(stage, "env.example.com:443")
}

fn end(rig: &mut Rig, mut spec: Spec, last: &Last<'_>) -> Error {
    spec.retry = RetryPolicy::never();
    let mut call = rig.call(spec);
    rig.sent(&mut call);
    failure(match last {
        Answer(status, body) => rig.answer(&mut call, *status, &[], body.as_bytes()),
        Fails(error) => call.handle_failure(error, rig.now),
    })
}

#[test]
fn texts_of_failed_calls_name_method_and_path_and_say_what_failed_where_and_why() {
    let refused = std::io::Error::from(std::io::ErrorKind::ConnectionRefused);
    let table = [
        (
            Fails(below_http(Kind::Connect, Stage::Connecting).with_source(refused)),
            "GET /api/x: no connection to env.example.com:443: connection refused",
        ),
        (
            Fails(below_http(Kind::Tls, Stage::Connecting).with_reason("its certificate is odd")),
            "GET /api/x: no secure connection to env.example.com:443: its certificate is odd",
        ),
        (
            Fails(below_http(Kind::Timeout, Stage::Connecting)),
            "GET /api/x: no connection to env.example.com:443 in time",
        ),
        (
            Fails(below_http(Kind::Timeout, Stage::Sending)),
            "GET /api/x: no answer from env.example.com:443 in time",
        ),
        (
            Fails(below_http(Kind::Interrupted, Stage::Sending)),
            "GET /api/x: the connection to env.example.com:443 was cut off before an answer",
        ),
        (
            Fails(below_http(Kind::Interrupted, Stage::Reading)),
            "GET /api/x: the answer from env.example.com:443 was cut off",
        ),
        (
            Fails(below_http(Kind::Protocol, Stage::Sending)),
            "GET /api/x: the answer from env.example.com:443 is not HTTP as it should be",
        ),
        (
            Fails(
                TransportError::new(Kind::Config).with_reason("the proxy http://p:1 refused: 407"),
            ),
            "GET /api/x: the transport's settings cannot work: the proxy http://p:1 refused: 407",
        ),
        (Fails(TransportError::new(Kind::Interrupted)), "GET /api/x: the connection ended early"),
        (
            Answer(502, "<html>"),
            "GET /api/x: a gateway in front of the server answers with a page: it cannot reach the server (HTTP 502)",
        ),
        (
            Answer(404, r#"{"code":"ERR004","message":"No such\nreport."}"#),
            "GET /api/x: the server knows no such object or endpoint (HTTP 404): ERR004 \
             \"No such\\nreport.\"",
        ),
        (
            Answer(400, "This combination of host and port requires TLS."),
            "GET /api/x: plain http was sent to a port that speaks https: write https:// in the \
             base URL (HTTP 400)",
        ),
    ];
    let mut rig = Rig::new();
    for (last, expected) in table {
        let mut spec = Spec::new(Method::GET, "/api/x;jsessionid=hush?a=hush");
        spec.query = "b=hush".to_owned();
        let error = end(&mut rig, spec, &last);
        // The server's message loses its full stop.
        assert_eq!(error.to_string(), expected.replace(".\"", "\""));
        assert_eq!(error.operation(), Some("call"));
        assert!(error.report().starts_with(&error.to_string()) && !error.report().contains('\n'));
    }
}

#[test]
fn timeout_says_whether_it_was_connecting_that_took_too_long() {
    let mut rig = Rig::new();
    let mut spec = post();
    spec.timeouts = Timeouts::new().connect(Duration::from_secs(2)).attempt(Duration::from_secs(9));
    for (stage, took, expected) in [
        (Stage::Connecting, 2, "connecting to env.example.com:443 took longer than the connect"),
        (Stage::Sending, 9, "an answer from env.example.com:443 took longer than the attempt"),
    ] {
        let mut spec_of = post();
        (spec_of.timeouts, spec_of.retry) = (spec.timeouts, RetryPolicy::never());
        let mut call = rig.call(spec_of);
        rig.sent(&mut call);
        rig.now += Duration::from_secs(took);
        let error = failure(call.handle_failure(&below_http(Kind::Timeout, stage), rig.now));
        assert!(error.to_string().starts_with(&format!("POST /api/x: {expected}")), "{error}");
        assert_eq!(error.may_have_been_executed(), stage == Stage::Sending);
    }
}

#[test]
fn executed_is_what_may_have_been_at_any_attempt() {
    let table = [
        (Answer(502, ""), true),
        (Answer(504, ""), true),
        (Answer(500, r#"{"code":"ERR001","message":"it failed"}"#), true),
        (Answer(429, ""), false),
        (Answer(400, r#"{"code":"ERR005","message":"malformed"}"#), false),
        (Answer(403, "<html>"), false),
        (Answer(404, ""), false),
        (Answer(500, r#"{"code":"ERR001","iServerCode":-2147072486}"#), false),
        (Fails(below_http(Kind::Connect, Stage::Connecting)), false),
        (Fails(below_http(Kind::Timeout, Stage::Connecting)), false),
        (Fails(below_http(Kind::Timeout, Stage::Sending)), true),
        (Fails(below_http(Kind::Interrupted, Stage::Sending)), true),
        (Fails(below_http(Kind::Interrupted, Stage::Reading)), true),
    ];
    let mut rig = Rig::new();
    for (last, expected) in &table {
        let error = end(&mut rig, post(), last);
        assert_eq!(error.may_have_been_executed(), *expected, "{error}");
    }
    // The last attempt certainly was not, but the first one may have been.
    for first in [Answer(502, ""), Fails(below_http(Kind::Interrupted, Stage::Sending))] {
        let mut spec = post();
        spec.idempotent = Some(true);
        spec.retry.max_attempts = 2;
        let mut call = rig.call(spec);
        rig.sent(&mut call);
        let again = match &first {
            Answer(status, body) => rig.answer(&mut call, *status, &[], body.as_bytes()),
            Fails(error) => call.handle_failure(error, rig.now),
        };
        let Output::Wait(at) = again else { panic!("it is not repeated") };
        rig.now = rig.now.max(at);
        rig.sent(&mut call);
        let unsent = below_http(Kind::Connect, Stage::Connecting);
        assert!(failure(call.handle_failure(&unsent, rig.now)).may_have_been_executed());
    }
    // A call that waits for its answer is late, or one that has not been sent.
    for sent in [true, false] {
        let mut call = rig.call(post());
        if sent {
            rig.sent(&mut call);
        }
        assert_eq!(failure(call.handle_late()).may_have_been_executed(), sent);
    }
}
