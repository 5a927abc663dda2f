//! A model of the Strategy One (MicroStrategy) session server, for tests.
//!
//! It serves tests of programs that use [`mstr`](https://docs.rs/mstr-sdk), of transports for it, and of
//! clients of that API in any language. One sans-IO [`Server`] holds users and login modes, sessions
//! with tokens and cookies, idle timeouts, limits, projects, faults on demand and a journal with
//! oracles. It has three faces:
//!
//! - [`Server::handle`] itself, for tests that drive a session machine by hand;
//! - [`FakeTransport`], an in-memory transport in [virtual time](VirtualTime): an hour passes in
//!   a microsecond, and ten thousand tasks fit in a test; or, under `#[tokio::test]`, on tokio's
//!   clock (`TokioTime`, feature `tokio`);
//! - with the feature `loopback`, [`loopback::HttpServer`] and the program `mstr-fake`, for
//!   clients in any language.
//!
//! ```
//! use mstr_core::Connection;
//! # mod mstr { pub use mstr_fake as fake; }
//! use mstr::fake::{FakeTransport, Server, VirtualTime};
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
//!
//! It is not a server for production data. It knows only sessions, projects and a few endpoints to
//! call. It is test support: it may change in minor versions.
//!
//! # Endpoints of your own
//!
//! To test a function that calls the API, add the endpoints that it calls. An [`Endpoint`] is asked after the
//! server's own checks: after [faults](Fault), session and project, in the order that
//! [`Fault`] documents. So a test meets the end of a session in its middle:
//!
//! ```
//! use mstr_core::{Connection, Error};
//! # mod mstr { pub use mstr_fake as fake; }
//! use mstr::fake::{FakeTransport, Method, Purpose, Server, VirtualTime};
//!
//! /// The function under test.
//! async fn name_of_cube(connection: &Connection, id: &str) -> Result<String, Error> {
//!     let response = connection.get(format!("/api/v2/cubes/{id}")).send().await?;
//!     let cube: serde_json::Value = response.json().await?;
//!     Ok(cube["name"].as_str().unwrap_or_default().to_owned())
//! }
//!
//! let server = Server::builder()
//!     .user("alice", "secret")
//!     .endpoint(Method::GET, "/api/v2/cubes/{id}", |request| {
//!         serde_json::json!({ "id": request.parameter("id"), "name": "Sales" })
//!     })
//!     .fault("path=/api/v2/cubes/*:1:expire".parse().unwrap());
//! let time = VirtualTime::new();
//! let fake = FakeTransport::new(server.build(), time.clone());
//! time.run(async {
//!     let connection = Connection::builder(fake.base_url())
//!         .standard("alice", "secret")
//!         .transport(fake.clone())
//!         .connect()
//!         .await?;
//!     assert_eq!(name_of_cube(&connection, "C1").await?, "Sales");
//!     Ok::<_, Error>(())
//! })
//! .unwrap();
//! fake.server(|server| {
//!     let calls = server.calls(Method::GET, "/api/v2/cubes/{id}");
//!     assert_eq!((calls.arrived, calls.answered), (2, 1));
//!     assert_eq!(server.journal().count(Purpose::Login), 2);
//! });
//! ```
//!
//! Answers come from a closure, from a file or a folder
//! ([`endpoint_file`](ServerBuilder::endpoint_file),
//! [`endpoint_folder`](ServerBuilder::endpoint_folder)), or in turn
//! ([`endpoint_answers`](ServerBuilder::endpoint_answers)). [`Answer`] lists what a closure may
//! return.
//!
//! # Under `#[tokio::test]`
//!
//! Virtual time moves while [`VirtualTime::run`] does. In a test that tokio runs, a wait for it panics and says so; give the transport tokio's clock instead:
//! `FakeTransport::new(server, TokioTime::current())`, with the feature `tokio`. Whether the test is
//! paused, and on how many threads it runs, is up to the test. A server on a socket needs a clock
//! that runs: it does not start where tokio's is paused.
//!
//! # Endpoints to call
//!
//! Beside the session's own endpoints it has these, below `/api`:
//!
//! | endpoint | answers |
//! |---|---|
//! | any method `/echo` | method, path, query, headers, project and body of the request, as JSON |
//! | `GET /blob?size=N` | N bytes, generated as they are sent: each is its position modulo 251 |
//! | any method `/redirect?to=URL&status=302` | a redirect |
//! | any method `/status-code?code=418` | that status, with an error body |
//! | `GET /projects/NAME`, `GET /objects/ID?type=32` | a project, and the object that stands for it |
//!
//! # On a socket
//!
//! The program lets a client in any language log in, on loopback:
//!
//! ```sh
//! cargo install mstr-fake --features loopback
//! mstr-fake --user alice:secret --fault login:1:status=503 --answer 'GET /api/v2/cubes/*=cube.json'
//! ```
//!
//! `mstr-fake --help` lists its options and the rules for faults. In Rust,
//! [`loopback::HttpServer`] is the same, and [`loopback::ProxyServer`] a forward proxy (HTTP and
//! SOCKS 5, with TLS if wanted) that keeps a record of its traffic. [`loopback::Relay`] stands in
//! front of a server and imitates networks: latency, silence, resets, a port that refuses.
//! [`conformance`](mod@conformance) is the contract for transports as a suite of tests, for any
//! transport.
//!
//! # Features
//!
//! <!-- features: begin, generated by cargo xtask generate -->
//!
//! | feature | default | |
//! |---|---|---|
//! | `tokio` | | tokio's clock for the server in memory (`TokioTime`), for tests under `#[tokio::test]` |
//! | `loopback` | | The server on a real socket, a proxy, a relay, the conformance suite for transports, and the program `mstr-fake` |
//!
//! <!-- features: end -->
#![cfg_attr(docsrs, feature(doc_cfg))]
#![forbid(unsafe_code)]

mod clock;
#[cfg(feature = "loopback")]
pub mod conformance;
mod double;
mod endpoint;
mod locked;
#[cfg(feature = "loopback")]
pub mod loopback;
mod server;
mod time;
#[cfg(feature = "tokio")]
mod tokio_time;
mod transport;

pub use clock::Clock;
pub use endpoint::{Answer, Endpoint, EndpointCalls, EndpointError, EndpointRequest};
/// For the endpoints of a test, so that it needs no other crate for them.
pub use http::{Method, StatusCode};

pub use double::{CaptureTransport, Captured, NeverTransport, ReplayTransport};
pub use server::{
    Entry, Fault, Journal, ParseFaultError, Purpose, Reply, ReplyBody, Server, ServerBuilder,
    SocketFault,
};
pub use time::{Task, VirtualTime};
#[cfg(feature = "tokio")]
pub use tokio_time::TokioTime;
pub use transport::FakeTransport;
