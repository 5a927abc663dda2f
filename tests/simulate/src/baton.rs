//! Threads of the operating system, one of which runs at any time: the one that has the baton.
//!
//! At each lock, park and exchange the baton may pass to another thread, as the seed decides. When every
//! thread waits, the clock goes on to the first that waits for a time.

use std::collections::BTreeMap;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use fastrand::Rng;
use mstr_core::simulation::{Scheduler, schedule};
use mstr_core::{BoxFuture, Sleep};

use crate::client::Clock;

/// More steps than any life takes: threads that never come to an end.
const STEPS: u64 = 2_000_000;
/// The key of those that wait for the end of a thread.
const ENDED: usize = 0;
/// The panic of threads that all wait for ever.
pub(crate) const STUCK: &str = "every thread waits, and nothing will ever wake one";

/// Clones share it.
#[derive(Clone)]
pub(crate) struct Baton(Arc<Inner>);

struct Inner {
    state: Mutex<State>,
    passed: Condvar,
}

struct State {
    now: Instant,
    rng: Rng,
    running: usize,
    threads: Vec<Thread>,
    /// Futures that wait for a time, polled by threads.
    sleepers: BTreeMap<(Instant, u64), Waker>,
    next: u64,
    steps: u64,
    stuck: bool,
}

#[derive(Debug)]
struct Thread {
    waits: Waits,
    until: Option<Instant>,
    /// It has been unparked and has not parked since.
    unparked: bool,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Waits {
    No,
    Parked,
    For(usize),
    Time,
    Over,
}

thread_local! {
    static NUMBER: std::cell::Cell<usize> = const { std::cell::Cell::new(0) };
}

impl Baton {
    /// The calling thread is the first, and has it.
    pub(crate) fn new(seed: u64) -> Self {
        #[expect(clippy::disallowed_methods, reason = "an arbitrary origin; it never moves")]
        let now = Instant::now();
        let first = Thread { waits: Waits::No, until: None, unparked: false };
        let state = State {
            now,
            rng: Rng::with_seed(seed),
            running: 0,
            threads: vec![first],
            sleepers: BTreeMap::new(),
            next: 0,
            steps: 0,
            stuck: false,
        };
        let baton = Self(Arc::new(Inner { state: Mutex::new(state), passed: Condvar::new() }));
        NUMBER.set(0);
        schedule(Some(Arc::new(baton.clone())));
        baton
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A thread that waits for the baton.
    pub(crate) fn spawn(&self, work: impl FnOnce() + Send + 'static) -> JoinHandle<()> {
        let mut state = self.state();
        let number = state.threads.len();
        state.threads.push(Thread { waits: Waits::No, until: None, unparked: false });
        drop(state);
        let baton = self.clone();
        std::thread::spawn(move || {
            NUMBER.set(number);
            schedule(Some(Arc::new(baton.clone())));
            // Given on also if it panics.
            let _over = Over(&baton);
            baton.wait_for_turn(baton.state());
            work();
        })
    }

    /// Waits, as the first thread, until all have ended that were begun after so many others.
    pub(crate) fn join(&self, others: usize) {
        loop {
            let live = self.state().threads.iter().skip(others).any(|it| it.waits != Waits::Over);
            if !live {
                return;
            }
            // Told by each that ends.
            self.block(Waits::For(ENDED), None);
        }
    }

    /// The first thread has nothing to do any more: the others come to their ends.
    pub(crate) fn ends(&self) {
        drop(Over(self));
    }

    /// Lets so much time pass, whoever waits for it.
    pub(crate) fn leap(&self, by: Duration) {
        let mut state = self.state();
        let to = state.now + by;
        state.now = to;
    }

    pub(crate) fn sleep_until(&self, until: Instant) {
        self.block(Waits::Time, Some(until));
    }

    pub(crate) fn park_until(&self, until: Instant) {
        self.block(Waits::Parked, Some(until));
    }

    fn block(&self, waits: Waits, until: Option<Instant>) {
        let mut state = self.state();
        let number = NUMBER.get();
        let thread = &mut state.threads[number];
        if waits == Waits::Parked && std::mem::take(&mut thread.unparked) {
            return;
        }
        (thread.waits, thread.until) = (waits, until);
        state.choose();
        self.wait_for_turn(state);
        let mut state = self.state();
        let thread = &mut state.threads[number];
        (thread.waits, thread.until) = (Waits::No, None);
        if waits == Waits::Parked {
            thread.unparked = false;
        }
        drop(state);
        self.wake();
    }

    fn wait_for_turn(&self, mut state: MutexGuard<'_, State>) {
        self.0.passed.notify_all();
        let number = NUMBER.get();
        while state.running != number && !state.stuck {
            state = self.0.passed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        let stuck = state.stuck;
        drop(state);
        if stuck && !std::thread::panicking() {
            panic!("{STUCK}");
        }
    }

    /// A future that waits until then, for a thread to poll.
    pub(crate) fn sleeping(&self, until: Instant) -> Sleep {
        let (baton, mut key) = (self.clone(), None);
        Box::pin(std::future::poll_fn(move |cx: &mut Context<'_>| {
            let mut state = baton.state();
            if let Some(key) = key.take() {
                state.sleepers.remove(&key);
            }
            if state.now >= until {
                return Poll::Ready(());
            }
            state.next += 1;
            let own = (until, state.next);
            state.sleepers.insert(own, cx.waker().clone());
            key = Some(own);
            Poll::Pending
        }))
    }

    /// Wakes the futures whose time has come.
    fn wake(&self) {
        let mut state = self.state();
        let now = state.now;
        let later = state.sleepers.split_off(&(now, u64::MAX));
        let due = std::mem::replace(&mut state.sleepers, later);
        drop(state);
        due.into_values().for_each(Waker::wake);
    }
}

struct Over<'a>(&'a Baton);

impl Drop for Over<'_> {
    fn drop(&mut self) {
        schedule(None);
        let mut state = self.0.state();
        let number = NUMBER.get();
        state.threads[number].waits = Waits::Over;
        state.notify(ENDED);
        state.choose();
        drop(state);
        self.0.0.passed.notify_all();
    }
}

impl State {
    /// Gives the baton to one of the threads that can go on.
    fn choose(&mut self) {
        self.steps += 1;
        loop {
            let rings = self.sleepers.keys().any(|(until, _)| *until <= self.now);
            let ready: Vec<usize> = (0..self.threads.len())
                .filter(|number| self.threads[*number].can_go_on(self.now, rings))
                .collect();
            if let Some(chosen) = self.rng.choice(ready).filter(|_| self.steps < STEPS) {
                self.running = chosen;
                return;
            }
            let waiting = self.threads.iter().filter(|it| it.waits != Waits::Over);
            let threads = waiting.filter_map(|thread| thread.until);
            let sleepers = self.sleepers.keys().map(|(until, _)| *until);
            let next = threads.chain(sleepers).filter(|until| *until > self.now).min();
            let Some(next) = next.filter(|_| self.steps < STEPS) else {
                // When the first thread has nothing to wait for, all is over.
                self.stuck = self.threads.iter().any(|it| it.waits != Waits::Over);
                return;
            };
            self.now = next;
        }
    }

    fn notify(&mut self, key: usize) {
        for thread in &mut self.threads {
            if thread.waits == Waits::For(key) {
                thread.waits = Waits::No;
            }
        }
    }
}

impl Thread {
    /// A parked thread looks at its future again when one `rings`, not only its own.
    fn can_go_on(&self, now: Instant, rings: bool) -> bool {
        let due = self.until.is_some_and(|until| until <= now);
        match self.waits {
            Waits::No => true,
            Waits::Parked => due || self.unparked || rings,
            Waits::For(_) | Waits::Time => due,
            Waits::Over => false,
        }
    }
}

impl Scheduler for Baton {
    fn pass(&self) {
        // Mostly the thread goes on.
        let mut state = self.state();
        if state.rng.u8(..4) > 0 {
            return;
        }
        state.choose();
        self.wait_for_turn(state);
        self.wake();
    }

    fn wait(&self, key: usize, timeout: Option<Duration>) {
        let until = timeout.map(|timeout| self.state().now + timeout);
        self.block(Waits::For(key), until);
    }

    fn notify(&self, key: usize) {
        self.state().notify(key);
    }

    fn park(&self, timeout: Option<Duration>) {
        let until = timeout.map(|timeout| self.state().now + timeout);
        self.block(Waits::Parked, until);
    }

    fn unpark(&self, thread: usize) {
        self.state().threads[thread].unparked = true;
    }

    fn current(&self) -> usize {
        NUMBER.get()
    }
}

impl Clock for Baton {
    fn now(&self) -> Instant {
        self.state().now
    }

    fn sleep(&self, time: Duration) -> BoxFuture<'static, ()> {
        let until = self.state().now + time;
        self.sleeping(until)
    }

    fn wait(&self, time: Duration) -> BoxFuture<'static, ()> {
        let baton = self.clone();
        Box::pin(async move { baton.sleep_until(baton.now() + time) })
    }
}
