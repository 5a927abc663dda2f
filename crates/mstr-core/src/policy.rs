//! How long to wait for what, and how often to try.

use std::fmt;
use std::time::{Duration, Instant};

use http::StatusCode;

const CONNECT: Duration = Duration::from_secs(10);
const ATTEMPT: Duration = Duration::from_secs(60);
const TOTAL: Duration = Duration::from_secs(300);
const IDLE_BODY: Duration = Duration::from_secs(30);

/// How long each part of a request may take.
///
/// ```
/// use std::time::Duration;
///
/// use mstr_core::Timeouts;
///
/// // Reports take up to ten minutes here, and each is asked for once within that time.
/// let patient = Timeouts::new().total(Some(Duration::from_secs(600)));
/// # drop(patient);
/// ```
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Timeouts {
    connect: Duration,
    attempt: Option<Duration>,
    /// What was set, if anything was.
    total: Option<Option<Duration>>,
    idle_body: Duration,
}

impl Timeouts {
    /// The defaults.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets the time until a connection stands, TLS handshake included. Default 10 seconds.
    #[must_use]
    pub const fn connect(mut self, limit: Duration) -> Self {
        self.connect = limit;
        self
    }

    /// Sets the time until the head of the response, for each attempt, connecting included. Default
    /// 60 seconds, or the [`total`](Self::total) that is set, if that is longer: who waits for ten
    /// minutes wants one attempt that may take so long, and not three that are given up.
    #[must_use]
    pub const fn attempt(mut self, limit: Duration) -> Self {
        self.attempt = Some(limit);
        self
    }

    /// Sets the time for the whole call: waiting for a login, all attempts, the waits between
    /// them, and the body when it is read whole. Opening, renewing and closing have the same. In
    /// blocking code a transport that sends in place
    /// ([`BlockingTransport::start`](crate::BlockingTransport::start)) may exceed it by one
    /// attempt where a login is waited for. Default 5 minutes; `None` for no limit, with
    /// which each attempt keeps its own. A body that is taken as a stream is limited by
    /// [`idle_body`](Self::idle_body) only.
    #[must_use]
    pub const fn total(mut self, limit: Option<Duration>) -> Self {
        self.total = Some(limit);
        self
    }

    /// Sets the time between two pieces of a response's body. Default 30 seconds.
    ///
    /// Where calls of tasks take turns, because the server exchanges the session's cookie with every
    /// answer, it is also how long a request's body that is a stream may stand still: the others
    /// wait for it. The call fails then.
    #[must_use]
    pub const fn idle_body(mut self, limit: Duration) -> Self {
        self.idle_body = limit;
        self
    }

    pub(crate) const fn for_connecting(&self) -> Duration {
        self.connect
    }

    /// For one attempt of a call.
    pub(crate) fn for_attempt(&self) -> Duration {
        let total = self.total.flatten().unwrap_or_default();
        self.attempt.unwrap_or_else(|| ATTEMPT.max(total))
    }

    /// For one exchange of the session's own, which no caller's patience makes slower.
    pub(crate) fn for_exchange(&self) -> Duration {
        self.attempt.unwrap_or(ATTEMPT)
    }

    /// For all of it, as the time that is left from now on.
    pub(crate) fn for_all(&self) -> Option<Duration> {
        self.total.unwrap_or(Some(TOTAL))
    }

    /// What is left of them once so much time has passed.
    pub(crate) fn after(self, passed: Duration) -> Self {
        match self.for_all() {
            Some(total) => {
                let attempt = self.for_attempt();
                self.total(Some(total.saturating_sub(passed))).attempt(attempt)
            }
            None => self,
        }
    }

    pub(crate) const fn between_pieces(&self) -> Duration {
        self.idle_body
    }

    /// Says that `what` has reached a limit: how long it is, and what raises it.
    pub(crate) fn passed(&self, limit: Limit, what: &str) -> String {
        let (name, length, besides) = match limit {
            Limit::Attempt => ("attempt", self.for_attempt(), ""),
            Limit::Connect => ("connect", self.connect, ""),
            Limit::IdleBody => ("idle_body", self.idle_body, ""),
            Limit::Total => {
                ("total", self.for_all().unwrap_or_default(), ", or by timeout() for one call")
            }
        };
        format!(
            "{what} took longer than the {name} timeout of {length:?}: raise it by \
             Timeouts::{name}{besides}"
        )
    }

    /// What is wrong if one of them is zero: nothing could ever be in time.
    pub(crate) fn zero(&self) -> Option<&'static str> {
        [
            (Some(self.connect), "the connect timeout is zero: nothing could ever be in time"),
            (self.attempt, "the attempt timeout is zero: nothing could ever be in time"),
            (self.for_all(), "the total timeout is zero: nothing could ever be in time"),
            (Some(self.idle_body), "the idle_body timeout is zero: nothing could ever be in time"),
        ]
        .into_iter()
        .find_map(|(limit, message)| limit.is_some_and(|limit| limit.is_zero()).then_some(message))
    }
}

impl Default for Timeouts {
    fn default() -> Self {
        Self { connect: CONNECT, attempt: None, total: None, idle_body: IDLE_BODY }
    }
}

/// One of the [`Timeouts`].
#[derive(Clone, Copy, Debug)]
pub(crate) enum Limit {
    Attempt,
    Connect,
    IdleBody,
    Total,
}

/// How often a request is tried, and how long to wait in between.
///
/// Only what may be repeated is: a request that is idempotent, or one that cannot have reached
/// the server, and only if its body can be produced again. Failures that pass by themselves are
/// waited out: no connection, an interrupted one, a timeout, HTTP 408, 429, 502, 503, 504, and a
/// 500 that is not in the server's format or says that a part of the server is away (ERR0013,
/// ERR0016). Everything else is delivered at once.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct RetryPolicy {
    /// The number of attempts, the first included. Default 3.
    pub max_attempts: u32,
    /// The shortest wait. Default 200 milliseconds.
    pub base: Duration,
    /// The longest wait, unless the server asks for a longer one. Default 10 seconds.
    pub cap: Duration,
}

impl RetryPolicy {
    /// The defaults.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// One attempt only.
    #[must_use]
    pub fn never() -> Self {
        Self::new().max_attempts(1)
    }

    /// Sets the number of attempts, at least 1.
    #[must_use]
    pub const fn max_attempts(mut self, attempts: u32) -> Self {
        self.max_attempts = if attempts == 0 { 1 } else { attempts };
        self
    }

    /// Sets the shortest wait.
    #[must_use]
    pub const fn base(mut self, wait: Duration) -> Self {
        self.base = wait;
        self
    }

    /// Sets the longest wait.
    #[must_use]
    pub const fn cap(mut self, wait: Duration) -> Self {
        self.cap = wait;
        self
    }
}

impl Default for RetryPolicy {
    fn default() -> Self {
        Self { max_attempts: 3, base: Duration::from_millis(200), cap: Duration::from_secs(10) }
    }
}

/// The statuses that pass by themselves: timeout, too many requests, and a gateway's complaints.
/// A plain 500 is not among them: this server answers 500 for errors that stay.
pub(crate) fn is_passing_status(status: StatusCode) -> bool {
    matches!(status.as_u16(), 408 | 429 | 502..=504)
}

/// "For ever": a century, which every platform's clock can hold.
const FOR_EVER: Duration = Duration::from_secs(100 * 365 * 24 * 60 * 60);

/// The instant `wait` after `now`. Whoever asks for more than a century gets a century:
/// `Duration::MAX` is a common way to say "no limit", and adding it to an instant panics.
pub(crate) fn later(now: Instant, wait: Duration) -> Instant {
    now + wait.min(FOR_EVER)
}

/// By how much the seeds of splitmix64 go on.
const GAMMA: u64 = 0x9E37_79B9_7F4A_7C15;

/// The number that splitmix64 makes of a seed.
const fn mixed(seed: u64) -> u64 {
    let mixed = (seed ^ (seed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    mixed ^ (mixed >> 31)
}

/// A seed of its own for each of many: neighbours share no number of theirs.
pub(crate) const fn seed_of(seed: u64, number: u64) -> u64 {
    mixed(seed.wrapping_add(number.wrapping_mul(GAMMA)))
}

/// A seed that prints nothing: a session's also keys the fingerprints of its credentials.
#[derive(Clone, Copy)]
pub(crate) struct Seed(pub(crate) u64);

impl fmt::Debug for Seed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Seed(..)")
    }
}

/// Waits that grow and differ: each is drawn between the base and three times the last one
/// ("decorrelated jitter"), so that clients that failed together do not return together.
#[derive(Clone, Debug)]
pub(crate) struct Backoff {
    seed: Seed,
    last: Duration,
}

impl Backoff {
    pub(crate) const fn new(seed: u64) -> Self {
        Self { seed: Seed(seed), last: Duration::ZERO }
    }

    pub(crate) const fn reset(&mut self) {
        self.last = Duration::ZERO;
    }

    pub(crate) fn next(&mut self, policy: &RetryPolicy) -> Duration {
        let upper = self.last.saturating_mul(3).max(policy.base.saturating_mul(2));
        let range = upper.saturating_sub(policy.base);
        self.last = (policy.base + range.mul_f64(self.fraction())).min(policy.cap);
        self.last
    }

    /// A number from 0 to 1, from the generator known as splitmix64.
    pub(crate) fn fraction(&mut self) -> f64 {
        self.seed.0 = self.seed.0.wrapping_add(GAMMA);
        let mixed = mixed(self.seed.0);
        // 53 bits are what a double holds exactly.
        (mixed >> 11) as f64 / (1_u64 << 53) as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn timeout_of_an_attempt_is_the_longer_total_that_was_set() {
        let seconds = Duration::from_secs;
        let total = |limit| Timeouts::new().total(limit);
        for (timeouts, attempt, exchange) in [
            (Timeouts::new(), 60, 60),
            (total(Some(seconds(600))), 600, 60),
            (total(Some(seconds(300))), 300, 60),
            (total(Some(seconds(5))), 60, 60),
            (total(None), 60, 60),
            (total(Some(seconds(600))).attempt(seconds(20)), 20, 20),
        ] {
            assert_eq!(timeouts.for_attempt(), seconds(attempt), "{timeouts:?}");
            assert_eq!(timeouts.for_exchange(), seconds(exchange), "{timeouts:?}");
        }
        assert_eq!(Timeouts::new().for_all(), Some(seconds(300)));
        assert_eq!(total(None).for_all(), None);
    }

    #[test]
    fn waits_of_one_call_are_not_those_of_the_next() {
        let policy = RetryPolicy::new();
        let waits = |number| {
            let mut backoff = Backoff::new(seed_of(7, number));
            [backoff.next(&policy), backoff.next(&policy)]
        };
        for number in 1..100 {
            let ([_, second], [next, _]) = (waits(number), waits(number + 1));
            assert_ne!(second, next, "{number}");
        }
        let fractions = |number| Backoff::new(seed_of(7, number)).fraction();
        let mut second = Backoff::new(seed_of(7, 1));
        second.fraction();
        assert_ne!(second.fraction().to_bits(), fractions(2).to_bits());
    }

    #[test]
    fn waits_grow_stay_in_bounds_and_differ_by_seed() {
        let policy = RetryPolicy::new();
        let waits = |seed| {
            let mut backoff = Backoff::new(seed);
            (0..20).map(|_| backoff.next(&policy)).collect::<Vec<_>>()
        };
        for wait in waits(1) {
            assert!(wait >= policy.base && wait <= policy.cap, "{wait:?}");
        }
        assert_eq!(waits(1), waits(1));
        assert_ne!(waits(1), waits(2));
        assert!(waits(1)[10..].iter().max() > waits(1)[..2].iter().max());
    }
}
