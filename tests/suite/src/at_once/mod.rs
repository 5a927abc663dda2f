//! A transport that answers at once, for measuring what the drivers add to it.
//!
//! It allocates nothing but the box that the trait asks for, and nothing in it is written to by
//! every request: threads that share it do not slow each other down here.

pub mod calls;
pub mod kinds;
pub mod stampede;
pub mod tables;

use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::task::{Context, Poll};
use std::time::Instant;

use async_trait::async_trait;
use bytes::Bytes;
use http::header::{HeaderMap, HeaderName, HeaderValue, SET_COOKIE};
use http::{Request, Response, StatusCode};
use mstr::core::{BoxFuture, SharedTimer, Sleep, Timer};
use mstr::{BlockingTransport, Body, Transport, TransportError};

/// The server's address.
pub const BASE_URL: &str = "https://at-once.example/MicroStrategyLibrary";
/// The only project there.
pub const PROJECT: &str = "B7CA92F04B9FAE8D941C3E9B7E0CD754";

const AUTH_TOKEN: HeaderName = HeaderName::from_static("x-mstr-authtoken");
/// The answer to all requests but those for the session.
const ANSWER: [u8; 200] = [b'x'; 200];
const PROJECTS: &[u8] = br#"[{"id":"B7CA92F04B9FAE8D941C3E9B7E0CD754","name":"Only"}]"#;
/// What a session says of itself, and a server.
const SESSION: &[u8] = br#"{"id":"54F3D26011D2896560009A8E67019608","fullName":"Alice Smith",
    "timeout":1800,"workingSet":10,"maxSearch":3,"locale":1033}"#;
const STATUS: &[u8] = br#"{"webVersion":"11.3.0600.0100","iServerVersion":"11.5.0600.0321",
    "iServerStatus":"Running"}"#;
const GONE: &[u8] = br#"{"code":"ERR009","message":"The user's session has expired"}"#;

/// The transport and the server behind it. Clones reach the same server.
#[derive(Clone, Debug, Default)]
pub struct AtOnce(Arc<Server>);

#[derive(Debug, Default)]
struct Server {
    /// The number of the session that is alive; 0 is none.
    alive: AtomicU64,
    logins: AtomicU64,
    refused: AtomicU64,
    hesitates: AtomicBool,
    watched: AtomicBool,
    extra: OnceLock<(HeaderName, HeaderValue)>,
    seen: Mutex<Vec<HeaderMap>>,
}

impl AtOnce {
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// From now on each exchange is pending once, so that many tasks have one under way at the
    /// same time.
    #[must_use]
    pub fn hesitating(self) -> Self {
        self.0.hesitates.store(true, Ordering::Relaxed);
        self
    }

    /// From now on each answer to a call has this header.
    #[must_use]
    pub fn with_header(self, name: HeaderName, value: &'static str) -> Self {
        self.0.extra.get_or_init(|| (name, HeaderValue::from_static(value)));
        self
    }

    /// Ends the session on the server, of which the client learns from its next request.
    pub fn end_session(&self) {
        self.0.alive.store(0, Ordering::Relaxed);
    }

    /// How many logins there have been.
    #[must_use]
    pub fn logins(&self) -> u64 {
        self.0.logins.load(Ordering::Relaxed)
    }

    /// How many requests have met a dead session.
    #[must_use]
    pub fn refused(&self) -> u64 {
        self.0.refused.load(Ordering::Relaxed)
    }

    /// The headers of all requests that `work` sends.
    pub fn watch(&self, work: impl FnOnce()) -> Vec<HeaderMap> {
        self.0.watched.store(true, Ordering::Relaxed);
        work();
        self.0.watched.store(false, Ordering::Relaxed);
        std::mem::take(&mut *self.0.seen.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn answer(&self, request: &Request<Body>) -> Response<Body> {
        let server = &*self.0;
        if server.watched.load(Ordering::Relaxed) {
            let mut seen = server.seen.lock().unwrap_or_else(PoisonError::into_inner);
            seen.push(request.headers().clone());
        }
        let path = request.uri().path();
        if path.ends_with("/api/auth/login") {
            return server.login();
        }
        // In no session either.
        if path.ends_with("/api/status") {
            return reply(StatusCode::OK, STATUS);
        }
        if session(request.headers()) != server.alive.load(Ordering::Relaxed) {
            server.refused.fetch_add(1, Ordering::Relaxed);
            return reply(StatusCode::UNAUTHORIZED, GONE);
        }
        if path.ends_with("/api/projects") {
            return reply(StatusCode::OK, PROJECTS);
        }
        if path.ends_with("/api/sessions") {
            return reply(StatusCode::OK, SESSION);
        }
        let mut answer = reply(StatusCode::OK, &ANSWER);
        if let Some((name, value)) = server.extra.get() {
            answer.headers_mut().insert(name, value.clone());
        }
        answer
    }
}

impl Server {
    fn login(&self) -> Response<Body> {
        let number = self.logins.fetch_add(1, Ordering::Relaxed) + 1;
        self.alive.store(number, Ordering::Relaxed);
        // As long as those of a real server.
        let session = format!("JSESSIONID={number:032}; Path=/MicroStrategyLibrary; HttpOnly");
        let response = Response::builder().status(StatusCode::NO_CONTENT);
        let response = response.header(AUTH_TOKEN, format!("{number:026}"));
        response.header(SET_COOKIE, session).body(Body::empty()).unwrap()
    }
}

fn reply(status: StatusCode, body: &'static [u8]) -> Response<Body> {
    let mut response = Response::new(Body::from(Bytes::from_static(body)));
    *response.status_mut() = status;
    response
}

/// The number of the session that a request belongs to, which its token ends in.
fn session(headers: &HeaderMap) -> u64 {
    let token = headers.get(AUTH_TOKEN).map_or(&[][..], |value| value.as_bytes());
    let last = token.len().saturating_sub(8);
    token[last..].iter().fold(0, |number, digit| number * 10 + u64::from(digit & 15))
}

#[async_trait]
impl Transport for AtOnce {
    async fn send(&self, request: Request<Body>) -> Result<Response<Body>, TransportError> {
        if self.0.hesitates.load(Ordering::Relaxed) {
            PendingOnce::default().await;
        }
        Ok(self.answer(&request))
    }

    fn timer(&self) -> SharedTimer {
        SharedTimer::new(Clock)
    }

    fn detach(&self, task: BoxFuture<'static, ()>) {
        // The sessions to log out are gone with this transport.
        drop(task);
    }
}

impl BlockingTransport for AtOnce {
    fn send(&self, request: Request<Body>) -> Result<Response<Body>, TransportError> {
        Ok(self.answer(&request))
    }

    fn now(&self) -> Instant {
        Clock.now()
    }

    fn sleep_until(&self, deadline: Instant) {
        std::thread::park_timeout(deadline.saturating_duration_since(Clock.now()));
    }
}

/// The real one: what reading it costs is a part of what a call costs.
#[derive(Debug)]
struct Clock;

impl Timer for Clock {
    fn now(&self) -> Instant {
        now()
    }

    fn sleep_until(&self, deadline: Instant) -> Sleep {
        if deadline <= now() {
            return Box::pin(std::future::ready(()));
        }
        // A deadline beside something that is answered at once: none is ever reached.
        Box::pin(std::future::pending())
    }
}

/// The time, for what is measured.
#[must_use]
pub fn now() -> Instant {
    #[expect(clippy::disallowed_methods, reason = "benchmarks measure real time")]
    let now = Instant::now();
    now
}

/// Lets every other task run first.
#[derive(Debug, Default)]
struct PendingOnce(bool);

impl Future for PendingOnce {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        if std::mem::replace(&mut self.0, true) {
            return Poll::Ready(());
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }
}
