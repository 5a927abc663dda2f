//! The transport against small servers on loopback, without TLS.
#![expect(clippy::unwrap_used, clippy::disallowed_methods, reason = "a test may panic and spawn")]

mod common;

use std::collections::VecDeque;
use std::io::Write;
use std::net::TcpListener;
use std::pin::Pin;
use std::sync::mpsc;
use std::task::{Context, Poll};
use std::thread;
use std::time::Duration;

use bytes::Bytes;
use common::{
    drain, get, now, pause, read_chunked, read_request, serve, serve_answer, with_context,
};
use http::{Request, StatusCode};
use http_body::Frame;
use mstr_core::{
    BlockingTransport, Body, ErrorKind, Sent, Timer, Transport, TransportError, TransportErrorKind,
};
use mstr_hyper::blocking::HyperBlocking;
use mstr_hyper::{HyperTransport, TokioTimer};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

const OK: &str = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";
const SHORT: Duration = Duration::from_millis(150);

fn transport() -> HyperTransport {
    HyperTransport::new().unwrap()
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap()
}

async fn failure(transport: &HyperTransport, request: Request<Body>) -> TransportError {
    transport.send(request).await.map(|response| response.status()).unwrap_err()
}

/// A body made of these results.
struct Pieces(VecDeque<Result<&'static str, TransportError>>);

impl http_body::Body for Pieces {
    type Data = Bytes;
    type Error = TransportError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, TransportError>>> {
        Poll::Ready(self.0.pop_front().map(|piece| piece.map(|text| Frame::data(text.into()))))
    }
}

#[test]
fn a_transport_outside_a_runtime_is_a_configuration_error() {
    assert_eq!(HyperTransport::new().unwrap_err().kind(), ErrorKind::Config);
    assert_eq!(TokioTimer::new().unwrap_err().kind(), ErrorKind::Config);
}

#[tokio::test]
async fn a_request_arrives_as_it_is_and_without_further_headers() {
    let (seen, requests) = mpsc::channel();
    let server = serve(move |mut stream, _| {
        seen.send(read_request(&mut stream).unwrap()).unwrap();
        stream.write_all(OK.as_bytes()).unwrap();
    });
    let request = Request::post(format!("http://{server}/a%20b/c?x=1&y=%2F"))
        .header("x-one", "1")
        .header("cookie", "a=b")
        .header("x-one", "2")
        .body(Body::from("hello"))
        .unwrap();
    let response = transport().send(request).await.unwrap();
    assert_eq!(response.into_body().collect(10).await.unwrap(), "ok");

    let (head, body) = requests.recv().unwrap();
    let mut lines = head.trim_end().lines();
    assert_eq!(lines.next(), Some("POST /a%20b/c?x=1&y=%2F HTTP/1.1"));
    let mut headers: Vec<_> = lines.map(str::to_lowercase).collect();
    headers.sort();
    let host = format!("host: {server}");
    assert_eq!(headers, ["content-length: 5", "cookie: a=b", &host, "x-one: 1", "x-one: 2"]);
    assert_eq!(body, b"hello");
}

#[tokio::test]
async fn duplicate_headers_keep_their_order_and_redirects_and_errors_are_responses() {
    let server = serve_answer(
        "HTTP/1.1 302 Found\r\nset-cookie: a=1\r\nlocation: /there\r\nset-cookie: b=2\r\n\
         content-encoding: gzip\r\ncontent-length: 3\r\n\r\nnot",
    );
    let response = transport().send(get(format!("http://{server}/"))).await.unwrap();
    assert_eq!(response.status(), StatusCode::FOUND);
    let cookies: Vec<_> = response.headers().get_all("set-cookie").iter().collect();
    assert_eq!(cookies, ["a=1", "b=2"]);
    assert_eq!(response.headers()["content-encoding"], "gzip");
    assert_eq!(response.into_body().collect(10).await.unwrap(), "not");

    let server = serve_answer("HTTP/1.1 500 Oops\r\ncontent-length: 0\r\n\r\n");
    let response = transport().send(get(format!("http://{server}/"))).await.unwrap();
    assert_eq!(response.status(), StatusCode::INTERNAL_SERVER_ERROR);
}

#[tokio::test]
async fn a_refused_connection_is_connect_and_not_sent() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let error = failure(&transport(), get(format!("http://{address}/secret?token=1"))).await;
    assert_eq!((error.kind(), error.sent()), (TransportErrorKind::Connect, Sent::No));
    assert!(error.to_string().contains(&format!("connecting to {address}")), "{error}");
    assert!(!format!("{error:?}").contains("secret"), "{error:?}");
}

#[tokio::test]
async fn an_unknown_host_is_connect_and_not_sent() {
    let error = failure(&transport(), get("http://no-such-host.invalid/")).await;
    assert_eq!((error.kind(), error.sent()), (TransportErrorKind::Connect, Sent::No));
}

#[tokio::test]
async fn an_unusable_url_is_config_and_not_sent() {
    for url in ["/relative", "ftp://host/"] {
        let error = failure(&transport(), get(url)).await;
        assert_eq!((error.kind(), error.sent()), (TransportErrorKind::Config, Sent::No));
    }
}

#[tokio::test]
async fn a_connection_that_ends_before_the_head_is_interrupted_and_maybe_sent() {
    let server = serve(|mut stream, _| drop(read_request(&mut stream)));
    let error = failure(&transport(), get(format!("http://{server}/"))).await;
    assert_eq!((error.kind(), error.sent()), (TransportErrorKind::Interrupted, Sent::Maybe));
}

#[tokio::test]
async fn an_answer_that_is_not_http_is_a_protocol_error() {
    let server = serve_answer("SSH-2.0-OpenSSH_9.6\r\n\r\n");
    let error = failure(&transport(), get(format!("http://{server}/"))).await;
    assert_eq!((error.kind(), error.sent()), (TransportErrorKind::Protocol, Sent::Maybe));
}

#[tokio::test]
async fn a_truncated_body_is_an_error() {
    for head in
        ["content-length: 100\r\n\r\nonly", "transfer-encoding: chunked\r\n\r\n4\r\nonly\r\n"]
    {
        let server = serve(move |mut stream, _| {
            read_request(&mut stream);
            write!(stream, "HTTP/1.1 200 OK\r\n{head}").unwrap();
        });
        let mut body =
            transport().send(get(format!("http://{server}/"))).await.unwrap().into_body();
        assert_eq!(body.chunk().await.unwrap().unwrap(), "only");
        let error = body.chunk().await.unwrap_err();
        assert_eq!(error.kind(), TransportErrorKind::Interrupted);
        assert!(body.chunk().await.unwrap().is_none());
    }
}

#[tokio::test]
async fn the_deadline_covers_waiting_for_the_head() {
    let server = serve(|mut stream, _| drain(&mut stream));
    let start = now();
    let request = with_context(get(format!("http://{server}/")), |context| {
        context.deadline = Some(start + SHORT);
    });
    let error = failure(&transport(), request).await;
    assert_eq!((error.kind(), error.sent()), (TransportErrorKind::Timeout, Sent::Maybe));
    let took = now() - start;
    assert!(took >= SHORT && took < Duration::from_secs(5), "{took:?}");
}

#[tokio::test]
async fn a_deadline_that_has_passed_sends_nothing() {
    let server = serve(|_, _| panic!("nobody should connect"));
    let request = with_context(get(format!("http://{server}/")), |context| {
        context.deadline = Some(now());
    });
    let error = failure(&transport(), request).await;
    assert_eq!((error.kind(), error.sent()), (TransportErrorKind::Timeout, Sent::No));
}

#[tokio::test]
async fn a_body_that_stalls_is_a_timeout_and_one_that_drips_is_not() {
    let server = serve(|mut stream, _| {
        read_request(&mut stream);
        stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n").unwrap();
        // Longer than the limit altogether, but not between two pieces.
        for _ in 0..6 {
            stream.write_all(b"x").unwrap();
            pause(SHORT);
        }
        drain(&mut stream);
    });
    let request = with_context(get(format!("http://{server}/")), |context| {
        context.body_idle_timeout = Some(4 * SHORT);
    });
    let mut body = transport().send(request).await.unwrap().into_body();
    let mut length = 0;
    let error = loop {
        match body.chunk().await {
            Ok(chunk) => length += chunk.unwrap().len(),
            Err(error) => break error,
        }
    };
    assert_eq!(length, 6);
    assert_eq!(error.kind(), TransportErrorKind::Timeout);
}

#[tokio::test]
async fn a_dropped_request_closes_its_connection_and_only_that() {
    let (tell, closed) = mpsc::channel();
    let server = serve(move |mut stream, number| {
        read_request(&mut stream);
        if number == 0 {
            drain(&mut stream);
            tell.send(()).unwrap();
        } else {
            stream.write_all(OK.as_bytes()).unwrap();
        }
    });
    let transport = transport();
    let url = format!("http://{server}/");
    tokio::time::timeout(SHORT, transport.send(get(&url))).await.map(drop).unwrap_err();
    tokio::task::spawn_blocking(move || closed.recv_timeout(Duration::from_secs(5)).unwrap())
        .await
        .unwrap();
    assert_eq!(transport.send(get(&url)).await.unwrap().status(), StatusCode::OK);
}

#[tokio::test]
async fn a_dropped_body_closes_its_connection() {
    let (tell, closed) = mpsc::channel();
    let server = serve(move |mut stream, _| {
        read_request(&mut stream);
        stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nx").unwrap();
        drain(&mut stream);
        tell.send(()).unwrap();
    });
    let response = transport().send(get(format!("http://{server}/"))).await.unwrap();
    drop(response);
    tokio::task::spawn_blocking(move || closed.recv_timeout(Duration::from_secs(5)).unwrap())
        .await
        .unwrap();
}

#[tokio::test]
async fn connections_are_reused_and_one_that_the_server_closed_is_not() {
    let server = serve(|mut stream, number| {
        read_request(&mut stream);
        write!(stream, "HTTP/1.1 200 OK\r\ncontent-length: 1\r\n\r\n{number}").unwrap();
        if number == 0 {
            read_request(&mut stream);
            stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 1\r\n\r\n0").unwrap();
        }
    });
    let transport = transport();
    let mut connections = Vec::new();
    for _ in 0..3 {
        let response = transport.send(get(format!("http://{server}/"))).await.unwrap();
        connections.push(response.into_body().collect(1).await.unwrap());
        tokio::time::sleep(SHORT).await;
    }
    assert_eq!(connections, ["0", "0", "1"]);
}

#[tokio::test]
async fn a_stream_is_uploaded_in_chunks() {
    let (seen, requests) = mpsc::channel();
    let server = serve(move |mut stream, _| {
        let (head, _) = read_request(&mut stream).unwrap();
        seen.send((head, read_chunked(&mut stream))).unwrap();
        stream.write_all(OK.as_bytes()).unwrap();
    });
    let pieces = Pieces([Ok("one"), Ok("two")].into());
    let request = Request::put(format!("http://{server}/")).body(Body::wrap(pieces)).unwrap();
    transport().send(request).await.unwrap();
    let (head, body) = requests.recv().unwrap();
    assert!(head.to_lowercase().contains("transfer-encoding: chunked"), "{head}");
    assert_eq!(body, b"onetwo");
}

#[tokio::test]
async fn a_request_body_that_fails_is_a_body_error_with_its_cause() {
    let server = serve(|mut stream, _| drain(&mut stream));
    let cause = TransportError::new(TransportErrorKind::Interrupted).with_detail("disk gone");
    let pieces = Pieces([Ok("one"), Err(cause.with_sent(Sent::No))].into());
    let request = Request::put(format!("http://{server}/")).body(Body::wrap(pieces)).unwrap();
    let error = failure(&transport(), request).await;
    assert_eq!((error.kind(), error.sent()), (TransportErrorKind::Body, Sent::Maybe));
    let source = std::error::Error::source(&error).unwrap().to_string();
    assert!(source.contains("disk gone"), "{source}");
}

#[tokio::test]
async fn a_request_body_that_is_not_as_long_as_declared_is_a_body_error() {
    let server = serve(|mut stream, _| drain(&mut stream));
    for declared in ["7", "2", "3"] {
        let request = Request::put(format!("http://{server}/"))
            .header("content-length", declared)
            .body(Body::wrap(Pieces([Ok("one"), Ok("two")].into())))
            .unwrap();
        let error = failure(&transport(), request).await;
        assert_eq!(error.kind(), TransportErrorKind::Body, "{declared}: {error:?}");
    }
}

#[tokio::test]
async fn one_exchange_of_an_http2_connection_can_fail_or_be_dropped_alone() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    let transport = HyperTransport::builder().http2_only().build().unwrap();
    let slow = Request::post(&url).body(Body::from("slow")).unwrap();
    let failing = TransportError::new(TransportErrorKind::Body).with_detail("disk gone");
    let failing = Body::wrap(Pieces([Ok("one"), Err(failing)].into()));
    let failing = Request::post(&url).body(failing).unwrap();
    let client = async {
        let dropped = tokio::time::timeout(2 * SHORT, transport.send(get(&url)));
        let (slow, failed, dropped) =
            tokio::join!(transport.send(slow), failure(&transport, failing), dropped);
        dropped.map(drop).unwrap_err();
        assert_eq!(failed.kind(), TransportErrorKind::Body);
        assert!(failed.to_string().contains("disk gone"), "{failed}");
        assert_eq!(slow.unwrap().into_body().collect(10).await.unwrap(), "slow");
    };
    // One connection: a second one would not be accepted.
    let server = async {
        let io = hyper_util::rt::TokioIo::new(listener.accept().await.unwrap().0);
        let service = hyper::service::service_fn(async |request: Request<_>| {
            let body = Body::wrap::<hyper::body::Incoming>(request.into_body()).collect(10).await?;
            // Longer than the one that gives up; that one waits forever.
            match body.is_empty() {
                true => std::future::pending().await,
                false => tokio::time::sleep(4 * SHORT).await,
            }
            Ok::<_, TransportError>(http::Response::new(Body::from(body)))
        });
        let executor = hyper_util::rt::TokioExecutor::new();
        hyper::server::conn::http2::Builder::new(executor).serve_connection(io, service).await
    };
    tokio::select! {
        () = client => {}
        ended = server => panic!("the connection ended: {ended:?}"),
    }
}

#[tokio::test]
async fn a_stream_that_http2_declares_unprocessed_was_not_sent() {
    /// Settings, and the settings acknowledged.
    const GREETING: &[u8] = &[0, 0, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 4, 1, 0, 0, 0, 0];
    /// Refuses stream 1, or says that the last stream taken is number 0.
    const REFUSED: &[u8] = &[0, 0, 4, 3, 0, 0, 0, 0, 1, 0, 0, 0, 7];
    const GOES_AWAY: &[u8] = &[0, 0, 8, 7, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    const RESET: &[u8] = &[0, 0, 4, 3, 0, 0, 0, 0, 1, 0, 0, 0, 2];
    for (frame, sent) in [(REFUSED, Sent::No), (GOES_AWAY, Sent::No), (RESET, Sent::Maybe)] {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/", listener.local_addr().unwrap());
        let server = tokio::task::spawn(async move {
            let mut stream = listener.accept().await.unwrap().0;
            stream.read_exact(&mut [0; 24]).await.unwrap();
            stream.write_all(GREETING).await.unwrap();
            loop {
                let mut header = [0; 9];
                stream.read_exact(&mut header).await.unwrap();
                let [_, high, low, kind, ..] = header;
                let length = usize::from(u16::from_be_bytes([high, low]));
                stream.read_exact(&mut vec![0; length]).await.unwrap();
                // The head of the request.
                if kind == 1 {
                    stream.write_all(frame).await.unwrap();
                }
            }
        });
        let transport = HyperTransport::builder().http2_only().build().unwrap();
        let error = failure(&transport, get(&url)).await;
        let expected = (TransportErrorKind::Interrupted, sent);
        assert_eq!((error.kind(), error.sent()), expected, "{frame:?} {error:?}");
        server.abort();
    }
}

#[cfg(not(any(feature = "rustls-aws-lc-rs", feature = "rustls-ring")))]
#[tokio::test]
async fn https_without_a_provider_is_a_configuration_error() {
    let error = failure(&transport(), get("https://localhost/")).await;
    assert_eq!((error.kind(), error.sent()), (TransportErrorKind::Config, Sent::No));
    assert!(error.to_string().contains("rustls-ring"), "{error}");
}

#[cfg(not(any(feature = "platform-roots", feature = "webpki-roots")))]
#[tokio::test]
async fn https_without_anything_to_trust_is_a_configuration_error() {
    let error = failure(&transport(), get("https://localhost/")).await;
    assert_eq!((error.kind(), error.sent()), (TransportErrorKind::Config, Sent::No));
}

#[tokio::test(start_paused = true)]
async fn the_timer_follows_a_paused_clock() {
    let timer = TokioTimer::new().unwrap();
    let start = (timer.now(), now());
    timer.sleep_until(start.0 + Duration::from_secs(3600)).await;
    assert!(timer.now() - start.0 >= Duration::from_secs(3600));
    assert!(now() - start.1 < Duration::from_secs(60));
}

#[tokio::test]
async fn the_response_can_begin_before_the_request_has_ended() {
    struct Endless;
    impl http_body::Body for Endless {
        type Data = Bytes;
        type Error = TransportError;
        fn poll_frame(
            self: Pin<&mut Self>,
            _: &mut Context<'_>,
        ) -> Poll<Option<Result<Frame<Bytes>, TransportError>>> {
            Poll::Pending
        }
    }
    let server = serve(|mut stream, _| {
        read_request(&mut stream);
        stream.write_all(OK.as_bytes()).unwrap();
        drain(&mut stream);
    });
    let request = Request::put(format!("http://{server}/")).body(Body::wrap(Endless)).unwrap();
    let response = transport().send(request).await.unwrap();
    assert_eq!(response.into_body().collect(10).await.unwrap(), "ok");
}

#[tokio::test]
async fn a_large_download_streams_with_back_pressure() {
    const PIECES: usize = 400;
    let (tell, written) = mpsc::channel();
    let server = serve(move |mut stream, _| {
        read_request(&mut stream);
        write!(stream, "HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n", PIECES * 65536).unwrap();
        let piece = vec![b'x'; 65536];
        for number in 0..PIECES {
            stream.write_all(&piece).unwrap();
            tell.send(number).unwrap();
        }
    });
    let mut body = transport().send(get(format!("http://{server}/"))).await.unwrap().into_body();
    tokio::time::sleep(SHORT).await;
    let ahead = written.try_iter().count();
    assert!(ahead < PIECES, "everything was taken before anybody read");
    let mut length = 0;
    while let Some(chunk) = body.chunk().await.unwrap() {
        length += chunk.len();
    }
    assert_eq!(length, PIECES * 65536);
}

#[test]
fn a_transport_works_without_a_runtime_around_it() {
    let runtime = runtime();
    let transport = HyperTransport::builder().runtime(runtime.handle().clone()).build().unwrap();
    let server = serve_answer(OK);
    // By name, because the lookup needs tokio's context.
    let url = format!("http://localhost:{}/", server.port());
    let body = futures_executor::block_on(async {
        transport.send(get(url)).await.unwrap().into_body().collect(10).await.unwrap()
    });
    assert_eq!(body, "ok");
}

#[test]
fn an_exchange_whose_runtime_shuts_down_is_canceled() {
    let (here, there) = (runtime(), runtime());
    let transport = HyperTransport::builder().runtime(here.handle().clone()).build().unwrap();
    let server = serve(|mut stream, _| drain(&mut stream));
    let url = format!("http://{server}/");
    let polled = there.spawn({
        let (transport, url) = (transport.clone(), url.clone());
        async move { failure(&transport, get(url)).await }
    });
    pause(SHORT);
    drop(here);
    let error = there.block_on(polled).unwrap();
    assert_eq!((error.kind(), error.sent()), (TransportErrorKind::Canceled, Sent::Maybe));

    let error = there.block_on(failure(&transport, get(url)));
    assert_eq!((error.kind(), error.sent()), (TransportErrorKind::Canceled, Sent::No));
    transport.detach(Box::pin(async {}));
}

#[test]
fn a_body_whose_runtime_shuts_down_is_not_taken_for_complete() {
    for head in ["content-length: 9\r\n\r\none", "transfer-encoding: chunked\r\n\r\n3\r\none\r\n"] {
        let (here, there) = (runtime(), runtime());
        let transport = HyperTransport::builder().runtime(here.handle().clone()).build().unwrap();
        let server = serve(move |mut stream, _| {
            read_request(&mut stream);
            write!(stream, "HTTP/1.1 200 OK\r\n{head}").unwrap();
            drain(&mut stream);
        });
        let request = with_context(get(format!("http://{server}/")), |context| {
            context.body_idle_timeout = Some(Duration::from_secs(30));
        });
        let mut body = there.block_on(transport.send(request)).unwrap().into_body();
        assert_eq!(there.block_on(body.chunk()).unwrap().unwrap(), "one");
        drop(here);
        let error = there.block_on(body.chunk()).unwrap_err();
        assert_eq!(error.kind(), TransportErrorKind::Interrupted, "{head}");
    }
}

#[test]
fn sleeps_end_anywhere_and_when_their_runtime_has_shut_down() {
    let runtime = runtime();
    let timer = TokioTimer::on(runtime.handle().clone());
    let start = now();
    futures_executor::block_on(timer.sleep_until(start + SHORT));
    assert!(now() - start >= SHORT);

    let far = start + Duration::from_secs(3600);
    let waiting = timer.sleep_until(far);
    let waiting = thread::spawn(move || futures_executor::block_on(waiting));
    pause(SHORT);
    drop(runtime);
    waiting.join().unwrap();
    futures_executor::block_on(timer.sleep_until(far));
    assert!(now() - start < Duration::from_secs(60));
}

#[test]
fn the_blocking_transport_serves_many_threads() {
    let server = serve_answer(OK);
    let transport = HyperBlocking::new().unwrap();
    thread::scope(|scope| {
        for _ in 0..16 {
            scope.spawn(|| {
                for _ in 0..20 {
                    let response = transport.send(get(format!("http://{server}/"))).unwrap();
                    let body = futures_executor::block_on(response.into_body().collect(10));
                    assert_eq!(body.unwrap(), "ok");
                }
            });
        }
    });
}

#[tokio::test]
async fn the_blocking_transport_can_be_made_used_and_dropped_inside_async_code() {
    let server = serve_answer(OK);
    let transport = HyperBlocking::new().unwrap();
    // More often than tokio lets a task go on without yielding, which this one never does.
    for _ in 0..300 {
        let response = transport.send(get(format!("http://{server}/"))).unwrap();
        let body = futures_executor::block_on(response.into_body().collect(10));
        assert_eq!(body.unwrap(), "ok");
    }
    let mut body = transport.send(get(format!("http://{server}/"))).unwrap().into_body();
    // The body keeps what it needs.
    drop(transport);
    assert_eq!(body.chunk().await.unwrap().unwrap(), "ok");
}

#[test]
fn the_blocking_transport_sleeps_and_keeps_deadlines() {
    let transport = HyperBlocking::new().unwrap();
    let start = transport.now();
    transport.sleep_until(start + SHORT);
    assert!(transport.now() - start >= SHORT);
    transport.sleep_until(start);

    let server = serve(|mut stream, _| drain(&mut stream));
    let request = with_context(get(format!("http://{server}/")), |context| {
        context.deadline = Some(transport.now() + SHORT);
    });
    let error = transport.send(request).map(drop).unwrap_err();
    assert_eq!(error.kind(), TransportErrorKind::Timeout);
}

#[test]
fn a_detached_request_is_sent_although_the_transport_is_dropped() {
    let (seen, requests) = mpsc::channel();
    let server = serve(move |mut stream, _| {
        let (head, _) = read_request(&mut stream).unwrap();
        stream.write_all(OK.as_bytes()).unwrap();
        // The thread ends, and with it the connection.
        drain(&mut stream);
        seen.send(head).unwrap();
    });
    let transport = HyperBlocking::new().unwrap();
    transport.send_detached(get(format!("http://{server}/logout")));
    drop(transport);
    let head = requests.recv_timeout(Duration::from_secs(5)).unwrap();
    assert!(head.starts_with("GET /logout "), "{head}");
}
