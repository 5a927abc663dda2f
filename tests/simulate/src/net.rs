//! The transport of the simulation, for tasks.

use std::collections::VecDeque;
use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Instant;

use async_trait::async_trait;
use bytes::Bytes;
use http::{Request, Response};
use http_body::Frame;
use mstr_core::{
    Body, BoxFuture, RequestContext, SharedTimer, Sleep, Timer, Transport, TransportError,
    TransportErrorKind,
};
use mstr_fake::VirtualTime;

use crate::world::{Answer, Arrival, Breaks, World};

/// More than any request of the simulation has.
pub(crate) const UPLOAD_LIMIT: usize = 1 << 20;

/// Clones reach the same world.
#[derive(Clone)]
pub(crate) struct Net {
    pub(crate) world: World,
    pub(crate) time: VirtualTime,
}

impl fmt::Debug for Net {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Net")
    }
}

/// A request on its way. Dropping it says that no caller waits any more.
struct Travelling<'a> {
    net: &'a Net,
    parcel: Option<u64>,
}

impl Drop for Travelling<'_> {
    fn drop(&mut self) {
        if let Some(parcel) = self.parcel {
            self.net.world.abandon(parcel, self.net.time.now());
        }
    }
}

#[async_trait]
impl Transport for Net {
    async fn send(&self, request: Request<Body>) -> Result<Response<Body>, TransportError> {
        let context = RequestContext::of(&request);
        let (parts, body) = request.into_parts();
        let body = body.collect(UPLOAD_LIMIT).await?;
        let request = Request::from_parts(parts, body);
        let parcel = self.world.depart(request, self.time.now());
        let mut travelling = Travelling { net: self, parcel: Some(parcel) };
        loop {
            let now = self.time.now();
            let at = match self.world.arrival(parcel, now) {
                Arrival::Here(answer) => {
                    travelling.parcel = None;
                    let time: SharedTimer = self.timer();
                    return received(*answer, &context, move |until| time.sleep_until(until), now);
                }
                Arrival::Later(at) => at,
            };
            if context.deadline.is_some_and(|deadline| now >= deadline) {
                return Err(late());
            }
            match [at, context.deadline].into_iter().flatten().min() {
                Some(until) => self.time.sleep_until(until).await,
                None => std::future::pending().await,
            }
        }
    }

    fn timer(&self) -> SharedTimer {
        SharedTimer::new(self.time.clone())
    }

    fn detach(&self, task: BoxFuture<'static, ()>) {
        drop(self.time.spawn(task));
    }
}

pub(crate) fn late() -> TransportError {
    TransportError::new(TransportErrorKind::Timeout).with_detail("waiting for the answer")
}

/// The response of an answer, whose body may break.
pub(crate) fn received(
    answer: Answer,
    context: &RequestContext,
    sleep: impl Fn(Instant) -> Sleep + Send + 'static,
    now: Instant,
) -> Result<Response<Body>, TransportError> {
    let (parts, bytes, breaks) = answer?;
    let body = if breaks == Breaks::Never {
        Body::from(bytes)
    } else {
        let idle = context.body_idle_timeout.map(|idle| now + idle);
        let silence = (breaks == Breaks::Silent).then(|| idle.map(sleep));
        Body::wrap(Arriving { pieces: VecDeque::from([bytes]), silence })
    };
    Ok(Response::from_parts(parts, body))
}

/// A body that ends before its end.
struct Arriving {
    pieces: VecDeque<Bytes>,
    /// Nothing more comes, until the wait for it ends, if it ever does.
    silence: Option<Option<Sleep>>,
}

impl http_body::Body for Arriving {
    type Data = Bytes;
    type Error = TransportError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, TransportError>>> {
        if let Some(piece) = self.pieces.pop_front().filter(|piece| !piece.is_empty()) {
            return Poll::Ready(Some(Ok(Frame::data(piece))));
        }
        match &mut self.silence {
            None => Poll::Ready(Some(Err(TransportError::new(TransportErrorKind::Interrupted)))),
            Some(None) => Poll::Pending,
            Some(Some(sleep)) => {
                ready!(sleep.as_mut().poll(cx));
                Poll::Ready(Some(Err(late())))
            }
        }
    }
}
