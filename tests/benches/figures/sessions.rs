//! Opening many sessions that stay open. How long one takes must not depend on how many there are.

use mstr_suite::at_once::AtOnce;
use mstr_suite::at_once::calls;
use mstr_suite::at_once::tables::{SESSIONS, number_of};
use mstr_suite::figures::Spread;

use crate::rounds::{Row, each, timed};
use crate::stampede::microseconds;
use crate::{Chapter, Measurement, Way};

/// How many are open in the end, and in how many rounds.
const NUMBERS: [(usize, usize); 3] = [(1_000, 21), (10_000, 9), (100_000, 5)];

pub(crate) fn chapter(way: Way) -> Chapter {
    let measurements = NUMBERS.map(|(number, rounds)| {
        let name = format!("sessions::{number}");
        Measurement::new(name.clone(), move || {
            let rounds = (0..=way.rounds(rounds)).map(|_| {
                let transport = AtOnce::new();
                let mut open = Vec::with_capacity(number);
                let opening = || open.extend((0..number).map(|_| calls::session(&transport)));
                each(timed(opening), number)
            });
            // The first round pays for what happens once.
            let spread = microseconds(Spread::of(rounds.skip(1).collect()));
            println!("{name:<32} {:>24}", format!("{spread:.2}"));
            let row = Row { table: SESSIONS, row: &number_of(number, "sessions") };
            row.record("time to open", "µs", spread);
        })
    });
    Chapter {
        heading: format!("{SESSIONS}\n{:<32} {:>24}", "", "time to open, µs"),
        measurements: measurements.into(),
    }
}
