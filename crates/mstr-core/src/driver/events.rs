//! Subscriptions to the events of a session.

use std::collections::VecDeque;
use std::future::poll_fn;
#[cfg(feature = "stream")]
use std::pin::Pin;
use std::sync::{Arc, Weak};
use std::task::{Context, Poll, Waker};

use crate::session::Event;
use crate::sync::{Mutex, lock};

/// How many unread events a subscriber can have. The oldest ones are dropped.
const BACKLOG: usize = 256;

/// The events of one connection, from [`events`](crate::Connection::events).
///
/// ```
/// # use mstr_core as mstr;
/// use mstr::{Connection, Event};
///
/// /// To be spawned as a task of its own.
/// async fn watch(connection: Connection) {
///     let mut events = connection.events();
///     drop(connection); // only the last handle ends the events
///     while let Some(event) = events.next().await {
///         match event {
///             Event::Opened { generation } => println!("session {generation} is open"),
///             Event::Lost { reason, .. } => println!("a session has ended: {reason:?}"),
///             Event::Rejected(error) => eprintln!("{}", error.report()),
///             _ => {}
///         }
///     }
/// }
/// ```
///
/// It has the events since `events` was called, and ends when the connection is closed or its last
/// handle is dropped. Subscribe after `build` and before `open` to see the first login. A reader that
/// falls more than 256 events behind loses the oldest ones.
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
    /// Waits for the next event; `None` after the last one.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future loses no event.
    pub async fn next(&mut self) -> Option<Event> {
        poll_fn(|cx| self.poll_next(cx)).await
    }

    /// Returns the next event if there is one already. For blocking code: `None` does not mean that the
    /// events have ended.
    pub fn try_next(&mut self) -> Option<Event> {
        lock(&self.0.state).events.pop_front()
    }

    /// Polls for the next event, for a `Stream` of your own; see also the feature `stream`.
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

/// The stability promise of this crate does not cover this implementation, because `futures-core` is at
/// version 0.3.
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

    /// Gives an event to all subscribers. Their wakers are collected and called later, because a waker
    /// is a caller's code and a lock is held here.
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
