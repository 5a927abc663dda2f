//! Describing a request, in the same words for both drivers.

mod builder;
mod decode;
pub(crate) mod operations;
mod paging;
mod query;
mod received;

pub(crate) use builder::{Described, request_methods};
pub(crate) use operations::Operation;
pub use paging::Page;
pub(crate) use paging::Paging;
pub(crate) use received::Received;
