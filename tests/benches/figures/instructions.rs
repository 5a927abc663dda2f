//! Instructions of one call, as callgrind counts them.

use std::process::ExitCode;

use mstr_suite::at_once::AtOnce;
use mstr_suite::at_once::calls::{self, at_once};
use mstr_suite::at_once::kinds::{Call, KINDS};
use mstr_suite::at_once::tables::WARM;
use mstr_suite::counted::{self, NO_VALGRIND, Times};
use mstr_suite::figures::Spread;

use crate::rounds::Row;
use crate::{Chapter, Measurement};

/// The word that asks this program to make calls and measure nothing.
pub(crate) const COUNTED: &str = "--counted";
const TIMELINE_TABLE: &str = "What the timeline adds to a warm call";
const TIMELINE_NAME: &str = "instructions::timeline";
const BARE: &str = "bare::";
const TIMES: Times = [500, 2_500];

/// What the timeline may add to a warm call, in instructions. It is kept by default, so it has to
/// cost so little that there is no reason to switch it off: the call itself takes thousands.
const TIMELINE_LIMIT: u64 = 400;
/// The entries that a timeline has room for by default.
const TIMELINE: &str = "timeline::16";
const NO_TIMELINE: &str = "timeline::0";

pub(crate) fn chapter() -> Chapter {
    let measurements = KINDS.map(|kind| {
        let name = format!("instructions::{}", kind.name);
        Measurement::new(name.clone(), move || {
            let bare = format!("{BARE}{}", kind.name);
            let Some((ours, bare)) = one(kind.name).zip(one(&bare)) else {
                return line(&name, NO_VALGRIND);
            };
            let ratio = ours as f64 / bare as f64;
            let row = Row { table: WARM, row: kind.row };
            record(row, "ours", ours);
            record(row, "bare", bare);
            record(row, "the layer", ours.saturating_sub(bare));
            row.record("instructions, ours / bare", "ratio", Spread::exact(ratio));
            line(&name, &format!("{ours:>24} {bare:>24} {ratio:>18.2}"));
        })
    });
    let timeline = Measurement::new(TIMELINE_NAME, || {
        let Some(added) = timeline() else { return line(TIMELINE_NAME, NO_VALGRIND) };
        let row = Row { table: TIMELINE_TABLE, row: "a warm call" };
        record(row, "added", added);
        record(row, "limit", TIMELINE_LIMIT);
        line(TIMELINE_NAME, &format!("{added:>24} of {TIMELINE_LIMIT}"));
    });
    Chapter {
        heading: format!(
            "Instructions\n{:<32} {:>24} {:>24} {:>18}",
            "", "ours", "bare", "ours / bare"
        ),
        measurements: measurements.into_iter().chain([timeline]).collect(),
    }
}

fn line(name: &str, text: &str) {
    println!("{name:<32} {text}");
}

fn record(row: Row<'_>, column: &str, instructions: u64) {
    row.record(column, "instructions", Spread::exact(instructions as f64));
}

/// Prints what the timeline adds to a warm call. Whether that is within its limit, which it is where
/// nothing can count it.
pub(crate) fn check() -> bool {
    let Some(added) = timeline() else {
        line(TIMELINE_NAME, NO_VALGRIND);
        return true;
    };
    let kept = added <= TIMELINE_LIMIT;
    let of = if kept { " of" } else { ": more than" };
    let told = format!("{added:>9}{of} {TIMELINE_LIMIT} that it may add to a warm call");
    line(TIMELINE_NAME, &told);
    kept
}

/// How many instructions more a warm call takes with a timeline than without.
fn timeline() -> Option<u64> {
    Some(one(TIMELINE)?.saturating_sub(one(NO_TIMELINE)?))
}

fn one(name: &str) -> Option<u64> {
    counted::instructions(&[COUNTED, name], TIMES)
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
