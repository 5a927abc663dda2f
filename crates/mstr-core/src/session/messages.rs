//! The inputs and outputs of the machine.

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

/// A request of the machine to its driver.
#[derive(Debug)]
#[expect(clippy::exhaustive_enums, reason = "a driver has to handle each")]
pub enum Output {
    /// Something has happened to the session: tell the subscribers.
    Event(Event),
    /// Ask the header provider for the headers of this exchange, and answer with [`supply_front_headers`](Session::supply_front_headers). Only with
    /// [`front_headers`](super::SessionConfig::front_headers).
    FrontHeaders(ExchangeId),
    /// Ask the credential provider and answer with
    /// [`supply_credentials`](Session::supply_credentials).
    NeedCredentials(ExchangeId),
    /// Send this request and answer with [`handle_response`](Session::handle_response).
    Send(Box<Exchange>),
    /// A session has been opened, or the cookies of the one in use have changed: store this for the
    /// other machines that share it. Only with [`records`](super::SessionConfig::records).
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
    /// The purpose of the exchange.
    pub purpose: Purpose,
    /// No caller waits for the answer: the request may be sent in the background.
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
    /// The same, and it is given up with the login that was sent before it.
    BesideLogin,
    /// A pause is over.
    Due,
    /// The session has been idle for so many seconds, longer than it may be. Every session keeps room
    /// for them.
    Idle { idle: u32, limit: u32 },
}

/// Names one exchange of one session.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct ExchangeId(pub(super) u64);

impl ExchangeId {
    pub(crate) const fn number(self) -> u64 {
        self.0
    }
}

/// The purpose of an exchange of the session's own.
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

/// Something that has happened to a session, from [`Events`](crate::Events).
///
/// Serialised, an event has the key `event` with the variant's name in `snake_case`, and the variant's
/// fields:
///
/// ```
/// # use mstr_core as mstr;
/// use std::time::Duration;
///
/// use mstr::Event;
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
    /// The server is too old for the id of the application. The id is left out from now on.
    ApplicationIdDropped,
    /// The connection has been closed.
    Closed(CloseOutcome),
    /// A cookie has been ignored because it exceeds a limit: 4 KiB for one cookie, 7 KiB and 64 cookies
    /// for all together. Only the first ignored cookie of each session is reported.
    CookieIgnored {
        /// The beginning of its name.
        name: String,
    },
    /// A session has ended. The next call replaces it if it can be replaced.
    Lost {
        /// The session that has ended.
        generation: Generation,
        /// Why it has ended.
        reason: LossReason,
    },
    /// A session has been opened, or adopted.
    Opened {
        /// The new session.
        generation: Generation,
    },
    /// The server refuses the credentials.
    Rejected(Error),
    /// An idle session has been extended.
    Renewed {
        /// The extended session.
        generation: Generation,
    },
    /// Several sessions in a row were unknown to the server right after it had opened them. The usual
    /// reason is a load balancer that sends requests to different servers: enable sticky sessions on
    /// it. Until a session lasts, at most one is opened every 30 seconds. Reported once until then.
    NotSticky,
    /// A session has been given up for another one.
    Replaced {
        /// The session that was given up.
        generation: Generation,
    },
    /// The server's version is not known: the server does not report it, or a gateway answered in its
    /// place. The server is treated as a current one.
    VersionUnknown,
    /// The server does not report the idle timeout of the session.
    TimeoutAssumed {
        /// The timeout that is assumed.
        #[serde(with = "duration")]
        timeout: Duration,
    },
}

/// How closing a connection ended, from [`close`](crate::Connection::close).
///
/// ```
/// # use mstr_core as mstr;
/// use mstr::{CloseOutcome, Connection};
///
/// async fn finish(connection: Connection) {
///     if let CloseOutcome::Failed(error) = connection.close().await {
///         eprintln!("the session stays open for a while: {}", error.report());
///     }
/// }
/// ```
///
/// Serialised, it has the key `outcome`, and for `Failed` those of an [`Error`].
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
#[serde(tag = "outcome", rename_all = "snake_case")]
pub enum CloseOutcome {
    /// The session had already ended on the server.
    AlreadyEnded,
    /// The server did not confirm the logout; the session ends with its idle timeout. After
    /// [`NotSticky`](Event::NotSticky) this is also the outcome if the server does not know the
    /// session.
    Failed(Error),
    /// The session is borrowed and stays open for its owner.
    Kept,
    /// The server has ended the session.
    LoggedOut,
    /// No session was open.
    NotOpen,
}

impl fmt::Display for CloseOutcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::AlreadyEnded => "the session had already ended",
            Self::Failed(error) => return write!(f, "the logout failed: {error}"),
            Self::Kept => "the borrowed session was left to its owner",
            Self::LoggedOut => "logged out",
            Self::NotOpen => "no session was open",
        })
    }
}

/// Why a session was lost.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq, Serialize)]
#[non_exhaustive]
#[serde(rename_all = "snake_case")]
pub enum LossReason {
    /// The session was idle for too long.
    Expired,
    /// The server refused a request because the session no longer exists.
    Refused,
}

/// A command of the driver's user.
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
