//! The only hook into a runtime: what time it is, and how to wait.

use std::fmt;
use std::future::Future;
use std::ops::Deref;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Instant;

/// A pending wait, as [`Timer::sleep_until`] returns it.
pub type Sleep = Pin<Box<dyn Future<Output = ()> + Send>>;

/// Tells the time and waits.
///
/// All instants of a session come from its transport's timer, so a test can let an hour pass in a
/// microsecond. `mstr::hyper::TokioTimer` and `mstr::isahc::ThreadTimer` are two of them.
pub trait Timer: fmt::Debug + Send + Sync + 'static {
    /// The current instant. Never goes backwards.
    fn now(&self) -> Instant;

    /// Returns a future that is ready at `deadline`, at once if that has passed.
    ///
    /// Polling it must not panic, whatever has become of the runtime behind it: if the runtime
    /// has shut down, the future is ready at once.
    fn sleep_until(&self, deadline: Instant) -> Sleep;
}

/// A [`Timer`] shared between a transport and the connections on it.
#[derive(Clone, Debug)]
pub struct SharedTimer(Arc<dyn Timer>);

impl SharedTimer {
    /// Shares `timer`.
    pub fn new(timer: impl Timer) -> Self {
        Self(Arc::new(timer))
    }
}

impl<T: Timer> From<Arc<T>> for SharedTimer {
    fn from(timer: Arc<T>) -> Self {
        Self(timer)
    }
}

impl Deref for SharedTimer {
    type Target = dyn Timer;

    fn deref(&self) -> &Self::Target {
        &*self.0
    }
}
