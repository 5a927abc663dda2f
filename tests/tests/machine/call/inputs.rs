//! The inputs of a call: the alphabet of the exploration, and its words.

use bytes::Bytes;
use http::Response;
use http::response::Parts;
use mstr_core::{Sent, TransportError, TransportErrorKind};

use crate::graph;

/// One thing that happens: to the call, and below to the session behind it.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub(crate) enum Input {
    /// It is begun, or what it asked for has been done.
    Proceed,
    /// The session is asked for access, and opened if need be.
    Access,
    /// The session cannot be opened.
    Denied,
    /// The request is taken, to be sent.
    Taken,
    FrontHeaders {
        given: bool,
    },
    /// The head of an answer.
    Head(Reply),
    /// The same with the beginning of its body.
    Told(Reply),
    Failure(Failure),
    /// The question whether the session lives is answered, and the answer judged again.
    Verdict(Word),
    /// The driver says that the deadline has passed.
    Late,
    /// Time goes by, and the driver does not say so.
    Time,
    /// Another call in the same session is answered.
    Other(Other),
}

/// How a request is answered.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub(crate) enum Reply {
    Success,
    /// The same request, elsewhere on this server.
    Moved,
    /// Another one, by GET.
    SeeOther,
    Away,
    Nowhere,
    Expired,
    Bare,
    Page,
    Throttled,
    Unavailable,
    /// With so long a wait that no deadline allows it.
    ComeBackLater,
    /// In the server's own format.
    ServerError,
    /// Of something in front of the server.
    GatewayError,
    NotFound,
    BadRequest,
}

/// The server's verdict about the session.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub(crate) enum Word {
    Alive,
    Gone,
    Nothing,
}

#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub(crate) enum Failure {
    NoConnection,
    CanceledUnsent,
    Interrupted,
    TimedOut,
    Tls,
    Body,
}

#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub(crate) enum Other {
    /// With a new cookie of the load balancer.
    Cookie,
    /// With a new cookie of the session: the server may do so with each answer, and after two it is
    /// known to.
    Exchanged,
    Gone,
    /// It has opened a session.
    Opened,
}

impl Reply {
    pub(crate) const ALL: [Self; 15] = [
        Self::Success,
        Self::Moved,
        Self::SeeOther,
        Self::Away,
        Self::Nowhere,
        Self::Expired,
        Self::Bare,
        Self::Page,
        Self::Throttled,
        Self::Unavailable,
        Self::ComeBackLater,
        Self::ServerError,
        Self::GatewayError,
        Self::NotFound,
        Self::BadRequest,
    ];

    /// The answers that are errors, and have a body that says which.
    pub(crate) fn errors() -> impl Iterator<Item = Self> {
        Self::ALL.into_iter().filter(|reply| reply.is_error())
    }

    pub(crate) fn is_error(self) -> bool {
        self.status() >= 400
    }

    /// The session is gone, or seems to be.
    pub(crate) fn is_gone(self) -> bool {
        self == Self::Expired
    }

    /// It is refused, and not by the server's word.
    pub(crate) fn is_suspect(self) -> bool {
        matches!(self, Self::Bare | Self::Page)
    }

    /// It may be another one in a moment.
    pub(crate) fn is_passing(self) -> bool {
        let unavailable = matches!(self, Self::Unavailable | Self::ComeBackLater);
        unavailable || matches!(self, Self::Throttled | Self::GatewayError)
    }

    /// Whether it says that the session's cookie has been left alone.
    pub(crate) fn says_something(self) -> bool {
        self.status() < 400 || matches!(self, Self::ServerError | Self::NotFound | Self::BadRequest)
    }

    pub(crate) fn is_redirect(self) -> bool {
        matches!(self, Self::Moved | Self::SeeOther)
    }

    fn status(self) -> u16 {
        match self {
            Self::Success => 200,
            Self::Moved => 307,
            Self::SeeOther => 303,
            Self::Away | Self::Nowhere => 302,
            Self::Expired | Self::Bare | Self::Page => 401,
            Self::Throttled => 429,
            Self::Unavailable | Self::ComeBackLater => 503,
            Self::ServerError | Self::GatewayError => 500,
            Self::NotFound => 404,
            Self::BadRequest => 400,
        }
    }

    pub(crate) fn head(self) -> Parts {
        let mut response = Response::builder().status(self.status());
        response = match self {
            Self::Moved | Self::SeeOther => response.header("location", "moved"),
            Self::Away => response.header("location", "https://evil.example.com/"),
            Self::ComeBackLater => response.header("retry-after", "60"),
            _ => response,
        };
        response.body(()).unwrap().into_parts().0
    }

    pub(crate) fn body(self) -> &'static [u8] {
        match self {
            Self::Expired => br#"{"code":"ERR009","message":"The session has expired"}"#,
            Self::Page | Self::GatewayError => b"<html>Something</html>",
            Self::ServerError | Self::NotFound | Self::BadRequest => {
                br#"{"code":"ERR004","message":"no"}"#
            }
            _ => b"",
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Success => "success",
            Self::Moved => "307 to here",
            Self::SeeOther => "303 to here",
            Self::Away => "302 to another server",
            Self::Nowhere => "302 to nowhere",
            Self::Expired => "401 session gone",
            Self::Bare => "401 without a body",
            Self::Page => "401 with a web page",
            Self::Throttled => "429",
            Self::Unavailable => "503",
            Self::ComeBackLater => "503 for a minute",
            Self::ServerError => "500",
            Self::GatewayError => "500 with a web page",
            Self::NotFound => "404",
            Self::BadRequest => "400",
        }
    }
}

impl Word {
    /// How the question is answered.
    pub(crate) fn answer(self) -> Result<Response<Bytes>, TransportError> {
        let response = Response::builder();
        let response = match self {
            Self::Alive => response.status(200).body(Bytes::from_static(b"{}")),
            Self::Gone => response.status(401).body(Bytes::from_static(Reply::Expired.body())),
            Self::Nothing => return Err(TransportError::new(TransportErrorKind::Timeout)),
        };
        Ok(response.unwrap())
    }
}

impl Failure {
    pub(crate) const ALL: [Self; 6] = [
        Self::NoConnection,
        Self::CanceledUnsent,
        Self::Interrupted,
        Self::TimedOut,
        Self::Tls,
        Self::Body,
    ];

    /// The request has not reached the server.
    pub(crate) fn is_unsent(self) -> bool {
        matches!(self, Self::NoConnection | Self::CanceledUnsent | Self::Tls)
    }

    /// A connection that stood was lost before the server took the request.
    pub(crate) fn is_unprocessed(self) -> bool {
        self == Self::CanceledUnsent
    }

    pub(crate) fn error(self) -> TransportError {
        let error = TransportError::new(match self {
            Self::NoConnection => TransportErrorKind::Connect,
            Self::CanceledUnsent => TransportErrorKind::Canceled,
            Self::Interrupted => TransportErrorKind::Interrupted,
            Self::TimedOut => TransportErrorKind::Timeout,
            Self::Tls => TransportErrorKind::Tls,
            Self::Body => TransportErrorKind::Body,
        });
        if self.is_unsent() { error.with_sent(Sent::No) } else { error }
    }

    fn name(self) -> &'static str {
        match self {
            Self::NoConnection => "no connection",
            Self::CanceledUnsent => "given up unsent",
            Self::Interrupted => "connection lost",
            Self::TimedOut => "timed out",
            Self::Tls => "TLS error",
            Self::Body => "the body failed",
        }
    }
}

impl Input {
    /// The inputs that are possible at any time.
    pub(crate) fn to_all() -> impl Iterator<Item = Self> {
        let given = [true, false].map(|given| Self::FrontHeaders { given });
        [Self::Proceed, Self::Access, Self::Denied, Self::Taken, Self::Late]
            .into_iter()
            .chain(given)
            .chain(Reply::ALL.map(Self::Head))
            .chain(Reply::errors().map(Self::Told))
            .chain(Failure::ALL.map(Self::Failure))
    }

    /// Gives it to the machine.
    pub(crate) fn is_to_the_call(self) -> bool {
        !matches!(self, Self::Time | Self::Other(_))
    }

    /// Whether the machine asks for it in this state.
    pub(crate) fn is_expected(self, state: &str) -> bool {
        match self {
            Self::Proceed => {
                let done = ["taking a place", "consulting the store", "taking a turn"];
                state == "to be begun" || done.contains(&state)
            }
            Self::Access | Self::Denied => state == "waiting for a grant",
            Self::FrontHeaders { .. } => state == "asking for front headers",
            Self::Head(_) => state == "sent",
            Self::Taken => state == "to be sent",
            Self::Told(_) => ["sent", "reading an error"].contains(&state),
            Self::Failure(_) => ["sent", "reading an error"].contains(&state),
            Self::Verdict(_) => state == "waiting for a verdict",
            Self::Late | Self::Time | Self::Other(_) => true,
        }
    }
}

impl graph::Input for Input {
    fn words(self) -> (String, &'static str) {
        let (what, how) = match self {
            Self::Proceed => ("proceed", ""),
            Self::Access => ("access is asked for", ""),
            Self::Denied => ("access is denied", ""),
            Self::Taken => ("the request is taken", ""),
            Self::FrontHeaders { given: true } => ("front headers", "come"),
            Self::FrontHeaders { given: false } => ("front headers", "cannot be had"),
            Self::Head(reply) => ("the head", reply.name()),
            Self::Told(reply) => ("the head and the error's body", reply.name()),
            Self::Failure(failure) => ("it fails", failure.name()),
            Self::Verdict(word) => (
                "the server is asked about the session",
                match word {
                    Word::Alive => "it lives",
                    Word::Gone => "it is gone",
                    Word::Nothing => "nothing is heard",
                },
            ),
            Self::Late => ("the deadline passes", ""),
            Self::Time => ("time goes by unnoticed", ""),
            Self::Other(Other::Cookie) => ("another call", "gets a new cookie"),
            Self::Other(Other::Exchanged) => ("another call", "gets the session's cookie replaced"),
            Self::Other(Other::Gone) => ("another call", "finds the session gone"),
            Self::Other(Other::Opened) => ("another call", "opens a session"),
        };
        (what.to_owned(), how)
    }

    fn label(self) -> String {
        match self {
            Self::Proceed => "proceed".into(),
            Self::Access => "access".into(),
            Self::Denied => "no access".into(),
            Self::Taken => "request".into(),
            Self::FrontHeaders { given: true } => "front headers".into(),
            Self::FrontHeaders { given: false } => "no front headers".into(),
            Self::Head(Reply::Success) => "success".into(),
            Self::Head(reply) if reply.status() < 400 => "redirect".into(),
            Self::Head(_) => "error".into(),
            Self::Told(reply) if reply.is_suspect() => "bare 401".into(),
            Self::Told(reply) if reply.status() == 401 => "session gone".into(),
            Self::Told(reply) if reply.is_passing() => "passing error".into(),
            Self::Told(_) => "error that stays".into(),
            Self::Failure(_) => "failure".into(),
            Self::Verdict(_) => "verdict".into(),
            Self::Late => "late".into(),
            Self::Time | Self::Other(_) => "meanwhile".into(),
        }
    }
}
