//! What callers do, and what becomes of it.

use std::time::Duration;

use mstr_core::ErrorKind;

#[derive(Clone, Debug)]
pub(crate) struct Step {
    pub(crate) pause: Duration,
    pub(crate) op: Op,
    pub(crate) whim: Whim,
}

/// How a task treats its future.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Whim {
    None,
    /// Drops it after so many polls.
    Drops {
        polls: u32,
    },
    /// Drops it after so long.
    TimesOut(Duration),
    /// Polls it so often, leaves it for a while, and goes on with it or drops it.
    Rests {
        polls: u32,
        hold: Duration,
        resumes: bool,
    },
}

#[derive(Clone, Copy, Debug)]
pub(crate) enum Op {
    Call(Call),
    Open,
    Renew,
    User,
    Status,
    Projects,
    Server,
    Select,
    /// To one of the users; to what the program was given at first otherwise.
    Reset(Option<usize>),
    Close,
    /// Lends the session to another connection, which makes a call and is closed.
    Delegate(Call),
    /// The machine sleeps: no task runs, and its clock goes on.
    Leap(Duration),
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Path {
    Echo,
    /// The server has nothing there.
    Missing,
    /// Without the session.
    Public,
    /// At another origin, without the session.
    Elsewhere,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Body {
    None,
    Bytes,
    /// Can be sent once.
    Once,
    /// Is made again for each attempt.
    Made,
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct Call {
    pub(crate) id: u32,
    pub(crate) method: &'static str,
    pub(crate) body: Body,
    pub(crate) path: Path,
    pub(crate) idempotent: Option<bool>,
    pub(crate) total: Option<Duration>,
    pub(crate) own_project: bool,
}

impl Call {
    /// Whether the documentation lets it be carried out more than once.
    pub(crate) fn may_be_repeated(&self) -> bool {
        self.idempotent.unwrap_or(self.method == "GET")
    }
}

/// The result of an operation, as its caller sees it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Outcome {
    Answered { status: u16, body: String },
    Failed(ErrorKind),
    Said(String),
    Done,
}
