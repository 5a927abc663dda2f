//! A transport adds nothing of its own.

use http::Method;
use http::header::{ACCEPT, CONTENT_LENGTH, CONTENT_TYPE, HeaderValue, USER_AGENT};
use mstr_core::Body;

use super::Context;
use super::context::{pattern, request};
use crate::loopback::RawRequest;

/// What HTTP itself requires.
const REQUIRED: [&str; 4] = ["host", "content-length", "transfer-encoding", "connection"];

fn added(seen: &RawRequest, sent: &[&str]) -> Vec<String> {
    let names = seen.headers().into_iter().map(|(name, _)| name);
    names.filter(|name| !REQUIRED.contains(&name.as_str()) && !sent.contains(&&**name)).collect()
}

pub(super) async fn nothing_is_added_to_a_request(mut context: Context) {
    let server = context.answer("200 OK", "");
    for method in [Method::GET, Method::HEAD, Method::DELETE, Method::OPTIONS] {
        let mut sent = request(method, &server.url("/"), Body::empty());
        sent.headers_mut().insert("x-own", HeaderValue::from_static("1"));
        context.exchange(sent).await;
    }
    for seen in server.requests() {
        assert_eq!(added(&seen, &["x-own"]), [""; 0], "{seen:?}");
        assert!(seen.values("x-own") == [b"1"], "{seen:?}");
    }
}

pub(super) async fn nothing_is_added_to_a_request_with_a_body(mut context: Context) {
    let server = context.answer("200 OK", "");
    for method in [Method::POST, Method::PUT, Method::PATCH] {
        // Neither a type that was not given, nor another one than was given.
        context.exchange(request(method.clone(), &server.url("/"), Body::from("a=b"))).await;
        let mut typed = request(method, &server.url("/"), Body::from("{}"));
        typed.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        context.exchange(typed).await;
    }
    let seen = server.requests();
    for (index, request) in seen.iter().enumerate() {
        if index % 2 == 0 {
            assert_eq!(added(request, &[]), [""; 0], "{request:?}");
            assert_eq!(request.body(), b"a=b");
        } else {
            assert_eq!(added(request, &["content-type"]), [""; 0], "{request:?}");
            assert_eq!(request.text("content-type").as_deref(), Some("application/json"));
        }
    }
    assert_eq!(seen.len(), 6);
}

pub(super) async fn nothing_is_added_to_a_request_that_has_its_usual_headers(mut context: Context) {
    let server = context.answer("200 OK", "");
    let usual = [
        (ACCEPT, "application/json"),
        (CONTENT_TYPE, "application/json"),
        (USER_AGENT, "a program/1.0"),
    ];
    let methods = [Method::GET, Method::HEAD, Method::POST, Method::PUT, Method::PATCH];
    for method in methods.into_iter().chain([Method::DELETE, Method::OPTIONS]) {
        for body in ["", "{}"] {
            if !body.is_empty() && [Method::GET, Method::HEAD, Method::OPTIONS].contains(&method) {
                continue;
            }
            let mut sent = request(method.clone(), &server.url("/"), Body::from(body));
            for (name, value) in &usual {
                sent.headers_mut().insert(name, HeaderValue::from_static(value));
            }
            context.exchange(sent).await;
            let seen = server.requests().remove(server.requests().len() - 1);
            let names = usual.each_ref().map(|(name, _)| name.as_str());
            assert_eq!(added(&seen, &names), [""; 0], "{seen:?}");
            for (name, value) in &usual {
                assert!(seen.values(name.as_str()) == [value.as_bytes()], "{seen:?}");
            }
        }
    }
}

pub(super) async fn a_large_upload_does_not_ask_for_permission(mut context: Context) {
    let server = context.answer("200 OK", "");
    let body = Body::from(pattern(2 * 1024 * 1024));
    context.exchange(request(Method::POST, &server.url("/"), body)).await;
    let seen = server.requests().remove(0);
    assert!(seen.values("expect").is_empty(), "{seen:?}");
    assert_eq!(seen.body().len(), 2 * 1024 * 1024);
}

pub(super) async fn an_explicit_length_of_zero_reaches_the_server(mut context: Context) {
    let server = context.answer("200 OK", "");
    for method in [Method::POST, Method::PUT, Method::PATCH] {
        let mut sent = request(method, &server.url("/"), Body::empty());
        sent.headers_mut().insert(CONTENT_LENGTH, HeaderValue::from_static("0"));
        context.exchange(sent).await;
    }
    for seen in server.requests() {
        assert!(seen.values("content-length") == [b"0"], "{seen:?}");
        assert!(seen.values("transfer-encoding").is_empty(), "{seen:?}");
    }
}
