//! Many requests at a time, from anywhere.

use std::future::poll_fn;
use std::pin::Pin;
use std::sync::mpsc;
use std::task::Poll;
use std::time::Duration;

use http::Method;
use mstr_core::{Body, SharedTransport};

use super::Context;
use super::context::{PATIENCE, limited, request};

/// Waits for all of them, on one task.
pub(super) async fn all<T>(futures: Vec<Pin<Box<dyn Future<Output = T> + Send + '_>>>) -> Vec<T> {
    let mut slots: Vec<(_, Option<T>)> = futures.into_iter().map(|future| (future, None)).collect();
    poll_fn(|cx| {
        let mut waiting = false;
        for (future, output) in slots.iter_mut().filter(|(_, output)| output.is_none()) {
            match future.as_mut().poll(cx) {
                Poll::Ready(value) => *output = Some(value),
                Poll::Pending => waiting = true,
            }
        }
        if waiting { Poll::Pending } else { Poll::Ready(()) }
    })
    .await;
    slots.into_iter().filter_map(|(_, output)| output).collect()
}

pub(super) async fn a_hundred_requests_at_a_time_are_answered(mut context: Context) {
    let server = context.serve(|mut connection| {
        while let Some(request) = connection.read_request()? {
            connection.hang(Duration::from_millis(20));
            connection.answer("200 OK", request.target())?;
        }
        Ok(())
    });
    let context = &context;
    let requests = (0..100).map(|number| {
        let url = server.url(&format!("/{number}"));
        let future: Pin<Box<dyn Future<Output = _> + Send + '_>> =
            Box::pin(async move { (number, context.get(&url).await) });
        future
    });
    for (number, response) in all(requests.collect()).await {
        assert_eq!(response.body()[..], *format!("GET /{number}").as_bytes());
    }
}

pub(super) async fn answers_are_not_mixed_up(mut context: Context) {
    // Bodies that arrive piece by piece, all at the same time.
    let server = context.serve(|mut connection| {
        while let Some(request) = connection.read_request()? {
            let target = request.target();
            connection.write("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n")?;
            for _ in 0..20 {
                connection.write(format!("{:x}\r\n{target}\r\n", target.len()))?;
                connection.hang(Duration::from_millis(1));
            }
            connection.write("0\r\n\r\n")?;
        }
        Ok(())
    });
    let context = &context;
    let requests = (0..16).map(|number| {
        let url = server.url(&format!("/{number}"));
        let future: Pin<Box<dyn Future<Output = _> + Send + '_>> =
            Box::pin(async move { (number, context.get(&url).await) });
        future
    });
    for (number, response) in all(requests.collect()).await {
        assert_eq!(response.body()[..], *format!("GET /{number}").repeat(20).as_bytes());
    }
}

pub(super) async fn clones_work_from_other_threads(mut context: Context) {
    let server = context.answer("200 OK", "fine");
    let (sender, receiver) = mpsc::channel();
    for _ in 0..4 {
        let transport: SharedTransport = context.transport.clone();
        let url = server.url("/");
        let sent = request(Method::GET, &url, Body::empty());
        let sent = limited(&context, sent, PATIENCE, PATIENCE);
        let sender = sender.clone();
        // Polled on a thread that has nothing to do with the transport's runtime.
        let spawned = std::thread::Builder::new().spawn(move || {
            let outcome = futures_executor::block_on(async {
                transport.send(sent).await?.into_body().collect(usize::MAX).await
            });
            // The test may have failed already.
            drop(sender.send(outcome));
        });
        drop(spawned);
    }
    drop(sender);
    let outcomes = std::sync::Mutex::new(Vec::new());
    let receiver = std::sync::Mutex::new(receiver);
    let lock = |outcomes: &std::sync::Mutex<Vec<_>>| match outcomes.lock() {
        Ok(outcomes) => outcomes.len(),
        Err(_) => 0,
    };
    context
        .eventually("all threads are answered", || {
            let (Ok(receiver), Ok(mut outcomes)) = (receiver.lock(), outcomes.lock()) else {
                return false;
            };
            outcomes.extend(receiver.try_iter());
            outcomes.len() == 4
        })
        .await;
    assert_eq!(lock(&outcomes), 4);
    for outcome in outcomes.into_inner().unwrap_or_default() {
        match outcome {
            Ok(body) => assert_eq!(&body[..], b"fine"),
            Err(error) => panic!("{error:?}"),
        }
    }
}

pub(super) async fn a_body_outlives_the_transport(mut context: Context) {
    let server = context.serve(|mut connection| {
        connection.read_request()?;
        connection.write("HTTP/1.1 200 OK\r\ncontent-length: 8\r\n\r\nhalf")?;
        connection.hang(Duration::from_millis(50));
        connection.write("half")
    });
    let sent = request(Method::GET, &server.url("/"), Body::empty());
    let response = context.send(limited(&context, sent, PATIENCE, PATIENCE)).await;
    let Ok(response) = response else { panic!("no answer: {response:?}") };
    drop(context);
    let body = response.into_body().collect(usize::MAX).await;
    let Ok(body) = body else { panic!("{body:?}") };
    assert_eq!(&body[..], b"halfhalf");
}
