//! Keeping an idle session alive.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::sync::{Arc, Weak};
use std::task::Poll;
use std::time::{Duration, Instant};

use super::pump::Tasks;
use crate::contract::SharedTimer;
use crate::driver::core::Core;
use crate::driver::events::Events;
use crate::driver::recorder::Input;
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
            // Without a session there is nothing to keep until a call opens one.
            let wait_until = match due {
                Some(at) if at <= timer.now() => {
                    let Some(core) = weak.upgrade() else { return };
                    match core.carry_out(Command::Renew, Input::RenewDue, None).await {
                        Ok(()) => continue,
                        Err(_) => Some(timer.now() + PAUSE),
                    }
                }
                due => due,
            };
            if !wait(wait_until, &timer, &mut events).await {
                return;
            }
        }
    }
}

/// When the session should be renewed, if there is one; `None` when the connection is over.
fn next_renewal(weak: &Weak<Core<Tasks>>) -> Option<Option<Instant>> {
    weak.upgrade()?.look(|session| session.close_outcome().is_none().then(|| session.renew_at()))
}

/// Waits for the time or for something to happen; whether anything will happen any more.
async fn wait(until: Option<Instant>, timer: &SharedTimer, events: &mut Events) -> bool {
    let mut sleep = until.map(|until| timer.sleep_until(until));
    let mut event = pin!(events.next());
    poll_fn(|cx| {
        if let Poll::Ready(event) = event.as_mut().poll(cx) {
            return Poll::Ready(event.is_some());
        }
        match &mut sleep {
            Some(sleep) => sleep.as_mut().poll(cx).map(|()| true),
            None => Poll::Pending,
        }
    })
    .await
}
