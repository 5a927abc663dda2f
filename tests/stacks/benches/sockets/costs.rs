//! What one request costs that other programs count: system calls and instructions. `allocated` counts what is
//! allocated.

use std::process::ExitCode;

use mstr_suite::counted::{self, NO_STRACE, NO_VALGRIND, Times};
use mstr_suite::figures::{Figure, Spread};

use crate::BASE;
use crate::clients::{CONTESTANTS, named, requests, runtime};
use crate::limits::{TABLE, limit};
use crate::parts::Run;

/// The word that asks this program to make requests and measure nothing.
pub(crate) const COUNTED: &str = "--counted";
const TIMES: Times = [200, 1_200];

/// Prints the costs of each client, or checks those that have limits. Whether all keep them.
pub(crate) fn print(run: &Run<'_>, check: bool) -> bool {
    let countable = CONTESTANTS
        .iter()
        .filter(|contestant| contestant.alone && (!check || limit(contestant.name).is_some()));
    let chosen = run.chosen("costs", countable, |contestant| contestant.name);
    if chosen.is_empty() {
        return true;
    }
    println!("\n{TABLE}\n{:<28} {:>12} {:>12} {:>8}", "", "system calls", "instructions", "ratio");
    let server = &*run.server.plain;
    let instructions = |name: &str| counted::instructions(&[COUNTED, name, server], TIMES);
    let base = instructions(BASE);
    let (mut kept, mut traced) = (true, true);
    for contestant in chosen {
        let name = contestant.name;
        let own = if name == BASE { base } else { instructions(name) };
        let ratio = own.zip(base).map(|(own, base)| own as f64 / base as f64);
        let mut calls = None;
        if !check {
            calls = counted::system_calls(&[COUNTED, name, server], TIMES);
            traced &= calls.is_some();
            record(name, "system calls", "system calls", calls);
            record(name, "instructions", "instructions", own.map(|own| own as f64));
            record(name, "instructions, ratio to hyper-util", "ratio", ratio);
        }
        let shown =
            |number: Option<f64>| number.map_or_else(|| "-".to_owned(), |it| format!("{it:.2}"));
        let counted = own.map_or_else(|| "-".to_owned(), |it| it.to_string());
        println!("{name:<28} {:>12} {counted:>12} {:>8}", shown(calls), shown(ratio));
        let most = limit(name).filter(|_| check).map(|limit| limit.ratio);
        if let Some((ratio, most)) = ratio.zip(most)
            && ratio > most
        {
            println!("    more than {most:.2} times the instructions of {BASE} (costs.txt)");
            kept = false;
        }
    }
    if base.is_none() {
        println!("{NO_VALGRIND}");
    }
    if !traced {
        println!("{NO_STRACE}");
    }
    kept
}

fn record(row: &str, column: &str, unit: &str, value: Option<f64>) {
    if let Some(value) = value {
        Figure { table: TABLE, row, column, unit, spread: Spread::exact(value) }.record();
    }
}

/// Makes requests of the named one: what runs under callgrind and strace.
pub(crate) fn repeat(name: &str, base: &str, times: &str) -> ExitCode {
    let runtime = runtime();
    let _entered = runtime.enter();
    let call = named(name).small(base);
    runtime.block_on(requests(&call, times.parse().unwrap()));
    ExitCode::SUCCESS
}
