//! The machines as they are: every state they can be in, driven with every input, by one
//! exploration. `docs/session-machine.md` and `docs/call-machine.md` describe them.

#![expect(clippy::unwrap_used, reason = "this is test code")]

mod call;
mod conditions;
mod document;
mod graph;
mod session;
