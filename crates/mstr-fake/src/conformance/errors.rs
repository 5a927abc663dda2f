//! Failures have the right kind, and tell whether the request can have left.

use std::net::{Ipv4Addr, TcpListener};
use std::time::Duration;

use http::Method;
use http::header::HeaderValue;
use mstr_core::{Body, Sent, TransportError, TransportErrorKind as Kind};

use super::Context;
use super::context::{PATIENCE, limited, request};
use crate::loopback::RawServer;

/// The limit that the servers of this module exceed.
const LIMIT: Duration = Duration::from_millis(150);
/// How much longer it may take on a busy machine.
const SLACK: Duration = Duration::from_secs(5);

async fn failure(context: &Context, url: &str) -> TransportError {
    let sent = request(Method::GET, url, Body::empty());
    match context.send(limited(context, sent, PATIENCE, PATIENCE)).await {
        Ok(response) => panic!("{url} was answered: {response:?}"),
        Err(error) => error,
    }
}

/// Reads an answer whose body does not end as it should.
async fn body_failure(context: &Context, server: &RawServer, idle: Duration) -> TransportError {
    let sent = request(Method::GET, &server.url("/"), Body::empty());
    let response = context.send(limited(context, sent, PATIENCE, idle)).await;
    let Ok(response) = response else { panic!("no answer: {response:?}") };
    match response.into_body().collect(usize::MAX).await {
        Ok(body) => panic!("{} bytes were taken for the whole body", body.len()),
        Err(error) => error,
    }
}

pub(super) async fn a_refused_connection_has_not_been_sent(context: Context) {
    // A port that was free a moment ago.
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0));
    let address = listener.and_then(|listener| listener.local_addr());
    let Ok(address) = address else { panic!("no port: {address:?}") };
    let error = failure(&context, &format!("http://{address}/")).await;
    assert_eq!((error.kind(), error.sent()), (Kind::Connect, Sent::No), "{error:?}");
}

pub(super) async fn a_host_that_does_not_exist_is_no_connection(context: Context) {
    // The top-level name is reserved for this (RFC 6761).
    let error = failure(&context, "http://no-such-host.invalid/").await;
    assert_eq!((error.kind(), error.sent()), (Kind::Connect, Sent::No), "{error:?}");
}

pub(super) async fn a_connection_reset_before_the_answer_is_interrupted(mut context: Context) {
    let server = context.serve(|mut connection| {
        connection.read_request()?;
        connection.reset();
        Ok(())
    });
    let error = failure(&context, &server.url("/")).await;
    assert_eq!((error.kind(), error.sent()), (Kind::Interrupted, Sent::Maybe), "{error:?}");
}

pub(super) async fn a_connection_closed_before_the_answer_is_interrupted(mut context: Context) {
    let server = context.serve(|mut connection| connection.read_request().map(drop));
    let error = failure(&context, &server.url("/")).await;
    assert_eq!((error.kind(), error.sent()), (Kind::Interrupted, Sent::Maybe), "{error:?}");
}

pub(super) async fn a_connection_reset_in_a_body_is_interrupted(mut context: Context) {
    let server = context.serve(|mut connection| {
        connection.read_request()?;
        connection.write("HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\npart")?;
        connection.hang(Duration::from_millis(50));
        connection.reset();
        Ok(())
    });
    let error = body_failure(&context, &server, PATIENCE).await;
    assert_eq!(error.kind(), Kind::Interrupted, "{error:?}");
}

pub(super) async fn a_body_cut_short_is_an_error(mut context: Context) {
    let server = context.serve(|mut connection| {
        connection.read_request()?;
        connection.write("HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\npart")
    });
    let error = body_failure(&context, &server, PATIENCE).await;
    assert_eq!(error.kind(), Kind::Interrupted, "{error:?}");
}

pub(super) async fn a_chunked_body_cut_short_is_an_error(mut context: Context) {
    let server = context.serve(|mut connection| {
        connection.read_request()?;
        connection.write("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n4\r\npart\r\n")
    });
    let error = body_failure(&context, &server, PATIENCE).await;
    assert_eq!(error.kind(), Kind::Interrupted, "{error:?}");
}

pub(super) async fn a_silent_server_is_late(mut context: Context) {
    let server = context.serve(|mut connection| {
        connection.read_request()?;
        connection.hang(PATIENCE);
        Ok(())
    });
    let sent = request(Method::GET, &server.url("/"), Body::empty());
    let sent = limited(&context, sent, LIMIT, PATIENCE);
    let (outcome, took) = context.timed(context.send(sent)).await;
    let Err(error) = outcome else { panic!("a silent server answered") };
    assert_eq!((error.kind(), error.sent()), (Kind::Timeout, Sent::Maybe), "{error:?}");
    assert!(took >= LIMIT && took < LIMIT + SLACK, "{took:?}");
}

pub(super) async fn a_head_that_stops_in_its_middle_is_late(mut context: Context) {
    let server = context.serve(|mut connection| {
        connection.read_request()?;
        connection.write("HTTP/1.1 200 OK\r\nx-half: ")?;
        connection.hang(PATIENCE);
        Ok(())
    });
    let sent = request(Method::GET, &server.url("/"), Body::empty());
    let outcome = context.send(limited(&context, sent, LIMIT, PATIENCE)).await;
    let Err(error) = outcome else { panic!("half a head is not an answer") };
    assert_eq!(error.kind(), Kind::Timeout, "{error:?}");
}

pub(super) async fn a_stalled_body_is_late(mut context: Context) {
    let server = context.serve(|mut connection| {
        connection.read_request()?;
        connection.write("HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\npart")?;
        connection.hang(PATIENCE);
        Ok(())
    });
    let (error, took) = context.timed(body_failure(&context, &server, LIMIT)).await;
    assert_eq!(error.kind(), Kind::Timeout, "{error:?}");
    assert!(took < LIMIT + SLACK, "{took:?}");
}

pub(super) async fn a_deadline_in_the_past_sends_nothing(mut context: Context) {
    let server = context.answer("200 OK", "");
    let sent = request(Method::POST, &server.url("/"), Body::from("too late"));
    let sent = limited(&context, sent, Duration::ZERO, PATIENCE);
    context.sleep(Duration::from_millis(2)).await;
    let Err(error) = context.send(sent).await else { panic!("it was too late") };
    assert_eq!(error.kind(), Kind::Timeout, "{error:?}");
    context.sleep(Duration::from_millis(50)).await;
    assert!(server.requests().is_empty());
}

pub(super) async fn what_is_not_http_is_a_protocol_error(mut context: Context) {
    let server = context.serve(|mut connection| {
        connection.read_request()?;
        connection.write("SSH-2.0-OpenSSH_9.6\r\n\r\n")
    });
    let error = failure(&context, &server.url("/")).await;
    assert_eq!((error.kind(), error.sent()), (Kind::Protocol, Sent::Maybe), "{error:?}");
}

/// Sends a few requests to a server that closes each connection after one answer, although it
/// seems to keep it, with a pause between them.
async fn after_a_closing(mut context: Context, rounds: u32, pause: Duration) {
    let server = context.serve(|mut connection| {
        connection.read_request()?;
        connection.answer("200 OK", "one")
    });
    for _ in 0..rounds {
        let sent = request(Method::POST, &server.url("/"), Body::from("x"));
        match context.send(limited(&context, sent, PATIENCE, PATIENCE)).await {
            Ok(response) => {
                let body = response.into_body().collect(usize::MAX).await;
                assert!(body.is_ok(), "{body:?}");
            }
            // Noticed in time: the caller may send it again, whatever the method.
            Err(error) => assert_eq!(error.sent(), Sent::No, "{error:?}"),
        }
        context.sleep(pause).await;
    }
}

pub(super) async fn an_idle_connection_the_server_closed_a_moment_ago_is_no_loss(context: Context) {
    after_a_closing(context, 5, Duration::from_millis(30)).await;
}

pub(super) async fn an_idle_connection_the_server_closed_is_no_loss(context: Context) {
    after_a_closing(context, 2, Duration::from_millis(1100)).await;
}

pub(super) async fn errors_hold_no_secret(mut context: Context) {
    let server = context.serve(|mut connection| {
        connection.read_request()?;
        connection.reset();
        Ok(())
    });
    let secret = "T0pS3cr3t";
    let url = server.url(&format!("/path?token={secret}"));
    let mut sent = request(Method::POST, &url, Body::from(secret));
    let mut value = HeaderValue::from_static("T0pS3cr3t");
    value.set_sensitive(true);
    sent.headers_mut().insert("x-mstr-authtoken", value);
    let Err(error) = context.send(sent).await else { panic!("a reset was answered") };
    let shown = format!("{error} {error:?} {error:#?} {:?}", context.transport);
    assert!(!shown.contains(secret), "{shown}");
}
