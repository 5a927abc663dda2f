//! Whether a session is renewed only where it was silent for long, or because a caller asked.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// What is taken for the time that a session may be idle where the server has not said it.
const ASSUMED: Duration = Duration::from_secs(300);
/// A caller's renewal is sent, and sent again, within this.
const WISH: Duration = Duration::from_secs(600);
/// A refusal that newer cookies explain is followed by another renewal within this.
const CROSSED: Duration = Duration::from_secs(2);

#[derive(Debug, Default)]
pub(crate) struct Renewals {
    asked: Option<Instant>,
    refused: Option<Instant>,
    /// By token: when the request left that the server answered last.
    active: BTreeMap<String, Instant>,
}

impl Renewals {
    /// A caller wants the session to be renewed.
    pub(crate) fn asks(&mut self, now: Instant) {
        self.asked = Some(now);
    }

    /// The server has answered a request that left at `from`, in the session of a token or opening it.
    pub(crate) fn answered(&mut self, token: &str, from: Instant) {
        let active = self.active.entry(token.to_owned()).or_insert(from);
        *active = from.max(*active);
    }

    pub(crate) fn refused(&mut self, now: Instant) {
        self.refused = Some(now);
    }

    /// A renewal leaves. Says for how long the session was silent, if that is too short.
    pub(crate) fn needless(
        &self,
        token: &str,
        timeout: Duration,
        now: Instant,
    ) -> Option<Duration> {
        let lately = |at: Option<Instant>, limit| at.is_some_and(|at| now - at < limit);
        if lately(self.asked, WISH) || lately(self.refused, CROSSED) {
            return None;
        }
        let idle = now - *self.active.get(token)?;
        (idle < timeout.min(ASSUMED) / 2).then_some(idle)
    }
}
