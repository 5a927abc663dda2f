//! Dropping a request ends that request, and nothing else.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use http::Method;
use mstr_core::{Body, TransportError};

use super::Context;
use super::context::{PATIENCE, Pieces, limited, request};
use crate::loopback::RawServer;

/// A server that is silent on `/silent`, and counts the connections whose client hung up.
fn silent(context: &mut Context) -> (Arc<RawServer>, Arc<AtomicUsize>) {
    let ended = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&ended);
    let server = context.serve(move |mut connection| {
        while let Some(request) = connection.read_request()? {
            if request.target() == "GET /silent" {
                if connection.wait_for_end(PATIENCE) {
                    counter.fetch_add(1, Ordering::SeqCst);
                }
                return Ok(());
            }
            connection.answer("200 OK", "fine")?;
        }
        Ok(())
    });
    (server, ended)
}

/// Sends a request until the server has it, then drops it.
async fn drop_once_sent(context: &Context, server: &RawServer, limit: Duration) {
    let before = server.requests().len();
    let sent = request(Method::GET, &server.url("/silent"), Body::empty());
    let sent = limited(context, sent, limit, limit);
    let sending = context.send(sent);
    drop_when(context, "the request arrives", sending, || server.requests().len() > before).await;
}

/// Sends until something holds, then drops the request.
async fn drop_when(
    context: &Context,
    what: &str,
    sending: impl Future<Output = Result<http::Response<Body>, TransportError>>,
    holds: impl Fn() -> bool,
) {
    let mut sending = Box::pin(sending);
    let mut held = Box::pin(context.eventually(what, holds));
    std::future::poll_fn(|cx| {
        if let std::task::Poll::Ready(outcome) = sending.as_mut().poll(cx) {
            panic!("a silent server answered: {outcome:?}");
        }
        held.as_mut().poll(cx)
    })
    .await;
}

async fn still_works(context: &Context, server: &RawServer) {
    assert_eq!(&context.get(&server.url("/")).await.body()[..], b"fine");
}

pub(super) async fn a_request_dropped_while_the_server_is_silent_ends_its_connection(
    mut context: Context,
) {
    let (server, ended) = silent(&mut context);
    for round in 1..=3 {
        drop_once_sent(&context, &server, PATIENCE).await;
        let gone = || ended.load(Ordering::SeqCst) >= round;
        let (_, took) = context.timed(context.eventually("the socket is gone", gone)).await;
        assert!(took < Duration::from_secs(2), "{took:?}");
        still_works(&context, &server).await;
    }
}

pub(super) async fn a_request_dropped_while_the_server_is_silent_ends_by_its_deadline(
    mut context: Context,
) {
    let (server, ended) = silent(&mut context);
    drop_once_sent(&context, &server, Duration::from_secs(1)).await;
    still_works(&context, &server).await;
    context.eventually("the socket is gone", || ended.load(Ordering::SeqCst) == 1).await;
}

pub(super) async fn a_body_dropped_in_its_middle_ends_its_connection(mut context: Context) {
    let ended = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&ended);
    let server = context.serve(move |mut connection| {
        while let Some(request) = connection.read_request()? {
            if request.target() == "GET /endless" {
                connection.write("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n")?;
                // Until the client has had enough.
                while connection.write("4\r\npart\r\n").is_ok() {
                    connection.hang(Duration::from_millis(1));
                }
                counter.fetch_add(1, Ordering::SeqCst);
                return Ok(());
            }
            connection.answer("200 OK", "fine")?;
        }
        Ok(())
    });
    let sent = request(Method::GET, &server.url("/endless"), Body::empty());
    let response = context.send(limited(&context, sent, PATIENCE, PATIENCE)).await;
    let Ok(response) = response else { panic!("no answer: {response:?}") };
    let mut body = response.into_body();
    let chunk = body.chunk().await;
    assert!(matches!(chunk, Ok(Some(_))), "{chunk:?}");
    drop(body);
    context.eventually("the server notices", || ended.load(Ordering::SeqCst) == 1).await;
    still_works(&context, &server).await;
}

pub(super) async fn a_request_dropped_during_its_upload_ends_its_connection(mut context: Context) {
    let (begun, ended) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let (beginning, counter) = (Arc::clone(&begun), Arc::clone(&ended));
    let server = context.serve(move |mut connection| {
        while let Some(head) = connection.read_head()? {
            if head.target() == "POST /upload" {
                beginning.store(1, Ordering::SeqCst);
                if connection.wait_for_end(PATIENCE) {
                    counter.fetch_add(1, Ordering::SeqCst);
                }
                return Ok(());
            }
            connection.answer("200 OK", "fine")?;
        }
        Ok(())
    });
    // The body's next piece never comes.
    let body = Body::wrap(Pieces::new([vec![b'x'; 1000]]).endless());
    let sent = request(Method::POST, &server.url("/upload"), body);
    // What blocks cannot be dropped; it ends by its deadline.
    let limit = Duration::from_secs(2);
    let sending = context.send(limited(&context, sent, limit, limit));
    let arrived = || begun.load(Ordering::SeqCst) == 1;
    drop_when(&context, "the request arrives", sending, arrived).await;
    context.eventually("the server notices", || ended.load(Ordering::SeqCst) == 1).await;
    still_works(&context, &server).await;
}

pub(super) async fn a_request_dropped_while_the_handshake_hangs_ends_by_its_deadline(
    mut context: Context,
) {
    let ended = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&ended);
    let silent = context.serve(move |mut connection| {
        // What the client says first, and then its end.
        if connection.wait_for_end(PATIENCE) {
            counter.fetch_add(1, Ordering::SeqCst);
        }
        Ok(())
    });
    let second = Duration::from_secs(1);
    let url = format!("https://{}/", silent.address());
    let sent = limited(&context, request(Method::POST, &url, Body::from("x")), second, second);
    let sending = context.send(sent);
    drop_when(&context, "a connection is made", sending, || silent.connections() == 1).await;
    let server = context.answer("200 OK", "fine");
    still_works(&context, &server).await;
    context.eventually("the socket is gone", || ended.load(Ordering::SeqCst) == 1).await;
}

pub(super) async fn a_request_dropped_while_connecting_leaves_the_others_alone(
    mut context: Context,
) {
    let (authority, tls) = super::tls::trusted();
    let server = super::tls::start(tls);
    super::tls::trust(&mut context, &authority, None);
    let url = super::tls::status(&server);
    let send = || {
        let sent = request(Method::GET, &url, Body::empty());
        Box::pin(context.send(limited(&context, sent, PATIENCE, PATIENCE)))
    };
    // The first begins to connect; the others may wait for its connection.
    let mut sending: Vec<_> = (0..5).map(|_| send()).collect();
    std::future::poll_fn(|cx| {
        for future in &mut sending {
            assert!(future.as_mut().poll(cx).is_pending());
        }
        std::task::Poll::Ready(())
    })
    .await;
    drop(sending.remove(0));
    for future in sending {
        let response = future.await;
        assert!(matches!(&response, Ok(response) if response.status() == 200), "{response:?}");
    }
}
