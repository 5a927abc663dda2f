//! Many tasks or threads with calls on one connection, on one core and on two.

use std::io::ErrorKind;
use std::sync::{Arc, Barrier};
use std::time::Duration;

use mstr_suite::at_once::calls::{self, Bare};
use mstr_suite::at_once::stampede::in_tasks;
use mstr_suite::at_once::tables::number_of;
use mstr_suite::at_once::{AtOnce, now};
use mstr_suite::cores;
use tokio::runtime::{self, Runtime};

use crate::rounds::{Compared, Row, columns, compare, each, timed};
use crate::{Chapter, Measurement, Way};

/// How many tasks or threads there are.
const NUMBERS: [usize; 4] = [1, 8, 64, 512];
/// The calls of a round, which the tasks or threads share out.
const CALLS: usize = 65_536;
const ROUNDS: usize = 15;

/// How many cores they run on.
#[derive(Clone, Copy)]
struct Cores {
    number: usize,
    /// In names of measurements.
    word: &'static str,
    column: &'static str,
}

impl Cores {
    fn skip(self, name: &str) {
        println!("{name:<32} SKIPPED: {} cannot be chosen here", self.column);
    }
}

const CORES: [Cores; 2] = [
    Cores { number: 1, word: "one_core", column: "one core" },
    Cores { number: 2, word: "two_cores", column: "two cores" },
];

/// The transport is pending once for each request, so that each task has one under way.
pub(crate) fn tasks(way: Way) -> Chapter {
    chapter(way, "tasks", move |cores, number, name| {
        if parallelism() < cores.number {
            cores.skip(name);
            return None;
        }
        let runtime = workers(cores.number);
        let connection = calls::connection(&AtOnce::new().hesitating());
        let bare = Arc::new(Bare::new(&AtOnce::new().hesitating()));
        let ours = || {
            let connection = connection.clone();
            async move {
                for _ in 0..CALLS / number {
                    drop(calls::bytes(&connection).await);
                }
            }
        };
        let bare = || {
            let bare = Arc::clone(&bare);
            async move {
                for _ in 0..CALLS / number {
                    drop(bare.bytes().await);
                }
            }
        };
        let ours = || each(timed(|| in_tasks(&runtime, number, ours)), CALLS);
        let bare = || each(timed(|| in_tasks(&runtime, number, bare)), CALLS);
        Some(compare(name, way.rounds(ROUNDS), ours, bare))
    })
}

/// The same for threads, which start together.
pub(crate) fn threads(way: Way) -> Chapter {
    chapter(way, "threads", move |cores, number, name| {
        if !way.pinned && parallelism() != cores.number {
            pinned(way, cores, name);
            return None;
        }
        let connection = calls::blocking(&AtOnce::new());
        let bare = Bare::new(&AtOnce::new());
        let ours = || in_threads(number, || drop(calls::blocking_bytes(&connection)));
        let bare = || in_threads(number, || drop(bare.blocking_bytes()));
        let (ours, bare) = (|| each(ours(), CALLS), || each(bare(), CALLS));
        Some(compare(name, way.rounds(ROUNDS), ours, bare))
    })
}

fn chapter(
    way: Way,
    things: &'static str,
    measure: impl Fn(Cores, usize, &str) -> Option<Compared> + Copy + 'static,
) -> Chapter {
    let table = format!("Calls of many {things} on one connection");
    let heading = format!("{table}, {} rounds of {CALLS}\n{}", way.rounds(ROUNDS), columns());
    let all = CORES.into_iter().flat_map(|cores| NUMBERS.map(|number| (cores, number)));
    let measurements = all.map(|(cores, number)| {
        let name = format!("{things}::{}::{number}", cores.word);
        let table = table.clone();
        Measurement::new(name.clone(), move || {
            let Some(compared) = measure(cores, number, &name) else { return };
            let row = &number_of(number, things);
            let throughput = format!("{table}: throughput, ratio to bare requests");
            let ratio = compared.of(|ours, bare| bare / ours);
            Row { table: &throughput, row }.record(cores.column, "ratio", ratio);
            let times = format!("{table}: time of a call");
            let times = Row { table: &times, row };
            times.record(&format!("ours, {}", cores.column), "ns", compared.ours());
            times.record(&format!("bare, {}", cores.column), "ns", compared.bare());
        })
    });
    Chapter { heading, measurements: measurements.collect() }
}

/// Lets another process of this program measure, on so many cores. Threads cannot be kept on a core
/// from inside without unsafe code.
fn pinned(way: Way, wanted: Cores, name: &str) {
    let own = std::env::current_exe().unwrap();
    let allowed = cores::allowed();
    let Some(chosen) = allowed.get(..wanted.number) else { return wanted.skip(name) };
    let mut command = cores::on(chosen, &own);
    command.arg(crate::PINNED).args(way.quick.then_some(crate::QUICK)).arg(name);
    match command.status() {
        Ok(status) => assert!(status.success(), "{command:?} failed"),
        Err(error) if error.kind() == ErrorKind::NotFound => wanted.skip(name),
        Err(error) => panic!("{command:?}: {error}"),
    }
}

fn parallelism() -> usize {
    std::thread::available_parallelism().unwrap().get()
}

/// A runtime with one thread, or with so many workers.
fn workers(number: usize) -> Runtime {
    match number {
        1 => runtime::Builder::new_current_thread().build().unwrap(),
        _ => runtime::Builder::new_multi_thread().worker_threads(number).build().unwrap(),
    }
}

/// How long so many threads take with their calls, from the first one's first to the last one's
/// last; their starting and ending is left out.
fn in_threads(number: usize, call: impl Fn() + Sync) -> Duration {
    let begin = Barrier::new(number);
    let work = || {
        begin.wait();
        let begun = now();
        (0..CALLS / number).for_each(|_| call());
        (begun, now())
    };
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..number).map(|_| scope.spawn(work)).collect();
        let times = threads.into_iter().map(|thread| thread.join().unwrap());
        let (begun, ended): (Vec<_>, Vec<_>) = times.unzip();
        let (begun, ended) = (begun.into_iter().min(), ended.into_iter().max());
        ended.zip(begun).map_or(Duration::ZERO, |(ended, begun)| ended - begun)
    })
}
