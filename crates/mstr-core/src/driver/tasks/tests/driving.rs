//! The connection over a transport that does what a table says.

use std::collections::VecDeque;
use std::fmt;
use std::future::{Future, poll_fn};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::{Pin, pin};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use async_trait::async_trait;

use crate::contract::{BoxFuture, Sleep};
use crate::{
    Body, CloseOutcome, Connection, ErrorKind, RetryPolicy, SharedTimer, Timer, Transport,
    TransportError, TransportErrorKind,
};

const EXPIRED: &str = r#"{"code":"ERR009","message":"expired"}"#;

/// What the transport does with the next request to a path.
enum Reply {
    /// Answers with a status and a body.
    Answer(u16, &'static str),
    /// Answers with an error whose body trickles, a byte each 10 seconds.
    Endless,
    /// Opens a session, with a body that drips, a byte each 10 seconds.
    EndlessLogin,
    /// Nothing until [`Table::release`].
    Held,
    Panic,
    /// Redirects to the same path.
    Redirect,
    Refused,
}

#[derive(Default)]
struct Inner {
    replies: VecDeque<(&'static str, Reply)>,
    /// What has been sent: path, and the body's length if it is known.
    sent: Vec<(String, Option<u64>)>,
    held: bool,
    passed: Duration,
    detached: Vec<BoxFuture<'static, ()>>,
    /// Those to be told when something changes.
    wakers: Vec<Waker>,
}

/// A transport with a clock that only moves when told, or when something is waited for.
#[derive(Clone)]
struct Table {
    inner: Arc<Mutex<Inner>>,
    start: Instant,
}

impl fmt::Debug for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Table")
    }
}

impl Table {
    fn new(replies: impl IntoIterator<Item = (&'static str, Reply)>) -> Self {
        let replies = replies.into_iter().collect();
        #[expect(clippy::disallowed_methods, reason = "an arbitrary origin for virtual time")]
        let start = Instant::now();
        let inner = Arc::new(Mutex::new(Inner { replies, ..Inner::default() }));
        Self { inner, start }
    }

    fn with<T>(&self, look: impl FnOnce(&mut Inner) -> T) -> T {
        look(&mut self.inner.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn change(&self, change: impl FnOnce(&mut Inner)) {
        let wakers = self.with(|inner| {
            change(inner);
            std::mem::take(&mut inner.wakers)
        });
        wakers.into_iter().for_each(Waker::wake);
    }

    fn release(&self) {
        self.change(|inner| inner.held = false);
    }

    fn pass(&self, seconds: u64) {
        self.change(|inner| inner.passed += Duration::from_secs(seconds));
    }

    /// Ready when `done` says so.
    async fn until(&self, done: impl Fn(&Inner) -> bool) {
        poll_fn(|cx| {
            self.with(|inner| {
                inner.wakers.push(cx.waker().clone());
                if done(inner) { Poll::Ready(()) } else { Poll::Pending }
            })
        })
        .await;
    }

    fn paths(&self) -> Vec<String> {
        self.with(|inner| inner.sent.iter().map(|(path, _)| path.clone()).collect())
    }

    fn count(&self, path: &str) -> usize {
        self.paths().iter().filter(|sent| *sent == path).count()
    }

    fn connect(&self) -> Connection {
        self.connect_with(false)
    }

    fn connect_with(&self, checks: bool) -> Connection {
        Connection::builder("https://x.example/L")
            .standard("alice", "secret")
            .checks(checks)
            .seed(7)
            .retry(RetryPolicy::never())
            .transport(self.clone())
            .build()
            .unwrap()
    }
}

#[async_trait]
impl Transport for Table {
    async fn send(
        &self,
        request: http::Request<Body>,
    ) -> Result<http::Response<Body>, TransportError> {
        let path = request.uri().path().trim_start_matches("/L").to_owned();
        let reply = self.with(|inner| {
            inner.sent.push((path.clone(), request.body().len_hint()));
            let index = inner.replies.iter().position(|(expected, _)| *expected == path);
            index.and_then(|index| inner.replies.remove(index)).map(|(_, reply)| reply)
        });
        let response = http::Response::builder();
        match reply {
            None if path == "/api/auth/login" => {
                let response = response.status(204).header("X-MSTR-AuthToken", "t1");
                Ok(response.body(Body::empty()).unwrap())
            }
            None => Ok(response.status(204).body(Body::empty()).unwrap()),
            Some(Reply::Answer(status, body)) => {
                Ok(response.status(status).body(body.into()).unwrap())
            }
            Some(Reply::Endless) => {
                let body = Body::wrap(Trickle(self.clone()));
                Ok(response.status(500).body(body).unwrap())
            }
            Some(Reply::EndlessLogin) => {
                let body = Body::wrap(Drip { table: self.clone(), waited: false });
                Ok(response.header("X-MSTR-AuthToken", "dripping").body(body).unwrap())
            }
            Some(Reply::Held) => {
                self.with(|inner| inner.held = true);
                self.until(|inner| !inner.held).await;
                let response = response.status(204).header("X-MSTR-AuthToken", "held");
                Ok(response.body(Body::empty()).unwrap())
            }
            Some(Reply::Panic) => panic!("the transport panics"),
            Some(Reply::Redirect) => {
                let response = response.status(307).header("Location", format!("/L{path}"));
                Ok(response.body(Body::empty()).unwrap())
            }
            Some(Reply::Refused) => Err(TransportError::new(TransportErrorKind::Connect)),
        }
    }

    fn timer(&self) -> SharedTimer {
        SharedTimer::new(self.clone())
    }

    fn detach(&self, task: BoxFuture<'static, ()>) {
        self.with(|inner| inner.detached.push(task));
    }
}

impl Timer for Table {
    fn now(&self) -> Instant {
        self.start + self.with(|inner| inner.passed)
    }

    fn sleep_until(&self, deadline: Instant) -> Sleep {
        let table = self.clone();
        let passed = deadline.saturating_duration_since(self.start);
        Box::pin(async move { table.until(|inner| inner.passed >= passed).await })
    }
}

/// A body that never ends and is never idle for long.
struct Trickle(Table);

impl http_body::Body for Trickle {
    type Data = bytes::Bytes;
    type Error = TransportError;

    fn poll_frame(
        self: Pin<&mut Self>,
        _cx: &mut Context<'_>,
    ) -> Poll<Option<Result<http_body::Frame<bytes::Bytes>, TransportError>>> {
        self.0.pass(10);
        Poll::Ready(Some(Ok(http_body::Frame::data(bytes::Bytes::from_static(b"x")))))
    }
}

/// The same, and each byte is waited for.
struct Drip {
    table: Table,
    waited: bool,
}

impl http_body::Body for Drip {
    type Data = bytes::Bytes;
    type Error = TransportError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<http_body::Frame<bytes::Bytes>, TransportError>>> {
        self.waited = !self.waited;
        if self.waited {
            self.table.pass(10);
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        Poll::Ready(Some(Ok(http_body::Frame::data(bytes::Bytes::from_static(b"x")))))
    }
}

fn poll<F: Future>(future: Pin<&mut F>) -> Poll<F::Output> {
    future.poll(&mut Context::from_waker(Waker::noop()))
}

/// Polls until it is ready, which in this world is soon.
fn run<F: Future>(future: F) -> F::Output {
    let mut future = pin!(future);
    for _ in 0..100 {
        if let Poll::Ready(output) = poll(future.as_mut()) {
            return output;
        }
    }
    panic!("still pending");
}

#[test]
fn a_login_dropped_half_way_is_resumed_by_the_next_caller() {
    let table = Table::new([("/api/auth/login", Reply::Held)]);
    let connection = table.connect();
    for _ in 0..5 {
        assert!(poll(pin!(connection.open()).as_mut()).is_pending());
    }
    table.release();
    run(connection.open()).unwrap();
    assert_eq!(table.count("/api/auth/login"), 1);
    assert_eq!(connection.expose_token().as_deref(), Some("held"));
}

#[test]
fn an_abandoned_login_does_not_keep_the_connection_alive() {
    let table = Table::new([("/api/auth/login", Reply::Held)]);
    let connection = table.connect();
    assert!(poll(pin!(connection.open()).as_mut()).is_pending());
    let shared = Arc::downgrade(&connection.0.core);
    assert_eq!(shared.strong_count(), 2, "the handle and its guard");
    drop(connection);
    // What is left is the task that closes: without it, nothing is.
    assert_eq!(shared.strong_count(), 1);
    let tasks = table.with(|inner| std::mem::take(&mut inner.detached));
    assert_eq!(tasks.len(), 1);
    drop(tasks);
    assert_eq!(shared.strong_count(), 0);
}

#[test]
fn the_session_of_a_login_that_was_abandoned_is_closed_in_the_background() {
    let table = Table::new([("/api/auth/login", Reply::Held)]);
    let connection = table.connect();
    assert!(poll(pin!(connection.open()).as_mut()).is_pending());
    drop(connection);
    table.release();
    for task in table.with(|inner| std::mem::take(&mut inner.detached)) {
        run(task);
    }
    assert_eq!(table.paths(), ["/api/auth/login", "/api/auth/logout"]);
}

#[test]
fn everyone_who_waits_for_a_login_receives_its_error() {
    let table = Table::new([("/api/auth/login", Reply::Held), ("/api/auth/login", Reply::Refused)]);
    let connection = table.connect();
    let mut calls: Vec<_> = (0..20)
        .map(|_| {
            let connection = connection.clone();
            Box::pin(async move { connection.open().await })
        })
        .collect();
    assert!(calls.iter_mut().all(|call| poll(call.as_mut()).is_pending()));
    // The first login is given up at its deadline, with no second attempt allowed.
    table.pass(61);
    for call in &mut calls {
        let Poll::Ready(Err(error)) = poll(call.as_mut()) else { panic!("still waiting") };
        assert_eq!(error.kind(), ErrorKind::Timeout);
    }
    assert_eq!(table.count("/api/auth/login"), 1, "and nobody has begun anew on the quiet");
    assert_eq!(run(connection.open()).unwrap_err().kind(), ErrorKind::Connect);
    run(connection.open()).unwrap();
}

#[test]
fn a_transport_that_panics_does_not_take_the_connection_with_it() {
    let table = Table::new([("/api/auth/login", Reply::Panic)]);
    let connection = table.connect();
    let panicked = catch_unwind(AssertUnwindSafe(|| run(connection.open())));
    assert!(panicked.is_err());
    run(connection.open()).unwrap();
    assert_eq!(table.count("/api/auth/login"), 2);

    // During the first checks: the session is left, and the next call begins anew.
    let checked = table.connect_with(true);
    table.with(|inner| inner.replies.push_back(("/api/sessions", Reply::Panic)));
    assert!(catch_unwind(AssertUnwindSafe(|| run(checked.open()))).is_err());
    run(checked.open()).unwrap();
    assert_eq!(table.count("/api/auth/login"), 4);
    assert_eq!(table.count("/api/auth/logout"), 1);

    // In a renewal and in a logout too.
    table.with(|inner| inner.replies.push_back(("/api/sessions", Reply::Panic)));
    assert!(catch_unwind(AssertUnwindSafe(|| run(connection.renew()))).is_err());
    run(connection.renew()).unwrap();
    table.with(|inner| inner.replies.push_back(("/api/auth/logout", Reply::Panic)));
    assert!(catch_unwind(AssertUnwindSafe(|| run(connection.close()))).is_err());
    assert!(matches!(run(connection.close()), CloseOutcome::Failed(_)));
}

#[test]
fn those_who_wait_while_another_s_poll_panics_are_told() {
    let table = Table::new([("/api/auth/login", Reply::Held), ("/api/sessions", Reply::Panic)]);
    let connection = Connection::builder("https://x.example/L")
        .standard("alice", "secret")
        .transport(table.clone())
        .build()
        .unwrap();
    let mut waiting = pin!(connection.open());
    assert!(poll(waiting.as_mut()).is_pending());
    table.release();
    let leader = catch_unwind(AssertUnwindSafe(|| run(connection.open())));
    assert!(leader.is_err());
    let Poll::Ready(Err(error)) = poll(waiting.as_mut()) else { panic!("still waiting") };
    assert_eq!(error.kind(), ErrorKind::Canceled);
    assert!(run(connection.close()).is_ended());
}

impl CloseOutcome {
    /// Whether nothing is left on the server.
    fn is_ended(&self) -> bool {
        matches!(self, Self::AlreadyEnded | Self::LoggedOut | Self::NotOpen)
    }
}

#[test]
fn what_was_given_up_before_it_was_begun_is_never_sent() {
    let table = Table::new([]);
    let connection = table.connect();
    {
        // Asked for, and not yet begun by anyone.
        let mut locked = connection.0.core.lock();
        let access = locked.session.request_access(table.now());
        assert!(matches!(access, crate::session::Access::Pending));
        connection.0.core.flush(&mut locked);
    }
    connection.reset_credentials(Some(crate::Credentials::standard("bob", "other")));
    run(connection.open()).unwrap();
    for task in table.with(|inner| std::mem::take(&mut inner.detached)) {
        run(task);
    }
    assert_eq!(table.count("/api/auth/login"), 1, "as alice, nobody logs in");
}

#[test]
fn a_body_that_can_be_sent_once_is_not_sent_empty_after_a_redirect() {
    let table = Table::new([("/api/echo", Reply::Redirect)]);
    let connection = table.connect();
    let once = || Body::wrap(Body::from("a stream"));
    let error = run(connection.post("/api/echo").body(once()).send()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Redirect);
    assert_eq!(table.count("/api/echo"), 1);

    table.with(|inner| inner.replies.push_back(("/api/echo", Reply::Redirect)));
    run(connection.post("/api/echo").body("bytes").send()).unwrap();
    let sent = table.with(|inner| inner.sent.last().cloned());
    assert_eq!(sent, Some(("/api/echo".into(), Some(5))), "the whole body again");
}

#[test]
fn an_error_whose_body_never_ends_ends_with_the_call() {
    let table = Table::new([("/api/echo", Reply::Endless)]);
    let connection = table.connect();
    let call = connection.get("/api/echo").timeout(Duration::from_secs(60)).send();
    let error = run(call).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Timeout);
    let passed = table.with(|inner| inner.passed);
    assert!(passed < Duration::from_secs(100), "{passed:?}");
}

#[test]
fn a_login_whose_body_drips_is_read_no_longer_than_it_is_awaited() {
    let table = Table::new([("/api/auth/login", Reply::EndlessLogin)]);
    let connection = table.connect();
    run(connection.open()).unwrap();
    assert_eq!(connection.expose_token().as_deref(), Some("dripping"));
    assert_eq!(table.count("/api/auth/login"), 1);
    let passed = table.with(|inner| inner.passed);
    assert!(passed <= Duration::from_secs(70), "{passed:?}");
}

#[test]
fn a_limit_of_for_ever_is_a_limit() {
    let connection = Table::new([]).connect();
    let for_ever = crate::Timeouts::new().attempt(Duration::MAX).total(Some(Duration::MAX));
    run(connection.get("/api/echo").timeouts(for_ever).send()).unwrap();
}

#[test]
fn a_sign_in_page_is_no_word_about_the_session() {
    for (body, expired) in [(EXPIRED, true), ("", false), ("<html>sign in</html>", false)] {
        let table = Table::new([]);
        let connection = table.connect();
        run(connection.open()).unwrap();
        table.with(|inner| inner.replies.push_back(("/api/sessions", Reply::Answer(401, body))));
        let status = run(connection.fetch_status());
        assert_eq!(status.is_ok(), expired, "{body}: {status:?}");
        assert_eq!(connection.expose_token().is_none(), expired, "{body}");
    }
}
