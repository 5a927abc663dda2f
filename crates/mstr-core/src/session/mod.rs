//! The sans-IO session machine.
//!
//! # Responsibilities
//!
//! Decides when to log in, which requests to send for it, what their answers mean, when a session
//! has to be renewed, what a refused application request says about it, and what has to be logged
//! out. It does no I/O, reads no clock and draws no entropy: instants and a seed come in.
//!
//! # The states that matter
//!
//! ```text
//!            access                    login answered
//!   idle ──────────────► logging in ────────────────────► checking the session
//!    ▲                    ▲      │ passing failure           │           │ a check fails
//!    │ failure,           │      ▼                           │ answered  ▼
//!    │ or session lost    └─ backing off                     │       leaving a session
//!    │                                                       ▼           │
//!    └───────────────────────────────────────────────────── open ◄─┐     └──► idle, or
//!                                                      renew │     │          logging in again
//!                                                            ▼     │
//!                                                          renewing┘
//!
//!   refused: the server refuses the credentials, or a borrowed session has ended; until a reset
//!   closing, closed: from everywhere, when asked to log out; for good
//! ```
//!
//! A provider of credentials is asked between *idle* and *logging in* (*awaiting credentials*). The
//! checks are asked of the first session only, and one of them, the server's version, already beside
//! its login; later ones lead from *logging in* to *open*. What
//! each input does in each state is generated from the machine: `docs/session-machine.md` in the
//! repository.
//!
//! # Driving it
//!
//! 1. [`request_access`](Session::request_access).
//! 2. While it is [`Access::Pending`], take [`poll_output`](Session::poll_output): send what it asks
//!    to send and report the answer with [`handle_response`](Session::handle_response), supply
//!    credentials when asked, and call [`handle_timeout`](Session::handle_timeout) when a wait is
//!    over. When the machine [is settled](Session::is_settled), give the waiting callers the error in
//!    [`take_failure`](Session::take_failure), or ask again. When it
//!    [has paused](Session::take_pause), callers with a deadline ask again with
//!    [`request_access_by`](Session::request_access_by).
//! 3. With the [`Grant`](crate::Grant), send application requests, and report every response's
//!    head to [`observe`](Session::observe). The machine of one request does all of that:
//!    [`Call`](crate::call::Call).
//!
//! The whole body of an answer is reported, up to some megabytes for what the session learns and
//! some kilobytes for everything else. A login whose body is lost has opened a session all the same:
//! it is reported with its head and no body.
//!
//! Any number of inputs may be given before outputs are taken. Answers to exchanges that are no
//! longer awaited never change the state; a late success of a login carries a live session,
//! though, which is then logged out.

mod adopting;
mod closing;
mod config;
mod doubting;
mod held;
mod keeping;
mod machine;
mod messages;
mod observe;
mod opening;
mod settling;
mod state;
mod submissions;
#[cfg(test)]
mod tests;
mod troubles;
mod under_way;
mod view;

pub use crate::protocol::{ExposedRecord, SessionRecord};
pub use config::SessionConfig;
pub use machine::Session;
pub(crate) use messages::Why;
pub use messages::{
    Access, CloseOutcome, Command, Event, Exchange, ExchangeId, LossReason, Output, Purpose,
};
pub use observe::Verdict;
pub(crate) use observe::{Observed, is_bare_refusal, is_session_gone};
