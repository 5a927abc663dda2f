//! Waiting for a future on the calling thread.

use std::future::Future;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::time::Instant;

use crate::sync::{self, Thread};

struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.0.unpark();
    }
}

/// Parks the thread until `future` is ready.
pub(crate) fn block_on<F: Future>(future: F) -> F::Output {
    loop_on(pin!(future), || {
        sync::park();
        None
    })
}

/// Parks the thread until `future` is ready, at most until `deadline`. `None` if it has passed.
pub(crate) fn block_on_until<F: Future>(
    future: F,
    deadline: Option<Instant>,
    now: impl Fn() -> Instant,
) -> Option<F::Output> {
    let Some(deadline) = deadline else { return Some(block_on(future)) };
    block_on_while(future, || {
        let left = deadline.saturating_duration_since(now());
        if left.is_zero() {
            return false;
        }
        sync::park_timeout(left);
        true
    })
}

/// Waits for `future` on this thread. Between two looks at it `park` is called, which returns when
/// the thread has been unparked, or earlier; or says that it is not to be waited for any longer.
pub(crate) fn block_on_while<F: Future>(
    future: F,
    mut park: impl FnMut() -> bool,
) -> Option<F::Output> {
    let future = async { Some(future.await) };
    loop_on(pin!(future), || (!park()).then_some(None))
}

/// Parks the thread until it is unparked or `alarm` is ready. May return early.
pub(crate) fn park_beside(alarm: Pin<&mut (impl Future<Output = ()> + ?Sized)>) {
    if alarm.poll(&mut Context::from_waker(&own_waker())).is_pending() {
        sync::park();
    }
}

/// Polls until there is an output, of the future or of `otherwise`.
fn loop_on<F: Future>(
    mut future: Pin<&mut F>,
    mut otherwise: impl FnMut() -> Option<F::Output>,
) -> F::Output {
    let waker = own_waker();
    let mut cx = Context::from_waker(&waker);
    loop {
        if let Poll::Ready(output) = future.as_mut().poll(&mut cx) {
            return output;
        }
        // A wake-up between the poll and a park is not lost: it makes the park return at once.
        if let Some(output) = otherwise() {
            return output;
        }
    }
}

fn own_waker() -> Waker {
    Waker::from(Arc::new(Unpark(sync::current())))
}
