//! Open, call, close over each stack, with and without TLS; and how little reqwest adds.

#![expect(clippy::unwrap_used, reason = "this is test code")]

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use http::Request;
use mstr_core::{
    BlockingTransport, Body, CloseOutcome, Connection, RequestContext, Sent, Transport,
    TransportErrorKind, blocking,
};
use mstr_fake::Server;
use mstr_fake::loopback::{Authority, HttpServer, RawServer, ServerTls};
use mstr_stacks::reqwest::ReqwestTransport;
use mstr_stacks::ureq::UreqTransport;
use serde_json::Value;

/// A server, and the certificate of its authority.
fn server(tls: bool) -> (HttpServer, Option<Authority>) {
    let model = Server::builder().user("alice", "secret").build();
    let builder = HttpServer::builder();
    if !tls {
        return (builder.start(model).unwrap(), None);
    }
    let authority = Authority::new().unwrap();
    let identity = authority.issue("127.0.0.1").unwrap();
    let server = builder.tls(ServerTls::new(&identity).unwrap()).start(model).unwrap();
    assert!(server.base_url().starts_with("https://"));
    (server, Some(authority))
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap()
}

fn over_reqwest(tls: bool) {
    let (server, authority) = server(tls);
    let mut builder = reqwest::Client::builder();
    if let Some(authority) = authority {
        let certificate = reqwest::Certificate::from_pem(authority.pem().as_bytes()).unwrap();
        builder = builder.tls_certs_only([certificate]);
    }
    let runtime = runtime();
    let transport = ReqwestTransport::new(builder, runtime.handle().clone()).unwrap();
    let connect =
        Connection::builder(server.base_url()).standard("alice", "secret").transport(transport);
    runtime.block_on(async {
        let connection = connect.connect().await.unwrap();
        let echo = connection.post("/api/echo").body("hello").send().await.unwrap();
        assert_eq!(echo.json::<Value>().await.unwrap()["body"], "hello");
        assert!(matches!(connection.close().await, CloseOutcome::LoggedOut));
    });
    assert_eq!(server.server(|server| server.open_sessions()), 0);
}

fn over_ureq(tls: bool) {
    let (server, authority) = server(tls);
    let mut config = ureq::Agent::config_builder();
    if let Some(authority) = authority {
        let certificate = ureq::tls::Certificate::from_pem(authority.pem().as_bytes()).unwrap();
        let provider = rustls::crypto::aws_lc_rs::default_provider();
        let tls = ureq::tls::TlsConfig::builder()
            .unversioned_rustls_crypto_provider(Arc::new(provider))
            .root_certs(ureq::tls::RootCerts::new_with_certs(&[certificate]));
        config = config.tls_config(tls.build());
    }
    let connection = blocking::Connection::builder(server.base_url())
        .standard("alice", "secret")
        .blocking_transport(UreqTransport::new(config))
        .connect()
        .unwrap();
    let echo = connection.post("/api/echo").body("hello").send().unwrap();
    assert_eq!(echo.json::<Value>().unwrap()["body"], "hello");
    assert!(matches!(connection.close(), CloseOutcome::LoggedOut));
    assert_eq!(server.server(|server| server.open_sessions()), 0);
}

#[test]
fn a_session_over_reqwest() {
    over_reqwest(false);
}

#[test]
fn a_session_over_reqwest_and_tls() {
    over_reqwest(true);
}

#[test]
fn a_session_over_ureq() {
    over_ureq(false);
}

#[test]
fn a_session_over_ureq_and_tls() {
    over_ureq(true);
}

#[test]
fn reqwest_adds_nothing_but_accept_and_keeps_what_is_encoded() {
    let server = RawServer::start(|mut connection| {
        while connection.read_request()?.is_some() {
            connection.answer("200 OK", "")?;
        }
        Ok(())
    });
    let server = server.unwrap();
    let runtime = runtime();
    let builder = reqwest::Client::builder();
    let transport = ReqwestTransport::new(builder, runtime.handle().clone()).unwrap();
    let addresses = ["/a%2Fb", "/a%2fb?q=%2F+x", "/a;v=1?b=c&b=d&e", "/a?x=%C3%A4&y=+", "/a//b/"];
    for address in addresses {
        let request = Request::put(server.url(address)).header("accept", "application/json");
        let request = request.body(Body::from("body")).unwrap();
        runtime.block_on(transport.send(request)).unwrap();
    }
    let plain = Request::get(server.url("/")).body(Body::empty()).unwrap();
    runtime.block_on(transport.send(plain)).unwrap();

    let mut seen = server.requests();
    let last = seen.pop().unwrap();
    assert_eq!(names(&last), ["accept", "host"]);
    for (seen, address) in seen.iter().zip(addresses) {
        assert_eq!(seen.target(), format!("PUT {address}"));
        assert_eq!(names(seen), ["accept", "content-length", "host"]);
        assert_eq!(seen.text("accept").as_deref(), Some("application/json"));
    }
}

#[test]
fn an_upload_that_never_ends_is_late_over_ureq_too() {
    let server = RawServer::start(|mut connection| connection.read_request().map(drop)).unwrap();
    let transport = UreqTransport::new(ureq::Agent::config_builder());
    let mut context = RequestContext::default();
    context.deadline = Some(transport.now() + Duration::from_millis(100));
    let request = Request::post(server.url("/")).extension(context);
    let error = transport.send(request.body(Body::wrap(Silent)).unwrap()).unwrap_err();
    assert_eq!((error.kind(), error.sent()), (TransportErrorKind::Timeout, Sent::Maybe));
}

/// A body that never says anything.
struct Silent;

impl http_body::Body for Silent {
    type Data = bytes::Bytes;
    type Error = std::convert::Infallible;

    fn poll_frame(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<http_body::Frame<bytes::Bytes>, Self::Error>>> {
        Poll::Pending
    }
}

fn names(request: &mstr_fake::loopback::RawRequest) -> Vec<String> {
    let mut names: Vec<String> = request.headers().into_iter().map(|(name, _)| name).collect();
    names.sort();
    names
}
