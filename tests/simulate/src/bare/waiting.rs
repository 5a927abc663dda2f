//! Callers that wait: for the machine to settle, or for their turn.

use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use mstr_core::Error;
use mstr_fake::Task;

/// What has come of something that several callers wait for.
pub(super) type Outcome = Result<(), Error>;

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Something that is under way. Clones wait for the same outcome.
#[derive(Clone, Default)]
pub(super) struct Flight(Arc<Mutex<Landing>>);

#[derive(Default)]
struct Landing {
    outcome: Option<Outcome>,
    waiting: Vec<Waker>,
}

impl Flight {
    pub(super) fn land(self, outcome: Outcome) {
        let mut landing = lock(&self.0);
        landing.outcome = Some(outcome);
        let waiting = std::mem::take(&mut landing.waiting);
        drop(landing);
        waiting.into_iter().for_each(Waker::wake);
    }
}

impl Future for Flight {
    type Output = Outcome;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Outcome> {
        let mut landing = lock(&self.0);
        if let Some(outcome) = landing.outcome.clone() {
            return Poll::Ready(outcome);
        }
        landing.waiting.push(cx.waker().clone());
        Poll::Pending
    }
}

/// Lets one call through at a time, in the order of coming. Clones share it.
#[derive(Clone, Default)]
pub(super) struct Line(Arc<Mutex<Places>>);

#[derive(Default)]
struct Places {
    next: u64,
    waiting: VecDeque<(u64, Option<Waker>)>,
}

impl Line {
    /// The last place.
    pub(super) fn join(&self) -> Turn {
        let mut places = lock(&self.0);
        let number = places.next;
        places.next += 1;
        places.waiting.push_back((number, None));
        Turn { line: self.clone(), number }
    }
}

/// A place in the line, until it is dropped.
pub(super) struct Turn {
    line: Line,
    number: u64,
}

impl Turn {
    /// Waits until it is the first.
    pub(super) async fn comes(&self) {
        std::future::poll_fn(|cx| {
            let mut places = lock(&self.line.0);
            let mut places = places.waiting.iter_mut().enumerate();
            match places.find(|(_, (number, _))| *number == self.number) {
                Some((0, _)) | None => Poll::Ready(()),
                Some((_, (_, waker))) => {
                    *waker = Some(cx.waker().clone());
                    Poll::Pending
                }
            }
        })
        .await;
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        let mut places = lock(&self.line.0);
        places.waiting.retain(|(number, _)| *number != self.number);
        let first = places.waiting.front_mut().and_then(|(_, waker)| waker.take());
        drop(places);
        if let Some(waker) = first {
            waker.wake();
        }
    }
}

/// A task that ends when its caller no longer waits.
pub(super) struct Awaited<T>(pub(super) Task<T>);

impl<T> Future for Awaited<T> {
    type Output = Option<T>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<T>> {
        Pin::new(&mut self.0).poll(cx)
    }
}

impl<T> Drop for Awaited<T> {
    fn drop(&mut self) {
        self.0.abort();
    }
}
