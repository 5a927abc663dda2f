//! A response's body, as hyper delivers it.

use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Body as HttpBody, Frame, SizeHint};
use hyper::body::Incoming;
use mstr_core::TransportError;
use mstr_core::toolkit::{Peer, Stage};

use crate::error::classify;
use crate::runtime::KeepAlive;

/// hyper's body with the contract's errors.
pub(crate) struct ResponseBody {
    incoming: Incoming,
    peer: Peer,
    _keep: Option<KeepAlive>,
}

impl ResponseBody {
    pub(crate) fn new(incoming: Incoming, peer: Peer, keep: Option<KeepAlive>) -> Self {
        Self { incoming, peer, _keep: keep }
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
        Pin::new(&mut this.incoming).poll_frame(cx).map(|frame| {
            frame.map(|frame| {
                frame.map_err(|error| classify(Stage::Reading, error.into(), &this.peer))
            })
        })
    }

    fn is_end_stream(&self) -> bool {
        self.incoming.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.incoming.size_hint()
    }
}
