//! Refusals without the server's word.
//!
//! A 401 that is not in the server's format may come from a gateway, which knows nothing of the
//! session, or from the server behind a proxy that strips the bodies of errors. It is a suspicion:
//! the server is asked, once for all, and where it cannot be heard the session is kept, until it has
//! not been heard three times.

use std::time::{Duration, Instant};

use bytes::Bytes;
use http::Response;

use super::held::Held;
use super::machine::{Session, Source};
use super::messages::{ExchangeId, Output, Purpose};
use super::state::{Beside, InFlight, Renewing, State};
use crate::contract::TransportError;
use crate::error::{Error, ErrorKind};
use crate::generation::Generation;
use crate::protocol::Credentials;
use crate::timeouts::later;

/// After a question that decided nothing, the next one is asked so much later, and twice as late
/// each time, up to the longest.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(60);
/// After so many questions in a row that decided nothing, and no success in between, an own session
/// is replaced.
const UNDECIDED_LIMIT: u32 = 3;
/// And not more often than this: the refusals may go on in the next one.
const REPLACED_AT_MOST: Duration = Duration::from_secs(30);

impl Session {
    /// A request of this generation that was sent at `sent_at` has been refused without the
    /// server's word ([`Verdict::Suspected`](super::Verdict::Suspected)). Whether that is to be
    /// judged again once the machine [is settled](Self::is_settled): the server is being asked
    /// whether the session lives. Otherwise the refusal is for the caller.
    ///
    /// One `GET /api/sessions` is asked for all. If nothing is heard of the server, the next
    /// question is asked after a second, and twice as late each time, up to a minute. After three
    /// such questions, with no success in between, a session of one's own is replaced by a login, at
    /// most once in 30 seconds; if that is refused, it is kept. One that is borrowed is never given up for a suspicion.
    pub fn question(&mut self, generation: Generation, sent_at: Instant, now: Instant) -> bool {
        self.expire_cookies(now);
        let State::Open { held, renewing, .. } = &self.state else { return false };
        if held.generation != generation || held.is_vouched_for(sent_at) {
            return false;
        }
        if renewing.is_some() {
            return true;
        }
        if self.troubles.as_ref().and_then(|it| it.doubt.ask_at).is_some_and(|at| now < at) {
            return false;
        }
        let epoch = held.epoch;
        let request = self.config.endpoint.inspect(&held.wire);
        let exchange = self.send(Purpose::Inspect, request, now);
        self.set_beside(Renewing::new(Beside::Question, exchange, epoch));
        true
    }

    /// The server could not be heard. It may be busy, and have asked not to be asked for a while.
    pub(super) fn on_undecided(&mut self, asked: Option<Duration>, busy: bool, now: Instant) {
        let doubt = &mut self.troubles.get_or_insert_with(Box::default).doubt;
        let pause = FIRST_PAUSE.saturating_mul(2_u32.saturating_pow(doubt.questions));
        doubt.questions = doubt.questions.saturating_add(1);
        doubt.undecided = doubt.undecided.saturating_add(u32::from(!busy));
        doubt.undecided_at = Some(now);
        let pause = pause.min(LONGEST_PAUSE).max(asked.unwrap_or_default());
        doubt.ask_at = Some(later(now, pause));
        let recent = doubt.replaced_at.is_some_and(|at| now < later(at, REPLACED_AT_MOST));
        let held = self.state.held();
        let replaceable = held.is_some_and(|held| !held.borrowed && held.refusal.is_none());
        if !busy && doubt.undecided >= UNDECIDED_LIMIT && !recent && replaceable {
            doubt.replaced_at = Some(now);
            self.begin_replacing(now);
        }
    }

    fn begin_replacing(&mut self, now: Instant) {
        if matches!(self.credentials, Source::Asked { .. }) {
            let (id, limit) = (self.next_id(), self.config.tuning().exchange_timeout);
            self.put(Output::NeedCredentials(id));
            self.replace_by(Beside::Credentials, InFlight::new(id, limit, now));
        } else {
            self.log_in_beside(now);
        }
    }

    fn replace_by(&mut self, what: Beside, exchange: InFlight) {
        let epoch = self.state.held().map(|held| held.epoch).unwrap_or_default();
        // A caller that asked for a renewal while the provider was asked still waits.
        let (required, asked_at) = match &self.state {
            State::Open { renewing: Some(beside), .. } => (beside.required, beside.asked_at),
            _ => (false, None),
        };
        let begun = Renewing::new(what, exchange, epoch);
        self.set_beside(Renewing { required, asked_at, ..begun });
    }

    /// Logs in while the session that is to be replaced is kept.
    fn log_in_beside(&mut self, now: Instant) {
        // To borrow one would be to give up an own one.
        let borrows = self.current_credentials().is_none_or(Credentials::is_delegated);
        match if borrows { None } else { self.submit(now).ok() } {
            Some(exchange) => self.replace_by(Beside::Login, exchange),
            None => self.fail_beside(not_replaced()),
        }
    }

    /// Whether credentials are awaited, to replace the session that is in use.
    pub(super) fn awaits_other_credentials(&self, id: ExchangeId) -> bool {
        matches!(&self.state, State::Open { renewing: Some(beside), .. }
            if beside.what == Beside::Credentials && beside.exchange.id == id)
    }

    /// The provider has answered, or has not in time.
    pub(super) fn on_other_credentials(
        &mut self,
        supplied: Result<Credentials, Error>,
        now: Instant,
    ) {
        match supplied {
            Ok(credentials) => {
                self.credentials = Source::Asked { current: Some(credentials) };
                self.log_in_beside(now);
            }
            Err(error) => self.fail_beside(error),
        }
    }

    /// The login that is to replace the session has been answered.
    pub(super) fn on_replacement(
        &mut self,
        result: Result<Response<Bytes>, TransportError>,
        now: Instant,
    ) {
        let submitted = self.submitted();
        let (sent_at, deadline) = match &self.state {
            State::Open { renewing: Some(beside), .. } => {
                (beside.exchange.sent_at(), beside.exchange.deadline)
            }
            _ => (now, now),
        };
        match self.read_login(submitted, result, now) {
            Ok(mut opened) => {
                opened.opened_by(sent_at, deadline);
                self.end_beside();
                let doubt = &mut self.troubles().doubt;
                (doubt.undecided, doubt.replaced) = (0, true);
                self.give_up_for_another(now);
                self.on_opened(opened, now);
            }
            Err(refused) => {
                if refused.is_final()
                    && matches!(self.credentials, Source::Held(_))
                    && let Some(held) = self.state.held_mut()
                {
                    // Told once the session ends that is kept.
                    held.refusal = Some(refused.error.clone());
                }
                self.fail_beside(refused.error);
            }
        }
    }

    /// The login that is to replace the session has not been answered in time.
    pub(super) fn on_replacement_late(&mut self, exchange: InFlight, error: Error, now: Instant) {
        self.retire_login(exchange);
        if let Some(submitted) = self.submitted() {
            self.troubles().submissions.unanswered(submitted, error.clone(), now);
        }
        self.fail_beside(error);
    }

    /// The exchange beside the session has failed: the session is kept.
    pub(super) fn fail_beside(&mut self, error: Error) {
        self.forget_supplied();
        if let State::Open { renewing, failure, .. } = &mut self.state
            && renewing.take().is_some_and(|beside| beside.asked_at.is_some())
        {
            *failure = Some(error.with_operation("renew"));
        }
    }

    /// Takes the session that there is, with all that is under way beside it.
    pub(super) fn release(&mut self) -> Option<Box<Held>> {
        if let State::Open { renewing: Some(beside), .. } = &self.state
            && beside.what == Beside::Login
        {
            self.retire_login(beside.exchange);
        }
        self.state.take_held()
    }
}

/// Why nothing is under way that would replace the session.
fn not_replaced() -> Error {
    Error::new(
        ErrorKind::Gateway,
        "whether the session lives cannot be told, and it is not replaced",
    )
}
