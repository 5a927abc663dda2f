//! Logging out: after a close, after a failed check, and before another login.

use std::time::Instant;

use bytes::Bytes;
use http::Response;

use super::held::Held;
use super::machine::{Session, Source, may_pass, timed_out};
use super::messages::{CloseOutcome, Event, ExchangeId, Purpose};
use super::state::{After, Slot, State};
use super::troubles::NOT_STICKY;
use crate::contract::TransportError;
use crate::error::{Error, ErrorKind};
use crate::protocol::wire;
use crate::retry::is_passing_status;
use crate::timeouts::later;

impl Session {
    pub(super) fn on_logout(&mut self, even_if_borrowed: bool, now: Instant) {
        if even_if_borrowed && let Some(held) = self.state.held_mut() {
            held.borrowed = false;
        }
        match &mut self.state {
            State::Closed(_) => {}
            State::ClosingLogin(exchange) => exchange.borrows &= !even_if_borrowed,
            State::LoggingIn { exchange, .. } => {
                exchange.borrows &= !even_if_borrowed;
                // A login that hangs is not waited for longer than a logout would be. If it
                // succeeds after all, its session is logged out in the background.
                let patience = later(now, self.config.tuning().logout_timeout);
                exchange.deadline = exchange.deadline.min(patience);
                self.state = State::ClosingLogin(*exchange);
            }
            State::Leaving { after, .. } => *after = After::Close,
            State::AwaitingCredentials(_)
            | State::BackingOff { .. }
            | State::Idle { .. }
            | State::Refused(_) => self.finish_close(CloseOutcome::NotOpen),
            State::Open { .. } | State::Settling { .. } => {
                if let Some(held) = self.release() {
                    self.leave(held, After::Close, now);
                }
            }
        }
    }

    /// Begins an exchange that a driver has kept until now, or a question for credentials or front
    /// headers: the time that its answer may take runs from here, and ends at what is returned.
    /// `None` if it is not awaited any more, and need not be sent. A connection that is being closed
    /// waits no longer for it.
    pub fn begin(&mut self, id: ExchangeId, now: Instant) -> Option<Instant> {
        let closing = matches!(self.state, State::ClosingLogin(_));
        let exchange = self.state.exchange_mut(id)?;
        if !closing {
            exchange.begin(now);
        }
        Some(exchange.deadline)
    }

    /// Gives a session up in an orderly way, then goes on with `after`.
    pub(super) fn leave(&mut self, held: Box<Held>, after: After, now: Instant) {
        if held.borrowed {
            return self.after_leaving(after, CloseOutcome::Kept, now);
        }
        self.log_out(held, after, now);
    }

    pub(super) fn log_out(&mut self, held: Box<Held>, after: After, now: Instant) {
        let request = self.config.endpoint.logout(&held.wire);
        let exchange = self.send(Purpose::Logout, request, now);
        let slot = Box::new(Slot::InFlight { exchange, attempts: 1 });
        self.state = State::Leaving { after, held, slot };
    }

    /// The logout has been answered.
    pub(super) fn on_logged_out(
        &mut self,
        result: Result<Response<Bytes>, TransportError>,
        now: Instant,
    ) {
        let outcome = match result {
            Ok(response) if wire::is_done(&response) => CloseOutcome::LoggedOut,
            Ok(response) if wire::is_gone(&response) && self.is_scattered() => {
                // The next one may reach the server that knows it.
                let error = wire::refusal(&response).with_kind(ErrorKind::SessionLost);
                let error = error.with_message(NOT_STICKY);
                return self.log_out_again(error, now);
            }
            Ok(response) if wire::is_gone(&response) => CloseOutcome::AlreadyEnded,
            Ok(response) => {
                let status = response.status();
                // A sign-in page has the status of a success.
                let gateways = status.is_success() || wire::is_gateways(&response);
                let error = wire::refusal(&response);
                if is_passing_status(status) || gateways {
                    return self.log_out_again(error, now);
                }
                CloseOutcome::Failed(error.with_operation("logout"))
            }
            Err(error) => return self.log_out_again(Error::from_transport(error), now),
        };
        self.left(outcome, now);
    }

    fn log_out_again(&mut self, error: Error, now: Instant) {
        let wait = self.backoff.next(&self.config.tuning().retry);
        let wait = wait.max(error.retry_after().unwrap_or_default());
        let State::Leaving { slot, .. } = &mut self.state else {
            return;
        };
        let Slot::InFlight { attempts, .. } = **slot else {
            return;
        };
        // One that hangs is not repeated: closing has taken long enough.
        let again = attempts < self.config.tuning().retry.max_attempts
            && (may_pass(&error) || error.kind() == ErrorKind::SessionLost)
            && error.kind() != ErrorKind::Timeout
            && wait <= self.config.tuning().logout_timeout;
        if again {
            **slot = Slot::Waiting { until: later(now, wait), attempts, failure: error };
        } else {
            let error = error.with_operation("logout").with_attempts(attempts);
            self.left(CloseOutcome::Failed(error), now);
        }
    }

    pub(super) fn on_leaving_timeout(&mut self, now: Instant) {
        let State::Leaving { slot, held, .. } = &self.state else {
            return;
        };
        match &**slot {
            // A logout that hangs is not repeated: closing has taken long enough.
            Slot::InFlight { exchange, .. } if now >= exchange.deadline => {
                self.left(CloseOutcome::Failed(timed_out("logout")), now);
            }
            Slot::Waiting { until, attempts, .. } if now >= *until => {
                let attempts = *attempts;
                let request = self.config.endpoint.logout(&held.wire);
                let exchange = self.send(Purpose::Logout, request, now);
                if let State::Leaving { slot, .. } = &mut self.state {
                    **slot = Slot::InFlight { exchange, attempts: attempts + 1 };
                }
            }
            Slot::Crossed { .. } | Slot::Done | Slot::InFlight { .. } | Slot::Waiting { .. } => {}
        }
    }

    fn left(&mut self, outcome: CloseOutcome, now: Instant) {
        if let State::Leaving { after, .. } = std::mem::replace(&mut self.state, State::idle()) {
            self.after_leaving(after, outcome, now);
        }
    }

    fn after_leaving(&mut self, after: After, outcome: CloseOutcome, now: Instant) {
        match after {
            After::Close => self.finish_close(outcome),
            After::Fail(failure) => {
                self.forget_supplied();
                self.state = State::Idle { failure };
            }
            After::Refuse(error) => self.state = State::Refused(error),
            After::LogInAgain => self.log_in(0, now),
        }
    }

    pub(super) fn finish_close(&mut self, outcome: CloseOutcome) {
        self.forget_supplied();
        // The user name may still be asked for; the secret is not needed any more.
        if let Source::Held(credentials) = &mut self.credentials {
            credentials.forget_secret();
        }
        self.event(Event::Closed(outcome.clone()));
        self.state = State::Closed(outcome);
    }
}
