//! The promises of `docs/reliability.md`, with both drivers.

#![expect(clippy::unwrap_used, clippy::print_stderr, reason = "this is test code")]

mod anything;
mod callbacks;
mod cookies;
mod exchanges;
mod front;
mod refusals;
mod rig;
mod sessions;
mod time;
mod timeline;
mod workstation;
