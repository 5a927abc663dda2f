//! Time without a runtime.

use std::time::Instant;

use mstr_core::{Sleep, Timer};

/// A [`Timer`] that needs no runtime.
///
/// It is for a transport of your own, such as one from
/// [`mstr::adapter::from_fn`](mstr_core::adapter::from_fn). One thread wakes all sleeps of the process.
/// It is started with the first sleep.
#[derive(Clone, Copy, Debug, Default)]
#[non_exhaustive]
pub struct ThreadTimer;

impl ThreadTimer {
    /// Makes a timer.
    #[must_use]
    pub const fn new() -> Self {
        Self
    }
}

impl Timer for ThreadTimer {
    #[expect(clippy::disallowed_methods, reason = "this is the timer")]
    fn now(&self) -> Instant {
        Instant::now()
    }

    fn sleep_until(&self, deadline: Instant) -> Sleep {
        let timer = *self;
        Box::pin(async move {
            // Rounding can end a sleep a moment too early.
            while let Some(left) = deadline.checked_duration_since(timer.now()) {
                if left.is_zero() {
                    return;
                }
                futures_timer::Delay::new(left).await;
            }
        })
    }
}
