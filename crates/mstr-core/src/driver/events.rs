//! What happens to a session, for those who want to know.

use std::collections::VecDeque;
use std::future::poll_fn;
#[cfg(feature = "stream")]
use std::pin::Pin;
use std::sync::{Arc, Weak};
use std::task::{Context, Poll, Waker};

use crate::session::Event;
use crate::sync::{Mutex, lock};

/// How many events a subscriber that does not read can be behind. The oldest are dropped.
const BACKLOG: usize = 256;

/// The events of one connection, from when [`events`](crate::Connection::events) was called.
///
/// Ends when the connection has been closed or its last handle dropped. A reader that falls
/// more than 256 events behind loses the oldest.
#[derive(Debug)]
pub struct Events(Arc<Queue>);

#[derive(Debug)]
struct Queue {
    state: Mutex<Pending>,
}

#[derive(Debug, Default)]
struct Pending {
    events: VecDeque<Event>,
    ended: bool,
    waker: Option<Waker>,
}

impl Events {
    /// The next event; `None` after the last one.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future loses no event.
    pub async fn next(&mut self) -> Option<Event> {
        poll_fn(|cx| self.poll_next(cx)).await
    }

    /// The next event if there is one already.
    pub fn try_next(&mut self) -> Option<Event> {
        lock(&self.0.state).events.pop_front()
    }

    /// Polls for the next event; what a `Stream` of any library is made from.
    pub fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<Event>> {
        let mut pending = lock(&self.0.state);
        match pending.events.pop_front() {
            Some(event) => Poll::Ready(Some(event)),
            None if pending.ended => Poll::Ready(None),
            None => {
                pending.waker = Some(cx.waker().clone());
                Poll::Pending
            }
        }
    }
}

/// Outside the stability promise, like the feature `stream`: `futures-core` is at 0.3.
#[cfg(feature = "stream")]
impl futures_core::Stream for Events {
    type Item = Event;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Event>> {
        Self::poll_next(self.get_mut(), cx)
    }
}

/// The sending side.
#[derive(Debug, Default)]
pub(super) struct Subscribers(Vec<Weak<Queue>>);

impl Subscribers {
    pub(super) fn subscribe(&mut self) -> Events {
        // Those that were dropped leave nothing behind, also where nothing happens.
        self.0.retain(|subscriber| subscriber.strong_count() > 0);
        let queue = Arc::new(Queue { state: Mutex::new(Pending::default()) });
        self.0.push(Arc::downgrade(&queue));
        Events(queue)
    }

    /// Gives an event to all subscribers. Who is to be woken for it is noted, and woken later:
    /// a waker is a caller's code, and a lock is held here.
    pub(super) fn publish(&mut self, event: &Event, wakers: &mut Vec<Waker>) {
        let last = matches!(event, Event::Closed(_));
        self.0.retain(|subscriber| {
            let Some(queue) = subscriber.upgrade() else {
                return false;
            };
            wakers.extend(queue.push(Some(event.clone()), last));
            !last
        });
    }
}

impl Drop for Subscribers {
    fn drop(&mut self) {
        let queues = self.0.iter().filter_map(Weak::upgrade);
        queues.filter_map(|queue| queue.push(None, true)).for_each(Waker::wake);
    }
}

impl Queue {
    fn push(&self, event: Option<Event>, last: bool) -> Option<Waker> {
        let mut pending = lock(&self.state);
        if pending.events.len() >= BACKLOG {
            pending.events.pop_front();
        }
        pending.events.extend(event);
        pending.ended |= last;
        pending.waker.take()
    }
}
