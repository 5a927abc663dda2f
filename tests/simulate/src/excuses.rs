//! Rows of the state tables that no life reaches, each with the reason.

use crate::bare::words::Machine;
use crate::coverage::Row;

/// What is empty is any.
#[derive(Debug)]
pub(crate) struct Excuse {
    machine: Machine,
    state: &'static str,
    what: &'static str,
    how: &'static str,
    next: &'static str,
    /// For those who read it.
    #[expect(dead_code, reason = "it is read where it is written, and in the debug output")]
    why: &'static str,
}

impl Excuse {
    pub(crate) fn is_for(&self, row: &Row) -> bool {
        let is = |own: &str, other: &str| own.is_empty() || own == other;
        self.machine == row.machine
            && is(self.state, &row.state)
            && is(self.what, &row.what)
            && is(self.how, &row.how)
            && (self.next.is_empty() || row.next.iter().any(|next| next == self.next))
    }
}

const ANY: Excuse =
    Excuse { machine: Machine::Session, state: "", what: "", how: "", next: "", why: "" };

pub(crate) const EXCUSES: &[Excuse] = &[
    Excuse {
        machine: Machine::Call,
        what: "another call",
        why: "what happens to others is no input of a call",
        ..ANY
    },
    Excuse {
        machine: Machine::Call,
        what: "it fails",
        how: "the body failed",
        why: "the bodies of the simulation's requests do not fail",
        ..ANY
    },
    Excuse {
        machine: Machine::Call,
        state: "reading an error",
        what: "it fails",
        how: "TLS error",
        why: "there is a connection by then",
        ..ANY
    },
    Excuse {
        machine: Machine::Call,
        state: "reading an error",
        what: "it fails",
        how: "no connection",
        why: "there is a connection by then",
        ..ANY
    },
    Excuse {
        machine: Machine::Call,
        state: "reading an error",
        what: "it fails",
        how: "given up unsent",
        why: "it has been answered by then",
        ..ANY
    },
    Excuse {
        state: "leaving a session",
        next: "refused",
        why: "credentials that cannot be used are replaced in the same moment",
        ..ANY
    },
    Excuse {
        state: "renewing",
        next: "refused",
        why: "those who borrow a session do not keep it until it is renewed",
        ..ANY
    },
    Excuse {
        state: "renewing",
        what: "logout is asked for",
        how: "plainly",
        next: "closed",
        why: "those who borrow a session do not keep it until it is renewed",
        ..ANY
    },
];
