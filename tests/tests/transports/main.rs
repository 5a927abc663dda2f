//! What the transports do alike, and what each does on its own account.

#![expect(clippy::unwrap_used, reason = "this is test code")]

mod closing;
mod isahc;
mod memory;
mod parity;
mod relay;
mod texts;
mod trust;
