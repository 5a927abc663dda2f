//! The common behaviour of the transports, and their differences.

#![expect(clippy::unwrap_used, reason = "this is test code")]

mod closing;
mod isahc;
mod memory;
mod parity;
mod relay;
mod round_trips;
mod texts;
mod trust;
