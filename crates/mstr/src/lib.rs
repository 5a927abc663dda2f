//! The mstr crate.
