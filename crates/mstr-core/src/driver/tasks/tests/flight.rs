//! One future, any number of waiters.

use std::future::{Future, poll_fn};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Wake, Waker};

use super::super::flight::{Flight, Waiter};

/// A waker that counts.
#[derive(Default)]
struct Count(AtomicUsize);

impl Wake for Count {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

/// Work that is done when it is told to be.
#[derive(Clone, Default)]
struct Work(Arc<Mutex<Progress>>);

#[derive(Default)]
struct Progress {
    outcome: Option<u32>,
    waker: Option<Waker>,
    polls: usize,
    panics: bool,
}

impl Work {
    fn flight(&self) -> Flight<u32> {
        let work = self.clone();
        Flight::new(Box::pin(poll_fn(move |cx| {
            let mut progress = work.0.lock().unwrap_or_else(PoisonError::into_inner);
            progress.polls += 1;
            assert!(!progress.panics, "the work panics");
            progress.waker = Some(cx.waker().clone());
            progress.outcome.map_or(Poll::Pending, Poll::Ready)
        })))
    }

    fn wake(&self) {
        let waker = self.0.lock().unwrap().waker.take();
        waker.expect("polled before").wake();
    }

    fn finish(&self, outcome: u32) {
        self.0.lock().unwrap().outcome = Some(outcome);
        self.wake();
    }

    fn polls(&self) -> usize {
        self.0.lock().unwrap().polls
    }
}

/// One waiter and the task it belongs to.
struct Task {
    waiter: Waiter<u32>,
    woken: Arc<Count>,
}

impl Task {
    fn new(flight: &Flight<u32>) -> Self {
        Self { waiter: flight.wait(0), woken: Arc::default() }
    }

    fn poll(&mut self) -> Poll<u32> {
        let waker = Waker::from(Arc::clone(&self.woken));
        Pin::new(&mut self.waiter).poll(&mut Context::from_waker(&waker))
    }

    fn woken(&self) -> usize {
        self.woken.0.load(Ordering::SeqCst)
    }
}

#[test]
fn the_outcome_is_delivered_to_everyone_and_the_work_is_done_once() {
    let work = Work::default();
    let flight = work.flight();
    let mut tasks: Vec<Task> = (0..50).map(|_| Task::new(&flight)).collect();
    assert!(tasks.iter_mut().all(|task| task.poll().is_pending()));
    work.finish(7);
    let polls = work.polls();
    assert!(tasks.iter().all(|task| task.woken() == 1), "each is woken, once");
    assert!(tasks.iter_mut().all(|task| task.poll() == Poll::Ready(7)));
    assert_eq!(work.polls(), polls + 1);
    assert_eq!(Task::new(&flight).poll(), Poll::Ready(7), "whoever comes later hears it too");
}

#[test]
fn another_waiter_drives_when_the_leader_is_dropped() {
    let work = Work::default();
    let flight = work.flight();
    let mut leader = Task::new(&flight);
    let mut follower = Task::new(&flight);
    assert!(leader.poll().is_pending());
    assert!(follower.poll().is_pending());
    drop(leader);
    work.finish(7);
    assert_eq!(follower.woken(), 1);
    assert_eq!(follower.poll(), Poll::Ready(7));
}

#[test]
fn a_leader_that_is_woken_and_then_dropped_has_not_used_up_the_wake_up() {
    let work = Work::default();
    let flight = work.flight();
    let mut leader = Task::new(&flight);
    let mut follower = Task::new(&flight);
    assert!(leader.poll().is_pending());
    assert!(follower.poll().is_pending());
    work.finish(7);
    drop(leader);
    assert_eq!(follower.woken(), 1);
    assert_eq!(follower.poll(), Poll::Ready(7));
}

#[test]
fn a_waiter_that_is_never_polled_again_does_not_hold_up_the_rest() {
    let work = Work::default();
    let flight = work.flight();
    let mut asleep = Task::new(&flight);
    let mut awake = Task::new(&flight);
    assert!(asleep.poll().is_pending());
    assert!(awake.poll().is_pending());
    for round in 1..=3 {
        work.wake();
        assert_eq!(awake.woken(), round);
        assert!(awake.poll().is_pending());
    }
    work.finish(7);
    assert_eq!(awake.poll(), Poll::Ready(7));
    assert_eq!(asleep.poll(), Poll::Ready(7));
}

#[test]
fn work_that_everyone_has_left_is_paused_and_resumed_by_the_next() {
    let work = Work::default();
    let flight = work.flight();
    for _ in 0..5 {
        assert!(Task::new(&flight).poll().is_pending());
    }
    // It becomes ready while nobody is there.
    work.finish(7);
    assert_eq!(Task::new(&flight).poll(), Poll::Ready(7));
}

#[test]
fn a_waiter_is_not_polling_for_nothing() {
    let work = Work::default();
    let flight = work.flight();
    let mut task = Task::new(&flight);
    for _ in 0..10 {
        assert!(task.poll().is_pending());
    }
    assert_eq!(work.polls(), 1, "nothing has happened since");
}

#[test]
fn a_panic_of_the_work_is_told_to_those_who_wait() {
    let work = Work::default();
    let flight = work.flight();
    let mut leader = Task::new(&flight);
    let mut follower = Task::new(&flight);
    assert!(leader.poll().is_pending());
    assert!(follower.poll().is_pending());
    work.0.lock().unwrap().panics = true;
    work.wake();
    let panicked = catch_unwind(AssertUnwindSafe(|| leader.poll()));
    assert!(panicked.is_err(), "whoever polled it sees the panic");
    assert_eq!(follower.woken(), 1);
    assert_eq!(follower.poll(), Poll::Ready(0), "the others are told");
    assert_eq!(Task::new(&flight).poll(), Poll::Ready(0));
}

/// A waker whose end takes another waiter with it, as that of a task which waits twice does.
struct Last(#[expect(dead_code, reason = "held to be dropped")] Mutex<Waiter<u32>>);

impl Wake for Last {
    fn wake(self: Arc<Self>) {}
}

#[test]
fn a_waker_may_take_another_waiter_with_it() {
    let work = Work::default();
    let flight = work.flight();
    let mut other = Task::new(&flight);
    assert!(other.poll().is_pending());
    let mut waiter = flight.wait(0);
    let waker = Waker::from(Arc::new(Last(Mutex::new(other.waiter))));
    assert!(Pin::new(&mut waiter).poll(&mut Context::from_waker(&waker)).is_pending());
    drop(waker);

    // On a thread of its own: what this must not do is wait for its own lock for ever.
    let (told, done) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        drop(waiter);
        told.send(()).unwrap();
    });
    done.recv_timeout(std::time::Duration::from_secs(5)).expect("no deadlock");
}
