//! Why one exchange failed, and whether the request can have reached the server.

use std::borrow::Cow;
use std::error::Error as StdError;
use std::fmt;
use std::io;
use std::sync::Arc;

use crate::shown::{Plain, bounded};

/// Any error, as bodies and sources carry it.
pub type BoxError = Box<dyn StdError + Send + Sync>;

/// The reason why an exchange failed below HTTP, as a [`Transport`](crate::Transport) reports it.
///
/// ```
/// # mod mstr { pub use mstr_core::*; pub mod core { pub use mstr_core::*; } }
/// use std::io;
///
/// use mstr::core::Sent;
/// use mstr::{TransportError, TransportErrorKind};
///
/// fn from_client(error: io::Error) -> TransportError {
///     match error.kind() {
///         // Only this error shows that no byte of the request has left.
///         io::ErrorKind::NotConnected => {
///             TransportError::new(TransportErrorKind::Connect).with_sent(Sent::No)
///         }
///         _ => TransportError::new(TransportErrorKind::Interrupted),
///     }
///     .with_source(error)
/// }
/// ```
///
/// Cheap to clone, so that every caller waiting for one exchange receives the same failure.
/// [`Display`](fmt::Display) says what failed and where; the underlying error's own text is
/// reached through [`source`](StdError::source) and never repeated.
#[derive(Clone)]
pub struct TransportError(Arc<Inner>);

struct Inner {
    kind: TransportErrorKind,
    sent: Sent,
    place: Option<(Stage, String)>,
    detail: Option<Cow<'static, str>>,
    reason: Option<Cow<'static, str>>,
    source: Option<BoxError>,
}

impl TransportError {
    /// Creates an error of `kind`, assuming the request may have been sent.
    ///
    /// Say [`with_sent`](Self::with_sent)`(Sent::No)` only if no byte of the request can have
    /// reached the server: a request that is not idempotent is then repeated.
    #[must_use]
    pub fn new(kind: TransportErrorKind) -> Self {
        Self(Arc::new(Inner {
            kind,
            sent: Sent::Maybe,
            place: None,
            detail: None,
            reason: None,
            source: None,
        }))
    }

    /// Classifies an I/O error by its kind: refused and unreachable are
    /// [`Connect`](TransportErrorKind::Connect), timed out is
    /// [`Timeout`](TransportErrorKind::Timeout), resets and early ends are
    /// [`Interrupted`](TransportErrorKind::Interrupted).
    #[must_use]
    pub fn from_io(error: io::Error) -> Self {
        use io::ErrorKind as Io;

        let (kind, sent) = match error.kind() {
            Io::ConnectionRefused
            | Io::AddrNotAvailable
            | Io::HostUnreachable
            | Io::NetworkUnreachable => (TransportErrorKind::Connect, Sent::No),
            Io::TimedOut => (TransportErrorKind::Timeout, Sent::Maybe),
            Io::InvalidInput | Io::InvalidData => (TransportErrorKind::Protocol, Sent::Maybe),
            _ => (TransportErrorKind::Interrupted, Sent::Maybe),
        };
        Self::new(kind).with_sent(sent).with_source(error)
    }

    /// Turns any error into a transport error of `kind`, keeping one that already is one.
    #[must_use]
    pub fn from_boxed(kind: TransportErrorKind, error: BoxError) -> Self {
        match error.downcast::<Self>() {
            Ok(already) => *already,
            Err(error) => Self::new(kind).with_boxed_source(error),
        }
    }

    /// Finds the first error of type `E` in `error`'s source chain, `error` itself included.
    ///
    /// Backends classify by walking the chain, because the HTTP library wraps the interesting
    /// error in its own.
    #[must_use]
    pub fn find_source<'e, E: StdError + 'static>(
        error: &'e (dyn StdError + 'static),
    ) -> Option<&'e E> {
        let mut current = Some(error);
        while let Some(error) = current {
            if let Some(found) = error.downcast_ref::<E>() {
                return Some(found);
            }
            // An `io::Error` that wraps another error hides it from `source()` of the wrapper.
            if let Some(inner) = error.downcast_ref::<io::Error>().and_then(io::Error::get_ref) {
                current = Some(inner);
                continue;
            }
            current = error.source();
        }
        None
    }

    /// States whether the request can have reached the server.
    #[must_use]
    pub fn with_sent(self, sent: Sent) -> Self {
        self.map(|inner| inner.sent = sent)
    }

    /// Adds how far the exchange had come and with whom it was, for example `"host:443"`; for
    /// transports, which ask [`Peer::locate`](crate::toolkit::Peer::locate) for it.
    #[must_use]
    pub fn with_place(self, stage: Stage, with: impl Into<String>) -> Self {
        let with = with.into();
        self.map(|inner| inner.place = Some((stage, with)))
    }

    /// Adds why it failed, in a few words, and what to do about it. Never a secret. Without it, what
    /// the system says of a socket is the reason.
    #[must_use]
    pub fn with_reason(self, reason: impl Into<Cow<'static, str>>) -> Self {
        let reason = bounded(reason.into());
        self.map(|inner| inner.reason = Some(reason))
    }

    /// Adds further details, for example what a body's stream complains of. Never a secret.
    #[must_use]
    pub fn with_detail(self, detail: impl Into<Cow<'static, str>>) -> Self {
        let detail = bounded(detail.into());
        self.map(|inner| inner.detail = Some(detail))
    }

    /// Adds the underlying error.
    #[must_use]
    pub fn with_source(self, source: impl Into<BoxError>) -> Self {
        self.with_boxed_source(source.into())
    }

    fn with_boxed_source(self, source: BoxError) -> Self {
        self.map(|inner| inner.source = Some(source))
    }

    fn map(self, change: impl FnOnce(&mut Inner)) -> Self {
        match Arc::try_unwrap(self.0) {
            Ok(mut inner) => {
                change(&mut inner);
                Self(Arc::new(inner))
            }
            // Shared already: keep what others see and stack the change on top of it.
            Err(shared) => {
                let mut inner = Inner {
                    kind: shared.kind,
                    sent: shared.sent,
                    place: shared.place.clone(),
                    detail: shared.detail.clone(),
                    reason: shared.reason.clone(),
                    source: shared.source.is_some().then(|| Box::new(Self(shared)) as BoxError),
                };
                change(&mut inner);
                Self(Arc::new(inner))
            }
        }
    }

    /// The kind of the failure.
    #[must_use]
    pub fn kind(&self) -> TransportErrorKind {
        self.0.kind
    }

    /// Whether the request can have reached the server.
    #[must_use]
    pub fn sent(&self) -> Sent {
        self.0.sent
    }

    pub(crate) fn has_reason(&self) -> bool {
        self.0.reason.is_some()
    }

    /// The failure with its place and reason, for the first line of an error.
    pub(crate) fn brief(&self) -> String {
        use TransportErrorKind as Kind;

        let mut text = match &self.0.place {
            None => self.kind().describe().to_owned(),
            Some((stage, with)) => match (self.kind(), stage) {
                (Kind::Connect, _) => format!("no connection to {with}"),
                (Kind::Tls, _) => format!("no secure connection to {with}"),
                (Kind::Timeout, Stage::Connecting) => format!("no connection to {with} in time"),
                (Kind::Timeout, Stage::Sending) => format!("no answer from {with} in time"),
                (Kind::Timeout, Stage::Reading) => {
                    format!("the answer from {with} came to a halt")
                }
                (Kind::Interrupted | Kind::Canceled, Stage::Sending) => {
                    format!("the connection to {with} was cut off before an answer")
                }
                (Kind::Interrupted, Stage::Reading) => {
                    format!("the answer from {with} was cut off")
                }
                (Kind::Protocol, _) => {
                    format!("the answer from {with} is not HTTP as it should be")
                }
                (kind, stage) => format!("{} ({})", kind.describe(), stage.doing(with)),
            },
        };
        let system = || self.source().and_then(said_by_the_system).map(Cow::Owned);
        let why = self.0.reason.clone().or_else(system).or_else(|| self.0.detail.clone());
        if let Some(why) = why {
            text.push_str(": ");
            text.push_str(&why);
        }
        text
    }

    /// The step that took too long: connecting, an answer.
    pub(crate) fn awaited(&self) -> String {
        match &self.0.place {
            Some((Stage::Connecting, with)) => format!("connecting to {with}"),
            Some((_, with)) => format!("an answer from {with}"),
            None => "an answer".to_owned(),
        }
    }

    /// The same failure, of an answer that was being read: [`Body::wrap`](super::Body::wrap) cannot
    /// tell which way a body goes, and takes it for the request's.
    pub(crate) fn of_an_answer(self) -> Self {
        match self.kind() {
            TransportErrorKind::Body => {
                self.map(|inner| inner.kind = TransportErrorKind::Interrupted)
            }
            _ => self,
        }
    }

    /// Whether a body arrived and is not what it was said to be, or too large.
    pub(crate) fn is_of_content(&self) -> bool {
        matches!(self.0.kind, TransportErrorKind::Protocol | TransportErrorKind::TooLarge)
    }

    /// Whether a connection that stood was lost before the server took the request: one that was
    /// kept and has been closed meanwhile, or a stream that HTTP/2 declares unprocessed. On another
    /// connection the request may go at once.
    pub(crate) fn is_unprocessed(&self) -> bool {
        self.0.sent == Sent::No
            && matches!(self.0.kind, TransportErrorKind::Canceled | TransportErrorKind::Interrupted)
    }
}

impl fmt::Display for TransportError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.kind.describe())?;
        let doing = self.0.place.as_ref().map(|(stage, with)| stage.doing(with));
        match (doing, &self.0.detail) {
            (Some(doing), Some(detail)) => write!(f, " ({}; {})", Plain(&doing), Plain(detail))?,
            (Some(doing), None) => write!(f, " ({})", Plain(&doing))?,
            (None, Some(detail)) => write!(f, " ({})", Plain(detail))?,
            (None, None) => {}
        }
        match &self.0.reason {
            Some(reason) => write!(f, ": {}", Plain(reason)),
            None => Ok(()),
        }
    }
}

/// The failure of a socket, in the words of the standard library.
fn said_by_the_system(source: &(dyn StdError + 'static)) -> Option<String> {
    use io::ErrorKind as Io;

    let error = TransportError::find_source::<io::Error>(source)?;
    match error.kind() {
        kind @ (Io::AddrNotAvailable
        | Io::BrokenPipe
        | Io::ConnectionAborted
        | Io::ConnectionRefused
        | Io::ConnectionReset
        | Io::HostUnreachable
        | Io::NetworkDown
        | Io::NetworkUnreachable
        | Io::PermissionDenied
        | Io::TimedOut) => Some(kind.to_string()),
        // One that wraps another, as HTTP stacks do.
        _ => said_by_the_system(error.get_ref()?),
    }
}

/// How far an exchange had come when it failed.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[expect(clippy::exhaustive_enums, reason = "an exchange has no fourth stage")]
pub enum Stage {
    /// No connection had been assigned to the request: the server has seen nothing of it.
    Connecting,
    /// A connection had the request, and there was no response yet.
    Sending,
    /// The response's body was being read.
    Reading,
}

impl Stage {
    /// Whether the request can have reached the server by now.
    #[must_use]
    pub const fn sent(self) -> Sent {
        match self {
            Self::Connecting => Sent::No,
            Self::Sending | Self::Reading => Sent::Maybe,
        }
    }

    fn doing(self, with: &str) -> String {
        match self {
            Self::Connecting => format!("connecting to {with}"),
            Self::Sending => format!("waiting for an answer from {with}"),
            Self::Reading => format!("reading an answer from {with}"),
        }
    }
}

impl fmt::Debug for TransportError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TransportError")
            .field("kind", &self.0.kind)
            .field("sent", &self.0.sent)
            .field("place", &self.0.place)
            .field("detail", &self.0.detail)
            .field("reason", &self.0.reason)
            .field("source", &self.0.source)
            .finish()
    }
}

impl StdError for TransportError {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.0.source.as_deref().map(|source| source as &(dyn StdError + 'static))
    }
}

/// The kind of a failure below HTTP.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum TransportErrorKind {
    /// The request body's own stream failed, or was shorter or longer than it declared.
    Body,
    /// The exchange was given up by this side: the transport or its runtime is shutting down.
    Canceled,
    /// The settings cannot work, for example a scheme the transport does not speak.
    Config,
    /// No connection: name not resolved, refused, unreachable.
    Connect,
    /// The connection ended before the whole answer had arrived.
    Interrupted,
    /// The peer does not speak HTTP as it should.
    Protocol,
    /// A deadline passed.
    Timeout,
    /// The TLS handshake failed: unknown issuer, wrong host, no common version.
    Tls,
    /// A body was larger than the caller's limit.
    TooLarge,
}

impl TransportErrorKind {
    fn describe(self) -> &'static str {
        match self {
            Self::Body => "the body could not be produced",
            Self::Canceled => "the exchange was canceled",
            Self::Config => "the transport's settings cannot work",
            Self::Connect => "no connection could be made",
            Self::Interrupted => "the connection ended early",
            Self::Protocol => "the peer broke the HTTP protocol",
            Self::Timeout => "a deadline passed",
            Self::Tls => "the TLS handshake failed",
            Self::TooLarge => "the body is larger than the limit",
        }
    }
}

/// Whether a failed request can have reached the server.
///
/// This decides whether a request that is not idempotent may be repeated, so a transport says
/// [`No`](Self::No) only when it knows.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[expect(clippy::exhaustive_enums, reason = "there is no third answer")]
pub enum Sent {
    /// The server may have received and processed the request.
    Maybe,
    /// No byte of the request can have reached the server.
    No,
}
