//! What the benchmarks measure, as numbers that `cargo xtask bench --write` makes tables and pictures of.

use std::fmt;
use std::fs::OpenOptions;
use std::io::{self, Write};
use std::ops::Range;
use std::path::Path;

use serde_json::json;

/// Names the file that figures are appended to, as lines of JSON. Without it they are only printed.
pub const FILE: &str = "MSTR_FIGURES";

/// The middle half of several measurements: lower quartile, median, upper quartile.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Spread {
    pub low: f64,
    pub middle: f64,
    pub high: f64,
}

impl Spread {
    /// # Panics
    ///
    /// If there are none.
    #[must_use]
    pub fn of(mut values: Vec<f64>) -> Self {
        values.sort_unstable_by(f64::total_cmp);
        // Between two values where no value is there: with few, the next one would be far off.
        let at = |quarters: usize| {
            let steps = (values.len() - 1) * quarters;
            let (below, above) = (values[steps / 4], values[steps.div_ceil(4)]);
            below + (above - below) * (steps % 4) as f64 / 4.0
        };
        Self { low: at(1), middle: at(2), high: at(3) }
    }

    /// Of what is counted and not measured, and therefore has none.
    #[must_use]
    pub fn exact(value: f64) -> Self {
        Self { low: value, middle: value, high: value }
    }
}

/// `0.97 (0.95-0.99)`, with the digits that the caller wants.
impl fmt::Display for Spread {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let digits = f.precision().unwrap_or(2);
        let Self { low, middle, high } = self;
        match low == high {
            true => write!(f, "{middle:.digits$}"),
            false => write!(f, "{middle:.digits$} ({low:.digits$}-{high:.digits$})"),
        }
    }
}

/// Measures two things in turns, so that what disturbs one disturbs the other. In the turns with even
/// numbers the first goes first, in the others the second.
pub fn in_turns<T>(
    turns: Range<usize>,
    mut first: impl FnMut() -> T,
    mut second: impl FnMut() -> T,
) -> Vec<(T, T)> {
    let turn = |number: usize| {
        if number.is_multiple_of(2) {
            let of_first = first();
            (of_first, second())
        } else {
            let of_second = second();
            (first(), of_second)
        }
    };
    turns.map(turn).collect()
}

/// One cell of one table.
#[derive(Clone, Copy, Debug)]
pub struct Figure<'a> {
    /// What is measured, as the heading says it.
    pub table: &'a str,
    /// Who does it.
    pub row: &'a str,
    /// In which circumstances.
    pub column: &'a str,
    /// What the number is, such as "ratio", "ns" or "allocations".
    pub unit: &'a str,
    pub spread: Spread,
}

impl Figure<'_> {
    /// Appends this to the file that [`FILE`] names, if it names one.
    ///
    /// # Panics
    ///
    /// If it cannot be written.
    pub fn record(&self) {
        if let Some(file) = std::env::var_os(FILE) {
            self.append_to(Path::new(&file)).unwrap();
        }
    }

    fn append_to(&self, file: &Path) -> io::Result<()> {
        let Self { table, row, column, unit, spread: Spread { low, middle, high } } = self;
        let line = json!({
            "table": table, "row": row, "column": column, "unit": unit,
            "low": low, "middle": middle, "high": high,
        });
        let mut file = OpenOptions::new().create(true).append(true).open(file)?;
        writeln!(file, "{line}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spread_is_the_middle_half() {
        let spread = Spread::of((1..=15).rev().map(f64::from).collect());
        assert_eq!(spread, Spread { low: 4.5, middle: 8.0, high: 11.5 });
        assert_eq!(spread.to_string(), "8.00 (4.50-11.50)");
        let few = Spread::of(vec![3.0, 1.0, 2.0]);
        assert_eq!(few, Spread { low: 1.5, middle: 2.0, high: 2.5 });
        assert_eq!(Spread::of(vec![1.0, 2.0]).middle, 1.5);
        assert_eq!(Spread::of(vec![7.0]), Spread::exact(7.0));
        assert_eq!(format!("{:.0}", Spread::exact(17.0)), "17");
    }

    #[test]
    fn turns_begin_with_the_one_and_with_the_other() {
        let count = std::cell::Cell::new(0);
        let next = || count.replace(count.get() + 1);
        assert_eq!(in_turns(0..2, next, next), [(0, 1), (3, 2)]);
        // A second part of the turns goes on where the first has ended.
        assert_eq!(in_turns(3..4, next, next), [(5, 4)]);
    }

    #[test]
    fn figures_are_appended_as_lines_of_json() {
        let file = std::env::temp_dir().join(format!("mstr-figures-{}", std::process::id()));
        let figure = |row| Figure {
            table: "200 bytes",
            row,
            column: "8",
            unit: "ratio",
            spread: Spread::exact(1.5),
        };
        figure("reqwest").append_to(&file).unwrap();
        figure("mstr \"quoted\"").append_to(&file).unwrap();
        let text = std::fs::read_to_string(&file).unwrap();
        std::fs::remove_file(&file).unwrap();
        let rows: Vec<serde_json::Value> =
            text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert_eq!(rows.len(), 2);
        assert_eq!(rows[1]["row"], "mstr \"quoted\"");
        assert_eq!(rows[0]["middle"], 1.5);
    }
}
