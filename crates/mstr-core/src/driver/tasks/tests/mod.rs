//! The flight by itself, and the connection over a transport made of a table.
//!
//! Under `cfg(loom)` only the flight is tested: loom's locks work inside a model alone.

#[cfg(not(loom))]
mod driving;
#[cfg(not(loom))]
mod flight;
#[cfg(loom)]
mod interleavings;
