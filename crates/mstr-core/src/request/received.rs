//! A response as both drivers hand it over: what does not depend on how its body is waited for.

use std::fmt;
use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use http::Uri;
use http::response::Parts;
use serde::de::DeserializeOwned;

use super::decode::{decode_json, decode_text};
use crate::call::{Call, Description};
use crate::contract::{Body, Collected, TransportError, TransportErrorKind};
use crate::error::{Error, ErrorKind};
use crate::generation::Generation;
use crate::protocol::wire::Endpoint;
use crate::timeouts::{Limit, Timeouts};

/// A head, and a body that is read by one of the drivers.
pub(crate) struct Received {
    pub(crate) parts: Parts,
    pub(crate) body: Body,
    pub(crate) deadline: Option<Instant>,
    endpoint: Arc<Endpoint>,
    call: Description,
    timeouts: Timeouts,
    pub(crate) generation: Option<Generation>,
}

impl Received {
    /// The response that `call` has delivered.
    pub(crate) fn new(parts: Parts, body: Body, call: &mut Call) -> Self {
        let (deadline, timeouts, generation) =
            (call.deadline(), call.timeouts(), call.generation());
        let (endpoint, call) = (call.endpoint(), call.take_description());
        Self { parts, body, deadline, endpoint, call, timeouts, generation }
    }

    /// Where the response comes from, after redirects.
    pub(crate) fn url(&self) -> Uri {
        self.call.url(&self.endpoint.base)
    }

    /// Reads the body to its end, after `first`.
    pub(crate) async fn collect(
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

    /// The result of reading the body. An `outcome` of `None` means that it was not read in time.
    pub(crate) fn read(
        &self,
        outcome: Option<Result<Bytes, TransportError>>,
    ) -> Result<Bytes, Error> {
        match outcome {
            Some(outcome) => outcome.map_err(|error| self.failed(error)),
            None => {
                let message = self.timeouts.passed(Limit::Total, "the body");
                Err(self.describe(Error::new(ErrorKind::Timeout, message)))
            }
        }
    }

    /// Why a piece of the body did not come.
    pub(crate) fn failed(&self, error: TransportError) -> Error {
        let late = error.kind() == TransportErrorKind::Timeout;
        let error = self.describe(Error::from_transport(error.of_an_answer()));
        if !late {
            return error;
        }
        error.with_message(self.timeouts.passed(Limit::IdleBody, "a piece of the body"))
    }

    pub(crate) fn json<T: DeserializeOwned>(&self, body: &Bytes) -> Result<T, Error> {
        decode_json(&self.parts.headers, body).map_err(|error| self.describe(error))
    }

    pub(crate) fn text(&self, body: Bytes) -> Result<String, Error> {
        decode_text(&self.parts.headers, body).map_err(|error| self.describe(error))
    }

    /// Says which call the body belongs to.
    fn describe(&self, error: Error) -> Error {
        self.call.name(error)
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
