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

/// A response whose head has arrived, and whose body has not been read yet.
///
/// ```
/// # use mstr_core as mstr;
/// use std::error::Error;
/// use std::io::Write;
///
/// use mstr::Connection;
///
/// async fn export(connection: &Connection, path: &str) -> Result<(), Box<dyn Error>> {
///     let mut response = connection.get(path).send().await?;
///     println!("{}, {:?} bytes", response.status(), response.content_length());
///
///     // In memory: response.json(), response.text(), response.bytes(). Or as it arrives:
///     let mut file = std::fs::File::create("export.csv")?;
///     while let Some(piece) = response.chunk().await? {
///         file.write_all(&piece)?;
///     }
///     Ok(())
/// }
/// ```
///
/// Over HTTP/1.1, dropping a response before the end of its body closes the network connection that it
/// uses; the session stays open.
///
/// | to get | use |
/// |---|---|
/// | a value of your own type | [`json`](Self::json) |
/// | text, bytes | [`text`](Self::text), [`bytes`](Self::bytes) |
/// | the same with a limit on memory | [`json_limited`](Self::json_limited), [`text_limited`](Self::text_limited), [`bytes_limited`](Self::bytes_limited) |
/// | pieces as they arrive | [`chunk`](Self::chunk), `bytes_stream` with the feature `stream` |
/// | an `http::Response` | `http::Response::from(response)` |
pub struct Response {
    received: Received,
    timer: SharedTimer,
}

impl Response {
    pub(super) const fn new(received: Received, timer: SharedTimer) -> Self {
        Self { received, timer }
    }

    /// The HTTP status.
    #[must_use]
    pub fn status(&self) -> StatusCode {
        self.received.parts.status
    }

    /// The session in which the request was sent.
    pub(super) const fn generation(&self) -> Option<Generation> {
        self.received.generation
    }

    /// The headers.
    #[must_use]
    pub fn headers(&self) -> &HeaderMap {
        &self.received.parts.headers
    }

    /// The version of HTTP of the response.
    #[must_use]
    pub fn version(&self) -> Version {
        self.received.parts.version
    }

    /// The length of the unread part of the body in bytes. `None` if it is not known, because the
    /// server streams or compresses the body. A request with the header `Accept-Encoding: identity` is
    /// not compressed.
    #[must_use]
    pub fn content_length(&self) -> Option<u64> {
        self.received.body.len_hint()
    }

    /// The address that answered, after redirects.
    #[must_use]
    pub fn url(&self) -> Uri {
        self.received.url()
    }

    /// Reads the body as JSON.
    ///
    /// # Errors
    ///
    /// [`Decode`](crate::ErrorKind::Decode) if the body is not JSON of this shape; the message names the
    /// place, never the value. Those of [`bytes`](Self::bytes).
    ///
    /// # Cancel safety
    ///
    /// Dropping the future drops the response.
    pub async fn json<T: DeserializeOwned>(mut self) -> Result<T, Error> {
        let body = self.read(usize::MAX).await?;
        self.received.json(&body)
    }

    /// Like [`json`](Self::json), for a body of at most `limit` bytes.
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

    /// Reads the body as text: as UTF-8, or as windows-1252 if the response declares that or
    /// ISO 8859-1.
    ///
    /// # Errors
    ///
    /// [`Decode`](crate::ErrorKind::Decode) if the body is not such text, and those of
    /// [`bytes`](Self::bytes).
    ///
    /// # Cancel safety
    ///
    /// Dropping the future drops the response.
    pub async fn text(mut self) -> Result<String, Error> {
        let body = self.read(usize::MAX).await?;
        self.received.text(body)
    }

    /// Like [`text`](Self::text), for a body of at most `limit` bytes.
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

    /// Reads the whole body into memory.
    ///
    /// # Errors
    ///
    /// [`Interrupted`](crate::ErrorKind::Interrupted) if the body ends early,
    /// [`Timeout`](crate::ErrorKind::Timeout) if no data arrives within
    /// [`Timeouts::idle_body`](crate::Timeouts::idle_body) or the call's
    /// [`Timeouts::total`](crate::Timeouts::total) has passed,
    /// [`Decode`](crate::ErrorKind::Decode) if it cannot be decompressed.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future drops the response.
    pub async fn bytes(mut self) -> Result<Bytes, Error> {
        self.read(usize::MAX).await
    }

    /// Like [`bytes`](Self::bytes), for a body of at most `limit` bytes.
    ///
    /// # Errors
    ///
    /// [`Decode`](crate::ErrorKind::Decode) if the body is longer, and those of
    /// [`bytes`](Self::bytes).
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

    /// Reads the next piece of the body; `None` at its end. The call's
    /// [`Timeouts::total`](crate::Timeouts::total) does not apply here; each piece has
    /// [`Timeouts::idle_body`](crate::Timeouts::idle_body), 30 seconds by default.
    ///
    /// # Errors
    ///
    /// [`Interrupted`](crate::ErrorKind::Interrupted) if the body ends early,
    /// [`Timeout`](crate::ErrorKind::Timeout) if the piece does not arrive in time,
    /// [`Decode`](crate::ErrorKind::Decode) if it cannot be decompressed.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future loses nothing; the next call goes on.
    pub async fn chunk(&mut self) -> Result<Option<Bytes>, Error> {
        let chunk = self.received.body.chunk().await;
        chunk.map_err(|error| self.received.failed(error))
    }

    /// Turns the response into a `Stream` of the body's pieces. It ends after
    /// an error; see [`chunk`](Self::chunk).
    ///
    /// The stability promise of this crate does not cover this method, because `futures-core` is at
    /// version 0.3.
    #[cfg(feature = "stream")]
    #[must_use]
    pub const fn bytes_stream(self) -> BytesStream {
        BytesStream(Some(self))
    }

    /// Takes the body, for example to send it on with [`RequestBuilder::body`](super::RequestBuilder::body).
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

/// Keeps the head, and the body unread.
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
