//! How long a process lives that connects, makes one request, closes, and ends.
//!
//! `tests/cold` is built once for each client, so that each program links what it needs and nothing else.
//! Programs in Python do the same, where there is one: what they import is part of it.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use mstr_suite::figures::{Figure, Spread};

use crate::parts::Run;
use crate::python::{MSTRIO, Python, REQUESTS};
use crate::server::{self, keep_off};

pub(crate) const PART: &str = "cold";
const TABLE: &str = "A process that connects, makes one request, closes, and ends";
const RATIOS: &str =
    "A process that connects, makes one request, closes, and ends: time, ratio to reqwest";
const SAVED: &str = "Time that a process saves by ring instead of aws-lc-rs";
const COLUMNS: [&str; 2] = ["http", "https"];

const RING: &str = "mstr over hyper, with ring";
const DEFAULT: &str = "mstr over hyper";
const BASE: &str = "reqwest";

/// What is built: the row, and the feature of `tests/cold`.
const BUILT: [(&str, Option<&str>); 4] = [
    ("a process that does nothing", None),
    (DEFAULT, Some("aws-lc-rs")),
    (RING, Some("ring")),
    (BASE, Some("reqwest")),
];

/// A row, and how its program is started, but for the server.
struct Program {
    row: &'static str,
    start: Box<dyn Fn() -> Command>,
}

pub(crate) fn print(run: &Run<'_>) {
    let rows = BUILT.into_iter().map(|(row, _)| row).chain([REQUESTS, MSTRIO]);
    let chosen = run.chosen(PART, rows, |row| row);
    if chosen.is_empty() {
        return;
    }
    println!("\n{TABLE}: ms, and ratio to {BASE}");
    // What others are compared with is there in any case.
    let needed = |row: &str| row == BASE || chosen.contains(&row);
    let built = BUILT.into_iter().filter(|(row, _)| needed(row));
    let built = built.map(|(row, feature)| {
        let program = build(feature);
        Program { row, start: Box::new(move || server::client(&program)) }
    });
    let programs: Vec<_> = built.chain(in_python(&chosen)).collect();
    keep_off();
    measure(run, &programs);
}

fn in_python(chosen: &[&'static str]) -> Vec<Program> {
    let rows: Vec<_> = [REQUESTS, MSTRIO].into_iter().filter(|row| chosen.contains(row)).collect();
    if rows.is_empty() {
        return Vec::new();
    }
    match Python::find() {
        Ok(python) => rows
            .into_iter()
            .map(|row| Program { row, start: Box::new(move || python.run("once", row)) })
            .collect(),
        Err(why) => {
            println!("SKIPPED: {}: {why}", rows.join(", "));
            Vec::new()
        }
    }
}

/// Builds the program with one client and keeps a copy, as the next build overwrites it.
///
/// # Panics
///
/// If it cannot be built.
fn build(feature: Option<&str>) -> PathBuf {
    // Cargo says which it is to the programs that it runs.
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(cargo);
    command.args(["build", "--release", "--locked", "--quiet", "--package", "mstr-cold"]);
    command.args(["--message-format", "json", "--features", feature.unwrap_or_default()]);
    command.current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."));
    let output = command.stderr(Stdio::inherit()).output().unwrap();
    assert!(output.status.success(), "{command:?} failed");
    let told = String::from_utf8_lossy(&output.stdout);
    let messages = told.lines().filter_map(|line| serde_json::from_str(line).ok());
    let program = messages
        .filter_map(|message: serde_json::Value| Some(message["executable"].as_str()?.to_owned()))
        .next_back();
    let name = format!("cold-{}", feature.unwrap_or("nothing"));
    let kept = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    std::fs::copy(program.unwrap(), &kept).unwrap();
    kept
}

fn measure(run: &Run<'_>, programs: &[Program]) {
    let mut cells: Vec<[Vec<f64>; 2]> = programs.iter().map(|_| [vec![], vec![]]).collect();
    for turn in 0..=run.pairs() {
        for secure in [0, 1] {
            for number in 0..programs.len() {
                // Each comes first once.
                let number = (number + turn) % programs.len();
                let taken = live(run, &programs[number], secure == 1);
                // In the first turn the files are read.
                if turn > 0 {
                    cells[number][secure].push(taken.as_secs_f64() * 1000.0);
                }
            }
        }
    }
    let of = |row| programs.iter().position(|program| program.row == row).map(|it| &cells[it]);
    let base = of(BASE).unwrap();
    println!("{:<28} {:>23} {:>20} {:>23} {:>20}", "", COLUMNS[0], "ratio", COLUMNS[1], "ratio");
    for (program, cells) in programs.iter().zip(&cells) {
        let row = program.row;
        print!("{row:<28}");
        for (number, column) in COLUMNS.into_iter().enumerate() {
            let times = Spread::of(cells[number].clone());
            let pairs = cells[number].iter().zip(&base[number]);
            let ratios = Spread::of(pairs.map(|(own, base)| own / base).collect());
            Figure { table: TABLE, row, column, unit: "ms", spread: times }.record();
            Figure { table: RATIOS, row, column, unit: "ratio", spread: ratios }.record();
            print!(" {:>23} {:>20}", format!("{times:.1}"), ratios.to_string());
        }
        println!();
    }
    let Some((default, ring)) = of(DEFAULT).zip(of(RING)) else { return };
    let saved = [0, 1].map(|number| {
        let pairs = default[number].iter().zip(&ring[number]);
        Spread::of(pairs.map(|(default, ring)| default - ring).collect())
    });
    for (column, spread) in COLUMNS.into_iter().zip(saved) {
        Figure { table: SAVED, row: DEFAULT, column, unit: "ms", spread }.record();
    }
    println!("{SAVED}: {:.1} over http, {:.1} over https", saved[0], saved[1]);
}

/// From the start of a process to its end.
fn live(run: &Run<'_>, program: &Program, secure: bool) -> Duration {
    let mut command = (program.start)();
    let base = if secure { &run.server.tls } else { &run.server.plain };
    command.arg(format!("{base}/MicroStrategyLibrary"));
    if secure {
        command.arg(&run.server.authority_file);
    }
    let start = Instant::now();
    let status = command.status().unwrap();
    let taken = start.elapsed();
    assert!(status.success(), "{} failed", program.row);
    taken
}
