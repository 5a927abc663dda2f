//! What is under way.

use std::collections::VecDeque;

use super::messages::{Exchange, ExchangeId, Output};
use super::state::{InFlight, State};
use crate::protocol::Fingerprint;

/// Exchanges that are not over, and outputs that have not been taken.
#[derive(Debug, Default)]
pub(super) struct UnderWay {
    /// Logins that are no longer awaited and may still succeed, with the submitted credentials. Each
    /// is answered in the end.
    pub(super) retired_logins: Vec<(InFlight, Option<Fingerprint>)>,
    /// Exchanges for which front headers have been asked.
    pub(super) fronting: Vec<Exchange>,
    /// Exchanges that are awaited, to be sent once more if the server has not taken them.
    pub(super) copies: Vec<Exchange>,
    pub(super) outputs: VecDeque<Output>,
}

impl UnderWay {
    pub(super) fn is_over(&self) -> bool {
        self.outputs.is_empty()
            && self.copies.is_empty()
            && self.fronting.is_empty()
            && self.retired_logins.is_empty()
    }

    /// The copy of this exchange. Those that are not awaited any more are dropped with it.
    pub(super) fn take_copy(&mut self, id: ExchangeId, state: &State) -> Option<Exchange> {
        let index = self.copies.iter().position(|copy| copy.id == id);
        let copy = index.map(|index| self.copies.swap_remove(index));
        self.copies.retain(|copy| state.awaits(copy.id));
        copy
    }
}
