//! The states of the machine. Each carries what means something in it and nowhere else.

use std::time::{Duration, Instant};

use super::held::Held;
use super::messages::{CloseOutcome, ExchangeId, Purpose};
use crate::error::Error;
use crate::timeouts::later;

#[derive(Debug)]
pub(super) enum State {
    /// The provider has been asked.
    AwaitingCredentials(InFlight),
    /// An attempt to log in failed for a passing reason; the next one begins then.
    BackingOff { until: Instant, attempts: u32, failure: Error },
    /// Over.
    Closed(CloseOutcome),
    /// Closed while a login was under way: its answer is awaited, to log it out.
    ClosingLogin(InFlight),
    /// No session, and none asked for.
    Idle {
        /// Why the last attempt to open one failed, until the waiting callers have been told.
        failure: Option<Error>,
    },
    /// The session is being logged out.
    Leaving {
        after: After,
        /// To ask again with, until the server has confirmed.
        held: Box<Held>,
        slot: Box<Slot>,
    },
    /// A login or delegation is under way.
    LoggingIn {
        exchange: InFlight,
        attempts: u32,
        /// The server is asked for its version meanwhile. Nothing waits for the answer.
        status: Option<Box<InFlight>>,
    },
    /// A session can be used.
    Open {
        held: Box<Held>,
        renewing: Option<Box<Renewing>>,
        /// Why a renewal that was asked for failed, until the waiting callers have been told.
        failure: Option<Error>,
    },
    /// The server refuses the credentials, or a session that cannot be replaced has ended.
    Refused(Error),
    /// A session has been opened and is being checked for the first time.
    Settling { held: Box<Held>, checks: Checks },
}

/// The next step after a session has been logged out.
#[derive(Debug)]
pub(super) enum After {
    /// The connection is closed.
    Close,
    /// Waiting callers receive this error, if there is one.
    Fail(Option<Error>),
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
    /// How long the answer is awaited, in milliseconds: a state is no larger for it.
    limit: u32,
    /// A success borrows the session of another client, which is not ours to log out.
    pub(super) borrows: bool,
}

impl InFlight {
    /// Sent now. A limit of more than 49 days is one of 49 days.
    pub(super) fn new(id: ExchangeId, limit: Duration, now: Instant) -> Self {
        let limit = u32::try_from(limit.as_millis()).unwrap_or(u32::MAX);
        let mut exchange = Self { id, deadline: now, limit, borrows: false };
        exchange.begin(now);
        exchange
    }

    /// It is sent now, and not when it was asked for.
    pub(super) fn begin(&mut self, now: Instant) {
        self.deadline = later(now, Duration::from_millis(self.limit.into()));
    }

    pub(super) fn sent_at(&self) -> Instant {
        let limit = Duration::from_millis(self.limit.into());
        self.deadline.checked_sub(limit).unwrap_or(self.deadline)
    }
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
        /// How often it was asked in the session: 0 if it was sent beside the login.
        attempts: u32,
    },
    Waiting {
        until: Instant,
        attempts: u32,
        failure: Error,
    },
}

/// The exchange under way beside a session that is in use. One at a time, for all waiting callers.
#[derive(Debug)]
pub(super) struct Renewing {
    pub(super) what: Beside,
    pub(super) exchange: InFlight,
    /// Of the cookies it was sent with.
    pub(super) epoch: u64,
    /// Nothing may be sent before the answer: the session has been idle for so long that it has
    /// probably ended.
    pub(super) required: bool,
    /// When a caller asked for it last. The outcome is reported.
    pub(super) asked_at: Option<Instant>,
    /// How often it was refused, perhaps because it crossed an answer with another cookie.
    pub(super) crossed: u32,
    /// It is sent again at its exchange's deadline.
    pub(super) rests: bool,
}

impl Renewing {
    pub(super) const fn new(what: Beside, exchange: InFlight, epoch: u64) -> Self {
        let (required, asked_at, crossed, rests) = (false, None, 0, false);
        Self { what, exchange, epoch, required, asked_at, crossed, rests }
    }
}

/// The kinds of exchanges beside a session that is in use.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Beside {
    /// The provider has been asked, for a login that is to replace the session.
    Credentials,
    /// A login that is to replace the session.
    Login,
    /// Whether the session lives.
    Question,
    Renewal,
}

/// The checks of a new session, and how far each is.
#[derive(Debug, Default)]
pub(super) struct Checks(pub(super) Vec<(Purpose, Slot)>);

/// Whether the session lives, as long as the server cannot be heard. Not a session's own: what
/// keeps the server from being heard is the same for the next one.
#[derive(Debug, Default, Eq, PartialEq)]
pub(super) struct Doubt {
    /// Questions that decided nothing, since the server was last heard about the session. They grow
    /// rare.
    pub(super) questions: u32,
    /// How many of them in a row, without a success in the session.
    pub(super) undecided: u32,
    /// When the last one decided nothing.
    pub(super) undecided_at: Option<Instant>,
    /// Before this, none is asked.
    pub(super) ask_at: Option<Instant>,
    pub(super) replaced_at: Option<Instant>,
    /// And nothing has succeeded in the new session yet.
    pub(super) replaced: bool,
}

impl Doubt {
    /// Whether there is none, and nothing to remember of an earlier one.
    pub(super) fn is_none(&self) -> bool {
        *self == Self::default()
    }

    /// The server has been heard.
    pub(super) fn dispel(&mut self) {
        *self = Self { replaced_at: self.replaced_at, ..Self::default() };
    }

    /// A request that was sent at `sent_at` has succeeded in the session: it lived then.
    pub(super) fn relieve(&mut self, sent_at: Instant) {
        if self.undecided_at.is_some_and(|at| sent_at >= at) {
            self.undecided = 0;
            if self.replaced {
                // That was the matter, and the next one is found as soon.
                self.dispel();
            }
        }
    }
}

impl Slot {
    pub(super) fn awaits(&self, id: ExchangeId) -> bool {
        matches!(self, Self::InFlight { exchange, .. } if exchange.id == id)
    }

    const fn exchange_mut(&mut self) -> Option<&mut InFlight> {
        match self {
            Self::InFlight { exchange, .. } => Some(exchange),
            _ => None,
        }
    }

    pub(super) const fn deadline(&self) -> Option<Instant> {
        match self {
            Self::Crossed { .. } | Self::Done => None,
            Self::InFlight { exchange, .. } => Some(exchange.deadline),
            Self::Waiting { until, .. } => Some(*until),
        }
    }
}

impl Checks {
    pub(super) fn set(&mut self, purpose: Purpose, slot: Slot) {
        match self.0.iter_mut().find(|(existing, _)| *existing == purpose) {
            Some((_, existing)) => *existing = slot,
            None => self.0.push((purpose, slot)),
        }
    }

    fn awaits(&self, id: ExchangeId) -> bool {
        self.0.iter().any(|(_, slot)| slot.awaits(id))
    }

    fn next_deadline(&self) -> Option<Instant> {
        self.0.iter().filter_map(|(_, slot)| slot.deadline()).min()
    }

    /// A check whose answer is overdue, or (with `false`) whose pause is over.
    pub(super) fn due(&self, now: Instant) -> Option<(Purpose, u32, bool)> {
        self.0.iter().find_map(|(purpose, slot)| match slot {
            Slot::InFlight { exchange, attempts } if now >= exchange.deadline => {
                Some((*purpose, *attempts, true))
            }
            Slot::Waiting { until, attempts, .. } if now >= *until => {
                Some((*purpose, *attempts, false))
            }
            _ => None,
        })
    }

    /// Whether nothing is under way now.
    pub(super) fn rest(&self) -> bool {
        !self.0.iter().any(|(_, slot)| matches!(slot, Slot::InFlight { .. }))
    }

    /// Until when the last of those checks waits that are to be asked again, and why.
    pub(super) fn pause(&self) -> Option<(Instant, &Error)> {
        let waits = self.0.iter().filter_map(|(_, slot)| match slot {
            Slot::Waiting { until, failure, .. } => Some((*until, failure)),
            _ => None,
        });
        waits.max_by_key(|(until, _)| *until)
    }

    /// A check to ask again, alone, once nothing is under way that it could cross.
    pub(super) fn next_crossed(&self) -> Option<(Purpose, u32)> {
        let busy = |slot: &Slot| matches!(slot, Slot::InFlight { .. } | Slot::Waiting { .. });
        if self.0.iter().any(|(_, slot)| busy(slot)) {
            return None;
        }
        self.0.iter().find_map(|(purpose, slot)| match slot {
            Slot::Crossed { attempts } => Some((*purpose, *attempts)),
            Slot::Done | Slot::InFlight { .. } | Slot::Waiting { .. } => None,
        })
    }

    pub(super) fn is_done(&self) -> bool {
        self.0.iter().all(|(_, slot)| matches!(slot, Slot::Done))
    }
}

impl State {
    pub(super) const fn idle() -> Self {
        Self::Idle { failure: None }
    }

    pub(super) const fn open(held: Box<Held>) -> Self {
        Self::Open { held, renewing: None, failure: None }
    }

    /// The session that there is, usable or not yet.
    pub(super) const fn held(&self) -> Option<&Held> {
        match self {
            Self::Open { held, .. } | Self::Settling { held, .. } => Some(held),
            _ => None,
        }
    }

    pub(super) const fn held_mut(&mut self) -> Option<&mut Held> {
        match self {
            Self::Open { held, .. } | Self::Settling { held, .. } => Some(held),
            _ => None,
        }
    }

    /// The same, or the one that is being logged out.
    pub(super) const fn any_held_mut(&mut self) -> Option<&mut Held> {
        match self {
            Self::Leaving { held, .. } | Self::Open { held, .. } | Self::Settling { held, .. } => {
                Some(held)
            }
            _ => None,
        }
    }

    /// Takes the session that there is; without one the state stays.
    pub(super) fn take_held(&mut self) -> Option<Box<Held>> {
        match std::mem::replace(self, Self::idle()) {
            Self::Open { held, .. } | Self::Settling { held, .. } => Some(held),
            other => {
                *self = other;
                None
            }
        }
    }

    /// Takes the question about the server's version that was sent beside a login.
    pub(super) const fn take_status(&mut self) -> Option<Box<InFlight>> {
        match self {
            Self::LoggingIn { status, .. } => status.take(),
            _ => None,
        }
    }

    /// Whether the connection is closed, or about to be.
    pub(super) const fn is_closing(&self) -> bool {
        matches!(
            self,
            Self::Closed(_) | Self::ClosingLogin(_) | Self::Leaving { after: After::Close, .. }
        )
    }

    pub(super) fn next_deadline(&self) -> Option<Instant> {
        match self {
            Self::AwaitingCredentials(exchange)
            | Self::ClosingLogin(exchange)
            | Self::LoggingIn { exchange, .. } => Some(exchange.deadline),
            Self::BackingOff { until, .. } => Some(*until),
            Self::Leaving { slot, .. } => slot.deadline(),
            Self::Open { renewing, .. } => {
                renewing.as_ref().map(|renewing| renewing.exchange.deadline)
            }
            Self::Settling { checks, .. } => checks.next_deadline(),
            Self::Closed(_) | Self::Idle { .. } | Self::Refused(_) => None,
        }
    }

    pub(super) fn awaits(&self, id: ExchangeId) -> bool {
        match self {
            Self::AwaitingCredentials(exchange) | Self::ClosingLogin(exchange) => exchange.id == id,
            Self::LoggingIn { exchange, status, .. } => {
                exchange.id == id || status.as_ref().is_some_and(|status| status.id == id)
            }
            Self::Leaving { slot, .. } => slot.awaits(id),
            Self::Open { renewing, .. } => {
                renewing.as_ref().is_some_and(|renewing| renewing.exchange.id == id)
            }
            Self::Settling { checks, .. } => checks.awaits(id),
            Self::BackingOff { .. } | Self::Closed(_) | Self::Idle { .. } | Self::Refused(_) => {
                false
            }
        }
    }

    /// The exchange of that number, if its answer is awaited.
    pub(super) fn exchange_mut(&mut self, id: ExchangeId) -> Option<&mut InFlight> {
        let found = match self {
            Self::AwaitingCredentials(exchange) | Self::ClosingLogin(exchange) => Some(exchange),
            Self::LoggingIn { exchange, .. } if exchange.id == id => Some(exchange),
            Self::LoggingIn { status, .. } => status.as_deref_mut(),
            Self::Leaving { slot, .. } => slot.exchange_mut(),
            Self::Open { renewing, .. } => renewing.as_mut().map(|renewing| &mut renewing.exchange),
            Self::Settling { checks, .. } => {
                let mut slots = checks.0.iter_mut().map(|(_, slot)| slot);
                slots.find(|slot| slot.awaits(id)).and_then(Slot::exchange_mut)
            }
            Self::BackingOff { .. } | Self::Closed(_) | Self::Idle { .. } | Self::Refused(_) => {
                None
            }
        };
        found.filter(|exchange| exchange.id == id)
    }

    pub(super) const fn is_busy(&self) -> bool {
        !matches!(
            self,
            Self::Closed(_)
                | Self::Idle { .. }
                | Self::Refused(_)
                | Self::Open { renewing: None, .. }
        )
    }

    pub(super) const fn name(&self) -> &'static str {
        match self {
            Self::AwaitingCredentials(_) => "awaiting credentials",
            Self::BackingOff { .. } => "backing off",
            Self::Closed(_) => "closed",
            Self::ClosingLogin(_) | Self::Leaving { after: After::Close, .. } => "closing",
            Self::Idle { .. } => "idle",
            Self::Leaving { .. } => "leaving a session",
            Self::LoggingIn { .. } => "logging in",
            Self::Open { renewing: Some(beside), .. } => match beside.what {
                Beside::Renewal => "renewing",
                Beside::Question => "asking about the session",
                Beside::Credentials | Beside::Login => "replacing the session",
            },
            Self::Open { renewing: None, .. } => "open",
            Self::Refused(_) => "refused",
            Self::Settling { .. } => "checking the session",
        }
    }
}
