//! What belongs to the session layer is left to it.

use http::{Method, StatusCode};
use mstr_core::{Body, TransportErrorKind};

use super::Context;
use super::context::request;

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
