//! What the drivers add to a transport: ratios of their calls to bare requests, one call at a
//! time and many, a dead session that many tasks meet, sessions that stay open, and instructions.
//!
//! Times differ from run to run and from machine to machine. What can be compared is the ratio of
//! two things that were measured in turns, and it comes with its spread: the median, and the middle
//! half. What is allocated is counted by `counts`, because counting takes time. Both belong to the
//! package `mstr-stacks`, as the benchmark of sockets does: they are built together, without a clock that
//! can be paused.
//!
//! ```text
//! [--quick] [--instructions] [--check] [NAME]
//! ```
//!
//! A name selects the measurements whose names contain it. `--quick` measures few rounds. `--check`
//! measures nothing and fails where the timeline adds more instructions to a call than it may.
#![expect(clippy::print_stdout, clippy::unwrap_used, reason = "this is a program for testers")]

mod instructions;
mod many;
mod rounds;
mod sessions;
mod stampede;
mod warm;

use std::process::ExitCode;

/// The word that asks for few rounds.
const QUICK: &str = "--quick";
/// The word that this program starts itself with on chosen cores, for one measurement.
const PINNED: &str = "--pinned";

/// Something to be measured, and what prints the result.
struct Measurement {
    name: String,
    run: Box<dyn Fn()>,
}

impl Measurement {
    fn new(name: impl Into<String>, run: impl Fn() + 'static) -> Self {
        Self { name: name.into(), run: Box::new(run) }
    }
}

/// Measurements of one kind, under one heading.
struct Chapter {
    heading: String,
    measurements: Vec<Measurement>,
}

/// How it is measured.
#[derive(Clone, Copy, Default)]
struct Way {
    quick: bool,
    pinned: bool,
}

impl Way {
    fn rounds(self, rounds: usize) -> usize {
        if self.quick { rounds.min(3) } else { rounds }
    }
}

fn main() -> ExitCode {
    // Cargo adds a word of its own.
    let words: Vec<String> = std::env::args().skip(1).filter(|word| word != "--bench").collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    if let [instructions::COUNTED, name, times] = words[..] {
        return instructions::repeat(name, times);
    }
    let (mut way, mut only_instructions, mut check, mut filter) =
        (Way::default(), false, false, "");
    for word in words {
        match word {
            QUICK => way.quick = true,
            PINNED => way.pinned = true,
            "--instructions" => only_instructions = true,
            "--check" => check = true,
            name if !name.starts_with('-') && filter.is_empty() => filter = name,
            _ => {
                println!("expected: [--quick] [--instructions] [--check] [NAME]");
                return ExitCode::FAILURE;
            }
        }
    }
    if check {
        return if instructions::check() { ExitCode::SUCCESS } else { ExitCode::FAILURE };
    }
    let chapters = match only_instructions {
        true => vec![instructions::chapter()],
        false => vec![
            warm::chapter(way),
            instructions::chapter(),
            many::tasks(way),
            many::threads(way),
            stampede::chapter(way),
            sessions::chapter(way),
        ],
    };
    let names = || chapters.iter().flat_map(|chapter| &chapter.measurements);
    if !names().any(|measurement| measurement.name.contains(filter)) {
        println!("nothing has \"{filter}\" in its name; there are:");
        names().for_each(|measurement| println!("    {}", measurement.name));
        return ExitCode::FAILURE;
    }
    for Chapter { heading, measurements } in chapters {
        let mut chosen =
            measurements.iter().filter(|measurement| measurement.name.contains(filter)).peekable();
        if chosen.peek().is_some() {
            if !way.pinned {
                println!("\n{heading}");
            }
            chosen.for_each(|measurement| (measurement.run)());
        }
    }
    ExitCode::SUCCESS
}
