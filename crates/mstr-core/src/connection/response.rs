//! A response, to be read whole or as a stream.

use std::fmt;
use std::time::Instant;

use bytes::Bytes;
use http::response::Parts;
use http::{HeaderMap, StatusCode};
use serde::de::DeserializeOwned;

use super::calls::Timed;
use crate::contract::{Body, Collected, SharedTimer};
use crate::error::Error;
use crate::request::{body_late, decode_json, decode_text};

/// A response whose head has arrived. Its body is read with one of the methods that consume it,
/// or piece by piece with [`chunk`](Self::chunk).
///
/// Dropping it before its end closes the connection it comes from.
pub struct Response {
    parts: Parts,
    body: Body,
    deadline: Option<Instant>,
    timer: SharedTimer,
    operation: &'static str,
}

impl Response {
    pub(super) fn new(
        parts: Parts,
        body: Body,
        deadline: Option<Instant>,
        timer: SharedTimer,
        operation: &'static str,
    ) -> Self {
        Self { parts, body, deadline, timer, operation }
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
    ///
    /// # Cancel safety
    ///
    /// Dropping the future drops the response.
    pub async fn json<T: DeserializeOwned>(self) -> Result<T, Error> {
        let operation = self.operation;
        let body = self.bytes().await?;
        decode_json(&body).map_err(|error| error.with_operation(operation))
    }

    /// Reads the body as text: UTF-8, or Latin-1 if the response says so.
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
        decode_text(&self.parts.headers, body).map_err(|error| error.with_operation(self.operation))
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

    async fn read(&mut self, limit: usize) -> Result<Bytes, Error> {
        let body = &mut self.body;
        let reading = async move {
            let mut collected = Collected::new(body, limit)?;
            while let Some(chunk) = body.chunk().await? {
                collected.push(chunk)?;
            }
            Ok(collected.finish())
        };
        let outcome = match Timed::new(reading, self.deadline, &self.timer).await {
            Some(outcome) => outcome.map_err(Error::from_transport),
            None => Err(body_late()),
        };
        outcome.map_err(|error| error.with_operation(self.operation))
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
        let chunk = self.body.chunk().await;
        chunk.map_err(|error| Error::from_transport(error).with_operation(self.operation))
    }

    /// The body, to be streamed elsewhere.
    #[must_use]
    pub fn into_body(self) -> Body {
        self.body
    }
}

impl fmt::Debug for Response {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // No headers: they may set cookies.
        f.debug_struct("Response")
            .field("status", &self.parts.status)
            .field("body", &self.body)
            .finish_non_exhaustive()
    }
}
