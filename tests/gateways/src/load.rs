//! Many calls at a time in a few sessions: tasks or threads that read and write in turn.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use futures_util::future::join_all;
use http::Method;
use mstr::{CloseOutcome, Connection, blocking};
use serde_json::{Value, json};
use tokio::runtime::Handle;

use crate::outcome::chain;
use crate::process::pause;
use crate::site::MARKS;
use crate::tally::{Failure, Tally};

/// The calls, and their rate.
#[derive(Clone, Copy)]
pub(crate) struct Plan {
    pub(crate) workers: usize,
    /// Calls of each worker, at most.
    pub(crate) calls: usize,
    /// The number of the first: no two calls of a run may have the same.
    pub(crate) first: usize,
    /// What a worker waits for before a call: their numbers, from 0.
    pub(crate) pause: fn(usize, usize) -> Duration,
    /// The version of HTTP that the gateway has to be spoken to in.
    pub(crate) front: Option<&'static str>,
}

/// Ends the workers before they have made all their calls.
#[derive(Clone, Default)]
pub(crate) struct Stop(Arc<AtomicBool>);

impl Stop {
    pub(crate) fn now(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    fn is_said(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

impl Plan {
    /// Without a pause.
    pub(crate) const fn new(workers: usize, calls: usize) -> Self {
        Self { workers, calls, first: 0, pause: |_, _| Duration::ZERO, front: None }
    }

    /// In the order of the calls: every other one writes.
    fn call(&self, worker: usize, number: usize) -> Call {
        let number = self.first + number;
        let method = if (worker + number).is_multiple_of(2) { Method::GET } else { Method::POST };
        Call { method, mark: format!("{worker}-{number}") }
    }
}

/// One call, to an address of its own.
struct Call {
    method: Method,
    mark: String,
}

impl Call {
    fn path(&self) -> String {
        format!("{MARKS}/{}", self.mark)
    }

    fn body(&self) -> Value {
        json!({ "mark": self.mark, "text": "x".repeat(200) })
    }

    fn note(self, answer: Result<Value, mstr::Error>, plan: &Plan, tally: &mut Tally) {
        let answer = match answer {
            Ok(answer) => answer,
            Err(error) => {
                return tally.failures.push(Failure::new(self.method, &self.mark, &error));
            }
        };
        let is_post = self.method == Method::POST;
        let body = if is_post { self.body() } else { Value::Null };
        if answer["mark"] != *self.mark || answer["body"] != body {
            tally.wrong.push(format!("{} {} was answered with {answer}", self.method, self.mark));
        } else if plan.front.is_some_and(|front| answer["front"] != front) {
            tally.wrong.push(format!("the gateway was spoken to in {}", answer["front"]));
        }
        if is_post {
            tally.posted.push(self.mark);
        } else {
            tally.gets += 1;
        }
    }
}

/// Runs tasks over these connections in turn, and closes them.
pub(crate) async fn tasks(connections: Vec<Connection>, plan: Plan, stop: Stop) -> Tally {
    let mut tally = work(&connections, plan, stop).await;
    for connection in connections {
        close(&connection, &mut tally).await;
    }
    tally
}

/// Runs tasks over these connections in turn.
pub(crate) async fn work(connections: &[Connection], plan: Plan, stop: Stop) -> Tally {
    let workers = (0..plan.workers).map(|number| {
        let connection = connections[number % connections.len()].clone();
        // Tasks of their own, so that they run at one time.
        Handle::current().spawn(worker(connection, plan, number, stop.clone()))
    });
    let mut tally = Tally::default();
    for outcome in join_all(workers).await {
        match outcome {
            Ok(other) => tally.add(other),
            Err(error) => tally.complain(format!("a task ended: {error}")),
        }
    }
    tally
}

async fn worker(connection: Connection, plan: Plan, worker: usize, stop: Stop) -> Tally {
    let mut tally = Tally::default();
    for number in 0..plan.calls {
        tokio::time::sleep((plan.pause)(worker, number)).await;
        if stop.is_said() {
            break;
        }
        let call = plan.call(worker, number);
        let answer = ask(&connection, &call).await;
        call.note(answer, &plan, &mut tally);
    }
    tally
}

async fn ask(connection: &Connection, call: &Call) -> Result<Value, mstr::Error> {
    let request = match call.method {
        Method::POST => connection.post(call.path()).json(&call.body()),
        _ => connection.get(call.path()),
    };
    request.send().await?.json().await
}

/// Closes a connection, which has to end its session.
pub(crate) async fn close(connection: &Connection, tally: &mut Tally) {
    judge_closing(&connection.close().await, tally);
}

fn judge_closing(outcome: &CloseOutcome, tally: &mut Tally) {
    if let CloseOutcome::Failed(error) = outcome {
        tally.complain(format!("closing failed: {}", chain(error)));
    }
}

/// The same with threads.
pub(crate) fn threads(connection: &blocking::Connection, plan: Plan, stop: &Stop) -> Tally {
    let mut tally = Tally::default();
    std::thread::scope(|scope| {
        let workers: Vec<_> = (0..plan.workers)
            .map(|number| scope.spawn(move || thread(connection, &plan, number, stop)))
            .collect();
        for worker in workers {
            match worker.join() {
                Ok(other) => tally.add(other),
                Err(_) => tally.complain("a thread panicked"),
            }
        }
    });
    judge_closing(&connection.close(), &mut tally);
    tally
}

fn thread(connection: &blocking::Connection, plan: &Plan, worker: usize, stop: &Stop) -> Tally {
    let mut tally = Tally::default();
    for number in 0..plan.calls {
        pause((plan.pause)(worker, number));
        if stop.is_said() {
            break;
        }
        let call = plan.call(worker, number);
        let request = match call.method {
            Method::POST => connection.post(call.path()).json(&call.body()),
            _ => connection.get(call.path()),
        };
        let answer = request.send().and_then(|response| response.json());
        call.note(answer, plan, &mut tally);
    }
    tally
}
