//! Giving up at a deadline.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::task::Poll;
use std::time::Instant;

use crate::contract::Timer;

/// Waits for `future`, until `deadline` at most; `None` if that has passed.
///
/// The future is asked first, so an answer that is there is taken, however late it is, and the
/// timer is asked only if there is none yet.
///
/// # Cancel safety
///
/// That of `future`, which is dropped with this.
pub async fn before<F: Future>(
    deadline: Option<Instant>,
    timer: &dyn Timer,
    future: F,
) -> Option<F::Output> {
    let mut future = pin!(future);
    let mut alarm = None;
    poll_fn(|cx| {
        if let Poll::Ready(output) = future.as_mut().poll(cx) {
            return Poll::Ready(Some(output));
        }
        let Some(deadline) = deadline else { return Poll::Pending };
        let alarm = alarm.get_or_insert_with(|| timer.sleep_until(deadline));
        alarm.as_mut().poll(cx).map(|()| None)
    })
    .await
}
