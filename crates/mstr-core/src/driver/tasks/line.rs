//! Work that holds up other callers, and that each of them can drive.
//!
//! Of calls that take turns (see [`turns`](crate::driver::turns)) one is sent at a time, and the
//! rest wait for it. Its caller may be alive and not polled: a stream of `buffered(4)` calls is
//! not, while the body of its loop awaits a call. So the part of a call for which others wait is
//! not done by its caller alone: it is put in this line, and each of them that is polled drives
//! whatever has something to do. That includes what waits for its turn, whose caller may be such
//! a one too.
//!
//! As in a [`flight`](super::flight), work is taken out, polled without the lock and put back, and
//! a wake-up is for all. In contrast to it, work has one owner, who receives what it comes to:
//! when the owner is dropped, so is the work.
//!
//! One thing only the unpolled caller itself can do. If a request's body is a stream that
//! the same task feeds, the stream stands still: such a request lapses at the limit between two
//! pieces (see [`upload`](super::upload)).

use std::any::Any;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::pin::Pin;
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll, Wake, Waker};

use crate::contract::BoxFuture;
use crate::sync::{Mutex, lock};

/// The work of all callers. Made for the first: few servers have calls take turns.
#[derive(Default)]
pub(super) struct Line(OnceLock<Arc<Common>>);

#[derive(Default)]
struct Common {
    places: Mutex<Places>,
}

#[derive(Default)]
struct Places {
    next: u64,
    /// By their key, which says who came first.
    all: BTreeMap<u64, Held>,
    /// The callers whose work can continue: it is new, or something has happened since it was
    /// last polled.
    dirty: BTreeSet<u64>,
}

/// The entry of one caller.
struct Held {
    work: Work,
    /// Says that this work has something to do.
    mark: Waker,
    /// The caller, to be woken. `None` until it is polled, and once it has been woken.
    caller: Option<Waker>,
}

enum Work {
    Over,
    Paused(BoxFuture<'static, ()>),
    /// A caller is polling it right now.
    Taken,
}

/// Work that has been taken out to be polled.
struct Taken {
    key: u64,
    work: BoxFuture<'static, ()>,
    mark: Waker,
}

impl Line {
    /// Puts work in the line.
    pub(super) fn join<T: Send + 'static>(
        &self,
        work: impl Future<Output = T> + Send + 'static,
    ) -> Place<T> {
        let outcome = Arc::new(Mutex::new(None));
        let slot = Arc::clone(&outcome);
        let work = Box::pin(async move {
            let outcome = work.await;
            *lock(&slot) = Some(outcome);
        });
        let common = self.0.get_or_init(Arc::default);
        let mut places = lock(&common.places);
        let key = places.next;
        places.next += 1;
        let mark = Waker::from(Arc::new(Mark { common: Arc::clone(common), key }));
        places.all.insert(key, Held { work: Work::Paused(work), mark, caller: None });
        places.dirty.insert(key);
        drop(places);
        Place { common: Arc::clone(common), key, outcome }
    }
}

impl fmt::Debug for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Line")
    }
}

/// A caller's place in the [`Line`]: waits for what its own work comes to, and drives that of the
/// others meanwhile. Dropping it drops the work.
///
/// `None` if the work panicked while another caller drove it.
pub(super) struct Place<T> {
    common: Arc<Common>,
    key: u64,
    outcome: Arc<Mutex<Option<T>>>,
}

impl<T> Future for Place<T> {
    type Output = Option<T>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<T>> {
        let former = lock(&self.common.places).register(self.key, cx.waker());
        // Dropping a waker can drop a task, and with it another place in the line.
        drop(former);
        // Each work once: one that wakes itself would be polled for ever, and a runtime that wants
        // to be yielded to (tokio's budget) would wait in vain.
        let mut from = 0;
        loop {
            let mut places = lock(&self.common.places);
            if places.is_over(self.key) {
                drop(places);
                return Poll::Ready(lock(&self.outcome).take());
            }
            let Some(taken) = places.take(from) else { return Poll::Pending };
            drop(places);
            let key = taken.key;
            from = key + 1;
            if let Err(panic) = self.common.drive(taken)
                && key == self.key
            {
                resume_unwind(panic);
            }
        }
    }
}

impl<T> Drop for Place<T> {
    fn drop(&mut self) {
        let mut places = lock(&self.common.places);
        let held = places.all.remove(&self.key);
        places.dirty.remove(&self.key);
        drop(places);
        // Without the lock: a request that ends here lets the next one through, which marks it.
        // Work that a caller is polling right now is dropped afterwards.
        drop(held);
    }
}

impl Places {
    /// Sets the waker of the work with this key. Returns the former one.
    fn register(&mut self, key: u64, waker: &Waker) -> Option<Waker> {
        let held = self.all.get_mut(&key)?;
        if held.caller.as_ref().is_some_and(|known| known.will_wake(waker)) {
            return None;
        }
        held.caller.replace(waker.clone())
    }

    fn is_over(&self, key: u64) -> bool {
        self.all.get(&key).is_none_or(|held| matches!(held.work, Work::Over))
    }

    /// Takes out the first work from `from` on that has something to do and is not being polled.
    fn take(&mut self, from: u64) -> Option<Taken> {
        let Self { all, dirty, .. } = self;
        dirty
            .range(from..)
            .copied()
            .find_map(|key| {
                let held = all.get_mut(&key)?;
                match std::mem::replace(&mut held.work, Work::Taken) {
                    Work::Paused(work) => Some(Taken { key, work, mark: held.mark.clone() }),
                    other => {
                        held.work = other;
                        None
                    }
                }
            })
            .inspect(|taken| {
                dirty.remove(&taken.key);
            })
    }

    /// All callers: one that is alive but never polled again must not hold up the rest.
    fn take_callers(&mut self) -> Vec<Waker> {
        self.all.values_mut().filter_map(|held| held.caller.take()).collect()
    }
}

impl Common {
    /// Polls work that has been taken out, without the lock, and puts it back. A panic of the work
    /// goes to its own caller, not to the callers that drive it.
    fn drive(&self, taken: Taken) -> Result<(), Box<dyn Any + Send>> {
        let Taken { key, work, mark } = taken;
        // Work that is over, or has panicked, is dropped in here: a caller that is woken by then finds
        // everything tidied up.
        let polled = catch_unwind(AssertUnwindSafe(move || {
            let mut work = work;
            let pending = work.as_mut().poll(&mut Context::from_waker(&mark)).is_pending();
            pending.then_some(work)
        }));
        let (mut work, outcome) = match polled {
            Ok(work) => (work, Ok(())),
            Err(panic) => (None, Err(panic)),
        };
        let mut places = lock(&self.places);
        let wakers: Vec<Waker> = match (places.all.get_mut(&key), work.take()) {
            (Some(held), Some(paused)) => {
                held.work = Work::Paused(paused);
                // Callers that came while it was out have found nothing to do.
                if places.dirty.contains(&key) { places.take_callers() } else { Vec::new() }
            }
            (Some(held), None) => {
                held.work = Work::Over;
                held.caller.take().into_iter().collect()
            }
            // Its caller has been dropped meanwhile.
            (None, left) => {
                work = left;
                Vec::new()
            }
        };
        drop(places);
        drop(work);
        wakers.into_iter().for_each(Waker::wake);
        outcome
    }
}

/// Marks one caller's work when something has happened to it, and wakes all callers.
struct Mark {
    common: Arc<Common>,
    key: u64,
}

impl Wake for Mark {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        let mut places = lock(&self.common.places);
        // Stale, as those of a timer can be.
        if places.is_over(self.key) {
            return;
        }
        places.dirty.insert(self.key);
        let wakers = places.take_callers();
        drop(places);
        wakers.into_iter().for_each(Waker::wake);
    }
}
