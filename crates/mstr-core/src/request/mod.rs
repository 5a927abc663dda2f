//! Describing a request, in the same words for both drivers.

mod builder;
pub(crate) mod operations;

pub use builder::RequestBuilder;
pub(crate) use builder::{body_late, decode_json, decode_text};
pub(crate) use operations::Operation;
