//! Running on a tokio runtime, independently of the poller.
//!
//! A transport may be polled anywhere: on another runtime, on a thread without one, or after its
//! own has shut down. Sockets and timers of tokio panic there. A task does not: it runs where it
//! was spawned, and its waiter is told when it ends, or when its runtime does.

use std::fmt;
use std::future::Future;
use std::time::Instant;

use mstr_core::{Sleep, Timer};
use tokio::runtime::Handle;
use tokio::task::JoinSet;

/// Runs `future` on `runtime`; `None` if that has shut down. Dropping this drops `future`.
pub async fn on<T: Send + 'static>(
    runtime: &Handle,
    future: impl Future<Output = T> + Send + 'static,
) -> Option<T> {
    // A set of one, because a set ends its tasks when it is dropped.
    let mut tasks = JoinSet::new();
    tasks.spawn_on(future, runtime);
    tasks.join_next().await?.ok()
}

/// The timer of a tokio runtime.
pub struct TokioTimer(Handle);

impl TokioTimer {
    /// A timer on `runtime`.
    #[must_use]
    pub fn new(runtime: Handle) -> Self {
        Self(runtime)
    }
}

impl Timer for TokioTimer {
    fn now(&self) -> Instant {
        let _entered = self.0.enter();
        tokio::time::Instant::now().into_std()
    }

    fn sleep_until(&self, deadline: Instant) -> Sleep {
        let runtime = self.0.clone();
        Box::pin(async move {
            let sleep = async move { tokio::time::sleep_until(deadline.into()).await };
            // At once when the runtime has shut down.
            on(&runtime, sleep).await;
        })
    }
}

impl fmt::Debug for TokioTimer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TokioTimer").finish_non_exhaustive()
    }
}
