//! A response's body on its way from an HTTP stack.

use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http_body::{Body as HttpBody, Frame, SizeHint};

use super::peer::{Peer, Stage};
use crate::contract::{SharedTimer, Sleep, TransportError, TransportErrorKind};

/// A response's body, which may not stall for longer than it is allowed to.
///
/// The inner body is dropped as soon as it has ended or failed, so that its connection is free
/// again.
pub struct DownloadBody<B> {
    inner: Option<B>,
    peer: Peer,
    idle: Option<IdleLimit>,
}

impl<B> DownloadBody<B>
where
    B: HttpBody<Data = Bytes, Error = TransportError> + Unpin,
{
    /// Wraps `inner`, the body of an answer from `peer`. Each wait for data may last
    /// `idle_timeout`, as the request's [`RequestContext`](crate::RequestContext) has it.
    pub fn new(inner: B, peer: Peer, idle_timeout: Option<Duration>, timer: SharedTimer) -> Self {
        let idle = idle_timeout.map(|limit| IdleLimit::new(limit, timer));
        Self { inner: Some(inner), peer, idle }
    }
}

impl<B> HttpBody for DownloadBody<B>
where
    B: HttpBody<Data = Bytes, Error = TransportError> + Unpin,
{
    type Data = Bytes;
    type Error = TransportError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, TransportError>>> {
        let this = &mut *self;
        let Some(inner) = &mut this.inner else { return Poll::Ready(None) };
        match Pin::new(&mut *inner).poll_frame(cx) {
            Poll::Ready(Some(Ok(frame))) => {
                if let Some(idle) = &mut this.idle {
                    idle.progress();
                }
                Poll::Ready(Some(Ok(frame)))
            }
            Poll::Ready(end) => {
                this.inner = None;
                Poll::Ready(end)
            }
            Poll::Pending => match &mut this.idle {
                Some(idle) => {
                    let kind = ready!(idle.poll_over(cx));
                    this.inner = None;
                    Poll::Ready(Some(Err(this.peer.failure(kind, Stage::Reading))))
                }
                None => Poll::Pending,
            },
        }
    }

    fn is_end_stream(&self) -> bool {
        self.inner.as_ref().is_none_or(HttpBody::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.as_ref().map_or_else(|| SizeHint::with_exact(0), HttpBody::size_hint)
    }
}

impl<B> fmt::Debug for DownloadBody<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DownloadBody").field("peer", &self.peer).finish_non_exhaustive()
    }
}

/// How long each wait for data may last.
///
/// An alarm that is set stays set when data arrives, and is set anew only when it goes off too
/// early: a body of a million pieces costs one timer an idle period, not a million.
pub(crate) struct IdleLimit {
    limit: Duration,
    timer: SharedTimer,
    waiting_since: Option<Instant>,
    alarm: Option<(Instant, Sleep)>,
}

impl IdleLimit {
    pub(crate) const fn new(limit: Duration, timer: SharedTimer) -> Self {
        Self { limit, timer, waiting_since: None, alarm: None }
    }

    pub(crate) const fn progress(&mut self) {
        self.waiting_since = None;
    }

    /// Why waiting is over: the limit has passed, or there is no runtime to wait on.
    pub(crate) fn poll_over(&mut self, cx: &mut Context<'_>) -> Poll<TransportErrorKind> {
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
