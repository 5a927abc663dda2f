//! Defaults of libcurl and isahc that are turned off.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use futures_executor::block_on;
use futures_util::future::join;
use http::{Method, Request};
use http_body::Frame;
use mstr::{Body, Transport, TransportErrorKind};
use mstr_core::toolkit::before;
use mstr_fake::loopback::{RawConnection, RawServer};
use mstr_isahc::IsahcTransport;

fn request(method: Method, url: &str, body: Body) -> Request<Body> {
    Request::builder().method(method).uri(url).body(body).unwrap()
}

/// Counts the requests of an HTTP/2 connection until there are `limit`, which it leaves unanswered.
fn count_streams(
    mut connection: RawConnection,
    streams: &AtomicUsize,
    limit: usize,
) -> std::io::Result<()> {
    const PREFACE: usize = 24;
    const HEAD: usize = 9;
    const HEADERS: u8 = 1;
    connection.write([0, 0, 0, 4, 0, 0, 0, 0, 0])?;
    let (mut seen, mut here) = (Vec::new(), 0);
    let mut at = PREFACE;
    loop {
        let more = connection.read_some(usize::MAX)?;
        if more.is_empty() {
            return Ok(());
        }
        seen.extend(more);
        while seen.len() >= at + HEAD {
            if seen[at + 3] == HEADERS {
                here += 1;
                streams.fetch_add(1, Ordering::SeqCst);
                if here == limit {
                    connection.reset();
                    return Ok(());
                }
            }
            let length = u32::from_be_bytes([0, seen[at], seen[at + 1], seen[at + 2]]);
            at += HEAD + usize::try_from(length).unwrap();
        }
    }
}

#[test]
fn writes_without_a_body_that_are_cut_off_together_are_not_repeated() {
    let streams = Arc::new(AtomicUsize::new(0));
    let counting = Arc::clone(&streams);
    let server = RawServer::start(move |connection| {
        // The first would wait for a second one for ever.
        let both = connection.number() == 0;
        count_streams(connection, &counting, if both { 2 } else { 1 })
    })
    .unwrap();
    let transport = IsahcTransport::builder().http2_only().build().unwrap();
    let send = || transport.send(request(Method::POST, &server.url("/"), Body::empty()));
    let second = async {
        transport.timer().sleep_until(transport.timer().now() + Duration::from_millis(300)).await;
        send().await
    };
    let limit = transport.timer().now() + Duration::from_secs(1);
    let both = join(send(), second);
    drop(block_on(before(Some(limit), &*transport.timer(), both)));
    assert_eq!(streams.load(Ordering::SeqCst), 2);
}

fn answering() -> RawServer {
    RawServer::start(|mut connection| {
        while connection.read_request()?.is_some() {
            connection.answer("200 OK", "fine")?;
        }
        Ok(())
    })
    .unwrap()
}

/// A body that does something when it is asked for its first piece.
struct Doing<F>(F);

impl<F: FnMut() -> Poll<()> + Unpin> http_body::Body for Doing<F> {
    type Data = Bytes;
    type Error = std::io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, std::io::Error>>> {
        (self.0)().map(|()| None)
    }
}

#[test]
fn a_body_that_panics_ends_its_own_request_only() {
    let server = answering();
    let transport = IsahcTransport::new().unwrap();
    let body = Body::wrap(Doing(|| panic!("this is part of the test")));
    let outcome = block_on(transport.send(request(Method::POST, &server.url("/"), body)));
    assert_eq!(outcome.unwrap_err().kind(), TransportErrorKind::Body);
    let outcome = block_on(transport.send(request(Method::GET, &server.url("/"), Body::empty())));
    assert_eq!(outcome.unwrap().status(), 200);
}

#[test]
fn a_body_may_hold_the_last_handle_on_its_own_transport() {
    /// Tells on which thread it is dropped, and that it was not dropped by a panic.
    struct Told(std::sync::mpsc::Sender<bool>);
    impl Drop for Told {
        fn drop(&mut self) {
            self.0.send(std::thread::panicking()).unwrap();
        }
    }
    let server = answering();
    let transport = IsahcTransport::new().unwrap();
    // An answer holds a client of isahc as well.
    let answer = block_on(transport.send(request(Method::GET, &server.url("/"), Body::empty())));
    let (tell, told) = std::sync::mpsc::channel();
    let (asked, asking) = std::sync::mpsc::channel();
    let held = (answer.unwrap().into_body(), transport.clone(), Told(tell));
    let body = Body::wrap(Doing(move || {
        let _held = &held;
        asked.send(()).unwrap();
        Poll::Pending
    }));
    let mut sending = transport.send(request(Method::POST, &server.url("/"), body));
    let mut cx = Context::from_waker(std::task::Waker::noop());
    assert!(sending.as_mut().poll(&mut cx).is_pending());
    asking.recv().unwrap();
    drop(sending);
    drop(transport);
    assert!(!told.recv_timeout(Duration::from_secs(20)).unwrap());
}

#[test]
fn settings_beyond_all_measure_are_as_good_as_none() {
    let server = answering();
    let transport = IsahcTransport::builder()
        .connect_timeout(Duration::MAX)
        .pool_idle_timeout(Duration::MAX)
        .pool_max_idle(usize::MAX)
        .tcp_keepalive(Duration::MAX)
        .build()
        .unwrap();
    let outcome = block_on(transport.send(request(Method::GET, &server.url("/"), Body::empty())));
    assert_eq!(outcome.unwrap().status(), 200);
}

#[test]
fn a_body_is_as_long_as_its_framing_says() {
    let chunked = "transfer-encoding: chunked\r\ncontent-length: 999\r\n\r\n4\r\nbody\r\n0\r\n\r\n";
    let table = [
        (chunked, None),
        ("content-length: 9223372036854775808\r\n\r\nbody", Some(TransportErrorKind::Protocol)),
        ("content-length: 99999999999999999999\r\n\r\nbody", Some(TransportErrorKind::Protocol)),
    ];
    for (answer, expected) in table {
        let server = RawServer::start(move |mut connection| {
            connection.read_request()?;
            connection.write(format!("HTTP/1.1 200 OK\r\n{answer}"))
        })
        .unwrap();
        let transport = IsahcTransport::new().unwrap();
        let sent = request(Method::GET, &server.url("/"), Body::empty());
        match (block_on(transport.send(sent)), expected) {
            (Ok(answer), None) => {
                let body = answer.into_body();
                assert_eq!(body.len_hint(), None);
                assert_eq!(&block_on(body.collect(10)).unwrap()[..], b"body");
            }
            (outcome, expected) => assert_eq!(outcome.err().map(|it| it.kind()), expected),
        }
    }
}
