//! The blocking driver: threads instead of tasks, the same machine.

#![expect(clippy::unwrap_used, reason = "this is test code")]

mod taking_over;

use std::io::Read;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use http::{Request, Response};
use mstr::blocking::{BlockOn, Connection};
use mstr::core::TransportInfo;
use mstr::{
    BlockingTransport, Body, CloseOutcome, ConnectionBuilder, Credentials, ErrorKind,
    SharedBlockingTransport, TransportError,
};
use mstr_fake::loopback::HttpServer;
use mstr_fake::{FakeTransport, Fault, Purpose, Server, ServerBuilder, VirtualTime};
use mstr_hyper::HyperTransport;
use mstr_hyper::blocking::HyperBlocking;
use mstr_suite::server;
use serde_json::Value;

const THREADS: usize = 64;

/// A running server and a blocking way to it.
struct World {
    base_url: String,
    transport: SharedBlockingTransport,
    face: Face,
}

enum Face {
    Memory(FakeTransport),
    Loopback(HttpServer),
}

impl World {
    fn in_memory(server: ServerBuilder) -> Self {
        let fake = FakeTransport::new(server.build(), VirtualTime::new());
        Self {
            base_url: fake.base_url().to_owned(),
            transport: SharedBlockingTransport::new(fake.clone()),
            face: Face::Memory(fake),
        }
    }

    fn loopback(server: ServerBuilder) -> Self {
        Self::loopback_over(server, HyperBlocking::new().unwrap())
    }

    fn loopback_over(server: ServerBuilder, transport: impl BlockingTransport) -> Self {
        let running = HttpServer::start(server.build()).unwrap();
        Self {
            base_url: running.base_url().to_owned(),
            transport: SharedBlockingTransport::new(transport),
            face: Face::Loopback(running),
        }
    }

    fn server<T>(&self, look: impl FnOnce(&mut Server) -> T) -> T {
        match &self.face {
            Face::Memory(fake) => fake.server(look),
            Face::Loopback(running) => running.server(look),
        }
    }

    fn builder(&self) -> ConnectionBuilder<SharedBlockingTransport> {
        self.builder_for(Credentials::standard("alice", "secret"))
    }

    fn builder_for(&self, credentials: Credentials) -> ConnectionBuilder<SharedBlockingTransport> {
        Connection::builder(&self.base_url)
            .credentials(credentials)
            .seed(7)
            .blocking_transport(self.transport.clone())
    }

    fn connect(&self) -> Connection {
        self.builder().connect().unwrap()
    }

    fn logins(&self) -> usize {
        self.count(Purpose::Login)
    }

    fn count(&self, purpose: Purpose) -> usize {
        self.server(|server| server.journal().count(purpose))
    }

    fn open_sessions(&self) -> usize {
        self.server(|server| server.open_sessions())
    }

    /// Waits until what happens in the background has happened.
    fn wait_until_closed(&self) {
        for _ in 0..200 {
            if self.open_sessions() == 0 {
                return;
            }
            self.transport.sleep_until(self.transport.now() + Duration::from_millis(10));
        }
        panic!("a session stays open");
    }
}

/// Makes a test of each case, in memory and over a socket.
macro_rules! on_both {
    ($($case:ident,)+) => {
        mod memory {
            $(#[test] fn $case() { super::$case(super::World::in_memory); })+
        }
        mod loopback {
            $(#[test] fn $case() { super::$case(super::World::loopback); })+
        }
    };
}

on_both! {
    a_body_is_read_as_a_stream,
    a_redirect_stays_within_the_origin,
    a_refused_login_gives_all_threads_the_same_error,
    a_scope_closes_even_if_its_body_panics,
    closing_is_final_and_idempotent,
    dropping_the_last_handle_logs_out,
    many_threads_that_meet_a_dead_session_cost_one_login,
    the_main_job,
    tokens_and_loans,
}

type Start = fn(ServerBuilder) -> World;

fn the_main_job(start: Start) {
    let world = start(server());
    let connection = world.builder().project_name("MicroStrategy Tutorial").connect().unwrap();
    assert_eq!(connection.project().unwrap().name, "MicroStrategy Tutorial");
    assert!(connection.fetch_server().unwrap().iserver_version.is_some());
    assert!(connection.fetch_user().unwrap().id.is_some());
    assert!(connection.fetch_projects().unwrap().len() > 1);
    let echo: Value = connection.get("/api/echo").send().unwrap().json().unwrap();
    assert_eq!(echo["project"], connection.project().unwrap().id.as_str());
    let other = connection.select_project("Platform Analytics").unwrap();
    let echo: Value = other.get("/api/echo").send().unwrap().json().unwrap();
    assert_eq!(echo["project"], other.project().unwrap().id.as_str());
    let plain: Value =
        connection.without_project().get("/api/echo").send().unwrap().json().unwrap();
    assert_eq!(plain["project"], Value::Null);

    world.server(|server| server.expire_all_sessions());
    connection.post("/api/echo").json(&[1, 2]).send().unwrap();
    assert_eq!(world.logins(), 2);
    connection.renew().unwrap();
    let unknown = connection.select_project("no such project").unwrap_err();
    assert_eq!(unknown.kind(), ErrorKind::ProjectUnavailable);
    assert!(matches!(connection.close(), CloseOutcome::LoggedOut));
    assert_eq!(world.open_sessions(), 0);
}

fn many_threads_that_meet_a_dead_session_cost_one_login(start: Start) {
    let world = start(server().latency(Duration::from_millis(5)));
    let connection = world.connect();
    for round in 1..=3 {
        world.server(|server| server.expire_all_sessions());
        thread::scope(|scope| {
            for number in 0..THREADS {
                let connection = connection.clone();
                scope.spawn(move || {
                    let response = connection.get("/api/echo").query(&[("n", number)]).send();
                    let echo: Value = response.unwrap().json().unwrap();
                    assert_eq!(echo["query"], format!("n={number}"));
                });
            }
        });
        assert_eq!(world.logins(), 1 + round);
    }
    assert_eq!(world.open_sessions(), 1);
    connection.close();
    assert_eq!(world.open_sessions(), 0);
    world.server(|server| assert_eq!(server.journal().mismatched_cookie_and_token(), 0));
}

fn a_refused_login_gives_all_threads_the_same_error(start: Start) {
    let world = start(server().latency(Duration::from_millis(5)));
    let connection = world.builder_for(Credentials::standard("alice", "wrong")).build().unwrap();
    let texts: std::collections::BTreeSet<String> = thread::scope(|scope| {
        let threads: Vec<_> = (0..THREADS)
            .map(|_| {
                let connection = connection.clone();
                scope.spawn(move || connection.get("/api/echo").send().unwrap_err())
            })
            .collect();
        threads
            .into_iter()
            .map(|thread| {
                let error = thread.join().unwrap();
                assert_eq!(error.kind(), ErrorKind::Credentials);
                error.to_string()
            })
            .collect()
    });
    assert_eq!(texts.len(), 1, "{texts:?}");
    assert_eq!(world.logins(), 1);
    assert_eq!(world.server(|server| server.logins_after_rejection()), 0);

    // It stays refused until it gets another password.
    assert!(connection.open().is_err());
    assert_eq!(world.logins(), 1);
    connection.reset_credentials(Some(Credentials::standard("alice", "secret")));
    connection.get("/api/echo").send().unwrap();
    connection.close();
}

fn closing_is_final_and_idempotent(start: Start) {
    let world = start(server());
    let connection = world.connect();
    let other = connection.clone();
    assert!(matches!(connection.close(), CloseOutcome::LoggedOut));
    assert!(matches!(other.close(), CloseOutcome::LoggedOut));
    assert_eq!(world.count(Purpose::Logout), 1);
    let requests = world.server(|server| server.journal().len());
    assert_eq!(other.get("/api/echo").send().unwrap_err().kind(), ErrorKind::Closed);
    assert_eq!(other.open().unwrap_err().kind(), ErrorKind::Closed);
    assert_eq!(other.renew().unwrap_err().kind(), ErrorKind::Closed);
    other.reset_credentials(None);
    assert_eq!(other.open().unwrap_err().kind(), ErrorKind::Closed);
    drop((connection, other));
    assert_eq!(world.server(|server| server.journal().len()), requests);

    let never_opened = world.builder().build().unwrap();
    assert!(matches!(never_opened.close(), CloseOutcome::NotOpen));
    let ended = world.connect();
    world.server(|server| server.expire_all_sessions());
    assert!(matches!(ended.close(), CloseOutcome::AlreadyEnded));
    world.server(|server| server.add_fault("logout:*:status=500".parse().unwrap()));
    assert!(matches!(world.connect().close(), CloseOutcome::Failed(_)));
}

fn a_scope_closes_even_if_its_body_panics(start: Start) {
    let world = start(server());
    let scope = world.connect().scope(|connection| connection.get("/api/echo").send()?.text());
    assert!(scope.unwrap().contains("GET"));
    assert_eq!(world.open_sessions(), 0);
    assert_eq!(world.connect().scope(|_| Err::<(), _>("no")), Err("no"));
    assert_eq!(world.open_sessions(), 0);
    let connection = world.connect();
    let second = connection.clone();
    let panicking = catch_unwind(AssertUnwindSafe(|| {
        connection.scope(|_| -> Result<(), ()> { panic!("in the body") })
    }));
    assert_eq!(panicking.unwrap_err().downcast_ref(), Some(&"in the body"));
    assert_eq!(world.open_sessions(), 0);
    assert_eq!(second.open().unwrap_err().kind(), ErrorKind::Closed);
}

fn dropping_the_last_handle_logs_out(start: Start) {
    let world = start(server());
    let connection = world.connect();
    let second = connection.clone();
    drop(connection);
    second.get("/api/echo").send().unwrap();
    assert_eq!(world.open_sessions(), 1);
    drop(second);
    world.wait_until_closed();
    assert_eq!(world.count(Purpose::Logout), 1);
}

fn a_body_is_read_as_a_stream(start: Start) {
    let world = start(server());
    let connection = world.connect();
    let size = 3 * 1024 * 1024 + 17;
    let path = format!("/api/blob?size={size}");
    let whole = connection.get(&path).send().unwrap().bytes().unwrap();
    assert_eq!(whole.len(), size);
    let mut streamed = Vec::new();
    let mut response = connection.get(&path).send().unwrap();
    let mut buffer = [0; 10_007];
    loop {
        let read = response.read(&mut buffer).unwrap();
        if read == 0 {
            break;
        }
        streamed.extend_from_slice(&buffer[..read]);
    }
    assert!(streamed == whole);

    // Bytes that have been read are not read again.
    let mut response = connection.get(&path).send().unwrap();
    response.read_exact(&mut buffer).unwrap();
    let rest = response.bytes().unwrap();
    assert!(buffer == whole[..buffer.len()] && rest == whole[buffer.len()..]);

    world.server(|server| server.add_fault("call:1:reset-mid-body".parse().unwrap()));
    let mut broken = connection.get(&path).send().unwrap();
    assert!(
        broken.read_to_end(&mut Vec::new()).is_err(),
        "a body that breaks off is not a short body"
    );
    connection.close();
}

fn a_redirect_stays_within_the_origin(start: Start) {
    let world = start(server());
    let connection = world.connect();
    let inside = connection.get("/api/redirect").query(&[("to", "/MicroStrategyLibrary/api/echo")]);
    let echo: Value = inside.send().unwrap().json().unwrap();
    assert_eq!(echo["path"], "/api/echo");
    let elsewhere = World::loopback(server());
    let to = format!("{}/api/echo", elsewhere.base_url);
    let outside = connection.get("/api/redirect").query(&[("to", &to)]).send();
    assert!(outside.is_err());
    assert!(connection.get(&to).send().is_err());
    assert!(elsewhere.server(|server| server.journal().is_empty()), "nothing was sent there");
    connection.close();
}

fn tokens_and_loans(start: Start) {
    let world = start(server());
    let connection = world.connect();
    let token = connection.create_identity_token().unwrap();
    assert!(connection.validate_identity_token(&token).unwrap().is_some());
    let borrowed = connection.delegate(token).unwrap();
    borrowed.get("/api/echo").send().unwrap();
    assert!(matches!(borrowed.close(), CloseOutcome::Kept));
    let created = connection.create_api_token(mstr::ApiTokenRequest::new()).unwrap();
    let by_token = world.builder_for(Credentials::api_token(created.token)).connect().unwrap();
    by_token.close();
    connection.revoke_api_token().unwrap();
    connection.close();
    assert_eq!(world.open_sessions(), 0);
}

/// Panics on demand, in the middle of a request.
#[derive(Debug)]
struct Panicking {
    inner: SharedBlockingTransport,
    armed: Arc<AtomicBool>,
}

impl BlockingTransport for Panicking {
    fn send(&self, request: Request<Body>) -> Result<Response<Body>, TransportError> {
        if request.uri().path().ends_with("/login") && self.armed.swap(false, Ordering::SeqCst) {
            // Others have the time to line up behind this thread.
            self.inner.sleep_until(self.inner.now() + Duration::from_millis(50));
            panic!("in the transport");
        }
        self.inner.send(request)
    }

    fn now(&self) -> Instant {
        self.inner.now()
    }

    fn sleep_until(&self, deadline: Instant) {
        self.inner.sleep_until(deadline);
    }

    fn send_detached(&self, request: Request<Body>) {
        self.inner.send_detached(request);
    }

    fn info(&self) -> TransportInfo {
        self.inner.info()
    }
}

#[test]
fn leader_that_panics_does_not_block_others() {
    for start in [World::in_memory as Start, World::loopback] {
        let world = start(server());
        let armed = Arc::new(AtomicBool::new(true));
        let transport = Panicking { inner: world.transport.clone(), armed: Arc::clone(&armed) };
        let connection = Connection::builder(&world.base_url)
            .standard("alice", "secret")
            .blocking_transport(transport)
            .build()
            .unwrap();
        let (panicked, canceled) = (AtomicUsize::new(0), AtomicUsize::new(0));
        thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    let call = || connection.get("/api/echo").send().map(drop);
                    match catch_unwind(AssertUnwindSafe(call)) {
                        Err(_) => drop(panicked.fetch_add(1, Ordering::SeqCst)),
                        Ok(Ok(())) => {}
                        Ok(Err(error)) => {
                            assert_eq!(error.kind(), ErrorKind::Canceled, "{error}");
                            canceled.fetch_add(1, Ordering::SeqCst);
                        }
                    }
                });
            }
        });
        assert_eq!(panicked.load(Ordering::SeqCst), 1);
        assert!(!armed.load(Ordering::SeqCst));
        connection.get("/api/echo").send().unwrap();
        assert_eq!(world.open_sessions(), 1);
        connection.close();
        assert_eq!(world.open_sessions(), 0);
    }
}

#[test]
fn the_total_timeout_covers_login_and_waits() {
    let world = World::in_memory(server());
    let connection = world.builder().build().unwrap();
    world.server(|server| server.add_fault("call:*:status=503,retry-after=40".parse().unwrap()));
    let begun = world.transport.now();
    let patience = Duration::from_secs(60);
    let error = connection.get("/api/echo").timeout(patience).send().unwrap_err();
    assert!(world.transport.now() - begun <= patience, "{error}");

    world.server(|server| {
        server.clear_faults();
        server.add_fault("call:*:stall".parse().unwrap());
    });
    let begun = world.transport.now();
    let patience = Duration::from_secs(5);
    let error = connection.get("/api/echo").timeout(patience).send().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Timeout);
    assert_eq!(world.transport.now() - begun, patience);
    world.server(|server| server.clear_faults());
    connection.get("/api/echo").send().unwrap();
    connection.close();
}

#[test]
fn the_total_timeout_holds_over_a_socket() {
    let stalled = "call:*:stall".parse::<Fault>().unwrap();
    let world = World::loopback(server().fault(stalled));
    let connection = world.connect();
    let begun = world.transport.now();
    let error = connection.get("/api/echo").timeout(Duration::from_millis(200)).send().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Timeout);
    let took = world.transport.now() - begun;
    assert!((Duration::from_millis(200)..Duration::from_secs(5)).contains(&took), "{took:?}");
    world.server(|server| server.clear_faults());
    connection.get("/api/echo").send().unwrap();
    connection.close();
}

#[test]
fn it_works_inside_a_runtime() {
    let world = World::loopback(server());
    for threads in [0, 2] {
        let mut builder = match threads {
            0 => tokio::runtime::Builder::new_current_thread(),
            _ => tokio::runtime::Builder::new_multi_thread(),
        };
        let runtime = builder.enable_all().build().unwrap();
        runtime.block_on(async {
            let transport = HyperBlocking::new().unwrap();
            let connection = Connection::builder(&world.base_url)
                .standard("alice", "secret")
                .blocking_transport(transport)
                .connect()
                .unwrap();
            connection.get("/api/echo").send().unwrap().bytes().unwrap();
            connection.close();
            // Transport and connection are dropped in here, too.
            drop(connection);
        });
    }
    assert_eq!(world.open_sessions(), 0);
}

#[test]
fn an_asynchronous_transport_serves_threads() {
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let inner = HyperTransport::builder().runtime(runtime.handle().clone()).build().unwrap();
    let world = World::loopback_over(server(), BlockOn::new(inner));
    let connection = world.connect();
    world.server(|server| server.expire_all_sessions());
    thread::scope(|scope| {
        for _ in 0..THREADS {
            scope.spawn(|| connection.get("/api/echo").send().unwrap().bytes().unwrap());
        }
    });
    assert_eq!(world.logins(), 2);
    let large = connection.get("/api/blob?size=1000000").send().unwrap().bytes().unwrap();
    assert_eq!(large.len(), 1_000_000);
    connection.close();
    assert_eq!(world.open_sessions(), 0);
}

#[test]
fn an_idle_hour_costs_one_login() {
    let world = World::in_memory(server());
    let connection = world.connect();
    world.transport.sleep_until(world.transport.now() + Duration::from_secs(3_600));
    assert_eq!(world.open_sessions(), 0, "the server has ended it");
    connection.get("/api/echo").send().unwrap();
    assert_eq!(world.logins(), 2);
    connection.close();
}
