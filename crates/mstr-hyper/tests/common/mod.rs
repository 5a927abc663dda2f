//! Small servers on loopback, one thread a connection.
#![allow(dead_code, reason = "each test binary uses a part of it")]

use std::convert::Infallible;
use std::future::Future;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, Waker};
use std::thread;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::{Request, Response};
use http_body::Frame;
use mstr_core::{Body, RequestContext, TransportError};

/// A server that treats each connection with `handle`, which is told its number from 0.
pub(crate) fn serve(handle: impl Fn(TcpStream, usize) + Send + Sync + 'static) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let handle = Arc::new(handle);
    let connections = AtomicUsize::new(0);
    thread::spawn(move || {
        for stream in listener.incoming() {
            let stream = stream.unwrap();
            let number = connections.fetch_add(1, Ordering::SeqCst);
            let handle = Arc::clone(&handle);
            thread::spawn(move || handle(stream, number));
        }
    });
    address
}

/// Answers every request on every connection with `answer`.
pub(crate) fn serve_answer(answer: &'static str) -> SocketAddr {
    serve(move |mut stream, _| {
        while read_request(&mut stream).is_some() {
            if stream.write_all(answer.as_bytes()).is_err() {
                return;
            }
        }
    })
}

/// A request as it came: the head's text, and the body if its length was declared.
pub(crate) fn read_request(stream: &mut impl Read) -> Option<(String, Vec<u8>)> {
    // Byte by byte, so that nothing of a next request is taken.
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") {
        if stream.read(&mut byte).ok()? == 0 {
            return None;
        }
        head.push(byte[0]);
    }
    let head = String::from_utf8(head).unwrap();
    let length = head
        .lines()
        .filter_map(|line| line.split_once(": "))
        .find(|(name, _)| name.eq_ignore_ascii_case("content-length"))
        .map_or(0, |(_, length)| length.parse().unwrap());
    let mut body = vec![0; length];
    stream.read_exact(&mut body).ok()?;
    Some((head, body))
}

/// Reads a chunked body to its end.
pub(crate) fn read_chunked(stream: &mut impl Read) -> Vec<u8> {
    let mut reader = BufReader::with_capacity(1, stream);
    let mut body = Vec::new();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).unwrap();
        let size = usize::from_str_radix(line.trim(), 16).unwrap();
        let mut chunk = vec![0; size + 2];
        reader.read_exact(&mut chunk).unwrap();
        if size == 0 {
            return body;
        }
        body.extend_from_slice(&chunk[..size]);
    }
}

/// Reads until the other side closes.
pub(crate) fn drain(stream: &mut TcpStream) {
    let mut sink = [0; 4096];
    while stream.read(&mut sink).is_ok_and(|count| count > 0) {}
}

pub(crate) fn get(url: impl AsRef<str>) -> Request<Body> {
    Request::get(url.as_ref()).body(Body::empty()).unwrap()
}

pub(crate) fn with_context(
    mut request: Request<Body>,
    change: impl FnOnce(&mut RequestContext),
) -> Request<Body> {
    let mut context = RequestContext::default();
    change(&mut context);
    context.attach(&mut request);
    request
}

#[expect(clippy::disallowed_methods, reason = "loopback tests run in real time")]
pub(crate) fn now() -> Instant {
    Instant::now()
}

#[expect(clippy::disallowed_methods, reason = "loopback tests run in real time")]
pub(crate) fn pause(length: Duration) {
    thread::sleep(length);
}

/// A server of HTTP/2 that counts its connections: all of them, and those that are open.
pub(crate) struct Http2 {
    pub(crate) url: String,
    pub(crate) connections: Arc<AtomicUsize>,
    pub(crate) open: Arc<AtomicUsize>,
}

impl Http2 {
    /// Answers the path of a request, and takes so many of them at a time on a connection.
    pub(crate) async fn new<F>(
        streams: u32,
        answer: impl Fn(String) -> F + Clone + Send + Sync + 'static,
    ) -> Self
    where
        F: Future<Output = Body> + Send + 'static,
    {
        Self::closing(streams, Duration::from_secs(3600), answer).await
    }

    /// The same, and closes each connection after a while.
    pub(crate) async fn closing<F>(
        streams: u32,
        after: Duration,
        answer: impl Fn(String) -> F + Clone + Send + Sync + 'static,
    ) -> Self
    where
        F: Future<Output = Body> + Send + 'static,
    {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let connections = Arc::new(AtomicUsize::new(0));
        let open = Arc::new(AtomicUsize::new(0));
        let (counted, opened) = (Arc::clone(&connections), Arc::clone(&open));
        tokio::task::spawn(async move {
            loop {
                let io = hyper_util::rt::TokioIo::new(listener.accept().await.unwrap().0);
                counted.fetch_add(1, Ordering::SeqCst);
                opened.fetch_add(1, Ordering::SeqCst);
                let answer = answer.clone();
                let service = hyper::service::service_fn(move |request: Request<_>| {
                    let answered = answer(request.uri().path().to_owned());
                    async move {
                        drop::<Request<hyper::body::Incoming>>(request);
                        Ok::<_, Infallible>(Response::new(answered.await))
                    }
                });
                let executor = hyper_util::rt::TokioExecutor::new();
                let mut builder = hyper::server::conn::http2::Builder::new(executor);
                builder.max_concurrent_streams(streams);
                let opened = Arc::clone(&opened);
                tokio::task::spawn(async move {
                    let served = builder.serve_connection(io, service);
                    let _ended = tokio::time::timeout(after, served).await;
                    opened.fetch_sub(1, Ordering::SeqCst);
                });
            }
        });
        Self { url, connections, open }
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("{}{path}", self.url)
    }
}

pub(crate) fn within(request: Request<Body>, limit: Duration) -> Request<Body> {
    with_context(request, |context| context.deadline = Some(now() + limit))
}

pub(crate) async fn text(answer: Result<Response<Body>, TransportError>) -> String {
    let bytes = answer.unwrap().into_body().collect(usize::MAX).await.unwrap();
    String::from_utf8(bytes.to_vec()).unwrap()
}

/// Polls a future that cannot be ready, so that it has begun.
pub(crate) fn begin<F: Future>(future: Pin<&mut F>) {
    assert!(future.poll(&mut Context::from_waker(Waker::noop())).is_pending());
}

/// A body that begins and does not end.
pub(crate) struct Endless(pub(crate) Option<&'static str>);

impl http_body::Body for Endless {
    type Data = Bytes;
    type Error = TransportError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, TransportError>>> {
        match self.0.take() {
            Some(text) => Poll::Ready(Some(Ok(Frame::data(text.into())))),
            None => Poll::Pending,
        }
    }
}
