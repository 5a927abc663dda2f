//! The mstr-fake crate.
