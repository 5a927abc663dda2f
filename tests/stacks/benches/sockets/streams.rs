//! A gibibyte in each direction that is never in memory as a whole: how much the peak of a process grows
//! by it, and how fast it is.
//!
//! Each transfer has a process of its own. That makes a small call first, so that what a client needs
//! anyway is there, and measures what comes on top.

use std::future::Future;
use std::process::{Command, ExitCode};
use std::time::Instant;

use bytes::Bytes;
use http::Request;
use http_body_util::{BodyExt, Either, Empty};
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use mstr_core::{Body, Connection, Transport};
use mstr_hyper::HyperTransport;
use mstr_isahc::IsahcTransport;
use mstr_suite::figures::{Figure, Spread, in_turns};

use crate::answers::{Repeated, SMALL, STREAM, UPLOAD};
use crate::clients::runtime;
use crate::parts::Run;
use crate::server::keep_off;
use crate::{BASE, OURS};

pub(crate) const PART: &str = "streams";
/// The word that makes this program transfer once.
pub(crate) const TRANSFER: &str = "--transfer";
const ISAHC: &str = "mstr over isahc";
const DIRECTIONS: [&str; 2] = ["download", "upload"];
const UPLOADED: usize = 1;

/// What a process says of its transfer.
#[derive(Clone, Copy)]
struct Transfer {
    seconds: f64,
    /// The growth of the peak, in MiB, where the system tells.
    growth: Option<f64>,
}

pub(crate) fn print(run: &Run<'_>) {
    let chosen = run.chosen(PART, [BASE, OURS, ISAHC], |name| name);
    if chosen.is_empty() {
        return;
    }
    keep_off();
    let (size, bytes): (_, u64) = if run.quick { ("64 MiB", 64 << 20) } else { ("1 GiB", 1 << 30) };
    let ratios = format!("{size} over HTTP/1.1: throughput, ratio to {BASE}");
    let peaks = format!("{size} over HTTP/1.1: growth of peak memory");
    println!("\n{size} over HTTP/1.1, streamed");
    println!("{:<28} {:>22} {:>22}", "ratio to hyper-util", DIRECTIONS[0], DIRECTIONS[1]);
    let mut growths = Vec::new();
    for row in chosen {
        let both = [0, 1].map(|direction| {
            let transfer = |name| transfer(name, direction, bytes, &run.server.plain);
            let (mut ratios, mut grown) = (Vec::new(), Vec::new());
            for (own, base) in in_turns(0..run.pairs(), || transfer(row), || transfer(BASE)) {
                ratios.push(base.seconds / own.seconds);
                grown.extend(own.growth);
            }
            (Spread::of(ratios), (!grown.is_empty()).then(|| Spread::of(grown)))
        });
        for (column, (ratio, growth)) in DIRECTIONS.into_iter().zip(both) {
            Figure { table: &ratios, row, column, unit: "ratio", spread: ratio }.record();
            if let Some(spread) = growth {
                Figure { table: &peaks, row, column, unit: "MiB", spread }.record();
            }
        }
        println!("{row:<28} {:>22} {:>22}", both[0].0.to_string(), both[1].0.to_string());
        growths.push((row, both.map(|(_, growth)| growth)));
    }
    println!("{:<28} {:>22} {:>22}", "growth of the peak, MiB", DIRECTIONS[0], DIRECTIONS[1]);
    for (row, both) in growths {
        let shown = |growth: Option<Spread>| {
            growth.map_or_else(|| "not measured here".to_owned(), |growth| format!("{growth:.1}"))
        };
        println!("{row:<28} {:>22} {:>22}", shown(both[0]), shown(both[1]));
    }
}

/// Transfers in a process of its own.
///
/// # Panics
///
/// If that fails.
fn transfer(name: &str, direction: usize, bytes: u64, base: &str) -> Transfer {
    let own = std::env::current_exe().unwrap();
    let words = [TRANSFER, name, DIRECTIONS[direction], &bytes.to_string(), base];
    let output = Command::new(own).args(words).output().unwrap();
    let (told, errors) =
        (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{name} failed: {told}{errors}");
    let mut numbers = told.split_whitespace().map(str::parse);
    let seconds = numbers.next().unwrap().unwrap();
    Transfer { seconds, growth: numbers.next().map(Result::unwrap) }
}

/// What such a process does.
pub(crate) fn run_one(name: &str, direction: &str, bytes: &str, base: &str) -> ExitCode {
    let Ok(bytes) = bytes.parse() else { return ExitCode::FAILURE };
    let upload = direction == DIRECTIONS[UPLOADED];
    let base = format!("{base}/MicroStrategyLibrary");
    let transfer = runtime().block_on(async {
        match name {
            OURS => layer(HyperTransport::new().unwrap(), upload, bytes, &base).await,
            ISAHC => layer(IsahcTransport::new().unwrap(), upload, bytes, &base).await,
            BASE => bare(upload, bytes, &base).await,
            _ => panic!("{name} does not stream here"),
        }
    });
    let Transfer { seconds, growth } = transfer;
    println!("{seconds} {}", growth.map_or_else(String::new, |growth| growth.to_string()));
    ExitCode::SUCCESS
}

async fn bare(upload: bool, bytes: u64, base: &str) -> Transfer {
    let client = Client::builder(TokioExecutor::new()).build_http();
    let call = async |request: http::request::Builder, body| {
        client.request(request.body(body).unwrap()).await.unwrap().into_body()
    };
    let nothing = || Either::Left(Empty::<Bytes>::new());
    call(Request::get(format!("{base}{SMALL}")), nothing()).await.collect().await.unwrap();
    measured(bytes, async {
        if upload {
            let request = Request::post(format!("{base}{UPLOAD}"));
            let answer = call(request, Either::Right(Repeated::new(bytes))).await;
            return counted(&answer.collect().await.unwrap().to_bytes());
        }
        let mut body = call(Request::get(format!("{base}{STREAM}{bytes}")), nothing()).await;
        let mut read = 0;
        while let Some(frame) = body.frame().await {
            read += frame.unwrap().data_ref().map_or(0, |data| data.len() as u64);
        }
        read
    })
    .await
}

async fn layer(
    transport: impl Transport + Clone,
    upload: bool,
    bytes: u64,
    base: &str,
) -> Transfer {
    let builder = Connection::builder(base).standard("alice", "secret").checks(false);
    let connection = builder.transport(transport).connect().await.unwrap();
    connection.get(SMALL).send().await.unwrap().bytes().await.unwrap();
    let transfer = measured(bytes, async {
        if upload {
            let request = connection.post(UPLOAD).body(Body::wrap(Repeated::new(bytes)));
            return counted(&request.send().await.unwrap().bytes().await.unwrap());
        }
        let request = connection.get(format!("{STREAM}{bytes}"));
        let (mut answer, mut read) = (request.send().await.unwrap(), 0);
        while let Some(chunk) = answer.chunk().await.unwrap() {
            read += chunk.len() as u64;
        }
        read
    });
    let transfer = transfer.await;
    connection.close().await;
    transfer
}

/// The number that the server answers with.
fn counted(answer: &[u8]) -> u64 {
    std::str::from_utf8(answer).unwrap().parse().unwrap()
}

async fn measured(bytes: u64, transfer: impl Future<Output = u64>) -> Transfer {
    let (before, start) = (peak(), Instant::now());
    assert_eq!(transfer.await, bytes);
    let seconds = start.elapsed().as_secs_f64();
    let growth = before.zip(peak()).map(|(before, after)| after - before);
    Transfer { seconds, growth }
}

/// The most memory that this process has had so far, in MiB. Only Linux tells.
fn peak() -> Option<f64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kibibytes: f64 = line.trim().strip_suffix(" kB")?.parse().ok()?;
    Some(kibibytes / 1024.0)
}
