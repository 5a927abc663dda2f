//! A response, to be read whole or as a stream.

use std::fmt;
use std::io::{self, Read};

use bytes::{Buf, Bytes};
use http::{HeaderMap, StatusCode, Uri, Version};
use serde::de::DeserializeOwned;

use crate::contract::{Body, SharedBlockingTransport};
use crate::error::Error;
use crate::generation::Generation;
use crate::park::{block_on, block_on_until};
use crate::request::Received;

/// A response whose head has arrived, and whose body has not been read yet. It is a [`Read`].
///
/// ```
/// # use mstr_core as mstr;
/// use std::error::Error;
///
/// use mstr::blocking;
///
/// fn export(connection: &blocking::Connection, path: &str) -> Result<(), Box<dyn Error>> {
///     let mut response = connection.get(path).send()?;
///     println!("{}, {:?} bytes", response.status(), response.content_length());
///
///     // In memory: response.json(), response.text(), response.bytes(). Or as it arrives:
///     let mut file = std::fs::File::create("export.csv")?;
///     std::io::copy(&mut response, &mut file)?;
///     Ok(())
/// }
/// ```
pub struct Response {
    received: Received,
    /// Bytes that [`Read`] has received and not yet handed on.
    rest: Bytes,
    transport: SharedBlockingTransport,
}

impl Response {
    pub(super) const fn new(received: Received, transport: SharedBlockingTransport) -> Self {
        Self { received, rest: Bytes::new(), transport }
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
        let rest = self.rest.len() as u64;
        self.received.body.len_hint().map(|length| length + rest)
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
    pub fn json<T: DeserializeOwned>(mut self) -> Result<T, Error> {
        let body = self.read_whole(usize::MAX)?;
        self.received.json(&body)
    }

    /// Like [`json`](Self::json), for a body of at most `limit` bytes.
    ///
    /// # Errors
    ///
    /// Those of [`json`](Self::json) and [`bytes_limited`](Self::bytes_limited).
    pub fn json_limited<T: DeserializeOwned>(mut self, limit: usize) -> Result<T, Error> {
        let body = self.read_whole(limit)?;
        self.received.json(&body)
    }

    /// Reads the body as text: as UTF-8, or as windows-1252 if the response declares that or
    /// ISO 8859-1.
    ///
    /// # Errors
    ///
    /// [`Decode`](crate::ErrorKind::Decode) if the body is not such text, and those of
    /// [`bytes`](Self::bytes).
    pub fn text(mut self) -> Result<String, Error> {
        let body = self.read_whole(usize::MAX)?;
        self.received.text(body)
    }

    /// Like [`text`](Self::text), for a body of at most `limit` bytes.
    ///
    /// # Errors
    ///
    /// Those of [`text`](Self::text) and [`bytes_limited`](Self::bytes_limited).
    pub fn text_limited(mut self, limit: usize) -> Result<String, Error> {
        let body = self.read_whole(limit)?;
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
    pub fn bytes(mut self) -> Result<Bytes, Error> {
        self.read_whole(usize::MAX)
    }

    /// Like [`bytes`](Self::bytes), for a body of at most `limit` bytes.
    ///
    /// # Errors
    ///
    /// [`Decode`](crate::ErrorKind::Decode) if the body is longer, and those of
    /// [`bytes`](Self::bytes).
    pub fn bytes_limited(mut self, limit: usize) -> Result<Bytes, Error> {
        self.read_whole(limit)
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
    pub fn chunk(&mut self) -> Result<Option<Bytes>, Error> {
        if !self.rest.is_empty() {
            return Ok(Some(std::mem::take(&mut self.rest)));
        }
        let chunk = block_on(self.received.body.chunk());
        chunk.map_err(|error| self.received.failed(error))
    }

    /// Takes the body, for example to send it on with [`RequestBuilder::body`](super::RequestBuilder::body).
    #[must_use]
    pub fn into_body(self) -> Body {
        http::Response::from(self).into_body()
    }

    /// The head, and the whole body apart from it.
    pub(super) fn into_whole(mut self) -> Result<(Received, Bytes), Error> {
        let body = self.read_whole(usize::MAX)?;
        Ok((self.received, body))
    }

    fn read_whole(&mut self, limit: usize) -> Result<Bytes, Error> {
        let rest = std::mem::take(&mut self.rest);
        let Received { body, deadline, .. } = &mut self.received;
        let reading = Received::collect(body, rest, limit);
        let outcome = block_on_until(reading, *deadline, || self.transport.now());
        self.received.read(outcome)
    }
}

/// Keeps the head, and the unread part of the body.
impl From<Response> for http::Response<Body> {
    fn from(response: Response) -> Self {
        let Response { received, rest, .. } = response;
        let body = if rest.is_empty() { received.body } else { received.body.after(rest) };
        Self::from_parts(received.parts, body)
    }
}

impl Read for Response {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.rest.is_empty() {
            match block_on(self.received.body.chunk()) {
                Ok(Some(chunk)) => self.rest = chunk,
                Ok(None) => return Ok(0),
                Err(error) => return Err(io::Error::other(self.received.failed(error))),
            }
        }
        let length = buffer.len().min(self.rest.len());
        self.rest.copy_to_slice(&mut buffer[..length]);
        Ok(length)
    }
}

impl fmt::Debug for Response {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.received.fmt(f)
    }
}
