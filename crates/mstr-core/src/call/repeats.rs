//! How often a request is sent again, and when.

use std::time::{Duration, Instant};

use http::StatusCode;
use http::response::Parts;

use crate::error::{Error, ErrorKind, Refused};
use crate::protocol::{page, wire};
use crate::retry::{Backoff, RetryPolicy, is_passing_status};
use crate::timeouts::later;

/// How often a request is sent again because the cookies it carried had been replaced while it
/// was under way. The server has not processed it, so repeating costs nothing but time.
pub(super) const OUTDATED_LIMIT: u32 = 64;
/// How often in a row a refusal is put down to a cookie that is still on its way, and how long
/// the first wait for it is. Each further one is twice as long: 70 ms in all, a few round trips.
const UNCERTAIN_LIMIT: u32 = 3;
const UNCERTAIN_WAIT: Duration = Duration::from_millis(10);

/// The attempts and waits that one request has used up.
#[derive(Debug)]
pub(super) struct Repeats {
    policy: RetryPolicy,
    backoff: Backoff,
    /// The body can be produced again.
    replayable: bool,
    /// From 1. Repetitions for another session or cookie do not count.
    attempt: u32,
    outdated: u32,
    uncertain: u32,
    reauthenticated: bool,
    /// It has been sent again because a connection was lost before the server took it.
    put_back: bool,
}

impl Repeats {
    pub(super) const fn new(policy: RetryPolicy, replayable: bool, seed: u64) -> Self {
        Self {
            policy,
            backoff: Backoff::new(seed),
            replayable,
            attempt: 1,
            outdated: 0,
            uncertain: 0,
            reauthenticated: false,
            put_back: false,
        }
    }

    /// The session was gone, so the request has not been processed, whatever its method: it is
    /// sent once more in a new one.
    pub(super) const fn in_new_session(&mut self, now: Instant) -> Option<Instant> {
        if !self.replayable || self.reauthenticated {
            return None;
        }
        self.reauthenticated = true;
        Some(now)
    }

    /// The server has not taken it, and another connection may be in order: it is sent again at
    /// once, and once. That does not count as an attempt: connections that were kept too long fail all together.
    pub(super) const fn unprocessed(&mut self, now: Instant) -> Option<Instant> {
        if !self.replayable || self.put_back {
            return None;
        }
        self.put_back = true;
        Some(now)
    }

    pub(super) const fn is_replayable(&self) -> bool {
        self.replayable
    }

    /// There is no body any more that could be sent once only.
    pub(super) const fn set_replayable(&mut self) {
        self.replayable = true;
    }

    /// The cookies had been replaced: it is sent again with the new ones.
    pub(super) const fn with_new_cookies(&mut self, now: Instant) -> Option<Instant> {
        if !self.replayable || self.outdated >= OUTDATED_LIMIT {
            return None;
        }
        self.outdated += 1;
        self.uncertain = 0;
        Some(now)
    }

    /// New cookies may be on their way: it is sent again in a moment, if that ends before the
    /// deadline.
    pub(super) fn with_cookies_to_come(
        &mut self,
        deadline: Option<Instant>,
        now: Instant,
    ) -> Option<Instant> {
        if !self.replayable || self.uncertain >= UNCERTAIN_LIMIT {
            return None;
        }
        let at = later(now, UNCERTAIN_WAIT * 2_u32.pow(self.uncertain));
        if deadline.is_some_and(|deadline| at >= deadline) {
            return None;
        }
        self.uncertain += 1;
        Some(at)
    }

    /// Whether a failure is worth another attempt: as the policy's predicate says, if it has one, and
    /// there is another attempt.
    pub(super) fn is_worth(&self, passing: bool, failed: impl FnOnce() -> Error) -> bool {
        match self.policy.when {
            Some(worth) if self.has_attempts() => worth(&failed(), passing),
            _ => passing,
        }
    }

    pub(super) const fn has_predicate(&self) -> bool {
        self.policy.when.is_some()
    }

    const fn has_attempts(&self) -> bool {
        self.replayable && self.attempt < self.policy.max_attempts
    }

    /// Something failed that may pass: it is tried again after a wait, at least the one that the
    /// server asks for, unless that ended after the deadline: waiting past it would only hide
    /// what the server said.
    pub(super) fn after_failure(
        &mut self,
        asked: Option<Duration>,
        deadline: Option<Instant>,
        now: Instant,
    ) -> Option<Instant> {
        if !self.has_attempts() {
            return None;
        }
        let at = later(now, self.backoff.next(&self.policy).max(asked.unwrap_or_default()));
        if deadline.is_some_and(|deadline| at >= deadline) {
            return None;
        }
        self.attempt += 1;
        Some(at)
    }
}

/// A 500 of the server says why in its own format, and stays, unless that is that a part of it is
/// away. Without a reason it is a gateway's, and temporary like its other errors.
pub(super) fn is_passing(status: StatusCode, refused: Option<&Refused<'_>>) -> bool {
    is_passing_status(status)
        || (status == StatusCode::INTERNAL_SERVER_ERROR
            && refused
                .and_then(|refused| refused.server.as_ref())
                .is_none_or(|error| error.code.is_passing()))
}

pub(super) fn is_error(status: StatusCode) -> bool {
    status.is_client_error() || status.is_server_error()
}

/// The error that an answer is.
pub(super) fn refusal(head: &Parts, refused: Option<&Refused<'_>>) -> Error {
    let retry_after = wire::retry_after(&head.headers);
    let server = refused.and_then(|refused| refused.server.as_ref());
    let error = Error::from_response(head.status, server, retry_after);
    match page::hint(head.status, refused.map_or(&[], |refused| refused.bytes)) {
        Some(hint) => error.with_message(hint),
        None => error,
    }
}

/// The error for a refusal from which nothing about the session can be concluded.
pub(super) fn undecided() -> Error {
    let message = "the server refuses the session's cookie, which another answer may have replaced: \
                   whether the session has ended cannot be told";
    Error::new(ErrorKind::Server, message)
}
