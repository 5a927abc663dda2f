//! The requests of the session's own: how they leave, how long they may take, how their answers
//! are read.

use std::time::{Duration, Instant};

use bytes::Bytes;
use http::response::Parts;
use http::{Request, Response};

use crate::contract::{Body, BoxError, RequestContext, TransportError, TransportErrorKind};
use crate::error::{Error, ErrorKind};
use crate::policy::{Limit, Timeouts};
use crate::protocol::wire::ERROR_BODY_LIMIT;
use crate::session::{Exchange, ExchangeId, Purpose};

/// How much longer than the machine a login is awaited in the background, so that a session it
/// still opens can be logged out.
pub(super) const LATE_LOGIN_GRACE: Duration = Duration::from_secs(60);
/// The list of projects and a session's description are data, not error messages.
const ANSWER_LIMIT: usize = 16 * 1024 * 1024;

/// What the machine has asked for and no caller has begun.
pub(super) enum Work {
    Credentials(ExchangeId),
    Exchange(Box<Exchange>),
}

impl Work {
    pub(super) const fn id(&self) -> ExchangeId {
        match self {
            Self::Credentials(id) => *id,
            Self::Exchange(exchange) => exchange.id,
        }
    }
}

/// Turns a request of the session's own into one for a transport, to be answered by `deadline`.
pub(super) fn outgoing(
    request: Request<Bytes>,
    purpose: Purpose,
    deadline: Instant,
    timeouts: &Timeouts,
) -> Request<Body> {
    let mut request = request.map(Body::from);
    request.extensions_mut().insert(RequestContext {
        deadline: Some(deadline),
        connect_timeout: Some(timeouts.for_connecting()),
        body_idle_timeout: Some(timeouts.between_pieces()),
        operation: purpose.name(),
        attempt: 1,
    });
    request
}

/// How much of an answer is read.
pub(super) const fn answer_limit(purpose: Purpose) -> usize {
    match purpose {
        Purpose::Inspect | Purpose::ListProjects | Purpose::Status => ANSWER_LIMIT,
        _ => ERROR_BODY_LIMIT,
    }
}

/// An answer whose body has been read, or not, or not in time.
///
/// What opens a session says so in its head: if only the body is lost, the session is not, and
/// giving up would leave it on the server.
pub(super) fn answer_read(
    purpose: Purpose,
    parts: Parts,
    body: Option<Result<Bytes, TransportError>>,
) -> Result<Response<Bytes>, TransportError> {
    let late = || Err(TransportError::new(TransportErrorKind::Timeout));
    let body = body.unwrap_or_else(late);
    let opened = purpose.opens_session() && parts.status.is_success();
    match body {
        Err(_) if opened => Ok(Response::from_parts(parts, Bytes::new())),
        body => Ok(Response::from_parts(parts, body?)),
    }
}

/// The credential provider has failed. What failed below it keeps its kind, which says whether it
/// may pass.
pub(super) fn not_provided(error: BoxError) -> Error {
    let kind = if let Some(cause) = error.downcast_ref::<Error>() {
        cause.kind()
    } else if let Some(cause) = error.downcast_ref::<TransportError>() {
        Error::from_transport(cause.clone()).kind()
    } else {
        ErrorKind::Credentials
    };
    Error::new(kind, "the credential provider gave no credentials").with_source(error)
}

/// There is no provider to ask.
pub(super) fn no_provider() -> Error {
    Error::new(ErrorKind::Config, "no credentials were given")
}

/// An operation of the session's own has taken longer than a call may.
pub(super) fn late(timeouts: &Timeouts, operation: &'static str) -> Error {
    let message = timeouts.passed(Limit::Total, operation);
    Error::new(ErrorKind::Timeout, message).with_operation(operation)
}
