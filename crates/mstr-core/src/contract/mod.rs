//! The contract of a transport, for authors of a [`Transport`].
//!
//! | type | purpose |
//! |---|---|
//! | [`Transport`], [`BlockingTransport`] | sends one request and returns its response |
//! | [`Timer`] | the only connection to a runtime: tells the time and waits |
//! | [`Body`] | the bytes of a request or response |
//! | [`RequestContext`] | the time limits of a request |
//! | [`TransportError`] | what failed, and whether the request can have left |
//!
//! Each sentence of the contract below is a case of the suite `mstr::fake::conformance`.
//!
//! # Responsibilities
//!
//! A transport moves one request to a server and its response back: DNS, TLS, pooling, HTTP
//! framing. The caller decides everything above that: sessions, cookies, redirects, retries.
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
//! A blocking call cannot be ended from outside. So a [`BlockingTransport`] has
//! [`start`](BlockingTransport::start) in addition to `send`. It returns a [`Pending`], for which a thread
//! waits until its time is over. The next thread waits for the same [`Pending`] again, and so finishes
//! the login. A transport without its own `start` sends in place: a thread may then exceed its time by
//! one attempt, and the transport says so to the conformance suite as a missing capability.
//!
//! # Cancel safety
//!
//! Dropping the future of `send`, the response's [`Body`] or a [`Pending`] aborts that exchange only. The
//! transport stays usable, and no other exchange is affected. After a drop the caller has to assume that
//! the server has processed the request.

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
