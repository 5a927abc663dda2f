//! Worked examples: transports over other HTTP stacks than the one that mstr comes with.
//!
//! They are here to be read and copied. Each is a file of its own:
//!
//! - [`reqwest`]: an asynchronous transport;
//! - [`ureq`]: a blocking one;
//! - [`runtime`]: what an asynchronous one needs to live on a tokio runtime.
//!
//! `tests/conformance.rs` runs them through the conformance suite, which is how you find out what
//! yours forgets. Nothing here is published.
#![forbid(unsafe_code)]
#![expect(missing_docs, clippy::exhaustive_structs, reason = "no crate depends on this package")]

pub mod backends;
pub mod reqwest;
pub mod runtime;
pub mod ureq;
