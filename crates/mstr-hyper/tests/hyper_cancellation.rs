//! Requests that are dropped, servers that close and runtimes that end: what is left of them in the
//! pool.
#![expect(clippy::unwrap_used, clippy::disallowed_methods, reason = "a test may panic and spawn")]

mod common;

use std::future::Future;
use std::io::Write;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, mpsc};
use std::task::{Context, Waker};
use std::time::Duration;

use common::{Endless, Http2, begin, drain, get, now, pause, read_request, serve, text, within};
use http::Request;
use mstr_core::{Body, Transport, TransportErrorKind};
use mstr_hyper::{HyperTransport, HyperTransportBuilder};
use tokio::task::JoinSet;

const OK: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";
const SHORT: Duration = Duration::from_millis(150);
const PATIENCE: Duration = Duration::from_secs(20);

fn build(settings: impl FnOnce(HyperTransportBuilder) -> HyperTransportBuilder) -> HyperTransport {
    settings(HyperTransport::builder()).build().unwrap()
}

/// Numbers that are as good as random, the same each time.
fn dice(seed: u64) -> impl FnMut(u64) -> u64 {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    move |sides| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 11) % sides
    }
}

/// Callers that give up, that are not polled, that do not read, and that do.
async fn storm(transport: &HyperTransport, url: &str, callers: u64, rounds: u64) {
    let mut tasks = JoinSet::new();
    for caller in 0..callers {
        let (transport, url) = (transport.clone(), url.to_owned());
        tasks.spawn(async move {
            let mut roll = dice(caller + 7);
            for _ in 0..rounds {
                let request = match roll(3) {
                    0 => within(get(&url), Duration::from_micros(300 + roll(20_000))),
                    1 => Request::put(&url).body(Body::from(vec![b'x'; 2000])).unwrap(),
                    _ => get(&url),
                };
                let patience = match roll(3) {
                    0 => Duration::from_micros(roll(6000)),
                    _ => Duration::from_millis(200),
                };
                let (taking, unpolled) = (roll(4), roll(5) == 0);
                let call = async {
                    let Ok(answer) = transport.send(request).await else { return };
                    match taking {
                        0 => drop(answer),
                        1 => {
                            let mut body = answer.into_body();
                            let _first = body.chunk().await;
                        }
                        _ => {
                            let _whole = answer.into_body().collect(usize::MAX).await;
                        }
                    }
                };
                let mut call = Box::pin(call);
                if unpolled {
                    let begun = call.as_mut().poll(&mut Context::from_waker(Waker::noop()));
                    if begun.is_ready() {
                        continue;
                    }
                    tokio::time::sleep(Duration::from_micros(roll(3000))).await;
                }
                let _late = tokio::time::timeout(patience, call).await;
            }
        });
    }
    while let Some(ended) = tasks.join_next().await {
        ended.unwrap();
    }
}

#[tokio::test]
async fn requests_on_a_retired_connection_end_with_the_runtime() {
    let server = Http2::new(100, async |path| match path.as_str() {
        "/body" => Body::wrap(Endless(Some("one"))),
        _ => std::future::pending().await,
    })
    .await;
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let transport = build(|builder| builder.http2_only().runtime(runtime.handle().clone()));
    let body = transport.send(get(server.url("/body"))).await.unwrap();
    let mut body = body.into_body();
    assert_eq!(body.chunk().await.unwrap().unwrap(), "one");
    let mut pending = Box::pin(transport.send(get(server.url("/b"))));
    begin(pending.as_mut());
    transport.send(within(get(server.url("/a")), SHORT)).await.map(drop).unwrap_err();
    runtime.shutdown_background();
    let ended = tokio::time::timeout(20 * SHORT, async {
        let body = body.chunk().await.unwrap_err();
        (pending.await.map(drop).unwrap_err(), body)
    });
    let (pending, body) = ended.await.expect("hangs");
    assert_eq!(body.kind(), TransportErrorKind::Interrupted);
    assert_eq!(pending.kind(), TransportErrorKind::Canceled, "{pending:?}");
}

#[tokio::test]
async fn http2_connections_for_one_request_each_are_counted_and_closed() {
    let server = Http2::new(100, async |_| {
        tokio::time::sleep(SHORT).await;
        Body::from("ok")
    })
    .await;
    let transport =
        build(|builder| builder.http2_only().pool_max_idle_per_host(0).max_connections_per_host(2));
    let mut callers = JoinSet::new();
    for _ in 0..6 {
        let (transport, request) = (transport.clone(), within(get(server.url("/")), PATIENCE));
        callers.spawn(async move { text(transport.send(request).await).await });
    }
    tokio::time::sleep(SHORT / 2).await;
    let open = server.open.load(Ordering::SeqCst);
    while let Some(answer) = callers.join_next().await {
        assert_eq!(answer.unwrap(), "ok");
    }
    tokio::time::sleep(SHORT).await;
    assert!(open <= 2, "{open}");
    assert_eq!(server.open.load(Ordering::SeqCst), 0);
    assert_eq!(server.connections.load(Ordering::SeqCst), 6);
}

#[test]
fn a_request_whose_body_is_another_answer_can_be_dropped_while_it_waits() {
    let (tell, told) = mpsc::channel();
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let server = Http2::new(100, async |_| Body::wrap(Endless(Some("one")))).await;
            let transport = build(|builder| builder.http2_only().max_streams_per_connection(1));
            let answer = transport.send(get(server.url("/"))).await.unwrap();
            let copy = Request::put(server.url("/")).body(answer.into_body()).unwrap();
            let mut copy = Box::pin(transport.send(copy));
            begin(copy.as_mut());
            drop(copy);
            let sent = transport.send(within(get(server.url("/")), PATIENCE)).await;
            assert_eq!(sent.unwrap().status(), 200);
        });
        tell.send(()).unwrap();
    });
    told.recv_timeout(Duration::from_secs(10)).expect("hangs");
}

#[tokio::test]
async fn an_upload_whose_answer_is_there_ends_with_its_transport() {
    let (tell, mut told) = tokio::sync::mpsc::unbounded_channel();
    let server = serve(move |mut stream, _| {
        read_request(&mut stream);
        stream.write_all(OK).unwrap();
        drain(&mut stream);
        let _gone = tell.send(());
    });
    let transport = build(|builder| builder);
    let upload = Request::put(format!("http://{server}/"));
    let upload = upload.body(Body::wrap(Endless(Some("one")))).unwrap();
    assert_eq!(text(transport.send(upload).await).await, "ok");
    drop(transport);
    let told = tokio::time::timeout(Duration::from_secs(18), told.recv()).await;
    told.expect("stays open").unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_server_that_closes_every_connection_at_once_is_not_asked_for_ever() {
    for http2 in [false, true] {
        for _ in 0..20 {
            let connections = Arc::new(AtomicUsize::new(0));
            let counted = Arc::clone(&connections);
            let server = serve(move |stream, _| {
                counted.fetch_add(1, Ordering::SeqCst);
                drop(stream);
            });
            let transport = build(|it| if http2 { it.http2_only() } else { it });
            let request = within(get(format!("http://{server}/")), 4 * SHORT);
            transport.send(request).await.map(drop).unwrap_err();
            assert!(connections.load(Ordering::SeqCst) <= 2, "{connections:?} {http2}");
        }
    }
}

#[test]
fn everybody_hears_of_the_end_of_the_runtime() {
    let runtime = || {
        let mut builder = tokio::runtime::Builder::new_multi_thread();
        builder.worker_threads(2).enable_all().build().unwrap()
    };
    let there = runtime();
    let http1 = serve(|mut stream, _| {
        while read_request(&mut stream).is_some() {
            pause(Duration::from_millis(1));
            if stream.write_all(OK).is_err() {
                return;
            }
        }
    });
    let http2 = there.block_on(Http2::new(2, async |_| {
        tokio::time::sleep(Duration::from_millis(1)).await;
        Body::from("ok")
    }));
    for round in 0..20 {
        let here = runtime();
        let builder = HyperTransport::builder().max_connections_per_host(2);
        let builder = builder.runtime(here.handle().clone());
        let (url, builder) = match round % 2 {
            0 => (format!("http://{http1}/"), builder),
            _ => (http2.url("/"), builder.http2_only()),
        };
        let transport = builder.build().unwrap();
        let calls = async |transport: HyperTransport, url: String| loop {
            let error = match transport.send(get(&url)).await {
                Ok(answer) => match answer.into_body().collect(10).await {
                    Ok(_) => continue,
                    Err(error) => error,
                },
                Err(error) => error,
            };
            return error.kind();
        };
        let mut callers = JoinSet::new();
        for _ in 0..16 {
            callers.spawn_on(calls(transport.clone(), url.clone()), there.handle());
        }
        pause(Duration::from_millis(5 + round));
        here.shutdown_background();
        let ended = async {
            while let Some(kind) = callers.join_next().await {
                let kind = kind.unwrap();
                let known = [TransportErrorKind::Canceled, TransportErrorKind::Interrupted];
                assert!(known.contains(&kind), "{kind:?}");
            }
        };
        let ended = there.block_on(async { tokio::time::timeout(PATIENCE, ended).await });
        ended.expect("somebody waits for ever");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn the_limit_holds_while_the_server_closes_what_is_let_go() {
    let (busy, most) = (AtomicUsize::new(0), Arc::new(AtomicUsize::new(0)));
    let counted = Arc::clone(&most);
    let server = serve(move |mut stream, number| {
        let mut roll = dice(number as u64 + 1);
        stream.set_read_timeout(Some(Duration::from_micros(1000 + roll(2500)))).unwrap();
        while read_request(&mut stream).is_some() {
            let now = busy.fetch_add(1, Ordering::SeqCst) + 1;
            counted.fetch_max(now, Ordering::SeqCst);
            pause(Duration::from_micros(200 + roll(500)));
            busy.fetch_sub(1, Ordering::SeqCst);
            if stream.write_all(OK).is_err() {
                return;
            }
        }
    });
    let transport = build(|builder| {
        builder.max_connections_per_host(4).pool_idle_timeout(Duration::from_millis(2))
    });
    let mut callers = JoinSet::new();
    for caller in 0..12_u64 {
        let (transport, url) = (transport.clone(), format!("http://{server}/"));
        callers.spawn(async move {
            let mut roll = dice(caller + 100);
            for _ in 0..300 {
                let sent = transport.send(within(get(&url), PATIENCE)).await;
                if let Ok(answer) = sent {
                    let _whole = answer.into_body().collect(10).await;
                }
                tokio::time::sleep(Duration::from_micros(roll(6000))).await;
            }
        });
    }
    while let Some(ended) = callers.join_next().await {
        ended.unwrap();
    }
    assert!(most.load(Ordering::SeqCst) <= 4, "{most:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_storm_over_http1_leaves_every_place_free() {
    let (busy, most) = (AtomicUsize::new(0), Arc::new(AtomicUsize::new(0)));
    let counted = Arc::clone(&most);
    let server = serve(move |mut stream, number| {
        let mut roll = dice(number as u64 + 1);
        let _set = stream.set_read_timeout(Some(Duration::from_secs(5)));
        while let Some((head, _)) = read_request(&mut stream) {
            if head.starts_with("GET /calm") {
                let now = busy.fetch_add(1, Ordering::SeqCst) + 1;
                counted.fetch_max(now, Ordering::SeqCst);
                pause(SHORT);
                busy.fetch_sub(1, Ordering::SeqCst);
                if stream.write_all(OK).is_err() {
                    return;
                }
                continue;
            }
            pause(Duration::from_micros(roll(1500)));
            let written = match roll(10) {
                0 => return,
                1 => {
                    let _ok = stream.write_all(b"HTTP/1.1 200 OK\r\nconnection: close\r\n\r\nok");
                    return;
                }
                // More than was asked for.
                2 => stream.write_all(&[OK, b"HTTP/1.1 408 Late\r\n\r\n"].concat()),
                3 => {
                    let _ok = stream.write_all(OK);
                    pause(Duration::from_micros(roll(900)));
                    let _more = stream.write_all(b"HTTP/1.1 408 Late\r\nconnection: close\r\n\r\n");
                    return;
                }
                4 => {
                    let _ok = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nok");
                    return;
                }
                5 => {
                    let _ok = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nok");
                    pause(Duration::from_micros(roll(3000)));
                    stream.write_all(b"ok")
                }
                _ => stream.write_all(OK),
            };
            if written.is_err() {
                return;
            }
        }
    });
    let url = format!("http://{server}/");
    let transport = build(|builder| {
        builder.max_connections_per_host(3).pool_idle_timeout(Duration::from_millis(3))
    });
    storm(&transport, &url, 12, 150).await;
    // What the server still says on connections of the storm is no answer to what follows.
    tokio::time::sleep(SHORT).await;
    let mut callers = JoinSet::new();
    for _ in 0..6 {
        let (transport, request) = (transport.clone(), within(get(format!("{url}calm")), PATIENCE));
        callers.spawn(async move { text(transport.send(request).await).await });
    }
    let start = now();
    while let Some(answer) = callers.join_next().await {
        assert_eq!(answer.unwrap(), "ok");
    }
    assert!(now() - start < 10 * SHORT, "{:?}", now() - start);
    assert_eq!(most.load(Ordering::SeqCst), 3);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_storm_over_http2_leaves_every_place_free() {
    let count = Arc::new(AtomicUsize::new(0));
    let server = Http2::new(4, move |path| {
        let count = Arc::clone(&count);
        async move {
            if path == "/calm" {
                return Body::from("ok");
            }
            let number = count.fetch_add(1, Ordering::SeqCst) as u64;
            let mut roll = dice(number);
            tokio::time::sleep(Duration::from_micros(roll(2000))).await;
            match roll(12) {
                0 => std::future::pending().await,
                1 => Body::wrap(Endless(Some("one"))),
                _ => Body::from("ok"),
            }
        }
    })
    .await;
    let transport = build(|builder| {
        builder.http2_only().max_connections_per_host(2).pool_idle_timeout(Duration::from_millis(3))
    });
    storm(&transport, &server.url("/"), 12, 100).await;
    let mut callers = JoinSet::new();
    for _ in 0..20 {
        let (transport, request) = (transport.clone(), within(get(server.url("/calm")), PATIENCE));
        callers.spawn(async move { text(transport.send(request).await).await });
    }
    let start = now();
    while let Some(answer) = callers.join_next().await {
        assert_eq!(answer.unwrap(), "ok");
    }
    assert!(now() - start < 10 * SHORT, "{:?}", now() - start);
    tokio::time::sleep(SHORT).await;
    assert_eq!(server.open.load(Ordering::SeqCst), 0);
}
