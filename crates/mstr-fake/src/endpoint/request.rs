//! The request to an endpoint.

use std::fmt;

use bytes::Bytes;
use http::{HeaderMap, Method};
use serde_json::Value;

use super::pattern::Captures;

/// A request that an [`Endpoint`](super::Endpoint) answers.
///
/// It has passed the server's checks: it has a session, and its project, if it names one, is one
/// that the user may see.
///
/// ```
/// # mod mstr { pub use mstr_fake as fake; }
/// use mstr::fake::{Answer, Method, Server};
///
/// let server = Server::builder().user("alice", "secret").endpoint(
///     Method::POST,
///     "/api/v2/cubes/{id}/instances",
///     |request| {
///         assert_eq!(request.user(), "alice");
///         let limit = request.query_parameter("limit");
///         let fields = request.json().unwrap_or_default();
///         serde_json::json!({
///             "cube": request.parameter("id"),
///             "limit": limit,
///             "requested": fields["requestedObjects"],
///         })
///     },
/// );
/// # server.build();
/// ```
pub struct EndpointRequest {
    pub(crate) method: Method,
    pub(crate) path: String,
    pub(crate) pattern: String,
    pub(crate) captures: Captures,
    pub(crate) query: String,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
    pub(crate) user: String,
    pub(crate) session: usize,
    pub(crate) project: Option<String>,
    pub(crate) number: usize,
}

impl EndpointRequest {
    /// The method; `HEAD` where a `GET` endpoint answers for it.
    #[must_use]
    pub const fn method(&self) -> &Method {
        &self.method
    }

    /// The path below the base path, as it was sent.
    #[must_use]
    pub fn path(&self) -> &str {
        &self.path
    }

    /// The text in the place of `{name}` in the pattern, decoded; `*` and `**` are names too.
    ///
    /// # Panics
    ///
    /// If the pattern has no part of this name.
    #[must_use]
    #[track_caller]
    pub fn parameter(&self, name: &str) -> &str {
        match self.captures.iter().find(|(known, _)| known == name) {
            Some((_, value)) => value,
            None => panic!("the pattern {} has no part with the name \"{name}\"", self.pattern),
        }
    }

    /// The text in the open parts of the pattern, with a `/` between.
    pub(super) fn captured(&self) -> String {
        let values: Vec<&str> = self.captures.iter().map(|(_, value)| value.as_str()).collect();
        values.join("/")
    }

    /// The query as it was sent, without the `?`; empty if there was none.
    #[must_use]
    pub fn query(&self) -> &str {
        &self.query
    }

    /// The first value of this name in the query, decoded.
    #[must_use]
    pub fn query_parameter(&self, name: &str) -> Option<String> {
        form_urlencoded::parse(self.query.as_bytes())
            .find(|(known, _)| known == name)
            .map(|(_, value)| value.into_owned())
    }

    /// All headers, those of the session included.
    #[must_use]
    pub const fn headers(&self) -> &HeaderMap {
        &self.headers
    }

    /// The first header of this name, if it is text.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// The body; empty if there was none.
    #[must_use]
    pub const fn body(&self) -> &Bytes {
        &self.body
    }

    /// The body as JSON; `None` if it is none.
    #[must_use]
    pub fn json(&self) -> Option<Value> {
        serde_json::from_slice(&self.body).ok()
    }

    /// The name of the session's user; `guest` for an anonymous one.
    #[must_use]
    pub fn user(&self) -> &str {
        &self.user
    }

    /// The number of the session, from 0, as the [journal](crate::Entry::session) has it: another
    /// number means that there has been another login.
    #[must_use]
    pub const fn session(&self) -> usize {
        self.session
    }

    /// The id of the project, if the request names one.
    #[must_use]
    pub fn project(&self) -> Option<&str> {
        self.project.as_deref()
    }

    /// Which of the requests that this endpoint has answered it is, from 1.
    #[must_use]
    pub const fn number(&self) -> usize {
        self.number
    }
}

/// Without headers and body, which hold secrets.
impl fmt::Debug for EndpointRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EndpointRequest")
            .field("method", &self.method)
            .field("path", &self.path)
            .field("user", &self.user)
            .field("project", &self.project)
            .field("number", &self.number)
            .finish_non_exhaustive()
    }
}
