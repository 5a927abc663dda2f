//! A body of any size passes through without being held.
//!
//! Measured in a process of its own, because the peak is the process's: the test starts itself
//! again for each transport, direction and size.

use std::io;
use std::pin::Pin;
use std::process::Command;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::{Method, Request};
use http_body::Frame;
use mstr::core::RequestContext;
use mstr::{Body, TlsConfig};
use mstr_fake::loopback::{RawConnection, RawServer};
use mstr_suite::Stack;

const MIB: u64 = 1024 * 1024;
const PIECE: usize = 64 * 1024;

/// How much more the large body may take than the small one.
const DIFFERENCE_KIB: u64 = 8 * 1024;

/// Names the transport, direction and size in the process that is measured.
const VARIABLE: &str = "MSTR_TEST_MEMORY";

#[test]
#[expect(clippy::disallowed_methods, reason = "this is how it is told what to do")]
fn memory_does_not_grow_with_the_size_of_a_body() {
    if let Ok(task) = std::env::var(VARIABLE) {
        return measured(&task);
    }
    if !std::path::Path::new("/proc/self/status").exists() {
        return; // The peak is read from there.
    }
    for stack in ["hyper", "isahc"] {
        for direction in ["down", "up"] {
            let [small, large] = [64, 1024].map(|size| peak(stack, direction, size));
            assert!(
                large < small + DIFFERENCE_KIB,
                "{stack} {direction}: {small} KiB for 64 MiB, {large} KiB for 1 GiB"
            );
        }
    }
}

/// The largest resident size of a process that moves so many MiB, in KiB.
fn peak(stack: &str, direction: &str, size: u64) -> u64 {
    let output = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "memory::memory_does_not_grow_with_the_size_of_a_body", "--nocapture"])
        .env(VARIABLE, format!("{stack} {direction} {size}"))
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{text}{}", String::from_utf8_lossy(&output.stderr));
    let peak = text.lines().find_map(|line| line.split("peak KiB: ").nth(1));
    peak.unwrap().trim().parse().unwrap()
}

#[expect(clippy::print_stdout, reason = "the test reads it")]
fn measured(task: &str) {
    let [stack, direction, size] = task.split(' ').collect::<Vec<_>>()[..] else {
        panic!("{task}");
    };
    let stack = if stack == "hyper" { Stack::Hyper } else { Stack::Isahc };
    let size = size.parse::<u64>().unwrap() * MIB;
    let server = RawServer::start(move |connection| serve(connection, size)).unwrap();
    stack.block_on(async {
        let transport = stack.transport(TlsConfig::new());
        let mut request = Request::new(Body::empty());
        *request.uri_mut() = server.url("/").parse().unwrap();
        if direction == "up" {
            *request.method_mut() = Method::PUT;
            *request.body_mut() = Body::wrap(Generated { left: size, piece: Bytes::from(piece()) });
        }
        let mut limits = RequestContext::default();
        limits.deadline = Some(transport.timer().now() + Duration::from_secs(60));
        limits.body_idle_timeout = Some(Duration::from_secs(20));
        limits.attach(&mut request);
        let mut body = transport.send(request).await.unwrap().into_body();
        if direction == "up" {
            // The server has compared.
            assert_eq!(body.collect(100).await.unwrap(), size.to_string());
            return;
        }
        let mut comparison = Comparison::new();
        while let Some(chunk) = body.chunk().await.unwrap() {
            comparison.add(&chunk);
        }
        assert_eq!(comparison.length, size);
    });
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    println!("peak KiB: {}", peak.trim().trim_end_matches(" kB"));
}

/// Answers a GET with so many bytes, and a PUT with how many it got, if they are the right ones.
fn serve(mut connection: RawConnection, size: u64) -> io::Result<()> {
    let Some(head) = connection.read_head()? else { return Ok(()) };
    if head.target().starts_with("GET") {
        connection.write(format!("HTTP/1.1 200 OK\r\ncontent-length: {size}\r\n\r\n"))?;
        let piece = piece();
        for _ in 0..size / PIECE as u64 {
            connection.write(&piece)?;
        }
        return Ok(());
    }
    assert_eq!(head.text("content-length"), Some(size.to_string()));
    let mut comparison = Comparison::new();
    while comparison.length < size {
        let got = connection.read_some(PIECE)?;
        if got.is_empty() {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        comparison.add(&got);
    }
    connection.answer("200 OK", comparison.length.to_string())
}

/// Bytes that a shift by one, a loss or a repetition would show.
fn piece() -> Vec<u8> {
    (0..PIECE).map(|position| (position % 251) as u8).collect()
}

/// Compares what arrives with what was sent, wherever it was cut.
struct Comparison {
    pattern: Vec<u8>,
    length: u64,
}

impl Comparison {
    fn new() -> Self {
        Self { pattern: piece(), length: 0 }
    }

    fn add(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            let from = (self.length % PIECE as u64) as usize;
            let (now, later) = bytes.split_at(bytes.len().min(PIECE - from));
            assert!(now == &self.pattern[from..from + now.len()], "after {} bytes", self.length);
            self.length += now.len() as u64;
            bytes = later;
        }
    }
}

/// A body that is made as it is sent.
struct Generated {
    left: u64,
    piece: Bytes,
}

impl http_body::Body for Generated {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        if self.left == 0 {
            return Poll::Ready(None);
        }
        self.left -= PIECE as u64;
        Poll::Ready(Some(Ok(Frame::data(self.piece.clone()))))
    }

    fn size_hint(&self) -> http_body::SizeHint {
        http_body::SizeHint::with_exact(self.left)
    }
}
