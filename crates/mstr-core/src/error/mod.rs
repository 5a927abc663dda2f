//! The one error of the public API, and what a server says when it refuses.

#[expect(clippy::module_inception, reason = "it is the error itself, beside its parts")]
mod error;
mod kind;
mod server;
mod shown;

pub use error::Error;
pub use kind::ErrorKind;
pub(crate) use server::parse_error_body;
pub use server::{ServerCode, ServerError, TicketId};
pub(crate) use shown::{Plain, without_secrets};
