//! Middleware around the default transport: a limit, a header on each request and a counter. Once by
//! hand, with the `Transport` trait, and once with layers of tower.
//!
//! ```text
//! cargo run --example middleware --features tower
//! ```
//!
//! It runs against a fake server in the process, or with `MSTR_BASE_URL` and the other variables of
//! `Connection::from_env` against a real one, sends twelve requests at once through each of the two,
//! and ends with "sessions still open on the server: 0".
//!
//! A header alone needs no middleware: the builder has `.header(..)` and `.header_provider(..)`. What
//! stands here sees every attempt, the session's own requests included.
#![expect(clippy::print_stdout, reason = "printing is what it is for")]

use std::error::Error as StdError;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use http::{HeaderValue, Request, Response};
use mstr::adapter::{from_service, into_service};
use mstr::core::toolkit::{Peer, Stage, before};
use mstr::core::{BoxFuture, RequestContext, SharedTimer, TransportInfo};
use mstr::hyper::HyperTransport;
use mstr::prelude::*;
use mstr::{ProxyConfig, TlsConfig, TransportErrorKind};
use mstr_fake::loopback::HttpServer;
use mstr_fake::{Method, Purpose, Server};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tower::ServiceBuilder;

/// How many requests may wait for an answer at a time.
const AT_ONCE: usize = 4;
const CALLS: usize = 12;

#[tokio::main]
async fn main() -> Result<(), Box<dyn StdError>> {
    // The default transport, by its name. One that is given to a builder has settings of its own.
    let transport = HyperTransport::builder()
        .tls(TlsConfig::from_env())
        .proxy(ProxyConfig::from_env())
        .build()?;
    let by_hand = Middleware::new(transport.clone());
    let counter = Arc::clone(&by_hand.sent);
    let layered_counter = Arc::new(AtomicU64::new(0));
    let layered = layered(transport, Arc::clone(&layered_counter));

    let fake = if std::env::var_os("MSTR_BASE_URL").is_none() {
        println!("no MSTR_BASE_URL, so a fake server is started");
        let model = Server::builder()
            .user("alice", "secret")
            .latency(Duration::from_millis(20))
            // Without the header there is nothing to answer with, which is a 404.
            .endpoint(Method::GET, "/api/traced", |request| {
                request.header("traceparent").map(str::to_owned)
            });
        Some(HttpServer::start(model.build())?)
    } else {
        None
    };
    let describe = || match &fake {
        Some(server) => Ok(Connection::builder(server.base_url()).standard("alice", "secret")),
        None => Connection::from_env(),
    };
    let path = if fake.is_some() { "/api/traced" } else { "/api/projects" };
    tour(describe()?.transport(by_hand), path).await?;
    println!("by hand: {} requests counted", counter.load(Ordering::Relaxed));
    tour(describe()?.transport(layered), path).await?;
    println!("with tower: {} requests counted", layered_counter.load(Ordering::Relaxed));

    if let Some(server) = &fake {
        let counted = counter.load(Ordering::Relaxed) + layered_counter.load(Ordering::Relaxed);
        let open = server.server(|server| {
            let journal = server.journal();
            assert_eq!(counted, journal.len() as u64, "no request has gone past the middleware");
            assert!(journal.max_concurrent(&[Purpose::Call]) <= AT_ONCE);
            server.open_sessions()
        });
        assert_eq!(open, 0);
        println!("sessions still open on the server: {open}");
    }
    Ok(())
}

/// Everything that a connection does goes through its transport.
async fn tour(
    described: ConnectionBuilder<mstr::SharedTransport>,
    path: &str,
) -> Result<(), Error> {
    let connection = described.connect().await?;
    connection.scope(async |connection| call_at_once(connection, path).await).await
}

async fn call_at_once(connection: &Connection, path: &str) -> Result<(), Error> {
    let mut calls = JoinSet::new();
    for _ in 0..CALLS {
        let call = connection.get(path).send();
        calls.spawn(async move { call.await?.bytes().await.map(drop) });
    }
    calls.join_all().await.into_iter().collect()
}

/// A transport around another one.
#[derive(Debug)]
struct Middleware<T> {
    inner: T,
    places: Semaphore,
    sent: Arc<AtomicU64>,
}

impl<T: Transport> Middleware<T> {
    fn new(inner: T) -> Self {
        Self { inner, places: Semaphore::new(AT_ONCE), sent: Arc::default() }
    }
}

#[async_trait]
impl<T: Transport> Transport for Middleware<T> {
    async fn send(&self, mut request: Request<Body>) -> Result<Response<Body>, TransportError> {
        // Waiting for a place is waiting for a connection: it has to end by the request's deadline,
        // and the error says that nothing was sent, so that it may be sent again.
        let deadline = RequestContext::of(&request).deadline;
        let timer = self.inner.timer();
        let Some(Ok(_place)) = before(deadline, &*timer, self.places.acquire()).await else {
            let peer = Peer::of(request.uri())?;
            return Err(peer.failure(TransportErrorKind::Timeout, Stage::Connecting));
        };
        let number = self.sent.fetch_add(1, Ordering::Relaxed);
        mark(&mut request, number);
        // The place is given back with the head of the answer. One that is kept until the end of the
        // body would have to go into a body that wraps the answer's (`Body::wrap`).
        self.inner.send(request).await
    }

    // These three belong to what is inside. Without `detach`, a session whose connection is dropped
    // would stay open until it expires.
    fn timer(&self) -> SharedTimer {
        self.inner.timer()
    }

    fn detach(&self, task: BoxFuture<'static, ()>) {
        self.inner.detach(task);
    }

    fn info(&self) -> TransportInfo {
        self.inner.info()
    }
}

/// The same with layers. The deadline is kept by `from_service`, the limit's wait included.
fn layered<T: Transport + Clone>(transport: T, sent: Arc<AtomicU64>) -> impl Transport {
    let service = ServiceBuilder::new()
        .concurrency_limit(AT_ONCE)
        .map_request(move |mut request: Request<Body>| {
            mark(&mut request, sent.fetch_add(1, Ordering::Relaxed));
            request
        })
        .service(into_service(transport.clone()));
    let (timer, info) = (transport.timer(), transport.info());
    from_service(timer, service).named(info).detach_with(move |task| transport.detach(task))
}

/// Adds the header that tracing systems pass on. A real one has the ids of the current span.
fn mark<B>(request: &mut Request<B>, number: u64) {
    let value = format!("00-{:032x}-{:016x}-01", number + 1, number + 1);
    if let Ok(value) = HeaderValue::from_str(&value) {
        request.headers_mut().insert("traceparent", value);
    }
}
