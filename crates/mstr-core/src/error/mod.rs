//! The one error of the public API, and what a server says when it refuses.

#[expect(clippy::module_inception, reason = "it is the error itself, beside its parts")]
mod error;
mod json;
mod kind;
mod refused;
mod server;

pub use error::Error;
pub(crate) use json::read_json;
pub use kind::ErrorKind;
pub(crate) use refused::{Refused, parse_error_body};
pub use server::{ServerCode, ServerError, TicketId};
