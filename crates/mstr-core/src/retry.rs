//! The rules for repeating a request.

use std::time::Duration;

use http::StatusCode;
use serde::{Deserialize, Deserializer, Serialize};

use crate::duration;
use crate::error::Error;
use crate::seed::Seed;

/// How often a request is tried, which failures are repeated, and how long to wait between attempts.
///
/// ```
/// # use mstr_core as mstr;
/// use std::time::Duration;
///
/// use mstr::{Connection, ErrorKind, RetryPolicy};
///
/// let policy = RetryPolicy::new()
///     .max_attempts(5)
///     .cap(Duration::from_secs(30))
///     // Not repeated if the server asks for fewer requests.
///     .when(|error, listed| listed && error.kind() != ErrorKind::RateLimited);
/// let builder = Connection::builder("https://env.example.com/MicroStrategyLibrary")
///     .retry(policy);
/// # drop(builder);
/// ```
///
/// | setting | default |
/// |---|---|
/// | [`max_attempts`](Self::max_attempts) | 3, the first one included |
/// | [`base`](Self::base), the shortest wait | 200 milliseconds |
/// | [`cap`](Self::cap), the longest wait | 10 seconds |
/// | [`when`](Self::when), the failures that are repeated | the list below |
///
/// A request is repeated only if that is harmless: it is
/// [idempotent](crate::RequestBuilder::idempotent), or it cannot have reached the server. Its body has
/// to be one that can be sent again.
///
/// By default these failures are repeated: no connection, an interrupted connection, a timeout, HTTP
/// 408, 429, 502, 503 and 504, and a 500 that is not in the server's error format or says that a part
/// of the server is not available (ERR0013, ERR0016). All other failures are returned at once.
///
/// A policy can be read from and written to a file of settings, with durations as `"200ms"`. A setting
/// that is not in the file has its default. `when` is not written.
///
/// ```
/// # use mstr_core as mstr;
/// # use std::time::Duration;
/// # use mstr::RetryPolicy;
/// let read: RetryPolicy = serde_json::from_str(r#"{"max_attempts": 5, "cap": "30s"}"#)?;
/// assert_eq!(read, RetryPolicy::new().max_attempts(5).cap(Duration::from_secs(30)));
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Clone, Copy, Debug, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct RetryPolicy {
    #[serde(deserialize_with = "at_least_one")]
    pub(crate) max_attempts: u32,
    #[serde(with = "duration")]
    base: Duration,
    #[serde(with = "duration")]
    cap: Duration,
    #[serde(skip)]
    pub(crate) when: Option<fn(&Error, bool) -> bool>,
}

impl RetryPolicy {
    pub(crate) const DEFAULT: Self = Self {
        max_attempts: 3,
        base: Duration::from_millis(200),
        cap: Duration::from_secs(10),
        when: None,
    };

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

    /// Sets the number of attempts, the first one included. 0 counts as 1. Default: 3.
    #[must_use]
    pub const fn max_attempts(mut self, attempts: u32) -> Self {
        self.max_attempts = if attempts == 0 { 1 } else { attempts };
        self
    }

    /// Sets the shortest wait between two attempts. Default: 200 milliseconds.
    #[must_use]
    pub const fn base(mut self, wait: Duration) -> Self {
        self.base = wait;
        self
    }

    /// Sets the longest wait between two attempts, unless the server asks for a longer one. Default: 10
    /// seconds.
    #[must_use]
    pub const fn cap(mut self, wait: Duration) -> Self {
        self.cap = wait;
        self
    }

    /// Sets which failures of a call are repeated, in place of the list above. The function gets the
    /// error that the caller would receive, and whether the list above has it. It must not block.
    ///
    /// It cannot make a harmful repetition happen, and is not asked where there is none: a request that
    /// is not idempotent is not repeated (except after a 429, or if nothing of it has left), nor is one
    /// whose body cannot be sent again, nor an error of kind [`Config`](crate::ErrorKind::Config), nor
    /// anything after the last attempt. Logins and renewals keep the list above.
    #[must_use]
    pub const fn when(mut self, is_worth_repeating: fn(&Error, bool) -> bool) -> Self {
        self.when = Some(is_worth_repeating);
        self
    }
}

impl Default for RetryPolicy {
    fn default() -> Self {
        Self::DEFAULT
    }
}

impl PartialEq for RetryPolicy {
    fn eq(&self, other: &Self) -> bool {
        let same_predicate = match (self.when, other.when) {
            (None, None) => true,
            (Some(own), Some(others)) => std::ptr::fn_addr_eq(own, others),
            _ => false,
        };
        let settings = |policy: &Self| (policy.max_attempts, policy.base, policy.cap);
        same_predicate && settings(self) == settings(other)
    }
}

impl Eq for RetryPolicy {}

fn at_least_one<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u32, D::Error> {
    u32::deserialize(deserializer).map(|attempts| attempts.max(1))
}

/// The statuses that pass by themselves: timeout, too many requests, and a gateway's complaints.
/// A plain 500 is not among them: this server answers 500 for errors that stay.
pub(crate) fn is_passing_status(status: StatusCode) -> bool {
    matches!(status.as_u16(), 408 | 429 | 502..=504)
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

    /// A number from 0 to 1.
    pub(crate) fn fraction(&mut self) -> f64 {
        self.seed.fraction()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::seed::seed_of;

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
    fn policy_is_read_from_settings_and_written_to_them() {
        let written = r#"{"max_attempts":5,"base":"200ms","cap":"1m 30s"}"#;
        let policy = RetryPolicy::new().max_attempts(5).cap(Duration::from_secs(90));
        assert_eq!(serde_json::to_string(&policy).expect("plain"), written);
        let read = |text: &str| serde_json::from_str::<RetryPolicy>(text);
        assert_eq!(read(written).expect("as written"), policy);
        assert_eq!(read("{}").expect("the defaults"), RetryPolicy::new());
        assert_eq!(read(r#"{"max_attempts":0}"#).expect("one"), RetryPolicy::never());
        for (wrong, named) in [
            (r#"{"cap":"soon"}"#, "\"soon\" is not a duration"),
            (r#"{"cap":30}"#, "expected a string"),
            (r#"{"attempts":3}"#, "unknown field `attempts`"),
        ] {
            let error = read(wrong).expect_err("refused").to_string();
            assert!(error.contains(named), "{error}");
        }
        assert_ne!(policy, policy.when(|_, passes| passes));
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
