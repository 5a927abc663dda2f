//! What a caller asks for, before it is sent.

use http::header::{HeaderMap, HeaderName, HeaderValue, TRANSFER_ENCODING};
use http::{Method, StatusCode};

use crate::contract::Body;
use crate::error::{Error, ErrorKind};
use crate::policy::{RetryPolicy, Timeouts};
use crate::protocol::wire;

/// The headers that belong to the session, and are never taken from a caller.
const RESERVED: [HeaderName; 3] = [wire::AUTH_TOKEN, http::header::COOKIE, http::header::HOST];

/// The header that belongs to the transport.
const FRAMING: HeaderName = TRANSFER_ENCODING;

/// One request as a caller describes it.
///
/// [`RequestBuilder`](crate::RequestBuilder) is the comfortable way to one.
#[derive(Debug)]
pub struct Spec {
    pub(crate) method: Method,
    pub(crate) path: String,
    pub(crate) query: String,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Body,
    pub(crate) project: ProjectChoice,
    pub(crate) authenticated: bool,
    /// About the session in use: none is opened or replaced for it.
    pub(crate) existing_only: bool,
    pub(crate) idempotent: Option<bool>,
    pub(crate) timeouts: Timeouts,
    pub(crate) retry: RetryPolicy,
    pub(crate) operation: &'static str,
    /// Statuses other than success that are no error.
    pub(crate) accepts: fn(StatusCode) -> bool,
    /// The caller has chosen a content type.
    pub(crate) content_type_given: bool,
    /// The first mistake made while describing it.
    pub(crate) mistake: Option<Error>,
}

impl Spec {
    /// A request to `path`, which is relative to the base URL, or an absolute URL of the same
    /// origin.
    #[must_use]
    pub fn new(method: Method, path: impl Into<String>) -> Self {
        Self {
            method,
            path: path.into(),
            query: String::new(),
            headers: HeaderMap::new(),
            body: Body::empty(),
            project: ProjectChoice::None,
            authenticated: true,
            existing_only: false,
            idempotent: None,
            timeouts: Timeouts::new(),
            retry: RetryPolicy::new(),
            operation: "call",
            accepts: |_| false,
            content_type_given: false,
            mistake: None,
        }
    }

    /// How long each part of it may take.
    #[must_use]
    pub const fn timeouts(mut self, timeouts: Timeouts) -> Self {
        self.timeouts = timeouts;
        self
    }

    /// How often it is tried.
    #[must_use]
    pub const fn retry(mut self, policy: RetryPolicy) -> Self {
        self.retry = policy;
        self
    }

    /// What is sent.
    #[must_use]
    pub fn body(mut self, body: impl Into<Body>) -> Self {
        self.body = body.into();
        self
    }

    /// It goes without the session, and may go to another host.
    #[must_use]
    pub const fn without_auth(mut self) -> Self {
        self.authenticated = false;
        self
    }

    /// It is about the session in use: none is opened or replaced for it, and it is not repeated.
    #[must_use]
    pub const fn existing_only(mut self) -> Self {
        self.existing_only = true;
        self
    }

    pub(crate) fn note_mistake(&mut self, error: Error) {
        self.mistake.get_or_insert(error);
    }

    pub(crate) fn header(&mut self, name: HeaderName, value: HeaderValue) {
        if name == FRAMING {
            let message = format!("the header \"{name}\" belongs to the transport");
            return self.note_mistake(Error::new(ErrorKind::Usage, message));
        }
        if RESERVED.contains(&name) {
            return self.note_mistake(Error::new(
                ErrorKind::Usage,
                format!("the header \"{name}\" belongs to the session and cannot be set"),
            ));
        }
        self.headers.append(name, value);
    }
}

/// Which project a request is about.
#[derive(Clone, Debug)]
pub(crate) enum ProjectChoice {
    /// The one the connection was opened for, if any.
    Default,
    /// The one of this header.
    Header(HeaderValue),
    None,
}
