//! Throughput, in turns with another client, as ratios with their spread.
//!
//! Reading a body into memory means the same for all: one piece of memory with all of its bytes. That is
//! what `bytes()` of ours, reqwest's and isahc's returns, `collect().to_bytes()` of hyper's, and
//! `read_to_vec()` of ureq's. To read it as JSON, those without a `json()` hand that piece to `serde_json`.

use std::sync::Barrier;
use std::thread;
use std::time::{Duration, Instant};

use mstr_suite::figures::{Figure, Spread, in_turns};
use tokio::runtime::Runtime;

use crate::answers::{CATALOGUE, LARGE, SMALL};
use crate::clients::{
    self, BlockingCall, Build, CONTESTANTS, Call, Contestant, Read, Target, runtime,
};
use crate::parts::Run;
use crate::server::keep_off;
use crate::{BASE, OURS};

/// What is asked for, and over what.
struct Situation {
    heading: &'static str,
    path: &'static str,
    read: Read,
    tls: bool,
    http1_only: bool,
    in_flight: &'static [(usize, &'static str)],
}

const SITUATIONS: &[Situation] = &[
    Situation {
        heading: "200 bytes over HTTP/1.1",
        path: SMALL,
        read: Read::Bytes,
        tls: false,
        http1_only: true,
        in_flight: &IN_FLIGHT,
    },
    Situation {
        heading: "1 MiB over HTTP/1.1",
        path: LARGE,
        read: Read::Bytes,
        tls: false,
        http1_only: true,
        in_flight: FEW_IN_FLIGHT,
    },
    Situation {
        heading: "10 KiB of JSON over HTTP/1.1",
        path: CATALOGUE,
        read: Read::Json,
        tls: false,
        http1_only: true,
        in_flight: &IN_FLIGHT,
    },
    Situation {
        heading: "200 bytes over HTTP/1.1 and TLS 1.3",
        path: SMALL,
        read: Read::Bytes,
        tls: true,
        http1_only: true,
        in_flight: &IN_FLIGHT,
    },
    Situation {
        heading: "200 bytes over HTTP/2 and TLS 1.3",
        path: SMALL,
        read: Read::Bytes,
        tls: true,
        http1_only: false,
        in_flight: &IN_FLIGHT,
    },
];

/// Those that speak TLS are compared with this one, as hyper-util's client does not by itself.
const BASE_TLS: &str = "reqwest";

const IN_FLIGHT: [(usize, &str); 3] =
    [(1, "1 in flight"), (8, "8 in flight"), (64, "64 in flight")];
/// 64 large bodies at once measure the machine's memory.
const FEW_IN_FLIGHT: &[(usize, &str)] = IN_FLIGHT.split_at(2).0;

/// The clients that people have instead, which ours is compared with directly.
pub(crate) const DIRECTLY: &str =
    "200 bytes over HTTP/1.1: throughput of mstr over hyper, ratio to each client";
const INSTEAD: &str = "reqwest with middleware";

impl Situation {
    /// The smallest answer over plain HTTP, where all are measured.
    fn is_smallest(&self) -> bool {
        self.path == SMALL && !self.tls
    }

    fn base(&self) -> &'static str {
        if self.tls { BASE_TLS } else { BASE }
    }

    fn measures(&self, contestant: &Contestant) -> bool {
        (contestant.tls || !self.tls)
            && (contestant.http2 || !self.tls || self.http1_only)
            && (contestant.json || self.read != Read::Json)
            && (contestant.everywhere || self.is_smallest())
            // Once it shows how much two measurements of the same differ.
            && (contestant.name != self.base() || self.is_smallest())
    }

    fn target(&self, run: &Run<'_>) -> Target {
        Target {
            base: if self.tls { run.server.tls.clone() } else { run.server.plain.clone() },
            path: self.path,
            authority: self.tls.then(|| run.server.authority.clone()),
            http1_only: self.http1_only,
            read: self.read,
        }
    }
}

pub(crate) fn print(run: &Run<'_>) {
    for situation in SITUATIONS {
        let table = format!("{}: throughput, ratio to {}", situation.heading, situation.base());
        let there = CONTESTANTS.iter().filter(|contestant| situation.measures(contestant));
        let chosen = run.chosen(situation.heading, there, |contestant| contestant.name);
        if chosen.is_empty() {
            continue;
        }
        keep_off();
        println!("\n{table}");
        let line = |row: &str, cells: Vec<String>| {
            let cells: String = cells.iter().map(|cell| format!(" {cell:>22}")).collect();
            println!("{row:<28}{cells}");
        };
        let numbers = situation.in_flight.iter().map(|(in_flight, _)| in_flight.to_string());
        line("in flight", numbers.collect());
        let (target, base) = (situation.target(run), clients::named(situation.base()));
        for contestant in chosen {
            let row = contestant.name;
            let cells = situation.in_flight.iter().map(|(in_flight, column)| {
                let spread = ratio(run, contestant, base, &target, *in_flight);
                Figure { table: &table, row, column, unit: "ratio", spread }.record();
                spread.to_string()
            });
            line(row, cells.collect());
        }
    }
    directly(run);
}

fn directly(run: &Run<'_>) {
    if run.chosen("directly", [INSTEAD], |name| name).is_empty() {
        return;
    }
    keep_off();
    let (ours, other) = (clients::named(OURS), clients::named(INSTEAD));
    let (in_flight, column) = IN_FLIGHT[1];
    println!("\n{DIRECTLY}");
    let spread = ratio(run, ours, other, &Target::small(&run.server.plain), in_flight);
    println!("{INSTEAD:<28} {:>22} {column}", spread.to_string());
    Figure { table: DIRECTLY, row: INSTEAD, column, unit: "ratio", spread }.record();
}

/// One measurement of each for every pair.
fn ratio(
    run: &Run<'_>,
    contestant: &Contestant,
    base: &Contestant,
    target: &Target,
    in_flight: usize,
) -> Spread {
    let mut rates = Vec::new();
    while rates.len() < run.pairs() {
        let own = Running::start(contestant, target, in_flight);
        let base = Running::start(base, target, in_flight);
        let turns = rates.len()..run.pairs().min(rates.len() + ANEW);
        rates.extend(in_turns(turns, || own.rate(LENGTH), || base.rate(LENGTH)));
    }
    Spread::of(rates.into_iter().map(|(own, base)| own / base).collect())
}

/// After so many pairs a client is built anew, so that what chance gave to one does not decide.
const ANEW: usize = 5;
/// Connections are made before the clock starts, and after the other's turn everything is touched once.
const CONNECTING: Duration = Duration::from_millis(30);
const WARMING: Duration = Duration::from_millis(10);
const LENGTH: Duration = Duration::from_millis(60);

/// A client with its connections.
pub(crate) struct Running {
    client: Client,
    in_flight: usize,
}

enum Client {
    // The call is dropped before its runtime.
    Tasks(Call, Runtime),
    Threads(BlockingCall),
}

impl Running {
    pub(crate) fn start(contestant: &Contestant, target: &Target, in_flight: usize) -> Self {
        let client = match contestant.build {
            Build::Tasks(build) => {
                let runtime = runtime();
                let entered = runtime.enter();
                let call = build(target);
                drop(entered);
                runtime.block_on(for_a_while(&call, in_flight, CONNECTING));
                Client::Tasks(call, runtime)
            }
            Build::Threads(build) => {
                let call = build(target);
                by_threads(&call, in_flight, CONNECTING);
                Client::Threads(call)
            }
        };
        Self { client, in_flight }
    }

    /// Requests a second.
    pub(crate) fn rate(&self, length: Duration) -> f64 {
        match &self.client {
            Client::Tasks(call, runtime) => runtime.block_on(async {
                for_a_while(call, self.in_flight, WARMING).await;
                let start = Instant::now();
                let count = for_a_while(call, self.in_flight, length).await;
                count as f64 / start.elapsed().as_secs_f64()
            }),
            Client::Threads(call) => by_threads(call, self.in_flight, length),
        }
    }
}

async fn for_a_while(call: &Call, in_flight: usize, length: Duration) -> usize {
    let end = Instant::now() + length;
    let callers = (0..in_flight).map(|_| async {
        let mut count = 0;
        while Instant::now() < end {
            assert!(call().await >= 200);
            count += 1;
        }
        count
    });
    futures_util::future::join_all(callers).await.into_iter().sum()
}

fn by_threads(call: &BlockingCall, in_flight: usize, length: Duration) -> f64 {
    // The thread that measures waits at the barrier, too.
    let warm = Barrier::new(in_flight + 1);
    let for_a_while = |length| {
        let (end, mut count) = (Instant::now() + length, 0usize);
        while Instant::now() < end {
            assert!(call() >= 200);
            count += 1;
        }
        count
    };
    thread::scope(|scope| {
        let callers: Vec<_> = (0..in_flight)
            .map(|_| {
                scope.spawn(|| {
                    for_a_while(WARMING);
                    warm.wait();
                    (for_a_while(length), Instant::now())
                })
            })
            .collect();
        warm.wait();
        let start = Instant::now();
        // Not the ends of the threads, which belong to no request.
        let ended = callers.into_iter().map(|caller| caller.join().unwrap());
        let (count, end) = ended.fold((0, start), |all, own| (all.0 + own.0, all.1.max(own.1)));
        count as f64 / (end - start).as_secs_f64()
    })
}
