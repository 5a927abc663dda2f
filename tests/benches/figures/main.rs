//! What the drivers add to a transport: ratios of their calls to bare requests, one call at a
//! time and many, a dead session that many tasks meet, and instructions.
//!
//! Times differ from run to run and from machine to machine. What can be compared is the ratio of
//! two things that were measured in turns, and it comes with its spread.
//!
//! A word on the command line selects the measurements whose names contain it. `--check` measures
//! nothing and fails where the timeline adds more instructions to a call than it may.
#![expect(clippy::print_stdout, clippy::unwrap_used, reason = "this is a program for testers")]

mod instructions;
mod many;
mod rounds;
mod stampede;
mod warm;

use std::process::ExitCode;

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

fn main() -> ExitCode {
    // Cargo adds a word of its own.
    let words: Vec<String> = std::env::args().skip(1).filter(|word| word != "--bench").collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let (only_instructions, filter) = match words[..] {
        [instructions::COUNTED, name, times] => return instructions::repeat(name, times),
        ["--check"] => {
            return if instructions::check() { ExitCode::SUCCESS } else { ExitCode::FAILURE };
        }
        ["--instructions"] => (true, ""),
        ["--instructions", filter] => (true, filter),
        [] => (false, ""),
        [filter] => (false, filter),
        _ => {
            println!("expected: [--instructions] [NAME], or --check");
            return ExitCode::FAILURE;
        }
    };
    let mut chapters = vec![instructions::chapter()];
    if !only_instructions {
        chapters.splice(0..0, [warm::chapter(), many::tasks(), many::threads()]);
        chapters.push(stampede::chapter());
    }
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
            println!("\n{heading}");
            chosen.for_each(|measurement| (measurement.run)());
        }
    }
    ExitCode::SUCCESS
}
