//! The request builder.

use std::borrow::Cow;
use std::time::Duration;

use http::header::{CONTENT_TYPE, HeaderName, HeaderValue};
use serde::Serialize;

use super::query;
use crate::call::{ProjectChoice, Spec};
use crate::contract::Body;
use crate::error::{Error, ErrorKind};
use crate::policy::{RetryPolicy, Timeouts};
use crate::protocol::{ProjectId, wire};

/// One request, to be described and sent.
///
/// Mistakes made while describing it (a value that cannot be serialised, a header name with
/// spaces) are reported by `send`, so that calls can be chained.
#[derive(Debug)]
#[must_use = "a request does nothing until it is sent"]
pub struct RequestBuilder<C> {
    pub(crate) connection: C,
    pub(crate) spec: Spec,
}

impl<C> RequestBuilder<C> {
    pub(crate) const fn new(connection: C, spec: Spec) -> Self {
        Self { connection, spec }
    }

    /// Adds query parameters: a struct, a map or a list of pairs. A list value repeats its key;
    /// `None` and null are left out.
    pub fn query<T: Serialize + ?Sized>(mut self, parameters: &T) -> Self {
        match query::write(parameters) {
            Ok(query) => {
                if !self.spec.query.is_empty() && !query.is_empty() {
                    self.spec.query.push('&');
                }
                self.spec.query.push_str(&query);
            }
            Err(error) => self.spec.note_mistake(error),
        }
        self
    }

    /// Sends `value` as JSON. A `Content-Type` header of your own is kept.
    pub fn json<T: Serialize + ?Sized>(mut self, value: &T) -> Self {
        match serde_json::to_vec(value) {
            Ok(json) => {
                self.spec.body = Body::from(json);
                self.content_type(wire::JSON);
            }
            Err(error) => self
                .spec
                .note_mistake(usage("the value cannot be written as JSON").with_source(error)),
        }
        self
    }

    /// Sends `value` as an HTML form. A `Content-Type` header of your own is kept.
    pub fn form<T: Serialize + ?Sized>(mut self, value: &T) -> Self {
        match serde_html_form::to_string(value) {
            Ok(form) => {
                self.spec.body = Body::from(form);
                self.content_type(HeaderValue::from_static("application/x-www-form-urlencoded"));
            }
            Err(error) => self
                .spec
                .note_mistake(usage("the value cannot be written as a form").with_source(error)),
        }
        self
    }

    /// Sends these bytes, or this stream. Without a `Content-Type` header of your own it is
    /// called `application/octet-stream`.
    ///
    /// A stream has to be fed until the server has answered. Where calls take turns, because the
    /// server exchanges the session's cookie with every answer, the calls of other tasks wait
    /// meanwhile; a stream that stands still there, as one does that is fed by the same task while
    /// that is not polled, fails at the limit that [`idle_body`](crate::Timeouts::idle_body) sets.
    pub fn body(mut self, body: impl Into<Body>) -> Self {
        self.spec.body = body.into();
        self.content_type(HeaderValue::from_static("application/octet-stream"));
        self
    }

    /// Adds a header. `Content-Type`, `Accept` and `User-Agent` replace the defaults, and
    /// `X-MSTR-ProjectID` replaces the connection's project; the session's own headers cannot be
    /// set.
    pub fn header<N, V>(mut self, name: N, value: V) -> Self
    where
        N: TryInto<HeaderName>,
        V: TryInto<HeaderValue>,
    {
        match (name.try_into(), value.try_into()) {
            (Ok(name), Ok(value)) if name == CONTENT_TYPE => {
                self.spec.content_type_given = true;
                self.spec.headers.insert(name, value);
            }
            (Ok(name), Ok(value)) => self.spec.header(name, value),
            (Ok(name), Err(_)) => self
                .spec
                .note_mistake(usage(format!("the header \"{name}\" has a value it cannot have"))),
            (Err(_), _) => self.spec.note_mistake(usage("a header has a name it cannot have")),
        }
        self
    }

    /// Limits this call as a whole: waiting for a login, all attempts, the body when it is read
    /// whole. One attempt may take as long, unless
    /// [`Timeouts::attempt`](crate::Timeouts::attempt) says less.
    pub fn timeout(mut self, total: Duration) -> Self {
        self.spec.timeouts = self.spec.timeouts.total(Some(total));
        self
    }

    /// Replaces all time limits of this call.
    pub fn timeouts(mut self, timeouts: Timeouts) -> Self {
        self.spec.timeouts = timeouts;
        self
    }

    /// Replaces how often this call is tried.
    pub fn retry(mut self, policy: RetryPolicy) -> Self {
        self.spec.retry = policy;
        self
    }

    /// Sends the request about this project, whatever the connection's own is.
    pub fn project(mut self, project: impl Into<ProjectId>) -> Self {
        self.spec.project = ProjectChoice::Header(wire::project_header(&project.into()));
        self
    }

    /// Sends the request about no project.
    pub fn without_project(mut self) -> Self {
        self.spec.project = ProjectChoice::None;
        self
    }

    /// Sends the request without the session: no token, no cookies, no project. Needs no login
    /// and may go to another host.
    pub fn without_auth(mut self) -> Self {
        self.spec.authenticated = false;
        self
    }

    /// States that repeating the request does no harm, so that it is repeated after a failure
    /// that passes. GET, HEAD and OPTIONS are taken to be so without this; PUT and DELETE are
    /// not, because a repetition can undo what came in between.
    pub fn idempotent(mut self) -> Self {
        self.spec.idempotent = Some(true);
        self
    }

    /// What the body is, unless the caller has said so.
    fn content_type(&mut self, value: HeaderValue) {
        if !self.spec.content_type_given {
            self.spec.headers.insert(CONTENT_TYPE, value);
        }
    }
}

fn usage(message: impl Into<Cow<'static, str>>) -> Error {
    Error::new(ErrorKind::Usage, message)
}
