//! A request's body on its way to an HTTP stack.

use std::mem;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::task::{Context, Poll, Waker, ready};

use bytes::Bytes;
use http::HeaderMap;
use http::header::CONTENT_LENGTH;
use http_body::{Body as HttpBody, Frame, SizeHint};

use crate::contract::{Body, Sent, TransportError, TransportErrorKind};

/// The failure of a request's body, where the exchange can find it.
///
/// HTTP stacks answer a failing body with an error of their own, and HTTP/2 with a reset that has
/// forgotten why.
#[derive(Clone, Debug, Default)]
pub struct BodyFailure(Option<Arc<Watch>>);

/// The state of a body that is visible from outside.
#[derive(Debug, Default)]
struct Watch {
    failure: OnceLock<TransportError>,
    /// Of the stack that waits for the next piece.
    waker: Mutex<Option<Waker>>,
}

impl Watch {
    fn waker(&self) -> MutexGuard<'_, Option<Waker>> {
        self.waker.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl BodyFailure {
    /// Why the body ended before its end, if it has.
    #[must_use]
    pub fn get(&self) -> Option<TransportError> {
        self.0.as_ref()?.failure.get().cloned()
    }

    /// Whether the body is still in the hands of its HTTP stack. One in memory counts as sent.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.0.as_ref().is_some_and(|watch| Arc::strong_count(watch) > 1)
    }

    /// Lets the body fail with `error` when its HTTP stack next asks for a piece, and has it ask now
    /// if it waits for one. A body that has failed already keeps its own failure.
    pub fn give_up(&self, error: TransportError) {
        let Some(watch) = &self.0 else { return };
        drop(watch.failure.set(error));
        let waker = watch.waker().take();
        if let Some(waker) = waker {
            waker.wake();
        }
    }
}

/// A request's body that is held to its declared length.
///
/// A body that ends too early or goes on for too long fails with
/// [`Body`](TransportErrorKind::Body) instead of being cut or padded without a word.
///
/// It has the size of a pointer, because HTTP stacks move a request about a dozen times. `None` is an
/// empty body.
#[derive(Debug)]
pub struct UploadBody(Option<Box<Upload>>);

#[derive(Debug)]
enum Upload {
    /// In memory and as long as declared: it cannot fail.
    Whole(Bytes),
    Held(Box<Held>),
}

#[derive(Debug)]
struct Held {
    body: Body,
    remaining: Option<u64>,
    /// The result of looking for more after the last declared byte.
    next: Option<Option<Frame<Bytes>>>,
    watch: Arc<Watch>,
}

impl UploadBody {
    /// Holds `body` to the `Content-Length` among `headers`, or else to its own length if that
    /// is known.
    #[must_use]
    pub fn new(body: Body, headers: &HeaderMap) -> Self {
        let known = body.len_hint();
        let remaining = declared_length(headers).or(known);
        let upload = match body.as_bytes() {
            Some(bytes) if remaining == known && bytes.is_empty() => return Self(None),
            Some(bytes) if remaining == known => Upload::Whole(bytes.clone()),
            _ => {
                let held = Held { body, remaining, next: None, watch: Arc::default() };
                Upload::Held(Box::new(held))
            }
        };
        Self(Some(Box::new(upload)))
    }

    /// Where the reason will be found if this body fails.
    #[must_use]
    pub fn failure(&self) -> BodyFailure {
        match self.0.as_deref() {
            None | Some(Upload::Whole(_)) => BodyFailure(None),
            Some(Upload::Held(held)) => BodyFailure(Some(Arc::clone(&held.watch))),
        }
    }

    /// How many bytes are still to come, if that has been declared or is known.
    #[must_use]
    pub fn remaining(&self) -> Option<u64> {
        match self.0.as_deref() {
            None => Some(0),
            Some(Upload::Whole(bytes)) => Some(bytes.len() as u64),
            Some(Upload::Held(held)) => held.remaining,
        }
    }
}

impl Held {
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

    fn poll_frame(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, TransportError>>> {
        // Before looking, so that what is given up in between is not missed.
        *self.watch.waker() = Some(cx.waker().clone());
        if let Some(failure) = self.watch.failure.get() {
            return Poll::Ready(Some(Err(failure.clone())));
        }
        let mut result = ready!(self.poll_checked(cx));
        // HTTP stacks do not ask for more than was declared, so a body that is too long would be
        // cut without a word. What it has at hand beyond the end is enough to tell.
        let last = matches!(&result, Ok(Some(frame)) if frame.is_data());
        if last && self.remaining == Some(0) && !self.body.is_end_stream() {
            match self.poll_checked(cx) {
                Poll::Ready(Ok(next)) => self.next = Some(next),
                Poll::Ready(Err(error)) => result = Err(error),
                Poll::Pending => {}
            }
        }
        if let Err(error) = &result {
            // Only the first failure counts.
            drop(self.watch.failure.set(error.clone()));
        }
        Poll::Ready(result.transpose())
    }

    fn is_end_stream(&self) -> bool {
        match &self.next {
            Some(next) => next.is_none(),
            None => self.body.is_end_stream() && self.remaining.unwrap_or(0) == 0,
        }
    }
}

/// The `Content-Length` among `headers`.
pub(crate) fn declared_length(headers: &HeaderMap) -> Option<u64> {
    headers.get(CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

impl HttpBody for UploadBody {
    type Data = Bytes;
    type Error = TransportError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, TransportError>>> {
        match self.0.as_deref_mut() {
            None => Poll::Ready(None),
            Some(Upload::Whole(bytes)) if bytes.is_empty() => Poll::Ready(None),
            Some(Upload::Whole(bytes)) => Poll::Ready(Some(Ok(Frame::data(mem::take(bytes))))),
            Some(Upload::Held(held)) => held.poll_frame(cx),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self.0.as_deref() {
            None => true,
            Some(Upload::Whole(bytes)) => bytes.is_empty(),
            Some(Upload::Held(held)) => held.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self.0.as_deref() {
            None => SizeHint::with_exact(0),
            Some(Upload::Whole(bytes)) => SizeHint::with_exact(bytes.len() as u64),
            Some(Upload::Held(held)) => held.body.size_hint(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_upload_is_as_large_as_a_pointer_and_none_needs_no_room() {
        assert_eq!(size_of::<UploadBody>(), size_of::<usize>());
        let none = UploadBody::new(Body::empty(), &HeaderMap::new());
        assert!(none.0.is_none());
        assert_eq!((none.remaining(), none.size_hint().exact()), (Some(0), Some(0)));
        assert!(none.is_end_stream() && none.failure().get().is_none());
    }
}
