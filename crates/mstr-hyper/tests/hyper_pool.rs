//! The pool against small servers on loopback: who gets a connection, and which ones are let go.
#![expect(clippy::unwrap_used, clippy::disallowed_methods, reason = "a test may panic and spawn")]

mod common;

use std::future::Future;
use std::io::Write;
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Barrier};
use std::task::{Context, Waker};
use std::time::Duration;

use common::{
    Http2, begin, drain, get, now, pause, read_request, serve, serve_answer, text, within,
};
use http::{Request, StatusCode};
use mstr_core::{Body, Sent, Transport, TransportErrorKind};
use mstr_hyper::{HyperTransport, HyperTransportBuilder};
use tokio::task::JoinSet;

const OK: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";
const SHORT: Duration = Duration::from_millis(150);
const PATIENCE: Duration = Duration::from_secs(20);

fn build(settings: impl FnOnce(HyperTransportBuilder) -> HyperTransportBuilder) -> HyperTransport {
    settings(HyperTransport::builder()).build().unwrap()
}

/// A runtime that looks at no socket while one of its tasks computes.
fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap()
}

fn post(url: &str) -> Request<Body> {
    Request::post(url).body(Body::from("x")).unwrap()
}

/// A server that keeps its connections, and how many there are at a time at most.
fn counting(
    answer: impl Fn(&mut std::net::TcpStream) + Send + Sync + 'static,
) -> (String, Arc<AtomicUsize>) {
    let (open, most) = (AtomicUsize::new(0), Arc::new(AtomicUsize::new(0)));
    let counted = Arc::clone(&most);
    let server = serve(move |mut stream, _| {
        let now = open.fetch_add(1, Ordering::SeqCst) + 1;
        counted.fetch_max(now, Ordering::SeqCst);
        while read_request(&mut stream).is_some() {
            answer(&mut stream);
        }
        open.fetch_sub(1, Ordering::SeqCst);
    });
    (format!("http://{server}/"), most)
}

#[tokio::test]
async fn connections_are_no_more_than_the_limit_and_everybody_is_answered() {
    let (url, most) = counting(|stream| {
        pause(Duration::from_millis(2));
        stream.write_all(OK).unwrap();
    });
    let transport = build(|builder| builder.max_connections_per_host(8));
    let mut callers = JoinSet::new();
    for _ in 0..500 {
        let (transport, request) = (transport.clone(), within(post(&url), PATIENCE));
        callers.spawn(async move { text(transport.send(request).await).await });
    }
    while let Some(answer) = callers.join_next().await {
        assert_eq!(answer.unwrap(), "ok");
    }
    assert!(most.load(Ordering::SeqCst) <= 8, "{most:?}");
}

#[tokio::test]
async fn waiting_for_a_connection_counts_and_has_sent_nothing() {
    let server = serve(|mut stream, _| drain(&mut stream));
    let url = format!("http://{server}/");
    let transport = build(|builder| builder.max_connections_per_host(1));
    let mut first = Box::pin(transport.send(get(&url)));
    let start = now();
    tokio::select! {
        biased;
        _ = &mut first => panic!("nobody answers"),
        answer = transport.send(within(post(&url), SHORT)) => {
            let error = answer.map(drop).unwrap_err();
            assert_eq!((error.kind(), error.sent()), (TransportErrorKind::Timeout, Sent::No));
        }
    }
    assert!(now() - start >= SHORT && now() - start < PATIENCE);
}

#[tokio::test]
async fn a_place_in_the_line_is_free_again_when_its_caller_leaves() {
    let (url, most) = counting(|stream| {
        pause(SHORT);
        stream.write_all(OK).unwrap();
    });
    let transport = build(|builder| builder.max_connections_per_host(1));
    let first = transport.send(get(&url));
    let left = tokio::time::timeout(SHORT / 3, transport.send(get(&url)));
    let (first, left) = tokio::join!(async { text(first.await).await }, left);
    left.map(drop).unwrap_err();
    assert_eq!(first, "ok");
    assert_eq!(text(transport.send(get(&url)).await).await, "ok");
    assert_eq!(most.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn those_who_wait_go_in_the_order_in_which_they_came() {
    let order = Arc::new(AtomicUsize::new(0));
    let (url, _) = counting(|stream| {
        pause(Duration::from_millis(5));
        stream.write_all(OK).unwrap();
    });
    let transport = build(|builder| builder.max_connections_per_host(1));
    let mut callers = JoinSet::new();
    for place in 0..20 {
        let mut send = Box::pin({
            let (transport, request) = (transport.clone(), get(&url));
            async move { text(transport.send(request).await).await }
        });
        // Polled once each, so that they stand in line in this order.
        let polled = send.as_mut().poll(&mut Context::from_waker(Waker::noop()));
        assert!(polled.is_pending());
        let order = Arc::clone(&order);
        callers.spawn(async move {
            send.await;
            (place, order.fetch_add(1, Ordering::SeqCst))
        });
    }
    while let Some(ended) = callers.join_next().await {
        let (place, ended) = ended.unwrap();
        assert_eq!(place, ended);
    }
}

#[tokio::test]
async fn callers_that_are_not_polled_do_not_keep_their_connections() {
    let (url, most) = counting(|stream| stream.write_all(OK).unwrap());
    let transport = build(|builder| builder.max_connections_per_host(4));
    let call =
        || Box::pin(async { text(transport.send(within(post(&url), PATIENCE)).await).await });
    let mut unpolled: Vec<Pin<Box<_>>> = (0..8).map(|_| call()).collect();
    for call in &mut unpolled {
        let polled = call.as_mut().poll(&mut Context::from_waker(Waker::noop()));
        assert!(polled.is_pending());
    }
    // A call in the body of a loop over the others.
    let start = now();
    assert_eq!(call().await, "ok");
    assert!(now() - start < Duration::from_secs(3), "{:?}", now() - start);
    for call in unpolled {
        assert_eq!(call.await, "ok");
    }
    assert!(most.load(Ordering::SeqCst) <= 4, "{most:?}");
}

#[test]
fn a_kept_connection_that_closes_during_a_computation_is_noticed() {
    let server = serve(|mut stream, _| {
        if read_request(&mut stream).is_some() {
            stream.write_all(OK).unwrap();
        }
    });
    let url = format!("http://{server}/");
    runtime().block_on(async {
        let transport = HyperTransport::new().unwrap();
        for _ in 0..6 {
            assert_eq!(text(transport.send(post(&url)).await).await, "ok");
            // The runtime does not look at its sockets meanwhile.
            pause(Duration::from_millis(30));
        }
    });
}

#[test]
fn kept_connection_that_closes_before_its_answer_is_taken_is_noticed() {
    let server = serve(|mut stream, _| {
        for _ in 0..3 {
            if read_request(&mut stream).is_some() {
                stream.write_all(OK).unwrap();
            }
        }
        pause(SHORT / 5);
    });
    let url = format!("http://{server}/");
    runtime().block_on(async {
        let transport = HyperTransport::new().unwrap();
        for _ in 0..4 {
            for _ in 0..2 {
                assert_eq!(text(transport.send(get(&url)).await).await, "ok");
            }
            let mut third = Box::pin(transport.send(get(&url)));
            begin(third.as_mut());
            // The answer is read, and then another task computes.
            tokio::time::sleep(SHORT / 10).await;
            pause(SHORT / 3);
            assert_eq!(text(third.await).await, "ok");
        }
    });
}

#[test]
fn request_that_is_given_up_over_http2_does_not_vouch_for_its_connection() {
    let (tell, told) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        runtime().block_on(async {
            let answer = async |path: String| match path.as_str() {
                "/never" => std::future::pending().await,
                _ => Body::from("ok"),
            };
            tell.send(Http2::closing(100, SHORT / 3, answer).await.url).unwrap();
            std::future::pending::<()>().await;
        });
    });
    let url = told.recv().unwrap();
    runtime().block_on(async {
        let transport = build(HyperTransportBuilder::http2_only);
        for _ in 0..2 {
            assert_eq!(text(transport.send(get(&url)).await).await, "ok");
        }
        let mut never = Box::pin(transport.send(get(format!("{url}/never"))));
        begin(never.as_mut());
        // The server closes the connection meanwhile.
        pause(SHORT);
        drop(never);
        assert_eq!(text(transport.send(get(&url)).await).await, "ok");
    });
}

#[tokio::test]
async fn a_server_that_always_closes_at_once_fails_and_is_not_asked_for_ever() {
    let connections = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&connections);
    let server = serve(move |stream, _| {
        counted.fetch_add(1, Ordering::SeqCst);
        drop(stream);
    });
    let transport = HyperTransport::new().unwrap();
    let request = within(post(&format!("http://{server}/")), PATIENCE);
    transport.send(request).await.map(drop).unwrap_err();
    assert_eq!(connections.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn a_connection_on_which_a_request_was_late_is_let_go_with_those_as_silent() {
    let barrier = Arc::new(Barrier::new(3));
    let (url, _) = counting({
        let barrier = Arc::clone(&barrier);
        let requests = AtomicUsize::new(0);
        move |stream| match requests.fetch_add(1, Ordering::SeqCst) {
            // Three connections at a time.
            0..3 => {
                barrier.wait();
                stream.write_all(OK).unwrap();
            }
            // They all have lost their network.
            3 => drain(stream),
            _ => stream.write_all(OK).unwrap(),
        }
    });
    let connections = || async {
        let transport = HyperTransport::new().unwrap();
        let calls = (0..3).map(|_| async { text(transport.send(get(&url)).await).await });
        let mut calls: Vec<_> = calls.map(Box::pin).collect();
        for call in &mut calls {
            let polled = call.as_mut().poll(&mut Context::from_waker(Waker::noop()));
            assert!(polled.is_pending());
        }
        for call in calls {
            call.await;
        }
        transport.clone()
    };
    let transport = connections().await;
    let late = transport.send(within(get(&url), SHORT)).await.map(drop).unwrap_err();
    assert_eq!((late.kind(), late.sent()), (TransportErrorKind::Timeout, Sent::Maybe));
    assert_eq!(text(transport.send(within(get(&url), PATIENCE)).await).await, "ok");
}

#[tokio::test]
async fn as_many_streams_as_the_server_takes_serve_a_thousand_tasks() {
    for streams in [1, 100] {
        let server = Http2::new(streams, async |_| Body::from("ok")).await;
        let transport = build(HyperTransportBuilder::http2_only);
        let mut callers = JoinSet::new();
        for _ in 0..1000 {
            let (transport, request) =
                (transport.clone(), within(post(&server.url("/")), PATIENCE));
            callers.spawn(async move { text(transport.send(request).await).await });
        }
        while let Some(answer) = callers.join_next().await {
            assert_eq!(answer.unwrap(), "ok", "{streams}");
        }
        assert_eq!(server.connections.load(Ordering::SeqCst), 1, "{streams}");
    }
}

#[tokio::test]
async fn a_late_stream_retires_its_connection_and_the_others_go_on() {
    let server = Http2::new(100, async |path| match path.as_str() {
        "/never" => std::future::pending().await,
        "/slow" => {
            tokio::time::sleep(4 * SHORT).await;
            Body::from("ok")
        }
        _ => Body::from("ok"),
    })
    .await;
    let transport = build(HyperTransportBuilder::http2_only);
    let slow = async { text(transport.send(get(server.url("/slow"))).await).await };
    let late = async {
        let late = transport.send(within(get(server.url("/never")), SHORT)).await;
        assert_eq!(late.map(drop).unwrap_err().kind(), TransportErrorKind::Timeout);
        assert_eq!(text(transport.send(get(server.url("/"))).await).await, "ok");
        assert_eq!(server.connections.load(Ordering::SeqCst), 2);
    };
    let (slow, ()) = tokio::join!(slow, late);
    assert_eq!(slow, "ok");
}

#[tokio::test]
async fn a_ping_that_nobody_answers_ends_what_waits() {
    // It greets, and says nothing ever after.
    let server = serve(|mut stream, _| {
        // Its settings, and the settings acknowledged.
        stream.write_all(&[0, 0, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 4, 1, 0, 0, 0, 0]).unwrap();
        drain(&mut stream);
    });
    let transport = build(|builder| builder.http2_only().http2_ping((SHORT, SHORT)));
    let start = now();
    let request = within(get(format!("http://{server}/")), PATIENCE);
    let error = transport.send(request).await.map(drop).unwrap_err();
    assert!(now() - start < PATIENCE / 2, "{:?}", now() - start);
    assert_eq!((error.kind(), error.sent()), (TransportErrorKind::Timeout, Sent::Maybe));
}

#[tokio::test]
async fn a_head_that_drips_and_endless_interim_answers_end_in_their_time() {
    for piece in ["HTTP/1.1 100 Continue\r\n\r\n", "HTTP/1.1 103 Early\r\nlink: x\r\n\r\n"] {
        let server = serve(move |mut stream, _| {
            read_request(&mut stream);
            while stream.write_all(piece.repeat(100).as_bytes()).is_ok() {}
        });
        let transport = HyperTransport::new().unwrap();
        let start = now();
        let request = within(get(format!("http://{server}/")), 2 * SHORT);
        let answer = transport.send(request).await;
        assert_eq!(answer.map(drop).unwrap_err().kind(), TransportErrorKind::Timeout);
        // The deadline is kept by the same runtime.
        assert!(now() - start < PATIENCE / 5, "the runtime starves");
    }
    let server = serve(|mut stream, _| {
        read_request(&mut stream);
        for byte in b"HTTP/1.1 200 OK\r\nx: ".iter().chain(std::iter::repeat(&b'x')) {
            pause(Duration::from_millis(5));
            if stream.write_all(&[*byte]).is_err() {
                return;
            }
        }
    });
    let start = now();
    let transport = HyperTransport::new().unwrap();
    let answer = transport.send(within(get(format!("http://{server}/")), 2 * SHORT)).await;
    assert_eq!(answer.map(drop).unwrap_err().kind(), TransportErrorKind::Timeout);
    assert!(now() - start < PATIENCE / 2);
}

#[tokio::test]
async fn connections_are_closed_with_their_transport_and_not_before_their_bodies() {
    let (tell, mut told) = tokio::sync::mpsc::unbounded_channel();
    let server = serve(move |mut stream, _| {
        while let Some((head, _)) = read_request(&mut stream) {
            let rest = if head.starts_with("GET /long") {
                "content-length: 4\r\n\r\nlo"
            } else {
                "content-length: 2\r\n\r\nok"
            };
            write!(stream, "HTTP/1.1 200 OK\r\n{rest}").unwrap();
            if head.starts_with("GET /long") {
                pause(SHORT);
                stream.write_all(b"ng").unwrap();
            }
        }
        let _gone = tell.send(());
    });
    let transport = HyperTransport::new().unwrap();
    let (kept, long) = tokio::join!(
        transport.send(get(format!("http://{server}/"))),
        transport.send(get(format!("http://{server}/long"))),
    );
    assert_eq!(text(kept).await, "ok");
    drop(transport);
    told.recv().await.unwrap();
    assert_eq!(text(long).await, "long");
    told.recv().await.unwrap();
}

#[tokio::test]
async fn a_limit_of_nothing_is_refused() {
    for builder in [
        HyperTransport::builder().max_connections_per_host(0),
        HyperTransport::builder().max_streams_per_connection(0),
    ] {
        let error = builder.build().unwrap_err();
        assert_eq!(error.kind(), mstr_core::ErrorKind::Config);
    }
}

#[tokio::test]
async fn a_short_answer_is_whole_with_its_head_and_holds_no_connection() {
    let server = serve_answer("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok");
    let transport = build(|builder| builder.max_connections_per_host(1));
    let url = format!("http://{server}/");
    let first = transport.send(get(&url)).await.unwrap();
    assert_eq!(first.body().as_bytes().unwrap(), "ok");
    // The first one has not been read.
    assert_eq!(text(transport.send(get(&url)).await).await, "ok");
}

#[tokio::test]
async fn an_answer_whose_body_nobody_reads_gives_its_connection_back() {
    let (url, most) = counting(|stream| stream.write_all(OK).unwrap());
    let transport = build(|builder| builder.max_connections_per_host(1));
    for _ in 0..20 {
        let answer = transport.send(within(get(&url), PATIENCE)).await.unwrap();
        assert_eq!(answer.status(), StatusCode::OK);
    }
    assert!(most.load(Ordering::SeqCst) <= 2, "{most:?}");
    let held = transport.send(get(&url)).await.unwrap();
    let waits = pin!(transport.send(within(get(&url), PATIENCE)));
    let mut waits = waits;
    let polled = waits.as_mut().poll(&mut Context::from_waker(Waker::noop()));
    assert!(polled.is_pending());
    drop(held);
    assert_eq!(text(waits.await).await, "ok");
}
