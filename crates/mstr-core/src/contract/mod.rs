//! What a transport author implements and a caller's request travels in.
//!
//! Everything here is independent of the session: [`Transport`] moves one HTTP exchange,
//! [`Timer`] is the only hook into a runtime, [`Body`] carries bytes both ways without choosing
//! a runtime, and [`TransportError`] says what failed and whether the request can have left.

mod body;
mod timer;
mod transport;
mod transport_error;

pub(crate) use body::Collected;
pub use body::{Body, BoxError, COLLECT_PREALLOCATION_LIMIT};
pub use timer::{SharedTimer, Sleep, Timer};
pub use transport::{
    BlockingTransport, BoxFuture, RequestContext, SharedBlockingTransport, SharedTransport,
    Transport, TransportInfo,
};
pub use transport_error::{Sent, TransportError, TransportErrorKind};
