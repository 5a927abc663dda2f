//! Sessions with a Strategy One (MicroStrategy) server.
//!
//! `mstr` logs in (with every [`LoginMode`], or with an identity token), stays logged in, selects
//! projects, calls any endpoint of the REST API and logs out. It does so under load, and when the
//! network or the server fails. It has no functions for the single endpoints: you name the path, and
//! read the answer into types of your own.
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
//!
//!     let response = connection.get("/api/projects").send().await?;
//!     let projects: serde_json::Value = response.json().await?;
//!     println!("{projects}");
//!
//!     connection.close().await;
//!     Ok(())
//! }
//! ```
//!
//! The same without async ([`blocking`]), with all settings from the environment
//! ([`Connection::from_env`]):
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
//! - **Opening.** [`Connection::builder`] describes the connection. A mistake in the description is
//!   an error before anything is sent. [`ConnectionBuilder::connect`] logs in, then learns the idle
//!   timeout, checks the server's version and finds the project. If one of these fails, the session is
//!   logged out again.
//! - **Calling.** [`get`](Connection::get), [`post`](Connection::post) and similar methods begin a
//!   request, [`send`](RequestBuilder::send) sends it. If the session has ended, it is replaced and the
//!   call is repeated. Clone the connection into as many tasks as you like: they share one session and
//!   one login.
//! - **Projects.** Each handle has its own project, and all share the session.
//!   [`select_project`](Connection::select_project) returns a handle for another project, so tasks
//!   cannot change each other's project.
//! - **Idling.** Spawn [`keepalive`](Connection::keepalive) to keep an idle session alive. Without it,
//!   the next call logs in again if the session has ended.
//! - **Closing.** [`close`](Connection::close) logs out. [`scope`](Connection::scope) does so also if
//!   the code in between fails.
//!
//! # Where to look
//!
//! | for | see |
//! |---|---|
//! | server, login, project and all settings | [`ConnectionBuilder`], [`Credentials`], [`CredentialProvider`] |
//! | calls and their answers | [`RequestBuilder`], [`Response`], [`Body`], [`Pages`] |
//! | time limits and repetitions | [`Timeouts`], [`RetryPolicy`] |
//! | certificates and proxies | [`TlsConfig`], [`ProxyConfig`] |
//! | a gateway in front of the server | [`ConnectionBuilder::header`], [`HeaderProvider`] |
//! | failures | [`Error`], [`ErrorKind`] |
//! | a log of sessions | [`Events`] |
//! | API tokens and sessions of other clients | [`ApiTokenRequest`], [`Connection::create_identity_token`], [`workstation`] |
//! | code without async | [`blocking`] |
//! | an HTTP client of yours | [`adapter`] |
//! | the state machines and the contract of transports | `mstr::core`, the crate [`mstr-core`](mstr_core) |
//!
//! Some signatures have types of the crates `http` and `bytes`, in their versions 1: add these crates
//! to your package where you name their types. Traits such as [`CredentialProvider`] are implemented
//! with `async-trait`.
//!
//! # Errors
//!
//! All functions return the same type, [`Error`]. Branch on its [`kind`](Error::kind), log its
//! [`report`](Error::report), and find the server's code and the ticket for the vendor's support in
//! [`server`](Error::server).
//!
//! ```
//! use mstr::prelude::*;
//!
//! fn explain(error: &Error) -> String {
//!     match error.kind() {
//!         ErrorKind::Credentials => "check the password; it is not tried again".to_owned(),
//!         ErrorKind::SessionLimit => "close other sessions first".to_owned(),
//!         // After a gateway's 502, for example, the server may have carried out the call.
//!         _ if error.may_have_been_executed() => format!("was it done? {error}"),
//!         _ if error.is_retryable() => "try again later".to_owned(),
//!         _ => error.report(),
//!     }
//! }
//! ```
//!
//! # Transports
//!
//! A transport sends the requests. The default is [`hyper::HyperTransport`]. Each `connect` without an
//! explicit transport makes one with a pool of its own. Several connections can share one:
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
//! | transport | over | needs |
//! |---|---|---|
//! | `mstr::hyper::HyperTransport` | hyper and rustls | tokio |
//! | `mstr::hyper::blocking::HyperBlocking` | the same, for [`blocking`] | no runtime of the program |
//! | `mstr::isahc::IsahcTransport` | isahc and libcurl | the feature `isahc`; any executor |
//! | `mstr::isahc::blocking::IsahcBlocking` | the same, for [`blocking`] | the feature `isahc` |
//! | an HTTP client of yours | [`adapter`], or [`Transport`] | see [`core::contract`] for the contract, [`core::toolkit`] for parts |
//!
//! # Compression
//!
//! With the feature `gzip`, which is on by default, requests have `Accept-Encoding: gzip`, and a
//! compressed answer is decompressed as it is read. The response then has neither `Content-Encoding`
//! nor `Content-Length`. A request with its own `Accept-Encoding` gets the body as the server sends it,
//! and a request with a `Range` does not ask for compression.
//!
//! # Your own tests
//!
//! With the feature `fake`, in the dev-dependencies, `mstr::fake` is a model of the server. It runs in
//! memory, under `#[tokio::test]` or in virtual time, and on a socket. It can answer your own endpoints,
//! after it has checked the session, so a test can meet a lost session, a 401 or a 503.
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
//! Features only add items. A program can enable one of the three features that begin with `isahc`,
//! because isahc refuses to build with two TLS libraries. All of them can be combined with `hyper`.
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

/// The parts below a connection: state machines, the contract of transports, and parts for one.
///
/// This is the crate `mstr-core`. It has its own versions: a new major version of it is not always a
/// new major version of `mstr`.
pub use mstr_core as core;

/// The transport over hyper and rustls.
#[cfg(feature = "hyper")]
pub mod hyper {
    // By name: with a glob, the pages of these three get the badge of this module's feature.
    #[doc(no_inline)]
    pub use mstr_core::{ProxyConfig, TlsConfig, TlsVersion};
    #[doc(inline)]
    pub use mstr_hyper::{
        HyperTransport, HyperTransportBuilder, TokioTimer, blocking, file_body, read_body,
    };
}

/// The transport over isahc and libcurl.
#[cfg(any(feature = "isahc", feature = "isahc-native-tls-static", feature = "isahc-rustls-tls"))]
pub mod isahc {
    #[doc(no_inline)]
    pub use mstr_core::{ProxyConfig, TlsConfig, TlsVersion};
    #[doc(inline)]
    pub use mstr_isahc::{IsahcTransport, IsahcTransportBuilder, ThreadTimer, blocking};
}

/// The fake server for tests, in memory and on a socket, and the conformance suite for transports.
#[cfg(feature = "fake")]
pub mod fake {
    pub use mstr_fake::*;
}
