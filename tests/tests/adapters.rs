//! Closures and tower services as transports.

#![expect(clippy::unwrap_used, reason = "this is test code")]

use std::convert::Infallible;
use std::future::pending;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::header::{CONTENT_LENGTH, HeaderValue};
use http::{Request, Response};
use http_body::Frame;
use mstr::adapter::{TransportService, blocking_from_fn, from_fn, from_service, into_service};
use mstr::core::{BoxFuture, RequestContext, Sent, SharedTimer, TransportInfo};
use mstr::{
    BlockingTransport, Body, BoxError, CloseOutcome, Connection, ErrorKind, SharedTransport,
    Transport, TransportError, TransportErrorKind as Kind, blocking,
};
use mstr_fake::{FakeTransport, VirtualTime};
use mstr_suite::server;
use tower_service::Service;

const LIMIT: Duration = Duration::from_secs(5);

type Answer = Result<Response<Body>, TransportError>;

/// A request that has to be answered within [`LIMIT`], and whose answer may not stall longer.
fn request(time: &VirtualTime, body: Body) -> Request<Body> {
    let timer = SharedTimer::new(time.clone());
    let mut context = RequestContext::default();
    context.deadline = Some(timer.now() + LIMIT);
    context.body_idle_timeout = Some(LIMIT);
    Request::post("https://host.example/path?secret").extension(context).body(body).unwrap()
}

fn timer(time: &VirtualTime) -> SharedTimer {
    SharedTimer::new(time.clone())
}

/// A tower service made of closures: when it is ready, and what it answers.
#[derive(Clone)]
struct Tower<R, F> {
    ready: R,
    answer: F,
    was_ready: bool,
}

fn tower<R, F>(ready: R, answer: F) -> Tower<R, F> {
    Tower { ready, answer, was_ready: false }
}

fn at_once() -> Poll<Result<(), BoxError>> {
    Poll::Ready(Ok(()))
}

impl<R, F, A, B> Service<Request<Body>> for Tower<R, F>
where
    R: Fn() -> Poll<Result<(), BoxError>>,
    F: Fn(Request<Body>) -> A,
    A: Future<Output = Result<Response<B>, BoxError>> + Send + 'static,
{
    type Response = Response<B>;
    type Error = BoxError;
    type Future = BoxFuture<'static, Result<Response<B>, BoxError>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        let ready = (self.ready)();
        self.was_ready = ready.is_ready();
        ready
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        assert!(self.was_ready, "a service is called once it is ready");
        Box::pin((self.answer)(request))
    }
}

/// Pieces, and what comes after them.
struct Pieces(Vec<Bytes>, End);

enum End {
    Fails,
    Hangs,
    Regular,
}

impl http_body::Body for Pieces {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        match (self.0.pop(), &self.1) {
            (Some(piece), _) => Poll::Ready(Some(Ok(Frame::data(piece)))),
            (None, End::Fails) => Poll::Ready(Some(Err(io::ErrorKind::ConnectionReset.into()))),
            (None, End::Hangs) => Poll::Pending,
            (None, End::Regular) => Poll::Ready(None),
        }
    }
}

/// Notes that it was dropped.
struct Noted(Arc<AtomicBool>);

impl Drop for Noted {
    fn drop(&mut self) {
        self.0.store(true, Ordering::SeqCst);
    }
}

/// Both adapters around the same function.
fn both<A>(
    time: &VirtualTime,
    send: impl Fn(Request<Body>) -> A + Clone + Send + Sync + 'static,
) -> [SharedTransport; 2]
where
    A: Future<Output = Answer> + Send + 'static,
{
    let function = send.clone();
    let service = tower(at_once, move |request| {
        let answer = send(request);
        async move { answer.await.map_err(BoxError::from) }
    });
    [
        SharedTransport::new(from_fn(timer(time), function)),
        SharedTransport::new(from_service(timer(time), service)),
    ]
}

#[test]
fn a_session_lives_over_an_adapter() {
    let time = VirtualTime::new();
    let fake = FakeTransport::new(server().build(), time.clone());
    let stack = fake.clone();
    let send = move |request| {
        let stack = stack.clone();
        async move { Transport::send(&stack, request).await }
    };
    for transport in both(&time, send) {
        time.run(async {
            let connection = Connection::builder(fake.base_url())
                .standard("alice", "secret")
                .transport(transport)
                .connect()
                .await
                .unwrap();
            fake.server(|server| server.expire_all_sessions());
            let echo = connection.post("/api/echo").body("x").send().await.unwrap();
            let echo: serde_json::Value = echo.json().await.unwrap();
            assert_eq!(echo["body"], "x");
            assert!(matches!(connection.close().await, CloseOutcome::LoggedOut));
        });
        assert_eq!(fake.server(|server| server.open_sessions()), 0);
    }
}

#[test]
fn a_session_lives_over_a_closure_that_blocks() {
    let time = VirtualTime::new();
    let fake = FakeTransport::new(server().build(), time.clone());
    let stack = fake.clone();
    let transport = blocking_from_fn(move |request| BlockingTransport::send(&stack, request))
        .named(TransportInfo::new("mine", "1.0"));
    assert_eq!(transport.info().name, "mine");
    let connection = blocking::Connection::builder(fake.base_url())
        .standard("alice", "secret")
        .blocking_transport(transport)
        .connect()
        .unwrap();
    fake.server(|server| server.expire_all_sessions());
    let echo: serde_json::Value = connection.get("/api/echo").send().unwrap().json().unwrap();
    assert_eq!(echo["method"], "GET");
    assert!(matches!(connection.close(), CloseOutcome::LoggedOut));
    assert_eq!(fake.server(|server| server.open_sessions()), 0);
}

#[test]
fn connection_that_is_dropped_is_logged_out_if_a_runtime_is_lent() {
    let time = VirtualTime::new();
    let fake = FakeTransport::new(server().build(), time.clone());
    let (stack, runtime) = (fake.clone(), time.clone());
    let send = move |request| {
        let stack = stack.clone();
        async move { Transport::send(&stack, request).await }
    };
    let transport = from_fn(timer(&time), send).detach_with(move |task| drop(runtime.spawn(task)));
    time.run(async {
        let connection = Connection::builder(fake.base_url())
            .standard("alice", "secret")
            .transport(transport)
            .connect()
            .await
            .unwrap();
        drop(connection);
    });
    time.run_until_idle();
    assert_eq!(fake.server(|server| server.open_sessions()), 0);
}

#[test]
fn a_blocking_connection_that_is_dropped_is_logged_out_on_a_thread_of_the_callers() {
    let fake = FakeTransport::new(server().build(), VirtualTime::new());
    let stack = fake.clone();
    let transport = blocking_from_fn(move |request| BlockingTransport::send(&stack, request));
    let transport = transport.detach_with(|job| std::thread::spawn(job).join().unwrap());
    let connection = blocking::Connection::builder(fake.base_url())
        .standard("alice", "secret")
        .blocking_transport(transport)
        .connect()
        .unwrap();
    assert_eq!(fake.server(|server| server.open_sessions()), 1);
    drop(connection);
    assert_eq!(fake.server(|server| server.open_sessions()), 0);
}

#[test]
fn an_error_of_the_contract_is_kept() {
    let time = VirtualTime::new();
    let send = |_| async { Err(TransportError::new(Kind::Tls).with_sent(Sent::No)) };
    for transport in both(&time, send) {
        let error = time.run(transport.send(request(&time, Body::empty()))).unwrap_err();
        assert_eq!((error.kind(), error.sent()), (Kind::Tls, Sent::No), "{transport:?}");
    }
    // However deep a layer has hidden it.
    let service = tower(at_once, |_| async {
        let error = TransportError::new(Kind::Tls).with_sent(Sent::No);
        Err::<Response<Body>, _>(BoxError::from(io::Error::other(io::Error::other(error))))
    });
    let transport = from_service(timer(&time), service);
    let error = time.run(transport.send(request(&time, Body::empty()))).unwrap_err();
    assert_eq!((error.kind(), error.sent()), (Kind::Tls, Sent::No));
}

#[test]
fn an_error_of_a_service_is_what_the_classifier_says() {
    let time = VirtualTime::new();
    let service = |kind: io::ErrorKind| {
        tower(at_once, move |_| async move {
            Err::<Response<Body>, _>(BoxError::from(io::Error::from(kind)))
        })
    };
    let send = |transport: SharedTransport| {
        time.run(transport.send(request(&time, Body::empty()))).unwrap_err()
    };
    let plain = from_service(timer(&time), service(io::ErrorKind::ConnectionRefused));
    let error = send(SharedTransport::new(plain.clone()));
    assert_eq!((error.kind(), error.sent()), (Kind::Interrupted, Sent::Maybe));
    assert_eq!(
        error.to_string(),
        "the connection ended early (waiting for an answer from host.example:443)"
    );
    assert!(TransportError::find_source::<io::Error>(&error).is_some());

    let refused = |error: &(dyn std::error::Error + 'static)| {
        let io = TransportError::find_source::<io::Error>(error)?;
        (io.kind() == io::ErrorKind::ConnectionRefused).then_some((Kind::Connect, Sent::No))
    };
    let error = send(SharedTransport::new(plain.classify(refused)));
    assert_eq!((error.kind(), error.sent()), (Kind::Connect, Sent::No));
    let other = from_service(timer(&time), service(io::ErrorKind::BrokenPipe)).classify(refused);
    let error = send(SharedTransport::new(other));
    assert_eq!((error.kind(), error.sent()), (Kind::Interrupted, Sent::Maybe));
}

#[test]
fn a_service_that_is_not_ready_has_sent_nothing() {
    let time = VirtualTime::new();
    let unreachable = |_| async { Err::<Response<Body>, BoxError>("called".into()) };
    let broken = tower(|| Poll::Ready(Err("no connection".into())), unreachable);
    let error = time.run(from_service(timer(&time), broken).send(request(&time, Body::empty())));
    let error = error.unwrap_err();
    assert_eq!((error.kind(), error.sent()), (Kind::Connect, Sent::No));

    let never = tower(|| Poll::Pending, unreachable);
    let error = time.run(from_service(timer(&time), never).send(request(&time, Body::empty())));
    let error = error.unwrap_err();
    assert_eq!((error.kind(), error.sent()), (Kind::Timeout, Sent::No));
    assert_eq!(time.elapsed(), LIMIT);
}

#[test]
fn at_the_deadline_the_stacks_future_is_dropped() {
    let time = VirtualTime::new();
    let dropped = Arc::new(AtomicBool::new(false));
    let note = Arc::clone(&dropped);
    let send = move |_| {
        let noted = Noted(Arc::clone(&note));
        async move {
            pending::<Infallible>().await;
            drop(noted);
            Err(TransportError::new(Kind::Canceled))
        }
    };
    for (index, transport) in both(&time, send).into_iter().enumerate() {
        dropped.store(false, Ordering::SeqCst);
        let error = time.run(transport.send(request(&time, Body::empty()))).unwrap_err();
        assert_eq!((error.kind(), error.sent()), (Kind::Timeout, Sent::Maybe));
        assert_eq!(time.elapsed(), LIMIT * (index as u32 + 1));
        assert!(dropped.load(Ordering::SeqCst));
        // So it is when the caller loses interest.
        dropped.store(false, Ordering::SeqCst);
        let mut sending = transport.send(request(&time, Body::empty()));
        time.run(async {
            let polled = futures_util::poll!(&mut sending);
            assert!(polled.is_pending());
        });
        assert!(!dropped.load(Ordering::SeqCst));
        drop(sending);
        assert!(dropped.load(Ordering::SeqCst));
    }
}

#[test]
fn requests_that_are_late_or_invalid_are_not_sent() {
    let time = VirtualTime::new();
    let sent = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&sent);
    let send = move |_| {
        counter.fetch_add(1, Ordering::SeqCst);
        async { Ok(Response::new(Body::empty())) }
    };
    let counter = Arc::clone(&sent);
    let blocking = blocking_from_fn(move |_| {
        counter.fetch_add(1, Ordering::SeqCst);
        Ok(Response::new(Body::empty()))
    });
    let blocking = blocking.on_timer(timer(&time));
    let outcomes = |make: &dyn Fn() -> Request<Body>| {
        let mut outcomes = vec![blocking.send(make()).unwrap_err()];
        for transport in both(&time, send.clone()) {
            outcomes.push(time.run(transport.send(make())).unwrap_err());
        }
        assert_eq!(sent.load(Ordering::SeqCst), 0);
        outcomes
    };

    let late = || {
        let mut request = request(&time, Body::empty());
        let mut context = RequestContext::default();
        context.deadline = Some(timer(&time).now());
        context.attach(&mut request);
        request
    };
    for error in outcomes(&late) {
        assert_eq!((error.kind(), error.sent()), (Kind::Timeout, Sent::No));
    }
    let elsewhere = || {
        let mut request = request(&time, Body::empty());
        *request.uri_mut() = "ftp://host.example/".parse().unwrap();
        request
    };
    for error in outcomes(&elsewhere) {
        assert_eq!((error.kind(), error.sent()), (Kind::Config, Sent::No));
    }
    let mislabelled = || {
        let mut request = request(&time, Body::from("four"));
        request.headers_mut().insert(CONTENT_LENGTH, HeaderValue::from_static("5"));
        request
    };
    for error in outcomes(&mislabelled) {
        assert_eq!((error.kind(), error.sent()), (Kind::Body, Sent::No), "{error}");
    }
}

#[test]
fn upload_that_fails_is_the_reason_for_every_error_of_the_stack() {
    let time = VirtualTime::new();
    let send = |request: Request<Body>| async move {
        let body = request.into_body().collect(usize::MAX).await;
        assert!(body.is_err());
        // Some stacks answer with a reset that has forgotten why.
        Err::<Response<Body>, _>(TransportError::new(Kind::Interrupted))
    };
    for transport in both(&time, send) {
        for (pieces, declared) in
            [(Pieces(vec!["half".into()], End::Regular), "8"), (Pieces(vec![], End::Fails), "4")]
        {
            let mut request = request(&time, Body::wrap(pieces));
            request.headers_mut().insert(CONTENT_LENGTH, HeaderValue::from_static(declared));
            let error = time.run(transport.send(request)).unwrap_err();
            assert_eq!((error.kind(), error.sent()), (Kind::Body, Sent::Maybe), "{error:?}");
        }
    }
    let blocking = blocking_from_fn(|request| {
        let mut body = request.into_body();
        let chunk = futures_util::FutureExt::now_or_never(body.chunk()).unwrap();
        assert!(chunk.is_err());
        Err(TransportError::new(Kind::Interrupted))
    });
    let request = Request::post("https://host.example/");
    let error = blocking.send(request.body(Body::wrap(Pieces(vec![], End::Fails))).unwrap());
    assert_eq!(error.unwrap_err().kind(), Kind::Body);
}

#[test]
fn a_body_in_memory_stays_in_one_piece() {
    let time = VirtualTime::new();
    let send = |request: Request<Body>| async move {
        assert_eq!(request.body().as_bytes(), Some(&Bytes::from("whole")));
        Ok(Response::new(Body::from("whole")))
    };
    for transport in both(&time, send) {
        let response = time.run(transport.send(request(&time, Body::from("whole")))).unwrap();
        assert_eq!(response.body().len_hint(), Some(5));
        assert_eq!(time.run(response.into_body().collect(5)).unwrap(), "whole");
    }
}

#[test]
fn a_body_that_stalls_is_ended() {
    let time = VirtualTime::new();
    let send = |_| async { Ok(Response::new(Body::wrap(Pieces(vec!["part".into()], End::Hangs)))) };
    for transport in both(&time, send) {
        let response = time.run(transport.send(request(&time, Body::empty()))).unwrap();
        let mut body = response.into_body();
        assert_eq!(time.run(body.chunk()).unwrap().unwrap(), "part");
        let before = time.elapsed();
        let error = time.run(body.chunk()).unwrap_err();
        assert_eq!((error.kind(), error.sent()), (Kind::Timeout, Sent::Maybe));
        assert_eq!(time.elapsed() - before, LIMIT);
    }
}

#[test]
fn a_services_body_that_fails_is_classified_as_well() {
    let time = VirtualTime::new();
    let service = tower(at_once, |_| async {
        Ok::<_, BoxError>(Response::new(Pieces(vec!["part".into()], End::Fails)))
    });
    let transport = from_service(timer(&time), service);
    let failure = |transport: SharedTransport| {
        let response = time.run(transport.send(request(&time, Body::empty()))).unwrap();
        time.run(response.into_body().collect(usize::MAX)).unwrap_err()
    };
    let error = failure(SharedTransport::new(transport.clone()));
    assert_eq!((error.kind(), error.sent()), (Kind::Interrupted, Sent::Maybe));
    assert!(error.to_string().contains("reading an answer from host.example:443"), "{error}");
    // There is an answer, so the request has left, whatever the classifier believes.
    let wrong = transport.classify(|_| Some((Kind::Protocol, Sent::No)));
    let error = failure(SharedTransport::new(wrong));
    assert_eq!((error.kind(), error.sent()), (Kind::Protocol, Sent::Maybe));
}

#[test]
fn a_blocking_closures_clock_is_the_systems_or_the_one_that_is_given() {
    let transport = blocking_from_fn(|_| Ok(Response::new(Body::empty())));
    let begun = transport.now();
    transport.sleep_until(begun);
    assert!(transport.now() >= begun);
    // In virtual time a timer stands still unless a task advances it.
    let time = VirtualTime::new();
    let transport = transport.on_timer(timer(&time));
    let begun = transport.now();
    time.advance(Duration::from_secs(3600));
    assert_eq!(transport.now(), begun + Duration::from_secs(3600));
    transport.sleep_until(begun);
}

#[test]
fn answer_that_breaks_off_is_interrupted_in_any_wrapper_of_its_body() {
    for (status, sends) in [(200, 1), (503, 3)] {
        let time = VirtualTime::new();
        let fake = FakeTransport::new(server().build(), time.clone());
        let (base, sent) = (fake.base_url().to_owned(), Arc::new(AtomicUsize::new(0)));
        let counted = Arc::clone(&sent);
        let transport = from_fn(timer(&time), move |request: Request<Body>| {
            let (fake, counted) = (fake.clone(), Arc::clone(&counted));
            async move {
                if !request.uri().path().ends_with("/api/echo") {
                    return Transport::send(&fake, request).await;
                }
                counted.fetch_add(1, Ordering::SeqCst);
                let body = Body::wrap(Pieces(vec!["part".into()], End::Fails));
                Ok(Response::builder().status(status).body(body).unwrap())
            }
        });
        let builder = Connection::builder(base).standard("alice", "secret").transport(transport);
        let error = time.run(async {
            let connection = builder.connect().await.unwrap();
            let read = async { connection.get("/api/echo").send().await?.bytes().await };
            let error = read.await.unwrap_err();
            connection.close().await;
            error
        });
        assert_eq!(error.kind(), ErrorKind::Interrupted, "{status}: {error}");
        assert_eq!((sent.load(Ordering::SeqCst), error.attempts()), (sends, sends as u32));
    }
}

/// A layer that counts requests and adds a header to each.
#[derive(Clone)]
struct Counting(TransportService, Arc<AtomicUsize>);

impl Service<Request<Body>> for Counting {
    type Response = Response<Body>;
    type Error = TransportError;
    type Future = <TransportService as Service<Request<Body>>>::Future;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), TransportError>> {
        self.0.poll_ready(cx)
    }

    fn call(&mut self, mut request: Request<Body>) -> Self::Future {
        self.1.fetch_add(1, Ordering::Relaxed);
        request.headers_mut().insert("x-layer", HeaderValue::from_static("was here"));
        self.0.call(request)
    }
}

#[test]
fn transport_with_layers_around_it_keeps_what_its_requests_are_told() {
    let time = VirtualTime::new();
    let fake =
        FakeTransport::new(server().fault("call:2:stall".parse().unwrap()).build(), time.clone());
    let counted = Arc::new(AtomicUsize::new(0));
    let layered = Counting(into_service(fake.clone()), Arc::clone(&counted));
    let (spawning, info) = (fake.clone(), Transport::info(&fake));
    let transport = from_service(timer(&time), layered)
        .named(info)
        .detach_with(move |task| Transport::detach(&spawning, task));
    time.run(async {
        let builder = Connection::builder(fake.base_url()).standard("alice", "secret");
        let connection = builder.transport(transport).connect().await.unwrap();
        let echo = connection.get("/api/echo").send().await.unwrap();
        let echo: serde_json::Value = echo.json().await.unwrap();
        assert_eq!(echo["headers"]["x-layer"], "was here");
        // The deadline reaches the transport inside.
        let late = connection.post("/api/echo").timeout(LIMIT).send().await.unwrap_err();
        assert_eq!(late.kind(), ErrorKind::Timeout);
        drop(connection);
    });
    time.run(time.sleep(LIMIT));
    assert_eq!(fake.server(|server| server.open_sessions()), 0, "logged out in the background");
    assert_eq!(counted.load(Ordering::Relaxed), fake.server(|server| server.journal().len()));
}
