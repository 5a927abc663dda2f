//! Connections that die, drip and run out.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use futures_executor::block_on;
use http::{Method, StatusCode};
use mstr_core::{Body, Sent, TransportErrorKind as Kind};

use super::context::{PATIENCE, limited, request};
use super::tls::{trust, trusted};
use super::{Context, Target};
use crate::loopback::{RawConnection, RawServer};

/// The limit that the servers of this module exceed.
const LIMIT: Duration = Duration::from_millis(150);
/// When such a request has to be over on a busy machine.
const OVER: Duration = Duration::from_secs(5);

/// Sends a POST to a server that writes only so much of `answer` and closes, for each length.
async fn cut_off(context: &mut Context, answer: &'static str, lengths: Vec<usize>) {
    let length = Arc::new(AtomicUsize::new(0));
    let cut = Arc::clone(&length);
    let server = context.serve(move |mut connection| {
        connection.read_request()?;
        connection.write(&answer[..cut.load(Ordering::SeqCst)])
    });
    for cut in lengths {
        length.store(cut, Ordering::SeqCst);
        let sent = request(Method::POST, &server.url("/"), Body::from("x"));
        match context.send(limited(context, sent, PATIENCE, PATIENCE)).await {
            Ok(response) => panic!("{:?} was taken for an answer: {response:?}", &answer[..cut]),
            Err(error) => {
                // A part of a status line may be no HTTP at all.
                let kinds = [Kind::Interrupted, Kind::Protocol];
                let line = answer.find("\r\n").unwrap_or(0);
                let kinds = if cut < line { &kinds[..] } else { &kinds[..1] };
                assert!(kinds.contains(&error.kind()), "{:?}: {error:?}", &answer[..cut]);
                assert_eq!(error.sent(), Sent::Maybe, "{error:?}");
            }
        }
    }
}

pub(super) async fn a_head_cut_off_at_any_byte_is_interrupted(mut context: Context) {
    const ANSWER: &str = "HTTP/1.1 200 OK\r\nx-name: some value\r\ncontent-length: 5\r\n\r\n";
    cut_off(&mut context, ANSWER, (0..ANSWER.len()).collect()).await;
}

pub(super) async fn a_head_cut_off_before_its_body_in_chunks_is_interrupted(mut context: Context) {
    for answer in [
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\nx-name: value\r\n\r\n",
        "HTTP/1.1 200 OK\r\ncontent-length: 0\r\nx-name: value\r\n\r\n",
    ] {
        let first = answer.find("x-name").unwrap_or(0);
        cut_off(&mut context, answer, (first..answer.len()).collect()).await;
    }
}

/// Sends a GET that has to be late, in time.
async fn late(context: &Context, server: &RawServer) {
    let sent = request(Method::GET, &server.url("/"), Body::empty());
    let sent = limited(context, sent, LIMIT, PATIENCE);
    let (outcome, took) = context.timed(context.send(sent)).await;
    let Err(error) = outcome else { panic!("it was answered: {outcome:?}") };
    assert_eq!((error.kind(), error.sent()), (Kind::Timeout, Sent::Maybe), "{error:?}");
    assert!(took < OVER, "{took:?}");
}

pub(super) async fn a_head_that_drips_ends_in_its_time(mut context: Context) {
    let server = context.serve(|mut connection| {
        connection.read_request()?;
        connection.write("HTTP/1.1 200 OK\r\nx-name: ")?;
        loop {
            connection.write("x")?;
            connection.hang(Duration::from_millis(20));
        }
    });
    late(&context, &server).await;
}

pub(super) async fn endless_interim_answers_end_in_their_time(mut context: Context) {
    let server = context.serve(|mut connection| {
        connection.read_request()?;
        loop {
            connection.write("HTTP/1.1 102 Processing\r\n\r\n".repeat(10))?;
            connection.hang(Duration::from_millis(1));
        }
    });
    late(&context, &server).await;
}

/// A script that answers every request but the second one, after which its connection is silent.
fn falls_silent() -> impl Fn(RawConnection) -> io::Result<()> + Send + Sync + 'static {
    let requests = AtomicUsize::new(0);
    move |mut connection| {
        while connection.read_request()?.is_some() {
            if requests.fetch_add(1, Ordering::SeqCst) == 1 {
                connection.hang(PATIENCE);
            }
            connection.answer("200 OK", "fine")?;
        }
        Ok(())
    }
}

async fn after_a_late_answer(context: &Context, server: &RawServer) {
    assert_eq!(context.get(&server.url("/")).await.status(), StatusCode::OK);
    late(context, server).await;
    for _ in 0..3 {
        assert_eq!(context.get(&server.url("/")).await.status(), StatusCode::OK);
    }
    assert!(server.connections() >= 2);
}

pub(super) async fn after_a_late_answer_the_next_request_goes_over_another_connection(
    mut context: Context,
) {
    let server = context.serve(falls_silent());
    after_a_late_answer(&context, &server).await;
}

pub(super) async fn after_a_late_answer_over_tls_the_next_goes_over_another_connection(
    mut context: Context,
) {
    let (authority, tls) = trusted();
    let server = context.serve_tls(&tls.http1_only(), falls_silent());
    trust(&mut context, &authority, None);
    after_a_late_answer(&context, &server).await;
}

pub(super) async fn a_limit_of_connections_is_kept_and_every_request_is_answered(
    mut context: Context,
) {
    const CONNECTIONS: usize = 3;
    let (open, most) = (AtomicUsize::new(0), Arc::new(AtomicUsize::new(0)));
    let counted = Arc::clone(&most);
    let server = context.serve(move |mut connection| {
        counted.fetch_max(open.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
        let mut serve = || {
            while connection.read_request()?.is_some() {
                connection.hang(Duration::from_millis(5));
                connection.answer("200 OK", "fine")?;
            }
            Ok(())
        };
        let ended = serve();
        open.fetch_sub(1, Ordering::SeqCst);
        ended
    });
    let max_connections_per_host = Some(CONNECTIONS);
    context.aim(&Target { max_connections_per_host, ..Target::default() });
    let callers: Vec<_> = (0..8)
        .map(|_| {
            let transport = context.transport.clone();
            let requests: Vec<_> = (0..5)
                .map(|_| {
                    let sent = request(Method::POST, &server.url("/"), Body::from("x"));
                    limited(&context, sent, PATIENCE, PATIENCE)
                })
                .collect();
            std::thread::spawn(move || {
                for request in requests {
                    let answer = block_on(async {
                        transport.send(request).await?.into_body().collect(usize::MAX).await
                    });
                    assert!(answer.as_ref().is_ok_and(|body| body == "fine"), "{answer:?}");
                }
            })
        })
        .collect();
    context
        .eventually("every request is answered", || callers.iter().all(|it| it.is_finished()))
        .await;
    for caller in callers {
        assert!(caller.join().is_ok(), "a caller was not answered");
    }
    let most = most.load(Ordering::SeqCst);
    assert!(most <= CONNECTIONS, "{most} connections at a time");
    assert_eq!(server.requests().len(), 40);
}
