//! The body of a reply on its way to a socket.

use std::collections::VecDeque;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use tokio::time::{Sleep, sleep};

use super::socket::Breaker;
use crate::server::{ReplyBody, SocketFault};

/// The pieces in which generated bodies are sent.
const PIECE: usize = 64 * 1024;

/// A body that is made as it is sent, and may break off.
pub(super) struct Sending {
    body: ReplyBody,
    pieces: VecDeque<Bytes>,
    position: u64,
    length: u64,
    breaks_at: Option<(u64, SocketFault)>,
    breaker: Breaker,
    pause: Option<Pin<Box<Sleep>>>,
}

impl Sending {
    pub(super) fn new(body: ReplyBody, fault: Option<SocketFault>, breaker: Breaker) -> Self {
        let length = body.len();
        let pieces = match &body {
            ReplyBody::Bytes(bytes) => VecDeque::from([bytes.clone()]),
            ReplyBody::Generated(_) => VecDeque::new(),
            ReplyBody::Trickle(pieces, _) => pieces.clone().into(),
        };
        let breaks_at = match fault {
            Some(fault @ (SocketFault::ResetMidBody | SocketFault::StallMidBody)) => {
                Some((length / 2, fault))
            }
            _ => None,
        };
        Self { body, pieces, position: 0, length, breaks_at, breaker, pause: None }
    }

    fn next_piece(&mut self) -> Bytes {
        let piece = match &self.body {
            ReplyBody::Generated(length) => {
                let rest = length - self.position;
                let size = usize::try_from(rest).map_or(PIECE, |rest| rest.min(PIECE));
                ReplyBody::generate(self.position, size)
            }
            ReplyBody::Bytes(_) | ReplyBody::Trickle(..) => {
                self.pieces.pop_front().unwrap_or_default()
            }
        };
        match self.breaks_at {
            Some((at, _)) if self.position + piece.len() as u64 > at => {
                piece.slice(..usize::try_from(at - self.position).unwrap_or(0))
            }
            _ => piece,
        }
    }
}

impl Body for Sending {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        let this = &mut *self;
        match this.breaks_at {
            Some((at, SocketFault::ResetMidBody)) if this.position >= at => {
                this.breaker.trip();
                return Poll::Ready(Some(Err(io::ErrorKind::ConnectionReset.into())));
            }
            // The connection is polled again, and ends, when the client hangs up.
            Some((at, _)) if this.position >= at => return Poll::Pending,
            _ => {}
        }
        if this.position >= this.length {
            return Poll::Ready(None);
        }
        if let ReplyBody::Trickle(_, pause) = this.body {
            let pause: Duration = pause;
            let sleeping = this.pause.get_or_insert_with(|| Box::pin(sleep(pause)));
            ready!(sleeping.as_mut().poll(cx));
            this.pause = None;
        }
        let piece = this.next_piece();
        this.position += piece.len() as u64;
        Poll::Ready(Some(Ok(Frame::data(piece))))
    }

    fn is_end_stream(&self) -> bool {
        self.position >= self.length && self.breaks_at.is_none()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.length - self.position)
    }
}
