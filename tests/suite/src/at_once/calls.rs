//! The calls that are measured, each beside the bare request that it amounts to.

use std::future::Future;

use bytes::Bytes;
use futures_util::FutureExt;
use http::{HeaderMap, Request};
use mstr::{
    Body, Connection, ConnectionBuilder, NoTransport, SharedBlockingTransport, SharedTransport,
};
use mstr::{Response, blocking};

use super::{AtOnce, BASE_URL, PROJECT};

/// The path that is requested.
const PATH: &str = "/api/x";

/// The outcome of a future that has nothing to wait for.
///
/// # Panics
///
/// If it has: then an executor's work would be measured too.
pub fn at_once<F: Future>(future: F) -> F::Output {
    let outcome = future.now_or_never();
    outcome.unwrap_or_else(|| panic!("pending, over a transport that answers at once"))
}

/// An open connection for a project.
#[must_use]
pub fn connection(transport: &AtOnce) -> Connection {
    opened(described(Connection::builder(BASE_URL)), transport)
}

/// The same with room for so many entries in its timeline.
#[must_use]
pub fn with_timeline(transport: &AtOnce, entries: usize) -> Connection {
    opened(described(Connection::builder(BASE_URL)).timeline(entries), transport)
}

fn opened(builder: ConnectionBuilder<NoTransport>, transport: &AtOnce) -> Connection {
    futures_executor::block_on(builder.transport(transport.clone()).connect()).unwrap()
}

/// An idle session as a service keeps many: opened with the checks and the timeline that it has by
/// default.
#[must_use]
pub fn session(transport: &AtOnce) -> Connection {
    let builder = Connection::builder(BASE_URL).standard("alice", "secret").project_id(PROJECT);
    opened(builder, transport)
}

/// The same connection as [`connection`], for threads.
#[must_use]
pub fn blocking(transport: &AtOnce) -> blocking::Connection {
    let builder = described(blocking::Connection::builder(BASE_URL));
    builder.blocking_transport(transport.clone()).connect().unwrap()
}

fn described(builder: ConnectionBuilder<NoTransport>) -> ConnectionBuilder<NoTransport> {
    builder.standard("alice", "secret").project_id(PROJECT).checks(false).seed(7)
}

pub async fn send(connection: &Connection) -> Response {
    connection.get(PATH).send().await.unwrap()
}

pub async fn bytes(connection: &Connection) -> Bytes {
    send(connection).await.bytes().await.unwrap()
}

#[must_use]
pub fn blocking_send(connection: &blocking::Connection) -> blocking::Response {
    connection.get(PATH).send().unwrap()
}

#[must_use]
pub fn blocking_bytes(connection: &blocking::Connection) -> Bytes {
    blocking_send(connection).bytes().unwrap()
}

/// The same request with nothing around it: its address is read, its headers are put together,
/// the transport sends it.
#[derive(Clone, Debug)]
pub struct Bare {
    transport: SharedTransport,
    blocking: SharedBlockingTransport,
    url: String,
    headers: HeaderMap,
}

impl Bare {
    /// Requests with the headers that a call over this transport has now. They belong to a
    /// session of their own, so that no other may be opened over it.
    #[must_use]
    pub fn new(transport: &AtOnce) -> Self {
        let connection = connection(transport);
        let mut seen = transport.watch(|| drop(futures_executor::block_on(send(&connection))));
        Self {
            transport: SharedTransport::new(transport.clone()),
            blocking: SharedBlockingTransport::new(transport.clone()),
            url: format!("{BASE_URL}{PATH}"),
            headers: seen.pop().unwrap(),
        }
    }

    fn request(&self) -> Request<Body> {
        // Not with the builder: that moves all of it for every header.
        let mut request = Request::new(Body::empty());
        *request.uri_mut() = self.url.parse().unwrap();
        let mut headers = HeaderMap::with_capacity(self.headers.len());
        for (name, value) in &self.headers {
            headers.insert(name, value.clone());
        }
        *request.headers_mut() = headers;
        request
    }

    pub async fn send(&self) -> http::Response<Body> {
        self.transport.send(self.request()).await.unwrap()
    }

    pub async fn bytes(&self) -> Bytes {
        self.send().await.into_body().collect(usize::MAX).await.unwrap()
    }

    #[must_use]
    pub fn blocking_send(&self) -> http::Response<Body> {
        self.blocking.send(self.request()).unwrap()
    }

    #[must_use]
    pub fn blocking_bytes(&self) -> Bytes {
        at_once(self.blocking_send().into_body().collect(usize::MAX)).unwrap()
    }
}
