//! The outputs of the machine, and the settings of a connection for it.

use std::time::Instant;

#[cfg(doc)]
use super::machine::Call;
use crate::error::Error;
use crate::session::SessionConfig;

/// A request of the machine to its driver.
#[derive(Debug)]
#[expect(clippy::exhaustive_enums, reason = "a driver has to handle each")]
pub enum Output {
    /// Drive the session's machine until it [is settled](crate::session::Session::is_settled), or
    /// until the deadline: it asks whether the session lives. Then call
    /// [`handle_head`](Call::handle_head) again with the head and the error's body, whatever has
    /// come of it: the refusal is for the caller if nothing is known.
    AwaitVerdict,
    /// Read the session's record in the shared store, then [`proceed`](Call::proceed).
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

/// The further outputs of each call that a connection needs.
#[derive(Clone, Copy, Debug, Default)]
#[non_exhaustive]
pub struct Wants {
    /// There is a limit of calls in flight.
    pub place: bool,
    /// The session is shared with other machines through a store.
    pub store: bool,
    /// Something in front of the server wants headers of its own.
    pub front_headers: bool,
}

impl Wants {
    /// The outputs that calls need in sessions with these settings.
    pub(crate) const fn of(config: &SessionConfig) -> Self {
        Self { place: false, store: config.records, front_headers: config.front_headers }
    }
}
