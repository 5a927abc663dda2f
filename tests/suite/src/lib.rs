//! Where tests run: the same server model in memory and in virtual time, or on a socket.
//!
//! A test of the end-to-end [suite](cases) is written once, against a [`Lab`], and runs on every face
//! of the fake server.
#![forbid(unsafe_code)]
#![allow(missing_docs, reason = "not published")]
#![expect(
    clippy::unwrap_used,
    clippy::exhaustive_enums,
    clippy::exhaustive_structs,
    reason = "this is test code"
)]

pub mod at_once;
pub mod backends;
pub mod cases;
pub mod cores;
pub mod counted;
pub mod figures;
pub mod matrix;
pub mod stack;

use std::future::Future;
use std::sync::Arc;

use mstr::{Connection, ConnectionBuilder, Credentials, LoginMode, SharedTransport};
use mstr_fake::loopback::HttpServer;
use mstr_fake::{Clock, FakeTransport, Server, ServerBuilder, TokioTime, VirtualTime};
pub use stack::Stack;

/// Where the servers of a test run.
#[derive(Clone, Debug)]
pub enum Lab {
    Memory(VirtualTime),
    /// In memory as well, on the clock of a tokio runtime.
    Tokio(TokioTime),
    Loopback(Stack),
}

impl Lab {
    /// Runs a test in memory and in virtual time.
    pub fn in_memory<F: Future<Output = ()> + 'static>(test: impl FnOnce(Self) -> F) {
        let time = VirtualTime::new();
        time.run(test(Self::Memory(time.clone())));
        time.run_until_idle();
    }

    /// Runs a test in memory and on tokio's clock, paused, as `#[tokio::test]` does.
    #[cfg(feature = "paused")]
    pub fn on_tokio<F: Future<Output = ()>>(test: impl FnOnce(Self) -> F) {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .start_paused(true)
            .build()
            .unwrap();
        runtime.block_on(async { test(Self::Tokio(TokioTime::current())).await });
    }

    /// Runs a test over sockets and mstr-hyper.
    pub fn loopback<F: Future<Output = ()>>(test: impl FnOnce(Self) -> F) {
        Self::over(Stack::Hyper, test);
    }

    /// Runs a test over sockets.
    pub fn over<F: Future<Output = ()>>(stack: Stack, test: impl FnOnce(Self) -> F) {
        stack.block_on(async { test(Self::Loopback(stack)).await });
    }

    /// Starts a server.
    pub fn start(&self, server: ServerBuilder) -> World {
        match self {
            Self::Memory(time) => Self::in_process(server, time.clone()),
            Self::Tokio(time) => Self::in_process(server, time.clone()),
            Self::Loopback(stack) => {
                let (running, transport) = stack.start(server);
                let base_url = running.base_url().to_owned();
                World { base_url, transport, face: Face::Loopback(running) }
            }
        }
    }

    fn in_process(server: ServerBuilder, time: impl Into<Clock>) -> World {
        let fake = FakeTransport::new(server.build(), time);
        World {
            base_url: fake.base_url().to_owned(),
            transport: SharedTransport::new(fake.clone()),
            face: Face::Memory(fake),
        }
    }

    pub fn is_virtual(&self) -> bool {
        matches!(self, Self::Memory(_) | Self::Tokio(_))
    }
}

/// A running server and a way to it.
#[derive(Clone, Debug)]
pub struct World {
    pub base_url: String,
    pub transport: SharedTransport,
    face: Face,
}

#[derive(Clone, Debug)]
enum Face {
    Memory(FakeTransport),
    Loopback(Arc<HttpServer>),
}

impl World {
    /// Looks at the server, or changes it.
    pub fn server<T>(&self, look: impl FnOnce(&mut Server) -> T) -> T {
        match &self.face {
            Face::Memory(fake) => fake.server(look),
            Face::Loopback(running) => running.server(look),
        }
    }

    /// A connection as alice, to be described further.
    pub fn builder(&self) -> ConnectionBuilder<SharedTransport> {
        self.builder_for(Credentials::standard("alice", "secret"))
    }

    pub fn builder_for(&self, credentials: Credentials) -> ConnectionBuilder<SharedTransport> {
        Connection::builder(&self.base_url)
            .credentials(credentials)
            .seed(7)
            .transport(self.transport.clone())
    }

    pub async fn connect(&self) -> Connection {
        self.builder().connect().await.unwrap()
    }

    pub fn open_sessions(&self) -> usize {
        self.server(|server| server.open_sessions())
    }

    pub fn count(&self, purpose: mstr_fake::Purpose) -> usize {
        self.server(|server| server.journal().count(purpose))
    }

    pub fn logins(&self) -> usize {
        self.count(mstr_fake::Purpose::Login)
    }
}

/// A server where alice's password is "secret".
pub fn server() -> ServerBuilder {
    Server::builder().user("alice", "secret")
}

/// Every mode there is: the numbers of the REST API are powers of two.
pub fn login_modes() -> Vec<LoginMode> {
    (0..u32::BITS).filter_map(|bit| LoginMode::try_from(1 << bit).ok()).collect()
}

/// Fails for a list of credentials that a login mode is missing in.
pub fn assert_every_login_mode(credentials: &[Credentials]) {
    for mode in login_modes() {
        let found = credentials.iter().any(|one| one.login_mode() == Some(mode));
        assert!(found, "no credentials in this list log in as \"{mode}\"");
    }
}

/// The examples of the documents are compiled, and run where they say so.
#[cfg(doctest)]
mod documents {
    // The migration guide has a line about logs.
    use tracing_subscriber as _;

    #[doc = include_str!("../../../docs/from-mstrio.md")]
    struct MigrationGuide;

    #[doc = include_str!("../../../docs/from-rest.md")]
    struct FromRest;

    #[doc = include_str!("../../../README.md")]
    struct Readme;

    #[doc = include_str!("../../../crates/mstr/README.md")]
    struct ReadmeOfTheFacade;

    #[doc = include_str!("../../../docs/testing.md")]
    struct Testing;

    #[doc = include_str!("../../../docs/timeline.md")]
    struct TimelineGuide;

    #[doc = include_str!("../../../docs/transports.md")]
    struct Transports;
}
