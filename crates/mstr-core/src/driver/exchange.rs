//! The requests of the session's own: how they leave, how long they may take, how their answers
//! are read.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::response::Parts;
use http::{HeaderMap, Request, Response};

use crate::contract::{Body, BoxError, RequestContext, TransportError, TransportErrorKind};
use crate::error::{Error, ErrorKind};
use crate::protocol::encoding;
use crate::protocol::wire::{self, ERROR_BODY_LIMIT};
use crate::protocol::{Credentials, FrontHeaders};
use crate::request::operations::{DESCRIPTION_LIMIT, PROJECTS_LIMIT};
use crate::session::{Exchange, ExchangeId, Purpose, Session};
use crate::timeouts::{Limit, Timeouts, later};
use crate::workstation::Borrowing;

/// How much longer than the machine a login is awaited in the background, so that a session it
/// still opens can be logged out.
pub(super) const LATE_LOGIN_GRACE: Duration = Duration::from_secs(60);

/// A request of the machine that no caller has begun.
pub(super) enum Work {
    Credentials(ExchangeId),
    Exchange(Box<Exchange>),
    FrontHeaders(ExchangeId),
}

impl Work {
    pub(super) const fn id(&self) -> ExchangeId {
        match self {
            Self::Credentials(id) | Self::FrontHeaders(id) => *id,
            Self::Exchange(exchange) => exchange.id,
        }
    }

    pub(super) const fn ends_by(&mut self, deadline: Instant) {
        if let Self::Exchange(exchange) = self {
            exchange.deadline = deadline;
        }
    }
}

/// The subject of a request.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Asked {
    /// An exchange of the machine's.
    Exchange(Purpose),
    /// The token that borrows Workstation's session.
    Token,
}

/// A request of the session's own, and when its answer has to be there.
pub(super) struct Asking {
    pub(super) asked: Asked,
    pub(super) deadline: Instant,
    request: Request<Bytes>,
}

/// The answer for the machine.
pub(super) enum Answer {
    Credentials(Result<Credentials, Error>),
    FrontHeaders(Result<HeaderMap, Error>),
    Response(Result<Response<Bytes>, TransportError>),
}

impl Asking {
    /// Asks Workstation for a token, with the limits of an exchange.
    pub(super) fn borrow(
        borrowing: &Arc<Borrowing>,
        now: Instant,
        timeouts: &Timeouts,
    ) -> Result<Self, Error> {
        let request = borrowing.request().map_err(|error| not_provided(error.into()))?;
        Ok(Self { asked: Asked::Token, deadline: later(now, timeouts.for_exchange()), request })
    }

    /// The request for a transport, which awaits its answer for a while longer than the machine.
    pub(super) fn outgoing(self, grace: Duration, timeouts: &Timeouts) -> Request<Body> {
        let mut request = self.request.map(Body::from);
        let context = RequestContext {
            deadline: Some(self.deadline + grace),
            connect_timeout: Some(timeouts.for_connecting()),
            body_idle_timeout: Some(timeouts.between_pieces()),
            operation: self.asked.name(),
            attempt: 1,
        };
        // None of these requests says anything about encodings, so all of them ask.
        let method = request.method().clone();
        encoding::ask(&method, &HeaderMap::new(), request.headers_mut());
        context.attach(&mut request);
        request
    }
}

impl From<Exchange> for Asking {
    fn from(exchange: Exchange) -> Self {
        let Exchange { request, purpose, deadline, .. } = exchange;
        Self { asked: Asked::Exchange(purpose), deadline, request }
    }
}

impl Asked {
    /// The name in log events.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Exchange(purpose) => purpose.name(),
            Self::Token => Borrowing::NAME,
        }
    }

    /// How much of the answer is read.
    pub(super) const fn limit(self) -> usize {
        match self {
            // Read before the lock is taken.
            Self::Exchange(Purpose::ListProjects) => PROJECTS_LIMIT,
            // Read under the lock, for a millisecond at most.
            Self::Exchange(Purpose::Inspect | Purpose::Status) => DESCRIPTION_LIMIT,
            _ => ERROR_BODY_LIMIT,
        }
    }

    /// Whether a success opens a session on the server.
    pub(super) const fn opens_session(self) -> bool {
        match self {
            Self::Exchange(purpose) => purpose.opens_session(),
            Self::Token => false,
        }
    }

    /// Takes an answer apart; its body is to be read, decompressed.
    pub(super) fn received(response: Response<Body>) -> (Parts, Body) {
        let (mut head, body) = response.into_parts();
        let body = encoding::undo(true, &mut head, body);
        (head, body)
    }

    /// There is no answer.
    pub(super) fn failed(self, error: TransportError) -> Answer {
        match self {
            Self::Exchange(_) => Answer::Response(Err(error)),
            Self::Token => Answer::Credentials(Err(not_provided(error.into()))),
        }
    }

    /// An answer whose body has been read, or not, or (`None`) not in time.
    ///
    /// A successful login shows in its head: if only the body is lost, the session is not, and
    /// giving up would leave it on the server.
    pub(super) fn answered(
        self,
        parts: Parts,
        body: Option<Result<Bytes, TransportError>>,
    ) -> Answer {
        let late = || Err(TransportError::new(TransportErrorKind::Timeout));
        let body = match body.unwrap_or_else(late) {
            Err(_) if self.opens_session() && parts.status.is_success() => Bytes::new(),
            // Where its body cannot be read, the status of an error says enough.
            Err(error) if error.is_of_content() && !parts.status.is_success() => Bytes::new(),
            Err(error) => return self.failed(error.of_an_answer()),
            Ok(body) => body,
        };
        let mut response = Response::from_parts(parts, body);
        if self == Self::Exchange(Purpose::ListProjects) && response.status().is_success() {
            wire::read_projects_ahead(&mut response);
        }
        match self {
            Self::Exchange(_) => Answer::Response(Ok(response)),
            Self::Token => {
                let read = Borrowing::read(&response);
                Answer::Credentials(read.map_err(|error| not_provided(error.into())))
            }
        }
    }
}

impl Answer {
    /// Asks for the headers of an exchange.
    pub(super) async fn front(front: Option<FrontHeaders>) -> Self {
        Self::FrontHeaders(match front {
            Some(front) => front.ask(no_headers).await,
            None => Ok(HeaderMap::new()),
        })
    }

    /// Tells the machine.
    pub(super) fn tell(self, session: &mut Session, id: ExchangeId, now: Instant) {
        match self {
            Self::Credentials(supplied) => session.supply_credentials(id, supplied, now),
            Self::FrontHeaders(supplied) => session.supply_front_headers(id, supplied, now),
            Self::Response(result) => session.handle_response(id, result, now),
        }
    }
}

/// The credential provider has failed. What failed below it keeps its kind, which says whether it
/// may pass.
pub(super) fn not_provided(error: BoxError) -> Error {
    failed_to_provide(error, "the credential provider gave no credentials")
}

/// The header provider has failed.
pub(super) fn no_headers(error: BoxError) -> Error {
    failed_to_provide(error, "the header provider gave no headers")
}

/// The header provider takes too long.
pub(super) fn headers_late(timeouts: &Timeouts) -> Error {
    Error::new(ErrorKind::Timeout, timeouts.passed(Limit::Attempt, "the header provider"))
}

fn failed_to_provide(error: BoxError, what: &'static str) -> Error {
    let kind = if let Some(cause) = error.downcast_ref::<Error>() {
        cause.kind()
    } else if let Some(cause) = error.downcast_ref::<TransportError>() {
        Error::from_transport(cause.clone()).kind()
    } else {
        ErrorKind::Credentials
    };
    Error::new(kind, what).with_source(error)
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn list_of_projects_is_read_before_the_lock_is_taken() {
        let list = r#"[{"id":"B19DEDCC11D4E0EFC000EB9495D0F44F","name":"Sales","status":0}]"#;
        let answered = |body: &'static str| {
            let (parts, ()) = Response::new(()).into_parts();
            let asked = Asked::Exchange(Purpose::ListProjects);
            match asked.answered(parts, Some(Ok(Bytes::from_static(body.as_bytes())))) {
                Answer::Response(Ok(response)) => response.map(|_| Bytes::new()),
                _ => panic!("a response"),
            }
        };
        // The machine has no need of the body.
        assert_eq!(wire::projects(&answered(list)).unwrap()[0].name, "Sales");
        let error = wire::projects(&answered("nonsense")).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Decode);
    }
}
