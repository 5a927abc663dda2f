//! How an attempt fails, and how a call is late.

use std::time::Instant;

use super::{Call, Stage};
use crate::call::messages::Output;
use crate::contract::{Sent, TransportError, TransportErrorKind};
use crate::error::{Error, ErrorKind};
use crate::timeline::Reason;
use crate::timeouts::Limit;

impl Call {
    /// The attempt failed below HTTP, before its head or in an error's body.
    pub fn handle_failure(&mut self, error: &TransportError, now: Instant) -> Output {
        if !matches!(self.stage, Stage::Answer | Stage::Body) {
            return self.unexpected();
        }
        let reading = self.stage == Stage::Body;
        let error = &if reading { error.clone().of_an_answer() } else { error.clone() };
        // An answered request has been sent, whatever happened to the answer's body.
        let unsent = self.stage == Stage::Answer && error.sent() == Sent::No;
        self.executed |= !unsent && error.kind() != TransportErrorKind::Config;
        let unprocessed = unsent && error.is_unprocessed();
        let passing = matches!(
            error.kind(),
            TransportErrorKind::Connect
                | TransportErrorKind::Interrupted
                | TransportErrorKind::Timeout
        ) || unprocessed;
        let fixed = matches!(
            error.kind(),
            TransportErrorKind::Body | TransportErrorKind::Canceled | TransportErrorKind::Config
        );
        let harmless = self.idempotent || unsent;
        let failed = || self.described(Error::from_transport(error.clone()));
        let passing = if harmless && (passing || !fixed) {
            self.repeats.is_worth(passing, failed)
        } else {
            passing
        };
        let at_once = if unprocessed { self.repeats.unprocessed(now) } else { None };
        self.reason = if at_once.is_some() { Reason::Unprocessed } else { Reason::Failure };
        let again = match at_once {
            None if passing && harmless => self.repeats.after_failure(None, self.deadline, now),
            at_once => at_once,
        };
        match again {
            Some(at) => self.again(at),
            None => {
                let failed = Error::from_transport(error.clone());
                let limit = self.limit(error, now);
                let message = limit.map(|limit| self.spec.timeouts.passed(limit, &error.awaited()));
                self.fail(message.into_iter().fold(failed, Error::with_message))
            }
        }
    }

    /// The [`deadline`](Self::deadline) has passed.
    pub fn handle_late(&mut self) -> Output {
        self.executed |= matches!(self.stage, Stage::Answer | Stage::Body);
        let message = self.spec.timeouts.passed(Limit::Total, "the call");
        self.fail(Error::new(ErrorKind::Timeout, message))
    }

    /// Which limit an attempt has reached that the transport has given up.
    fn limit(&self, error: &TransportError, now: Instant) -> Option<Limit> {
        let timeouts = &self.spec.timeouts;
        let took = now.saturating_duration_since(self.sent_at);
        let late = self.deadline.is_some_and(|deadline| now >= deadline);
        match error.kind() {
            TransportErrorKind::Timeout if late => Some(Limit::Total),
            TransportErrorKind::Timeout if self.stage == Stage::Body => Some(Limit::IdleBody),
            TransportErrorKind::Timeout if took >= timeouts.for_attempt() => Some(Limit::Attempt),
            TransportErrorKind::Timeout
                if error.sent() == Sent::No && took >= timeouts.for_connecting() =>
            {
                Some(Limit::Connect)
            }
            _ => None,
        }
    }
}
