//! What a warm call costs, and that both drivers carry out whatever a call's machine asks for.

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, Waker};
use std::time::Instant;

use async_trait::async_trait;
use http::{Request, Response};

use super::core::{Core, Driver, locks};
use super::handle::Handle;
use super::{tasks, threads};
use crate::builder::{ConnectionBuilder, Prepared};
use crate::contract::{
    BlockingTransport, Body, SharedBlockingTransport, SharedTimer, SharedTransport, Sleep, Timer,
    Transport, TransportError,
};
use crate::protocol::{BaseUrl, Credentials};
use crate::retry::RetryPolicy;
use crate::session::{Session, SessionConfig};
use crate::timeouts::Timeouts;
use crate::{Connection, blocking};

/// Answers everything at once, and counts how often it is asked for the time.
#[derive(Debug)]
struct AtOnce {
    clock: Arc<Clock>,
}

#[derive(Debug)]
struct Clock {
    now: Instant,
    asked: AtomicUsize,
}

impl Timer for Clock {
    fn now(&self) -> Instant {
        self.asked.fetch_add(1, Ordering::Relaxed);
        self.now
    }

    fn sleep_until(&self, _: Instant) -> Sleep {
        Box::pin(async {})
    }
}

impl AtOnce {
    fn new() -> Self {
        #[expect(clippy::disallowed_methods, reason = "an arbitrary origin for virtual time")]
        let now = Instant::now();
        Self { clock: Arc::new(Clock { now, asked: AtomicUsize::new(0) }) }
    }

    fn answer(request: &Request<Body>) -> Response<Body> {
        let response = Response::builder().status(200);
        let response = match request.uri().path() {
            "/L/api/auth/login" => response.header("X-MSTR-AuthToken", "t0k3n"),
            _ => response,
        };
        response.body(Body::from("{}")).unwrap()
    }
}

#[async_trait]
impl Transport for AtOnce {
    async fn send(&self, request: Request<Body>) -> Result<Response<Body>, TransportError> {
        Ok(Self::answer(&request))
    }

    fn timer(&self) -> SharedTimer {
        SharedTimer::from(Arc::clone(&self.clock))
    }
}

impl BlockingTransport for AtOnce {
    fn send(&self, request: Request<Body>) -> Result<Response<Body>, TransportError> {
        Ok(Self::answer(&request))
    }

    fn now(&self) -> Instant {
        self.clock.now()
    }

    fn sleep_until(&self, _: Instant) {}
}

fn ready<T>(future: impl Future<Output = T>) -> T {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(output) => output,
        Poll::Pending => panic!("pending, over a transport that answers at once"),
    }
}

fn builder() -> ConnectionBuilder {
    ConnectionBuilder::new("https://env.example.com/L").standard("alice", "secret").checks(false)
}

/// Two locks: to be granted access, and to tell what the response says. Two looks at the clock:
/// when the call begins and when its answer has come.
fn is_cheap(clock: &Clock, call: impl Fn()) {
    call();
    let (locked, asked) = (locks::taken(), clock.asked.load(Ordering::Relaxed));
    call();
    assert_eq!(locks::taken() - locked, 2, "locks");
    assert_eq!(clock.asked.load(Ordering::Relaxed) - asked, 2, "looks at the clock");
}

#[test]
fn warm_call_of_a_task_takes_the_session_s_lock_twice() {
    let transport = AtOnce::new();
    let clock = Arc::clone(&transport.clock);
    let connection: Connection = ready(builder().transport(transport).connect()).unwrap();
    is_cheap(&clock, || drop(ready(connection.get("/api/x").send()).unwrap()));
}

#[test]
fn warm_call_of_a_thread_takes_the_session_s_lock_twice() {
    let transport = AtOnce::new();
    let clock = Arc::clone(&transport.clock);
    let connection: blocking::Connection =
        builder().blocking_transport(transport).connect().unwrap();
    is_cheap(&clock, || drop(connection.get("/api/x").send().unwrap()));
}

/// A connection that wants of each call and exchange whatever a machine can ask for.
fn demanding<D: Driver>(transport: D::Transport) -> Handle<D> {
    let base = BaseUrl::parse("https://env.example.com/L").unwrap();
    let config = SessionConfig::new(base).checks(false).front_headers(true).records(true);
    let mut core = Core::new(Prepared {
        session: Session::new(config, Some(Credentials::standard("alice", "secret"))).unwrap(),
        transport,
        provider: None,
        front: None,
        timeouts: Timeouts::new(),
        retry: RetryPolicy::new(),
        seed: 7,
        timeline: 16,
    });
    Arc::get_mut(&mut core).unwrap().wants.place = true;
    Handle::new(core)
}

#[test]
fn drivers_answer_whatever_the_machines_ask_for() {
    let connection = tasks::Connection(demanding(SharedTransport::new(AtOnce::new())));
    for _ in 0..2 {
        assert_eq!(ready(connection.get("/api/x").send()).unwrap().status(), 200);
    }
    ready(connection.close());
    let transport = SharedBlockingTransport::new(AtOnce::new());
    let connection = threads::Connection(demanding(transport));
    for _ in 0..2 {
        assert_eq!(connection.get("/api/x").send().unwrap().status(), 200);
    }
    connection.close();
}
