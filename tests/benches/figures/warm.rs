//! One call at a time on an open session.

use mstr_suite::at_once::AtOnce;
use mstr_suite::at_once::calls::{self, Bare, at_once};

use crate::rounds::{columns, compare, each, timed};
use crate::{Chapter, Measurement};

const ROUNDS: usize = 31;
/// A round is the best of so many batches: each is over before the scheduler interrupts many.
const BATCHES: usize = 10;
const CALLS: usize = 1_000;

/// A call or a bare request, to be made any number of times.
pub(crate) type Call = Box<dyn Fn()>;

/// One kind of call: its name, what makes it, and what makes the bare request.
pub(crate) type Kind = (&'static str, fn() -> Call, fn() -> Call);

/// Each kind of call.
pub(crate) const KINDS: [Kind; 4] = [
    (
        "connection::send",
        || {
            let connection = calls::connection(&AtOnce::new());
            Box::new(move || drop(at_once(calls::send(&connection))))
        },
        || {
            let bare = Bare::new(&AtOnce::new());
            Box::new(move || drop(at_once(bare.send())))
        },
    ),
    (
        "connection::bytes",
        || {
            let connection = calls::connection(&AtOnce::new());
            Box::new(move || drop(at_once(calls::bytes(&connection))))
        },
        || {
            let bare = Bare::new(&AtOnce::new());
            Box::new(move || drop(at_once(bare.bytes())))
        },
    ),
    (
        "blocking::send",
        || {
            let connection = calls::blocking(&AtOnce::new());
            Box::new(move || drop(calls::blocking_send(&connection)))
        },
        || {
            let bare = Bare::new(&AtOnce::new());
            Box::new(move || drop(bare.blocking_send()))
        },
    ),
    (
        "blocking::bytes",
        || {
            let connection = calls::blocking(&AtOnce::new());
            Box::new(move || drop(calls::blocking_bytes(&connection)))
        },
        || {
            let bare = Bare::new(&AtOnce::new());
            Box::new(move || drop(bare.blocking_bytes()))
        },
    ),
];

pub(crate) fn chapter() -> Chapter {
    let measurements = KINDS.map(|(name, ours, bare)| {
        let name = format!("warm::{name}");
        Measurement::new(name.clone(), move || {
            let (ours, bare) = (ours(), bare());
            let batch = |call: &Call| timed(|| (0..CALLS).for_each(|_| call()));
            let round = |call: &Call| {
                let best = (0..BATCHES).map(|_| batch(call)).min();
                each(best.unwrap_or_default(), CALLS)
            };
            compare(&name, ROUNDS, || round(&ours), || round(&bare));
        })
    });
    Chapter {
        heading: format!(
            "One call at a time, {ROUNDS} rounds, each the best of {BATCHES} times {CALLS}\n{}",
            columns()
        ),
        measurements: measurements.into(),
    }
}
