//! How threads share a login: one of them leads, the others wait for it.
//!
//! A thread leads for as long as it has time. After that its unanswered exchanges lie in the flight,
//! and another thread takes them over: one that waits already, or the next one that comes.

use std::sync::PoisonError;
use std::time::Instant;

use crate::driver::core::Outcome;
use crate::sync::{self, Condvar, Mutex, MutexGuard, Thread, lock};

/// A login that threads share. `W` is the exchange under way.
pub(crate) struct Flight<W> {
    progress: Mutex<Progress<W>>,
    changed: Condvar,
}

struct Progress<W> {
    /// The thread that leads.
    leader: Option<Thread>,
    /// The leader is to look at the machine: something has changed.
    poked: bool,
    /// The exchange that the last leader has left behind.
    left: Option<W>,
    outcome: Option<Outcome>,
}

/// The result of a thread's wait.
pub(super) enum Turn<W> {
    /// It leads from now on, and goes on with what was left behind.
    Lead(Option<W>),
    Landed(Outcome),
    /// Its time is over.
    Late,
}

impl<W> Flight<W> {
    fn progress(&self) -> MutexGuard<'_, Progress<W>> {
        lock(&self.progress)
    }

    /// Waits for the outcome or for the lead, at most until `deadline`.
    pub(super) fn wait(&self, deadline: Option<Instant>, now: impl Fn() -> Instant) -> Turn<W> {
        let mut progress = self.progress();
        loop {
            if let Some(outcome) = &progress.outcome {
                return Turn::Landed(outcome.clone());
            }
            if progress.leader.is_none() {
                progress.leader = Some(sync::current());
                return Turn::Lead(progress.left.take());
            }
            progress = match deadline {
                None => self.changed.wait(progress).unwrap_or_else(PoisonError::into_inner),
                Some(deadline) => {
                    let left = deadline.saturating_duration_since(now());
                    if left.is_zero() {
                        return Turn::Late;
                    }
                    let waited = self.changed.wait_timeout(progress, left);
                    waited.unwrap_or_else(PoisonError::into_inner).0
                }
            };
        }
    }

    /// The leader has come to an end.
    pub(super) fn land(&self, outcome: Outcome) {
        let mut progress = self.progress();
        progress.leader = None;
        progress.outcome = Some(outcome);
        drop(progress);
        self.changed.notify_all();
    }

    /// The leader's time is over. All are woken: the time of any one may be over, too.
    pub(super) fn leave(&self, under_way: Option<W>) {
        let mut progress = self.progress();
        progress.leader = None;
        progress.left = under_way;
        drop(progress);
        self.changed.notify_all();
    }

    /// Takes what the last leader has left behind, to do something else with it.
    pub(super) fn take(&self) -> Option<W> {
        self.progress().left.take()
    }

    /// Lets the leader look at the machine, if it waits for something that can be interrupted.
    pub(super) fn poke(&self) {
        let mut progress = self.progress();
        progress.poked = true;
        let leader = progress.leader.clone();
        drop(progress);
        if let Some(leader) = leader {
            leader.unpark();
        }
    }

    /// Whether the leader has been told to look, once.
    pub(super) fn take_poke(&self) -> bool {
        std::mem::take(&mut self.progress().poked)
    }
}

impl<W> Default for Flight<W> {
    fn default() -> Self {
        let progress = Progress { leader: None, poked: false, left: None, outcome: None };
        Self { progress: Mutex::new(progress), changed: Condvar::new() }
    }
}
