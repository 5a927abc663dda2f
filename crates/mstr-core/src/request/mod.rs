//! Describing a request, in the same words for both drivers.

mod builder;
mod decode;
pub(crate) mod operations;

pub use builder::RequestBuilder;
pub(crate) use decode::{decode_json, decode_text};
pub(crate) use operations::Operation;
