//! What a run measures of all that could be measured.

use std::cell::Cell;
use std::time::Instant;

use crate::server::Server;

/// A run, as its command line describes it.
pub(crate) struct Run<'a> {
    pub(crate) server: &'a Server,
    pub(crate) quick: bool,
    filter: &'a str,
    /// Whether anything was chosen.
    chosen: Cell<bool>,
}

impl<'a> Run<'a> {
    pub(crate) fn new(server: &'a Server, quick: bool, filter: &'a str) -> Self {
        Self { server, quick, filter, chosen: Cell::new(false) }
    }

    /// How often two are measured in turns.
    pub(crate) fn pairs(&self) -> usize {
        if self.quick { 3 } else { 15 }
    }

    /// The rows that the filter selects of a part: all where it is in the part's name, and otherwise
    /// those that it is in the name of.
    pub(crate) fn chosen<T>(
        &self,
        part: &str,
        rows: impl IntoIterator<Item = T>,
        name: impl Fn(&T) -> &str,
    ) -> Vec<T> {
        let rows = rows.into_iter();
        let rows: Vec<T> = if part.contains(self.filter) {
            rows.collect()
        } else {
            rows.filter(|row| name(row).contains(self.filter)).collect()
        };
        self.chosen.set(self.chosen.get() || !rows.is_empty());
        rows
    }

    /// Measures a part, and says how long that took.
    pub(crate) fn timed(&self, part: &str, measure: impl FnOnce(&Self)) {
        let start = Instant::now();
        let before = self.chosen.replace(false);
        measure(self);
        if self.chosen.get() {
            println!("({part}: {:.0} s)", start.elapsed().as_secs_f64());
        }
        self.chosen.set(self.chosen.get() || before);
    }

    pub(crate) fn has_chosen(&self) -> bool {
        self.chosen.get()
    }
}
