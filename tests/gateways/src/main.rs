//! `cargo xtask gateways`: sessions through gateways and proxies that others wrote.
//!
//! Those that this machine has are started with settings of ours, on 127.0.0.1 and in front of the
//! fake server, and end with this program. The fake server knows what has reached it, so that a POST
//! that was carried out twice is seen, and a session that was not closed.
#![forbid(unsafe_code)]
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "this is a program")]

mod folder;
mod gateways;
mod load;
mod outcome;
mod process;
mod report;
mod site;
mod situations;
mod stage;
mod tally;
mod way;

use std::process::ExitCode;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::runtime::Runtime;
use tokio::time::{Instant, timeout};

use gateways::Kind;
use outcome::{Outcome, Told};
use report::{Row, show};
use situations::{SITUATIONS, Situation};
use stage::Stage;

/// Longer than any situation takes: what is not over by then hangs.
const LIMIT: Duration = Duration::from_secs(60);
/// So many runs at a time: most of each is waiting.
const AT_A_TIME: usize = 4;

fn main() -> ExitCode {
    match run() {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(message) => {
            eprintln!("{message}");
            ExitCode::FAILURE
        }
    }
}

/// Whether everything is as expected.
fn run() -> Outcome<bool> {
    let wanted = std::env::args().nth(1).unwrap_or_default().to_lowercase();
    let mut installed = Vec::new();
    for kind in Kind::ALL {
        match kind.installed() {
            Some(found) => {
                println!("    {kind} {}", found.version);
                installed.push(found);
            }
            None => println!("    {kind} is SKIPPED: it is not installed here"),
        }
    }
    if installed.is_empty() {
        return Ok(true);
    }
    let mut stages = Vec::new();
    for situation in SITUATIONS {
        for installed in installed.iter().filter(|found| situation.on.contains(&found.kind)) {
            for way in situation.ways {
                let stage = Stage { installed, way: *way };
                let name = format!("{}, {}, {way}", installed.kind, situation.name);
                if name.to_lowercase().contains(&wanted) {
                    stages.push((situation, stage));
                }
            }
        }
    }
    if stages.is_empty() {
        return Err(format!("no situation here has \"{wanted}\" in its name"));
    }
    Ok(show(&play_all(&stages)?))
}

/// Plays them, several at a time.
fn play_all(stages: &[(&'static Situation, Stage<'_>)]) -> Outcome<Vec<Row>> {
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    let runtime = runtime.told("a runtime")?;
    let next = AtomicUsize::new(0);
    // A thread starts and ends its gateways: the system ends them with it otherwise.
    let work = || {
        let mut rows = Vec::new();
        loop {
            let number = next.fetch_add(1, Ordering::Relaxed);
            let Some((situation, stage)) = stages.get(number) else { return rows };
            rows.push((number, play(&runtime, situation, stage)));
        }
    };
    let mut rows = std::thread::scope(|scope| {
        let workers: Vec<_> = (0..AT_A_TIME).map(|_| scope.spawn(work)).collect();
        let rows = workers.into_iter().map(|worker| worker.join());
        rows.collect::<Result<Vec<_>, _>>().map_err(|_| "a thread panicked".to_owned())
    })?
    .concat();
    rows.sort_by_key(|(number, _)| *number);
    Ok(rows.into_iter().map(|(_, row)| row).collect())
}

fn play(runtime: &Runtime, situation: &'static Situation, stage: &Stage<'_>) -> Row {
    let begun = Instant::now();
    match runtime.block_on(async { timeout(LIMIT, (situation.play)(stage)).await }) {
        Ok(Ok(played)) => Row::of_run(situation, stage, &played, begun.elapsed()),
        Ok(Err(why)) => Row::of_failure(situation, stage, why),
        Err(_) => Row::of_failure(situation, stage, format!("it came to no end in {LIMIT:?}")),
    }
}
