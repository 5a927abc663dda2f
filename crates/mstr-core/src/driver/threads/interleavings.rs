//! Every order in which the steps of several threads can happen, tried by loom.

use loom::sync::Arc;
use loom::thread;

use super::flight::{Flight, Turn};
use crate::driver::core::Outcome;

fn model(check: impl Fn() + Send + Sync + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = builder.preemption_bound.or(Some(3));
    builder.check(check);
}

/// Waits without an end to its time, and finishes what it leads: what was left, or new work.
fn finish(flight: &Flight<u32>) -> (Option<u32>, Outcome) {
    match flight.wait(None, || unreachable!("there is no deadline")) {
        Turn::Landed(outcome) => (None, outcome),
        Turn::Lead(left) => {
            flight.land(Ok(()));
            (left, Ok(()))
        }
        Turn::Late => unreachable!("there is no deadline"),
    }
}

/// Leads for a moment. Whether it has led.
fn lead_and_leave(flight: &Flight<u32>) -> bool {
    match flight.wait(None, || unreachable!("there is no deadline")) {
        Turn::Landed(_) => false,
        Turn::Lead(left) => {
            flight.leave(Some(left.unwrap_or_default() + 1));
            true
        }
        Turn::Late => unreachable!("there is no deadline"),
    }
}

#[test]
fn loom_a_thread_whose_time_is_over_leaves_its_work_to_the_next() {
    model(|| {
        let flight = Arc::new(Flight::default());
        let hasty = Arc::clone(&flight);
        let hasty = thread::spawn(move || lead_and_leave(&hasty));
        let (left, outcome) = finish(&flight);
        assert!(outcome.is_ok());
        let led = hasty.join().unwrap();
        assert_eq!(left, led.then_some(1), "what was begun is not begun again");
    });
}

#[test]
fn loom_one_of_two_that_wait_takes_over_and_both_get_the_outcome() {
    model(|| {
        let flight = Arc::new(Flight::default());
        let (hasty, other) = (Arc::clone(&flight), Arc::clone(&flight));
        let hasty = thread::spawn(move || lead_and_leave(&hasty));
        let other = thread::spawn(move || finish(&other));
        let (mine, outcome) = finish(&flight);
        assert!(outcome.is_ok());
        let (theirs, outcome) = other.join().unwrap();
        assert!(outcome.is_ok());
        let led = hasty.join().unwrap();
        assert_eq!(mine.or(theirs), led.then_some(1));
    });
}
