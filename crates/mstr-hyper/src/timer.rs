//! Time as a tokio runtime tells it.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Instant;

use mstr_core::{Sleep, Timer};
use tokio::runtime::Handle;

use crate::runtime::{Runtime, Task};

/// A [`Timer`] on a tokio runtime.
///
/// It is for a transport of your own, such as one from
/// [`mstr::adapter::from_fn`](mstr_core::adapter::from_fn).
///
/// ```
/// # mod mstr { pub use mstr_core::*; pub mod hyper { pub use mstr_hyper::*; } }
/// # #[tokio::main]
/// # async fn main() -> Result<(), mstr::Error> {
/// use mstr::hyper::TokioTimer;
///
/// let timer = TokioTimer::new()?;
/// # drop(timer);
/// # Ok(())
/// # }
/// ```
///
/// Its sleeps can be polled on any thread, also outside of the runtime. The runtime needs time
/// (`enable_time`). Without it, or when the runtime has shut down, sleeps are ready at once.
#[derive(Clone)]
pub struct TokioTimer(Runtime);

impl TokioTimer {
    /// Makes a timer on the runtime of the calling task.
    ///
    /// # Errors
    ///
    /// [`Config`](mstr_core::ErrorKind::Config) outside a runtime.
    pub fn new() -> Result<Self, mstr_core::Error> {
        Ok(Self::on(Runtime::current()?))
    }

    /// Makes a timer on the given runtime.
    #[must_use]
    pub fn on(runtime: Handle) -> Self {
        Self(Runtime::new(runtime))
    }
}

impl Timer for TokioTimer {
    fn now(&self) -> Instant {
        // Inside the runtime, so that a test that pauses tokio's clock sees it paused. Mostly this
        // is inside of it already, and to enter costs more than to read the clock.
        let _entered = (!self.0.is_current()).then(|| self.0.handle().enter());
        tokio::time::Instant::now().into_std()
    }

    fn sleep_until(&self, deadline: Instant) -> Sleep {
        Box::pin(Wait { timer: self.clone(), deadline, task: None })
    }
}

impl std::fmt::Debug for TokioTimer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TokioTimer").finish_non_exhaustive()
    }
}

/// A sleep in a task of its own, started when it is first waited for.
///
/// Not a `tokio::time::Sleep`: polling that panics after its runtime has shut down, whereas a
/// task ends then.
struct Wait {
    timer: TokioTimer,
    deadline: Instant,
    task: Option<Task<()>>,
}

impl Future for Wait {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let this = &mut *self;
        let task = match &mut this.task {
            Some(task) => task,
            None => {
                if this.deadline <= this.timer.now() {
                    return Poll::Ready(());
                }
                let deadline = tokio::time::Instant::from_std(this.deadline);
                let sleep = async move { tokio::time::sleep_until(deadline).await };
                this.task.insert(this.timer.0.spawn(sleep))
            }
        };
        // An error means that the runtime has shut down.
        let _ended = ready!(Pin::new(task).poll(cx));
        Poll::Ready(())
    }
}
