//! Every order in which the steps of several threads can happen, tried by loom.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use loom::future::{AtomicWaker, block_on};
use loom::sync::Arc;
use loom::sync::atomic::{AtomicBool, Ordering};
use loom::thread;

use super::super::flight::Flight;
use super::super::line::{Line, Place};
use crate::driver::turns::Turns;

/// What happens elsewhere: an answer arrives.
#[derive(Default)]
struct Answer {
    arrived: AtomicBool,
    waker: AtomicWaker,
}

impl Answer {
    fn arrive(&self) {
        self.arrived.store(true, Ordering::SeqCst);
        self.waker.wake();
    }

    fn poll(&self, cx: &mut Context<'_>) -> Poll<u32> {
        self.waker.register_by_ref(cx.waker());
        if self.arrived.load(Ordering::SeqCst) { Poll::Ready(7) } else { Poll::Pending }
    }
}

fn flight() -> (Arc<Answer>, Flight<u32>) {
    let answer = Arc::new(Answer::default());
    let polled = Arc::clone(&answer);
    let work = std::future::poll_fn(move |cx| polled.poll(cx));
    (answer, Flight::new(Box::pin(work)))
}

/// Polls once with a waker that nobody listens to, then gives up.
fn poll_and_drop(flight: &Flight<u32>) {
    let mut waiter = flight.wait(0);
    let mut cx = Context::from_waker(std::task::Waker::noop());
    if let Poll::Ready(outcome) = Pin::new(&mut waiter).poll(&mut cx) {
        assert_eq!(outcome, 7);
    }
}

fn model(check: impl Fn() + Send + Sync + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = builder.preemption_bound.or(Some(3));
    builder.check(check);
}

#[test]
fn loom_two_waiters_both_receive_the_outcome() {
    model(|| {
        let (answer, flight) = flight();
        let other = flight.clone();
        let other = thread::spawn(move || block_on(other.wait(0)));
        let arrival = thread::spawn(move || answer.arrive());
        assert_eq!(block_on(flight.wait(0)), 7);
        assert_eq!(other.join().unwrap(), 7);
        arrival.join().unwrap();
    });
}

#[test]
fn loom_a_leader_dropped_while_the_answer_arrives_takes_no_wake_up_with_it() {
    model(|| {
        let (answer, flight) = flight();
        let leader = flight.clone();
        let leader = thread::spawn(move || poll_and_drop(&leader));
        let arrival = thread::spawn(move || answer.arrive());
        assert_eq!(block_on(flight.wait(0)), 7);
        leader.join().unwrap();
        arrival.join().unwrap();
    });
}

#[test]
fn loom_a_newcomer_at_the_moment_of_completion_receives_the_outcome() {
    model(|| {
        let (answer, flight) = flight();
        let first = flight.clone();
        answer.arrive();
        let first = thread::spawn(move || block_on(first.wait(0)));
        assert_eq!(block_on(flight.wait(0)), 7);
        assert_eq!(first.join().unwrap(), 7);
    });
}

#[test]
fn loom_work_that_everyone_left_is_finished_by_whoever_comes_next() {
    model(|| {
        let (answer, flight) = flight();
        let left = flight.clone();
        let left = thread::spawn(move || poll_and_drop(&left));
        let arrival = thread::spawn(move || answer.arrive());
        left.join().unwrap();
        arrival.join().unwrap();
        assert_eq!(block_on(flight.wait(0)), 7);
    });
}

/// A line of callers that take turns.
#[derive(Default)]
struct InTurns {
    line: Line,
    turns: std::sync::Arc<Turns>,
}

impl InTurns {
    /// One whose answer arrives elsewhere.
    fn waits_for(&self, answer: &Arc<Answer>) -> Place<u32> {
        let (turns, answer) = (std::sync::Arc::clone(&self.turns), Arc::clone(answer));
        self.line.join(async move {
            let _turn = turns.turn().await;
            std::future::poll_fn(|cx| answer.poll(cx)).await
        })
    }

    /// One that is answered at once.
    fn at_once(&self) -> Place<u32> {
        let turns = std::sync::Arc::clone(&self.turns);
        self.line.join(async move {
            let _turn = turns.turn().await;
            8
        })
    }
}

/// Polls once with a waker that nobody listens to.
fn poll_once(place: &mut Place<u32>) -> Poll<Option<u32>> {
    Pin::new(place).poll(&mut Context::from_waker(std::task::Waker::noop()))
}

#[test]
fn loom_callers_in_line_each_receive_their_own_outcome() {
    model(|| {
        let (answer, calls) = (Arc::new(Answer::default()), InTurns::default());
        let (first, second) = (calls.waits_for(&answer), calls.at_once());
        let first = thread::spawn(move || block_on(first));
        answer.arrive();
        assert_eq!(block_on(second), Some(8));
        assert_eq!(first.join().unwrap(), Some(7));
    });
}

#[test]
fn loom_caller_that_is_never_polled_again_holds_up_nobody_in_line() {
    model(|| {
        let (answer, calls) = (Arc::new(Answer::default()), InTurns::default());
        let (mut first, second) = (calls.waits_for(&answer), calls.at_once());
        let first = thread::spawn(move || {
            let polled = poll_once(&mut first);
            assert!(matches!(polled, Poll::Pending | Poll::Ready(Some(7))));
            first
        });
        let arrival = thread::spawn(move || answer.arrive());
        assert_eq!(block_on(second), Some(8));
        arrival.join().unwrap();
        drop(first.join().unwrap());
    });
}

#[test]
fn loom_caller_dropped_while_another_drives_its_work_lets_the_next_through() {
    model(|| {
        let (answer, calls) = (Arc::new(Answer::default()), InTurns::default());
        let (mut first, second) = (calls.waits_for(&answer), calls.at_once());
        let first = thread::spawn(move || drop((poll_once(&mut first), first)));
        assert_eq!(block_on(second), Some(8));
        first.join().unwrap();
    });
}

#[test]
fn loom_newcomer_drives_what_was_woken_while_nobody_was_polled() {
    model(|| {
        let (answer, calls) = (Arc::new(Answer::default()), InTurns::default());
        let mut first = calls.waits_for(&answer);
        assert!(poll_once(&mut first).is_pending());
        let arrival = thread::spawn(move || answer.arrive());
        assert_eq!(block_on(calls.at_once()), Some(8));
        arrival.join().unwrap();
        assert_eq!(poll_once(&mut first), Poll::Ready(Some(7)));
    });
}
