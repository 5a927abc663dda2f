//! The machines as they are: every state they can be in, driven with every input, by one
//! exploration. What they do is `docs/session-machine.md` and `docs/call-machine.md`.

#![expect(clippy::unwrap_used, reason = "this is test code")]

mod call;
mod conditions;
mod document;
mod graph;
mod session;
