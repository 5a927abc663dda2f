//! The description of a call, before it is sent.

use std::fmt;
use std::time::Instant;

use http::header::{HeaderMap, HeaderName, HeaderValue, TRANSFER_ENCODING};
use http::{Method, StatusCode, Uri};

use crate::contract::Body;
use crate::error::{Error, ErrorKind};
use crate::protocol::{BaseUrl, wire};
use crate::retry::RetryPolicy;
use crate::shown::without_secrets;
use crate::timeouts::Timeouts;

/// The headers that belong to the session, and are never taken from a caller.
const RESERVED: [HeaderName; 3] = [wire::AUTH_TOKEN, http::header::COOKIE, http::header::HOST];

/// The name of an application's request in log events. Errors name its method and path.
pub(crate) const CALL: &str = "call";

/// The header that belongs to the transport.
const FRAMING: HeaderName = TRANSFER_ENCODING;

/// One request as a caller describes it.
///
/// Connections make it of a [`RequestBuilder`](crate::RequestBuilder); this is for drivers by hand.
#[non_exhaustive]
pub struct Spec {
    pub(crate) method: Method,
    pub(crate) path: String,
    pub(crate) query: String,
    pub(crate) headers: HeaderMap,
    /// The body.
    pub body: Body,
    pub(crate) project: ProjectChoice,
    /// It belongs to the session, and goes nowhere but to its server.
    pub authenticated: bool,
    /// It is about the session in use: none is opened or replaced for it.
    pub existing_only: bool,
    /// Whether repeating it does no harm; `None` to judge by its method.
    pub idempotent: Option<bool>,
    /// How long each part of it may take.
    pub timeouts: Timeouts,
    /// When its time has begun, if that was before the call.
    pub(crate) begun: Option<Instant>,
    /// How often it is tried.
    pub retry: RetryPolicy,
    pub(crate) operation: &'static str,
    /// Statuses that are not a success and not an error either.
    pub(crate) accepts: fn(StatusCode) -> bool,
    /// The caller has chosen a content type.
    pub(crate) content_type_given: bool,
    /// The first mistake made while describing it.
    pub(crate) mistake: Option<Error>,
}

impl Spec {
    /// A request to `path`, which is relative to the base URL, or an absolute URL: of the same
    /// origin, unless the request goes without the session.
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
            begun: None,
            retry: RetryPolicy::new(),
            operation: CALL,
            accepts: |_| false,
            content_type_given: false,
            mistake: None,
        }
    }

    /// The same once more; without its body where that can be sent only once.
    pub(crate) fn another(&self) -> Box<Self> {
        Box::new(Self {
            method: self.method.clone(),
            path: self.path.clone(),
            query: self.query.clone(),
            headers: self.headers.clone(),
            body: self.body.try_clone().unwrap_or_default(),
            project: self.project.clone(),
            mistake: self.mistake.clone(),
            ..*self
        })
    }

    pub(crate) fn note_mistake(&mut self, error: Error) {
        self.mistake.get_or_insert(error);
    }

    /// Says which call an error belongs to.
    pub(crate) fn describe(&self, error: Error, sends: u32) -> Error {
        let error = error.with_operation(self.operation).with_attempts(sends);
        if self.operation == CALL { error.with_request(&self.method, &self.path) } else { error }
    }

    /// The description of the call for errors, after the last attempt.
    pub(crate) fn take_description(&mut self, sends: u32) -> Description {
        let (method, path) = (self.method.clone(), std::mem::take(&mut self.path));
        let query = std::mem::take(&mut self.query);
        Description { operation: self.operation, method, path, query, sends }
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

/// The description of a call for errors.
pub(crate) struct Description {
    operation: &'static str,
    method: Method,
    path: String,
    query: String,
    sends: u32,
}

impl Description {
    /// Where it has led to in the end.
    pub(crate) fn url(&self, base: &BaseUrl) -> Uri {
        base.target(&self.path, &self.query).map_or_else(|_| Uri::default(), |target| target.uri)
    }

    /// Says which call an error belongs to. The server has answered it.
    pub(crate) fn name(&self, error: Error) -> Error {
        let Self { operation, method, path, sends, .. } = self;
        let error = error.with_operation(operation).with_attempts(*sends).with_executed(true);
        if *operation == CALL { error.with_request(method, path) } else { error }
    }
}

/// No header value, query or body: whatever a caller puts there may be a secret.
impl fmt::Debug for Spec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let headers: Vec<&HeaderName> = self.headers.keys().collect();
        f.debug_struct("Spec")
            .field("method", &self.method)
            .field("path", &without_secrets(&self.path))
            .field("headers", &headers)
            .field("body", &self.body)
            .field("operation", &self.operation)
            .field("authenticated", &self.authenticated)
            .field("existing_only", &self.existing_only)
            .field("idempotent", &self.idempotent)
            .field("timeouts", &self.timeouts)
            .field("retry", &self.retry)
            .field("mistake", &self.mistake)
            .finish_non_exhaustive()
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_of_a_request_shows_no_value_of_it() {
        let mut spec = Spec::new(Method::POST, "https://ann:hush@host/x;jsessionid=hush?a=hush");
        spec.query = "b=hush".to_owned();
        spec.body = Body::from("hush");
        spec.header(HeaderName::from_static("x-key"), HeaderValue::from_static("hush"));
        let shown = format!("{spec:?} {spec:#?}");
        assert!(!shown.contains("hush"), "{shown}");
        assert!(shown.contains("https://host/x") && shown.contains("x-key"), "{shown}");
    }
}
