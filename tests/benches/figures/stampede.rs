//! Tasks that all meet the same dead session: each is refused, one logs in, each asks again.
//!
//! What a task costs must not depend on how many there are. Beside it stands a task with two bare
//! requests: that more tasks need more memory, which takes longer to reach, can be seen there.

use std::time::Duration;

use mstr_suite::at_once::stampede::Stampede;
use mstr_suite::at_once::tables::{STAMPEDE, number_of};
use mstr_suite::figures::Spread;

use crate::rounds::{Row, columns, compare, each, timed};
use crate::{Chapter, Measurement, Way};

/// How many tasks there are, and how often that is repeated within a round: a few tasks are over
/// too soon to be timed.
const NUMBERS: [(usize, usize); 5] =
    [(10, 2_000), (100, 200), (1_000, 20), (10_000, 2), (100_000, 1)];
const ROUNDS: usize = 15;

pub(crate) fn chapter(way: Way) -> Chapter {
    let rounds = way.rounds(ROUNDS);
    let measurements = NUMBERS.map(|(number, times)| {
        let name = format!("stampede::{number}");
        Measurement::new(name.clone(), move || {
            let stampede = Stampede::new();
            let all =
                |one: &dyn Fn() -> Duration| each((0..times).map(|_| one()).sum(), times * number);
            let ours = || {
                let connection = stampede.dead_session();
                timed(|| stampede.ours(&connection, number))
            };
            let bare = || timed(|| stampede.bare(number));
            let compared = compare(&name, rounds, || all(&ours), || all(&bare));
            let row = Row { table: STAMPEDE, row: &number_of(number, "tasks") };
            row.record("ours", "µs", microseconds(compared.ours()));
            row.record("two bare requests", "µs", microseconds(compared.bare()));
            row.record("time, ours / bare", "ratio", compared.ratio());
        })
    });
    Chapter {
        heading: format!("{STAMPEDE}, {rounds} rounds\n{}", columns()),
        measurements: measurements.into(),
    }
}

pub(crate) fn microseconds(Spread { low, middle, high }: Spread) -> Spread {
    Spread { low: low / 1e3, middle: middle / 1e3, high: high / 1e3 }
}
