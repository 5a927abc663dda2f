//! The states of the machine, and what it holds while it has a session.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::{ExchangeId, settling::Settling};
use crate::call::later;
use crate::error::Error;
use crate::protocol::{AuthToken, CookieJar, Generation, Grant, WireCredentials, wire};

/// The share of the idle timeout that is kept in reserve when renewing, and its bounds.
const RENEWAL_MARGIN_SHARE: u32 = 5;
const LONGEST_RENEWAL_MARGIN: Duration = Duration::from_secs(60);

#[derive(Debug)]
pub(super) enum State {
    /// The provider has been asked.
    AwaitingCredentials(InFlight),
    /// An attempt to log in failed for a passing reason; the next one begins then.
    BackingOff { until: Instant },
    /// Over.
    Closed(CloseOutcome),
    /// Closed while a login was under way: its answer is awaited, to log it out.
    ClosingLogin(InFlight),
    /// No session, and none asked for.
    Idle,
    /// The session is being logged out.
    Leaving { after: After, slot: Slot },
    /// A login or delegation is under way.
    LoggingIn(InFlight),
    /// A session can be used.
    Open { renewing: Option<Renewing> },
    /// The server refuses the credentials, or a session that cannot be replaced has ended.
    Refused(Error),
    /// A session has been opened and is being checked for the first time.
    Settling(Settling),
}

/// What follows when a session has been logged out.
#[derive(Debug)]
pub(super) enum After {
    /// The connection is closed.
    Close,
    /// Those who wait receive this error.
    Fail(Error),
    /// Another login, as another type of application.
    LogInAgain,
    /// The credentials that were to be used instead cannot be.
    Refuse(Error),
}

/// An exchange whose answer is awaited.
#[derive(Clone, Copy, Debug)]
pub(super) struct InFlight {
    pub(super) id: ExchangeId,
    pub(super) deadline: Instant,
    /// A success borrows somebody's session, which is then not ours to log out.
    pub(super) borrows: bool,
}

/// One of several exchanges that are tried side by side.
#[derive(Debug)]
pub(super) enum Slot {
    /// Refused, perhaps because it crossed another one's answer. Asked again once no other is
    /// under way.
    Crossed {
        attempts: u32,
    },
    Done,
    InFlight {
        exchange: InFlight,
        attempts: u32,
    },
    Waiting {
        until: Instant,
        attempts: u32,
    },
}

#[derive(Debug)]
pub(super) struct Renewing {
    pub(super) exchange: InFlight,
    /// Of the cookies it was sent with.
    pub(super) epoch: u64,
    /// Nothing may be sent before the answer: the session has been idle for so long that it has
    /// probably ended.
    pub(super) required: bool,
    /// The outcome is reported to whoever asked for it.
    pub(super) asked_for: bool,
}

impl Slot {
    pub(super) fn awaits(&self, id: ExchangeId) -> bool {
        matches!(self, Self::InFlight { exchange, .. } if exchange.id == id)
    }

    pub(super) const fn deadline(&self) -> Option<Instant> {
        match self {
            Self::Crossed { .. } | Self::Done => None,
            Self::InFlight { exchange, .. } => Some(exchange.deadline),
            Self::Waiting { until, .. } => Some(*until),
        }
    }
}

impl State {
    pub(super) fn next_deadline(&self) -> Option<Instant> {
        match self {
            Self::AwaitingCredentials(exchange)
            | Self::ClosingLogin(exchange)
            | Self::LoggingIn(exchange) => Some(exchange.deadline),
            Self::BackingOff { until } => Some(*until),
            Self::Leaving { slot, .. } => slot.deadline(),
            Self::Open { renewing } => renewing.as_ref().map(|renewing| renewing.exchange.deadline),
            Self::Settling(settling) => settling.next_deadline(),
            Self::Closed(_) | Self::Idle | Self::Refused(_) => None,
        }
    }

    pub(super) fn awaits(&self, id: ExchangeId) -> bool {
        match self {
            Self::AwaitingCredentials(exchange)
            | Self::ClosingLogin(exchange)
            | Self::LoggingIn(exchange) => exchange.id == id,
            Self::Leaving { slot, .. } => slot.awaits(id),
            Self::Open { renewing } => {
                renewing.as_ref().is_some_and(|renewing| renewing.exchange.id == id)
            }
            Self::Settling(settling) => settling.awaits(id),
            Self::BackingOff { .. } | Self::Closed(_) | Self::Idle | Self::Refused(_) => false,
        }
    }

    pub(super) const fn is_busy(&self) -> bool {
        !matches!(
            self,
            Self::Closed(_) | Self::Idle | Self::Refused(_) | Self::Open { renewing: None }
        )
    }

    pub(super) const fn name(&self) -> &'static str {
        match self {
            Self::AwaitingCredentials(_) => "awaiting credentials",
            Self::BackingOff { .. } => "backing off",
            Self::Closed(_) => "closed",
            Self::ClosingLogin(_) | Self::Leaving { after: After::Close, .. } => "closing",
            Self::Idle => "idle",
            Self::Leaving { .. } => "leaving a session",
            Self::LoggingIn(_) => "logging in",
            Self::Open { renewing: Some(_) } => "renewing",
            Self::Open { renewing: None } => "open",
            Self::Refused(_) => "refused",
            Self::Settling(_) => "checking the session",
        }
    }
}

/// A live session: its token and cookies, swapped together, and how long it lasts.
pub(super) struct Held {
    pub(super) generation: Generation,
    pub(super) epoch: u64,
    pub(super) token: AuthToken,
    pub(super) jar: CookieJar,
    pub(super) wire: Arc<WireCredentials>,
    /// Borrowed with an identity token: not ours to log out, and not replaceable.
    pub(super) borrowed: bool,
    /// Something has succeeded in it.
    pub(super) confirmed: bool,
    pub(super) idle_timeout: Duration,
    pub(super) idle_deadline: Instant,
    pub(super) renew_at: Instant,
    /// From 0 to 1; spreads the renewals of sessions opened together.
    pub(super) jitter: f64,
}

impl Held {
    pub(super) fn grant(&self) -> Grant {
        Grant { generation: self.generation, epoch: self.epoch, wire: Arc::clone(&self.wire) }
    }

    /// The server has seen a request of this session at `at`: its idle time begins anew.
    pub(super) fn touch(&mut self, at: Instant) {
        let margin = (self.idle_timeout / RENEWAL_MARGIN_SHARE).min(LONGEST_RENEWAL_MARGIN);
        let early = margin.mul_f64(1.0 + self.jitter / 4.0);
        let deadline = later(at, self.idle_timeout);
        if deadline > self.idle_deadline {
            self.idle_deadline = deadline;
            self.renew_at = later(at, self.idle_timeout.saturating_sub(early));
        }
    }

    pub(super) fn set_idle_timeout(&mut self, timeout: Duration, at: Instant) {
        self.idle_timeout = timeout;
        self.idle_deadline = at;
        self.touch(at);
    }

    /// Rebuilds the headers after the cookies have changed.
    pub(super) fn refresh(&mut self) {
        self.epoch += 1;
        if let Some(token) = wire::token_header(&self.token) {
            self.wire = Arc::new(WireCredentials { token, cookies: self.jar.header() });
        }
    }
}

impl fmt::Debug for Held {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Held")
            .field("generation", &self.generation.number())
            .field("epoch", &self.epoch)
            .field("borrowed", &self.borrowed)
            .finish_non_exhaustive()
    }
}

/// How closing a connection ended.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum CloseOutcome {
    /// The session had already ended on the server.
    AlreadyEnded,
    /// The server did not confirm; the session ends with its idle timeout.
    Failed(Error),
    /// The session is borrowed and has been left to its owner.
    Kept,
    /// The server has ended the session.
    LoggedOut,
    /// No session was open.
    NotOpen,
}

/// Why a session was lost.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum LossReason {
    /// It had been idle for so long that the server ended it.
    Expired,
    /// The server refused a request: the session is gone.
    Refused,
}
