//! What has gone wrong lately. It is not of one session: what follows from it is for the next one too.

use std::time::Instant;

use super::state::Doubt;
use super::submissions::Submissions;
use crate::error::Error;

/// What has gone wrong lately, and what follows from it. Mostly there is nothing of it.
#[derive(Debug, Default)]
pub(super) struct Troubles {
    pub(super) cooling: Cooling,
    pub(super) doubt: Doubt,
    pub(super) submissions: Submissions,
    /// The end of the pause that was told.
    pub(super) told_pause: Option<Instant>,
    /// When a caller asked for a renewal while no session was open.
    pub(super) renewal_asked_at: Option<Instant>,
}

impl Troubles {
    /// Whether there is nothing to remember.
    pub(super) fn are_over(&self) -> bool {
        let Self { cooling, doubt, submissions, told_pause, renewal_asked_at } = self;
        let pauses = told_pause.is_some() || renewal_asked_at.is_some();
        cooling.is_over() && doubt.is_none() && submissions.is_empty() && !pauses
    }
}

/// Sessions in which nothing works are not opened without end.
#[derive(Debug, Default)]
pub(super) struct Cooling {
    /// Generations in a row that were lost before anything succeeded in them.
    pub(super) fruitless: u32,
    /// Sessions in a row that the server did not know any more right after it had opened them,
    /// whether something had succeeded in them or not. Counted up to [`BRIEF_LIMIT`].
    pub(super) brief: u32,
    /// Until when no further one is opened, and what callers are told.
    pub(super) until: Option<(Instant, Error)>,
    /// When the server wants the next login, if it said so at the last attempt, and what it said.
    pub(super) asked: Option<(Instant, Error)>,
}

/// So many in a row mean that a load balancer does not keep to one server.
pub(super) const BRIEF_LIMIT: u32 = 5;
/// The message of that error.
pub(super) const NOT_STICKY: &str = "the server opens sessions and does not know them a moment \
     later, again and again, as behind a load balancer that sends the requests of one session to \
     several servers (enable sticky sessions there), or where another login ends this user's \
     sessions";

impl Cooling {
    const fn is_over(&self) -> bool {
        self.fruitless == 0 && self.brief == 0 && self.until.is_none() && self.asked.is_none()
    }

    /// Whether a load balancer does not keep to one server.
    pub(super) const fn is_scattered(&self) -> bool {
        self.brief >= BRIEF_LIMIT
    }
}
