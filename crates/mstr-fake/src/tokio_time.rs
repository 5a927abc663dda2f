//! tokio's clock, for tests that run under `#[tokio::test]`.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use mstr_core::{BoxFuture, Sleep, Timer};
use tokio::runtime::Handle;
use tokio::task::JoinHandle;

/// The clock of a tokio runtime, for a [`FakeTransport`](crate::FakeTransport) in a
/// `#[tokio::test]`.
///
/// - With `start_paused = true`, time is virtual: it passes at once when every task waits, and
///   `tokio::time::advance` lets an hour pass.
/// - Without, time is real: a delay of two seconds takes two seconds. Nothing waits unless the
///   server was given a latency, a fault or an answer with a delay, or a call is repeated after a
///   pause. `Server::expire_all_sessions` lets sessions end without waiting for it.
///
/// Both kinds of runtime will do, those with one thread and those with several. Clones share the
/// addresses of servers: give several servers of a test clones of one clock.
///
/// ```
/// # mod mstr { pub use mstr_core::*; pub use mstr_fake as fake; }
/// use std::time::Duration;
///
/// use mstr::Connection;
/// use mstr::fake::{FakeTransport, Server, TokioTime};
///
/// # #[tokio::main(flavor = "current_thread", start_paused = true)]
/// # async fn main() {
/// // In a `#[tokio::test(start_paused = true)]`:
/// let server = Server::builder().user("alice", "secret").build();
/// let fake = FakeTransport::new(server, TokioTime::current());
/// let connection = Connection::builder(fake.base_url())
///     .standard("alice", "secret")
///     .transport(fake.clone())
///     .connect()
///     .await
///     .unwrap();
/// tokio::time::sleep(Duration::from_secs(3_600)).await;
/// connection.get("/api/echo").send().await.unwrap();
/// connection.close().await;
/// # }
/// ```
#[derive(Clone)]
pub struct TokioTime {
    runtime: Handle,
    servers: Arc<AtomicU64>,
}

impl TokioTime {
    /// The clock of the runtime that this is called in.
    ///
    /// # Panics
    ///
    /// Outside of a tokio runtime, and in one without time (`enable_time`).
    #[must_use]
    #[track_caller]
    pub fn current() -> Self {
        let Ok(runtime) = Handle::try_current() else {
            panic!(
                "TokioTime::current is called outside of a tokio runtime: call it in a test that \
                 is a #[tokio::test], or use VirtualTime, which brings its own"
            );
        };
        // Panics here rather than in the middle of the test where the runtime has no time.
        drop(tokio::time::sleep(Duration::ZERO));
        Self { runtime, servers: Arc::default() }
    }

    pub(crate) fn spawn(&self, task: BoxFuture<'static, ()>) {
        drop(self.runtime.spawn(task));
    }

    /// Another number for each server, so that their addresses differ.
    pub(crate) fn next_server(&self) -> u64 {
        self.servers.fetch_add(1, Ordering::Relaxed) + 1
    }
}

impl Timer for TokioTime {
    fn now(&self) -> Instant {
        let _entered = self.runtime.enter();
        tokio::time::Instant::now().into_std()
    }

    fn sleep_until(&self, deadline: Instant) -> Sleep {
        Box::pin(Waiting { time: self.clone(), deadline, task: None })
    }
}

impl fmt::Debug for TokioTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TokioTime").finish_non_exhaustive()
    }
}

/// A wait in a task of its own, which ends when the runtime does. tokio's own waits panic where
/// they are polled afterwards, which a [`Timer`] must not.
struct Waiting {
    time: TokioTime,
    deadline: Instant,
    task: Option<JoinHandle<()>>,
}

impl Future for Waiting {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let this = &mut *self;
        let task = match &mut this.task {
            Some(task) => task,
            None => {
                if this.deadline <= this.time.now() {
                    return Poll::Ready(());
                }
                let deadline = tokio::time::Instant::from_std(this.deadline);
                let wait = async move { tokio::time::sleep_until(deadline).await };
                this.task.insert(this.time.runtime.spawn(wait))
            }
        };
        // An error means that the runtime has shut down.
        let _ended = ready!(Pin::new(task).poll(cx));
        this.task = None;
        this.deadline = this.time.now();
        Poll::Ready(())
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        if let Some(task) = &self.task {
            task.abort();
        }
    }
}

/// Whether this is called in a tokio runtime whose clock stands still unless every task waits.
#[cfg(feature = "loopback")]
pub(crate) fn is_paused() -> bool {
    /// How long the real clock is watched to see whether tokio's moves with it.
    const WATCHED: Duration = Duration::from_micros(20);
    if Handle::try_current().is_err() {
        return false;
    }
    let shown = tokio::time::Instant::now();
    #[expect(clippy::disallowed_methods, reason = "to compare tokio's clock with the real one")]
    let begun = Instant::now();
    #[expect(clippy::disallowed_methods, reason = "to compare tokio's clock with the real one")]
    while begun.elapsed() < WATCHED {
        std::hint::spin_loop();
    }
    tokio::time::Instant::now() == shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[should_panic(expected = "outside of a tokio runtime")]
    fn there_is_no_clock_outside_of_a_runtime() {
        let _time = TokioTime::current();
    }

    #[test]
    #[should_panic(expected = "enable_time")]
    fn a_runtime_without_time_is_noticed_at_once() {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async { drop(TokioTime::current()) });
    }

    #[cfg(feature = "loopback")]
    #[tokio::test(start_paused = true)]
    async fn a_clock_that_is_paused_is_noticed() {
        assert!(is_paused());
        tokio::time::resume();
        assert!(!is_paused());
    }

    #[test]
    fn a_wait_ends_with_its_runtime_and_without_a_panic() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        let time = runtime.block_on(async { TokioTime::current() });
        let wait = time.sleep_until(time.now() + Duration::from_secs(3_600));
        drop(runtime);
        futures_executor::block_on(wait);
    }
}
