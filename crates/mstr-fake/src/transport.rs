//! The server in memory, as a transport in virtual time.

use std::collections::VecDeque;
use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use bytes::Bytes;
use http::header::{CONTENT_LENGTH, HeaderValue};
use http::{Request, Response};
use http_body::{Frame, SizeHint};
use mstr_core::{
    BlockingTransport, Body, BoxFuture, Pending, RequestContext, Sent, SharedTimer, Sleep, Timer,
    Transport, TransportError, TransportErrorKind, TransportInfo,
};

use crate::clock::Clock;
use crate::locked::Locked;
use crate::server::{Reply, ReplyBody, Server, SocketFault};
#[cfg(doc)]
use crate::time::VirtualTime;

/// Larger uploads are refused: they would have to be held in memory.
const UPLOAD_LIMIT: usize = 64 * 1024 * 1024;
const ON_THREADS: &str = "a FakeTransport blocks in VirtualTime only: FakeTransport::new(server, \
                          VirtualTime::new())";
/// The pieces in which generated bodies arrive.
const PIECE: usize = 64 * 1024;

/// A [`Server`] as a transport, in memory. Clones reach the same server.
///
/// It runs on [`VirtualTime`], which brings its own executor, or on tokio's clock (`TokioTime`,
/// feature `tokio`) for tests under `#[tokio::test]`.
///
/// Meant to be harsher than a network: a request has been processed as soon as it was first
/// polled, so that a dropped future has always left a request behind.
///
/// Also a [`BlockingTransport`], in [`VirtualTime`] only: there, waiting lets the time pass at once.
/// A credential provider that waits for something outside of this clock is late, too.
#[derive(Clone)]
pub struct FakeTransport {
    shared: Arc<Shared>,
    time: Clock,
}

struct Shared {
    server: Locked,
    base_url: String,
    authority: String,
}

impl FakeTransport {
    /// Puts `server` on a network of its own, under an address no other server has.
    #[must_use]
    pub fn new(server: Server, time: impl Into<Clock>) -> Self {
        let time = time.into();
        let authority = format!("fake-{}.example", time.next_server());
        let base_url = format!("https://{authority}{}", server.base_path());
        let shared = Shared { server: Locked::new(server), base_url, authority };
        Self { shared: Arc::new(shared), time }
    }

    /// Where the server is.
    #[must_use]
    pub fn base_url(&self) -> &str {
        &self.shared.base_url
    }

    /// The clock this runs on.
    #[must_use]
    pub const fn time(&self) -> &Clock {
        &self.time
    }

    /// Looks at the server, or changes it.
    ///
    /// # Panics
    ///
    /// In the closure of an endpoint of this server, or in `look` itself: it would wait for itself.
    pub fn server<T>(&self, look: impl FnOnce(&mut Server) -> T) -> T {
        let now = self.time.now();
        self.shared.server.with(|server| {
            // The caller sees what has expired meanwhile.
            server.handle_timeout(now);
            look(server)
        })
    }

    /// Hands a request to the server, if it is for this one.
    fn deliver(&self, request: Request<Bytes>) -> Result<Reply, TransportError> {
        let authority = request.uri().authority().map(|authority| authority.as_str().to_owned());
        if authority.as_deref() != Some(&self.shared.authority) {
            let detail = format!("no such host: {}", authority.as_deref().unwrap_or("none"));
            return Err(TransportError::new(TransportErrorKind::Connect)
                .with_sent(Sent::No)
                .with_detail(detail));
        }
        let now = self.time.now();
        Ok(self.server(|server| server.handle(request, now)))
    }

    /// Hands a request of blocking code to the server.
    fn begin(&self, request: Request<Body>) -> Result<Coming, TransportError> {
        let context = RequestContext::of(&request);
        let (parts, body) = request.into_parts();
        if self.time.as_virtual().is_none() {
            return Err(TransportError::new(TransportErrorKind::Config).with_detail(ON_THREADS));
        }
        let body = futures_executor::block_on(body.collect(UPLOAD_LIMIT))?;
        let reply = self.deliver(Request::from_parts(parts, body))?;
        let stalled = reply.fault == Some(SocketFault::Stall);
        let due = (!stalled).then(|| self.time.now() + reply.after);
        let late_at = context.deadline.filter(|deadline| due.is_none_or(|due| due > *deadline));
        Ok(Coming { reply, context, until: late_at.or(due), late: late_at.is_some() })
    }
}

/// The server's answer, on its way to a thread.
struct Coming {
    reply: Reply,
    context: RequestContext,
    /// When it arrives; `None` is never.
    until: Option<Instant>,
    /// What arrives is the deadline.
    late: bool,
}

impl Coming {
    fn arrive(self, time: &Clock, waits: Waits) -> Answer {
        if self.late { Err(late()) } else { answer(self.reply, &self.context, time, waits) }
    }
}

type Answer = Result<Response<Body>, TransportError>;

/// An exchange that a thread has begun.
struct Started {
    /// Until it has been taken.
    coming: Option<Result<Coming, TransportError>>,
    transport: FakeTransport,
}

impl Pending for Started {
    fn wait_until(&mut self, deadline: Instant) -> Option<Answer> {
        let coming = match self.coming.take()? {
            Ok(coming) => coming,
            Err(error) => return Some(Err(error)),
        };
        if let Some(until) = coming.until.filter(|until| *until <= deadline) {
            BlockingTransport::sleep_until(&self.transport, until);
            return Some(coming.arrive(&self.transport.time, Waits::Parked));
        }
        BlockingTransport::sleep_until(&self.transport, deadline);
        self.coming = Some(Ok(coming));
        None
    }

    fn detach(self: Box<Self>, then: Box<dyn FnOnce(Answer) + Send>) {
        // Nothing runs in the background of threads, so it is over at once.
        if let Some(coming) = self.coming {
            let time = &self.transport.time;
            then(coming.and_then(|coming| coming.arrive(time, Waits::Parked)));
        }
    }
}

#[async_trait]
impl Transport for FakeTransport {
    async fn send(&self, request: Request<Body>) -> Result<Response<Body>, TransportError> {
        let context = RequestContext::of(&request);
        let (parts, body) = request.into_parts();
        let body = body.collect(UPLOAD_LIMIT).await?;
        let reply = self.deliver(Request::from_parts(parts, body))?;
        let due = self.time.now() + reply.after;
        let due = if reply.fault == Some(SocketFault::Stall) { None } else { Some(due) };
        match (due, context.deadline) {
            (Some(due), deadline) if deadline.is_none_or(|deadline| due <= deadline) => {
                self.time.sleep_until(due).await;
            }
            (_, Some(deadline)) => {
                self.time.sleep_until(deadline).await;
                return Err(late());
            }
            (_, None) => std::future::pending::<()>().await,
        }
        answer(reply, &context, &self.time, Waits::Polled)
    }

    fn timer(&self) -> SharedTimer {
        self.time.shared()
    }

    fn detach(&self, task: BoxFuture<'static, ()>) {
        self.time.spawn(task);
    }

    fn info(&self) -> TransportInfo {
        TransportInfo::new("mstr-fake", env!("CARGO_PKG_VERSION"))
    }
}

impl BlockingTransport for FakeTransport {
    fn send(&self, request: Request<Body>) -> Result<Response<Body>, TransportError> {
        let coming = self.begin(request)?;
        let Some(until) = coming.until else {
            // Nothing to wait for: without a deadline this thread would never come back.
            return Err(TransportError::new(TransportErrorKind::Canceled)
                .with_detail("stalled, and there is no deadline"));
        };
        BlockingTransport::sleep_until(self, until);
        coming.arrive(&self.time, Waits::InPlace)
    }

    fn start(&self, request: Request<Body>) -> Box<dyn Pending> {
        Box::new(Started { coming: Some(self.begin(request)), transport: self.clone() })
    }

    fn now(&self) -> Instant {
        self.time.now()
    }

    fn sleep_until(&self, deadline: Instant) {
        // On another clock nothing is sent, so there is nothing to wait for.
        let Some(time) = self.time.as_virtual() else { return };
        time.advance_to(deadline);
        // Other threads may have been waiting for this moment.
        std::thread::yield_now();
    }

    fn park_until(&self, deadline: Instant) {
        let Some(time) = self.time.as_virtual() else {
            return std::thread::park_timeout(deadline.saturating_duration_since(self.time.now()));
        };
        time.advance_to(time.next_due().map_or(deadline, |due| due.min(deadline)));
        std::thread::yield_now();
    }

    fn send_detached(&self, request: Request<Body>) {
        let (parts, body) = request.into_parts();
        let body = body.as_bytes().cloned().unwrap_or_default();
        // No caller waits for the answer or learns of a failure.
        drop(self.deliver(Request::from_parts(parts, body)));
    }

    fn info(&self) -> TransportInfo {
        TransportInfo::new("mstr-fake", env!("CARGO_PKG_VERSION"))
    }
}

impl fmt::Debug for FakeTransport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FakeTransport")
            .field("base_url", &self.shared.base_url)
            .finish_non_exhaustive()
    }
}

fn late() -> TransportError {
    TransportError::new(TransportErrorKind::Timeout).with_detail("waiting for the answer")
}

/// The parts of a reply that arrive.
fn answer(reply: Reply, context: &RequestContext, time: &Clock, waits: Waits) -> Answer {
    let Reply { response, fault, .. } = reply;
    match fault {
        Some(SocketFault::Refuse) => {
            return Err(TransportError::new(TransportErrorKind::Connect)
                .with_sent(Sent::No)
                .with_detail("refused"));
        }
        Some(SocketFault::Reset) => {
            return Err(TransportError::new(TransportErrorKind::Interrupted));
        }
        Some(SocketFault::ResetMidBody | SocketFault::Stall | SocketFault::StallMidBody) | None => {
        }
    }
    let (mut parts, body) = response.into_parts();
    let length = body.len();
    if !parts.headers.contains_key(CONTENT_LENGTH) && parts.status != http::StatusCode::NO_CONTENT {
        parts.headers.insert(CONTENT_LENGTH, HeaderValue::from(length));
    }
    let pause = match &body {
        ReplyBody::Trickle(_, pause) => *pause,
        ReplyBody::Bytes(_) | ReplyBody::Generated(_) => Duration::ZERO,
    };
    let whole = fault.is_none() && pause.is_zero();
    let body = match body {
        ReplyBody::Bytes(bytes) if whole => Body::from(bytes),
        body => Body::wrap(Arriving {
            rest: length,
            position: 0,
            pieces: match body {
                ReplyBody::Bytes(bytes) => Pieces::Given(VecDeque::from([bytes])),
                ReplyBody::Generated(_) => Pieces::Generated,
                ReplyBody::Trickle(pieces, _) => Pieces::Given(pieces.into()),
            },
            breaks_at: fault.map(|fault| (length / 2, fault)),
            pause,
            idle_timeout: context.body_idle_timeout,
            time: time.clone(),
            waits,
            sleep: None,
        }),
    };
    Ok(Response::from_parts(parts, body))
}

/// A body on its way.
struct Arriving {
    rest: u64,
    position: u64,
    pieces: Pieces,
    /// After so many bytes this happens.
    breaks_at: Option<(u64, SocketFault)>,
    pause: Duration,
    idle_timeout: Option<Duration>,
    time: Clock,
    waits: Waits,
    sleep: Option<(Sleep, bool)>,
}

/// The clock that passes while a body is waited for.
#[derive(Clone, Copy)]
enum Waits {
    /// The thread that runs the clock.
    Polled,
    /// The body itself, as soon as it is looked at.
    InPlace,
    /// The thread that waits for it, with [`BlockingTransport::park_until`].
    Parked,
}

enum Pieces {
    Generated,
    Given(VecDeque<Bytes>),
}

impl Arriving {
    fn next_piece(&mut self) -> Option<Bytes> {
        let piece = match &mut self.pieces {
            Pieces::Given(pieces) => pieces.pop_front()?,
            Pieces::Generated if self.rest == 0 => return None,
            Pieces::Generated => {
                let size = usize::try_from(self.rest).map_or(PIECE, |rest| rest.min(PIECE));
                ReplyBody::generate(self.position, size)
            }
        };
        Some(match self.breaks_at {
            Some((at, _)) if self.position + piece.len() as u64 > at => {
                let kept = usize::try_from(at - self.position).unwrap_or(0);
                piece.slice(..kept)
            }
            _ => piece,
        })
    }
}

impl http_body::Body for Arriving {
    type Data = Bytes;
    type Error = TransportError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, TransportError>>> {
        let this = &mut *self;
        let broken = this.breaks_at.filter(|(at, _)| this.position >= *at).map(|(_, fault)| fault);
        if broken == Some(SocketFault::ResetMidBody) {
            return Poll::Ready(Some(Err(TransportError::new(TransportErrorKind::Interrupted))));
        }
        if this.rest == 0 {
            return Poll::Ready(None);
        }
        let stalled = broken.is_some();
        if stalled || !this.pause.is_zero() {
            let (sleep, ends_in_error) = match &mut this.sleep {
                Some(sleep) => sleep,
                None => {
                    let limit = this.idle_timeout;
                    let pause = if stalled { Duration::MAX } else { this.pause };
                    let late = limit.is_some_and(|limit| pause > limit);
                    let wait = if late { limit } else { (!stalled).then_some(pause) };
                    // Without a limit, a body that has stopped is waited for for ever.
                    let sleep: Sleep = match (wait, this.waits, this.time.as_virtual()) {
                        (None, ..) => Box::pin(std::future::pending()),
                        (Some(wait), Waits::InPlace, Some(time)) => {
                            time.advance(wait);
                            Box::pin(std::future::ready(()))
                        }
                        (Some(wait), Waits::Parked, Some(time)) => time.sleep_of_thread(wait),
                        (Some(wait), ..) => this.time.sleep(wait),
                    };
                    this.sleep.insert((sleep, late))
                }
            };
            ready!(sleep.as_mut().poll(cx));
            let ends_in_error = *ends_in_error;
            this.sleep = None;
            if ends_in_error {
                let late = TransportError::new(TransportErrorKind::Timeout);
                return Poll::Ready(Some(Err(late.with_detail("waiting for the body"))));
            }
        }
        let Some(piece) = this.next_piece() else {
            return Poll::Ready(None);
        };
        this.position += piece.len() as u64;
        this.rest = this.rest.saturating_sub(piece.len() as u64);
        Poll::Ready(Some(Ok(Frame::data(piece))))
    }

    fn is_end_stream(&self) -> bool {
        self.rest == 0
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.rest)
    }
}
