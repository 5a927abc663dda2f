//! A transport leaves redirects, repetitions and cookies to the session layer.

use std::sync::Arc;

use http::header::{CONTENT_LENGTH, HeaderValue};
use http::{Method, StatusCode};
use mstr_core::{Body, Sent, TransportErrorKind};

use super::Context;
use super::context::{PATIENCE, limited, request};
use crate::loopback::RawServer;

pub(super) async fn a_redirect_is_not_followed(mut context: Context) {
    for status in ["301 Moved", "302 Found", "303 See Other", "307 Temporary", "308 Permanent"] {
        let server = context.serve(move |mut connection| {
            while connection.read_request()?.is_some() {
                connection.answer(&format!("{status}\r\nlocation: /elsewhere"), "moved")?;
            }
            Ok(())
        });
        let response = context.get(&server.url("/")).await;
        assert!(response.status().is_redirection());
        assert_eq!(response.headers()["location"], "/elsewhere");
        assert_eq!(&response.body()[..], b"moved");
        assert_eq!(server.requests().len(), 1, "{status}");
    }
}

pub(super) async fn cookies_are_not_kept(mut context: Context) {
    let server = context.answer("200 OK\r\nset-cookie: a=1; Path=/", "");
    context.get(&server.url("/")).await;
    context.get(&server.url("/")).await;
    for seen in server.requests() {
        assert!(seen.values("cookie").is_empty(), "{seen:?}");
    }
}

pub(super) async fn a_refusal_is_not_repeated(mut context: Context) {
    for head in ["503 Busy\r\nretry-after: 0", "429 Slow\r\nretry-after: 0", "408 Late"] {
        let server = context.answer(head, "");
        let response = context.get(&server.url("/")).await;
        assert!(!response.status().is_success());
        assert_eq!(server.requests().len(), 1, "{head}");
    }
}

pub(super) async fn credentials_in_a_challenge_are_not_sought(mut context: Context) {
    let server = context.answer("401 Unauthorized\r\nwww-authenticate: Basic realm=\"x\"", "");
    let response = context.get(&server.url("/")).await;
    assert_eq!(response.status(), StatusCode::UNAUTHORIZED);
    let seen = server.requests();
    assert_eq!(seen.len(), 1);
    assert!(seen[0].values("authorization").is_empty());
}

pub(super) async fn a_request_that_was_cut_off_is_not_repeated(mut context: Context) {
    let server = context.serve(|mut connection| {
        connection.read_request()?;
        connection.reset();
        Ok(())
    });
    for method in [Method::GET, Method::PUT, Method::POST] {
        let sent = request(method, &server.url("/"), Body::from("once"));
        let error = context.send(sent).await;
        let Err(error) = error else { panic!("a reset was answered") };
        assert_eq!(error.kind(), TransportErrorKind::Interrupted, "{error:?}");
    }
    assert_eq!(server.requests().len(), 3, "each was sent once");
}

/// Keeps its connections, and cuts off every request to `/second`.
fn fickle(context: &mut Context) -> Arc<RawServer> {
    context.serve(|mut connection| {
        while let Some(request) = connection.read_request()? {
            if request.target().ends_with("/second") {
                connection.reset();
                return Ok(());
            }
            connection.answer("200 OK", "kept")?;
        }
        Ok(())
    })
}

/// Sends a request over a connection that is kept from another, and is cut off.
async fn cut_off(context: &Context, server: &RawServer, method: Method, body: &'static str) {
    assert_eq!(&context.get(&server.url("/first")).await.body()[..], b"kept");
    let before = server.requests().len();
    let mut sent = request(method.clone(), &server.url("/second"), Body::from(body));
    if body.is_empty() {
        sent.headers_mut().insert(CONTENT_LENGTH, HeaderValue::from_static("0"));
    }
    let outcome = context.send(limited(context, sent, PATIENCE, PATIENCE)).await;
    let Err(error) = outcome else { panic!("a reset was answered: {outcome:?}") };
    let expected = (TransportErrorKind::Interrupted, Sent::Maybe);
    assert_eq!((error.kind(), error.sent()), expected, "{error:?}");
    let sent_once = server.requests().len() - before;
    assert_eq!(sent_once, 1, "{method} with the body {body:?} was sent {sent_once} times");
}

pub(super) async fn a_write_that_was_cut_off_on_a_kept_connection_is_not_repeated(
    mut context: Context,
) {
    let server = fickle(&mut context);
    for method in [Method::POST, Method::PUT, Method::PATCH, Method::DELETE] {
        for body in ["", "once"] {
            cut_off(&context, &server, method.clone(), body).await;
        }
    }
}

pub(super) async fn a_read_that_was_cut_off_on_a_kept_connection_is_not_repeated(
    mut context: Context,
) {
    let server = fickle(&mut context);
    for method in [Method::GET, Method::HEAD, Method::OPTIONS] {
        cut_off(&context, &server, method, "").await;
    }
}
