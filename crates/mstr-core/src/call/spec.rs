//! What a caller asks for, before it is sent.

use std::time::Instant;

use http::header::{CONTENT_LENGTH, HeaderMap, HeaderName, HeaderValue, LOCATION};
use http::{Method, StatusCode, Uri};

use super::{Call, RetryPolicy, Step, Timeouts, later};
use crate::contract::{Body, RequestContext, TransportError};
use crate::error::{Error, ErrorKind, parse_error_body};
use crate::protocol::wire::{self, Fixed};
use crate::protocol::{BaseUrl, Grant, Project, ProjectId};
use crate::session::Verdict;

/// How many redirects are followed.
const REDIRECT_LIMIT: u32 = 10;
/// How much of an error's body is read to understand it.
pub(crate) const ERROR_BODY_LIMIT: usize = 64 * 1024;

/// The headers that belong to the session, and are never taken from a caller.
const RESERVED: [HeaderName; 3] = [wire::AUTH_TOKEN, http::header::COOKIE, http::header::HOST];

/// The header that belongs to the transport.
const FRAMING: HeaderName = http::header::TRANSFER_ENCODING;

/// One request as a caller describes it.
#[derive(Debug)]
pub(crate) struct Spec {
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
    /// The caller has chosen a content type.
    pub(crate) content_type_given: bool,
    /// The first mistake made while describing it.
    pub(crate) mistake: Option<Error>,
}

impl Spec {
    pub(crate) fn new(
        method: Method,
        path: String,
        timeouts: Timeouts,
        retry: RetryPolicy,
    ) -> Self {
        Self {
            method,
            path,
            query: String::new(),
            headers: HeaderMap::new(),
            body: Body::empty(),
            project: ProjectChoice::None,
            authenticated: true,
            existing_only: false,
            idempotent: None,
            timeouts,
            retry,
            operation: "call",
            content_type_given: false,
            mistake: None,
        }
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
    Id(ProjectId),
    None,
}

/// A request on its way: its attempts, its redirects, its deadlines. Both drivers use it.
#[derive(Debug)]
pub(crate) struct Plan {
    spec: Spec,
    uri: Uri,
    call: Call,
    redirects: u32,
    /// How often the request has been sent, whatever for.
    sends: u32,
    /// The body has been handed to the transport and cannot be produced again.
    spent: bool,
}

/// What a driver does next.
#[derive(Debug)]
pub(crate) enum Next {
    /// Hand the outcome to the caller.
    Deliver,
    /// Fail with this.
    Fail(Error),
    /// Revoke the grant, then send again.
    Reauthenticate,
    /// Send again at this instant.
    Resend(Instant),
}

impl Plan {
    pub(crate) fn new(
        mut spec: Spec,
        base: &BaseUrl,
        now: Instant,
        seed: u64,
    ) -> Result<Self, Error> {
        if let Some(mistake) = spec.mistake.take() {
            return Err(mistake);
        }
        if let Some(message) = spec.timeouts.zero() {
            return Err(Error::new(ErrorKind::Usage, message));
        }
        let target = base.target(&spec.path, &spec.query)?;
        if spec.authenticated && !target.same_origin {
            return Err(Error::new(
                ErrorKind::Usage,
                format!(
                    "\"{}\" is not on {}: the session's token is not sent there; call \
                     without_auth() to send the request without it",
                    spec.path.split('?').next().unwrap_or_default(),
                    base.origin()
                ),
            ));
        }
        let deadline = spec.timeouts.total.map(|total| later(now, total));
        let idempotent = spec.idempotent.unwrap_or_else(|| {
            // DELETE and PUT are idempotent by definition, but a repetition after a lost answer
            // reports "not found" or overwrites what came in between, so only reading is.
            spec.method.is_safe()
        });
        let replayable = spec.body.is_replayable() && !spec.existing_only;
        let call = Call::new(spec.retry.clone(), idempotent, replayable, deadline, seed);
        Ok(Self { spec, uri: target.uri, call, redirects: 0, sends: 0, spent: false })
    }

    pub(crate) const fn is_authenticated(&self) -> bool {
        self.spec.authenticated
    }

    pub(crate) const fn is_about_existing_session(&self) -> bool {
        self.spec.existing_only
    }

    /// Tells which project the connection was opened for.
    pub(crate) fn set_default_project(&mut self, project: Option<&Project>) {
        if let ProjectChoice::Default = self.spec.project
            && let Some(project) = project
        {
            self.spec.project = ProjectChoice::Id(project.id.clone());
        }
    }

    pub(crate) const fn deadline(&self) -> Option<Instant> {
        self.call.deadline()
    }

    pub(crate) const fn operation(&self) -> &'static str {
        self.spec.operation
    }

    pub(crate) const fn method(&self) -> &Method {
        &self.spec.method
    }

    pub(crate) const fn uri(&self) -> &Uri {
        &self.uri
    }

    /// How often the request has been sent.
    pub(crate) const fn sends(&self) -> u32 {
        self.sends
    }

    /// The request of the next attempt.
    pub(crate) fn prepare(
        &mut self,
        grant: Option<&Grant>,
        fixed: &Fixed,
        now: Instant,
    ) -> Result<http::Request<Body>, Error> {
        if self.deadline().is_some_and(|deadline| now >= deadline) {
            return Err(self.late());
        }
        let mut headers = HeaderMap::with_capacity(16);
        fixed.apply(&mut headers);
        for (name, value) in &self.spec.headers {
            // The caller's own choice replaces a default, and may have several values.
            if self.spec.headers.get(name).is_some_and(|first| std::ptr::eq(first, value)) {
                headers.insert(name.clone(), value.clone());
            } else {
                headers.append(name.clone(), value.clone());
            }
        }
        if let Some(grant) = grant {
            let scope = match &self.spec.project {
                ProjectChoice::Id(id) => Some(id),
                ProjectChoice::Default | ProjectChoice::None => None,
            };
            grant.apply(&mut headers, scope);
        }
        let body = match self.spec.body.try_clone() {
            Some(body) => body,
            None => {
                self.spent = true;
                std::mem::take(&mut self.spec.body)
            }
        };
        if body.as_bytes().is_some_and(bytes::Bytes::is_empty)
            && !headers.contains_key(CONTENT_LENGTH)
        {
            wire::declare_empty_body(&self.spec.method, &mut headers);
        }
        self.sends += 1;
        let attempt = later(now, self.spec.timeouts.attempt);
        let context = RequestContext {
            deadline: Some(self.deadline().map_or(attempt, |total| total.min(attempt))),
            connect_timeout: Some(self.spec.timeouts.connect),
            body_idle_timeout: Some(self.spec.timeouts.idle_body),
            operation: self.spec.operation,
            attempt: self.sends,
        };
        let mut request = http::Request::new(body);
        *request.method_mut() = self.spec.method.clone();
        *request.uri_mut() = self.uri.clone();
        *request.headers_mut() = headers;
        request.extensions_mut().insert(context);
        Ok(request)
    }

    /// An attempt was answered.
    pub(crate) fn on_response(
        &mut self,
        status: StatusCode,
        headers: &HeaderMap,
        verdict: Verdict,
        base: &BaseUrl,
        now: Instant,
    ) -> Next {
        if is_redirect(status) && headers.contains_key(LOCATION) {
            return match self.redirect(status, headers, base) {
                Ok(()) => Next::Resend(now),
                Err(error) => Next::Fail(error),
            };
        }
        match self.call.on_response(status, verdict, wire::retry_after(headers), now) {
            Step::Deliver => Next::Deliver,
            Step::Reauthenticate => Next::Reauthenticate,
            Step::Resend(at) => Next::Resend(at),
        }
    }

    /// An attempt failed below HTTP.
    pub(crate) fn on_failure(&mut self, error: &TransportError, now: Instant) -> Next {
        match self.call.on_failure(error, now) {
            Step::Resend(at) => Next::Resend(at),
            Step::Deliver | Step::Reauthenticate => {
                Next::Fail(self.describe(Error::from_transport(error.clone())))
            }
        }
    }

    /// The total deadline has passed.
    pub(crate) fn late(&self) -> Error {
        self.describe(Error::new(ErrorKind::Timeout, "the call took longer than its total timeout"))
    }

    /// Says which call failed, unless the error is a login's: then that is what failed, after
    /// attempts of its own.
    pub(crate) fn describe(&self, error: Error) -> Error {
        if error.operation().is_some() {
            return error;
        }
        error.with_operation(self.spec.operation).with_attempts(self.call.attempt())
    }

    /// A response that is not a success, as an error.
    pub(crate) fn refused(
        &self,
        status: StatusCode,
        headers: &HeaderMap,
        body: &[u8],
        grant: Option<&Grant>,
    ) -> Error {
        let server = parse_error_body(body);
        let error = Error::from_response(status, server.as_ref(), wire::retry_after(headers));
        let error = match grant {
            Some(grant) => error.with_generation(grant.generation),
            None => error,
        };
        self.describe(error)
    }

    /// Follows a redirect within the origin. A redirect to another origin is an error: the
    /// request carries the session's token.
    fn redirect(
        &mut self,
        status: StatusCode,
        headers: &HeaderMap,
        base: &BaseUrl,
    ) -> Result<(), Error> {
        let refuse = |why: &str| {
            Err(self.describe(wire::redirected(status, headers).with_message(why.to_owned())))
        };
        let Some(location) = headers.get(LOCATION).and_then(|value| value.to_str().ok()) else {
            return refuse("the redirect says nowhere to go");
        };
        if self.redirects >= REDIRECT_LIMIT {
            return refuse("the server keeps redirecting: stopped after 10 times");
        }
        let Ok(target) = base.redirect(&self.uri, location) else {
            return refuse("the redirect leads to no valid address");
        };
        // Without the session's token, the origin to stay on is the one that was asked.
        let stays = target.same_origin
            || (!self.spec.authenticated
                && target.uri.scheme() == self.uri.scheme()
                && target.uri.authority() == self.uri.authority());
        if !stays {
            return Err(self.describe(wire::redirected(status, headers)));
        }
        let rewritten = match status.as_u16() {
            303 => self.spec.method != Method::HEAD,
            301 | 302 => self.spec.method == Method::POST,
            _ => false,
        };
        if rewritten {
            self.spec.method = Method::GET;
            self.spec.body = Body::empty();
            self.spec.headers.remove(http::header::CONTENT_TYPE);
            self.spec.headers.remove(CONTENT_LENGTH);
        } else if self.spent {
            return refuse("the redirect asks for the body again, which can be sent only once");
        }
        self.redirects += 1;
        self.uri = target.uri;
        Ok(())
    }
}

const fn is_redirect(status: StatusCode) -> bool {
    matches!(status.as_u16(), 301 | 302 | 303 | 307 | 308)
}
