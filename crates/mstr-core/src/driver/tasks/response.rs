//! A response, to be read whole or as a stream.

use std::fmt;
#[cfg(feature = "stream")]
use std::pin::Pin;
#[cfg(feature = "stream")]
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http::{HeaderMap, StatusCode, Uri, Version};
use serde::de::DeserializeOwned;

use crate::contract::{Body, SharedTimer};
use crate::error::Error;
use crate::generation::Generation;
use crate::request::Received;
use crate::toolkit::before;

/// A response whose head has arrived. Its body is read with one of the methods that consume it,
/// or piece by piece with [`chunk`](Self::chunk).
///
/// Dropping it before its end closes the connection it comes from.
pub struct Response {
    received: Received,
    timer: SharedTimer,
}

impl Response {
    pub(super) const fn new(received: Received, timer: SharedTimer) -> Self {
        Self { received, timer }
    }

    /// The status.
    #[must_use]
    pub fn status(&self) -> StatusCode {
        self.received.parts.status
    }

    /// The session in which it was given.
    pub(super) const fn generation(&self) -> Option<Generation> {
        self.received.generation
    }

    /// The headers.
    #[must_use]
    pub fn headers(&self) -> &HeaderMap {
        &self.received.parts.headers
    }

    /// The version of HTTP it was given with.
    #[must_use]
    pub fn version(&self) -> Version {
        self.received.parts.version
    }

    /// The length of the body, or of what is left of it, in bytes, if it is known. It is not where
    /// the server streams, nor where the answer was compressed on its way.
    #[must_use]
    pub fn content_length(&self) -> Option<u64> {
        self.received.body.len_hint()
    }

    /// Where it comes from, after redirects.
    #[must_use]
    pub fn url(&self) -> Uri {
        self.received.url()
    }

    /// Reads the body as JSON.
    ///
    /// # Errors
    ///
    /// [`Decode`](crate::ErrorKind::Decode) if it is not JSON of this shape, and those of
    /// [`bytes`](Self::bytes).
    ///
    /// # Cancel safety
    ///
    /// Dropping the future drops the response.
    pub async fn json<T: DeserializeOwned>(mut self) -> Result<T, Error> {
        let body = self.read(usize::MAX).await?;
        self.received.json(&body)
    }

    /// Like [`json`](Self::json), of a body of at most `limit` bytes.
    ///
    /// # Errors
    ///
    /// Those of [`json`](Self::json) and [`bytes_limited`](Self::bytes_limited).
    ///
    /// # Cancel safety
    ///
    /// Dropping the future drops the response.
    pub async fn json_limited<T: DeserializeOwned>(mut self, limit: usize) -> Result<T, Error> {
        let body = self.read(limit).await?;
        self.received.json(&body)
    }

    /// Reads the body as text: UTF-8, or windows-1252 (and ISO 8859-1, its part) if the response says
    /// so.
    ///
    /// # Errors
    ///
    /// [`Decode`](crate::ErrorKind::Decode) if it is neither, and those of [`bytes`](Self::bytes).
    ///
    /// # Cancel safety
    ///
    /// Dropping the future drops the response.
    pub async fn text(mut self) -> Result<String, Error> {
        let body = self.read(usize::MAX).await?;
        self.received.text(body)
    }

    /// Like [`text`](Self::text), of a body of at most `limit` bytes.
    ///
    /// # Errors
    ///
    /// Those of [`text`](Self::text) and [`bytes_limited`](Self::bytes_limited).
    ///
    /// # Cancel safety
    ///
    /// Dropping the future drops the response.
    pub async fn text_limited(mut self, limit: usize) -> Result<String, Error> {
        let body = self.read(limit).await?;
        self.received.text(body)
    }

    /// Reads the whole body into one buffer, sized by its declared length.
    ///
    /// # Errors
    ///
    /// [`Interrupted`](crate::ErrorKind::Interrupted) if it ends early,
    /// [`Timeout`](crate::ErrorKind::Timeout) if a piece is late or the call's total time is over.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future drops the response.
    pub async fn bytes(mut self) -> Result<Bytes, Error> {
        self.read(usize::MAX).await
    }

    /// Like [`bytes`](Self::bytes), for at most `limit` bytes.
    ///
    /// # Errors
    ///
    /// [`Decode`](crate::ErrorKind::Decode) if there are more, and those of [`bytes`](Self::bytes).
    ///
    /// # Cancel safety
    ///
    /// Dropping the future drops the response.
    pub async fn bytes_limited(mut self, limit: usize) -> Result<Bytes, Error> {
        self.read(limit).await
    }

    /// The head, and the whole body apart from it.
    pub(super) async fn into_whole(mut self) -> Result<(Received, Bytes), Error> {
        let body = self.read(usize::MAX).await?;
        Ok((self.received, body))
    }

    async fn read(&mut self, limit: usize) -> Result<Bytes, Error> {
        // Short ones have come with their heads.
        if let Some(whole) = self.received.body.whole(limit) {
            return Ok(whole);
        }
        let Received { body, deadline, .. } = &mut self.received;
        let reading = Received::collect(body, Bytes::new(), limit);
        let outcome = before(*deadline, &*self.timer, reading).await;
        self.received.read(outcome)
    }

    /// The next piece of the body, `None` at its end. The call's total time limit does not
    /// apply, only the one between two pieces.
    ///
    /// # Errors
    ///
    /// [`Interrupted`](crate::ErrorKind::Interrupted) if the body ends early,
    /// [`Timeout`](crate::ErrorKind::Timeout) if the piece is late.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future loses nothing; the next call goes on.
    pub async fn chunk(&mut self) -> Result<Option<Bytes>, Error> {
        let chunk = self.received.body.chunk().await;
        chunk.map_err(|error| self.received.failed(error))
    }

    /// The body as a stream of its pieces, for code that takes one. It ends after an error; see
    /// [`chunk`](Self::chunk).
    ///
    /// Outside the stability promise, like the feature `stream`: `futures-core` is at 0.3.
    #[cfg(feature = "stream")]
    #[must_use]
    pub const fn bytes_stream(self) -> BytesStream {
        BytesStream(Some(self))
    }

    /// The body, to be streamed elsewhere.
    #[must_use]
    pub fn into_body(self) -> Body {
        self.received.body
    }
}

/// The pieces of a response's body, from [`Response::bytes_stream`].
#[cfg(feature = "stream")]
#[derive(Debug)]
pub struct BytesStream(Option<Response>);

#[cfg(feature = "stream")]
impl futures_core::Stream for BytesStream {
    type Item = Result<Bytes, Error>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let Some(response) = &mut self.0 else {
            return Poll::Ready(None);
        };
        let piece = ready!(response.received.body.poll_chunk(cx));
        let piece = piece.map_err(|error| response.received.failed(error)).transpose();
        if !matches!(piece, Some(Ok(_))) {
            self.0 = None;
        }
        Poll::Ready(piece)
    }
}

/// The head, and the body to be streamed.
impl From<Response> for http::Response<Body> {
    fn from(response: Response) -> Self {
        Self::from_parts(response.received.parts, response.received.body)
    }
}

impl fmt::Debug for Response {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.received.fmt(f)
    }
}
