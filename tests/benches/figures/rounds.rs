//! Measuring two things in turns, so that what disturbs one disturbs the other.

use std::fmt;
use std::time::Duration;

use mstr_suite::at_once::now;

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

/// The least, the middle and the greatest of several values.
struct Spread([f64; 3]);

impl Spread {
    fn of(mut values: Vec<f64>) -> Self {
        values.sort_unstable_by(f64::total_cmp);
        let last = values.len() - 1;
        Self([values[0], values[last / 2], values[last]])
    }
}

impl fmt::Display for Spread {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let digits = f.precision().unwrap_or(0);
        let [least, middle, greatest] = self.0;
        write!(f, "{least:>7.digits$} {middle:>7.digits$} {greatest:>7.digits$}")
    }
}

/// Measures both in turns and prints a line: nanoseconds of each, and the ratio of each turn.
pub(crate) fn compare(
    name: &str,
    rounds: usize,
    mut ours: impl FnMut() -> f64,
    mut bare: impl FnMut() -> f64,
) {
    let (mut both, mut ratios) = ((Vec::new(), Vec::new()), Vec::new());
    // The first turn pays for what happens once.
    ours();
    bare();
    for round in 0..rounds {
        // Neither always goes first.
        let (of_ours, of_bare) = if round % 2 == 0 {
            let of_ours = ours();
            (of_ours, bare())
        } else {
            let of_bare = bare();
            (ours(), of_bare)
        };
        both.0.push(of_ours);
        both.1.push(of_bare);
        ratios.push(of_ours / of_bare);
    }
    let (ours, bare, ratio) = (Spread::of(both.0), Spread::of(both.1), Spread::of(ratios));
    println!("{name:<30} {ours}   {bare}   {ratio:.2}");
}

/// What stands above the lines of [`compare`].
pub(crate) fn columns() -> String {
    let three = format!("{:>7} {:>7} {:>7}", "least", "median", "most");
    let above =
        format!("{:<30} {:>23}   {:>23}   {:>23}", "", "ours, ns", "bare, ns", "ours / bare");
    format!("{above}\n{:<30} {three}   {three}   {three}", "")
}
