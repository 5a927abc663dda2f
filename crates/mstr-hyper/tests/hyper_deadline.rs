//! Time limits where the keeper of the pool has to keep them: on loopback, in real time.
#![expect(clippy::unwrap_used, clippy::disallowed_methods, reason = "a test may panic and spawn")]

mod common;

use std::io::{Read, Write};
use std::sync::atomic::Ordering;
use std::time::Duration;

use common::{
    Endless, Http2, begin, drain, get, now, pause, read_request, serve, text, with_context, within,
};
use http::Request;
use mstr_core::{Body, Sent, Transport, TransportErrorKind};
use mstr_hyper::{HyperTransport, HyperTransportBuilder};

const SHORT: Duration = Duration::from_millis(150);
const PATIENCE: Duration = Duration::from_secs(20);

fn build(settings: impl FnOnce(HyperTransportBuilder) -> HyperTransportBuilder) -> HyperTransport {
    settings(HyperTransport::builder()).build().unwrap()
}

#[tokio::test]
async fn requests_on_a_retired_connection_keep_their_deadlines() {
    let server = Http2::new(100, async |_| std::future::pending().await).await;
    let transport = build(HyperTransportBuilder::http2_only);
    let first = transport.send(within(get(server.url("/a")), SHORT));
    let second = transport.send(within(get(server.url("/b")), 3 * SHORT));
    let both = async { tokio::join!(first, second) };
    let (first, second) = tokio::time::timeout(20 * SHORT, both).await.expect("hangs");
    assert_eq!(first.map(drop).unwrap_err().kind(), TransportErrorKind::Timeout);
    assert_eq!(second.map(drop).unwrap_err().kind(), TransportErrorKind::Timeout);
}

#[tokio::test]
async fn requests_on_a_connection_that_goes_away_keep_their_deadlines() {
    const GREETING: &[u8] = &[0, 0, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 4, 1, 0, 0, 0, 0];
    const GOES_AWAY: &[u8] = &[0, 0, 8, 7, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0];
    let server = serve(|mut stream, _| {
        stream.write_all(GREETING).unwrap();
        stream.read_exact(&mut [0; 24]).unwrap();
        loop {
            let mut header = [0; 9];
            if stream.read_exact(&mut header).is_err() {
                return;
            }
            stream.read_exact(&mut vec![0; usize::from(header[2])]).unwrap();
            if header[3] == 1 {
                stream.write_all(GOES_AWAY).unwrap();
            }
        }
    });
    let transport = build(HyperTransportBuilder::http2_only);
    let sent = transport.send(within(get(format!("http://{server}/")), 3 * SHORT));
    let sent = tokio::time::timeout(20 * SHORT, sent).await.expect("hangs");
    assert_eq!(sent.map(drop).unwrap_err().kind(), TransportErrorKind::Timeout);
}

#[tokio::test]
async fn many_servers_displace_none_with_open_requests() {
    let server = Http2::new(100, async |_| std::future::pending().await).await;
    let transport = build(HyperTransportBuilder::http2_only);
    let first = transport.send(within(get(server.url("/a")), SHORT));
    let second = transport.send(within(get(server.url("/b")), 6 * SHORT));
    let others = async {
        tokio::time::sleep(2 * SHORT).await;
        for port in 1..20 {
            let refused = get(format!("http://127.0.0.1:{port}/"));
            transport.send(within(refused, SHORT)).await.map(drop).unwrap_err();
        }
    };
    let all = async { tokio::join!(first, second, others) };
    let (_, second, ()) = tokio::time::timeout(20 * SHORT, all).await.expect("hangs");
    assert_eq!(second.map(drop).unwrap_err().kind(), TransportErrorKind::Timeout);
}

#[test]
fn a_deadline_of_an_answer_that_nobody_took_keeps_nobody_busy() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let busy = runtime.block_on(async {
        let server = Http2::new(100, async |_| Body::from("ok")).await;
        let transport = build(|builder| builder.http2_only().max_streams_per_connection(1));
        let mut unpolled = Box::pin(transport.send(within(get(server.url("/")), 4 * SHORT)));
        begin(unpolled.as_mut());
        let sent = transport.send(within(get(server.url("/")), PATIENCE)).await;
        assert_eq!(text(sent).await, "ok");
        tokio::time::sleep(5 * SHORT).await;
        let before = tokio::runtime::Handle::current().metrics().worker_total_busy_duration(0);
        tokio::time::sleep(4 * SHORT).await;
        let after = tokio::runtime::Handle::current().metrics().worker_total_busy_duration(0);
        assert_eq!(text(unpolled.await).await, "ok");
        after - before
    });
    assert!(busy < SHORT, "{busy:?}");
}

#[tokio::test]
async fn an_idle_limit_begins_anew_after_what_was_read_ahead() {
    let server = serve(|mut stream, number| {
        if number > 0 {
            return drain(&mut stream);
        }
        read_request(&mut stream);
        stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n").unwrap();
        for _ in 0..2 {
            pause(4 * SHORT);
            stream.write_all(b"x").unwrap();
        }
        drain(&mut stream);
    });
    let url = format!("http://{server}/");
    let transport = build(|builder| builder.max_connections_per_host(1));
    let request = with_context(get(&url), |context| context.body_idle_timeout = Some(6 * SHORT));
    let mut body = transport.send(request).await.unwrap().into_body();
    let mut waits = Box::pin(transport.send(get(&url)));
    begin(waits.as_mut());
    {
        let mut chunk = Box::pin(body.chunk());
        begin(chunk.as_mut());
        tokio::time::sleep(5 * SHORT).await;
        assert_eq!(chunk.await.unwrap().unwrap(), "x");
    }
    assert_eq!(body.chunk().await.unwrap().unwrap(), "x");
}

#[tokio::test]
async fn a_connect_timeout_is_that_of_its_own_request() {
    // The handshake never ends.
    let server = serve(|mut stream, _| drain(&mut stream));
    let url = format!("https://{server}/");
    let connecting =
        |limit| with_context(get(&url), |context| context.connect_timeout = Some(limit));
    for http1 in [true, false] {
        let transport = build(|builder| if http1 { builder.http1_only() } else { builder });
        for (one, other) in [(6 * SHORT, SHORT), (SHORT, 6 * SHORT)] {
            let start = now();
            let timed = async |limit| {
                let error = transport.send(connecting(limit)).await.map(drop).unwrap_err();
                assert_eq!((error.kind(), error.sent()), (TransportErrorKind::Timeout, Sent::No));
                now() - start
            };
            let (took_one, took_other) = tokio::join!(timed(one), timed(other));
            assert!(took_one >= one && took_other >= other, "{took_one:?} {took_other:?} {http1}");
        }
    }
}

#[tokio::test]
async fn a_stream_that_the_server_does_not_take_was_not_sent() {
    let server = Http2::new(1, async |path| match path.as_str() {
        "/slow" => {
            tokio::time::sleep(4 * SHORT).await;
            Body::from("slow")
        }
        _ => Body::from("ok"),
    })
    .await;
    let transport = build(HyperTransportBuilder::http2_only);
    assert_eq!(text(transport.send(get(server.url("/"))).await).await, "ok");
    let slow = async { text(transport.send(get(server.url("/slow"))).await).await };
    let late = async {
        tokio::time::sleep(SHORT / 3).await;
        let late = transport.send(within(get(server.url("/late")), SHORT)).await;
        let late = late.map(drop).unwrap_err();
        assert_eq!((late.kind(), late.sent()), (TransportErrorKind::Timeout, Sent::No));
    };
    let (slow, ()) = tokio::join!(slow, late);
    assert_eq!(slow, "slow");
    assert_eq!(text(transport.send(get(server.url("/"))).await).await, "ok");
    assert_eq!(server.connections.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn the_connection_of_a_late_upload_is_closed() {
    let (tell, mut told) = tokio::sync::mpsc::unbounded_channel();
    let server = serve(move |mut stream, _| {
        read_request(&mut stream);
        pause(4 * SHORT);
        drain(&mut stream);
        let _gone = tell.send(());
    });
    let transport = build(|builder| builder);
    let upload = Request::put(format!("http://{server}/"));
    let upload = within(upload.body(Body::from(vec![0; 64 << 20])).unwrap(), SHORT);
    let late = transport.send(upload).await.map(drop).unwrap_err();
    assert_eq!((late.kind(), late.sent()), (TransportErrorKind::Timeout, Sent::Maybe));
    let told = tokio::time::timeout(Duration::from_secs(10), told.recv()).await;
    told.expect("stays open").unwrap();
}

/// A server of HTTP/2 that reads all of a request and tells when that has ended. `/now` is answered
/// at once, everything else never.
async fn listener(tell: tokio::sync::mpsc::UnboundedSender<()>) -> String {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let accept = async move {
        loop {
            let io = hyper_util::rt::TokioIo::new(listener.accept().await.unwrap().0);
            let tell = tell.clone();
            let answer = move |request: Request<hyper::body::Incoming>| {
                let (tell, now) = (tell.clone(), request.uri().path() == "/now");
                tokio::task::spawn(async move {
                    let _ended = Body::wrap(request.into_body()).collect(100).await;
                    let _gone = tell.send(());
                });
                async move {
                    if !now {
                        std::future::pending::<()>().await;
                    }
                    Ok::<_, std::convert::Infallible>(http::Response::new(Body::from("ok")))
                }
            };
            let executor = hyper_util::rt::TokioExecutor::new();
            let builder = hyper::server::conn::http2::Builder::new(executor);
            let service = hyper::service::service_fn(answer);
            tokio::task::spawn(builder.serve_connection(io, service));
        }
    };
    drop(tokio::task::spawn(accept));
    url
}

#[tokio::test(start_paused = true)]
async fn an_upload_over_http2_ends_fifteen_seconds_after_its_answer_and_with_its_caller() {
    let (tell, mut told) = tokio::sync::mpsc::unbounded_channel();
    let url = listener(tell).await;
    let transport = build(|it| it.http2_only().http2_ping(None).connect_timeout(None));
    let upload =
        |path| Request::put(format!("{url}{path}")).body(Body::wrap(Endless(Some("one")))).unwrap();
    let start = tokio::time::Instant::now();
    assert_eq!(text(transport.send(upload("/now")).await).await, "ok");
    told.recv().await.unwrap();
    let took = start.elapsed();
    assert!(took >= Duration::from_secs(15) && took < Duration::from_secs(18), "{took:?}");

    let limit = Duration::from_secs(3);
    let start = tokio::time::Instant::now();
    tokio::time::timeout(limit, transport.send(upload("/never"))).await.map(drop).unwrap_err();
    told.recv().await.unwrap();
    assert!(start.elapsed() < 2 * limit, "{:?}", start.elapsed());
    assert_eq!(text(transport.send(upload("/now")).await).await, "ok");
}
