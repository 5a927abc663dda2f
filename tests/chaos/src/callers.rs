//! The callers: tasks and threads that share a few sessions.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use mstr_core::{Connection, Credentials, Error, ErrorKind, blocking};

use crate::plan::{Kind, Plan};

/// The calls of one run: which are still to be made, and how the others went.
#[derive(Debug)]
pub(crate) struct Calls {
    seed: u64,
    count: u64,
    next: AtomicU64,
    done: Mutex<Vec<Call>>,
}

/// How one call went.
#[derive(Debug)]
pub(crate) struct Call {
    pub(crate) plan: Plan,
    pub(crate) outcome: Outcome,
    pub(crate) took: Duration,
}

#[derive(Debug)]
pub(crate) enum Outcome {
    /// Answered; what is wrong with the answer, if anything is.
    Answered(Option<String>),
    Cancelled,
    Failed(Error),
}

/// How long a caller believes an error that says when to come again.
const PATIENCE: Duration = Duration::from_secs(3);

impl Calls {
    pub(crate) fn new(seed: u64, count: u64) -> Arc<Self> {
        Arc::new(Self { seed, count, next: AtomicU64::new(0), done: Mutex::default() })
    }

    /// How many have been made.
    pub(crate) fn count(&self) -> usize {
        self.done.lock().unwrap_or_else(PoisonError::into_inner).len()
    }

    /// All that were made.
    pub(crate) fn done(&self) -> Vec<Call> {
        std::mem::take(&mut *self.done.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn next(&self) -> Option<Plan> {
        let number = self.next.fetch_add(1, Ordering::SeqCst);
        (number < self.count).then(|| Plan::new(self.seed, number))
    }

    fn note(&self, plan: Plan, outcome: Outcome, took: Duration) {
        let mut done = self.done.lock().unwrap_or_else(PoisonError::into_inner);
        done.push(Call { plan, outcome, took });
    }
}

/// Calls until no call is left.
pub(crate) async fn task(calls: Arc<Calls>, connection: Connection, credentials: Credentials) {
    while let Some(plan) = calls.next() {
        let begun = now();
        let outcome = match plan.cancel_after {
            None => call(&connection, &plan).await,
            Some(limit) => tokio::time::timeout(limit, call(&connection, &plan))
                .await
                .unwrap_or(Outcome::Cancelled),
        };
        let is_hopeless = is_hopeless(&outcome);
        calls.note(plan, outcome, now() - begun);
        if is_hopeless {
            connection.reset_credentials(Some(credentials.clone()));
        }
    }
}

async fn call(connection: &Connection, plan: &Plan) -> Outcome {
    let request = match plan.kind {
        Kind::Get => connection.get(plan.path()),
        Kind::Post => connection.post(plan.path()).json(&plan.body()),
    };
    let answer = async { request.send().await?.bytes().await };
    answer.await.map_or_else(Outcome::Failed, |answer| Outcome::Answered(plan.complaint(&answer)))
}

/// The same on a thread, which cancels nothing.
pub(crate) fn thread(calls: &Calls, connection: &blocking::Connection, credentials: &Credentials) {
    while let Some(plan) = calls.next() {
        let begun = now();
        let request = match plan.kind {
            Kind::Get => connection.get(plan.path()),
            Kind::Post => connection.post(plan.path()).json(&plan.body()),
        };
        let answer = request.send().and_then(blocking::Response::bytes);
        let outcome = answer
            .map_or_else(Outcome::Failed, |answer| Outcome::Answered(plan.complaint(&answer)));
        let is_hopeless = is_hopeless(&outcome);
        calls.note(plan, outcome, now() - begun);
        if is_hopeless {
            connection.reset_credentials(Some(credentials.clone()));
        }
    }
}

/// Whether logins are given up for long: after those that were not answered, and after sessions in
/// which nothing succeeded. The callers know that neither is the credentials' fault.
fn is_hopeless(outcome: &Outcome) -> bool {
    let Outcome::Failed(error) = outcome else { return false };
    error.retry_after().is_some_and(|wait| wait > PATIENCE)
        || error.kind() == ErrorKind::SessionLost
}

#[expect(clippy::disallowed_methods, reason = "sockets live in real time")]
pub(crate) fn now() -> Instant {
    Instant::now()
}
