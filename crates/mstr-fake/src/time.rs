//! Virtual time: an executor on one thread whose clock moves only when every task waits.
//!
//! An hour passes in a microsecond, and a test behaves the same on every run: nothing depends
//! on how fast the machine is.

use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::future::Future;
use std::pin::{Pin, pin};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Wake, Waker};
use std::time::{Duration, Instant};

use mstr_core::{BoxFuture, Sleep, Timer};

/// The future given to [`VirtualTime::run`].
const MAIN: usize = usize::MAX;

/// The panic of a wait that no executor of this clock runs.
const NEVER: &str = "this would wait for ever: VirtualTime moves while VirtualTime::run does, and \
                     nothing else moves it. Run the test in time.run(async { .. }) or, under \
                     tokio (#[tokio::test]), give the transport tokio's clock: \
                     FakeTransport::new(server, TokioTime::current()), with the feature `tokio` of \
                     mstr-fake or `fake` of mstr";

/// A clock and an executor for tests. Clones share both.
///
/// The clock moves while [`run`](Self::run) does, when every task waits, and with
/// [`advance`](Self::advance). A wait under another executor panics and says so: under
/// `#[tokio::test]`, use `TokioTime` (feature `tokio`).
///
/// Work in the background, such as the logout of a connection that was dropped, runs in `run` too;
/// after its end, [`run_until_idle`](Self::run_until_idle) finishes it.
#[derive(Clone)]
pub struct VirtualTime(Arc<Inner>);

struct Inner {
    start: Instant,
    state: Mutex<State>,
}

struct State {
    now: Instant,
    sleepers: BTreeMap<(Instant, u64), Waker>,
    next_sleeper: u64,
    ready: VecDeque<usize>,
    /// Whether [`MAIN`] stands in `ready`.
    main_queued: bool,
    tasks: Vec<Spawned>,
    /// Chooses which of several ready tasks runs next; 0 keeps the order.
    seed: u64,
    servers: u64,
    /// How many calls of `run` and `run_until_idle` are under way: whether time can pass.
    running: usize,
}

struct Spawned {
    slot: Slot,
    /// Whether it stands in `ready`; it does once at most.
    queued: bool,
}

enum Slot {
    Done,
    Parked(BoxFuture<'static, ()>),
    Running,
}

impl Default for VirtualTime {
    fn default() -> Self {
        Self::new()
    }
}

impl VirtualTime {
    /// A clock that has just begun. Tasks that are ready run in the order they became so.
    #[must_use]
    pub fn new() -> Self {
        Self::seeded(0)
    }

    /// Like [`new`](Self::new), but tasks that are ready at the same time run in an order that
    /// `seed` decides, to find unforeseen interleavings.
    #[must_use]
    pub fn seeded(seed: u64) -> Self {
        #[expect(clippy::disallowed_methods, reason = "an arbitrary origin; it never moves")]
        let start = Instant::now();
        let state = State {
            now: start,
            sleepers: BTreeMap::new(),
            next_sleeper: 0,
            ready: VecDeque::new(),
            main_queued: false,
            tasks: Vec::new(),
            seed,
            servers: 0,
            running: 0,
        };
        Self(Arc::new(Inner { start, state: Mutex::new(state) }))
    }

    /// How much time has passed.
    #[must_use]
    pub fn elapsed(&self) -> Duration {
        self.0.lock().now.duration_since(self.0.start)
    }

    /// Waits for so long.
    ///
    /// # Panics
    ///
    /// The future, if it would have to wait and neither [`run`](Self::run) nor
    /// [`run_until_idle`](Self::run_until_idle) is under way: this clock would never move.
    pub fn sleep(&self, duration: Duration) -> Sleep {
        let deadline = self.0.lock().now + duration;
        self.sleep_until(deadline)
    }

    /// Lets time pass without running tasks: those that are due are woken, not run.
    pub fn advance(&self, duration: Duration) {
        let to = self.0.lock().now + duration;
        self.0.advance_to(to);
    }

    /// Lets time pass until `to`, for a thread that waits.
    pub(crate) fn advance_to(&self, to: Instant) {
        self.0.advance_to(to);
    }

    /// When the next waiting task is due.
    pub(crate) fn next_due(&self) -> Option<Instant> {
        self.0.lock().sleepers.keys().next().map(|(due, _)| *due)
    }

    /// Waits for so long, in a future that a thread polls which moves the clock when it parks.
    pub(crate) fn sleep_of_thread(&self, duration: Duration) -> Sleep {
        let deadline = self.0.lock().now + duration;
        Box::pin(Sleeping { inner: Arc::clone(&self.0), deadline, key: None, moved: true })
    }

    /// Starts a task. It runs while [`run`](Self::run) does.
    pub fn spawn<T, F>(&self, future: F) -> Task<T>
    where
        T: Send + 'static,
        F: Future<Output = T> + Send + 'static,
    {
        let outcome = Arc::new(Mutex::new(Outcome { value: None, ended: false, waker: None }));
        let sender = Ending(Arc::clone(&outcome));
        let future: BoxFuture<'static, ()> = Box::pin(async move {
            let value = future.await;
            sender.send(value);
        });
        let mut state = self.0.lock();
        let id = state.tasks.len();
        state.tasks.push(Spawned { slot: Slot::Parked(future), queued: false });
        state.enqueue(id);
        drop(state);
        Task { id, inner: Arc::clone(&self.0), outcome }
    }

    /// Runs `future` to its end, and all spawned tasks as far as they get meanwhile.
    ///
    /// # Panics
    ///
    /// If everything waits and nothing will ever wake it.
    pub fn run<F: Future>(&self, future: F) -> F::Output {
        let _running = Running::new(&self.0);
        let mut future = pin!(future);
        let waker = self.waker(MAIN);
        self.0.lock().enqueue(MAIN);
        loop {
            match self.0.next_ready() {
                Some(MAIN) => {
                    let polled = future.as_mut().poll(&mut Context::from_waker(&waker));
                    if let Poll::Ready(output) = polled {
                        return output;
                    }
                }
                Some(task) => self.poll(task),
                None => {
                    let due = self.next_due().unwrap_or_else(|| {
                        panic!("everything waits, and nothing will ever wake it")
                    });
                    self.0.advance_to(due);
                }
            }
        }
    }

    /// Runs the spawned tasks until they have ended or wait for something that never comes.
    pub fn run_until_idle(&self) {
        let _running = Running::new(&self.0);
        loop {
            match self.0.next_ready() {
                Some(task) => self.poll(task),
                None => {
                    let Some(due) = self.next_due() else { return };
                    self.0.advance_to(due);
                }
            }
        }
    }

    fn poll(&self, task: usize) {
        let slot = match self.0.lock().tasks.get_mut(task) {
            Some(task) => std::mem::replace(&mut task.slot, Slot::Running),
            None => return,
        };
        let Slot::Parked(mut future) = slot else {
            self.0.lock().tasks[task].slot = slot;
            return;
        };
        let waker = self.waker(task);
        let ended = future.as_mut().poll(&mut Context::from_waker(&waker)).is_ready();
        let mut state = self.0.lock();
        // It may have been aborted while it ran.
        if ended || matches!(state.tasks[task].slot, Slot::Done) {
            state.tasks[task].slot = Slot::Done;
            drop(state);
            drop(future);
        } else {
            state.tasks[task].slot = Slot::Parked(future);
        }
    }

    fn waker(&self, task: usize) -> Waker {
        Waker::from(Arc::new(TaskWaker { task, inner: Arc::clone(&self.0) }))
    }

    /// Another number for each server, so that their addresses differ.
    pub(crate) fn next_server(&self) -> u64 {
        let mut state = self.0.lock();
        state.servers += 1;
        state.servers
    }
}

impl Inner {
    fn lock(&self) -> MutexGuard<'_, State> {
        // A test that panics elsewhere must not hide behind a poisoned clock.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn next_ready(&self) -> Option<usize> {
        let mut state = self.lock();
        let next = if state.seed == 0 || state.ready.len() < 2 {
            state.ready.pop_front()?
        } else {
            // xorshift: any mixing does.
            state.seed ^= state.seed << 13;
            state.seed ^= state.seed >> 7;
            state.seed ^= state.seed << 17;
            let chosen = (state.seed % state.ready.len() as u64) as usize;
            state.ready.swap_remove_back(chosen)?
        };
        match state.tasks.get_mut(next) {
            Some(task) => task.queued = false,
            None => state.main_queued = false,
        }
        Some(next)
    }

    fn advance_to(&self, to: Instant) {
        let mut state = self.lock();
        state.now = state.now.max(to);
        let later = state.sleepers.split_off(&(to, u64::MAX));
        let due = std::mem::replace(&mut state.sleepers, later);
        drop(state);
        due.into_values().for_each(Waker::wake);
    }
}

impl Timer for VirtualTime {
    fn now(&self) -> Instant {
        self.0.lock().now
    }

    fn sleep_until(&self, deadline: Instant) -> Sleep {
        Box::pin(Sleeping { inner: Arc::clone(&self.0), deadline, key: None, moved: false })
    }
}

impl fmt::Debug for VirtualTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("VirtualTime").field("elapsed", &self.elapsed()).finish_non_exhaustive()
    }
}

struct TaskWaker {
    task: usize,
    inner: Arc<Inner>,
}

impl Wake for TaskWaker {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.inner.lock().enqueue(self.task);
    }
}

impl State {
    fn enqueue(&mut self, id: usize) {
        let queued = match self.tasks.get_mut(id) {
            Some(Spawned { slot: Slot::Done, .. }) => return,
            Some(task) => &mut task.queued,
            None => &mut self.main_queued,
        };
        if !std::mem::replace(queued, true) {
            self.ready.push_back(id);
        }
    }
}

/// While it exists, the clock moves when every task waits.
struct Running<'a>(&'a Inner);

impl<'a> Running<'a> {
    fn new(inner: &'a Inner) -> Self {
        inner.lock().running += 1;
        Self(inner)
    }
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        self.0.lock().running -= 1;
    }
}

struct Sleeping {
    inner: Arc<Inner>,
    deadline: Instant,
    key: Option<(Instant, u64)>,
    /// Waiting for it moves the clock.
    moved: bool,
}

impl Future for Sleeping {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let this = &mut *self;
        let mut state = this.inner.lock();
        if let Some(key) = this.key.take() {
            state.sleepers.remove(&key);
        }
        if state.now >= this.deadline {
            return Poll::Ready(());
        }
        if state.running == 0 && !this.moved {
            drop(state);
            panic!("{NEVER}");
        }
        let key = (this.deadline, state.next_sleeper);
        state.next_sleeper += 1;
        state.sleepers.insert(key, cx.waker().clone());
        this.key = Some(key);
        Poll::Pending
    }
}

impl Drop for Sleeping {
    fn drop(&mut self) {
        if let Some(key) = self.key.take() {
            self.inner.lock().sleepers.remove(&key);
        }
    }
}

/// A spawned task. Await it for its outcome; dropping the handle lets it run on.
pub struct Task<T> {
    id: usize,
    inner: Arc<Inner>,
    outcome: Arc<Mutex<Outcome<T>>>,
}

struct Outcome<T> {
    value: Option<T>,
    ended: bool,
    waker: Option<Waker>,
}

impl<T> Task<T> {
    /// Drops the task's future where it stands. Awaiting it then gives `None`.
    pub fn abort(&self) {
        let mut state = self.inner.lock();
        let slot = std::mem::replace(&mut state.tasks[self.id].slot, Slot::Done);
        drop(state);
        // Outside the lock: dropping the future runs its destructors.
        drop(slot);
    }
}

impl<T> Future for Task<T> {
    /// `None` if it was aborted.
    type Output = Option<T>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<T>> {
        let mut outcome = self.outcome.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(value) = outcome.value.take() {
            return Poll::Ready(Some(value));
        }
        if outcome.ended {
            return Poll::Ready(None);
        }
        outcome.waker = Some(cx.waker().clone());
        Poll::Pending
    }
}

impl<T> fmt::Debug for Task<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Task").field("id", &self.id).finish_non_exhaustive()
    }
}

/// Reports the end of a task, also one that was aborted.
struct Ending<T>(Arc<Mutex<Outcome<T>>>);

impl<T> Ending<T> {
    fn send(&self, value: T) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).value = Some(value);
    }
}

impl<T> Drop for Ending<T> {
    fn drop(&mut self) {
        let mut outcome = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        outcome.ended = true;
        let waker = outcome.waker.take();
        drop(outcome);
        if let Some(waker) = waker {
            waker.wake();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_passes_only_when_every_task_waits() {
        let time = VirtualTime::new();
        let order = Arc::new(Mutex::new(Vec::new()));
        time.run({
            let (time, order) = (time.clone(), Arc::clone(&order));
            async move {
                let tasks: Vec<_> = [30, 10, 20]
                    .into_iter()
                    .map(|seconds| {
                        let (time, order) = (time.clone(), Arc::clone(&order));
                        time.clone().spawn(async move {
                            time.sleep(Duration::from_secs(seconds)).await;
                            order.lock().unwrap().push(seconds);
                            seconds
                        })
                    })
                    .collect();
                for (task, seconds) in tasks.into_iter().zip([30, 10, 20]) {
                    assert_eq!(task.await, Some(seconds));
                }
            }
        });
        assert_eq!(*order.lock().unwrap(), [10, 20, 30]);
        assert_eq!(time.elapsed(), Duration::from_secs(30));
    }

    #[test]
    fn an_aborted_task_is_dropped_and_says_so() {
        let time = VirtualTime::new();
        let held = Arc::new(());
        let task = time.spawn({
            let (time, held) = (time.clone(), Arc::clone(&held));
            async move {
                time.sleep(Duration::from_secs(1)).await;
                drop(held);
            }
        });
        time.run(time.sleep(Duration::from_millis(1)));
        task.abort();
        assert_eq!(Arc::strong_count(&held), 1);
        assert_eq!(time.run(task), None);
    }

    #[test]
    #[should_panic(expected = "nothing will ever wake it")]
    fn a_deadlock_is_reported() {
        VirtualTime::new().run(std::future::pending::<()>());
    }

    #[test]
    #[should_panic(expected = "give the transport tokio's clock")]
    fn a_wait_that_no_run_ends_is_reported() {
        futures_executor::block_on(VirtualTime::new().sleep(Duration::from_secs(1)));
    }

    #[test]
    fn a_wait_that_is_over_needs_no_run() {
        let time = VirtualTime::new();
        let wait = time.sleep(Duration::from_secs(1));
        time.advance(Duration::from_secs(1));
        futures_executor::block_on(wait);
    }

    #[test]
    fn a_seed_changes_the_order_and_repeats_it() {
        let order = |seed| {
            let time = VirtualTime::seeded(seed);
            let order = Arc::new(Mutex::new(Vec::new()));
            for number in 0..20 {
                let order = Arc::clone(&order);
                drop(time.spawn(async move { order.lock().unwrap().push(number) }));
            }
            time.run_until_idle();
            let order = order.lock().unwrap();
            order.clone()
        };
        assert_eq!(order(0), (0..20).collect::<Vec<_>>());
        assert_eq!(order(5), order(5));
        assert_ne!(order(5), order(6));
    }
}
