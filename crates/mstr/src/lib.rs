//! Sessions with a Strategy One (MicroStrategy) server.
//!
//! `mstr` logs in (standard, LDAP, anonymous, API token, delegated identity token), stays logged
//! in, selects projects, calls any endpoint of the REST API and logs out, under load and under
//! faults. It is not a client for the single endpoints: what you call, and what the answers mean,
//! is yours.
//!
//! ```no_run
//! use mstr::prelude::*;
//!
//! # async fn run() -> Result<(), mstr::Error> {
//! let connection = Connection::builder("https://env.example.com/MicroStrategyLibrary")
//!     .standard("username", "password")
//!     .project_name("MicroStrategy Tutorial")
//!     .connect()
//!     .await?;
//! let projects: serde_json::Value = connection.get("/api/projects").send().await?.json().await?;
//! connection.close().await;
//! # Ok(())
//! # }
//! ```
//!
//! # The life of a connection
//!
//! - **Opening.** [`Connection::builder`] describes it; every mistake in the description is an
//!   error before anything is sent. [`Builder::connect`] logs in and, side by side, learns the
//!   idle timeout, checks the server's version and finds the project. If one of these fails, the
//!   session is logged out again.
//! - **Calling.** [`get`](Connection::get), [`post`](Connection::post) and the others begin a
//!   request, [`send`](RequestBuilder::send) sends it. A session that has ended is replaced and
//!   the call repeated. Clone the connection into as many tasks as you like: they share one
//!   session and one login.
//! - **Projects.** The project is a property of the handle, not of the session:
//!   [`project_by_name`](Connection::project_by_name) returns a [`ProjectScope`] for another one,
//!   and no task can change the project of another.
//! - **Idling.** Spawn [`keepalive`](Connection::keepalive) to keep an idle session alive, or do
//!   nothing: the next call logs in again.
//! - **Closing.** [`close`](Connection::close) logs out; [`scope`](Connection::scope) does so on
//!   every path.
//!
//! # Errors
//!
//! One type, [`Error`]: [`kind`](Error::kind) to branch on, [`server`](Error::server) for the
//! server's code and the ticket its support asks for.
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
//! or by implementing [`Transport`] with the parts in [`toolkit`]; the contract is in
//! [`contract`]'s documentation, and `mstr-fake` has it as a suite of tests. Tests of yours use its
//! in-memory server (feature `fake`).
//!
//! # Features
//!
//! | feature | default | |
//! |---|---|---|
//! | `hyper` | yes | the transport over hyper; needs tokio |
//! | `rustls-aws-lc-rs` | yes | TLS by aws-lc-rs |
//! | `rustls-ring` | | TLS by ring, which builds faster |
//! | `platform-roots` | yes | trust what the operating system trusts |
//! | `webpki-roots` | | trust Mozilla's list, compiled in |
//! | `dangerous` | | `TlsConfig::dangerous_accept_any_certificate` |
//! | `isahc` | | the transport over isahc and libcurl; needs no tokio; TLS by the system's library |
//! | `isahc-native-tls-static` | | the same with an OpenSSL that is compiled as well |
//! | `isahc-rustls-tls` | | the same with rustls |
//! | `tower` | | `adapter::from_service`: any tower service as a transport; not covered by the stability promise |
//! | `fake` | | the fake server as `mstr::fake` |
//!
//! Features only add; none changes what is there. Of the three that begin with `isahc` a program
//! takes one, because isahc refuses to build with two TLS libraries; with `hyper` each goes along.
//! The minimum supported Rust version is 1.88.
#![forbid(unsafe_code)]

#[cfg(feature = "hyper")]
mod default_transport;
pub mod prelude;

#[cfg(feature = "hyper")]
pub use default_transport::DefaultTransport;
pub use mstr_core::*;

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

/// The fake server, for tests.
#[cfg(feature = "fake")]
pub mod fake {
    pub use mstr_fake::*;
}
