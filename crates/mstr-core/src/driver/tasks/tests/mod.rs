//! The flight and the line by themselves, and the connection over a transport made of a table.
//!
//! Under `cfg(loom)` only those two are tested: loom's locks work inside a model alone.

#[cfg(not(loom))]
mod driving;
#[cfg(not(loom))]
mod flight;
#[cfg(loom)]
mod interleavings;
#[cfg(not(loom))]
mod line;
