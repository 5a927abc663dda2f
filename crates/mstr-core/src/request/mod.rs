//! Describing a request, in the same words for both drivers.

mod builder;
mod decode;
pub(crate) mod operations;
mod query;
mod received;

pub(crate) use builder::{Described, request_methods};
pub(crate) use operations::Operation;
pub(crate) use received::Received;
