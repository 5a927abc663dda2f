//! Starts the benchmarks, which are in `tests/benches` and `tests/stacks/benches`, and writes the page
//! that shows what they measured.

mod machine;
mod page;
mod pictures;
mod records;
mod tables;

use std::fs;
use std::io::Write;
use std::path::Path;

use crate::cli::Bench;
use crate::command::{Outcome, cargo, run, target};
use crate::members::package;

/// Names the file that the benchmarks append their figures to: `mstr_suite::figures::FILE`.
const FIGURES: &str = "MSTR_FIGURES";

/// The benchmarks of the whole run in the order of the page, each with the chapter that it fills.
/// `counts` adds its columns to the tables of `figures`, `sockets` some to that of `allocated`.
const WHOLE: [(Program, &str); 4] = [
    (Program::Figures, LAYER),
    (Program::Counts, LAYER),
    (Program::Allocated, SOCKETS),
    (Program::Sockets, SOCKETS),
];
const LAYER: &str = "What the session adds to a transport";
const SOCKETS: &str = "Requests over sockets, beside other clients";

#[derive(Clone, Copy)]
enum Program {
    /// Times and instructions over a transport that answers at once.
    Figures,
    /// Allocations over the same transport, counted in a program of their own: counting takes time.
    Counts,
    /// Allocations of clients over sockets, in a program of their own for the same reason.
    Allocated,
    /// Everything else of clients over sockets.
    Sockets,
}

impl Program {
    fn run(self, words: &[&str], figures: Option<&Path>) -> Outcome {
        let target = match self {
            Self::Figures => "figures",
            Self::Counts => "counts",
            Self::Allocated => "allocated",
            Self::Sockets => "sockets",
        };
        let package = package("mstr-stacks")?;
        let mut bench = cargo(&format!("bench --locked {package} --bench {target} --"));
        match figures {
            Some(file) => bench.env(FIGURES, file),
            // One that the caller has set stays: a part that is measured again goes to a file that is there.
            None => &mut bench,
        };
        run(bench.args(words))
    }
}

pub(crate) fn run_some(bench: &Bench) -> Outcome {
    if let Some(file) = &bench.from {
        return page::write(file);
    }
    if bench.write {
        return write(bench.quick);
    }
    if bench.check && !bench.sockets {
        return match bench.name {
            None => costs(),
            Some(_) => Err("--check takes a name with --sockets only".into()),
        };
    }
    let options = [
        ("--quick", bench.quick),
        ("--check", bench.check),
        ("--instructions", bench.instructions),
    ];
    let options = options.iter().filter(|option| option.1).map(|option| option.0);
    let words: Vec<&str> = options.chain(bench.name.as_deref()).collect();
    let programs: &[Program] = match bench {
        Bench { sockets: true, .. } => &[Program::Allocated, Program::Sockets],
        Bench { instructions: true, .. } => &[Program::Figures],
        // Clients have other names.
        Bench { name: Some(_), .. } => &[Program::Figures, Program::Counts],
        _ => &WHOLE.map(|(program, _)| program),
    };
    programs.iter().try_for_each(|program| program.run(&words, None))
}

/// Runs everything, keeps the figures, and writes the page. The figures of the run before are kept until
/// those of this one are complete.
fn write(quick: bool) -> Outcome {
    let whole = target()?.join("figures.jsonl");
    let file = whole.with_extension("part");
    let failed = |error| format!("{}: {error}", file.display());
    fs::write(&file, records::machine_line(&machine::described(quick)?)).map_err(failed)?;
    for (program, chapter) in WHOLE {
        append(&file, &records::chapter_line(chapter)).map_err(failed)?;
        program.run(if quick { &["--quick"] } else { &[] }, Some(&file))?;
    }
    fs::rename(&file, &whole).map_err(failed)?;
    page::write(&whole)
}

fn append(file: &Path, line: &str) -> std::io::Result<()> {
    fs::OpenOptions::new().append(true).open(file)?.write_all(line.as_bytes())
}

/// Fails where a request costs more than `costs.txt` allows, or the timeline more than its limit.
pub(crate) fn costs() -> Outcome {
    let programs = [Program::Allocated, Program::Sockets, Program::Figures];
    programs.iter().try_for_each(|program| program.run(&["--check"], None))
}
