//! The body of a request for which other calls wait.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http_body::{Body as HttpBody, Frame, SizeHint};

use crate::contract::{Body, SharedTimer, TransportError, TransportErrorKind};
use crate::timeouts::{Limit, Timeouts};
use crate::toolkit::IdleLimit;

/// A stream that may not stand still: what feeds it may be a task that is alive and not polled.
struct Fed {
    body: Body,
    timeouts: Timeouts,
    idle: IdleLimit,
}

/// Limits how long `body` may stand still. One that is in memory does not.
pub(super) fn fed(body: Body, timeouts: Timeouts, timer: &SharedTimer) -> Body {
    if body.as_bytes().is_some() {
        return body;
    }
    let idle = IdleLimit::new(timeouts.between_pieces(), timer.clone());
    Body::wrap(Fed { body, timeouts, idle })
}

impl HttpBody for Fed {
    type Data = Bytes;
    type Error = TransportError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, TransportError>>> {
        let this = &mut *self;
        if let Poll::Ready(frame) = Pin::new(&mut this.body).poll_frame(cx) {
            this.idle.progress();
            return Poll::Ready(frame);
        }
        let kind = ready!(this.idle.poll_over(cx));
        this.body = Body::empty();
        if kind != TransportErrorKind::Timeout {
            return Poll::Ready(Some(Err(TransportError::new(kind))));
        }
        let stalled = TransportError::new(TransportErrorKind::Body);
        let message = this.timeouts.passed(Limit::IdleBody, "a piece of the request's body");
        Poll::Ready(Some(Err(stalled.with_detail(message))))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
