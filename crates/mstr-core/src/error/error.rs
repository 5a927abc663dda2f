//! The one error of the public API.

use std::borrow::Cow;
use std::error::Error as StdError;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use http::StatusCode;

use super::kind::ErrorKind;
use super::server::{ServerError, classify};
use crate::contract::{BoxError, TransportError, TransportErrorKind};
use crate::generation::Generation;
use crate::shown::{Plain, bounded};

/// Why an operation failed.
///
/// One pointer in size and cheap to clone: every caller waiting for one login receives the same
/// failure. [`kind`](Self::kind) is what to branch on; [`server`](Self::server) is what the
/// server said, with the ticket id its support asks for; [`source`](StdError::source) leads to
/// the causes, whose text is never repeated here. No error holds a secret.
#[derive(Clone)]
pub struct Error(Arc<Inner>);

#[derive(Clone)]
struct Inner {
    kind: ErrorKind,
    message: Cow<'static, str>,
    operation: Option<&'static str>,
    status: Option<StatusCode>,
    server: Option<ServerError>,
    attempts: u32,
    generation: Option<Generation>,
    retry_after: Option<Duration>,
    source: Option<Arc<dyn StdError + Send + Sync>>,
}

impl Error {
    pub(crate) fn new(kind: ErrorKind, message: impl Into<Cow<'static, str>>) -> Self {
        Self(Arc::new(Inner {
            kind,
            message: bounded(message.into()),
            operation: None,
            status: None,
            server: None,
            attempts: 0,
            generation: None,
            retry_after: None,
            source: None,
        }))
    }

    pub(crate) fn from_transport(error: TransportError) -> Self {
        let kind = ErrorKind::from(error.kind());
        let message = match error.kind() {
            // Nothing has been exchanged yet.
            TransportErrorKind::Config => "the transport cannot be used",
            _ => "the exchange with the server failed",
        };
        Self::new(kind, message).with_source(error)
    }

    /// What the server refused, classified by its codes first and the status second.
    pub(crate) fn from_response(
        status: StatusCode,
        body: Option<&ServerError>,
        retry_after: Option<Duration>,
    ) -> Self {
        let kind = classify(status, body);
        let mut error = Self::new(kind, kind.refusal());
        error.update(|inner| {
            inner.status = Some(status);
            inner.server = body.cloned();
            inner.retry_after = retry_after;
        });
        error
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

    pub(crate) fn with_attempts(self, attempts: u32) -> Self {
        self.map(|inner| inner.attempts = attempts)
    }

    pub(crate) fn with_generation(self, generation: Generation) -> Self {
        self.map(|inner| inner.generation = Some(generation))
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

    /// What happened. The documentation of each kind says what to do about it.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }

    /// Whether the same call can succeed later without anything being changed.
    #[must_use]
    pub fn is_retryable(&self) -> bool {
        self.0.kind.is_retryable()
    }

    /// Whether the credentials or the session are at fault.
    #[must_use]
    pub fn is_auth(&self) -> bool {
        matches!(self.0.kind, ErrorKind::Credentials | ErrorKind::SessionLost)
    }

    /// Whether a deadline passed.
    #[must_use]
    pub fn is_timeout(&self) -> bool {
        self.0.kind == ErrorKind::Timeout
    }

    /// The status of the response, if there was one.
    #[must_use]
    pub fn status(&self) -> Option<StatusCode> {
        self.0.status
    }

    /// What the server said, if it answered in its own error format.
    #[must_use]
    pub fn server(&self) -> Option<&ServerError> {
        self.0.server.as_ref()
    }

    /// What was being done: `"login"`, `"renew"`, `"call"`.
    #[must_use]
    pub fn operation(&self) -> Option<&'static str> {
        self.0.operation
    }

    /// How many times it was tried. 0 if nothing was sent.
    #[must_use]
    pub fn attempts(&self) -> u32 {
        self.0.attempts
    }

    /// The generation of the session the failed request belonged to.
    #[must_use]
    pub fn generation(&self) -> Option<Generation> {
        self.0.generation
    }

    /// How long the server asked to wait, if it did; or how long nothing is sent, after logins that
    /// were not answered.
    #[must_use]
    pub fn retry_after(&self) -> Option<Duration> {
        self.0.retry_after
    }

    /// The failure below HTTP, if that is what happened.
    #[must_use]
    pub fn transport(&self) -> Option<&TransportError> {
        self.source().and_then(|source| source.downcast_ref::<TransportError>())
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(operation) = self.0.operation {
            write!(f, "{operation}: ")?;
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
    fn an_error_is_one_pointer_and_can_be_shared() {
        fn shared<T: Clone + Send + Sync + 'static>() {}
        shared::<Error>();
        assert_eq!(size_of::<Error>(), size_of::<usize>());
    }
}
