//! What one request costs that can be counted: allocations, bytes, system calls, instructions.

use std::process::ExitCode;

use allocation_counter::measure;
use mstr_suite::counted::{self, NO_STRACE, NO_VALGRIND, Times};
use mstr_suite::figures::{Figure, Spread};

use crate::BASE;
use crate::clients::{Build, CONTESTANTS, Call, Contestant, Target, named};
use crate::parts::Run;
use crate::times::runtime;

/// The word that asks this program to make requests and measure nothing.
pub(crate) const COUNTED: &str = "--counted";
const TIMES: Times = [200, 1_200];

/// What may not be exceeded, a line each: name, allocations, bytes, instructions in hundredths of
/// those of hyper-util's client.
const LIMITS: &str = include_str!("costs.txt");

const TABLE: &str = "Costs of a request of 200 bytes over HTTP/1.1";

struct Cost {
    allocations: u64,
    bytes: u64,
    system_calls: Option<f64>,
    instructions: Option<u64>,
    /// To the instructions of the client that all are compared with.
    ratio: Option<f64>,
}

/// Prints the costs of each client, or checks those that have limits. Whether all keep them.
pub(crate) fn print(run: &Run<'_>, check: bool) -> bool {
    let limits = limits();
    let limit = |name| limits.iter().find(|limit| limit.name == name);
    let countable = CONTESTANTS
        .iter()
        .filter(|contestant| contestant.alone && (!check || limit(contestant.name).is_some()));
    let chosen = run.chosen("costs", countable, |contestant| contestant.name);
    if chosen.is_empty() {
        return true;
    }
    println!("\n{TABLE}");
    println!(
        "{:<28} {:>11} {:>8} {:>12} {:>12} {:>8}",
        "", "allocations", "bytes", "system calls", "instructions", "ratio"
    );
    let server = &*run.server.plain;
    let base = instructions(BASE, server);
    let (mut kept, mut traced) = (true, true);
    for contestant in chosen {
        let name = contestant.name;
        let (allocations, bytes) = allocated(contestant, server);
        let instructions = if name == BASE { base } else { instructions(name, server) };
        let ratio = instructions.zip(base).map(|(own, base)| own as f64 / base as f64);
        let mut cost = Cost { allocations, bytes, system_calls: None, instructions, ratio };
        if !check {
            cost.system_calls = counted::system_calls(&[COUNTED, name, server], TIMES);
            traced &= cost.system_calls.is_some();
            cost.record(name);
        }
        cost.print(name);
        if let Some(limit) = limit(name).filter(|_| check) {
            kept &= cost.keeps(limit);
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

impl Cost {
    fn print(&self, name: &str) {
        let Self { allocations, bytes, .. } = self;
        let shown =
            |number: Option<f64>| number.map_or_else(|| "-".to_owned(), |it| format!("{it:.2}"));
        let (calls, ratio) = (shown(self.system_calls), shown(self.ratio));
        let counted = self.instructions.map_or_else(|| "-".to_owned(), |it| it.to_string());
        println!("{name:<28} {allocations:>11} {bytes:>8} {calls:>12} {counted:>12} {ratio:>8}");
    }

    fn record(&self, row: &str) {
        let figure = |column, unit, value: Option<f64>| {
            if let Some(value) = value {
                Figure { table: TABLE, row, column, unit, spread: Spread::exact(value) }.record();
            }
        };
        figure("allocations", "allocations", Some(self.allocations as f64));
        figure("bytes allocated", "B", Some(self.bytes as f64));
        figure("system calls", "system calls", self.system_calls);
        figure("instructions", "instructions", self.instructions.map(|counted| counted as f64));
        figure("instructions, ratio to hyper-util", "ratio", self.ratio);
    }

    /// Whether it keeps the limit, as far as it was counted. Says which one it does not keep.
    fn keeps(&self, limit: &Limit) -> bool {
        let &Limit { allocations, bytes, ratio, .. } = limit;
        let memory = self.allocations <= allocations && self.bytes <= bytes;
        if !memory {
            println!("    more than {allocations} allocations or {bytes} bytes (costs.txt)");
        }
        let instructions = self.ratio.is_none_or(|own| own <= ratio);
        if !instructions {
            println!("    more than {ratio:.2} times the instructions of {BASE} (costs.txt)");
        }
        memory && instructions
    }
}

struct Limit {
    name: &'static str,
    allocations: u64,
    bytes: u64,
    ratio: f64,
}

/// # Panics
///
/// If a line is not a limit, or not of a client that can be counted: it would not be checked.
fn limits() -> Vec<Limit> {
    let lines = LIMITS.lines().filter(|line| !line.starts_with('#'));
    let limit = |line: &'static str| {
        let (name, numbers) = line.split_once(':')?;
        let numbers: Result<Vec<u64>, _> = numbers.split_whitespace().map(str::parse).collect();
        let [allocations, bytes, hundredths] = numbers.ok()?[..] else { return None };
        let ratio = hundredths as f64 / 100.0;
        named(name).alone.then_some(Limit { name, allocations, bytes, ratio })
    };
    lines.map(|line| limit(line).unwrap_or_else(|| panic!("costs.txt: {line}"))).collect()
}

/// That of a client which runs on the calling thread alone.
fn call(contestant: &Contestant, base: &str) -> Call {
    match contestant.build {
        Build::Tasks(build) => build(&Target::small(base)),
        Build::Threads(_) => panic!("{} needs other threads", contestant.name),
    }
}

/// How much is allocated for a request: how often, and how many bytes.
fn allocated(contestant: &Contestant, base: &str) -> (u64, u64) {
    let runtime = runtime();
    let call = {
        let _entered = runtime.enter();
        call(contestant, base)
    };
    let repeat = |times| runtime.block_on(many(&call, times));
    let [few, times] = TIMES;
    repeat(few);
    let counted = measure(|| repeat(times));
    (counted.count_total.div_ceil(times), counted.bytes_total / times)
}

async fn many(call: &Call, times: u64) {
    for _ in 0..times {
        assert_eq!(call().await, 200);
    }
}

/// Makes requests of the named one: what runs under callgrind and strace.
pub(crate) fn repeat(name: &str, base: &str, times: &str) -> ExitCode {
    let runtime = runtime();
    let _entered = runtime.enter();
    let call = call(named(name), base);
    runtime.block_on(many(&call, times.parse().unwrap()));
    ExitCode::SUCCESS
}

fn instructions(name: &str, base: &str) -> Option<u64> {
    counted::instructions(&[COUNTED, name, base], TIMES)
}
