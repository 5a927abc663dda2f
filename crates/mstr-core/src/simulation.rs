//! The primitives of the drivers for the simulation of this repository: its scheduler decides which
//! thread runs, and how much time passes. Compiled with `--cfg mstr_simulation`, never in a release.

use std::cell::RefCell;
use std::fmt;
use std::ops::{Deref, DerefMut};
use std::sync::{Arc, LockResult, PoisonError};
use std::time::Duration;

/// Decides which of the threads that it knows runs. One of them does, at any time.
pub trait Scheduler: Send + Sync {
    /// Another thread may run first.
    fn pass(&self);
    /// Blocks the calling thread until there is a [notification](Self::notify) with the same key, or
    /// the time is over.
    fn wait(&self, key: usize, timeout: Option<Duration>);
    /// Lets all threads go on that wait with this key.
    fn notify(&self, key: usize);
    /// Blocks the calling thread until it is unparked, or the time is over.
    fn park(&self, timeout: Option<Duration>);
    /// Lets a thread go on that is parked, or that parks next.
    fn unpark(&self, thread: usize);
    /// The number of the calling thread.
    fn current(&self) -> usize;
}

thread_local! {
    static SCHEDULER: RefCell<Option<Arc<dyn Scheduler>>> = const { RefCell::new(None) };
}

/// Lets the calling thread be scheduled from now on, or no longer.
pub fn schedule(scheduler: Option<Arc<dyn Scheduler>>) {
    SCHEDULER.set(scheduler);
}

fn scheduler() -> Option<Arc<dyn Scheduler>> {
    // A thread that ends has none any more.
    SCHEDULER.try_with(|scheduler| scheduler.borrow().clone()).ok().flatten()
}

/// Like the one of `std`. To take it is a moment at which another thread may run.
#[derive(Debug, Default)]
pub(crate) struct Mutex<T>(std::sync::Mutex<T>);

pub(crate) struct MutexGuard<'a, T> {
    mutex: &'a Mutex<T>,
    inner: Option<std::sync::MutexGuard<'a, T>>,
}

impl<T> Mutex<T> {
    pub(crate) const fn new(value: T) -> Self {
        Self(std::sync::Mutex::new(value))
    }

    pub(crate) fn lock(&self) -> LockResult<MutexGuard<'_, T>> {
        let guarded = |inner| MutexGuard { mutex: self, inner: Some(inner) };
        let Some(scheduler) = scheduler() else {
            return self.0.lock().map(guarded).map_err(|error| {
                PoisonError::new(MutexGuard { mutex: self, inner: Some(error.into_inner()) })
            });
        };
        loop {
            scheduler.pass();
            match self.0.try_lock() {
                Ok(inner) => return Ok(guarded(inner)),
                Err(std::sync::TryLockError::Poisoned(error)) => {
                    return Ok(guarded(error.into_inner()));
                }
                // Its holder has let another thread run.
                Err(std::sync::TryLockError::WouldBlock) => {}
            }
        }
    }
}

impl<T> Deref for MutexGuard<'_, T> {
    type Target = T;

    #[expect(clippy::expect_used, reason = "it is taken when it is given back, not before")]
    fn deref(&self) -> &T {
        self.inner.as_ref().expect("held")
    }
}

impl<T> DerefMut for MutexGuard<'_, T> {
    #[expect(clippy::expect_used, reason = "it is taken when it is given back, not before")]
    fn deref_mut(&mut self) -> &mut T {
        self.inner.as_mut().expect("held")
    }
}

impl<T: fmt::Debug> fmt::Debug for MutexGuard<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(f)
    }
}

/// Like the one of `std`, for scheduled threads.
#[derive(Debug)]
pub(crate) struct Condvar(u8);

impl Condvar {
    pub(crate) const fn new() -> Self {
        // With an address of its own.
        Self(0)
    }

    fn key(&self) -> usize {
        std::ptr::from_ref(&self.0).addr()
    }

    pub(crate) fn wait<'a, T>(&self, guard: MutexGuard<'a, T>) -> LockResult<MutexGuard<'a, T>> {
        self.wait_for(guard, None)
    }

    pub(crate) fn wait_timeout<'a, T>(
        &self,
        guard: MutexGuard<'a, T>,
        timeout: Duration,
    ) -> LockResult<(MutexGuard<'a, T>, ())> {
        self.wait_for(guard, Some(timeout))
            .map(|guard| (guard, ()))
            .map_err(|error| PoisonError::new((error.into_inner(), ())))
    }

    fn wait_for<'a, T>(
        &self,
        mut guard: MutexGuard<'a, T>,
        timeout: Option<Duration>,
    ) -> LockResult<MutexGuard<'a, T>> {
        let mutex = guard.mutex;
        // No other thread runs between the two.
        drop(guard.inner.take());
        if let Some(scheduler) = scheduler() {
            scheduler.wait(self.key(), timeout);
        }
        mutex.lock()
    }

    pub(crate) fn notify_all(&self) {
        if let Some(scheduler) = scheduler() {
            scheduler.notify(self.key());
        }
    }
}

/// A thread that can be unparked.
#[derive(Clone)]
pub(crate) enum Thread {
    Scheduled(Arc<dyn Scheduler>, usize),
    Free(std::thread::Thread),
}

impl Thread {
    pub(crate) fn unpark(&self) {
        match self {
            Self::Scheduled(scheduler, thread) => scheduler.unpark(*thread),
            Self::Free(thread) => thread.unpark(),
        }
    }
}

pub(crate) fn current() -> Thread {
    match scheduler() {
        Some(scheduler) => {
            let thread = scheduler.current();
            Thread::Scheduled(scheduler, thread)
        }
        None => Thread::Free(std::thread::current()),
    }
}

pub(crate) fn park() {
    match scheduler() {
        Some(scheduler) => scheduler.park(None),
        None => std::thread::park(),
    }
}

pub(crate) fn park_timeout(timeout: Duration) {
    match scheduler() {
        Some(scheduler) => scheduler.park(Some(timeout)),
        None => std::thread::park_timeout(timeout),
    }
}
