//! Instructions of one call, as callgrind counts them.
//!
//! This program is started under callgrind and makes the call so many times, then more times. The
//! difference, divided, is one call without what happens once.

use std::fmt;
use std::io::ErrorKind;
use std::process::{Command, ExitCode};

use mstr_suite::at_once::AtOnce;
use mstr_suite::at_once::calls::{self, at_once};
use mstr_suite::at_once::kinds::{Call, KINDS};
use mstr_suite::figures::Spread;

use crate::rounds::Row;
use crate::{Chapter, Measurement};

/// The word that asks this program to make calls and measure nothing.
pub(crate) const COUNTED: &str = "--counted";
/// `counts` adds what is allocated.
const TABLE: &str = "The layer alone: a warm call, counted";
const TIMELINE_TABLE: &str = "What the timeline adds to a warm call";
const TIMELINE_NAME: &str = "instructions::timeline";
const BARE: &str = "bare::";
const FEW: u64 = 500;
const MANY: u64 = 2_500;

/// What the timeline may add to a warm call, in instructions. It is kept by default, so it has to
/// cost so little that there is no reason to switch it off: the call itself takes thousands.
const TIMELINE_LIMIT: u64 = 400;
/// The entries that a timeline has room for by default.
const TIMELINE: &str = "timeline::16";
const NO_TIMELINE: &str = "timeline::0";

pub(crate) fn chapter() -> Chapter {
    let measurements = KINDS.map(|kind| {
        Measurement::new(format!("instructions::{}", kind.name), move || {
            let line = match compare(kind.name) {
                Ok((ours, bare)) => {
                    let ratio = ours as f64 / bare as f64;
                    let row = Row { table: TABLE, row: kind.row };
                    record(row, "ours", ours);
                    record(row, "bare", bare);
                    record(row, "the layer", ours.saturating_sub(bare));
                    row.record("instructions, ours / bare", "ratio", Spread::exact(ratio));
                    format!("{ours:>24} {bare:>24} {ratio:>18.2}")
                }
                Err(reason) => reason.to_string(),
            };
            println!("{:<32} {line}", format!("instructions::{}", kind.name));
        })
    });
    let timeline = Measurement::new(TIMELINE_NAME, || {
        let line = match timeline() {
            Ok(added) => {
                let row = Row { table: TIMELINE_TABLE, row: "a warm call" };
                record(row, "added", added);
                record(row, "limit", TIMELINE_LIMIT);
                format!("{added:>24} of {TIMELINE_LIMIT}")
            }
            Err(reason) => reason.to_string(),
        };
        println!("{TIMELINE_NAME:<32} {line}");
    });
    Chapter {
        heading: format!(
            "Instructions\n{:<32} {:>24} {:>24} {:>18}",
            "", "ours", "bare", "ours / bare"
        ),
        measurements: measurements.into_iter().chain([timeline]).collect(),
    }
}

fn record(row: Row<'_>, column: &str, instructions: u64) {
    row.record(column, "instructions", Spread::exact(instructions as f64));
}

/// Prints what the timeline adds to a warm call. Whether that is within its limit, which it is where
/// nothing can count it.
pub(crate) fn check() -> bool {
    let line = |text: &str| println!("{TIMELINE_NAME:<32} {text}");
    match timeline() {
        Ok(added) if added <= TIMELINE_LIMIT => {
            line(&format!("{added:>9} of {TIMELINE_LIMIT} that it may add to a warm call"));
            true
        }
        Ok(added) => {
            line(&format!(
                "{added:>9}: more than the {TIMELINE_LIMIT} that it may add to a warm call"
            ));
            false
        }
        Err(Uncounted::Absent) => {
            line(&Uncounted::Absent.to_string());
            true
        }
        Err(failed) => {
            line(&failed.to_string());
            false
        }
    }
}

/// How many instructions more a warm call takes with a timeline than without.
fn timeline() -> Result<u64, Uncounted> {
    Ok(one(TIMELINE)?.saturating_sub(one(NO_TIMELINE)?))
}

/// Makes the named call so many times: what runs under callgrind.
pub(crate) fn repeat(name: &str, times: &str) -> ExitCode {
    let (Some(call), Ok(times)) = (call(name), times.parse::<u64>()) else {
        return ExitCode::FAILURE;
    };
    (0..times).for_each(|_| call());
    ExitCode::SUCCESS
}

fn call(name: &str) -> Option<Call> {
    if let Some(entries) = name.strip_prefix("timeline::") {
        let connection = calls::with_timeline(&AtOnce::new(), entries.parse().ok()?);
        return Some(Box::new(move || drop(at_once(calls::bytes(&connection)))));
    }
    let kind = |wanted: &str| KINDS.into_iter().find(|kind| kind.name == wanted);
    match name.strip_prefix(BARE) {
        Some(name) => kind(name).map(|kind| (kind.bare)()),
        None => kind(name).map(|kind| (kind.ours)()),
    }
}

fn compare(name: &str) -> Result<(u64, u64), Uncounted> {
    Ok((one(name)?, one(&format!("{BARE}{name}"))?))
}

fn one(name: &str) -> Result<u64, Uncounted> {
    let (few, many) = (counted(name, FEW)?, counted(name, MANY)?);
    Ok(many.saturating_sub(few) / (MANY - FEW))
}

/// Why there is no number.
enum Uncounted {
    Absent,
    Failed(String),
}

impl fmt::Display for Uncounted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Absent => f.write_str("SKIPPED: valgrind is not installed"),
            Self::Failed(why) => write!(f, "FAILED: {why}"),
        }
    }
}

/// How many instructions so many calls take, and everything before and after them.
fn counted(name: &str, times: u64) -> Result<u64, Uncounted> {
    let own = std::env::current_exe().map_err(|error| Uncounted::Failed(error.to_string()))?;
    let mut command = Command::new("valgrind");
    command.args(["--tool=callgrind", "--callgrind-out-file=/dev/null"]);
    let output = command.arg(own).args([COUNTED, name, &times.to_string()]).output();
    let output = output.map_err(|error| match error.kind() {
        ErrorKind::NotFound => Uncounted::Absent,
        _ => Uncounted::Failed(format!("valgrind does not start: {error}")),
    })?;
    let said = String::from_utf8_lossy(&output.stderr);
    // "==1234== Collected : 56789"
    let collected = said.lines().find_map(|line| line.split_once("Collected :"));
    match collected.map(|(_, number)| number.trim().parse()) {
        Some(Ok(number)) if output.status.success() => Ok(number),
        _ => Err(Uncounted::Failed(format!("valgrind failed ({})\n{said}", output.status))),
    }
}
