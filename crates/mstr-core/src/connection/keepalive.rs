//! Keeping an idle session alive.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::sync::{Arc, Weak};
use std::task::Poll;
use std::time::{Duration, Instant};

use super::Shared;
use super::events::Events;
use crate::session::Command;

/// How long a failed renewal is left alone if the machine does not say.
const PAUSE: Duration = Duration::from_secs(1);

pub(super) fn keepalive(shared: &Arc<Shared>) -> impl Future<Output = ()> + Send + use<> {
    let weak = Arc::downgrade(shared);
    let timer = shared.timer.clone();
    let mut events = shared.subscribe();
    async move {
        // Only a weak reference is held while waiting, so that dropping the last handle ends this.
        while let Some(due) = next_renewal(&weak) {
            match due {
                Due::At(at) if timer.now() < at => {
                    let sleep = timer.sleep_until(at);
                    if either(sleep, &mut events).await.is_break() {
                        return;
                    }
                }
                Due::At(_) => {
                    let Some(shared) = weak.upgrade() else { return };
                    if shared.command(Command::Renew).await.is_err() {
                        drop(shared);
                        let sleep = timer.sleep_until(timer.now() + PAUSE);
                        if either(sleep, &mut events).await.is_break() {
                            return;
                        }
                    }
                }
                // No session: there is nothing to keep until a call opens one.
                Due::Never => {
                    if events.next().await.is_none() {
                        return;
                    }
                }
            }
        }
    }
}

enum Due {
    At(Instant),
    Never,
}

fn next_renewal(weak: &Weak<Shared>) -> Option<Due> {
    let shared = weak.upgrade()?;
    let locked = shared.lock();
    if locked.session.close_outcome().is_some() {
        return None;
    }
    Some(locked.session.renew_at().map_or(Due::Never, Due::At))
}

/// Waits for the time or for something to happen; breaks when nothing will happen any more.
async fn either(sleep: impl Future<Output = ()>, events: &mut Events) -> std::ops::ControlFlow<()> {
    let mut sleep = pin!(sleep);
    let mut event = pin!(events.next());
    poll_fn(|cx| {
        if let Poll::Ready(event) = event.as_mut().poll(cx) {
            return Poll::Ready(match event {
                Some(_) => std::ops::ControlFlow::Continue(()),
                None => std::ops::ControlFlow::Break(()),
            });
        }
        sleep.as_mut().poll(cx).map(|()| std::ops::ControlFlow::Continue(()))
    })
    .await
}
