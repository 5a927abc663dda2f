//! Exchanges that a thread begins and waits for in steps.

use std::net::{Ipv4Addr, TcpListener};
use std::panic::resume_unwind;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::Duration;

use bytes::Bytes;
use futures_executor::block_on;
use http::{Method, Request, Response, StatusCode};
use mstr_core::{Body, Sent, SharedBlockingTransport, TransportError, TransportErrorKind as Kind};
use tokio::sync::oneshot;

use super::Context;
use super::context::{PATIENCE, limited, request};
use crate::loopback::RawServer;

/// How long a wait is that ends before the answer comes.
const SHORT: Duration = Duration::from_millis(100);
/// When such a wait has to be over on a busy machine.
const OVER: Duration = Duration::from_secs(3);

/// A server that answers `/held` once it may, and everything else at once.
fn holding(context: &mut Context) -> (Arc<RawServer>, Arc<AtomicBool>) {
    let free = Arc::new(AtomicBool::new(false));
    let may = Arc::clone(&free);
    let server = context.serve(move |mut connection| {
        while let Some(request) = connection.read_request()? {
            let mut left = PATIENCE;
            while request.target() == "GET /held" && !may.load(Ordering::SeqCst) && !left.is_zero()
            {
                connection.hang(Duration::from_millis(20));
                left = left.saturating_sub(Duration::from_millis(20));
            }
            connection.answer("200 OK", "fine")?;
        }
        Ok(())
    });
    (server, free)
}

fn get(server: &RawServer, path: &str) -> Request<Body> {
    request(Method::GET, &server.url(path), Body::empty())
}

/// Runs what blocks on a thread of its own.
async fn on_thread<T: Send + 'static>(
    context: &Context,
    work: impl FnOnce(&SharedBlockingTransport) -> T + Send + 'static,
) -> T {
    let transport = context.blocking();
    let (tell, told) = oneshot::channel();
    let thread = thread::spawn(move || drop(tell.send(work(&transport))));
    match told.await {
        Ok(output) => output,
        Err(_) => match thread.join() {
            Err(panic) => resume_unwind(panic),
            Ok(()) => panic!("the thread ended without a word"),
        },
    }
}

fn whole(answer: Result<Response<Body>, TransportError>) -> (StatusCode, Bytes) {
    let (parts, body) = match answer {
        Ok(response) => response.into_parts(),
        Err(error) => panic!("no answer: {error:?}"),
    };
    match block_on(body.collect(usize::MAX)) {
        Ok(body) => (parts.status, body),
        Err(error) => panic!("no body: {error:?}"),
    }
}

fn fine() -> (StatusCode, Bytes) {
    (StatusCode::OK, Bytes::from_static(b"fine"))
}

pub(super) async fn a_started_exchange_is_answered_once(mut context: Context) {
    let (server, _) = holding(&mut context);
    let asked = get(&server, "/");
    on_thread(&context, move |transport| {
        let mut pending = transport.start(asked);
        let answer = pending.wait_until(transport.now() + PATIENCE);
        assert_eq!(answer.map(whole), Some(fine()));
        let again = pending.wait_until(transport.now());
        assert!(again.is_none(), "it has been taken: {again:?}");
    })
    .await;
    assert_eq!(server.requests().len(), 1);
}

pub(super) async fn a_wait_ends_in_time_and_another_thread_gets_the_answer(mut context: Context) {
    let (server, free) = holding(&mut context);
    let asked = get(&server, "/held");
    on_thread(&context, move |transport| {
        let mut pending = transport.start(asked);
        let begun = transport.now();
        for _ in 0..2 {
            let early = pending.wait_until(transport.now() + SHORT);
            assert!(early.is_none(), "{early:?}");
        }
        let took = transport.now() - begun;
        assert!((SHORT * 2..OVER).contains(&took), "{took:?}");
        free.store(true, Ordering::SeqCst);
        let later = transport.now() + PATIENCE;
        let other = thread::spawn(move || pending.wait_until(later).map(whole));
        assert_eq!(other.join().ok(), Some(Some(fine())));
    })
    .await;
    assert_eq!(server.requests().len(), 1, "it is sent once");
}

pub(super) async fn a_started_exchange_that_is_dropped_leaves_the_others_alone(
    mut context: Context,
) {
    let (server, _free) = holding(&mut context);
    let (held, other) = (get(&server, "/held"), get(&server, "/"));
    on_thread(&context, move |transport| {
        let mut pending = transport.start(held);
        assert!(pending.wait_until(transport.now() + SHORT).is_none());
        drop(pending);
        assert_eq!(whole(transport.send(other)), fine());
    })
    .await;
}

pub(super) async fn a_started_exchange_ends_by_its_deadline(mut context: Context) {
    let (server, _free) = holding(&mut context);
    let asked = limited(&context, get(&server, "/held"), SHORT, PATIENCE);
    on_thread(&context, move |transport| {
        let begun = transport.now();
        let answer = transport.start(asked).wait_until(begun + PATIENCE);
        let took = transport.now() - begun;
        match answer {
            Some(Err(error)) => assert_eq!(error.kind(), Kind::Timeout, "{error:?}"),
            other => panic!("it was to be late: {other:?}"),
        }
        assert!(took < OVER, "{took:?}");
    })
    .await;
}

pub(super) async fn a_refused_connection_is_told_to_the_waiter(context: Context) {
    // A port that was free a moment ago.
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0));
    let Ok(address) = listener.and_then(|listener| listener.local_addr()) else {
        panic!("no port")
    };
    let asked = request(Method::GET, &format!("http://{address}/"), Body::empty());
    on_thread(&context, move |transport| {
        match transport.start(asked).wait_until(transport.now() + PATIENCE) {
            Some(Err(error)) => {
                assert_eq!((error.kind(), error.sent()), (Kind::Connect, Sent::No), "{error:?}");
            }
            other => panic!("no caller waited for the answer: {other:?}"),
        }
    })
    .await;
}

pub(super) async fn what_is_left_to_the_background_is_answered_or_given_up(mut context: Context) {
    let (server, free) = holding(&mut context);
    let asked = get(&server, "/held");
    on_thread(&context, move |transport| {
        let mut pending = transport.start(asked);
        assert!(pending.wait_until(transport.now() + SHORT).is_none());
        let (tell, told) = mpsc::channel();
        let begun = transport.now();
        pending.detach(Box::new(move |answer| drop(tell.send(answer.map(|it| it.status())))));
        let took = transport.now() - begun;
        assert!(took < OVER, "it returns at once: {took:?}");
        free.store(true, Ordering::SeqCst);
        match told.recv_timeout(PATIENCE) {
            Ok(Ok(status)) => assert_eq!(status, StatusCode::OK),
            // There is nothing in which it could go on.
            Err(mpsc::RecvTimeoutError::Disconnected) => {}
            other => panic!("neither answered nor given up: {other:?}"),
        }
    })
    .await;
}
