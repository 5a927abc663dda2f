//! The mstr-hyper crate.
