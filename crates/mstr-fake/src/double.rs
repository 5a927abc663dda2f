//! Transports that stand in for a server where no server is wanted.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use bytes::Bytes;
use http::{HeaderMap, Method, Request, Response, Uri};
use mstr_core::{
    Body, BoxFuture, RequestContext, SharedTimer, SharedTransport, Transport, TransportError,
    TransportErrorKind, TransportInfo,
};

use crate::clock::Clock;

/// The largest request body that is recorded.
const BODY_LIMIT: usize = 64 * 1024 * 1024;

/// One request as it left.
#[derive(Clone)]
#[non_exhaustive]
pub struct Captured {
    /// Its method.
    pub method: Method,
    /// Where to.
    pub uri: Uri,
    /// Its headers, secrets included.
    pub headers: HeaderMap,
    /// Its body, secrets included.
    pub body: Bytes,
}

impl std::fmt::Debug for Captured {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {}", self.method, self.uri.path())
    }
}

/// Records the requests that go through another transport.
#[derive(Clone, Debug)]
pub struct CaptureTransport {
    inner: SharedTransport,
    captured: Arc<Mutex<Vec<Captured>>>,
}

impl CaptureTransport {
    /// Records the requests that go through `transport`.
    pub fn new(transport: impl Transport) -> Self {
        Self { inner: SharedTransport::new(transport), captured: Arc::default() }
    }

    /// The requests so far.
    #[must_use]
    pub fn captured(&self) -> Vec<Captured> {
        lock(&self.captured).clone()
    }
}

#[async_trait]
impl Transport for CaptureTransport {
    async fn send(&self, request: Request<Body>) -> Result<Response<Body>, TransportError> {
        let context = RequestContext::of(&request);
        let (parts, body) = request.into_parts();
        let body = body.collect(BODY_LIMIT).await?;
        lock(&self.captured).push(Captured {
            method: parts.method.clone(),
            uri: parts.uri.clone(),
            headers: parts.headers.clone(),
            body: body.clone(),
        });
        let mut request = Request::from_parts(parts, Body::from(body));
        context.attach(&mut request);
        self.inner.send(request).await
    }

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

/// Refuses everything, and counts it: for code that must not send anything.
#[derive(Clone, Debug)]
pub struct NeverTransport {
    time: Clock,
    sent: Arc<Mutex<usize>>,
}

impl NeverTransport {
    /// A transport that sends nothing.
    #[must_use]
    pub fn new(time: impl Into<Clock>) -> Self {
        Self { time: time.into(), sent: Arc::default() }
    }

    /// How many requests were refused.
    #[must_use]
    pub fn refused(&self) -> usize {
        *lock(&self.sent)
    }
}

#[async_trait]
impl Transport for NeverTransport {
    async fn send(&self, _request: Request<Body>) -> Result<Response<Body>, TransportError> {
        *lock(&self.sent) += 1;
        Err(TransportError::new(TransportErrorKind::Config).with_detail("nothing may be sent here"))
    }

    fn timer(&self) -> SharedTimer {
        self.time.shared()
    }
}

/// Answers with recorded responses, in their order.
#[derive(Clone, Debug)]
pub struct ReplayTransport {
    time: Clock,
    answers: Arc<Mutex<VecDeque<Recorded>>>,
}

#[derive(Debug)]
struct Recorded {
    method: Method,
    path: String,
    response: Response<Bytes>,
}

impl ReplayTransport {
    /// A transport that has nothing to answer yet.
    #[must_use]
    pub fn new(time: impl Into<Clock>) -> Self {
        Self { time: time.into(), answers: Arc::default() }
    }

    /// Answers the next request with `response`, provided it has this method and ends in this
    /// path.
    #[must_use]
    pub fn answer(self, method: Method, path: &str, response: Response<Bytes>) -> Self {
        lock(&self.answers).push_back(Recorded { method, path: path.to_owned(), response });
        self
    }

    /// How many answers were not asked for.
    #[must_use]
    pub fn remaining(&self) -> usize {
        lock(&self.answers).len()
    }
}

#[async_trait]
impl Transport for ReplayTransport {
    async fn send(&self, request: Request<Body>) -> Result<Response<Body>, TransportError> {
        let unexpected = |why: String| {
            TransportError::new(TransportErrorKind::Protocol).with_detail(format!(
                "{} {} was not expected: {why}",
                request.method(),
                request.uri().path()
            ))
        };
        let mut answers = lock(&self.answers);
        let Some(next) = answers.front() else {
            return Err(unexpected("there are no more answers".into()));
        };
        if next.method != *request.method() || !request.uri().path().ends_with(&next.path) {
            return Err(unexpected(format!("{} {} comes next", next.method, next.path)));
        }
        let Some(next) = answers.pop_front() else {
            return Err(unexpected("there are no more answers".into()));
        };
        Ok(next.response.map(Body::from))
    }

    fn timer(&self) -> SharedTimer {
        self.time.shared()
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
