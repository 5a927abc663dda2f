//! Every case on every backend, as a table.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use mstr_fake::conformance::{self, Backend, Outcome};

use crate::cases::CASES;
use crate::{Lab, Stack};

/// A table in Markdown, and how many of its cells say "FAILED".
#[derive(Debug)]
pub struct Table {
    pub text: String,
    pub failed: usize,
}

impl Table {
    fn new(columns: &[&str]) -> Self {
        let mut text = format!("| case | {} |\n|---|", columns.join(" | "));
        text.push_str(&"---|".repeat(columns.len()));
        text.push('\n');
        Self { text, failed: 0 }
    }

    fn row(&mut self, name: &str, cells: &[String]) {
        self.failed += cells.iter().filter(|cell| *cell == "FAILED").count();
        self.text.push_str(&format!("| {name} | {} |\n", cells.join(" | ")));
    }
}

/// The conformance suite.
pub fn conformance(backends: Vec<Arc<dyn Backend>>) -> Table {
    let names: Vec<&str> = backends.iter().map(|backend| backend.name()).collect();
    let mut table = Table::new(&names);
    for case in conformance::cases() {
        let cells: Vec<String> = backends
            .iter()
            .map(|backend| {
                // The panic has been printed; the next case starts with a new transport.
                let outcome = catch_unwind(AssertUnwindSafe(|| conformance::run(backend, case)));
                match outcome {
                    Ok(Outcome::Passed) => "passed".to_owned(),
                    Ok(Outcome::Skipped(_)) => format!("cannot: {}", case.needs.describe()),
                    _ => "FAILED".to_owned(),
                }
            })
            .collect();
        table.row(case.name, &cells);
    }
    table
}

/// The end-to-end suite, in memory and over every stack.
pub fn suite() -> Table {
    let mut names = vec!["memory"];
    #[cfg(feature = "paused")]
    names.push("memory, tokio");
    names.extend(Stack::ALL.iter().map(|stack| stack.name()));
    let mut table = Table::new(&names);
    for case in CASES {
        let passes = |run: &dyn Fn()| match catch_unwind(AssertUnwindSafe(run)) {
            Ok(()) => "passed".to_owned(),
            Err(_) => "FAILED".to_owned(),
        };
        let mut cells = vec![passes(&|| Lab::in_memory(case.run))];
        #[cfg(feature = "paused")]
        cells.push(passes(&|| Lab::on_tokio(case.run)));
        for stack in Stack::ALL {
            cells.push(passes(&|| Lab::over(stack, case.run)));
        }
        table.row(case.name, &cells);
    }
    table
}
