//! Parts for authors of a [`Transport`](crate::Transport), for the duties that HTTP stacks do not have.
//!
//! The [contract](crate::contract) asks for a few things that HTTP stacks do differently or not
//! at all. These are the parts of the transports that come with this library, so that all of them
//! mean the same:
//!
//! - [`Peer`] names the other side in errors, and never more than host and port;
//! - [`UploadBody`] holds a request's body to the length that was declared, and keeps its failure
//!   where the exchange can find it;
//! - [`DownloadBody`] ends a response's body that stalls;
//! - [`before`] gives up at a deadline;
//! - [`UploadReader`] and [`ReadBody`] are for stacks that block.

mod deadline;
mod download;
mod peer;
mod reading;
mod upload;

pub use deadline::before;
pub use download::DownloadBody;
pub(crate) use download::IdleLimit;
pub use peer::{Peer, Stage};
pub use reading::{ReadBody, UploadReader};
pub(crate) use upload::declared_length;
pub use upload::{BodyFailure, UploadBody};
