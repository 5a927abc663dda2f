//! One entry: what happened, when, and what it came of.

use std::time::Duration;

use crate::contract::TransportErrorKind;
use crate::generation::Generation;

/// One thing that happened, as it lies in the ring. It is copied, and owns nothing.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Entry {
    /// Counts the entries, from 1.
    pub(crate) seq: u64,
    /// Since the connection was made, in microseconds.
    pub(crate) micros: u64,
    /// What it came of; 0 if nothing did.
    pub(crate) cause: u64,
    /// The session it is about.
    pub(crate) generation: Generation,
    /// The exchange of the session's own that it is about; 0 if none is.
    pub(crate) exchange: u32,
    /// The path it is about, by its number; 0 if none is.
    pub(crate) path: u32,
    pub(crate) what: What,
    /// Where the chain of its causes ends.
    pub(crate) root: Root,
}

/// What happened: an input of a machine that changed something, or an output.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum What {
    Answered {
        subject: Subject,
        status: u16,
        code: u16,
    },
    Asked,
    CloseAsked,
    Closed(Closing),
    Dropped,
    Failed {
        subject: Subject,
        kind: TransportErrorKind,
    },
    /// In seconds.
    Idle {
        idle: u32,
        limit: u32,
    },
    Late(Subject),
    /// In seconds; 0 where the idle time was not the matter.
    Lost {
        expired: bool,
        idle: u32,
        limit: u32,
    },
    Opened,
    PauseOver,
    Rejected,
    RenewAsked,
    RenewDue,
    Renewed,
    Repeats(Reason),
    Replaced,
    ResetAsked,
    Sent(Subject),
    Shared {
        callers: u32,
    },
    Supplied {
        given: bool,
    },
    Waits {
        reason: Reason,
        millis: u32,
    },
    Wanted,
}

/// What an answer is to.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Subject {
    Call,
    Credentials,
    Delegate,
    Inspect,
    Login,
    Logout,
    Projects,
    Renew,
    Status,
}

/// How a connection was closed.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Closing {
    AlreadyEnded,
    Failed,
    Kept,
    LoggedOut,
    NotOpen,
}

/// Why a call is sent again.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) enum Reason {
    /// An answer with other cookies may be on its way.
    CookiesToCome,
    /// The attempt failed, and what is wrong may pass.
    #[default]
    Failure,
    NewCookies,
    NewSession,
    Redirect,
    /// The server says when, with `Retry-After`.
    RetryAfter,
    /// The connection was lost before the server took the request.
    Unprocessed,
}

/// Where a chain of causes ends.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) enum Root {
    /// A caller asked.
    #[default]
    Caller,
    Close,
    Dropped,
    /// The session had been idle for longer than it may be.
    Idle,
    /// A call failed below HTTP.
    Network(Option<TransportErrorKind>),
    Renew,
    RenewDue,
    Reset,
    /// The server said this to a call.
    Server {
        status: u16,
        code: u16,
    },
    /// A deadline passed.
    Time,
}

/// A cause: an entry, and where the chain from it ends. What it names may be overwritten by then.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Link {
    pub(crate) seq: u64,
    pub(crate) root: Root,
}

impl Link {
    pub(crate) const fn is_none(self) -> bool {
        self.seq == 0
    }
}

impl Entry {
    pub(crate) const fn at(&self) -> Duration {
        Duration::from_micros(self.micros)
    }
}

impl What {
    /// The root of a chain that ends here.
    pub(crate) const fn root(self) -> Root {
        match self {
            Self::CloseAsked => Root::Close,
            Self::Dropped => Root::Dropped,
            Self::RenewAsked => Root::Renew,
            Self::RenewDue => Root::RenewDue,
            Self::ResetAsked => Root::Reset,
            Self::Idle { .. } => Root::Idle,
            Self::Late(_) | Self::PauseOver => Root::Time,
            Self::Answered { status, code, .. } => Root::Server { status, code },
            Self::Failed { kind, .. } => Root::Network(Some(kind)),
            _ => Root::Caller,
        }
    }

    /// Whether a chain may end here: nothing that this side does is without a cause.
    pub(crate) const fn is_root(self) -> bool {
        match self {
            Self::Answered { subject, .. } | Self::Failed { subject, .. } => {
                matches!(subject, Subject::Call)
            }
            Self::CloseAsked
            | Self::Dropped
            | Self::Idle { .. }
            | Self::PauseOver
            | Self::RenewAsked
            | Self::RenewDue
            | Self::ResetAsked
            | Self::Wanted => true,
            _ => false,
        }
    }

    /// The name by which programs know it.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Answered { .. } => "answered",
            Self::Asked => "credentials_asked",
            Self::CloseAsked => "close_asked",
            Self::Closed(_) => "closed",
            Self::Dropped => "dropped",
            Self::Failed { .. } => "failed",
            Self::Idle { .. } => "idle",
            Self::Late(_) => "late",
            Self::Lost { .. } => "lost",
            Self::Opened => "opened",
            Self::PauseOver => "pause_over",
            Self::Rejected => "rejected",
            Self::RenewAsked => "renew_asked",
            Self::RenewDue => "renew_due",
            Self::Renewed => "renewed",
            Self::Repeats(_) => "repeated",
            Self::Replaced => "replaced",
            Self::ResetAsked => "reset_asked",
            Self::Sent(_) => "sent",
            Self::Shared { .. } => "shared",
            Self::Supplied { .. } => "credentials_supplied",
            Self::Waits { .. } => "waits",
            Self::Wanted => "session_wanted",
        }
    }

    pub(crate) const fn subject(self) -> Option<Subject> {
        match self {
            Self::Answered { subject, .. }
            | Self::Failed { subject, .. }
            | Self::Late(subject)
            | Self::Sent(subject) => Some(subject),
            Self::Repeats(_) | Self::Waits { .. } => Some(Subject::Call),
            _ => None,
        }
    }
}

impl Subject {
    pub(crate) const COUNT: usize = Self::Status as usize + 1;

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Call => "call",
            Self::Credentials => "credentials",
            Self::Delegate => "delegate",
            Self::Inspect => "session info",
            Self::Login => "login",
            Self::Logout => "logout",
            Self::Projects => "project list",
            Self::Renew => "renew",
            Self::Status => "server status",
        }
    }

    pub(crate) const fn opens_session(self) -> bool {
        matches!(self, Self::Delegate | Self::Login)
    }
}

impl Root {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Caller => "caller",
            Self::Close => "close",
            Self::Dropped => "dropped",
            Self::Idle => "idle",
            Self::Network(_) => "network",
            Self::Renew => "renew",
            Self::RenewDue => "renew_due",
            Self::Reset => "reset",
            Self::Server { .. } => "server",
            Self::Time => "deadline",
        }
    }
}

/// The number of `ERR…`, as far as there is one.
pub(crate) fn code_of(number: Option<u32>) -> u16 {
    number.and_then(|number| u16::try_from(number).ok()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entry_is_small() {
        assert!(size_of::<Entry>() <= 64, "{}", size_of::<Entry>());
    }
}
