//! Every order in which the steps of several threads can happen, tried by loom.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use loom::future::{AtomicWaker, block_on};
use loom::sync::Arc;
use loom::sync::atomic::{AtomicBool, Ordering};
use loom::thread;

use super::super::flight::Flight;

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
