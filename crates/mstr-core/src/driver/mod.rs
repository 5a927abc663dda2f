//! The drivers, which carry out the decisions of the machines.
//!
//! [`core`] is all that both drivers do: the session behind its lock, its open
//! requests, its subscribers. [`tasks`] drives it from futures, [`threads`] by blocking. Neither
//! decides anything: each is a loop over the outputs of [`Call`](crate::call::Call) and one over
//! those of [`Session`](crate::session::Session), and they differ in `.await`.

mod core;
mod events;
mod exchange;
mod handle;
mod left;
mod recorder;
mod ring;
mod scope;
pub(crate) mod tasks;
#[cfg(test)]
mod tests;
pub(crate) mod threads;
mod turns;

pub use events::Events;
