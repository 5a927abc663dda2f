//! The one error of the public API.

use std::borrow::Cow;
use std::error::Error as StdError;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use http::{Method, StatusCode};
use serde::ser::SerializeMap;
use serde::{Serialize, Serializer};

use super::kind::ErrorKind;
use super::server::{ServerError, TicketId, classify};
use crate::contract::{BoxError, Sent, TransportError, TransportErrorKind};
use crate::generation::Generation;
use crate::shown::{Plain, beginning, bounded, without_secrets};
use crate::timeline::Timeline;

/// How many causes a report has at most, and how long each may be, in characters.
const CAUSES: usize = 8;
const CAUSE_LIMIT: usize = 500;

/// The reason why an operation failed. All fallible functions of this crate return this type.
///
/// ```
/// # use mstr_core as mstr;
/// use mstr::{Connection, Error, ErrorKind};
///
/// async fn delete(connection: &Connection, id: &str) -> Result<(), Error> {
///     let request = connection.delete(format!("/api/objects/{id}")).query(&[("type", 3)]);
///     match request.send().await {
///         Ok(_) => Ok(()),
///         Err(error) if error.kind() == ErrorKind::NotFound => Ok(()), // it is gone already
///         Err(error) => {
///             eprintln!("{}", error.report());
///             if let Some(ticket) = error.server().and_then(|server| server.ticket.as_ref()) {
///                 eprintln!("tell the vendor's support: {ticket}");
///             }
///             Err(error)
///         }
///     }
/// }
/// ```
///
/// | question | method |
/// |---|---|
/// | What happened, and what can the program do? | [`kind`](Self::kind) |
/// | Is it worth trying later? | [`is_retryable`](Self::is_retryable), [`retry_after`](Self::retry_after) |
/// | May the server have carried out the request? | [`may_have_been_executed`](Self::may_have_been_executed) |
/// | What did the server say? | [`server`](Self::server), [`status`](Self::status) |
/// | What goes into a log? | [`report`](Self::report): the error and all its causes in one line |
/// | What failed below HTTP? | [`transport`](Self::transport) |
///
/// `Display` says in one line what failed, where and why; it does not repeat the
/// [`source`](StdError::source). Serialised, an error has its kind, operation, status, server code and
/// ticket. No error holds a secret. An error is one pointer in size and cheap to clone: all callers
/// that wait for one login receive the same error.
#[derive(Clone)]
pub struct Error(Arc<Inner>);

#[derive(Clone)]
struct Inner {
    kind: ErrorKind,
    message: Cow<'static, str>,
    operation: Option<&'static str>,
    /// Method and path of a call.
    request: Option<String>,
    may_have_been_executed: bool,
    status: Option<StatusCode>,
    server: Option<ServerError>,
    attempts: u32,
    generation: Option<Generation>,
    retry_after: Option<Duration>,
    source: Option<Arc<dyn StdError + Send + Sync>>,
    timeline: Option<Arc<Timeline>>,
}

impl Error {
    pub(crate) fn new(kind: ErrorKind, message: impl Into<Cow<'static, str>>) -> Self {
        Self(Arc::new(Inner {
            kind,
            message: bounded(message.into()),
            operation: None,
            request: None,
            may_have_been_executed: false,
            status: None,
            server: None,
            attempts: 0,
            generation: None,
            retry_after: None,
            source: None,
            timeline: None,
        }))
    }

    pub(crate) fn from_transport(error: TransportError) -> Self {
        let kind = ErrorKind::from(error.kind());
        Self::new(kind, error.brief())
            .with_executed(error.sent() == Sent::Maybe && kind != ErrorKind::Config)
            .with_source(error)
    }

    /// A refusal of the server, classified by its codes first and the status second.
    pub(crate) fn from_response(
        status: StatusCode,
        body: Option<&ServerError>,
        retry_after: Option<Duration>,
    ) -> Self {
        let kind = classify(status, body);
        let mut error = Self::new(kind, kind.refusal());
        error.update(|inner| {
            inner.status = Some(status);
            inner.may_have_been_executed = may_be_executed(kind);
            inner.server = body.cloned();
            inner.retry_after = retry_after;
        });
        error
    }

    /// Whether a request may have been carried out that got such an answer.
    pub(crate) fn may_be_executed_after(status: StatusCode, body: Option<&ServerError>) -> bool {
        may_be_executed(classify(status, body))
    }

    fn update(&mut self, change: impl FnOnce(&mut Inner)) {
        change(Arc::make_mut(&mut self.0));
    }

    fn map(mut self, change: impl FnOnce(&mut Inner)) -> Self {
        self.update(change);
        self
    }

    pub(crate) fn with_operation(self, operation: &'static str) -> Self {
        if self.0.operation.is_some() {
            return self;
        }
        self.map(|inner| inner.operation = Some(operation))
    }

    pub(crate) fn with_request(self, method: &Method, path: &str) -> Self {
        let request = format!("{method} {}", without_secrets(path));
        self.map(|inner| inner.request = Some(request))
    }

    pub(crate) fn with_executed(self, may_be: bool) -> Self {
        self.map(|inner| inner.may_have_been_executed = may_be)
    }

    pub(crate) fn with_attempts(self, attempts: u32) -> Self {
        self.map(|inner| inner.attempts = attempts)
    }

    pub(crate) fn with_generation(self, generation: Generation) -> Self {
        self.map(|inner| inner.generation = Some(generation))
    }

    /// Method and path of a call, as they may be shown.
    pub(crate) fn request(&self) -> Option<&str> {
        self.0.request.as_deref()
    }

    pub(crate) fn with_retry_after(self, wait: Duration) -> Self {
        self.map(|inner| inner.retry_after = Some(wait))
    }

    pub(crate) fn with_message(self, message: impl Into<Cow<'static, str>>) -> Self {
        self.map(|inner| inner.message = bounded(message.into()))
    }

    pub(crate) fn with_kind(self, kind: ErrorKind) -> Self {
        self.map(|inner| inner.kind = kind)
    }

    pub(crate) fn with_source(self, source: impl Into<BoxError>) -> Self {
        self.map(|inner| inner.source = Some(Arc::from(source.into())))
    }

    pub(crate) fn with_timeline(self, timeline: Option<Timeline>) -> Self {
        match timeline {
            Some(timeline) => self.map(|inner| inner.timeline = Some(Arc::new(timeline))),
            None => self,
        }
    }

    /// The kind of the failure. The documentation of each kind says what to do about it.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }

    /// Whether the same call can succeed later without a change of the program or its settings.
    ///
    /// This does not mean that repeating is harmless: see
    /// [`may_have_been_executed`](Self::may_have_been_executed).
    #[must_use]
    pub fn is_retryable(&self) -> bool {
        self.0.kind.is_retryable()
    }

    /// Whether the server may have carried out the call, in one of its attempts, although no success
    /// was reported. Repeating a call that is not idempotent may then carry it out twice.
    ///
    /// | result | when |
    /// |---|---|
    /// | `true` | the response was lost, late or unreadable; a gateway answered that may have passed the request on (502, 503, 504); the server itself failed |
    /// | `false` | no byte of the request can have left; the server refused the request, for example because the session had ended |
    ///
    /// For the requests of the session's own it is about them: of `connect`, whether the server may have
    /// opened a session, which it ends by itself when it has been idle for long enough. Calls that only
    /// read need not ask.
    ///
    /// ```
    /// # use mstr_core as mstr;
    /// /// The advice for a user whose order could not be confirmed.
    /// fn next_step(error: &mstr::Error) -> &'static str {
    ///     if error.may_have_been_executed() {
    ///         "look for the order before you send it again"
    ///     } else if error.is_retryable() {
    ///         "send the order again later"
    ///     } else {
    ///         "correct the order"
    ///     }
    /// }
    /// ```
    #[must_use]
    pub fn may_have_been_executed(&self) -> bool {
        self.0.may_have_been_executed
    }

    /// The error and all its causes in one line, for a log. Control characters are escaped, secrets are
    /// left out, and the length is limited to a few kilobytes.
    #[must_use]
    pub fn report(&self) -> String {
        let mut texts = vec![self.to_string()];
        let mut cause = self.source();
        while let Some(error) = cause.filter(|_| texts.len() < CAUSES) {
            let text = Plain(&beginning(&error.to_string(), CAUSE_LIMIT)).to_string();
            // A wrapper often says what it wraps, and the first line what failed below HTTP.
            let said = error
                .downcast_ref::<TransportError>()
                .is_some_and(|error| self.0.message == error.brief());
            if !said && !texts.iter().any(|earlier| earlier.contains(&text)) {
                texts.push(text);
            }
            cause = error.source();
        }
        texts.join(": ")
    }

    /// Whether the kind is [`Credentials`](ErrorKind::Credentials) or
    /// [`SessionLost`](ErrorKind::SessionLost).
    #[must_use]
    pub fn is_auth(&self) -> bool {
        matches!(self.0.kind, ErrorKind::Credentials | ErrorKind::SessionLost)
    }

    /// Whether the kind is [`Timeout`](ErrorKind::Timeout).
    #[must_use]
    pub fn is_timeout(&self) -> bool {
        self.0.kind == ErrorKind::Timeout
    }

    /// The HTTP status of the response; `None` if there was no response.
    #[must_use]
    pub fn status(&self) -> Option<StatusCode> {
        self.0.status
    }

    /// The server's code, message and ticket; `None` if the response is not in the server's error format.
    #[must_use]
    pub fn server(&self) -> Option<&ServerError> {
        self.0.server.as_ref()
    }

    /// The operation that failed, for example `"login"`, `"renew"` or `"call"`.
    #[must_use]
    pub fn operation(&self) -> Option<&'static str> {
        self.0.operation
    }

    /// How often the request that failed was sent; 0 if none did, as with a project that is not among
    /// those of a list.
    #[must_use]
    pub fn attempts(&self) -> u32 {
        self.0.attempts
    }

    /// The session in which the failed request was sent.
    #[must_use]
    pub fn generation(&self) -> Option<Generation> {
        self.0.generation
    }

    /// The time to wait before the next attempt, if the server asked for one (`Retry-After`), or if the
    /// connection pauses after logins that were not answered.
    #[must_use]
    pub fn retry_after(&self) -> Option<Duration> {
        self.0.retry_after
    }

    /// What led to it: the chain of causes in the connection's [`Timeline`], as it was then. `None` if
    /// nothing was written down about it: a call that was refused at once has no story, and with
    /// [`timeline(0)`](crate::ConnectionBuilder::timeline) there is none.
    #[must_use]
    pub fn timeline(&self) -> Option<&Timeline> {
        self.0.timeline.as_deref()
    }

    /// The failure below HTTP; `None` for all other failures.
    #[must_use]
    pub fn transport(&self) -> Option<&TransportError> {
        self.source().and_then(|source| source.downcast_ref::<TransportError>())
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.0.request, self.0.operation) {
            (Some(request), _) => write!(f, "{request}: ")?,
            (None, Some(operation)) => write!(f, "{operation}: ")?,
            (None, None) => {}
        }
        write!(f, "{}", Plain(&self.0.message))?;
        if let Some(status) = self.0.status {
            write!(f, " (HTTP {})", status.as_u16())?;
        }
        if let Some(server) = &self.0.server {
            write!(f, ": {server}")?;
        }
        if self.0.attempts > 1 {
            write!(f, ", after {} attempts", self.0.attempts)?;
        }
        Ok(())
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut debug = f.debug_struct("Error");
        debug.field("kind", &self.0.kind).field("message", &self.0.message);
        if let Some(operation) = self.0.operation {
            debug.field("operation", &operation);
        }
        if let Some(status) = self.0.status {
            debug.field("status", &status);
        }
        if let Some(server) = &self.0.server {
            debug.field("server", server);
        }
        if let Some(source) = &self.0.source {
            debug.field("source", source);
        }
        debug.finish_non_exhaustive()
    }
}

/// Writes the fields by which a report groups errors: kind, operation, status, the server's code and
/// ticket, as far as they are known. Texts of the server are left out.
impl Serialize for Error {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let server = self.server();
        let fields = [
            ("kind", Some(self.kind().as_str())),
            ("operation", self.operation()),
            ("code", server.map(|server| server.code.as_str()).filter(|code| !code.is_empty())),
            ("ticket", server.and_then(|server| server.ticket.as_ref()).map(TicketId::as_str)),
        ];
        let mut map = serializer.serialize_map(None)?;
        for (name, value) in fields {
            if let Some(value) = value {
                map.serialize_entry(name, value)?;
            }
        }
        if let Some(status) = self.status() {
            map.serialize_entry("status", &status.as_u16())?;
        }
        map.end()
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.0.source.as_deref().map(|source| source as &(dyn StdError + 'static))
    }
}

impl From<TransportError> for Error {
    fn from(error: TransportError) -> Self {
        Self::from_transport(error)
    }
}

impl From<TransportErrorKind> for ErrorKind {
    fn from(kind: TransportErrorKind) -> Self {
        match kind {
            TransportErrorKind::Body => Self::Usage,
            TransportErrorKind::Canceled => Self::Canceled,
            TransportErrorKind::Config => Self::Config,
            TransportErrorKind::Connect => Self::Connect,
            TransportErrorKind::Interrupted => Self::Interrupted,
            TransportErrorKind::Protocol | TransportErrorKind::TooLarge => Self::Decode,
            TransportErrorKind::Timeout => Self::Timeout,
            TransportErrorKind::Tls => Self::Tls,
        }
    }
}

/// If the server refuses a request, it has done nothing. A failure of the server or of a gateway
/// does not show that, nor does a redirect to the result.
const fn may_be_executed(kind: ErrorKind) -> bool {
    matches!(kind, ErrorKind::Redirect | ErrorKind::Server | ErrorKind::Timeout)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chain(error: &Error) -> Vec<String> {
        let mut texts = vec![error.to_string()];
        let mut current = error.source();
        while let Some(cause) = current {
            texts.push(cause.to_string());
            current = cause.source();
        }
        texts
    }

    #[test]
    fn every_kind_renders_plainly_and_never_repeats_its_cause() {
        for kind in ErrorKind::ALL {
            let error = Error::new(*kind, kind.refusal())
                .with_operation("login")
                .with_attempts(3)
                .with_source(
                    TransportError::new(TransportErrorKind::Connect)
                        .with_detail("connecting to example.com:443")
                        .with_source(std::io::Error::other("os says no")),
                );
            let texts = chain(&error);
            assert_eq!(texts.len(), 3, "{texts:?}");
            for (index, text) in texts.iter().enumerate() {
                assert!(!text.ends_with('.'), "{text}");
                let first = text.chars().next().expect("not empty");
                assert!(first.is_lowercase(), "{text}");
                for other in &texts[index + 1..] {
                    assert!(!text.contains(other.as_str()), "{text} repeats {other}");
                }
            }
        }
    }

    #[test]
    fn report_has_every_cause_once_escaped_and_bounded() {
        let refused = std::io::Error::from(std::io::ErrorKind::ConnectionRefused);
        let place = "env.example.com:443";
        let below = TransportError::new(TransportErrorKind::Connect)
            .with_sent(Sent::No)
            .with_place(crate::contract::Stage::Connecting, place)
            .with_source(std::io::Error::other(TransportError::from_io(refused)));
        let error = Error::from(below).with_operation("login");
        assert_eq!(
            error.report(),
            "login: no connection to env.example.com:443: connection refused: no connection could be \
             made"
        );
        assert!(!error.may_have_been_executed());

        let odd = Error::new(ErrorKind::Decode, "odd").with_source("a\nb\u{202e}c".repeat(9_000));
        let report = odd.report();
        assert!(report.starts_with(r"odd: a\nb\u{202e}c") && report.len() < 10_000, "{report}");
        assert!(!report.contains(char::is_control), "{report}");
        let long = Error::new(ErrorKind::Usage, "x".repeat(50_000));
        assert!(long.to_string().len() < 3_000 && format!("{long:?}").len() < 3_000);
    }

    #[test]
    fn error_is_written_as_what_a_report_groups_by() {
        let said = br#"{"code":"ERR014","message":"hush","ticketId":"0123ABCD"}"#;
        let body = crate::error::parse_error_body(said);
        let error = Error::from_response(StatusCode::FORBIDDEN, body.as_ref(), None);
        let written = serde_json::to_string(&error.with_operation("call")).expect("plain");
        let fields = r#""kind":"forbidden","operation":"call","code":"ERR014","ticket":"0123ABCD""#;
        assert_eq!(written, format!("{{{fields},\"status\":403}}"));
        let bare = Error::new(ErrorKind::SessionLimit, "full");
        assert_eq!(serde_json::to_string(&bare).expect("plain"), r#"{"kind":"session_limit"}"#);
        assert_eq!(format!("{:>14}", ErrorKind::SessionLimit), " session_limit");
    }

    #[test]
    fn an_error_is_one_pointer_and_can_be_shared() {
        fn shared<T: Clone + Send + Sync + 'static>() {}
        shared::<Error>();
        assert_eq!(size_of::<Error>(), size_of::<usize>());
    }
}
