//! What the transports do alike, and what each does on its own account.

mod memory;
mod parity;
