//! One run: a transport, its callers, the trouble, and the balance.

use std::sync::Arc;
use std::time::Duration;

use mstr_core::blocking::BlockOn;
use mstr_core::{
    CloseOutcome, Connection, ConnectionBuilder, Credentials, NoTransport, SharedBlockingTransport,
    SharedTransport,
};
use mstr_fake::loopback::Cut;
use mstr_hyper::HyperTransport;
use mstr_isahc::IsahcTransport;
use tokio::runtime::Handle;
use tokio::task::JoinSet;

use crate::balance::{self, Sessions, Totals};
use crate::callers::{self, Calls, now};
use crate::chance::Chance;
use crate::plan::{TOTAL, retry, timeouts};
use crate::trouble::{self, Maker, Troubles};
use crate::watched::{Seen, Watched};
use crate::world::World;

/// How many sessions there are, and how many callers share each.
const SESSIONS: usize = 4;
const CALLERS: usize = 8;
/// How long what goes on in the background may take.
const PATIENCE: Duration = Duration::from_secs(15);
/// The random sequence of the faults; the calls have those of their numbers.
const TROUBLE: u64 = u64::MAX;
/// libcurl repeats a read whose kept connection breaks, on another kept connection too.
const LIBCURL_AGAIN: usize = 5;

/// What runs.
#[derive(Clone, Copy, Debug, Eq, PartialEq, clap::ValueEnum)]
pub(crate) enum Stack {
    Hyper,
    Isahc,
    HyperBlocking,
    IsahcBlocking,
}

/// How it went.
#[derive(Debug)]
pub(crate) struct Report {
    pub(crate) stack: Stack,
    pub(crate) totals: Totals,
    pub(crate) troubles: Troubles,
    pub(crate) sessions: Sessions,
    pub(crate) connections: usize,
    pub(crate) max_open_connections: usize,
    pub(crate) took: Duration,
    pub(crate) complaints: Vec<String>,
}

impl Stack {
    pub(crate) const ALL: [Self; 4] =
        [Self::Hyper, Self::Isahc, Self::HyperBlocking, Self::IsahcBlocking];

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Hyper => "hyper",
            Self::Isahc => "isahc",
            Self::HyperBlocking => "hyper, blocking",
            Self::IsahcBlocking => "isahc, blocking",
        }
    }

    const fn is_hyper(self) -> bool {
        matches!(self, Self::Hyper | Self::HyperBlocking)
    }

    /// How answers break off. libcurl takes a head that an orderly close has cut off for a whole
    /// one, and mstr-isahc does not notice.
    const fn truncation(self) -> &'static [Cut] {
        if self.is_hyper() { &trouble::CUTS } else { &[Cut::Reset] }
    }

    /// Makes so many calls.
    pub(crate) fn run(self, seed: u64, requests: u64) -> Result<Report, String> {
        let begun = now();
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
            .map_err(|error| format!("no runtime: {error}"))?;
        let world = World::start(seed).map_err(|error| format!("no server: {error}"))?;
        let world = Arc::new(world);
        let seen = Arc::new(Seen::default());
        let calls = Calls::new(seed, requests);
        let trouble = Maker::start(&world, &calls, Chance::new(seed, TROUBLE), self.truncation())?;
        let mut complaints = Vec::new();
        // The transport, and what was opened over it, is gone afterwards.
        let transport = self.transport(runtime.handle(), &seen)?;
        let troubles = match self {
            Self::Hyper | Self::Isahc => runtime.block_on(async {
                tasks(&world, transport, &calls, trouble, &mut complaints).await
            }),
            Self::HyperBlocking | Self::IsahcBlocking => {
                let transport = SharedBlockingTransport::new(BlockOn::new(transport));
                threads(&world, &transport, &calls, trouble, &mut complaints)
            }
        }?;
        let sessions =
            eventually(|| Sessions::look(&world, &seen), |sessions| sessions.complaint().is_none());
        complaints.extend(sessions.complaint().map(str::to_owned));
        let open = eventually(|| world.relay.open_connections(), |open| *open == 0);
        if open > 0 {
            complaints.push(format!("{open} connections are open without a transport"));
        }
        let again = if self.is_hyper() { 0 } else { LIBCURL_AGAIN };
        let totals = balance::calls(&world, &seen, &calls.done(), again, &mut complaints);
        balance::oracles(&world, &seen, &mut complaints);
        Ok(Report {
            stack: self,
            totals,
            troubles,
            sessions,
            connections: world.relay.connections(),
            max_open_connections: world.relay.max_open_connections(),
            took: now() - begun,
            complaints,
        })
    }

    fn transport(self, runtime: &Handle, seen: &Arc<Seen>) -> Result<SharedTransport, String> {
        let seen = Arc::clone(seen);
        let transport = match self {
            Self::Hyper | Self::HyperBlocking => HyperTransport::builder()
                .runtime(runtime.clone())
                .build()
                .map(|transport| SharedTransport::new(Watched::new(transport, seen))),
            Self::Isahc | Self::IsahcBlocking => IsahcTransport::builder()
                .build()
                .map(|transport| SharedTransport::new(Watched::new(transport, seen))),
        };
        transport.map_err(|error| format!("no transport: {error}"))
    }
}

/// Half of the sessions have a password, which must not be submitted too often.
fn credentials(session: usize) -> Credentials {
    match session % 2 {
        0 => Credentials::standard("alice", "secret"),
        _ => Credentials::anonymous(),
    }
}

fn builder(world: &World, session: usize) -> ConnectionBuilder<NoTransport> {
    Connection::builder(world.base_url())
        .credentials(credentials(session))
        .timeouts(timeouts())
        .retry(retry())
}

/// Lets tasks call, ends the trouble, and closes the sessions.
async fn tasks(
    world: &World,
    transport: SharedTransport,
    calls: &Arc<Calls>,
    trouble: Maker,
    complaints: &mut Vec<String>,
) -> Result<Troubles, String> {
    let mut connections = Vec::new();
    let mut callers = JoinSet::new();
    for session in 0..SESSIONS {
        let built = builder(world, session).transport(transport.clone()).build();
        let connection = built.map_err(|error| format!("no connection: {error}"))?;
        for _ in 0..CALLERS {
            let (calls, connection) = (Arc::clone(calls), connection.clone());
            callers.spawn(callers::task(calls, connection, credentials(session)));
        }
        connections.push(connection);
    }
    while let Some(ended) = callers.join_next().await {
        ended.map_err(|_| "a caller panicked")?;
    }
    let troubles = trouble.stop()?;
    for connection in connections {
        let begun = now();
        let outcome = connection.close().await;
        complaints.extend(complaint(&outcome, now() - begun));
    }
    Ok(troubles)
}

/// The same with threads.
fn threads(
    world: &World,
    transport: &SharedBlockingTransport,
    calls: &Arc<Calls>,
    trouble: Maker,
    complaints: &mut Vec<String>,
) -> Result<Troubles, String> {
    let mut connections = Vec::new();
    for session in 0..SESSIONS {
        let built = builder(world, session).blocking_transport(transport.clone()).build();
        connections.push(built.map_err(|error| format!("no connection: {error}"))?);
    }
    // It passes a panic on.
    std::thread::scope(|scope| {
        for (session, connection) in connections.iter().enumerate() {
            for _ in 0..CALLERS {
                scope.spawn(move || callers::thread(calls, connection, &credentials(session)));
            }
        }
    });
    let troubles = trouble.stop()?;
    for connection in connections {
        let begun = now();
        let outcome = connection.close();
        complaints.extend(complaint(&outcome, now() - begun));
    }
    Ok(troubles)
}

/// What is wrong with how a session was closed over a network that is well, if anything is.
fn complaint(outcome: &CloseOutcome, took: Duration) -> Option<String> {
    let is_well = matches!(
        outcome,
        CloseOutcome::AlreadyEnded | CloseOutcome::LoggedOut | CloseOutcome::NotOpen
    );
    let is_late = took > TOTAL + balance::MARGIN;
    (is_late || !is_well).then(|| format!("closing took {took:?} and ended so: {outcome:?}"))
}

/// Looks until it holds, and returns what was seen last.
#[expect(clippy::disallowed_methods, reason = "sockets live in real time")]
fn eventually<T>(look: impl Fn() -> T, holds: impl Fn(&T) -> bool) -> T {
    let begun = now();
    loop {
        let seen = look();
        if holds(&seen) || now() - begun > PATIENCE {
            return seen;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}
