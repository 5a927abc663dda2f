//! What a session allocates over a transport that answers at once: a warm call, tasks that meet a dead
//! session, sessions that stay open.
//!
//! The numbers are exact. They are counted in a program of their own, because counting takes time;
//! `figures` has the times. A word on the command line selects those whose names contain it.
#![expect(clippy::print_stdout, reason = "this is a program for testers")]

use allocation_counter::{AllocationInfo, measure};
use mstr_suite::at_once::AtOnce;
use mstr_suite::at_once::calls;
use mstr_suite::at_once::kinds::KINDS;
use mstr_suite::at_once::stampede::Stampede;
use mstr_suite::at_once::tables::{SESSIONS, STAMPEDE, WARM, number_of};
use mstr_suite::figures::{Figure, Spread};

const CALLS: u64 = 100;
const TASKS: [usize; 5] = [10, 100, 1_000, 10_000, 100_000];
const OPEN: [usize; 3] = [1_000, 10_000, 100_000];

fn main() {
    // Options are for `figures`; nothing here takes long.
    let filter = std::env::args().skip(1).find(|word| !word.starts_with('-')).unwrap_or_default();
    warm(&filter);
    stampede(&filter);
    sessions(&filter);
}

fn warm(filter: &str) {
    for kind in KINDS {
        let name = format!("warm::{}", kind.name);
        if !name.contains(filter) {
            continue;
        }
        let each = |call: &dyn Fn()| {
            // Some things are allocated by the first ones only.
            (0..CALLS).for_each(|_| call());
            measure(|| (0..CALLS).for_each(|_| call()))
        };
        let (ours, bare) = (each(&*(kind.ours)()), each(&*(kind.bare)()));
        Row { name: &name, table: WARM, row: kind.row }.compare(&ours, ("bare", &bare), CALLS);
    }
}

fn stampede(filter: &str) {
    for number in TASKS {
        let name = format!("stampede::{number}");
        if !name.contains(filter) {
            continue;
        }
        let stampede = Stampede::new();
        stampede.ours(&stampede.dead_session(), number);
        let connection = stampede.dead_session();
        let ours = measure(|| stampede.ours(&connection, number));
        stampede.bare(number);
        let bare = measure(|| stampede.bare(number));
        let bare = ("two bare requests", &bare);
        let row = number_of(number, "tasks");
        Row { name: &name, table: STAMPEDE, row: &row }.compare(&ours, bare, number as u64);
    }
}

/// The heap that each of so many open sessions keeps, by what was asked of the allocator.
fn sessions(filter: &str) {
    for number in OPEN {
        let name = format!("sessions::{number}");
        if !name.contains(filter) {
            continue;
        }
        let transport = AtOnce::new();
        // Some things are made once.
        let first = calls::session(&transport);
        let mut open = Vec::with_capacity(number);
        let opening = || open.extend((0..number).map(|_| calls::session(&transport)));
        let counted = measure(opening);
        drop((first, open));
        let row = Row { name: &name, table: SESSIONS, row: &number_of(number, "sessions") };
        let kept = counted.bytes_current as f64 / number as f64;
        row.record("heap kept", "B", kept);
        row.record(
            "allocations to open",
            "allocations",
            counted.count_total as f64 / number as f64,
        );
        println!("{name:<32} {kept:>8.1} bytes kept");
    }
}

/// A line that is printed, and a row of a table.
struct Row<'a> {
    name: &'a str,
    table: &'a str,
    row: &'a str,
}

impl Row<'_> {
    fn compare(&self, ours: &AllocationInfo, bare: (&str, &AllocationInfo), number: u64) {
        let (other, bare) = bare;
        let each = |total: u64| total as f64 / number as f64;
        let allocations = (each(ours.count_total), each(bare.count_total));
        let bytes = (each(ours.bytes_total), each(bare.bytes_total));
        self.record("ours", "allocations", allocations.0);
        self.record(other, "allocations", allocations.1);
        self.record("ours", "B", bytes.0);
        self.record(other, "B", bytes.1);
        println!(
            "{:<32} {:>8.2} allocations, {other} {:>8.2}; {:>9.1} bytes, {:>9.1}",
            self.name, allocations.0, allocations.1, bytes.0, bytes.1
        );
    }

    fn record(&self, column: &str, unit: &str, value: f64) {
        let spread = Spread::exact(value);
        Figure { table: self.table, row: self.row, column, unit, spread }.record();
    }
}
