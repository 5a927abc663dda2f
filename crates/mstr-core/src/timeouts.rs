//! The time limits of a call.

use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use crate::duration;

const CONNECT: Duration = Duration::from_secs(10);
const ATTEMPT: Duration = Duration::from_secs(60);
const TOTAL: Duration = Duration::from_secs(300);
const IDLE_BODY: Duration = Duration::from_secs(30);

/// How long each part of a request may take.
///
/// | limit | covers | default |
/// |---|---|---|
/// | [`connect`](Self::connect) | DNS, TCP, proxy and TLS handshakes | 10 seconds |
/// | [`attempt`](Self::attempt) | one attempt, until the head of the response | 60 seconds, or `total` if that is set and longer |
/// | [`total`](Self::total) | the whole call with all attempts | 5 minutes |
/// | [`idle_body`](Self::idle_body) | each wait for more of the response's body | 30 seconds |
///
/// ```
/// # use mstr_core as mstr;
/// use std::time::Duration;
///
/// use mstr::{Connection, Timeouts};
///
/// let timeouts = Timeouts::new()
///     .connect(Duration::from_secs(5))
///     .total(Some(Duration::from_secs(600))); // reports take up to ten minutes here
/// let builder = Connection::builder("https://env.example.com/MicroStrategyLibrary")
///     .timeouts(timeouts);
/// # drop(builder);
/// ```
///
/// Timeouts can be read from and written to a file of settings. Durations are written as `"30s"` or
/// `"1h 30m"`, and a `total` without limit as `"none"`. A limit that is null or not in the file has its
/// default.
///
/// ```
/// # use mstr_core as mstr;
/// use std::time::Duration;
///
/// use mstr::Timeouts;
///
/// let read: Timeouts = serde_json::from_str(r#"{"connect": "5s", "total": "10m"}"#)?;
/// let limits = Timeouts::new().connect(Duration::from_secs(5));
/// assert_eq!(read, limits.total(Some(Duration::from_secs(600))));
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Timeouts {
    #[serde(with = "duration")]
    connect: Duration,
    #[serde(with = "duration::or_default", skip_serializing_if = "Option::is_none")]
    attempt: Option<Duration>,
    /// The limit that was set; `None` if none was.
    #[serde(with = "duration::or_none", skip_serializing_if = "Option::is_none")]
    total: Option<Option<Duration>>,
    #[serde(with = "duration")]
    idle_body: Duration,
}

impl Timeouts {
    /// The defaults.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets the time for making a network connection, TLS handshake included. Default: 10 seconds.
    #[must_use]
    pub const fn connect(mut self, limit: Duration) -> Self {
        self.connect = limit;
        self
    }

    /// Sets the time of each attempt until the head of the response, connecting included. Default: 60
    /// seconds, or the [`total`](Self::total) that is set, if that is longer. A caller with a total of
    /// ten minutes gets one attempt that may take so long, instead of several that are cut off.
    #[must_use]
    pub const fn attempt(mut self, limit: Duration) -> Self {
        self.attempt = Some(limit);
        self
    }

    /// Sets the time for the whole call: waiting for a login, all attempts, the waits between them, and
    /// the body if it is read whole. Opening, renewing and closing have the same limit. Default: 5
    /// minutes. `None` sets no limit; each attempt still has its own.
    ///
    /// A body that is read in pieces is limited by [`idle_body`](Self::idle_body) only. In blocking code,
    /// a login over a transport that cannot wait in steps
    /// ([`BlockingTransport::start`](crate::BlockingTransport::start)) may exceed this by one attempt.
    #[must_use]
    pub const fn total(mut self, limit: Option<Duration>) -> Self {
        self.total = Some(limit);
        self
    }

    /// Sets the time between two pieces of a response's body. Default: 30 seconds.
    ///
    /// Some servers replace the session's cookie with every answer, and then calls are sent one at a
    /// time. With such a server, this is also the time that a request's body may produce nothing if it
    /// is a stream, because all other calls wait for it.
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

    /// The message if one of the limits is zero: nothing could ever be in time.
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

/// "For ever": a century, which every platform's clock can hold.
const FOR_EVER: Duration = Duration::from_secs(100 * 365 * 24 * 60 * 60);

/// The instant `wait` after `now`. A wait of more than a century becomes a century: `Duration::MAX`
/// is a common way to say "no limit", and adding it to an instant panics.
pub(crate) fn later(now: Instant, wait: Duration) -> Instant {
    now + wait.min(FOR_EVER)
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
    fn timeouts_are_read_from_settings_and_written_to_them() {
        let seconds = Duration::from_secs;
        for (written, timeouts) in [
            (r#"{"connect":"10s","idle_body":"30s"}"#, Timeouts::new()),
            (
                r#"{"connect":"10s","attempt":"1m 30s","total":"none","idle_body":"30s"}"#,
                Timeouts::new().attempt(seconds(90)).total(None),
            ),
            (
                r#"{"connect":"10s","total":"2h","idle_body":"250ms"}"#,
                Timeouts::new().total(Some(seconds(7200))).idle_body(Duration::from_millis(250)),
            ),
        ] {
            assert_eq!(serde_json::to_string(&timeouts).expect("plain"), written);
            let read: Timeouts = serde_json::from_str(written).expect("as written");
            assert_eq!(read, timeouts, "{written}");
        }
        let read = |text: &str| serde_json::from_str::<Timeouts>(text);
        for defaults in ["{}", r#"{"attempt":null,"total":null}"#] {
            assert_eq!(read(defaults).expect("the defaults"), Timeouts::new());
        }
        let error = read(r#"{"total":"5 parsecs"}"#).expect_err("no unit of time").to_string();
        assert!(error.contains("\"5 parsecs\" is not a duration such as \"30s\""), "{error}");
    }
}
