//! The session layer of the Strategy One (MicroStrategy) REST API, without an HTTP stack.
//!
//! Programs depend on `mstr`, which re-exports everything here. This crate is for those who bring
//! a transport, a driver or a test of their own.
//!
//! ```text
//!   your calls
//!       │
//!  Connection (async) / blocking::Connection      drivers: carry out
//!       │        ▲
//!       ▼        │ Output: send this, wait until then, this has happened
//!  session::Session                               machine: decides
//!       │
//!  Transport / BlockingTransport, Timer           yours, or mstr-hyper, or mstr-fake
//! ```
//!
//! - [`session`] is the machine: it decides when to log in, renew and log out, and what an answer
//!   means. It does no I/O, reads no clock and starts nothing.
//! - [`Connection`] and [`blocking::Connection`] drive it over a transport, for tasks and for
//!   threads. Neither needs a runtime of its own.
//! - [`contract`] is what an HTTP stack has to do; [`Transport`] is its trait, [`toolkit`] has parts
//!   for one, [`adapter`] makes one of an HTTP client that you have, and [`settings`] is what all
//!   of them are told.
//!
//! What it is not: an HTTP client, and a client for the single endpoints of the API.
//!
//! # Driving the machine yourself
//!
//! Both drivers are this loop, with concurrency around it:
//!
//! ```
//! use std::time::Instant;
//!
//! use bytes::Bytes;
//! use mstr_core::session::{Access, Output, Session, SessionConfig};
//! use mstr_core::{BaseUrl, Credentials, Error, Grant, TransportError};
//!
//! type Answer = Result<http::Response<Bytes>, TransportError>;
//!
//! fn open(
//!     session: &mut Session,
//!     mut send: impl FnMut(http::Request<Bytes>) -> Answer,
//!     mut now: impl FnMut() -> Instant,
//!     mut sleep_until: impl FnMut(Instant),
//! ) -> Result<Grant, Error> {
//!     loop {
//!         match session.request_access(now()) {
//!             Access::Granted(grant) => return Ok(grant),
//!             Access::Denied(error) => return Err(error),
//!             Access::Pending => {}
//!         }
//!         while !session.is_settled() {
//!             match session.poll_output() {
//!                 Output::Send(exchange) => {
//!                     let answer = send(exchange.request);
//!                     session.handle_response(exchange.id, answer, now());
//!                 }
//!                 Output::NeedCredentials(id) => {
//!                     session.supply_credentials(id, Credentials::from_env(), now());
//!                 }
//!                 Output::Event(_) => {} // for whoever wants to know
//!                 Output::Wait(Some(until)) => {
//!                     sleep_until(until);
//!                     session.handle_timeout(now());
//!                 }
//!                 Output::Wait(None) => break,
//!             }
//!         }
//!         if let Some(error) = session.take_failure() {
//!             return Err(error);
//!         }
//!     }
//! }
//!
//! // A server that says yes, and a clock that stands still.
//! let yes = |request: http::Request<Bytes>| {
//!     assert_eq!(request.uri().path(), "/MicroStrategyLibrary/api/auth/login");
//!     let response = http::Response::builder().status(204).header("X-MSTR-AuthToken", "t0k3n");
//!     Ok(response.body(Bytes::new()).unwrap())
//! };
//! let base = BaseUrl::parse("https://env.example.com/MicroStrategyLibrary/")?;
//! let config = SessionConfig::new(base).checks(false);
//! let mut session = Session::new(config, Some(Credentials::standard("alice", "secret")))?;
//! let start = Instant::now();
//! let grant = open(&mut session, yes, || start, |_| unreachable!("nothing to wait for"))?;
//! assert_eq!(grant.generation().number(), 1);
//! # Ok::<(), Error>(())
//! ```
//!
//! # Secrets
//!
//! Passwords, tokens and cookies are types that cannot be printed, compared or serialised, and
//! are wiped when they are dropped. What they cannot do: HTTP stacks copy header bytes into
//! buffers of their own, and a core dump contains both.
#![forbid(unsafe_code)]

pub mod adapter;
pub mod blocking;
mod builder;
mod call;
mod connection;
pub mod contract;
mod error;
mod protocol;
mod request;
pub mod session;
pub mod settings;
mod sync;
pub mod toolkit;
mod trace;
pub mod workstation;

pub use builder::{Builder, NoTransport};
pub use call::{RetryPolicy, Timeouts};
pub use connection::{Connection, Events, ProjectScope, Response};
pub use contract::{
    BlockingTransport, Body, BoxError, BoxFuture, RequestContext, Sent, SharedBlockingTransport,
    SharedTimer, SharedTransport, Sleep, Timer, Transport, TransportError, TransportErrorKind,
    TransportInfo,
};
pub use error::{Error, ErrorKind, ServerCode, ServerError, TicketId};
pub use protocol::{
    ApiToken, ApiTokenRequest, BaseUrl, CreatedApiToken, CredentialProvider, Credentials,
    Generation, Grant, IdentityToken, Locale, LoginMode, ParseLoginModeError, ParseVersionError,
    Password, Project, ProjectId, ProjectRef, Server, SessionInfo, SessionStatus, User, UserId,
    Version,
};
pub use request::RequestBuilder;
pub use session::{CloseOutcome, Event, LossReason};
pub use settings::{ProxyConfig, TlsConfig, TlsVersion};
pub use workstation::WorkstationData;
