//! Which credentials were submitted, and what became of them.
//!
//! Servers lock an account after a few wrong passwords, and a login whose answer was lost may have
//! been one. So the server's own refusal is final for what it refused, and without the server's
//! answer the same credentials are submitted once more, and then ever more rarely.

use std::time::{Duration, Instant};

use crate::error::Error;
use crate::protocol::Fingerprint;
use crate::timeouts::later;

/// So many submissions without an answer of the server's may follow one another.
const UNANSWERED_LIMIT: u32 = 2;
/// How long nothing is submitted then: at first, doubled each time, and at most.
const FIRST_PAUSE: Duration = Duration::from_secs(30);
const LONGEST_PAUSE: Duration = Duration::from_secs(15 * 60);
/// How many credentials are remembered. A provider gives new ones only when they have changed.
const KNOWN_LIMIT: usize = 16;

/// The submitted credentials and their results, by their digests.
#[derive(Debug, Default)]
pub(super) struct Submissions(Vec<Known>);

#[derive(Debug)]
struct Known {
    credentials: Fingerprint,
    fate: Fate,
}

#[derive(Debug)]
enum Fate {
    Refused(Error),
    /// So often without an answer, the last time with this failure.
    Unanswered {
        times: u32,
        until: Instant,
        failure: Error,
    },
}

/// Why credentials are not submitted now.
#[derive(Debug)]
pub(super) enum Objection {
    /// There are none.
    Missing,
    /// The server has refused them.
    Refused(Error),
    /// They may be submitted later.
    Unanswered(Error),
}

impl Submissions {
    /// Why these are not submitted now, if they are not.
    pub(super) fn against(&self, credentials: &Fingerprint, now: Instant) -> Option<Objection> {
        let known = self.0.iter().find(|known| known.credentials.is_same_as(credentials))?;
        match &known.fate {
            Fate::Refused(error) => Some(Objection::Refused(error.clone())),
            Fate::Unanswered { times, until, failure } if now < *until => {
                let left = *until - now;
                let message = format!(
                    "the server has not answered the login {times} times and may have counted it: \
                     the next attempt may be made in {} s, or after other credentials are given",
                    left.as_secs_f64().ceil()
                );
                let error = failure.clone().with_message(message).with_retry_after(left);
                Some(Objection::Unanswered(error.with_attempts(0)))
            }
            Fate::Unanswered { .. } => None,
        }
    }

    /// The server has refused these.
    pub(super) fn refused(&mut self, credentials: Fingerprint, error: Error) {
        self.0.retain(|known| !known.credentials.is_same_as(&credentials));
        self.add(Known { credentials, fate: Fate::Refused(error) });
    }

    /// The server has answered a login with these, and does not refuse them. A refusal stays: the
    /// answer may be to an earlier login, and be late.
    pub(super) fn answered(&mut self, credentials: &Fingerprint) {
        self.0.retain(|known| {
            matches!(known.fate, Fate::Refused(_)) || !known.credentials.is_same_as(credentials)
        });
    }

    /// These were submitted, and the server has not answered.
    pub(super) fn unanswered(&mut self, credentials: Fingerprint, failure: Error, now: Instant) {
        let same = self.0.iter().position(|known| known.credentials.is_same_as(&credentials));
        let before = match same.map(|index| &self.0[index].fate) {
            Some(Fate::Refused(_)) => return,
            Some(Fate::Unanswered { times, .. }) => *times,
            None => 0,
        };
        if let Some(index) = same {
            self.0.remove(index);
        }
        let times = before.saturating_add(1);
        let pause = match times.checked_sub(UNANSWERED_LIMIT) {
            None => Duration::ZERO,
            Some(more) => FIRST_PAUSE.saturating_mul(2_u32.saturating_pow(more)).min(LONGEST_PAUSE),
        };
        let fate = Fate::Unanswered { times, until: later(now, pause), failure };
        self.add(Known { credentials, fate });
    }

    pub(super) const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Other credentials are to be used, or these have been accepted.
    pub(super) fn forget(&mut self) {
        self.0.clear();
    }

    fn add(&mut self, known: Known) {
        if self.0.len() >= KNOWN_LIMIT {
            self.0.remove(0);
        }
        self.0.push(known);
    }
}
