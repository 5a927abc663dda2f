//! The times of a pool, and when its keeper comes by to look after them.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use mstr_core::SharedTimer;
use tokio::sync::Notify;

/// An instant that never comes, in nanoseconds of the pool.
pub(super) const NEVER: u64 = u64::MAX;

/// The clock of a pool. It counts nanoseconds, so that an instant fits into an atomic number.
pub(super) struct Clock {
    epoch: Instant,
    timer: SharedTimer,
    /// When the keeper comes by next.
    alarm: AtomicU64,
    earlier: Notify,
}

impl Clock {
    pub(super) fn new(timer: SharedTimer) -> Self {
        let epoch = timer.now();
        Self { epoch, timer, alarm: AtomicU64::new(NEVER), earlier: Notify::new() }
    }

    pub(super) fn now(&self) -> Instant {
        self.timer.now()
    }

    pub(super) fn nanos(&self, instant: Instant) -> u64 {
        let passed = instant.saturating_duration_since(self.epoch);
        u64::try_from(passed.as_nanos()).unwrap_or(NEVER)
    }

    pub(super) fn instant(&self, nanos: u64) -> Option<Instant> {
        (nanos != NEVER).then(|| self.epoch.checked_add(Duration::from_nanos(nanos))).flatten()
    }

    /// When a wait of this length is over that begins now.
    pub(super) fn after(&self, wait: Duration) -> u64 {
        self.now().checked_add(wait).map_or(NEVER, |instant| self.nanos(instant))
    }

    /// Makes sure that the keeper comes by at `until`.
    ///
    /// The work to be found then has to be there before this is called: the keeper forgets its
    /// alarm first and looks afterwards.
    pub(super) fn wake_by(&self, until: u64) {
        // Mostly it comes by before that, so mostly this is all.
        if self.alarm.load(Ordering::SeqCst) > until
            && self.alarm.fetch_min(until, Ordering::SeqCst) > until
        {
            self.earlier.notify_one();
        }
    }

    /// Forgets the alarm, before everything is looked after.
    pub(super) fn forget_alarm(&self) {
        self.alarm.store(NEVER, Ordering::SeqCst);
    }

    /// Sets the alarm to `next`, or what has been asked for meanwhile, and returns which.
    pub(super) fn set_alarm(&self, next: u64) -> u64 {
        self.alarm.fetch_min(next, Ordering::SeqCst).min(next)
    }

    /// Waits until an earlier alarm is asked for.
    pub(super) async fn earlier(&self) {
        self.earlier.notified().await;
    }

    /// Lets the keeper find that the pool is gone.
    pub(super) fn end(&self) {
        self.earlier.notify_one();
    }
}
