//! One future that any number of callers wait for and that each of them can drive.
//!
//! A login is started once and shared. Each waiter that is polled drives it; one that is dropped, or
//! alive but never polled again, does not hold up the others; the outcome is delivered to all.
//! When every waiter is gone the work is paused, not lost: the next waiter resumes the same
//! login.
//!
//! No lock is held while the future is polled.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};

use crate::contract::BoxFuture;
use crate::sync::{Mutex, MutexGuard, lock};

/// A shared future. Clones wait for the same outcome.
pub(crate) struct Flight<T>(Arc<Common<T>>);

struct Common<T> {
    progress: Mutex<Progress<T>>,
}

struct Progress<T> {
    task: Task<T>,
    /// Something has happened since the work was last polled.
    dirty: bool,
    /// Those to be woken, by their key. A waiter that has been woken is `None` until it polls.
    waiters: Vec<Option<Waker>>,
    free: Vec<usize>,
}

enum Task<T> {
    Done(T),
    Paused(BoxFuture<'static, T>),
    /// A caller is polling it right now.
    Taken,
}

impl<T: Clone + Send + 'static> Flight<T> {
    pub(super) fn new(work: BoxFuture<'static, T>) -> Self {
        let progress = Progress {
            task: Task::Paused(work),
            dirty: true,
            waiters: Vec::new(),
            free: Vec::new(),
        };
        Self(Arc::new(Common { progress: Mutex::new(progress) }))
    }

    /// Waits for the outcome. `aborted` is the outcome if the work panics.
    pub(super) fn wait(&self, aborted: T) -> Waiter<T> {
        Waiter { shared: Arc::clone(&self.0), key: None, aborted: Some(aborted) }
    }
}

impl<T> Clone for Flight<T> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

/// One caller's wait for a [`Flight`].
pub(super) struct Waiter<T> {
    shared: Arc<Common<T>>,
    key: Option<usize>,
    aborted: Option<T>,
}

impl<T> Unpin for Waiter<T> {}

impl<T: Clone + Send + 'static> Future for Waiter<T> {
    type Output = T;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<T> {
        let this = &mut *self;
        let mut state = lock(&this.shared.progress);
        if let Task::Done(outcome) = &state.task {
            return Poll::Ready(outcome.clone());
        }
        state.register(&mut this.key, cx.waker());
        if !state.dirty {
            return Poll::Pending;
        }
        // The caller that is polling sees the mark before it stops.
        let Task::Paused(work) = std::mem::replace(&mut state.task, Task::Taken) else {
            return Poll::Pending;
        };
        drop(state);

        let waker = Waker::from(Arc::clone(&this.shared));
        let mut polled = Polled { shared: &this.shared, work: Some(work), aborted: &this.aborted };
        loop {
            lock(&polled.shared.progress).dirty = false;
            let Some(work) = &mut polled.work else {
                return Poll::Pending;
            };
            match work.as_mut().poll(&mut Context::from_waker(&waker)) {
                Poll::Ready(outcome) => {
                    let finished = polled.work.take();
                    this.shared.finish(outcome.clone());
                    drop(finished);
                    return Poll::Ready(outcome);
                }
                Poll::Pending => {
                    let mut state = lock(&polled.shared.progress);
                    if !state.dirty {
                        if let Some(work) = polled.work.take() {
                            state.task = Task::Paused(work);
                        }
                        return Poll::Pending;
                    }
                }
            }
        }
    }
}

impl<T> Drop for Waiter<T> {
    fn drop(&mut self) {
        let Some(key) = self.key.take() else {
            return;
        };
        let mut state = lock(&self.shared.progress);
        let waker = state.waiters[key].take();
        state.free.push(key);
        // Dropping a waker can drop a task, and with it another wait for this flight.
        drop(state);
        drop(waker);
    }
}

impl<T> Progress<T> {
    fn register(&mut self, key: &mut Option<usize>, waker: &Waker) {
        match *key {
            Some(key) => match &mut self.waiters[key] {
                Some(known) => known.clone_from(waker),
                vacant => *vacant = Some(waker.clone()),
            },
            None => {
                let index = self.free.pop().unwrap_or_else(|| {
                    self.waiters.push(None);
                    self.waiters.len() - 1
                });
                self.waiters[index] = Some(waker.clone());
                *key = Some(index);
                // A newcomer may have given the machine something new to do.
                self.dirty = true;
            }
        }
    }

    fn take_wakers(&mut self) -> Vec<Waker> {
        self.waiters.iter_mut().filter_map(Option::take).collect()
    }
}

impl<T> Common<T> {
    fn finish(&self, outcome: T) {
        let mut state: MutexGuard<'_, Progress<T>> = lock(&self.progress);
        let former = std::mem::replace(&mut state.task, Task::Done(outcome));
        let wakers = state.take_wakers();
        drop(state);
        drop(former);
        wakers.into_iter().for_each(Waker::wake);
    }
}

impl<T: Send + 'static> Wake for Common<T> {
    fn wake(self: Arc<Self>) {
        let mut state = lock(&self.progress);
        state.dirty = true;
        // All of them: one that is alive but never polled again must not hold up the rest.
        let wakers = state.take_wakers();
        drop(state);
        wakers.into_iter().for_each(Waker::wake);
    }
}

/// Puts an outcome in place if polling the work panics.
struct Polled<'a, T: Clone + Send + 'static> {
    shared: &'a Arc<Common<T>>,
    work: Option<BoxFuture<'static, T>>,
    aborted: &'a Option<T>,
}

impl<T: Clone + Send + 'static> Drop for Polled<'_, T> {
    fn drop(&mut self) {
        let Some(work) = self.work.take() else {
            return;
        };
        // First the work, so that a caller that is woken finds everything tidied up.
        drop(work);
        if let Some(aborted) = self.aborted {
            self.shared.finish(aborted.clone());
        }
    }
}
