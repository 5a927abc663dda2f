//! One call at a time on an open session.

use mstr_suite::at_once::kinds::{Call, KINDS};

use crate::rounds::{Row, columns, compare, each, timed};
use crate::{Chapter, Measurement, Way};

const TABLE: &str = "The layer alone: a warm call";
const ROUNDS: usize = 31;
/// A round is the best of so many batches: each is over before the scheduler interrupts many.
const BATCHES: usize = 10;
const CALLS: usize = 1_000;

pub(crate) fn chapter(way: Way) -> Chapter {
    let rounds = way.rounds(ROUNDS);
    let measurements = KINDS.map(|kind| {
        let name = format!("warm::{}", kind.name);
        Measurement::new(name.clone(), move || {
            let (ours, bare) = ((kind.ours)(), (kind.bare)());
            let batch = |call: &Call| timed(|| (0..CALLS).for_each(|_| call()));
            let round = |call: &Call| {
                let best = (0..BATCHES).map(|_| batch(call)).min();
                each(best.unwrap_or_default(), CALLS)
            };
            let compared = compare(&name, rounds, || round(&ours), || round(&bare));
            let row = Row { table: TABLE, row: kind.row };
            row.record("ours", "ns", compared.ours());
            row.record("bare", "ns", compared.bare());
            row.record("the layer", "ns", compared.of(|ours, bare| ours - bare));
            row.record("ours / bare", "ratio", compared.ratio());
        })
    });
    Chapter {
        heading: format!(
            "{TABLE}, {rounds} rounds, each the best of {BATCHES} times {CALLS}\n{}",
            columns()
        ),
        measurements: measurements.into(),
    }
}
