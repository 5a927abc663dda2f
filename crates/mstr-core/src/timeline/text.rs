//! How a timeline is printed.

use std::fmt::{self, Display, Formatter};

use super::entry::{Closing, Entry, Reason, Root, Subject, What};
use super::{Timeline, TimelineEntry};
use crate::contract::TransportErrorKind;
use crate::generation::Generation;

impl Display for Timeline {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let mut between = "";
        for entry in self.entries.iter().filter(|entry| self.is_last(entry)) {
            let at = entry.at();
            write!(f, "{between}+{}.{:03} s ", at.as_secs(), at.subsec_millis())?;
            self.line(f, entry)?;
            between = "\n";
        }
        Ok(())
    }
}

impl Timeline {
    /// Whether nothing came of it, which would show it.
    fn is_last(&self, entry: &Entry) -> bool {
        !self.entries.iter().any(|other| other.cause == entry.seq)
    }

    /// An entry and the chain of its causes.
    fn line(&self, f: &mut Formatter<'_>, entry: &Entry) -> fmt::Result {
        let mut last = entry;
        self.phrase(f, entry)?;
        for cause in self.causes(entry.seq).skip(1) {
            if !is_said(last, cause) {
                f.write_str(" <- ")?;
                self.phrase(f, cause)?;
            }
            last = cause;
        }
        if last.cause != 0 {
            write!(f, " <- … <- {}", last.root)?;
        }
        Ok(())
    }

    /// What happened, in words.
    pub(super) fn phrase(&self, f: &mut Formatter<'_>, entry: &Entry) -> fmt::Result {
        let path = self.path(entry).unwrap_or("a call");
        match entry.what {
            What::Answered { subject, status, code } => {
                write!(f, "{}", Said { status, code })?;
                match subject {
                    Subject::Call => write!(f, " on {path}")?,
                    subject => write!(f, " on {}", subject.name())?,
                }
            }
            What::Asked => f.write_str("credentials were asked for")?,
            What::CloseAsked => f.write_str("close was asked for")?,
            What::Closed(closing) => write!(f, "closed: {}", closing.words())?,
            What::Dropped => f.write_str("the last handle was dropped")?,
            What::Failed { subject, kind } => {
                let subject = if subject == Subject::Call { path } else { subject.name() };
                write!(f, "{subject} failed: {}", failure(kind))?;
            }
            What::Idle { idle, limit } => {
                write!(f, "idle {}, the limit is {}", Lasted::secs(idle), Lasted::secs(limit))?;
            }
            What::Late(subject) => write!(f, "no answer to {} in time", subject.name())?,
            What::Lost { expired, idle, limit } => {
                write!(f, "session {}", entry.generation)?;
                f.write_str(if expired { " expired" } else { " lost" })?;
                if idle > 0 {
                    let (idle, limit) = (Lasted::secs(idle), Lasted::secs(limit));
                    write!(f, ": idle {idle}, the limit is {limit}")?;
                }
                return Ok(());
            }
            What::Opened => write!(f, "login (session {})", entry.generation)?,
            What::PauseOver => f.write_str("a pause was over")?,
            What::Rejected => f.write_str("the server refuses the credentials")?,
            What::RenewAsked => f.write_str("renew was asked for")?,
            What::RenewDue => f.write_str("a renewal was due")?,
            What::Renewed => write!(f, "session {} renewed", entry.generation)?,
            What::Repeats(reason) => write!(f, "{path} repeated {}", reason.words())?,
            What::Replaced => write!(f, "session {} replaced", entry.generation)?,
            What::ResetAsked => f.write_str("the credentials were reset")?,
            What::Sent(subject) => f.write_str(subject.name())?,
            What::Shared { callers } => write!(f, "one login for {callers} callers")?,
            What::Supplied { given: true } => f.write_str("credentials were supplied")?,
            What::Supplied { given: false } => f.write_str("no credentials were supplied")?,
            What::Waits { reason, millis } => {
                write!(f, "{path} waits {} {}", Lasted(millis.into()), reason.words())?;
            }
            What::Wanted => f.write_str("a caller needs a session")?,
        }
        let named = matches!(entry.what, What::Opened | What::Renewed | What::Replaced);
        if !named && entry.generation != Generation::NONE && entry.what.subject().is_some() {
            write!(f, " (session {})", entry.generation)?;
        }
        Ok(())
    }
}

/// Whether a cause is in the words of what it led to already: the exchange in those of its answer, the
/// caller in those of the loss.
const fn is_said(effect: &Entry, cause: &Entry) -> bool {
    match (effect.what, cause.what) {
        (What::Answered { .. } | What::Failed { .. } | What::Late(_), What::Sent(_))
        | (What::Opened, What::Answered { .. })
        | (What::Rejected, What::Sent(_))
        | (What::Lost { idle: 1.., .. }, What::Idle { .. })
        | (What::Supplied { .. }, What::Asked) => true,
        (What::Sent(_) | What::Asked, What::Wanted) => cause.cause != 0,
        _ => false,
    }
}

impl Display for TimelineEntry<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        self.timeline.phrase(f, self.entry)
    }
}

impl Display for Root {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Caller => f.write_str("a caller asked"),
            Self::Close => f.write_str("close was asked for"),
            Self::Dropped => f.write_str("the last handle was dropped"),
            Self::Idle => f.write_str("the session had been idle for too long"),
            Self::Network(Some(kind)) => write!(f, "a call failed: {}", failure(kind)),
            Self::Network(None) => f.write_str("a call failed"),
            Self::Renew => f.write_str("renew was asked for"),
            Self::RenewDue => f.write_str("a renewal was due"),
            Self::Reset => f.write_str("the credentials were reset"),
            Self::Server { status, code } => {
                write!(f, "the server said {} to a call", Said { status, code })
            }
            Self::Time => f.write_str("a deadline passed"),
        }
    }
}

/// A status, and the code that the server gave with it.
struct Said {
    status: u16,
    code: u16,
}

impl Display for Said {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self.code {
            0 => write!(f, "{}", self.status),
            code => write!(f, "{} ERR{code:03}", self.status),
        }
    }
}

/// A time in milliseconds, as people say it.
struct Lasted(u64);

impl Lasted {
    fn secs(secs: u32) -> Self {
        Self(u64::from(secs) * 1_000)
    }
}

impl Display for Lasted {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self.0 {
            ms @ ..1_000 => write!(f, "{ms} ms"),
            ms @ ..120_000 if ms % 1_000 == 0 => write!(f, "{} s", ms / 1_000),
            ms @ ..120_000 => write!(f, "{}.{} s", ms / 1_000, ms % 1_000 / 100),
            ms @ ..7_200_000 => write!(f, "{} min", ms / 60_000),
            ms => write!(f, "{} h", ms / 3_600_000),
        }
    }
}

impl Reason {
    const fn words(self) -> &'static str {
        match self {
            Self::CookiesToCome => "for cookies that may be on their way",
            Self::Failure => "because that may pass",
            Self::NewCookies => "with new cookies",
            Self::NewSession => "in a new session",
            Self::Redirect => "where it was redirected",
            Self::RetryAfter => "as the server asks (Retry-After)",
            Self::Unprocessed => "because the server had not taken it",
        }
    }
}

impl Closing {
    pub(super) const fn words(self) -> &'static str {
        match self {
            Self::AlreadyEnded => "the session had ended",
            Self::Failed => "the server did not confirm",
            Self::Kept => "the borrowed session was left to its owner",
            Self::LoggedOut => "logged out",
            Self::NotOpen => "no session was open",
        }
    }
}

/// What failed below HTTP, in a word.
pub(super) const fn failure(kind: TransportErrorKind) -> &'static str {
    match kind {
        TransportErrorKind::Body => "the caller's body",
        TransportErrorKind::Canceled => "canceled",
        TransportErrorKind::Config => "a setting",
        TransportErrorKind::Connect => "no connection",
        TransportErrorKind::Interrupted => "the connection was lost",
        TransportErrorKind::Protocol => "not HTTP",
        TransportErrorKind::Timeout => "no answer in time",
        TransportErrorKind::Tls => "TLS",
        TransportErrorKind::TooLarge => "too large",
    }
}
