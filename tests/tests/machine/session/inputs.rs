//! The inputs of a machine: the alphabet of the exploration, and its words.

use bytes::Bytes;
use http::Response;
use mstr_core::session::Purpose;
use mstr_core::{Sent, TransportError, TransportErrorKind};

use crate::graph;

/// One thing that happens.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub(crate) enum Input {
    /// A caller wants to send a request.
    Access,
    /// The same, after more than any idle timeout in which nothing happened.
    AccessLater,
    Renew,
    Reset(Given),
    Logout,
    /// Also if the session is borrowed.
    LogoutEvenIfBorrowed,
    /// The provider's answer.
    Supply(Given),
    /// An exchange that is awaited is answered.
    Answer(Exchanged, Reply),
    Deadline,
    Observe(Observed),
    /// A login that is no longer awaited succeeds after all.
    LateLogin {
        borrowed: bool,
    },
    /// Every other exchange of the past is answered once more, as a success with a token.
    Stale,
    /// A session that was opened elsewhere is to be used.
    Adopt(Adopted),
    /// The front headers of what waits for them, in the background or not, come or cannot be had.
    Front {
        detached: bool,
        given: bool,
    },
}

/// The kind of session.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub(crate) enum Adopted {
    Own,
    /// A borrowed session.
    Borrowed,
    /// The one in use, as it is.
    InUse,
    /// One on another server.
    Foreign,
}

/// The kind of credentials.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub(crate) enum Given {
    Password,
    IdentityToken,
    Unusable,
    /// None at all: a reset without new ones, or a provider that fails.
    Nothing,
}

/// [`Purpose`], in an order.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub(crate) enum Exchanged {
    Login,
    Delegate,
    Inspect,
    Status,
    ListProjects,
    /// Whether the session in use lives.
    Question,
    Renew,
    Logout,
}

impl Exchanged {
    /// How many of them are checks of a new session.
    pub(crate) const CHECKS: usize = 3;

    pub(crate) fn of(purpose: Purpose) -> Self {
        match purpose {
            Purpose::Delegate => Self::Delegate,
            Purpose::Inspect => Self::Inspect,
            Purpose::ListProjects => Self::ListProjects,
            Purpose::Login => Self::Login,
            Purpose::Logout => Self::Logout,
            Purpose::Renew => Self::Renew,
            Purpose::Status => Self::Status,
            other => panic!("{other:?} is new: say what can be answered to it"),
        }
    }

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Login => "login",
            Self::Delegate => "delegation",
            Self::Inspect => "session info",
            Self::Status => "server status",
            Self::ListProjects => "project list",
            Self::Question => "question",
            Self::Renew => "renewal",
            Self::Logout => "logout",
        }
    }

    pub(crate) fn opens_session(self) -> bool {
        matches!(self, Self::Login | Self::Delegate)
    }

    pub(crate) fn is_check(self) -> bool {
        matches!(self, Self::Inspect | Self::Status | Self::ListProjects)
    }

    /// The classes of answers to it.
    fn replies(self) -> Vec<Reply> {
        let own: &[Reply] = match self {
            Self::Login | Self::Delegate => &[Reply::TypeRefused],
            Self::Status => &[Reply::OldServer, Reply::UnsupportedServer],
            Self::ListProjects => &[Reply::NoSuchProject],
            Self::Inspect | Self::Question | Self::Renew | Self::Logout => &[],
        };
        Reply::TO_ALL.iter().chain(own).copied().collect()
    }
}

/// How an exchange is answered.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub(crate) enum Reply {
    Success,
    OldServer,
    UnsupportedServer,
    NoSuchProject,
    Refused,
    Forbidden,
    /// By something in front of the server.
    Turned,
    Expired,
    TypeRefused,
    Unavailable,
    Throttled,
    ServerError,
    SessionLimit,
    NoConnection,
    Interrupted,
    TimedOut,
    Tls,
    Nonsense,
}

impl Reply {
    const TO_ALL: [Self; 14] = [
        Self::Success,
        Self::Refused,
        Self::Forbidden,
        Self::Turned,
        Self::Expired,
        Self::Unavailable,
        Self::Throttled,
        Self::ServerError,
        Self::SessionLimit,
        Self::NoConnection,
        Self::Interrupted,
        Self::TimedOut,
        Self::Tls,
        Self::Nonsense,
    ];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Success => "success",
            Self::OldServer => "older than 11.5.0600",
            Self::UnsupportedServer => "older than 11.1.0400",
            Self::NoSuchProject => "without the project",
            Self::Refused => "401 refused",
            Self::Forbidden => "403",
            Self::Turned => "a gateway's 401",
            Self::Expired => "401 expired",
            Self::TypeRefused => "application type refused",
            Self::Unavailable => "503",
            Self::Throttled => "429",
            Self::ServerError => "500",
            Self::SessionLimit => "session limit",
            Self::NoConnection => "no connection",
            Self::Interrupted => "connection lost",
            Self::TimedOut => "timed out",
            Self::Tls => "TLS error",
            Self::Nonsense => "a web page",
        }
    }

    /// Whether nothing is heard of the server in answer to a question about the session.
    pub(crate) fn is_nothing_heard(self) -> bool {
        !matches!(self, Self::Success | Self::Forbidden | Self::Refused | Self::Expired)
    }

    /// Whether it is the server's answer to a login; `None` if the login was not submitted.
    pub(crate) fn answers_a_login(self) -> Option<bool> {
        match self {
            Self::Unavailable | Self::Throttled | Self::NoConnection | Self::Tls => None,
            Self::Turned | Self::Interrupted | Self::TimedOut | Self::Nonsense => Some(false),
            _ => Some(true),
        }
    }

    /// The answer on the wire. A login's success opens the session with this token.
    pub(crate) fn to(
        self,
        exchange: Exchanged,
        token: &str,
    ) -> Result<Response<Bytes>, TransportError> {
        let broken = |kind| Err(TransportError::new(kind));
        match self {
            Self::Success => Ok(success(exchange, token)),
            Self::OldServer => Ok(response(200, r#"{"iServerVersion":"11.3.1200.0001"}"#)),
            Self::UnsupportedServer => Ok(response(200, r#"{"iServerVersion":"10.4.0000.0001"}"#)),
            Self::NoSuchProject => Ok(response(200, "[]")),
            Self::Refused => Ok(response(401, r#"{"code":"ERR003","message":"Login failed"}"#)),
            Self::Forbidden => Ok(response(403, r#"{"code":"ERR014","message":"no"}"#)),
            Self::Turned => Ok(response(401, r#"{"message":"Unauthorized"}"#)),
            Self::Expired => Ok(response(401, EXPIRED)),
            Self::TypeRefused => {
                Ok(response(400, r#"{"code":"ERR007","message":"constraint violations"}"#))
            }
            Self::Unavailable => Ok(response(503, "")),
            Self::Throttled => Ok(response(429, "")),
            Self::ServerError => Ok(response(500, r#"{"code":"ERR001","message":"no"}"#)),
            Self::SessionLimit => {
                Ok(response(500, r#"{"code":"ERR001","iServerCode":-2147072486}"#))
            }
            Self::NoConnection => {
                Err(TransportError::new(TransportErrorKind::Connect).with_sent(Sent::No))
            }
            Self::Interrupted => broken(TransportErrorKind::Interrupted),
            Self::TimedOut => broken(TransportErrorKind::Timeout),
            Self::Tls => broken(TransportErrorKind::Tls),
            Self::Nonsense => Ok(response(200, "<html>Sign in</html>")),
        }
    }
}

pub(crate) const EXPIRED: &str = r#"{"code":"ERR009","message":"The session has expired"}"#;
/// The project that is asked for where one is.
pub(crate) const PROJECT: &str = "Sales";

fn success(exchange: Exchanged, token: &str) -> Response<Bytes> {
    match exchange {
        Exchanged::Login | Exchanged::Delegate => {
            let head = Response::builder()
                .status(204)
                .header("X-MSTR-AuthToken", token)
                .header("Set-Cookie", format!("JSESSIONID=j-{token}; Path=/; HttpOnly"));
            head.body(Bytes::new()).unwrap()
        }
        Exchanged::Inspect | Exchanged::Question => response(200, r#"{"timeout":600}"#),
        Exchanged::Status => response(200, r#"{"iServerVersion":"11.5.0600.0001"}"#),
        Exchanged::ListProjects => response(
            200,
            r#"[{"id":"B19DEDCC11D4E0EFC000EB9495D0F44F","name":"Sales","status":0}]"#,
        ),
        Exchanged::Renew | Exchanged::Logout => response(204, ""),
    }
}

fn response(status: u16, body: &'static str) -> Response<Bytes> {
    Response::builder().status(status).body(Bytes::from_static(body.as_bytes())).unwrap()
}

/// The answer to an application's request.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub(crate) enum Observed {
    Success,
    /// With a new cookie for the session, for the second time: from now on each answer has one.
    NewCookie,
    /// The session is gone, and still so when asked again: the driver revokes it.
    Gone,
    /// It is refused without the server's word: the driver has the session ask.
    Suspect,
    /// The same, about a session that has been replaced.
    GoneBefore,
    ServerError,
}

/// The answers and observations that are possible now.
#[derive(Debug)]
pub(crate) struct Possible {
    pub(crate) awaited: Vec<Exchanged>,
    pub(crate) asked: bool,
    pub(crate) deadline: bool,
    pub(crate) granted: bool,
    pub(crate) granted_before: bool,
    pub(crate) late_own: bool,
    pub(crate) late_borrowed: bool,
    pub(crate) stale: bool,
    /// Refusals without the server's word are tried.
    pub(crate) doubtful: bool,
    /// Not in the background, and in it.
    pub(crate) fronting: [bool; 2],
}

impl Possible {
    pub(crate) fn inputs(&self) -> Vec<Input> {
        let mut inputs = vec![Input::Access, Input::Renew, Input::Logout];
        inputs.push(Input::LogoutEvenIfBorrowed);
        let given = [Given::Password, Given::IdentityToken, Given::Unusable, Given::Nothing];
        inputs.extend(given.map(Input::Reset));
        if self.asked {
            inputs.extend(given.map(Input::Supply));
        }
        for exchange in &self.awaited {
            inputs.extend(exchange.replies().iter().map(|reply| Input::Answer(*exchange, *reply)));
        }
        // Elsewhere the deadline comes first.
        inputs.push(if self.deadline { Input::Deadline } else { Input::AccessLater });
        if self.granted {
            let seen = [Observed::Success, Observed::NewCookie, Observed::Gone];
            inputs.extend(seen.map(Input::Observe));
            inputs.push(Input::Observe(Observed::ServerError));
            if self.doubtful {
                inputs.push(Input::Observe(Observed::Suspect));
            }
        }
        if self.granted_before {
            inputs.push(Input::Observe(Observed::GoneBefore));
        }
        if self.late_own {
            inputs.push(Input::LateLogin { borrowed: false });
        }
        if self.late_borrowed {
            inputs.push(Input::LateLogin { borrowed: true });
        }
        if self.stale {
            inputs.push(Input::Stale);
        }
        inputs.extend([Adopted::Own, Adopted::Borrowed, Adopted::Foreign].map(Input::Adopt));
        if self.granted {
            inputs.push(Input::Adopt(Adopted::InUse));
        }
        for detached in [false, true] {
            if self.fronting[usize::from(detached)] {
                inputs.extend([true, false].map(|given| Input::Front { detached, given }));
            }
        }
        inputs
    }
}

impl graph::Input for Input {
    fn words(self) -> (String, &'static str) {
        let (what, how) = match self {
            Self::Access => ("access is asked for", "at once"),
            Self::AccessLater => ("access is asked for", "after a long silence"),
            Self::Renew => ("renewal is asked for", ""),
            Self::Reset(given) => ("credentials are reset", given.name("none")),
            Self::Logout => ("logout is asked for", "plainly"),
            Self::LogoutEvenIfBorrowed => ("logout is asked for", "even if borrowed"),
            Self::Supply(given) => ("the provider gives", given.name("an error")),
            Self::Answer(exchange, reply) => {
                return (format!("{} answered", exchange.name()), reply.name());
            }
            Self::Deadline => ("the deadline passes", ""),
            Self::Observe(Observed::Success) => ("a request answered", "success"),
            Self::Observe(Observed::NewCookie) => {
                ("a request answered", "success with a new cookie")
            }
            Self::Observe(Observed::Gone) => ("a request answered", "session gone"),
            Self::Observe(Observed::ServerError) => ("a request answered", "500"),
            Self::Observe(Observed::Suspect) => ("a request answered", "a gateway's 401"),
            Self::Observe(Observed::GoneBefore) => {
                ("a request in a replaced session answered", "session gone")
            }
            Self::LateLogin { borrowed: false } => ("a login given up earlier succeeds", ""),
            Self::LateLogin { borrowed: true } => ("a delegation given up earlier succeeds", ""),
            Self::Stale => ("an exchange of the past is answered again", ""),
            Self::Adopt(Adopted::Own) => ("a session from elsewhere is adopted", "an own one"),
            Self::Adopt(Adopted::Borrowed) => {
                ("a session from elsewhere is adopted", "a borrowed one")
            }
            Self::Adopt(Adopted::InUse) => {
                ("a session from elsewhere is adopted", "the one in use")
            }
            Self::Adopt(Adopted::Foreign) => ("a session of another server is adopted", ""),
            Self::Front { detached: false, given: true } => ("front headers", "come"),
            Self::Front { detached: false, given: false } => ("front headers", "cannot be had"),
            Self::Front { detached: true, given: true } => {
                ("front headers for the background", "come")
            }
            Self::Front { detached: true, given: false } => {
                ("front headers for the background", "cannot be had")
            }
        };
        (what.to_owned(), how)
    }

    fn label(self) -> String {
        match self {
            Self::Access => "access".into(),
            Self::AccessLater => "access after silence".into(),
            Self::Renew => "renewal asked".into(),
            Self::Reset(_) => "reset".into(),
            Self::Logout | Self::LogoutEvenIfBorrowed => "logout asked".into(),
            Self::Supply(_) => "provider answers".into(),
            Self::Answer(exchange, Reply::Success) => format!("{} succeeds", exchange.name()),
            Self::Answer(exchange, _) if exchange.is_check() => "a check is answered".into(),
            Self::Answer(exchange, _) => format!("{} fails", exchange.name()),
            Self::Deadline => "deadline".into(),
            Self::Observe(Observed::Gone) => "session gone".into(),
            Self::Observe(Observed::Suspect) => "bare 401".into(),
            Self::Observe(_) => "request answered".into(),
            Self::LateLogin { .. } => "late login".into(),
            Self::Stale => "stale answer".into(),
            Self::Adopt(_) => "a session is adopted".into(),
            Self::Front { given: true, .. } => "front headers".into(),
            Self::Front { .. } => "no front headers".into(),
        }
    }
}

impl Given {
    pub(crate) fn name(self, nothing: &'static str) -> &'static str {
        match self {
            Self::Password => "a password",
            Self::IdentityToken => "an identity token",
            Self::Unusable => "unusable ones",
            Self::Nothing => nothing,
        }
    }
}
