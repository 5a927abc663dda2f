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
#[cfg(doc)]
use crate::error::ErrorKind;
use crate::protocol::ProjectRef;
use crate::request::{Described, Paging, request_methods};
use crate::retry::RetryPolicy;
use crate::timeouts::Timeouts;

/// One request, to be described and sent.
///
/// Mistakes made while describing it (a value that cannot be serialised, a header name with
/// spaces) are reported when it is sent, so that calls can be chained. Awaiting it is to
/// [`send`](Self::send) it.
///
/// ```
/// use mstr_core::{Connection, Error};
/// use serde_json::Value;
///
/// async fn search(connection: &Connection, name: &str) -> Result<Value, Error> {
///     let request = connection.get("/api/searches/results").project("MicroStrategy Tutorial");
///     request.query(&[("name", name), ("limit", "10")]).send().await?.json().await
/// }
/// ```
#[derive(Debug)]
#[must_use = "a request does nothing until it is sent"]
pub struct RequestBuilder {
    handle: Handle<Tasks>,
    described: Described,
}

request_methods!(RequestBuilder);

impl RequestBuilder {
    pub(super) const fn new(handle: Handle<Tasks>, spec: Spec) -> Self {
        Self { handle, described: Described::new(spec) }
    }

    /// Sends the request and waits for the head of the response. A status other than success is
    /// an error.
    ///
    /// # Errors
    ///
    /// [`Usage`](ErrorKind::Usage) for a mistake in describing the request; what the server
    /// refuses, by its code; what keeps it from being reached; those of
    /// [`Connection::open`](super::Connection::open).
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

    /// Like [`send`](Self::send), but a response of any status is a success.
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

    /// Begins to ask for a list page by page, `limit` entries at a time; see [`Pages`].
    pub fn pages(self, limit: u32) -> Pages {
        Pages::new(self.handle, Paging::new(self.described, limit))
    }
}

/// The request in the project that it names, and with what is left of its time.
async fn in_project(
    core: &Arc<Core<Tasks>>,
    mut described: Described,
    wanted: ProjectRef,
) -> Result<Spec, Error> {
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
