//! Instructions of one call, as callgrind counts them.
//!
//! This program is started under callgrind and makes the call so many times, then more times. The
//! difference, divided, is one call without what happens once.

use std::io::ErrorKind;
use std::process::{Command, ExitCode};

use crate::warm::{Call, KINDS, Kind};
use crate::{Chapter, Measurement};

/// The word that asks this program to make calls and measure nothing.
pub(crate) const COUNTED: &str = "--counted";
const BARE: &str = "bare::";
const FEW: u64 = 500;
const MANY: u64 = 2_500;

pub(crate) fn chapter() -> Chapter {
    let measurements = KINDS.map(|(name, _, _)| {
        Measurement::new(format!("instructions::{name}"), move || {
            let line = match compare(name) {
                Ok((ours, bare)) => format!("{ours:>9} {bare:>9} {:>14.2}", ratio(ours, bare)),
                Err(reason) => reason,
            };
            println!("{:<30} {line}", format!("instructions::{name}"));
        })
    });
    Chapter {
        heading: format!(
            "Instructions\n{:<30} {:>9} {:>9} {:>14}",
            "", "ours", "bare", "ours / bare"
        ),
        measurements: measurements.into(),
    }
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
    let kind = |wanted: &str| KINDS.into_iter().find(|(name, _, _)| *name == wanted);
    match name.strip_prefix(BARE) {
        Some(name) => kind(name).map(|(_, _, bare): Kind| bare()),
        None => kind(name).map(|(_, ours, _)| ours()),
    }
}

fn compare(name: &str) -> Result<(u64, u64), String> {
    Ok((one(name)?, one(&format!("{BARE}{name}"))?))
}

fn one(name: &str) -> Result<u64, String> {
    let (few, many) = (counted(name, FEW)?, counted(name, MANY)?);
    Ok(many.saturating_sub(few) / (MANY - FEW))
}

/// How many instructions so many calls take, and everything before and after them.
fn counted(name: &str, times: u64) -> Result<u64, String> {
    let own = std::env::current_exe().map_err(|error| format!("FAILED: {error}"))?;
    let mut command = Command::new("valgrind");
    command.args(["--tool=callgrind", "--callgrind-out-file=/dev/null"]);
    let output = command.arg(own).args([COUNTED, name, &times.to_string()]).output();
    let output = output.map_err(|error| match error.kind() {
        ErrorKind::NotFound => "SKIPPED: valgrind is not installed".to_owned(),
        _ => format!("SKIPPED: valgrind does not start: {error}"),
    })?;
    let said = String::from_utf8_lossy(&output.stderr);
    // "==1234== Collected : 56789"
    let collected = said.lines().find_map(|line| line.split_once("Collected :"));
    match collected.map(|(_, number)| number.trim().parse()) {
        Some(Ok(number)) if output.status.success() => Ok(number),
        _ => Err(format!("SKIPPED: valgrind failed ({})\n{said}", output.status)),
    }
}

fn ratio(ours: u64, bare: u64) -> f64 {
    ours as f64 / bare as f64
}
