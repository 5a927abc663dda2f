//! A response, to be read whole or as a stream.

use std::fmt;
use std::io::{self, Read};
use std::time::Instant;

use bytes::{Buf, Bytes};
use http::response::Parts;
use http::{HeaderMap, StatusCode};
use serde::de::DeserializeOwned;

use super::park::{block_on, block_on_until};
use crate::contract::{Body, Collected, SharedBlockingTransport};
use crate::error::Error;
use crate::request::{body_late, decode_json, decode_text};

/// A response whose head has arrived. Its body is read whole, or as a [`Read`].
pub struct Response {
    parts: Parts,
    body: Body,
    /// What [`Read`] has received and not yet handed on.
    rest: Bytes,
    deadline: Option<Instant>,
    transport: SharedBlockingTransport,
    operation: &'static str,
}

impl Response {
    pub(super) fn new(
        parts: Parts,
        body: Body,
        deadline: Option<Instant>,
        transport: SharedBlockingTransport,
        operation: &'static str,
    ) -> Self {
        Self { parts, body, rest: Bytes::new(), deadline, transport, operation }
    }

    /// The status.
    #[must_use]
    pub fn status(&self) -> StatusCode {
        self.parts.status
    }

    /// The headers.
    #[must_use]
    pub fn headers(&self) -> &HeaderMap {
        &self.parts.headers
    }

    /// Reads the body as JSON.
    ///
    /// # Errors
    ///
    /// [`Decode`](crate::ErrorKind::Decode) if it is not JSON of this shape, and those of
    /// [`bytes`](Self::bytes).
    pub fn json<T: DeserializeOwned>(self) -> Result<T, Error> {
        let operation = self.operation;
        decode_json(&self.bytes()?).map_err(|error| error.with_operation(operation))
    }

    /// Reads the body as text: UTF-8, or Latin-1 if the response says so.
    ///
    /// # Errors
    ///
    /// [`Decode`](crate::ErrorKind::Decode) if it is neither, and those of [`bytes`](Self::bytes).
    pub fn text(mut self) -> Result<String, Error> {
        let body = self.read_whole(usize::MAX)?;
        decode_text(&self.parts.headers, body).map_err(|error| error.with_operation(self.operation))
    }

    /// Reads the whole body into one buffer, sized by its declared length.
    ///
    /// # Errors
    ///
    /// [`Interrupted`](crate::ErrorKind::Interrupted) if it ends early,
    /// [`Timeout`](crate::ErrorKind::Timeout) if a piece is late or the call's total time is over.
    pub fn bytes(mut self) -> Result<Bytes, Error> {
        self.read_whole(usize::MAX)
    }

    /// Like [`bytes`](Self::bytes), for at most `limit` bytes.
    ///
    /// # Errors
    ///
    /// [`Decode`](crate::ErrorKind::Decode) if there are more, and those of [`bytes`](Self::bytes).
    pub fn bytes_limited(mut self, limit: usize) -> Result<Bytes, Error> {
        self.read_whole(limit)
    }

    /// The next piece of the body, `None` at its end. The call's total time limit does not
    /// apply, only the one between two pieces.
    ///
    /// # Errors
    ///
    /// [`Interrupted`](crate::ErrorKind::Interrupted) if the body ends early,
    /// [`Timeout`](crate::ErrorKind::Timeout) if the piece is late.
    pub fn chunk(&mut self) -> Result<Option<Bytes>, Error> {
        if !self.rest.is_empty() {
            return Ok(Some(std::mem::take(&mut self.rest)));
        }
        let chunk = block_on(self.body.chunk());
        chunk.map_err(|error| Error::from_transport(error).with_operation(self.operation))
    }

    fn read_whole(&mut self, limit: usize) -> Result<Bytes, Error> {
        let rest = std::mem::take(&mut self.rest);
        let body = &mut self.body;
        let reading = async move {
            let mut collected = Collected::new(body, limit)?;
            if !rest.is_empty() {
                collected.push(rest)?;
            }
            while let Some(chunk) = body.chunk().await? {
                collected.push(chunk)?;
            }
            Ok(collected.finish())
        };
        let outcome = match block_on_until(reading, self.deadline, || self.transport.now()) {
            Some(outcome) => outcome.map_err(Error::from_transport),
            None => Err(body_late()),
        };
        outcome.map_err(|error| error.with_operation(self.operation))
    }
}

impl Read for Response {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.rest.is_empty() {
            match block_on(self.body.chunk()) {
                Ok(Some(chunk)) => self.rest = chunk,
                Ok(None) => return Ok(0),
                Err(error) => return Err(io::Error::other(Error::from_transport(error))),
            }
        }
        let length = buffer.len().min(self.rest.len());
        self.rest.copy_to_slice(&mut buffer[..length]);
        Ok(length)
    }
}

impl fmt::Debug for Response {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Response")
            .field("status", &self.parts.status)
            .field("body", &self.body)
            .finish_non_exhaustive()
    }
}
