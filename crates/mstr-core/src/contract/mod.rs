//! What a transport author implements and a caller's request travels in.
//!
//! Everything here is independent of the session: [`Transport`] moves one HTTP exchange,
//! [`Timer`] is the only hook into a runtime, [`Body`] carries bytes both ways without choosing
//! a runtime, and [`TransportError`] says what failed and whether the request can have left.
//!
//! The contract of a [`Transport`], each sentence of which is a case of the conformance suite in
//! `mstr-fake`:
//!
//! # Responsibilities
//!
//! A transport moves one request to a server and its response back: DNS, TLS, pooling, HTTP
//! framing. Everything with a meaning above that (sessions, cookies, redirects, retries) is
//! decided by the caller.
//!
//! # Must
//!
//! - Send method, path, query, headers and body unchanged, adding only what HTTP requires
//!   (`host`, framing); keep duplicate headers and their order.
//! - Return every response, 4xx and 5xx included, as `Ok`.
//! - Stream bodies both ways, and start to deliver the response before the request body has
//!   ended if the server does.
//! - Honour the [`RequestContext`] of the request: the deadline covers waiting for a connection and
//!   making one (TLS handshake included) until the response's head; the body idle timeout covers
//!   each wait for body data.
//! - Report failure kinds truthfully, and [`Sent::No`] only if no byte of the
//!   request can have reached the server.
//! - Be usable from any thread.
//!
//! # Must not
//!
//! - Follow redirects: HTTP stacks strip only standard credentials on the way to another host,
//!   so the session's token would leak.
//! - Keep cookies: they belong to the token and are swapped together with it.
//! - Decode `Content-Encoding`, retry, send `Expect: 100-continue`, or add `Accept-Encoding`,
//!   `Content-Type` or `User-Agent` of its own.
//! - Log header values.
//!
//! # Waiting in steps
//!
//! A call that blocks cannot be given up from outside. So a [`BlockingTransport`] has `start`
//! besides `send`: the [`Pending`] that it returns is waited for until an instant, put aside, and
//! waited for again by another thread. That is how a thread comes back within its own time and
//! the login that it has begun is finished by the next one. A transport that leaves `start` as it
//! is sends in place; it says so as a missing capability, and the time of a thread may then be
//! exceeded by one attempt.
//!
//! # Cancel safety
//!
//! Dropping `send`'s future or the response's [`Body`] aborts that exchange only; the transport
//! stays usable and nothing else observes the drop. The same holds for a [`Pending`]. After a drop
//! the caller must assume that the request may have been processed.

mod body;
mod context;
mod reading;
mod timer;
mod transport;
mod transport_error;

pub(crate) use body::Collected;
pub use body::{Body, COLLECT_PREALLOCATION_LIMIT};
pub use context::RequestContext;
pub use timer::{SharedTimer, Sleep, Timer};
pub(crate) use transport::not_detached;
pub use transport::{
    BlockingTransport, BoxFuture, Pending, SharedBlockingTransport, SharedTransport, Transport,
    TransportInfo,
};
pub use transport_error::{BoxError, Sent, Stage, TransportError, TransportErrorKind};
