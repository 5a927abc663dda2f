//! Your own HTTP stack: from a closure, from a tower service, or by the trait.
//!
//! A program that already has an HTTP client (with its proxies, its tracing, its limits) need not
//! get a second one. There are three ways to make a transport of it:
//!
//! | what you have | what you write |
//! |---|---|
//! | an async function that sends a request | [`from_fn`] |
//! | a function that blocks until there is an answer | [`blocking_from_fn`] |
//! | a [tower] service, with any layers around it | `from_service`, with the feature `tower` |
//! | anything else, or a stack that is to be used to the full | [`Transport`](crate::Transport) or [`BlockingTransport`](crate::BlockingTransport) itself, with the parts in [`toolkit`](crate::toolkit) |
//!
//! A tower layer around a transport that is there, such as the default one: `into_service` makes a
//! service of it.
//!
//! [tower]: https://docs.rs/tower-service
//!
//! ```
//! # use std::time::Instant;
//! # #[derive(Debug)]
//! # struct Clock;
//! # impl mstr_core::Timer for Clock {
//! #     fn now(&self) -> Instant { Instant::now() }
//! #     fn sleep_until(&self, _: Instant) -> mstr_core::Sleep { Box::pin(std::future::pending()) }
//! # }
//! use mstr_core::adapter::from_fn;
//! use mstr_core::{Body, Connection, SharedTimer, TransportError};
//!
//! async fn my_client(request: http::Request<Body>) -> Result<http::Response<Body>, TransportError> {
//!     // Send it, and turn what can go wrong into a `TransportError`.
//! #   drop(request);
//! #   Err(TransportError::new(mstr_core::TransportErrorKind::Connect))
//! }
//!
//! // The timer of the runtime that the client lives on.
//! let timer = SharedTimer::new(Clock);
//! let opening = Connection::builder("https://env.example.com/MicroStrategyLibrary")
//!     .standard("alice", "secret")
//!     .transport(from_fn(timer, my_client))
//!     .connect();
//! # drop(opening);
//! ```
//!
//! # What an adapter does for you
//!
//! As much of the [contract](crate::contract) as can be kept from outside of the stack:
//!
//! - An address that is not absolute, http or https is refused, and so is a request whose
//!   deadline has passed. Nothing is sent then.
//! - At the deadline the stack's future is dropped. (A call that blocks cannot be ended from
//!   outside: there it is the closure that has to come back in time.)
//! - A request's body is held to the length that was declared. If it fails, the exchange fails
//!   with its reason, whatever the stack makes of that.
//! - A response's body that stalls for longer than it may is ended. (Not that of a call that
//!   blocks, for the same reason.)
//! - Dropping the future or the body drops the stack's.
//!
//! # What is left to you
//!
//! What only the stack can do, and what most stacks do differently unless they are told:
//!
//! - no redirects, no cookies, no decompression, no retries;
//! - no headers of its own (`Accept`, `Accept-Encoding`, `User-Agent`);
//! - a status of 400 or 500 is an answer and no error;
//! - errors are told as what they are, and [`Sent::No`](crate::Sent::No) only of a request of
//!   which no byte has left; requests are repeated on the strength of that;
//! - the connect timeout in the [`RequestContext`](crate::RequestContext), which
//!   [`RequestContext::of`](crate::RequestContext::of) tells of the request.
//!
//! Whether it does is not a matter of opinion: run it through the conformance suite of
//! `mstr-fake`, one test for each sentence of the contract. The repository's `tests/stacks`
//! has a transport over reqwest and one over ureq that run it, written to be copied.

mod blocking_fn;
mod function;
mod parked;
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
