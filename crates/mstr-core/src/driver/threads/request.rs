//! A request of the blocking connection.

use std::time::Duration;

use http::HeaderMap;
use http::header::{HeaderName, HeaderValue};
use serde::Serialize;

use super::pages::Pages;
use super::pump::Threads;
use super::response::Response;
use crate::call::Spec;
use crate::contract::Body;
use crate::driver::handle::Handle;
use crate::error::Error;
use crate::protocol::ProjectRef;
use crate::request::{Described, Paging, request_methods};
use crate::retry::RetryPolicy;
use crate::timeouts::Timeouts;

/// One request of a blocking connection, to be described and sent.
///
/// ```
/// # use mstr_core as mstr;
/// use mstr::{Error, blocking};
/// use serde_json::Value;
///
/// fn search(connection: &blocking::Connection, name: &str) -> Result<Value, Error> {
///     connection
///         .get("/api/searches/results")
///         .project("MicroStrategy Tutorial")
///         .query(&[("name", name), ("limit", "10")])
///         .send()?
///         .json()
/// }
/// ```
///
/// A mistake in the description, for example a header name with spaces, is reported by
/// [`send`](Self::send), so calls can be chained.
#[derive(Debug)]
#[must_use = "a request does nothing until it is sent"]
pub struct RequestBuilder {
    handle: Handle<Threads>,
    described: Described,
}

request_methods!(RequestBuilder);

impl RequestBuilder {
    pub(super) const fn new(handle: Handle<Threads>, spec: Box<Spec>) -> Self {
        Self { handle, described: Described::new(spec) }
    }

    /// Sends the request and waits for the head of the response. A response whose status is not a
    /// success (2xx) is an error.
    ///
    /// # Errors
    ///
    /// Those of [`mstr::RequestBuilder::send`](crate::RequestBuilder::send).
    pub fn send(mut self) -> Result<Response, Error> {
        let core = &self.handle.core;
        if let Some(wanted) = self.described.wanted_project() {
            let begun = core.now();
            core.find_project(&mut self.described, &wanted)?;
            self.described.begun_at(begun);
        }
        core.call(self.described.spec)
    }

    /// Like [`send`](Self::send), but a response with any status is returned as a [`Response`].
    ///
    /// # Errors
    ///
    /// Those of [`send`](Self::send) that are not about a response.
    pub fn send_raw(mut self) -> Result<Response, Error> {
        self.described.spec.accepts = |_| true;
        self.send()
    }

    /// Reads a list page by page, `limit` entries at a time; see [`Pages`].
    pub fn pages(self, limit: u32) -> Pages {
        Pages::new(self.handle, Paging::new(self.described, limit))
    }
}
