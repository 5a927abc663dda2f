//! An answer that is passed on as a request, and limits that are none.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use http::{Method, Request};
use mstr::core::RequestContext;
use mstr::{Body, TlsConfig};
use mstr_fake::loopback::RawServer;
use mstr_suite::Stack;

fn request(method: Method, url: String, body: Body) -> Request<Body> {
    Request::builder().method(method).uri(url).body(body).unwrap()
}

/// A server whose answer to a GET never ends, and that reads nothing of a PUT's body.
fn server() -> RawServer {
    RawServer::start(|mut connection| {
        let Some(head) = connection.read_head()? else { return Ok(()) };
        if head.target().starts_with("PUT") {
            let _ = connection.wait_for_end(Duration::from_secs(10));
            return Ok(());
        }
        connection.write("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n")?;
        while connection.write("4\r\npart\r\n").is_ok() {
            connection.hang(Duration::from_millis(1));
        }
        Ok(())
    })
    .unwrap()
}

/// The body of the second request holds the last handle to the transport when it is dropped.
#[test]
fn a_transport_may_end_with_a_body_that_it_sends() {
    let panics = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&panics);
    let before = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        let thread = std::thread::current();
        if thread.name().is_some_and(|name| name.starts_with("isahc-agent")) {
            counter.fetch_add(1, Ordering::SeqCst);
        }
        before(panic);
    }));
    for stack in [Stack::Hyper, Stack::Isahc] {
        let server = server();
        stack.block_on(async {
            let transport = stack.transport(TlsConfig::new());
            let timer = transport.timer();
            let down = request(Method::GET, server.url("/"), Body::empty());
            let passed_on = transport.send(down).await.unwrap().into_body();
            let up = request(Method::PUT, server.url("/"), passed_on);
            let mut sending = Box::pin({
                let transport = transport.clone();
                async move { transport.send(up).await }
            });
            drop(transport);
            let mut wait = timer.sleep_until(timer.now() + Duration::from_millis(200));
            std::future::poll_fn(|cx| {
                assert!(sending.as_mut().poll(cx).is_pending());
                wait.as_mut().poll(cx)
            })
            .await;
            drop(sending);
            // Time for the transport's thread to drop what it holds.
            timer.sleep_until(timer.now() + Duration::from_millis(300)).await;
        });
    }
    assert_eq!(panics.load(Ordering::SeqCst), 0);
}

#[test]
fn limits_beyond_the_largest_number_are_unlimited() {
    let server = RawServer::start(|mut connection| {
        while connection.read_request()?.is_some() {
            connection.answer("200 OK", "fine")?;
        }
        Ok(())
    })
    .unwrap();
    for stack in Stack::ALL.into_iter().filter(|stack| !stack.name().contains(',')) {
        stack.block_on(async {
            let transport = stack.transport(TlsConfig::new());
            let mut sent = request(Method::GET, server.url("/"), Body::empty());
            let mut limits = RequestContext::default();
            limits.deadline = transport.timer().now().checked_add(Duration::from_secs(1 << 40));
            limits.connect_timeout = Some(Duration::MAX);
            limits.body_idle_timeout = Some(Duration::MAX);
            limits.attach(&mut sent);
            let body = transport.send(sent).await.unwrap().into_body();
            assert_eq!(body.collect(100).await.unwrap(), "fine", "{stack:?}");
        });
    }
}
