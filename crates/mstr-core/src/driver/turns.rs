//! One request at a time, for servers that accept only one.
//!
//! A server that replaces its session cookie with every answer accepts only the newest. Requests
//! that cross such an answer are refused, so they take turns.
//!
//! A call that has a turn must be able to go on, or all others wait. A thread always is. A task may be
//! alive and not polled, so there the turn is taken within work that other tasks can drive: see the `line` of the
//! asynchronous driver. An upload whose stream only the unpolled task feeds is what they cannot drive;
//! it lapses at the limit between two pieces.

use std::collections::VecDeque;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};

use crate::sync::{Mutex, MutexGuard, lock};

/// Lets one holder of a [`Turn`] through at a time, in the order they came.
#[derive(Default)]
pub(super) struct Turns(Mutex<Line>);

#[derive(Default)]
struct Line {
    taken: bool,
    next: u64,
    waiting: VecDeque<(u64, Waker)>,
}

impl Turns {
    /// Waits for a turn.
    pub(super) fn turn(&self) -> Waiting<'_> {
        Waiting { turns: self, key: None }
    }

    /// Wakes the first in the line, which stays there until it is polled: it may be dropped before.
    fn call_first(line: MutexGuard<'_, Line>) {
        let waker = line.waiting.front().map(|(_, waker)| waker.clone());
        drop(line);
        if let Some(waker) = waker {
            waker.wake();
        }
    }
}

/// A place in the line. Dropping it leaves the line.
pub(super) struct Waiting<'a> {
    turns: &'a Turns,
    key: Option<u64>,
}

impl<'a> Future for Waiting<'a> {
    type Output = Turn<'a>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Turn<'a>> {
        let mut state = lock(&self.turns.0);
        let first = match (self.key, state.waiting.front()) {
            (_, None) => true,
            (Some(key), Some((first, _))) => key == *first,
            (None, Some(_)) => false,
        };
        if !state.taken && first {
            state.taken = true;
            if self.key.take().is_some() {
                state.waiting.pop_front();
            }
            return Poll::Ready(Turn(self.turns));
        }
        match self.key.and_then(|key| state.waiting.iter_mut().find(|(other, _)| *other == key)) {
            Some((_, waker)) => waker.clone_from(cx.waker()),
            None => {
                let key = state.next;
                state.next += 1;
                state.waiting.push_back((key, cx.waker().clone()));
                drop(state);
                self.key = Some(key);
            }
        }
        Poll::Pending
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        let Some(key) = self.key else { return };
        let mut line = lock(&self.turns.0);
        line.waiting.retain(|(other, _)| *other != key);
        // It may have been woken and never polled.
        if !line.taken {
            Turns::call_first(line);
        }
    }
}

/// A turn; dropping it lets the next one through.
pub(super) struct Turn<'a>(&'a Turns);

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        let mut line = lock(&self.0.0);
        line.taken = false;
        Turns::call_first(line);
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::task::Wake;

    use super::*;

    struct Counted(AtomicUsize);

    impl Wake for Counted {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::SeqCst);
        }
    }

    fn poll<'a>(waiting: &mut Waiting<'a>, counted: &Arc<Counted>) -> Option<Turn<'a>> {
        let waker = Waker::from(Arc::clone(counted));
        match Pin::new(waiting).poll(&mut Context::from_waker(&waker)) {
            Poll::Ready(turn) => Some(turn),
            Poll::Pending => None,
        }
    }

    #[test]
    fn turns_are_given_in_order_and_one_at_a_time() {
        let turns = Turns::default();
        let counted = Arc::new(Counted(AtomicUsize::new(0)));
        let mut first = turns.turn();
        let turn = poll(&mut first, &counted).expect("nobody is before it");
        let (mut second, mut third) = (turns.turn(), turns.turn());
        assert!(poll(&mut second, &counted).is_none());
        assert!(poll(&mut third, &counted).is_none());
        drop(turn);
        assert_eq!(counted.0.load(Ordering::SeqCst), 1, "only the next is woken");
        assert!(poll(&mut third, &counted).is_none(), "it is not its turn");
        let turn = poll(&mut second, &counted).expect("its turn");
        drop(turn);
        assert!(poll(&mut third, &counted).is_some());
    }

    #[test]
    fn one_that_gives_up_lets_the_next_through() {
        let turns = Turns::default();
        let counted = Arc::new(Counted(AtomicUsize::new(0)));
        let turn = poll(&mut turns.turn(), &counted).expect("nobody is before it");
        let (mut second, mut third) = (turns.turn(), turns.turn());
        assert!(poll(&mut second, &counted).is_none());
        assert!(poll(&mut third, &counted).is_none());
        drop(turn);
        // Woken, and dropped before it could be polled.
        drop(second);
        assert_eq!(counted.0.load(Ordering::SeqCst), 2);
        assert!(poll(&mut third, &counted).is_some());
    }
}
