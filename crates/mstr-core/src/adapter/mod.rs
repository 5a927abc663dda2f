//! Use your own HTTP client as a transport: from a function or from a tower service.
//!
//! For a program that already has an HTTP client, with its proxies, its tracing and its limits.
//!
//! | you have | you use |
//! |---|---|
//! | an async function that sends a request | [`from_fn`] |
//! | a function that blocks until there is an answer | [`blocking_from_fn`] |
//! | a [tower] service, with any layers around it | `from_service`, with the feature `tower` |
//! | a transport, to put tower layers around | `into_service`, with the feature `tower` |
//! | an HTTP stack whose every feature you need | [`Transport`](crate::Transport) or [`BlockingTransport`](crate::BlockingTransport), with the parts in [`toolkit`](crate::toolkit) |
//!
//! [tower]: https://docs.rs/tower-service
//!
//! ```no_run
//! # mod mstr {
//! #     pub mod core { pub use mstr_core::*; }
//! #     pub use mstr_core::*;
//! #     pub mod hyper {
//! #         #[derive(Debug)]
//! #         pub struct TokioTimer;
//! #         impl TokioTimer {
//! #             pub fn new() -> Result<Self, mstr_core::Error> { Ok(Self) }
//! #         }
//! #         impl mstr_core::Timer for TokioTimer {
//! #             fn now(&self) -> std::time::Instant { std::time::Instant::now() }
//! #             fn sleep_until(&self, _: std::time::Instant) -> mstr_core::Sleep {
//! #                 Box::pin(std::future::pending())
//! #             }
//! #         }
//! #     }
//! # }
//! use http::{Request, Response};
//! use mstr::adapter::from_fn;
//! use mstr::core::SharedTimer;
//! use mstr::{Body, Connection, TransportError};
//!
//! async fn send(request: Request<Body>) -> Result<Response<Body>, TransportError> {
//!     // `client` stands for the HTTP client of the program.
//!     let response = client::send(request).await.map_err(TransportError::from_io)?;
//!     Ok(response.map(Body::from))
//! }
//!
//! # async fn run() -> Result<(), mstr::Error> {
//! let timer = SharedTimer::new(mstr::hyper::TokioTimer::new()?);
//! let connection = Connection::builder("https://env.example.com/MicroStrategyLibrary")
//!     .standard("username", "password")
//!     .transport(from_fn(timer, send))
//!     .connect()
//!     .await?;
//! # drop(connection);
//! # Ok(())
//! # }
//! # mod client {
//! #     pub async fn send(
//! #         request: http::Request<mstr_core::Body>,
//! #     ) -> Result<http::Response<Vec<u8>>, std::io::Error> {
//! #         drop(request);
//! #         Err(std::io::ErrorKind::ConnectionRefused.into())
//! #     }
//! # }
//! ```
//!
//! # What an adapter does for you
//!
//! An adapter keeps a part of the [contract](crate::contract):
//!
//! - An address that is not absolute, http or https is refused, and so is a request whose
//!   deadline has passed. Nothing is sent then.
//! - At the deadline the future of the stack is dropped. (A blocking call cannot be ended from
//!   outside. There the function has to return in time.)
//! - A request's body that is shorter or longer than declared fails. If the body fails, the exchange
//!   fails with the body's error, whatever the stack reports.
//! - A response's body that stalls for longer than the idle limit is ended. (Not the body of a blocking
//!   call, for the same reason.)
//! - Dropping the future or the body drops those of the stack.
//!
//! # What is left to you
//!
//! The HTTP client itself has to keep the rest. Most clients need settings for it:
//!
//! - no redirects, no cookies, no decompression, no retries;
//! - no headers of its own (`Accept`, `Accept-Encoding`, `User-Agent`);
//! - a status of 400 or 500 is a response, not an error;
//! - each error has the right [kind](crate::TransportErrorKind). [`Sent::No`](crate::Sent::No) is set only
//!   if no byte of the request has left, because the request is then repeated;
//! - the connect timeout of [`RequestContext::of`](crate::RequestContext::of) the request holds.
//!
//! The suite `mstr::fake::conformance` tests all of this, with one test for each sentence of the
//! contract. The repository has two transports to copy from, over reqwest and over ureq
//! (`tests/stacks`).

mod blocking_fn;
mod function;
mod parked;
// Their public items have the same `cfg`: on the pages of `mstr` it is their badge.
#[cfg(feature = "tower")]
mod service;
#[cfg(feature = "tower")]
mod serving;
mod watched;

pub use blocking_fn::{BlockingFnTransport, blocking_from_fn};
pub use function::{FnTransport, from_fn};
pub use parked::BlockOn;
#[cfg(feature = "tower")]
pub use service::{TowerTransport, from_service};
#[cfg(feature = "tower")]
pub use serving::{TransportService, into_service};
