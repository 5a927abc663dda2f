//! A model of the Strategy One (MicroStrategy) session server, for tests.
//!
//! One sans-IO [`Server`] holds users, sessions, projects, faults and a journal. It has three
//! faces:
//!
//! - [`Server::handle`] itself, for tests that drive a session machine by hand;
//! - [`FakeTransport`], an in-memory transport in [virtual time](VirtualTime): an hour passes in
//!   a microsecond, and ten thousand tasks fit in a test;
//! - with the feature `loopback`, [`loopback::HttpServer`] and the program `mstr-fake`, for
//!   clients in any language.
//!
//! It is not a server for production data, and it knows nothing but sessions, projects and a few
//! endpoints to call. It is test support: it may change in minor versions.
//!
//! ```
//! use mstr_core::Connection;
//! use mstr_fake::{FakeTransport, Server, VirtualTime};
//!
//! let time = VirtualTime::new();
//! let server = Server::builder().user("alice", "secret").build();
//! let fake = FakeTransport::new(server, time.clone());
//! time.run({
//!     let fake = fake.clone();
//!     async move {
//!         let connection = Connection::builder(fake.base_url())
//!             .standard("alice", "secret")
//!             .transport(fake.clone())
//!             .connect()
//!             .await
//!             .unwrap();
//!         fake.server(|server| server.expire_all_sessions());
//!         connection.get("/api/echo").send().await.unwrap();
//!         connection.close().await;
//!     }
//! });
//! assert_eq!(fake.server(|server| server.open_sessions()), 0);
//! ```
#![forbid(unsafe_code)]

#[cfg(feature = "loopback")]
pub mod conformance;
mod double;
#[cfg(feature = "loopback")]
pub mod loopback;
mod server;
mod time;
mod transport;

pub use double::{CaptureTransport, Captured, NeverTransport, ReplayTransport};
pub use server::{
    Entry, Fault, Journal, ParseFaultError, Purpose, Reply, ReplyBody, Server, ServerBuilder,
    SocketFault,
};
pub use time::{Task, VirtualTime};
pub use transport::FakeTransport;
