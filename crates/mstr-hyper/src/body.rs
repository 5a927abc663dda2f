//! Bodies on their way through hyper.

use std::pin::Pin;
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::HeaderMap;
use http::header::CONTENT_LENGTH;
use http_body::{Body as HttpBody, Frame, SizeHint};
use hyper::body::Incoming;
use mstr_core::{Body, Sent, Sleep, Timer, TransportError, TransportErrorKind};

use crate::blocking::KeepAlive;
use crate::error::{Peer, Stage, classify};
use crate::runtime::Runtime;
use crate::timer::TokioTimer;

/// The failure of a request's body, where the exchange can find it.
///
/// HTTP/2 answers a failing body with a reset and forgets why.
pub(crate) type BodyFailure = Arc<OnceLock<TransportError>>;

/// A request's body that is held to its declared length.
pub(crate) struct RequestBody {
    body: Body,
    remaining: Option<u64>,
    /// What was found when looking for more after the last declared byte.
    next: Option<Option<Frame<Bytes>>>,
    failure: BodyFailure,
}

impl RequestBody {
    pub(crate) fn new(body: Body, headers: &HeaderMap) -> Self {
        let declared =
            headers.get(CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse().ok());
        let remaining = declared.or_else(|| body.len_hint());
        Self { body, remaining, next: None, failure: BodyFailure::default() }
    }

    pub(crate) fn failure(&self) -> BodyFailure {
        Arc::clone(&self.failure)
    }

    fn check(&mut self, frame: Option<&Frame<Bytes>>) -> Result<(), TransportError> {
        let Some(remaining) = &mut self.remaining else { return Ok(()) };
        let too = match frame {
            None if *remaining > 0 => "shorter",
            None => return Ok(()),
            Some(frame) => {
                let length = frame.data_ref().map_or(0, |data| data.len() as u64);
                match remaining.checked_sub(length) {
                    Some(rest) => {
                        *remaining = rest;
                        return Ok(());
                    }
                    None => "longer",
                }
            }
        };
        Err(TransportError::new(TransportErrorKind::Body)
            .with_detail(format!("the request's body is {too} than its declared length")))
    }

    fn poll_checked(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Result<Option<Frame<Bytes>>, TransportError>> {
        if let Some(next) = self.next.take() {
            return Poll::Ready(Ok(next));
        }
        let frame = match ready!(Pin::new(&mut self.body).poll_frame(cx)).transpose() {
            Ok(frame) => frame,
            Err(error) if error.kind() == TransportErrorKind::Body => {
                return Poll::Ready(Err(error.with_sent(Sent::Maybe)));
            }
            // Another exchange's failure, say, whose answer was being passed on.
            Err(error) => {
                let error = TransportError::new(TransportErrorKind::Body).with_source(error);
                return Poll::Ready(Err(error));
            }
        };
        self.check(frame.as_ref())?;
        Poll::Ready(Ok(frame))
    }
}

impl HttpBody for RequestBody {
    type Data = Bytes;
    type Error = TransportError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, TransportError>>> {
        let this = &mut *self;
        let mut result = ready!(this.poll_checked(cx));
        // hyper does not ask for more than was declared, so a body that is too long would be cut
        // without a word. What it has at hand beyond the end is enough to tell.
        let last = matches!(&result, Ok(Some(frame)) if frame.is_data());
        if last && this.remaining == Some(0) && !this.body.is_end_stream() {
            match this.poll_checked(cx) {
                Poll::Ready(Ok(next)) => this.next = Some(next),
                Poll::Ready(Err(error)) => result = Err(error),
                Poll::Pending => {}
            }
        }
        if let Err(error) = &result {
            // Only the first failure counts.
            drop(this.failure.set(error.clone()));
        }
        Poll::Ready(result.transpose())
    }

    fn is_end_stream(&self) -> bool {
        match &self.next {
            Some(next) => next.is_none(),
            None => self.body.is_end_stream() && self.remaining.unwrap_or(0) == 0,
        }
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// A response's body, which may not stall for longer than it is allowed to.
pub(crate) struct ResponseBody {
    incoming: Option<Incoming>,
    peer: Peer,
    idle: Option<IdleLimit>,
    _keep: Option<KeepAlive>,
}

impl ResponseBody {
    pub(crate) fn new(
        incoming: Incoming,
        peer: Peer,
        runtime: &Runtime,
        idle: Option<Duration>,
        keep: Option<KeepAlive>,
    ) -> Self {
        let idle = idle.map(|limit| IdleLimit::new(limit, runtime.handle().clone()));
        Self { incoming: Some(incoming), peer, idle, _keep: keep }
    }

    /// Ends the exchange with an error.
    fn fail(
        &mut self,
        error: TransportError,
    ) -> Poll<Option<Result<Frame<Bytes>, TransportError>>> {
        self.incoming = None;
        Poll::Ready(Some(Err(error)))
    }

    fn error(&self, kind: TransportErrorKind) -> TransportError {
        TransportError::new(kind).with_detail(self.peer.doing(Stage::Reading))
    }
}

impl HttpBody for ResponseBody {
    type Data = Bytes;
    type Error = TransportError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, TransportError>>> {
        let this = &mut *self;
        let Some(incoming) = &mut this.incoming else { return Poll::Ready(None) };
        match Pin::new(&mut *incoming).poll_frame(cx) {
            Poll::Ready(Some(Ok(frame))) => {
                if let Some(idle) = &mut this.idle {
                    idle.progress();
                }
                Poll::Ready(Some(Ok(frame)))
            }
            Poll::Ready(Some(Err(error))) => {
                let error = classify(Stage::Reading, error.into(), &this.peer);
                this.fail(error)
            }
            Poll::Ready(None) => {
                this.incoming = None;
                Poll::Ready(None)
            }
            Poll::Pending => match &mut this.idle {
                Some(idle) => {
                    let kind = ready!(idle.poll_over(cx));
                    let error = this.error(kind);
                    this.fail(error)
                }
                None => Poll::Pending,
            },
        }
    }

    fn is_end_stream(&self) -> bool {
        self.incoming.as_ref().is_none_or(HttpBody::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.incoming.as_ref().map_or_else(|| SizeHint::with_exact(0), HttpBody::size_hint)
    }
}

/// How long each wait for data may last.
///
/// An alarm that is set stays set when data arrives, and is set anew only when it goes off too
/// early: a body of a million pieces costs one timer an idle period, not a million.
struct IdleLimit {
    limit: Duration,
    timer: TokioTimer,
    waiting_since: Option<Instant>,
    alarm: Option<(Instant, Sleep)>,
}

impl IdleLimit {
    fn new(limit: Duration, runtime: tokio::runtime::Handle) -> Self {
        Self { limit, timer: TokioTimer::on(runtime), waiting_since: None, alarm: None }
    }

    fn progress(&mut self) {
        self.waiting_since = None;
    }

    /// Why waiting is over: the limit has passed, or there is no runtime to wait on.
    fn poll_over(&mut self, cx: &mut Context<'_>) -> Poll<TransportErrorKind> {
        let since = *self.waiting_since.get_or_insert_with(|| self.timer.now());
        // A limit beyond the end of time is none.
        let Some(until) = since.checked_add(self.limit) else { return Poll::Pending };
        loop {
            let (at, alarm) =
                self.alarm.get_or_insert_with(|| (until, self.timer.sleep_until(until)));
            ready!(alarm.as_mut().poll(cx));
            let at = *at;
            self.alarm = None;
            let now = self.timer.now();
            if now >= until {
                return Poll::Ready(TransportErrorKind::Timeout);
            }
            if now < at {
                return Poll::Ready(TransportErrorKind::Canceled);
            }
        }
    }
}
