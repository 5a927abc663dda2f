//! The clock that a transport of this crate runs on.

use std::time::{Duration, Instant};

use mstr_core::{BoxFuture, SharedTimer, Sleep, Timer};

use crate::time::VirtualTime;
#[cfg(feature = "tokio")]
use crate::tokio_time::TokioTime;

/// The clock that a transport of this crate runs on: [`VirtualTime`], or tokio's (`TokioTime`,
/// feature `tokio`). Either becomes one by itself where one is wanted.
#[derive(Clone, Debug)]
pub struct Clock(Kind);

#[derive(Clone, Debug)]
enum Kind {
    #[cfg(feature = "tokio")]
    Tokio(TokioTime),
    Virtual(VirtualTime),
}

impl From<VirtualTime> for Clock {
    fn from(time: VirtualTime) -> Self {
        Self(Kind::Virtual(time))
    }
}

#[cfg(feature = "tokio")]
impl From<TokioTime> for Clock {
    fn from(time: TokioTime) -> Self {
        Self(Kind::Tokio(time))
    }
}

impl Timer for Clock {
    fn now(&self) -> Instant {
        match &self.0 {
            #[cfg(feature = "tokio")]
            Kind::Tokio(time) => time.now(),
            Kind::Virtual(time) => time.now(),
        }
    }

    fn sleep_until(&self, deadline: Instant) -> Sleep {
        match &self.0 {
            #[cfg(feature = "tokio")]
            Kind::Tokio(time) => time.sleep_until(deadline),
            Kind::Virtual(time) => time.sleep_until(deadline),
        }
    }
}

impl Clock {
    pub(crate) fn shared(&self) -> SharedTimer {
        SharedTimer::new(self.clone())
    }

    pub(crate) fn sleep(&self, duration: Duration) -> Sleep {
        self.sleep_until(self.now() + duration)
    }

    pub(crate) fn spawn(&self, task: BoxFuture<'static, ()>) {
        match &self.0 {
            #[cfg(feature = "tokio")]
            Kind::Tokio(time) => time.spawn(task),
            Kind::Virtual(time) => drop(time.spawn(task)),
        }
    }

    pub(crate) fn next_server(&self) -> u64 {
        match &self.0 {
            #[cfg(feature = "tokio")]
            Kind::Tokio(time) => time.next_server(),
            Kind::Virtual(time) => time.next_server(),
        }
    }

    /// The one that a blocking caller can move.
    pub(crate) const fn as_virtual(&self) -> Option<&VirtualTime> {
        match &self.0 {
            #[cfg(feature = "tokio")]
            Kind::Tokio(_) => None,
            Kind::Virtual(time) => Some(time),
        }
    }
}
