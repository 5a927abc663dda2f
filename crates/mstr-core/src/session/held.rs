//! A live session: what is held while there is one.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::error::Error;
use crate::generation::Generation;
use crate::protocol::{AuthToken, CookieJar, Exchanging, Grant, WireCredentials, wire};
use crate::timeouts::later;

/// The share of the idle timeout that is kept in reserve when renewing, and its bounds.
const RENEWAL_MARGIN_SHARE: u32 = 5;
const LONGEST_RENEWAL_MARGIN: Duration = Duration::from_secs(60);
/// A session that the server does not know any more so soon after it was opened has not ended: it is
/// probably known to another server.
const BRIEF: Duration = Duration::from_secs(10);

/// A live session: its token and cookies, swapped together, and how long it lasts.
pub(super) struct Held {
    pub(super) generation: Generation,
    pub(super) epoch: u64,
    /// Of the session's own cookie.
    pub(super) cookie: u64,
    pub(super) token: AuthToken,
    pub(super) jar: CookieJar,
    /// That a cookie was ignored has been told.
    pub(super) told_ignored: bool,
    pub(super) wire: Arc<WireCredentials>,
    pub(super) exchanging: Exchanging,
    /// Borrowed with an identity token: not ours to log out, and not replaceable.
    pub(super) borrowed: bool,
    /// Opened elsewhere, and nothing has succeeded in it here.
    pub(super) adopted: bool,
    /// The error when it ends, if the credentials had been refused before it was adopted.
    pub(super) refusal: Option<Error>,
    /// When it was opened, or adopted.
    since: Instant,
    /// Something has succeeded in it.
    pub(super) confirmed: bool,
    /// When the server last said that it lives, having been asked.
    pub(super) vouched: Option<Instant>,
    pub(super) idle_timeout: Duration,
    /// When the server last saw a request of this session.
    pub(super) touched: Instant,
    pub(super) idle_deadline: Instant,
    pub(super) renew_at: Instant,
    /// How long after a request it is renewed: each request would have to work it out.
    renew_after: Duration,
    /// From 0 to 1; spreads the renewals of sessions opened together.
    pub(super) jitter: f64,
}

impl Held {
    /// A session with nothing done in it yet; `None` for a token that no header can carry.
    pub(super) fn new(token: AuthToken, jar: CookieJar, now: Instant) -> Option<Box<Self>> {
        let wire = WireCredentials { token: wire::token_header(&token)?, cookies: jar.header() };
        Some(Box::new(Self {
            generation: Generation::NONE,
            epoch: 0,
            cookie: 0,
            token,
            jar,
            told_ignored: false,
            wire: Arc::new(wire),
            exchanging: Exchanging::default(),
            borrowed: false,
            adopted: false,
            refusal: None,
            since: now,
            confirmed: false,
            vouched: None,
            idle_timeout: Duration::ZERO,
            touched: now,
            idle_deadline: now,
            renew_at: now,
            renew_after: Duration::ZERO,
            jitter: 0.0,
        }))
    }

    /// Whether it is ours to end: not borrowed, and not one that other machines may use.
    pub(super) const fn is_ours(&self) -> bool {
        !self.borrowed && !self.adopted
    }

    pub(super) fn grant(&self) -> Grant {
        Grant {
            generation: self.generation,
            epoch: self.epoch,
            cookie: self.cookie,
            takes_turns: self.exchanging.takes_turns(),
            wire: Arc::clone(&self.wire),
        }
    }

    /// Whether the server has said that it lives, after a request was sent at `sent_at`.
    pub(super) fn is_vouched_for(&self, sent_at: Instant) -> bool {
        self.vouched.is_some_and(|at| sent_at <= at)
    }

    /// Whether it was opened only a moment ago.
    pub(super) fn is_brief(&self, now: Instant) -> bool {
        now < later(self.since, BRIEF)
    }

    /// A login has opened it, whose answer may have lain unread: the session is no younger than the
    /// login's deadline, and has perhaps been idle since it was sent.
    pub(super) fn opened_by(&mut self, sent_at: Instant, deadline: Instant) {
        self.since = self.since.min(deadline);
        self.touched = self.touched.min(sent_at);
    }

    pub(super) const fn touched(&self) -> Instant {
        self.touched
    }

    /// Something has succeeded in it.
    pub(super) const fn confirm(&mut self) {
        self.confirmed = true;
        self.adopted = false;
    }

    /// The server has seen a request of this session at `at`: its idle time begins anew.
    pub(super) fn touch(&mut self, at: Instant) {
        self.touched = self.touched.max(at);
        let deadline = later(at, self.idle_timeout);
        if deadline > self.idle_deadline {
            self.idle_deadline = deadline;
            self.renew_at = later(at, self.renew_after);
        }
    }

    /// Whether it has been idle for longer than the server allows.
    pub(super) fn is_overdue(&self, now: Instant) -> bool {
        now.saturating_duration_since(self.touched) >= self.idle_timeout
    }

    /// Sets how long it may be idle, after its jitter.
    pub(super) fn set_idle_timeout(&mut self, timeout: Duration, at: Instant) {
        let margin = (timeout / RENEWAL_MARGIN_SHARE).min(LONGEST_RENEWAL_MARGIN);
        let early = margin.mul_f64(1.0 + self.jitter / 4.0);
        (self.idle_timeout, self.renew_after) = (timeout, timeout.saturating_sub(early));
        self.idle_deadline = at;
        self.touch(at);
    }

    /// Drops the cookies whose time is over.
    pub(super) fn expire_cookies(&mut self, now: Instant) {
        if self.jar.expire(now) {
            self.refresh();
        }
    }

    /// Rebuilds the headers after the cookies have changed.
    pub(super) fn refresh(&mut self) {
        self.epoch += 1;
        if let Some(token) = wire::token_header(&self.token) {
            self.wire = Arc::new(WireCredentials { token, cookies: self.jar.header() });
        }
    }
}

impl fmt::Debug for Held {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Held")
            .field("generation", &self.generation.number())
            .field("epoch", &self.epoch)
            .field("borrowed", &self.borrowed)
            .finish_non_exhaustive()
    }
}
