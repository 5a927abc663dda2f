//! Throughput, in turns with hyper-util's client, as ratios with their spread.

use std::time::{Duration, Instant};

use crate::BASE;
use crate::clients::{CONTESTANTS, Call, Contestant, Target};
use crate::server::Server;

/// What is asked for, over what: a heading, the path, whether over TLS, whether HTTP/1.1 only.
const SITUATIONS: &[(&str, &str, bool, bool)] = &[
    ("200 bytes, plain", "/small", false, true),
    ("1 MiB, plain", "/large", false, true),
    ("200 bytes, TLS 1.3", "/small", true, true),
    ("200 bytes, HTTP/2 over TLS", "/small", true, false),
];
const IN_FLIGHT: [usize; 3] = [1, 8, 64];

pub(crate) fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap()
}

pub(crate) fn print(server: &Server, chosen: &[&Contestant], quick: bool) {
    let pairs = if quick { 3 } else { 15 };
    for (heading, path, tls, http1_only) in SITUATIONS {
        println!("\n{heading}: throughput, ratio to {}", if *tls { "reqwest" } else { BASE });
        println!("{:<28} {:>22} {:>22} {:>22}", "in flight", 1, 8, 64);
        let base = if *tls { "reqwest" } else { BASE };
        let target = Target {
            base: if *tls { server.tls.clone() } else { server.plain.clone() },
            path,
            authority: tls.then(|| server.authority.clone()),
            http1_only: *http1_only,
        };
        let Some(base) = CONTESTANTS.iter().find(|contestant| contestant.name == base) else {
            continue;
        };
        for contestant in chosen.iter().filter(|it| !tls || it.tls) {
            let cells = IN_FLIGHT.map(|in_flight| {
                if contestant.blocks && in_flight > 1 {
                    return "-".to_owned();
                }
                let mut ratios: Vec<f64> = (0..pairs)
                    .map(|turn| pair(contestant, base, &target, in_flight, turn))
                    .collect();
                ratios.sort_by(f64::total_cmp);
                let (low, high) = (ratios[ratios.len() / 4], ratios[ratios.len() * 3 / 4]);
                format!("{:.2} ({low:.2}-{high:.2})", ratios[ratios.len() / 2])
            });
            println!("{:<28} {:>22} {:>22} {:>22}", contestant.name, cells[0], cells[1], cells[2]);
        }
    }
}

/// One measurement of each, in an order that changes from turn to turn.
fn pair(
    contestant: &Contestant,
    base: &Contestant,
    target: &Target,
    in_flight: usize,
    turn: usize,
) -> f64 {
    let (own, other) = if turn.is_multiple_of(2) {
        let own = rate(contestant, target, in_flight);
        (own, rate(base, target, in_flight))
    } else {
        let other = rate(base, target, in_flight);
        (rate(contestant, target, in_flight), other)
    };
    own / other
}

/// Requests a second.
fn rate(contestant: &Contestant, target: &Target, in_flight: usize) -> f64 {
    let runtime = runtime();
    let _entered = runtime.enter();
    let call = (contestant.build)(target);
    let length = Duration::from_millis(150);
    runtime.block_on(async {
        // Connections are made before the clock starts.
        for_a_while(&call, in_flight, Duration::from_millis(30)).await;
        let start = Instant::now();
        let count = for_a_while(&call, in_flight, length).await;
        count as f64 / start.elapsed().as_secs_f64()
    })
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
