//! The code of others that is called from within: it may look at the connection.

use std::cell::RefCell;
use std::fmt;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll, Wake, Waker};

use mstr::core::{BoxFuture, SharedTimer};
use mstr::{Body, Connection, Credentials, Error, RetryPolicy, Transport, TransportError};
use mstr_fake::{FakeTransport, VirtualTime};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::SubscriberExt;

use crate::rig::{Rig, on_both, server};

/// Looks at a connection whenever it is called.
struct Looking {
    rig: OnceLock<Rig>,
    called: AtomicUsize,
}

impl Looking {
    fn new() -> Arc<Self> {
        Arc::new(Self { rig: OnceLock::new(), called: AtomicUsize::new(0) })
    }

    fn look(&self) {
        if let Some(rig) = self.rig.get() {
            assert!(!rig.describe().is_empty());
            self.called.fetch_add(1, Ordering::Relaxed);
        }
    }
}

impl Wake for Looking {
    fn wake(self: Arc<Self>) {
        self.look();
    }
}

struct Log(Arc<Looking>);

impl<S: tracing::Subscriber> Layer<S> for Log {
    fn on_event(&self, _: &tracing::Event<'_>, _: tracing_subscriber::layer::Context<'_, S>) {
        self.0.look();
    }
}

/// Opens, loses, resets and closes.
fn live(rig: &Rig) {
    rig.open().unwrap();
    rig.server(|server| server.expire_all_sessions());
    rig.get("/api/echo").unwrap();
    rig.reset(Some(Credentials::standard("bob", "hidden")));
    rig.get("/api/echo").unwrap();
    rig.close();
}

#[test]
fn waker_of_a_subscriber_may_look_at_the_connection() {
    on_both(|driver| {
        let looking = Looking::new();
        drop(looking.rig.set(driver.open(server())));
        let rig = looking.rig.get().unwrap();
        let mut events = rig.events();
        let waker = Waker::from(Arc::clone(&looking));
        let poll = events.poll_next(&mut Context::from_waker(&waker));
        assert!(matches!(poll, Poll::Pending));
        live(rig);
        assert!(looking.called.load(Ordering::Relaxed) > 0);
    });
}

#[test]
fn subscriber_of_tracing_may_look_at_the_connection() {
    // Of a single subscriber tracing asks the thread that is the first to meet an event, and the thread
    // of another test has none.
    let second = tracing::Dispatch::new(tracing_subscriber::registry());
    on_both(|driver| {
        let looking = Looking::new();
        let log = tracing_subscriber::registry().with(Log(Arc::clone(&looking)));
        tracing::subscriber::with_default(log, || {
            drop(looking.rig.set(driver.open(server())));
            live(looking.rig.get().unwrap());
        });
        assert!(looking.called.load(Ordering::Relaxed) > 0);
    });
    drop(second);
}

thread_local! {
    /// The connection that the predicate looks at: a function pointer holds no state.
    static LOOKING: RefCell<Option<Arc<Looking>>> = const { RefCell::new(None) };
}

#[test]
fn predicate_of_a_policy_may_look_at_the_connection() {
    fn looks(_: &Error, passes: bool) -> bool {
        LOOKING.with_borrow(|looking| looking.iter().for_each(|looking| looking.look()));
        passes
    }
    on_both(|driver| {
        let looking = Looking::new();
        LOOKING.set(Some(Arc::clone(&looking)));
        let failing = server().fault("call:1:status=503".parse().unwrap());
        drop(looking.rig.set(driver.open(failing)));
        let rig = looking.rig.get().unwrap();
        rig.retrying(RetryPolicy::new().when(looks), "/api/echo").unwrap();
        assert_eq!(looking.called.load(Ordering::Relaxed), 1);
        LOOKING.take();
    });
}

/// A transport that looks at the connection over it when it is lent a task.
struct Detaching {
    fake: FakeTransport,
    connection: OnceLock<Connection>,
    called: AtomicUsize,
}

impl fmt::Debug for Detaching {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Detaching")
    }
}

#[async_trait::async_trait]
impl Transport for Detaching {
    async fn send(
        &self,
        request: http::Request<Body>,
    ) -> Result<http::Response<Body>, TransportError> {
        self.fake.send(request).await
    }

    fn timer(&self) -> SharedTimer {
        Transport::timer(&self.fake)
    }

    fn detach(&self, task: BoxFuture<'static, ()>) {
        if let Some(connection) = self.connection.get() {
            assert!(!format!("{connection:?}").is_empty());
            self.called.fetch_add(1, Ordering::Relaxed);
        }
        self.fake.detach(task);
    }
}

#[test]
fn transport_that_is_lent_a_task_may_look_at_the_connection() {
    let time = VirtualTime::new();
    let fake = FakeTransport::new(server().build(), time.clone());
    let url = fake.base_url().to_owned();
    let transport =
        Arc::new(Detaching { fake, connection: OnceLock::new(), called: AtomicUsize::new(0) });
    let builder = Connection::builder(url).standard("alice", "secret");
    let connection = builder.transport(Arc::clone(&transport)).build().unwrap();
    drop(transport.connection.set(connection.clone()));
    time.run(async {
        connection.open().await.unwrap();
        // The session in use is logged out in the background.
        connection.reset_credentials(Some(Credentials::standard("bob", "hidden")));
        connection.open().await.unwrap();
        connection.close().await;
    });
    assert_eq!(transport.called.load(Ordering::Relaxed), 1);
}
