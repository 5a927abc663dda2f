//! The kinds of warm calls, each beside the bare request that it amounts to.

use super::AtOnce;
use super::calls::{self, Bare, at_once};

/// A call or a bare request, to be made any number of times.
pub type Call = Box<dyn Fn()>;

/// One kind of call.
#[derive(Clone, Copy, Debug)]
pub struct Kind {
    /// As a word of a command line.
    pub name: &'static str,
    /// As a row of a table.
    pub row: &'static str,
    /// What makes the call, over a session that is open.
    pub ours: fn() -> Call,
    /// What makes the bare request.
    pub bare: fn() -> Call,
}

/// Each of them.
pub const KINDS: [Kind; 4] = [
    Kind {
        name: "connection::send",
        row: "async, the response's head",
        ours: || {
            let connection = calls::connection(&AtOnce::new());
            Box::new(move || drop(at_once(calls::send(&connection))))
        },
        bare: || {
            let bare = Bare::new(&AtOnce::new());
            Box::new(move || drop(at_once(bare.send())))
        },
    },
    Kind {
        name: "connection::bytes",
        row: "async, with its body",
        ours: || {
            let connection = calls::connection(&AtOnce::new());
            Box::new(move || drop(at_once(calls::bytes(&connection))))
        },
        bare: || {
            let bare = Bare::new(&AtOnce::new());
            Box::new(move || drop(at_once(bare.bytes())))
        },
    },
    Kind {
        name: "blocking::send",
        row: "blocking, the response's head",
        ours: || {
            let connection = calls::blocking(&AtOnce::new());
            Box::new(move || drop(calls::blocking_send(&connection)))
        },
        bare: || {
            let bare = Bare::new(&AtOnce::new());
            Box::new(move || drop(bare.blocking_send()))
        },
    },
    Kind {
        name: "blocking::bytes",
        row: "blocking, with its body",
        ours: || {
            let connection = calls::blocking(&AtOnce::new());
            Box::new(move || drop(calls::blocking_bytes(&connection)))
        },
        bare: || {
            let bare = Bare::new(&AtOnce::new());
            Box::new(move || drop(bare.blocking_bytes()))
        },
    },
];
