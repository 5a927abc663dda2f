//! What one request costs that can be counted: allocations, bytes, system calls, instructions.

use std::io::ErrorKind;
use std::process::{Command, ExitCode};

use allocation_counter::measure;
use mstr_suite::figures::{Figure, Spread};

use crate::BASE;
use crate::answers::SMALL;
use crate::clients::{Build, CONTESTANTS, Call, Contestant, Read, Target};
use crate::parts::Run;
use crate::server::Server;
use crate::times::runtime;

/// The word that asks this program to make requests and measure nothing.
pub(crate) const COUNTED: &str = "--counted";
const FEW: u64 = 200;
const MANY: u64 = 1_200;

/// What may not be exceeded, a line each: name, allocations, bytes, instructions in hundredths of
/// those of hyper-util's client.
const LIMITS: &str = include_str!("costs.txt");

struct Cost {
    allocations: u64,
    bytes: u64,
    instructions: Result<u64, String>,
    calls: Option<f64>,
}

const TABLE: &str = "Costs of a request of 200 bytes over HTTP/1.1";

/// Prints the costs of each client. Whether all keep their limits.
pub(crate) fn print(run: &Run<'_>, check: bool) -> bool {
    let countable = CONTESTANTS.iter().filter(|contestant| contestant.alone);
    let chosen = run.chosen("costs", countable, |contestant| contestant.name);
    if chosen.is_empty() {
        return true;
    }
    let server = run.server;
    println!("\n{TABLE}");
    println!(
        "{:<28} {:>11} {:>8} {:>12} {:>12} {:>8}",
        "", "allocations", "bytes", "system calls", "instructions", "ratio"
    );
    let base = CONTESTANTS.iter().find(|contestant| contestant.name == BASE);
    let base = base.and_then(|base| instructions(base.name, server).ok());
    let mut kept = true;
    for contestant in chosen {
        let limit = limit(contestant.name);
        if check && limit.is_none() {
            continue;
        }
        let cost = count(contestant, server, !check);
        let ratio = match (&cost.instructions, base) {
            (Ok(own), Some(base)) => Some(*own as f64 / base as f64),
            _ => None,
        };
        if !check {
            record(contestant.name, &cost, ratio);
        }
        let shown =
            |number: Option<f64>| number.map_or_else(|| "-".to_owned(), |it| format!("{it:.2}"));
        let counted = match &cost.instructions {
            Ok(counted) => counted.to_string(),
            Err(why) => why.clone(),
        };
        println!(
            "{:<28} {:>11} {:>8} {:>12} {counted:>12} {:>8}",
            contestant.name,
            cost.allocations,
            cost.bytes,
            shown(cost.calls),
            shown(ratio)
        );
        let Some((allocations, bytes, hundredths)) = limit else { continue };
        if cost.allocations > allocations || cost.bytes > bytes {
            println!("    more than {allocations} allocations or {bytes} bytes (costs.txt)");
            kept = false;
        }
        if ratio.is_some_and(|ratio| ratio * 100.0 > hundredths as f64) {
            let limit = hundredths as f64 / 100.0;
            println!("    more than {limit:.2} times the instructions of {BASE} (costs.txt)");
            kept = false;
        }
    }
    kept || !check
}

fn record(row: &str, cost: &Cost, ratio: Option<f64>) {
    let figure = |column, unit, value: Option<f64>| {
        if let Some(value) = value {
            Figure { table: TABLE, row, column, unit, spread: Spread::exact(value) }.record();
        }
    };
    figure("allocations", "allocations", Some(cost.allocations as f64));
    figure("bytes allocated", "B", Some(cost.bytes as f64));
    figure("system calls", "system calls", cost.calls);
    let instructions = cost.instructions.as_ref().ok();
    figure("instructions", "instructions", instructions.map(|counted| *counted as f64));
    figure("instructions, ratio to hyper-util", "ratio", ratio);
}

fn limit(name: &str) -> Option<(u64, u64, u64)> {
    let lines = LIMITS.lines().filter(|line| !line.starts_with('#'));
    lines.filter_map(|line| line.split_once(':')).find(|(own, _)| *own == name).and_then(
        |(_, numbers)| {
            let numbers: Vec<u64> =
                numbers.split_whitespace().filter_map(|number| number.parse().ok()).collect();
            let [allocations, bytes, hundredths] = numbers[..] else { return None };
            Some((allocations, bytes, hundredths))
        },
    )
}

fn target(base: &str) -> Target {
    let (path, read) = (SMALL, Read::Bytes);
    Target { base: base.to_owned(), path, authority: None, http1_only: true, read }
}

/// That of a client which runs on the calling thread alone.
fn call(contestant: &Contestant, base: &str) -> Option<Call> {
    match contestant.build {
        Build::Tasks(build) => Some(build(&target(base))),
        Build::Threads(_) => None,
    }
}

fn count(contestant: &Contestant, server: &Server, calls: bool) -> Cost {
    let runtime = runtime();
    let call = {
        let _entered = runtime.enter();
        call(contestant, &server.plain).unwrap()
    };
    let repeat = |times| runtime.block_on(async { many(&call, times).await });
    repeat(FEW);
    let counted = measure(|| repeat(MANY));
    Cost {
        allocations: counted.count_total.div_ceil(MANY),
        bytes: counted.bytes_total / MANY,
        instructions: instructions(contestant.name, server),
        calls: calls.then(|| system_calls(contestant.name, server)).flatten(),
    }
}

async fn many(call: &Call, times: u64) {
    for _ in 0..times {
        assert_eq!(call().await, 200);
    }
}

/// Makes requests of the named one: what runs under callgrind and strace.
pub(crate) fn repeat(name: &str, times: &str, base: &str) -> ExitCode {
    let contestant = CONTESTANTS.iter().find(|contestant| contestant.name == name);
    let (Some(contestant), Ok(times)) = (contestant, times.parse()) else {
        return ExitCode::FAILURE;
    };
    let runtime = runtime();
    let _entered = runtime.enter();
    let Some(call) = call(contestant, base) else { return ExitCode::FAILURE };
    runtime.block_on(async { many(&call, times).await });
    ExitCode::SUCCESS
}

fn instructions(name: &str, server: &Server) -> Result<u64, String> {
    let one = |times: u64| {
        let arguments = ["--tool=callgrind", "--callgrind-out-file=/dev/null"];
        let said = under("valgrind", &arguments, name, times, server)?;
        // "==1234== Collected : 56789"
        let number = said.lines().find_map(|line| line.split_once("Collected :"));
        number.and_then(|(_, number)| number.trim().parse().ok()).ok_or_else(|| "failed".to_owned())
    };
    let (few, many): (u64, u64) = (one(FEW)?, one(MANY)?);
    Ok(many.saturating_sub(few) / (MANY - FEW))
}

fn system_calls(name: &str, server: &Server) -> Option<f64> {
    let one = |times: u64| -> Option<u64> {
        let said = under("strace", &["-f", "-c", "-q"], name, times, server).ok()?;
        // "100.00    0.012345           1      1234        12 total"
        let total = said.lines().find(|line| line.trim_end().ends_with(" total"))?;
        total.split_whitespace().nth(3)?.parse().ok()
    };
    let (few, many) = (one(FEW)?, one(MANY)?);
    Some(many.saturating_sub(few) as f64 / (MANY - FEW) as f64)
}

/// Runs this program under another and returns what that said.
fn under(
    tool: &str,
    arguments: &[&str],
    name: &str,
    times: u64,
    server: &Server,
) -> Result<String, String> {
    let own = std::env::current_exe().map_err(|error| error.to_string())?;
    let mut command = Command::new(tool);
    command.args(arguments).arg(own).args([COUNTED, name, &times.to_string(), &server.plain]);
    let output = command.output().map_err(|error| match error.kind() {
        ErrorKind::NotFound => format!("no {tool}"),
        _ => error.to_string(),
    })?;
    match output.status.success() {
        true => Ok(String::from_utf8_lossy(&output.stderr).into_owned()),
        false => Err(format!("{tool} failed")),
    }
}
