//! The caller's handle on an exchange: first the wait for its head, then its body.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http::Response;
use http_body::{Body as HttpBody, Frame, SizeHint};
use mstr_core::TransportError;

use super::exchange::{Exchange, NoHead};
use super::shared::Shared;

/// The answer to a request. Dropping it before its end gives the exchange up.
pub(crate) struct Download {
    shared: Arc<Shared>,
    /// Until it has ended: then it may be that of another request already.
    exchange: Option<Arc<Exchange>>,
    size: SizeHint,
}

impl Download {
    pub(super) fn new(shared: Arc<Shared>, exchange: Arc<Exchange>) -> Self {
        Self { shared, exchange: Some(exchange), size: SizeHint::with_exact(0) }
    }

    /// The head, and what was there with it of a short body if that was all.
    pub(super) fn poll_head(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Result<(Response<()>, Bytes), NoHead>> {
        let Some(exchange) = &self.exchange else { return Poll::Pending };
        Poll::Ready(match ready!(exchange.poll_head(cx)) {
            Ok(head) => {
                self.size = head.size;
                if head.last {
                    self.exchange = None;
                }
                Ok((head.response, head.whole))
            }
            Err(no_head) => {
                self.exchange = None;
                Err(no_head)
            }
        })
    }
}

impl HttpBody for Download {
    type Data = Bytes;
    type Error = TransportError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, TransportError>>> {
        let this = &mut *self;
        let Some(exchange) = &this.exchange else { return Poll::Ready(None) };
        let (piece, last) = ready!(exchange.poll_frame(this.shared.clock(), cx));
        if last {
            this.exchange = None;
        }
        if let (Some(Ok(frame)), Some(exact)) = (&piece, this.size.exact()) {
            let length = frame.data_ref().map_or(0, |data| data.len() as u64);
            this.size = SizeHint::with_exact(exact.saturating_sub(length));
        }
        Poll::Ready(piece)
    }

    fn is_end_stream(&self) -> bool {
        self.exchange.is_none()
    }

    fn size_hint(&self) -> SizeHint {
        match &self.exchange {
            Some(_) => self.size,
            None => SizeHint::with_exact(0),
        }
    }
}

impl Drop for Download {
    fn drop(&mut self) {
        if let Some(exchange) = self.exchange.take() {
            exchange.abandon();
        }
    }
}
