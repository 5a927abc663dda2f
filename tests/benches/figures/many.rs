//! Many tasks or threads with calls on one connection.

use std::sync::{Arc, Barrier};
use std::time::Duration;

use mstr_suite::at_once::calls::{self, Bare};
use mstr_suite::at_once::{AtOnce, now};
use tokio::runtime::{self, Runtime};
use tokio::task::JoinSet;

use crate::rounds::{columns, compare, each, timed};
use crate::{Chapter, Measurement};

/// How many tasks or threads there are.
const NUMBERS: [usize; 4] = [1, 8, 64, 512];
/// The calls of a round, which the tasks or threads share out.
const CALLS: usize = 65_536;
const ROUNDS: usize = 11;

/// The transport is pending once for each request, so that each task has one under way.
pub(crate) fn tasks() -> Chapter {
    let one = NUMBERS.map(|number| of_tasks("one_thread", one_thread, number));
    let two = NUMBERS.map(|number| of_tasks("two_workers", two_workers, number));
    Chapter {
        heading: format!(
            "Calls of many tasks on one connection, {ROUNDS} rounds of {CALLS}\n{}",
            columns()
        ),
        measurements: one.into_iter().chain(two).collect(),
    }
}

fn of_tasks(runtime: &str, start: fn() -> Runtime, number: usize) -> Measurement {
    let name = format!("tasks::{runtime}::{number}");
    Measurement::new(name.clone(), move || {
        let runtime = start();
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
        let ours = || each(in_tasks(&runtime, number, ours), CALLS);
        let bare = || each(in_tasks(&runtime, number, bare), CALLS);
        compare(&name, ROUNDS, ours, bare);
    })
}

/// The same for threads, which start together.
pub(crate) fn threads() -> Chapter {
    let measurements = NUMBERS.map(|number| {
        let name = format!("threads::{number}");
        Measurement::new(name.clone(), move || {
            let connection = calls::blocking(&AtOnce::new());
            let bare = Bare::new(&AtOnce::new());
            let ours = || in_threads(number, || drop(calls::blocking_bytes(&connection)));
            let bare = || in_threads(number, || drop(bare.blocking_bytes()));
            compare(&name, ROUNDS, || each(ours(), CALLS), || each(bare(), CALLS));
        })
    });
    Chapter {
        heading: format!(
            "Calls of many threads on one connection, {ROUNDS} rounds of {CALLS}\n{}",
            columns()
        ),
        measurements: measurements.into(),
    }
}

pub(crate) fn one_thread() -> Runtime {
    runtime::Builder::new_current_thread().build().unwrap()
}

fn two_workers() -> Runtime {
    runtime::Builder::new_multi_thread().worker_threads(2).build().unwrap()
}

/// How long so many tasks take to their end.
pub(crate) fn in_tasks<F>(runtime: &Runtime, number: usize, task: impl Fn() -> F) -> Duration
where
    F: Future<Output = ()> + Send + 'static,
{
    timed(|| {
        runtime.block_on(async {
            let mut tasks = JoinSet::new();
            for _ in 0..number {
                tasks.spawn(task());
            }
            while let Some(outcome) = tasks.join_next().await {
                outcome.unwrap();
            }
        });
    })
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
