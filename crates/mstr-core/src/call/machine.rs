//! The sans-IO machine of one application request. Both drivers use it, so they repeat alike.

use std::time::{Duration, Instant};

use http::StatusCode;

use super::{Backoff, RetryPolicy, later};
use crate::contract::{Sent, TransportError, TransportErrorKind};
use crate::session::Verdict;

/// How often a request is sent again because the cookies it carried had been replaced while it
/// was under way. The server has not processed it, so repeating costs nothing but time.
const STALE_COOKIES_LIMIT: u32 = 64;
/// How often in a row a refusal is put down to a cookie that is still on its way, and how long
/// the first wait for it is. Each further one is twice as long: 70 ms in all, a few round trips.
const UNCERTAIN_LIMIT: u32 = 3;
const UNCERTAIN_WAIT: Duration = Duration::from_millis(10);

/// The statuses that pass by themselves: timeout, too many requests, and a gateway's complaints.
/// A plain 500 is not among them: this server answers 500 for errors that stay.
pub(crate) fn is_passing_status(status: StatusCode) -> bool {
    matches!(status.as_u16(), 408 | 429 | 502..=504)
}

/// One application request and its attempts.
#[derive(Debug)]
pub(crate) struct Call {
    policy: RetryPolicy,
    backoff: Backoff,
    idempotent: bool,
    replayable: bool,
    attempt: u32,
    stale: u32,
    uncertain: u32,
    reauthenticated: bool,
    deadline: Option<Instant>,
}

/// What to do with the outcome of an attempt.
#[derive(Debug, PartialEq)]
pub(crate) enum Step {
    /// Hand it to the caller.
    Deliver,
    /// Revoke the grant's generation, then send again.
    Reauthenticate,
    /// Send again at this instant.
    Resend(Instant),
}

impl Call {
    pub(crate) fn new(
        policy: RetryPolicy,
        idempotent: bool,
        replayable: bool,
        deadline: Option<Instant>,
        seed: u64,
    ) -> Self {
        let backoff = Backoff::new(seed);
        Self {
            policy,
            backoff,
            idempotent,
            replayable,
            attempt: 1,
            stale: 0,
            uncertain: 0,
            reauthenticated: false,
            deadline,
        }
    }

    /// Which attempt this is, from 1.
    pub(crate) const fn attempt(&self) -> u32 {
        self.attempt
    }

    /// When the whole call has to be over.
    pub(crate) const fn deadline(&self) -> Option<Instant> {
        self.deadline
    }

    /// A response has arrived; `verdict` is what the session makes of it.
    pub(crate) fn on_response(
        &mut self,
        status: StatusCode,
        verdict: Verdict,
        retry_after: Option<Duration>,
        now: Instant,
    ) -> Step {
        match verdict {
            // A session that is gone has not processed the request, whatever its method.
            Verdict::Reauthenticate if self.replayable && !self.reauthenticated => {
                self.reauthenticated = true;
                Step::Reauthenticate
            }
            Verdict::Resend if self.replayable && self.stale < STALE_COOKIES_LIMIT => {
                self.stale += 1;
                self.uncertain = 0;
                Step::Resend(now)
            }
            Verdict::Uncertain if self.replayable && self.uncertain < UNCERTAIN_LIMIT => {
                let wait = UNCERTAIN_WAIT * 2_u32.pow(self.uncertain);
                self.uncertain += 1;
                Step::Resend(now + wait)
            }
            // A limit is reached: treat it as the loss it may be.
            Verdict::Resend | Verdict::Uncertain if self.replayable && !self.reauthenticated => {
                self.reauthenticated = true;
                Step::Reauthenticate
            }
            Verdict::Reauthenticate | Verdict::Resend | Verdict::Uncertain => Step::Deliver,
            Verdict::Deliver if is_passing_status(status) => {
                // 429 says that nothing was processed; the gateways' statuses say nothing.
                let repeatable = self.idempotent || status == StatusCode::TOO_MANY_REQUESTS;
                self.repeat(repeatable, retry_after, now)
            }
            Verdict::Deliver => Step::Deliver,
        }
    }

    /// The attempt failed below HTTP.
    pub(crate) fn on_failure(&mut self, error: &TransportError, now: Instant) -> Step {
        let passing = matches!(
            error.kind(),
            TransportErrorKind::Connect
                | TransportErrorKind::Interrupted
                | TransportErrorKind::Timeout
        ) || (error.kind() == TransportErrorKind::Canceled
            && error.sent() == Sent::No);
        let repeatable = passing && (self.idempotent || error.sent() == Sent::No);
        self.repeat(repeatable, None, now)
    }

    fn repeat(&mut self, repeatable: bool, retry_after: Option<Duration>, now: Instant) -> Step {
        if !repeatable || !self.replayable || self.attempt >= self.policy.max_attempts {
            return Step::Deliver;
        }
        let wait = self.backoff.next(&self.policy).max(retry_after.unwrap_or_default());
        let at = later(now, wait);
        // Waiting past the deadline would only hide what the server said.
        if self.deadline.is_some_and(|deadline| at >= deadline) {
            return Step::Deliver;
        }
        self.attempt += 1;
        Step::Resend(at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OK: StatusCode = StatusCode::OK;
    const BUSY: StatusCode = StatusCode::SERVICE_UNAVAILABLE;

    fn now() -> Instant {
        #[expect(clippy::disallowed_methods, reason = "an arbitrary origin for virtual time")]
        Instant::now()
    }

    fn call(idempotent: bool, replayable: bool) -> Call {
        Call::new(RetryPolicy::new(), idempotent, replayable, None, 7)
    }

    #[test]
    fn only_what_may_be_repeated_is_repeated() {
        let now = now();
        let maybe = TransportError::new(TransportErrorKind::Interrupted);
        let unsent = TransportError::new(TransportErrorKind::Connect).with_sent(Sent::No);
        // (idempotent, replayable, failure, repeated)
        for (idempotent, replayable, failure, repeated) in [
            (true, true, &maybe, true),
            (false, true, &maybe, false),
            (false, true, &unsent, true),
            (true, false, &maybe, false),
            (false, false, &unsent, false),
        ] {
            let step = call(idempotent, replayable).on_failure(failure, now);
            assert_eq!(step != Step::Deliver, repeated, "{idempotent} {replayable} {failure}");
        }
        let tls = TransportError::new(TransportErrorKind::Tls).with_sent(Sent::No);
        assert_eq!(call(true, true).on_failure(&tls, now), Step::Deliver);
    }

    #[test]
    fn statuses_that_stay_are_delivered_at_once() {
        let now = now();
        for status in [200, 400, 404, 409, 413, 500, 501] {
            let status = StatusCode::from_u16(status).expect("a status");
            let step = call(true, true).on_response(status, Verdict::Deliver, None, now);
            assert_eq!(step, Step::Deliver, "{status}");
        }
        for status in [408, 429, 502, 503, 504] {
            let status = StatusCode::from_u16(status).expect("a status");
            let step = call(true, true).on_response(status, Verdict::Deliver, None, now);
            assert!(matches!(step, Step::Resend(_)), "{status}");
            let post = call(false, true).on_response(status, Verdict::Deliver, None, now);
            assert_eq!(post != Step::Deliver, status.as_u16() == 429, "{status}");
        }
    }

    #[test]
    fn attempts_are_counted_and_the_server_s_wait_is_honoured() {
        let now = now();
        let mut call = call(true, true);
        let asked = Duration::from_secs(9);
        let Step::Resend(at) = call.on_response(BUSY, Verdict::Deliver, Some(asked), now) else {
            panic!("the first refusal is waited out");
        };
        assert!(at >= now + asked);
        assert!(matches!(call.on_response(BUSY, Verdict::Deliver, None, now), Step::Resend(_)));
        assert_eq!(call.on_response(BUSY, Verdict::Deliver, None, now), Step::Deliver);
        assert_eq!(call.attempt(), 3);
    }

    #[test]
    fn a_wait_past_the_deadline_is_not_begun() {
        let now = now();
        let deadline = Some(now + Duration::from_secs(1));
        let mut call = Call::new(RetryPolicy::new(), true, true, deadline, 7);
        let asked = Some(Duration::from_secs(2));
        assert_eq!(call.on_response(BUSY, Verdict::Deliver, asked, now), Step::Deliver);
    }

    #[test]
    fn a_lost_session_costs_one_repetition_even_for_a_post() {
        let now = now();
        let unauthorized = StatusCode::UNAUTHORIZED;
        let mut post = call(false, true);
        let lost = Verdict::Reauthenticate;
        assert_eq!(post.on_response(unauthorized, lost, None, now), Step::Reauthenticate);
        assert_eq!(post.on_response(unauthorized, lost, None, now), Step::Deliver);
        let mut stream = call(false, false);
        assert_eq!(stream.on_response(unauthorized, lost, None, now), Step::Deliver);
        assert_eq!(stream.on_response(OK, Verdict::Deliver, None, now), Step::Deliver);
    }

    #[test]
    fn stale_cookies_are_retried_a_bounded_number_of_times() {
        let now = now();
        let mut call = call(false, true);
        for _ in 0..STALE_COOKIES_LIMIT {
            let step = call.on_response(StatusCode::UNAUTHORIZED, Verdict::Resend, None, now);
            assert_eq!(step, Step::Resend(now));
        }
        let step = call.on_response(StatusCode::UNAUTHORIZED, Verdict::Resend, None, now);
        assert_eq!(step, Step::Reauthenticate);
    }

    #[test]
    fn a_cookie_that_may_be_on_its_way_is_waited_for_a_moment() {
        let now = now();
        let mut call = call(false, true);
        let mut refused = |verdict| call.on_response(StatusCode::UNAUTHORIZED, verdict, None, now);
        for wait in [10, 20, 40] {
            let step = refused(Verdict::Uncertain);
            assert_eq!(step, Step::Resend(now + Duration::from_millis(wait)));
        }
        // A cookie has arrived: that was it, and it may be so again.
        assert_eq!(refused(Verdict::Resend), Step::Resend(now));
        for _ in 0..3 {
            assert!(matches!(refused(Verdict::Uncertain), Step::Resend(_)));
        }
        assert_eq!(refused(Verdict::Uncertain), Step::Reauthenticate);
        assert_eq!(refused(Verdict::Uncertain), Step::Deliver, "one new session for a call");
    }
}
