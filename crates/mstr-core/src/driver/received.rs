//! A response as both drivers hand it over: what does not depend on how its body is waited for.

use std::fmt;
use std::time::Instant;

use bytes::Bytes;
use http::response::Parts;
use serde::de::DeserializeOwned;

use crate::contract::{Body, Collected, TransportError};
use crate::error::Error;
use crate::request::{body_late, decode_json, decode_text};

/// A head, and a body that is read by one of the drivers.
pub(super) struct Received {
    pub(super) parts: Parts,
    pub(super) body: Body,
    pub(super) deadline: Option<Instant>,
    operation: &'static str,
}

impl Received {
    pub(super) const fn new(
        parts: Parts,
        body: Body,
        deadline: Option<Instant>,
        operation: &'static str,
    ) -> Self {
        Self { parts, body, deadline, operation }
    }

    /// Reads the body to its end, after `first`.
    pub(super) async fn collect(
        body: &mut Body,
        first: Bytes,
        limit: usize,
    ) -> Result<Bytes, TransportError> {
        let mut collected = Collected::new(body, limit)?;
        if !first.is_empty() {
            collected.push(first)?;
        }
        while let Some(chunk) = body.chunk().await? {
            collected.push(chunk)?;
        }
        Ok(collected.finish())
    }

    /// What became of reading the body; `None` if it was not read in time.
    pub(super) fn read(
        &self,
        outcome: Option<Result<Bytes, TransportError>>,
    ) -> Result<Bytes, Error> {
        let outcome = match outcome {
            Some(outcome) => outcome.map_err(Error::from_transport),
            None => Err(body_late()),
        };
        outcome.map_err(|error| self.describe(error))
    }

    pub(super) fn json<T: DeserializeOwned>(&self, body: &Bytes) -> Result<T, Error> {
        decode_json(body).map_err(|error| self.describe(error))
    }

    pub(super) fn text(&self, body: Bytes) -> Result<String, Error> {
        decode_text(&self.parts.headers, body).map_err(|error| self.describe(error))
    }

    /// Says which call the body belongs to.
    pub(super) fn describe(&self, error: Error) -> Error {
        error.with_operation(self.operation)
    }
}

impl fmt::Debug for Received {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // No headers: they may set cookies.
        f.debug_struct("Response")
            .field("status", &self.parts.status)
            .field("body", &self.body)
            .finish_non_exhaustive()
    }
}
