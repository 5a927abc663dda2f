//! A request of the asynchronous connection.

use std::future::IntoFuture;
use std::sync::Arc;
use std::time::Duration;

use http::HeaderMap;
use http::header::{HeaderName, HeaderValue};
use serde::Serialize;

use super::pages::Pages;
use super::pump::Tasks;
use super::response::Response;
use crate::call::Spec;
use crate::contract::{Body, BoxFuture};
use crate::driver::core::Core;
use crate::driver::handle::Handle;
use crate::error::Error;
use crate::protocol::ProjectRef;
use crate::request::{Described, Paging, request_methods};
use crate::retry::RetryPolicy;
use crate::timeouts::Timeouts;

/// One request, to be described and sent.
///
/// ```
/// # use mstr_core as mstr;
/// use std::time::Duration;
///
/// use mstr::{Connection, Error};
/// use serde_json::{Value, json};
///
/// async fn run_report(connection: &Connection, id: &str) -> Result<Value, Error> {
///     connection
///         .post(format!("/api/v2/reports/{id}/instances"))
///         .project("MicroStrategy Tutorial")
///         .query(&[("offset", 0), ("limit", 1_000)])
///         .json(&json!({ "requestedObjects": { "metrics": [] } }))
///         .timeout(Duration::from_secs(600))
///         .send()
///         .await?
///         .json()
///         .await
/// }
/// ```
///
/// A mistake in the description, for example a header name with spaces, is reported when the request
/// is sent, so calls can be chained. Awaiting the builder is the same as [`send`](Self::send).
///
/// | to | use |
/// |---|---|
/// | send parameters, a body, headers | [`query`](Self::query), [`json`](Self::json), [`form`](Self::form), [`body`](Self::body), [`header`](Self::header) |
/// | choose the project | [`project`](Self::project), [`without_project`](Self::without_project) |
/// | limit time and attempts | [`timeout`](Self::timeout), [`timeouts`](Self::timeouts), [`retry`](Self::retry), [`idempotent`](Self::idempotent) |
/// | accept every status | [`send_raw`](Self::send_raw) |
/// | read a long list | [`pages`](Self::pages) |
#[derive(Debug)]
#[must_use = "a request does nothing until it is sent"]
pub struct RequestBuilder {
    handle: Handle<Tasks>,
    described: Described,
}

request_methods!(RequestBuilder);

impl RequestBuilder {
    pub(super) const fn new(handle: Handle<Tasks>, spec: Box<Spec>) -> Self {
        Self { handle, described: Described::new(spec) }
    }

    /// Sends the request and waits for the head of the response. A response whose status is not a
    /// success (2xx) is an error.
    ///
    /// # Errors
    ///
    /// | kind | when |
    /// |---|---|
    /// | [`Usage`](crate::ErrorKind::Usage) | the description of the request is wrong; nothing was sent |
    /// | [`Request`](crate::ErrorKind::Request), [`NotFound`](crate::ErrorKind::NotFound), [`Forbidden`](crate::ErrorKind::Forbidden), [`Conflict`](crate::ErrorKind::Conflict) | the server refuses the request |
    /// | [`ProjectUnavailable`](crate::ErrorKind::ProjectUnavailable) | the project is unknown, ambiguous or not loaded |
    /// | [`Timeout`](crate::ErrorKind::Timeout) | no response in time; see [`Timeouts`] |
    /// | [`Server`](crate::ErrorKind::Server), [`RateLimited`](crate::ErrorKind::RateLimited) | the server fails, or asks for fewer requests, in every attempt |
    /// | those of [`Connection::open`](super::Connection::open) | there is no session, or the server cannot be reached |
    ///
    /// [`Error::may_have_been_executed`] tells whether the server may have carried out the request.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future ends the request, which the server may have processed. The session is
    /// not affected, and a login that was under way is resumed by the next call.
    pub async fn send(self) -> Result<Response, Error> {
        // Apart: a future that borrowed from both would hold the description twice.
        let Self { handle, described } = self;
        let spec = match described.wanted_project() {
            None => described.spec,
            Some(wanted) => Box::pin(in_project(&handle.core, described, wanted)).await?,
        };
        handle.core.call(spec).await
    }

    /// Like [`send`](Self::send), but a response with any status is returned as a [`Response`].
    ///
    /// ```
    /// # use mstr_core as mstr;
    /// async fn exists(connection: &mstr::Connection, path: &str) -> Result<bool, mstr::Error> {
    ///     Ok(connection.head(path).send_raw().await?.status().is_success())
    /// }
    /// ```
    ///
    /// # Errors
    ///
    /// Those of [`send`](Self::send) that are not about a response.
    ///
    /// # Cancel safety
    ///
    /// That of [`send`](Self::send).
    pub async fn send_raw(mut self) -> Result<Response, Error> {
        self.described.spec.accepts = |_| true;
        self.send().await
    }

    /// Reads a list page by page, `limit` entries at a time; see [`Pages`].
    pub fn pages(self, limit: u32) -> Pages {
        Pages::new(self.handle, Paging::new(self.described, limit))
    }
}

/// The request in the project that it names, and with what is left of its time.
async fn in_project(
    core: &Arc<Core<Tasks>>,
    mut described: Described,
    wanted: ProjectRef,
) -> Result<Box<Spec>, Error> {
    let begun = core.now();
    core.find_project(&mut described, &wanted).await?;
    described.begun_at(begun);
    Ok(described.spec)
}

impl IntoFuture for RequestBuilder {
    type Output = Result<Response, Error>;
    type IntoFuture = BoxFuture<'static, Result<Response, Error>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(self.send())
    }
}
