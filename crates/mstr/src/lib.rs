//! Sessions with a Strategy One (MicroStrategy) server.
//!
//! `mstr` logs in (in every [`LoginMode`], or with a delegated identity token), stays logged in,
//! selects projects, calls any endpoint of the REST API and logs out, under load and under faults.
//! It is not a client for the single endpoints: what you call, and what the answers mean, is yours.
//!
//! Until the first release, from a clone of this repository beside your package:
//!
//! ```sh
//! cargo add --path ../mstr/crates/mstr
//! cargo add serde_json
//! cargo add tokio --features macros,rt-multi-thread
//! ```
//!
//! ```no_run
//! use mstr::prelude::*;
//!
//! #[tokio::main]
//! async fn main() -> Result<(), mstr::Error> {
//!     let connection = Connection::builder("https://env.example.com/MicroStrategyLibrary")
//!         .standard("username", "password")
//!         .project_name("MicroStrategy Tutorial")
//!         .connect()
//!         .await?;
//!     let projects: serde_json::Value = connection.get("/api/projects").send().await?.json().await?;
//!     println!("{projects}");
//!     connection.close().await;
//!     Ok(())
//! }
//! ```
//!
//! The same without async, on a transport with a thread of its own ([`blocking`]):
//!
//! ```no_run
//! use mstr::prelude::*;
//!
//! fn main() -> Result<(), mstr::Error> {
//!     let connection = Connection::from_env()?.connect_blocking()?;
//!     for project in connection.fetch_projects()? {
//!         println!("{} {}", project.id, project.name);
//!     }
//!     connection.close();
//!     Ok(())
//! }
//! ```
//!
//! The package's folder `examples` has whole programs: a batch, a service, a tool, tests, middleware.
//!
//! # The life of a connection
//!
//! - **Opening.** [`Connection::builder`] describes it; every mistake in the description is an
//!   error before anything is sent. [`ConnectionBuilder::connect`] logs in and, side by side, learns the
//!   idle timeout, checks the server's version and finds the project. If one of these fails, the
//!   session is logged out again.
//! - **Calling.** [`get`](Connection::get), [`post`](Connection::post) and the others begin a
//!   request, [`send`](RequestBuilder::send) sends it. A session that has ended is replaced and
//!   the call repeated. Clone the connection into as many tasks as you like: they share one
//!   session and one login.
//! - **Projects.** The project is a property of the handle, not of the session:
//!   [`select_project`](Connection::select_project) returns a handle for another one, and no task can
//!   change the project of another.
//! - **Idling.** Spawn [`keepalive`](Connection::keepalive) to keep an idle session alive, or do
//!   nothing: the next call logs in again.
//! - **Closing.** [`close`](Connection::close) logs out; [`scope`](Connection::scope) does so on
//!   every path.
//!
//! # Compression
//!
//! Requests say `Accept-Encoding: gzip`, and what comes compressed is decompressed as it is read: the
//! response then has neither `Content-Encoding` nor `Content-Length`. A request with an
//! `Accept-Encoding` of its own gets its body as it was sent, and a `Range` is asked for without.
//! The feature `gzip` is on by default here and off in `mstr-core`.
//!
//! # Errors
//!
//! One type, [`Error`]: [`kind`](Error::kind) to branch on, [`server`](Error::server) for the
//! server's code and the ticket its support asks for, [`report`](Error::report) for a log.
//!
//! ```
//! use mstr::prelude::*;
//!
//! fn explain(error: &Error) -> String {
//!     match error.kind() {
//!         ErrorKind::Credentials => "check the password: it is not tried again".to_owned(),
//!         ErrorKind::SessionLimit => "close other sessions first".to_owned(),
//!         // After a gateway's 502, for example, the server may have carried it out.
//!         _ if error.may_have_been_executed() => format!("look whether it was done: {error}"),
//!         _ if error.is_retryable() => "try again later".to_owned(),
//!         _ => error.report(),
//!     }
//! }
//! ```
//!
//! # Transports
//!
//! The default is [`hyper::HyperTransport`]. Each `connect` without an explicit transport makes a
//! pool of its own, so give several connections one transport:
//!
//! ```no_run
//! # async fn run() -> Result<(), Box<dyn std::error::Error>> {
//! use mstr::prelude::*;
//!
//! let transport = mstr::hyper::HyperTransport::new()?;
//! for user in ["ann", "bob"] {
//!     let connection = Connection::builder("https://env.example.com/MicroStrategyLibrary")
//!         .standard(user, "password")
//!         .transport(transport.clone())
//!         .connect()
//!         .await?;
//!     connection.close().await;
//! }
//! # Ok(())
//! # }
//! ```
//!
//! With the feature `isahc` there is `isahc::IsahcTransport` beside it, over libcurl and without
//! tokio: the same line with another name. Any other HTTP stack becomes a transport by [`adapter`]
//! or by implementing [`Transport`] with the parts in [`core::toolkit`]; the contract is in
//! [`core::contract`]'s documentation, and the feature `fake` has it as a suite of tests
//! (`mstr::fake::conformance`).
//!
//! # Your own tests
//!
//! With the feature `fake`, in the dev-dependencies, `mstr::fake` is a model of the server: in
//! memory, under `#[tokio::test]` or in virtual time of its own, and on a socket. It answers
//! endpoints of yours after its own checks, so that a test meets a lost session, a 401 and a 503 as
//! your program will.
//!
#![cfg_attr(feature = "fake", doc = "```")]
#![cfg_attr(not(feature = "fake"), doc = "```ignore")]
//! use mstr::fake::{FakeTransport, Purpose, Server, TokioTime};
//! use mstr::prelude::*;
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Error> {
//! # /*
//! #[tokio::test]
//! async fn a_lost_session_costs_one_login() -> Result<(), Error> {
//! # */
//!     let server = Server::builder().user("alice", "secret");
//!     // When the second call arrives, its session has just ended.
//!     let server = server.fault("call:2:expire".parse().unwrap());
//!     let fake = FakeTransport::new(server.build(), TokioTime::current());
//!     let connection = Connection::builder(fake.base_url())
//!         .standard("alice", "secret")
//!         .transport(fake.clone())
//!         .connect()
//!         .await?;
//!     connection.get("/api/echo").send().await?;
//!     connection.get("/api/echo").send().await?;
//!     assert_eq!(fake.server(|server| server.journal().count(Purpose::Login)), 2);
//!     connection.close().await;
//!     Ok(())
//! }
//! ```
//!
//! # Features
//!
//! <!-- features: begin, generated by cargo xtask generate -->
//!
//! | feature | default | |
//! |---|---|---|
//! | `gzip` | yes | Asks the server for gzip and decompresses what it answers |
//! | `hyper` | yes | The transport over hyper; needs tokio |
//! | `rustls-aws-lc-rs` | yes | TLS for hyper by aws-lc-rs |
//! | `rustls-ring` | | TLS for hyper by ring, which builds faster |
//! | `platform-roots` | yes | Trusts what the operating system trusts |
//! | `webpki-roots` | | Trusts Mozilla's list of authorities, compiled in |
//! | `dangerous` | | `TlsConfig::dangerous_accept_any_certificate`, which accepts every certificate for every host |
//! | `isahc` | | The transport over isahc and libcurl; needs no tokio; TLS by the system's library |
//! | `isahc-native-tls-static` | | The same with an OpenSSL that is compiled as well |
//! | `isahc-rustls-tls` | | The same with rustls |
//! | `stream` | | `Response::bytes_stream` and `Events` as a `Stream`; outside the stability promise |
//! | `tower` | | `adapter::from_service`, a transport of any tower service; outside the stability promise |
//! | `fake` | | The fake server as `mstr::fake`, for tests: in memory, under `#[tokio::test]` too, on a socket, with the conformance suite for transports |
//!
//! <!-- features: end -->
//!
//! Features only add; none changes what is there. Of the three that begin with `isahc` a program
//! takes one, because isahc refuses to build with two TLS libraries; with `hyper` each goes along.
#![cfg_attr(docsrs, feature(doc_cfg))]
#![forbid(unsafe_code)]

#[cfg(feature = "hyper")]
mod default_transport;
pub mod prelude;

#[cfg(feature = "hyper")]
pub use default_transport::DefaultTransport;
#[cfg(feature = "stream")]
#[doc(inline)]
pub use mstr_core::BytesStream;
#[doc(inline)]
pub use mstr_core::{
    ApiToken, ApiTokenRequest, BaseUrl, BlockingTransport, Body, BoxError, CloseOutcome,
    Connection, ConnectionBuilder, CreatedApiToken, CredentialProvider, Credentials, Error,
    ErrorKind, Event, Events, ExposedToken, Generation, HeaderProvider, IdentityToken, Locale,
    LoginMode, LossReason, NoTransport, Page, Pages, ParseLoginModeError, ParseVersionError,
    Password, Project, ProjectId, ProjectRef, ProxyConfig, RequestBuilder, Response, RetryPolicy,
    Server, ServerCode, ServerError, SessionInfo, SessionStatus, SharedBlockingTransport,
    SharedTransport, TicketId, Timeline, TimelineEntry, Timeouts, TlsConfig, TlsVersion, Transport,
    TransportError, TransportErrorKind, User, UserId, Version, WorkstationData, adapter, blocking,
    workstation,
};

/// What is under the connection: the state machines, the contract of transports and the parts to
/// make one of. It is the crate `mstr-core`, whose versions are its own business: a major version of
/// it need not be one of `mstr`.
pub use mstr_core as core;

/// The transport over hyper and rustls.
#[cfg(feature = "hyper")]
pub mod hyper {
    pub use mstr_hyper::*;
}

/// The transport over isahc and libcurl.
#[cfg(any(feature = "isahc", feature = "isahc-native-tls-static", feature = "isahc-rustls-tls"))]
pub mod isahc {
    pub use mstr_isahc::*;
}

/// The fake server, for tests: in memory, on a socket, with endpoints of your own; and the
/// conformance suite for transports.
#[cfg(feature = "fake")]
pub mod fake {
    pub use mstr_fake::*;
}
