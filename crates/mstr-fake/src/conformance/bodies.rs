//! Bodies arrive whole, both ways, and never have to fit into memory.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use http::header::{CONTENT_LENGTH, HeaderValue};
use http::{Method, StatusCode};
use mstr_core::{Body, TransportErrorKind};

use super::Context;
use super::context::{PATIENCE, Pieces, limited, pattern, request};

/// What a slow reader's server may have written: the buffers of two sockets and of a client,
/// generously.
const BUFFERED: u64 = 48 * 1024 * 1024;

pub(super) async fn bodies_of_every_small_size_arrive(mut context: Context) {
    let server = context.serve(|mut connection| {
        while let Some(request) = connection.read_request()? {
            connection.answer("200 OK", request.body())?;
        }
        Ok(())
    });
    for size in [0, 1, 2, 100, 8_191, 8_192, 8_193, 65_535, 65_536, 100_000] {
        let body = pattern(size);
        let sent = request(Method::POST, &server.url("/"), Body::from(body.clone()));
        let response = context.exchange(sent).await;
        assert!(response.body()[..] == body, "{size} bytes");
    }
}

pub(super) async fn a_large_upload_arrives_intact(mut context: Context) {
    let server = context.answer("200 OK", "");
    let body = pattern(1024 * 1024 + 1);
    let sent = request(Method::PUT, &server.url("/"), Body::from(body.clone()));
    context.exchange(sent).await;
    let seen = server.requests().remove(0);
    assert!(seen.body() == body);
    assert_eq!(seen.text("content-length").as_deref(), Some("1048577"));
}

pub(super) async fn a_large_download_arrives_intact(mut context: Context) {
    let server = context.serve(|mut connection| {
        while connection.read_request()?.is_some() {
            connection.answer("200 OK", pattern(1024 * 1024 + 1))?;
        }
        Ok(())
    });
    let response = context.get(&server.url("/")).await;
    assert!(response.body()[..] == pattern(1024 * 1024 + 1));
}

pub(super) async fn an_upload_of_unknown_length_arrives(mut context: Context) {
    let server = context.answer("200 OK", "");
    let pieces = [vec![b'a'; 10], Vec::new(), pattern(100_000), vec![b'z']];
    let whole = pieces.concat();
    let sent = request(Method::POST, &server.url("/"), Body::wrap(Pieces::new(pieces)));
    context.exchange(sent).await;
    let seen = server.requests().remove(0);
    assert!(seen.body() == whole);
    assert_eq!(seen.text("transfer-encoding").as_deref(), Some("chunked"));
    assert!(seen.values("content-length").is_empty());
}

pub(super) async fn chunked_answers_are_read_with_their_boundaries_forgotten(mut context: Context) {
    let server = context.serve(|mut connection| {
        while connection.read_request()?.is_some() {
            connection.write("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n")?;
            connection.write("5;note=x\r\nHello\r\n1\r\n,\r\n")?;
            connection.hang(Duration::from_millis(10));
            connection.write("6\r\n world\r\n0\r\n\r\n")?;
        }
        Ok(())
    });
    for _ in 0..2 {
        assert_eq!(&context.get(&server.url("/")).await.body()[..], b"Hello, world");
    }
}

pub(super) async fn a_body_without_a_length_is_read_to_its_end(mut context: Context) {
    let server = context.serve(|mut connection| {
        connection.read_request()?;
        connection.write("HTTP/1.0 200 OK\r\ncontent-type: text/plain\r\n\r\n")?;
        connection.write("first, ")?;
        connection.hang(Duration::from_millis(10));
        connection.write("last")
    });
    assert_eq!(&context.get(&server.url("/")).await.body()[..], b"first, last");
}

pub(super) async fn a_compressed_body_is_left_as_it_is(mut context: Context) {
    // Not even valid: a transport that looks into it would notice.
    let server = context.answer("200 OK\r\ncontent-encoding: gzip", "\u{1f}not gzip");
    let response = context.get(&server.url("/")).await;
    assert_eq!(&response.body()[..], "\u{1f}not gzip".as_bytes());
    assert_eq!(response.headers()["content-encoding"], "gzip");
    assert_eq!(response.headers()["content-length"], "9");
}

pub(super) async fn an_answer_before_the_upload_has_ended_is_delivered(mut context: Context) {
    let server = context.serve(|mut connection| {
        connection.read_head()?;
        connection.read_some(1)?;
        connection.answer("413 Payload Too Large\r\nconnection: close", "enough")?;
        // Closing with unread bytes would reset the connection, the answer with it.
        let _ = connection.wait_for_end(PATIENCE);
        Ok(())
    });
    let endless = Body::wrap(Pieces::new([vec![b'x'; 1000]]).endless());
    let sent = request(Method::POST, &server.url("/"), endless);
    let sent = limited(&context, sent, PATIENCE, PATIENCE);
    let response = context.exchange(sent).await;
    assert_eq!(response.status(), StatusCode::PAYLOAD_TOO_LARGE);
    assert_eq!(&response.body()[..], b"enough");
}

pub(super) async fn a_head_is_delivered_before_its_body_begins(mut context: Context) {
    let server = context.serve(|mut connection| {
        connection.read_request()?;
        connection.write("HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\n")?;
        connection.hang(Duration::from_secs(1));
        connection.write("late")
    });
    let sent = request(Method::GET, &server.url("/"), Body::empty());
    // The deadline is for the head alone.
    let sent = limited(&context, sent, Duration::from_millis(500), PATIENCE);
    let body = match context.send(sent).await {
        Ok(response) => response.into_body().collect(usize::MAX).await,
        Err(error) => panic!("the head is there: {error:?}"),
    };
    assert!(matches!(&body, Ok(bytes) if bytes == "late"), "{body:?}");
}

pub(super) async fn a_failing_upload_is_an_error_of_the_body(mut context: Context) {
    let complete = Arc::new(AtomicBool::new(false));
    let noted = Arc::clone(&complete);
    let server = context.serve(move |mut connection| {
        if connection.read_request()?.is_some() {
            noted.store(true, Ordering::SeqCst);
            connection.answer("200 OK", "")?;
        }
        Ok(())
    });
    let failing = Body::wrap(Pieces::new([vec![b'x'; 1000]]).failing());
    let sent = request(Method::POST, &server.url("/"), failing);
    let error = match context.send(limited(&context, sent, PATIENCE, PATIENCE)).await {
        Ok(response) => panic!("half a body was answered: {response:?}"),
        Err(error) => error,
    };
    assert_eq!(error.kind(), TransportErrorKind::Body, "{error:?}");
    let cause = chain(&error);
    assert!(cause.contains("no more paper"), "the cause is kept: {cause}");
    assert!(!complete.load(Ordering::SeqCst), "the server must not take it for complete");
}

pub(super) async fn a_slow_reader_holds_the_server_back(mut context: Context) {
    let written = Arc::new(AtomicU64::new(0));
    let counter = Arc::clone(&written);
    let total: u64 = 1024 * 1024 * 1024;
    let server = context.serve(move |mut connection| {
        connection.read_request()?;
        connection.write(format!("HTTP/1.1 200 OK\r\ncontent-length: {total}\r\n\r\n"))?;
        let piece = vec![b'x'; 64 * 1024];
        for _ in 0..total / piece.len() as u64 {
            connection.write(&piece)?;
            counter.fetch_add(piece.len() as u64, Ordering::SeqCst);
        }
        Ok(())
    });
    let sent = request(Method::GET, &server.url("/"), Body::empty());
    let response = context.send(sent).await;
    let Ok(response) = response else { panic!("no answer: {response:?}") };
    let mut body = response.into_body();
    for _ in 0..10 {
        let chunk = body.chunk().await;
        assert!(matches!(chunk, Ok(Some(_))), "{chunk:?}");
    }
    // The server writes until everything between is full, then no more.
    let mut last = u64::MAX;
    loop {
        let now = written.load(Ordering::SeqCst);
        if now == last {
            break;
        }
        assert!(now < BUFFERED, "{now} bytes were taken in without being read");
        last = now;
        context.sleep(Duration::from_millis(100)).await;
    }
    let chunk = body.chunk().await;
    assert!(matches!(chunk, Ok(Some(_))), "and goes on afterwards: {chunk:?}");
}

pub(super) async fn a_slow_server_holds_the_upload_back(mut context: Context) {
    let (over, produced) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
    let (ends, counter) = (Arc::clone(&over), Arc::clone(&produced));
    let server = context.serve(move |mut connection| {
        connection.read_head()?;
        connection.read_some(1)?;
        while !ends.load(Ordering::SeqCst) {
            connection.hang(Duration::from_millis(20));
        }
        let _ = connection.wait_for_end(PATIENCE);
        Ok(())
    });
    let total: u64 = 1024 * 1024 * 1024;
    let piece = vec![b'x'; 64 * 1024];
    let body = Body::wrap(Counted { left: total, piece: piece.into(), counter });
    let sent = request(Method::PUT, &server.url("/"), body);
    let sent = limited(&context, sent, PATIENCE, PATIENCE);
    let mut sending = Box::pin(context.send(sent));
    // The body is produced until everything between is full, then no more.
    let mut last = u64::MAX;
    loop {
        let wait = context.sleep(Duration::from_millis(200));
        let mut wait = Box::pin(wait);
        std::future::poll_fn(|cx| {
            if let std::task::Poll::Ready(outcome) = sending.as_mut().poll(cx) {
                panic!("there is no answer: {outcome:?}");
            }
            wait.as_mut().poll(cx)
        })
        .await;
        let now = produced.load(Ordering::SeqCst);
        assert!(now < BUFFERED, "{now} bytes were produced without being read");
        if now == last && now > 0 {
            break;
        }
        last = now;
    }
    drop(sending);
    over.store(true, Ordering::SeqCst);
}

/// Counts what is asked of it.
struct Counted {
    left: u64,
    piece: bytes::Bytes,
    counter: Arc<AtomicU64>,
}

impl http_body::Body for Counted {
    type Data = bytes::Bytes;
    type Error = std::io::Error;

    fn poll_frame(
        mut self: std::pin::Pin<&mut Self>,
        _: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<Result<http_body::Frame<bytes::Bytes>, std::io::Error>>> {
        if self.left == 0 {
            return std::task::Poll::Ready(None);
        }
        let length = self.piece.len() as u64;
        self.left -= length;
        self.counter.fetch_add(length, Ordering::SeqCst);
        std::task::Poll::Ready(Some(Ok(http_body::Frame::data(self.piece.clone()))))
    }
}

pub(super) async fn a_body_of_another_length_than_declared_is_an_error(mut context: Context) {
    let complete = Arc::new(AtomicU64::new(0));
    let counter = Arc::clone(&complete);
    let server = context.serve(move |mut connection| {
        while connection.read_request()?.is_some() {
            counter.fetch_add(1, Ordering::SeqCst);
            connection.answer("200 OK", "")?;
        }
        Ok(())
    });
    for declared in ["3", "5000"] {
        let body = Body::wrap(Pieces::new([vec![b'x'; 1000], vec![b'y'; 500]]));
        let mut sent = request(Method::POST, &server.url("/"), body);
        sent.headers_mut().insert(CONTENT_LENGTH, HeaderValue::from_static(declared));
        let outcome = context.send(limited(&context, sent, PATIENCE, PATIENCE)).await;
        let Err(error) = outcome else { panic!("{declared}: it was answered: {outcome:?}") };
        assert_eq!(error.kind(), TransportErrorKind::Body, "{declared}: {error:?}");
    }
    assert_eq!(complete.load(Ordering::SeqCst), 0, "the server must not take it for complete");
}

fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}
