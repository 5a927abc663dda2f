//! Two things that are measured in turns, and the rows that show them.

use std::time::Duration;

use mstr_suite::at_once::now;
use mstr_suite::figures::{Figure, Spread, in_turns};

/// How long something takes, by the clock.
pub(crate) fn timed(work: impl FnOnce()) -> Duration {
    let begun = now();
    work();
    now() - begun
}

/// Nanoseconds for each of so many calls.
pub(crate) fn each(all: Duration, calls: usize) -> f64 {
    all.as_nanos() as f64 / calls as f64
}

/// Two things that were measured in turns, in nanoseconds.
pub(crate) struct Compared {
    turns: Vec<(f64, f64)>,
}

/// Measures both in turns and prints a line: nanoseconds of each, and the ratio of each turn.
pub(crate) fn compare(
    name: &str,
    rounds: usize,
    mut ours: impl FnMut() -> f64,
    mut bare: impl FnMut() -> f64,
) -> Compared {
    // The first turn pays for what happens once.
    ours();
    bare();
    let compared = Compared { turns: in_turns(0..rounds, ours, bare) };
    let cells = [
        format!("{:.0}", compared.ours()),
        format!("{:.0}", compared.bare()),
        format!("{:.2}", compared.ratio()),
    ];
    println!("{name:<32} {:>24} {:>24} {:>18}", cells[0], cells[1], cells[2]);
    compared
}

/// What stands above the lines of [`compare`].
pub(crate) fn columns() -> String {
    format!("{:<32} {:>24} {:>24} {:>18}", "", "ours, ns", "bare, ns", "ours / bare")
}

impl Compared {
    pub(crate) fn ours(&self) -> Spread {
        self.of(|ours, _| ours)
    }

    pub(crate) fn bare(&self) -> Spread {
        self.of(|_, bare| bare)
    }

    /// Of the times.
    pub(crate) fn ratio(&self) -> Spread {
        self.of(|ours, bare| ours / bare)
    }

    /// A number of each turn, and the middle half of them.
    pub(crate) fn of(&self, number: impl Fn(f64, f64) -> f64) -> Spread {
        Spread::of(self.turns.iter().map(|(ours, bare)| number(*ours, *bare)).collect())
    }
}

/// A row of a table.
#[derive(Clone, Copy)]
pub(crate) struct Row<'a> {
    pub(crate) table: &'a str,
    pub(crate) row: &'a str,
}

impl Row<'_> {
    pub(crate) fn record(self, column: &str, unit: &str, spread: Spread) {
        Figure { table: self.table, row: self.row, column, unit, spread }.record();
    }
}
