//! What comes out of the machine, and what a connection wants of it.

use std::time::Instant;

#[cfg(doc)]
use super::machine::Call;
use crate::error::Error;
use crate::session::SessionConfig;

/// What the machine wants from its driver.
#[derive(Debug)]
#[expect(clippy::exhaustive_enums, reason = "a driver has to handle each")]
pub enum Output {
    /// Drive the session's machine until it [is settled](crate::session::Session::is_settled), or
    /// until the deadline: it asks whether the session lives. Then call
    /// [`handle_head`](Call::handle_head) again with the head and the error's body, whatever has
    /// come of it: the refusal is for the caller if nothing is known.
    AwaitVerdict,
    /// Read what others have stored about the session, then [`proceed`](Call::proceed).
    ConsultStore,
    /// Hand the response over: it is what the caller wants.
    Deliver,
    /// Tell the caller this.
    Fail(Error),
    /// Ask for the headers that something in front of the server wants, then call
    /// [`handle_front_headers`](Call::handle_front_headers).
    FrontHeaders,
    /// [`ask`](Call::ask) for access, and call [`handle_access`](Call::handle_access) when it is
    /// granted or denied.
    NeedGrant,
    /// Read so much of the error's body, and call [`handle_head`](Call::handle_head) with it.
    ReadError {
        /// In bytes.
        limit: usize,
    },
    /// Send the [`request`](Call::request), then call [`handle_head`](Call::handle_head) or
    /// [`handle_failure`](Call::handle_failure). It is made where it is sent: it is large, and
    /// outputs are handed around.
    Send,
    /// Take a place among the calls in flight, then [`proceed`](Call::proceed).
    TakePlace,
    /// Take a turn, because the server accepts one request at a time, then
    /// [`proceed`](Call::proceed).
    TakeTurn,
    /// Give place and turn back, wait until then, and [`proceed`](Call::proceed).
    Wait(Instant),
}

/// What a connection wants of each of its calls beyond a grant.
#[derive(Clone, Copy, Debug, Default)]
#[non_exhaustive]
pub struct Wants {
    /// There is a limit of calls in flight.
    pub place: bool,
    /// The session is shared with others through a store.
    pub store: bool,
    /// Something in front of the server wants headers of its own.
    pub front_headers: bool,
}

impl Wants {
    /// What sessions with these settings want of the calls in them.
    pub(crate) const fn of(config: &SessionConfig) -> Self {
        Self { place: false, store: config.records, front_headers: config.front_headers }
    }
}
