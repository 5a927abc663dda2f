//! What goes into the machine and what comes out of it.

use std::fmt;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::Request;
use serde::Serialize;

#[cfg(doc)]
use super::machine::Session;
use crate::duration;
use crate::error::Error;
use crate::generation::Generation;
use crate::protocol::{Credentials, Grant, SessionRecord};

/// Whether an application request may be sent.
#[derive(Clone, Debug)]
#[expect(clippy::exhaustive_enums, reason = "a driver has to handle each")]
pub enum Access {
    /// No: this is why. A refusal stays until the credentials are reset or a session is adopted, a
    /// pause (after sessions in which nothing worked, or logins that were not answered) ends by
    /// itself, and what is closed stays so.
    Denied(Error),
    /// Yes, with this.
    Granted(Grant),
    /// Not yet: drive the machine until it [is settled](Session::is_settled) or
    /// [has paused](Session::take_pause), and ask again if it has no
    /// [failure](Session::take_failure) to tell.
    Pending,
}

/// What the machine wants from its driver.
#[derive(Debug)]
#[expect(clippy::exhaustive_enums, reason = "a driver has to handle each")]
pub enum Output {
    /// Something happened that users may want to know.
    Event(Event),
    /// Ask for the headers that what stands in front of the server wants on this exchange, and
    /// answer with [`supply_front_headers`](Session::supply_front_headers). Only with
    /// [`front_headers`](super::SessionConfig::front_headers).
    FrontHeaders(ExchangeId),
    /// Ask the credential provider and answer with
    /// [`supply_credentials`](Session::supply_credentials).
    NeedCredentials(ExchangeId),
    /// Send this request and answer with [`handle_response`](Session::handle_response).
    Send(Box<Exchange>),
    /// A session has been opened, or the cookies of the one in use have changed: keep this for
    /// those who share it. Only with [`records`](super::SessionConfig::records).
    Store(Box<SessionRecord>),
    /// Nothing more now; call [`handle_timeout`](Session::handle_timeout) at this instant. With
    /// `None`, nothing is under way.
    Wait(Option<Instant>),
}

/// A request of the session's own.
#[derive(Clone)]
#[non_exhaustive]
pub struct Exchange {
    /// Names it in [`Session::handle_response`].
    pub id: ExchangeId,
    /// The request. A driver adds the [`RequestContext`](crate::RequestContext) that transports
    /// want.
    pub request: Request<Bytes>,
    /// After this the machine no longer awaits the answer. That of a login is worth waiting for a
    /// while longer and reporting all the same: the session it opens is then logged out.
    pub deadline: Instant,
    /// What it is for.
    pub purpose: Purpose,
    /// Nobody waits for the answer: it may be sent in the background.
    pub detached: bool,
    /// Why it is sent, where the input does not tell.
    pub(crate) why: Why,
}

impl fmt::Debug for Exchange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Neither headers nor body: they hold tokens, cookies and, in a login, the password.
        f.debug_struct("Exchange")
            .field("id", &self.id)
            .field("purpose", &self.purpose)
            .field("method", self.request.method())
            .field("path", &self.request.uri().path())
            .field("deadline", &self.deadline)
            .field("detached", &self.detached)
            .finish_non_exhaustive()
    }
}

/// Why an exchange is sent, where the input before it does not tell.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) enum Why {
    /// The input asks for it, or leads to it.
    #[default]
    Input,
    /// A pause is over.
    Due,
    /// The session has been idle for so long, longer than it may be.
    Idle { idle: Duration, limit: Duration },
}

/// Names one exchange of one session.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct ExchangeId(pub(super) u64);

impl ExchangeId {
    pub(crate) const fn number(self) -> u64 {
        self.0
    }
}

/// What an exchange of the session's own is for.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum Purpose {
    /// Borrow a session with an identity token.
    Delegate,
    /// Learn the session's idle timeout, or whether it lives.
    Inspect,
    /// Find the project that was asked for.
    ListProjects,
    /// Open a session.
    Login,
    /// End a session.
    Logout,
    /// Extend an idle session.
    Renew,
    /// Learn the server's version.
    Status,
}

impl Purpose {
    /// The name in log events and errors.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Delegate => "delegate",
            Self::Inspect => "session info",
            Self::ListProjects => "project list",
            Self::Login => "login",
            Self::Logout => "logout",
            Self::Renew => "renew",
            Self::Status => "server status",
        }
    }

    /// Where such an exchange goes, below the base URL.
    pub(super) const fn path(self) -> &'static str {
        match self {
            Self::Delegate => "/api/auth/delegate",
            Self::Inspect | Self::Renew => "/api/sessions",
            Self::ListProjects => "/api/projects",
            Self::Login => "/api/auth/login",
            Self::Logout => "/api/auth/logout",
            Self::Status => "/api/status",
        }
    }

    /// Whether a success opens a session on the server.
    #[must_use]
    pub const fn opens_session(self) -> bool {
        matches!(self, Self::Delegate | Self::Login)
    }
}

/// What has happened to a session.
///
/// Written, for example to a log, it has the key `event`, the variant's name in `snake_case`, and what
/// the variant holds.
///
/// ```
/// use std::time::Duration;
///
/// use mstr_core::Event;
///
/// let event = Event::TimeoutAssumed { timeout: Duration::from_secs(300) };
/// let written = serde_json::to_string(&event)?;
/// assert_eq!(written, r#"{"event":"timeout_assumed","timeout":"5m"}"#);
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum Event {
    /// The server is too old to be told the application's id, which is left out from now on.
    ApplicationIdDropped,
    /// The connection has been closed.
    Closed(CloseOutcome),
    /// The server, or what stands in front of it, has set a cookie for which there is no room: one
    /// may have 4 KiB, all together may have 7 KiB and be 64. It is not sent. The first one of each
    /// session is told.
    CookieIgnored {
        /// Its name, of which the beginning is shown.
        name: String,
    },
    /// A session has ended and will be replaced if it can be.
    Lost {
        /// Which.
        generation: Generation,
        /// Why.
        reason: LossReason,
    },
    /// A session has been opened, or adopted.
    Opened {
        /// Which.
        generation: Generation,
    },
    /// The server refuses the credentials.
    Rejected(Error),
    /// An idle session has been extended.
    Renewed {
        /// Which.
        generation: Generation,
    },
    /// The server did not know several sessions in a row right after it had opened them, as behind
    /// a load balancer that does not keep to one server: it needs sticky sessions. Until a session
    /// lasts, one is opened in 30 seconds. Told once until then.
    NotSticky,
    /// A session has been given up for another one.
    Replaced {
        /// The one given up.
        generation: Generation,
    },
    /// The server does not tell its version, or what stands in front of it answered in its place:
    /// it is taken for a current one.
    VersionUnknown,
    /// The server does not tell how long a session may be idle.
    TimeoutAssumed {
        /// What is assumed.
        #[serde(with = "duration")]
        timeout: Duration,
    },
}

/// How closing a connection ended. Written, it has the key `outcome`, and those of an [`Error`].
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
#[serde(tag = "outcome", rename_all = "snake_case")]
pub enum CloseOutcome {
    /// The session had already ended on the server.
    AlreadyEnded,
    /// The server did not confirm; the session ends with its idle timeout. After
    /// [`NotSticky`](Event::NotSticky) this is also said where the server does not know the session.
    Failed(Error),
    /// The session is borrowed and has been left to its owner.
    Kept,
    /// The server has ended the session.
    LoggedOut,
    /// No session was open.
    NotOpen,
}

/// Why a session was lost.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq, Serialize)]
#[non_exhaustive]
#[serde(rename_all = "snake_case")]
pub enum LossReason {
    /// It had been idle for so long that the server ended it.
    Expired,
    /// The server refused a request: the session is gone.
    Refused,
}

/// What a driver's user can ask for.
#[derive(Debug)]
#[non_exhaustive]
pub enum Command {
    /// End the session for good.
    Logout {
        /// Also a session that was borrowed with an identity token.
        even_if_borrowed: bool,
    },
    /// Extend the session now, or open one.
    Renew,
    /// Forget a refusal and log in with these from now on; `None` to ask the provider again.
    Reset(Option<Credentials>),
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::ErrorKind;

    #[test]
    fn events_are_written_flat_and_without_words_of_the_server() {
        let error = || Error::new(ErrorKind::Timeout, "hush").with_operation("logout");
        let (generation, reason) = (Generation::from_number(3), LossReason::Expired);
        for (event, written) in [
            (Event::NotSticky, r#"{"event":"not_sticky"}"#),
            (
                Event::Lost { generation, reason },
                r#"{"event":"lost","generation":3,"reason":"expired"}"#,
            ),
            (Event::Closed(CloseOutcome::Kept), r#"{"event":"closed","outcome":"kept"}"#),
            (
                Event::Closed(CloseOutcome::Failed(error())),
                r#"{"event":"closed","outcome":"failed","kind":"timeout","operation":"logout"}"#,
            ),
            (
                Event::Rejected(error()),
                r#"{"event":"rejected","kind":"timeout","operation":"logout"}"#,
            ),
        ] {
            assert_eq!(serde_json::to_string(&event).expect("plain"), written);
        }
    }
}
