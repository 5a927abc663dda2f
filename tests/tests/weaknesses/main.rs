//! Weaknesses of the vendor's Python client, which `mstr` does not share.
//!
//! `docs/weaknesses.md` lists them all and names the test of each. Here are those that no other
//! test shows already.
#![expect(clippy::unwrap_used, reason = "this is test code")]

mod errors;
mod network;
mod opening;
mod retries;
mod security;
mod session_life;
mod sharing;
mod table;
