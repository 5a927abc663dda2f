//! Keeping an idle session alive.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::sync::{Arc, Weak};
use std::task::Poll;
use std::time::{Duration, Instant};

use super::pump::Tasks;
use crate::driver::core::Core;
use crate::driver::events::Events;
use crate::session::Command;

/// How long a failed renewal is left alone if the machine does not say.
const PAUSE: Duration = Duration::from_secs(1);

pub(super) fn keepalive(core: &Arc<Core<Tasks>>) -> impl Future<Output = ()> + Send + use<> {
    let weak = Arc::downgrade(core);
    let timer = core.driver.timer.clone();
    let mut events = core.subscribe();
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
                    let Some(core) = weak.upgrade() else { return };
                    if core.carry_out(Command::Renew).await.is_err() {
                        drop(core);
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

fn next_renewal(weak: &Weak<Core<Tasks>>) -> Option<Due> {
    weak.upgrade()?.look(|session| {
        let open = session.close_outcome().is_none();
        open.then(|| session.renew_at().map_or(Due::Never, Due::At))
    })
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
