//! The context of a case.

use std::fmt;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{Method, Request, Response};
use mstr_core::{Body, RequestContext, SharedBlockingTransport, SharedTransport, TransportError};

use super::backend::{Backend, Target};
use crate::loopback::{RawConnection, RawServer, ServerTls};

/// How long a case waits for something that has to happen.
pub(super) const PATIENCE: Duration = Duration::from_secs(10);

/// The context of a case: a transport, and servers made to measure.
pub struct Context {
    pub(super) transport: SharedTransport,
    backend: Arc<dyn Backend>,
    servers: Vec<Arc<RawServer>>,
}

impl Context {
    pub(super) fn new(backend: Arc<dyn Backend>) -> Self {
        let transport = build(&*backend, &Target::default());
        Self { transport, backend, servers: Vec::new() }
    }

    /// The same for another target: what follows is sent with a transport for it.
    pub(super) fn aim(&mut self, target: &Target) {
        self.transport = build(&*self.backend, target);
    }

    /// Starts a server that does with each connection what `script` says.
    pub(super) fn serve(
        &mut self,
        script: impl Fn(RawConnection) -> io::Result<()> + Send + Sync + 'static,
    ) -> Arc<RawServer> {
        let server = match RawServer::start(script) {
            Ok(server) => Arc::new(server),
            Err(error) => panic!("no loopback server: {error}"),
        };
        self.servers.push(Arc::clone(&server));
        server
    }

    /// The same over TLS.
    pub(super) fn serve_tls(
        &mut self,
        tls: &ServerTls,
        script: impl Fn(RawConnection) -> io::Result<()> + Send + Sync + 'static,
    ) -> Arc<RawServer> {
        let server = match RawServer::start_tls(tls, script) {
            Ok(server) => Arc::new(server),
            Err(error) => panic!("no loopback server: {error}"),
        };
        self.servers.push(Arc::clone(&server));
        server
    }

    /// Starts a server that gives every request the same answer.
    pub(super) fn answer(&mut self, head: &'static str, body: &'static str) -> Arc<RawServer> {
        self.serve(move |mut connection| {
            while connection.read_request()?.is_some() {
                connection.answer(head, body)?;
            }
            Ok(())
        })
    }

    /// A transport of the same kind for threads.
    pub(super) fn blocking(&self) -> SharedBlockingTransport {
        match self.backend.blocking(&Target::default()) {
            Ok(transport) => transport,
            Err(error) => panic!("{} could not be built: {error}", self.backend.name()),
        }
    }

    pub(super) async fn send(
        &self,
        request: Request<Body>,
    ) -> Result<Response<Body>, TransportError> {
        self.transport.send(request).await
    }

    /// Sends a request that has to be answered, and reads the whole answer.
    pub(super) async fn exchange(&self, request: Request<Body>) -> Response<Bytes> {
        let shown = format!("{request:?}");
        let (parts, body) = match self.send(request).await {
            Ok(response) => response.into_parts(),
            Err(error) => panic!("no answer to {shown}: {error:?}"),
        };
        match body.collect(usize::MAX).await {
            Ok(body) => Response::from_parts(parts, body),
            Err(error) => panic!("no body in answer to {shown}: {error:?}"),
        }
    }

    pub(super) async fn get(&self, url: &str) -> Response<Bytes> {
        self.exchange(request(Method::GET, url, Body::empty())).await
    }

    pub(super) async fn sleep(&self, duration: Duration) {
        let timer = self.transport.timer();
        timer.sleep_until(timer.now() + duration).await;
    }

    /// Waits until something holds, without holding up the transport's runtime.
    pub(super) async fn eventually(&self, what: &str, holds: impl Fn() -> bool) {
        let timer = self.transport.timer();
        let last = timer.now() + PATIENCE;
        while !holds() {
            assert!(timer.now() < last, "still not: {what}");
            self.sleep(Duration::from_millis(5)).await;
        }
    }

    /// How long something takes.
    pub(super) async fn timed<T>(&self, future: impl Future<Output = T>) -> (T, Duration) {
        let timer = self.transport.timer();
        let begun = timer.now();
        let output = future.await;
        (output, timer.now() - begun)
    }
}

fn build(backend: &dyn Backend, target: &Target) -> SharedTransport {
    match backend.transport(target) {
        Ok(transport) => transport,
        Err(error) => panic!("{} could not be built: {error}", backend.name()),
    }
}

impl Drop for Context {
    fn drop(&mut self) {
        if std::thread::panicking() {
            for server in &self.servers {
                report(&format!(
                    "{} had {} connections and these requests: {:#?}",
                    server.address(),
                    server.connections(),
                    server.requests()
                ));
            }
        }
    }
}

impl fmt::Debug for Context {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Context").field("transport", &self.transport).finish_non_exhaustive()
    }
}

#[expect(clippy::print_stderr, reason = "a test runner shows it beside the test")]
pub(super) fn report(text: &str) {
    eprintln!("{text}");
}

/// A request that has time enough.
pub(super) fn request(method: Method, url: &str, body: Body) -> Request<Body> {
    let mut request = Request::new(body);
    *request.method_mut() = method;
    match url.parse() {
        Ok(uri) => *request.uri_mut() = uri,
        Err(error) => panic!("{url} is not an address: {error}"),
    }
    request
}

/// The same with limits on its time.
pub(super) fn limited(
    context: &Context,
    mut request: Request<Body>,
    head: Duration,
    body: Duration,
) -> Request<Body> {
    let mut limits = RequestContext::default();
    limits.deadline = Some(context.transport.timer().now() + head);
    limits.body_idle_timeout = Some(body);
    limits.attach(&mut request);
    request
}

/// Bytes that do not repeat soon, to notice losses and mix-ups.
pub(super) fn pattern(size: usize) -> Vec<u8> {
    (0..size).map(|position| (position % 251) as u8 ^ (position / 251 % 256) as u8).collect()
}

/// A request's body in pieces, of unknown length.
pub(super) struct Pieces {
    pieces: std::collections::VecDeque<Bytes>,
    fails: bool,
    waits: bool,
}

impl Pieces {
    pub(super) fn new(pieces: impl IntoIterator<Item = Vec<u8>>) -> Self {
        let pieces = pieces.into_iter().map(Bytes::from).collect();
        Self { pieces, fails: false, waits: false }
    }

    /// Fails after the last piece.
    pub(super) fn failing(self) -> Self {
        Self { fails: true, ..self }
    }

    /// Never ends after the last piece.
    pub(super) fn endless(self) -> Self {
        Self { waits: true, ..self }
    }
}

impl http_body::Body for Pieces {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: std::pin::Pin<&mut Self>,
        _: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<Result<http_body::Frame<Bytes>, io::Error>>> {
        use std::task::Poll;
        match self.pieces.pop_front() {
            Some(piece) => Poll::Ready(Some(Ok(http_body::Frame::data(piece)))),
            None if self.fails => Poll::Ready(Some(Err(io::Error::other("no more paper")))),
            None if self.waits => Poll::Pending,
            None => Poll::Ready(None),
        }
    }
}
