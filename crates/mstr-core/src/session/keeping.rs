//! Keeping a session: when it is renewed, what a loss leads to, what a reset changes.

use std::time::{Duration, Instant};

use bytes::Bytes;
use http::Response;

use super::held::Held;
use super::machine::{Session, Source};
use super::messages::{Event, LossReason, Purpose, Why};
use super::observe::is_servers_own;
use super::state::{After, Beside, Renewing, State};
use super::troubles::{BRIEF_LIMIT, NOT_STICKY};
use crate::contract::TransportError;
use crate::error::{Error, ErrorKind};
use crate::generation::Generation;
use crate::protocol::{Credentials, wire};
use crate::timeouts::later;

/// How long a session is used on trust after a renewal failed for a passing reason.
const TRUST_AFTER_FAILED_RENEWAL: Duration = Duration::from_secs(30);
/// So often a renewal or a question is asked again before its refusal is believed, where the server
/// replaces the session's cookie, and so long after the first.
const CROSSED_LIMIT: u32 = 3;
const CROSSED_WAIT: Duration = Duration::from_millis(10);
/// After so many sessions in a row in which nothing ever succeeded, no further one is opened for
/// a while: each would stay on the server.
const FRUITLESS_LIMIT: u32 = 3;
const COOLING: Duration = Duration::from_secs(30);
/// An exchange that is under way serves those who ask so much later for what it does.
const STALE: Duration = Duration::from_secs(10);

impl Session {
    /// An open session was asked for. Idle for longer than the server allows, as far as this side
    /// can tell, it is asked about: that costs one round trip, and opening a second session beside
    /// a living one would cost more.
    pub(super) fn extend_if_idle(&mut self, now: Instant) {
        if let State::Open { held, renewing, .. } = &self.state
            && now >= held.idle_deadline
            && renewing.as_ref().is_none_or(|renewing| !renewing.required)
        {
            self.renew(true, None, now);
        }
    }

    pub(super) fn on_renew(&mut self, now: Instant) {
        self.handle_timeout(now);
        match &self.state {
            State::Open { .. } => self.renew(false, Some(now), now),
            // The same guards as for a request: cooling, then opening.
            State::Idle { .. } => drop(self.request_access(now)),
            State::Closed(_) | State::ClosingLogin(_) | State::Refused(_) => {}
            // A session is being opened or given up.
            _ => self.troubles().renewal_asked_at = Some(now),
        }
    }

    fn renew(&mut self, required: bool, asked_at: Option<Instant>, now: Instant) {
        let State::Open { held, renewing, failure } = &mut self.state else { return };
        if let Some(renewing) = renewing {
            renewing.required |= required;
            renewing.asked_at = asked_at.max(renewing.asked_at);
            return;
        }
        // An earlier renewal may have failed while no caller waited for it.
        *failure = None;
        let epoch = held.epoch;
        let seconds = |it: Duration| u32::try_from(it.as_secs()).unwrap_or(u32::MAX);
        let idle = seconds(now.saturating_duration_since(held.touched));
        let limit = seconds(held.idle_timeout);
        let request = self.config.endpoint.renew(&held.wire);
        if required {
            self.why = Why::Idle { idle, limit };
        }
        let exchange = self.send(Purpose::Renew, request, now);
        self.why = Why::Input;
        let renewal = Renewing::new(Beside::Renewal, exchange, epoch);
        self.set_beside(Renewing { required, asked_at, ..renewal });
    }

    pub(super) fn set_beside(&mut self, begun: Renewing) {
        if let State::Open { renewing, .. } = &mut self.state {
            *renewing = Some(Box::new(begun));
        }
    }

    /// A renewal, or the question whether the session lives, has been answered.
    pub(super) fn on_renewed(
        &mut self,
        result: Result<Response<Bytes>, TransportError>,
        now: Instant,
    ) {
        let response = match result {
            Ok(response) => response,
            Err(error) => return self.on_renewal_failed(Error::from_transport(error), now),
        };
        let done = wire::is_done(&response);
        if !done && wire::is_gone(&response) {
            return self.on_renewal_refused(now);
        }
        let own = is_servers_own(&response);
        self.merge_cookies(response.headers(), Purpose::Renew, own, now);
        let State::Open { held, renewing: Some(beside), .. } = &mut self.state else { return };
        let renewal = beside.what == Beside::Renewal;
        // A server that forbids the question knows the session.
        let known = own && !renewal && response.status().is_client_error();
        if !done && !known {
            return self.on_renewal_failed(wire::refusal(&response), now);
        }
        // The answer may have lain unread: the server has seen it at that time or later.
        let (sent_at, asked_at) = (beside.exchange.sent_at(), beside.asked_at);
        held.touch(sent_at);
        held.confirm();
        held.vouched = Some(sent_at);
        self.note_success(now);
        if let Some(troubles) = &mut self.troubles {
            troubles.doubt.dispel();
        }
        self.end_beside();
        if renewal {
            self.event(Event::Renewed { generation: self.generation });
        }
        self.renew_if_stale(asked_at, now);
    }

    /// Extends the session for a caller who asked for that so long after the last request that the
    /// server has answered: it was left behind, and is not what the caller meant.
    pub(super) fn renew_if_stale(&mut self, asked_at: Option<Instant>, now: Instant) {
        let touched = self.state.held().map(|held| held.touched());
        if let (Some(touched), Some(asked_at)) = (touched, asked_at)
            && later(touched, STALE) < asked_at
        {
            self.renew(false, Some(asked_at), now);
        }
    }

    /// The server says, in answer to a renewal or a question, that the session is gone.
    fn on_renewal_refused(&mut self, now: Instant) {
        let State::Open { held, renewing: Some(beside), .. } = &mut self.state else { return };
        let same = beside.epoch == held.epoch;
        if same && held.exchanging.is_suspected() && beside.crossed < CROSSED_LIMIT {
            // The answer to a call, with the cookie that is valid now, may be on its way.
            beside.exchange.deadline = later(now, CROSSED_WAIT * 2_u32.pow(beside.crossed));
            beside.crossed += 1;
            beside.rests = true;
            return;
        }
        let (what, asked_for) = (beside.what, beside.asked_at.is_some());
        self.end_beside();
        if !same {
            // Another answer has replaced the cookies meanwhile: the session lives, and that answer
            // has begun its idle time anew.
            return;
        }
        let renewal = what == Beside::Renewal;
        self.lose(if renewal { LossReason::Expired } else { LossReason::Refused }, now);
        // A caller who asked to renew wants a session; callers that wait ask by themselves.
        if asked_for && matches!(self.state, State::Idle { .. }) {
            drop(self.request_access(now));
        }
    }

    /// Sends a renewal or a question again, with the cookies that are valid by now.
    pub(super) fn ask_beside_again(&mut self, now: Instant) {
        let State::Open { held, renewing: Some(beside), .. } = &self.state else { return };
        let endpoint = &self.config.endpoint;
        let (purpose, request) = match beside.what {
            Beside::Question => (Purpose::Inspect, endpoint.inspect(&held.wire)),
            _ => (Purpose::Renew, endpoint.renew(&held.wire)),
        };
        let epoch = held.epoch;
        let exchange = self.send(purpose, request, now);
        if let State::Open { renewing: Some(beside), .. } = &mut self.state {
            (beside.exchange, beside.epoch, beside.rests) = (exchange, epoch, false);
        }
    }

    pub(super) fn end_beside(&mut self) {
        if let State::Open { renewing, .. } = &mut self.state {
            *renewing = None;
        }
    }

    /// A renewal has failed without a word about the session: it stays in use.
    pub(super) fn on_renewal_failed(&mut self, error: Error, now: Instant) {
        let State::Open { held, renewing, failure } = &mut self.state else {
            return;
        };
        let trusted = now + TRUST_AFTER_FAILED_RENEWAL.min(held.idle_timeout);
        held.idle_deadline = held.idle_deadline.max(trusted);
        let wait = self.backoff.next(&self.config.tuning().retry);
        let wait = wait.max(error.retry_after().unwrap_or_default());
        held.renew_at = held.renew_at.max(later(now, wait));
        let Some(beside) = renewing.take() else { return };
        let asked = error.retry_after();
        // An overloaded server is not a silent one.
        let busy = matches!(error.status().map(|status| status.as_u16()), Some(429 | 503));
        if beside.asked_at.is_some() {
            *failure = Some(error.with_operation("renew"));
        }
        if beside.what == Beside::Question {
            self.on_undecided(asked, busy, now);
        }
    }

    /// The server refused a request of this generation. Nothing happens if it has been replaced.
    pub fn revoke(&mut self, generation: Generation, now: Instant) {
        if let State::Open { held, .. } = &self.state
            && held.generation == generation
        {
            self.lose(LossReason::Refused, now);
        }
    }

    /// The current session has ended.
    pub(super) fn lose(&mut self, reason: LossReason, now: Instant) {
        let beside = match &mut self.state {
            State::Open { renewing, .. } => renewing.take(),
            _ => None,
        };
        let Some(held) = self.state.take_held() else { return };
        self.event(Event::Lost { generation: held.generation, reason });
        if held.borrowed {
            let error = Error::new(
                ErrorKind::SessionLost,
                "the borrowed session has ended and cannot be replaced: borrow again, with a new \
                 identity token or from its owner",
            );
            self.state = State::Refused(error.with_generation(held.generation));
            return;
        }
        if let Some(refusal) = held.refusal {
            // Credentials that were refused are not tried because another session was used since.
            self.state = State::Refused(refusal);
            return;
        }
        // A login that was to replace it does so.
        match beside.map(|beside| *beside) {
            Some(Renewing { what: Beside::Login, exchange, .. }) => {
                self.state = State::LoggingIn { exchange, attempts: 1, status: None };
            }
            Some(Renewing { what: Beside::Credentials, exchange, .. }) => {
                self.state = State::AwaitingCredentials(exchange);
            }
            _ => {}
        }
        if held.adopted {
            // Other machines may use it, whatever became of it here.
            return;
        }
        self.count_brief(&held, now);
        let brief = self.troubles.as_ref().map_or(0, |troubles| troubles.cooling.brief);
        // Nothing ever worked in it, its cookie has been replaced, or it is not the first to end so
        // soon: perhaps it lives and our requests do not reach it.
        if !held.confirmed || held.exchanging.is_suspected() || brief > 1 {
            self.log_out_in_background(&held.wire, now);
        }
        // One that was idle for too long has not been tried.
        if !held.is_overdue(now) {
            self.count_fruitless(&held, now);
        }
    }

    /// Counts the sessions in a row in which nothing worked.
    pub(super) fn count_fruitless(&mut self, held: &Held, now: Instant) {
        let cooling = &mut self.troubles().cooling;
        cooling.fruitless = if held.confirmed { 0 } else { cooling.fruitless + 1 };
        if cooling.fruitless >= FRUITLESS_LIMIT {
            cooling.fruitless = 0;
            if cooling.is_scattered() {
                // That says more.
                return;
            }
            let message = format!(
                "the server opened {FRUITLESS_LIMIT} sessions in a row and refused the first \
                 request in each: does a load balancer lack sticky sessions, or need cookies \
                 that a gateway removes?"
            );
            let error = Error::new(ErrorKind::SessionLost, message);
            self.cool(error.with_generation(held.generation), now);
        }
    }

    /// Counts the sessions in a row that ended right after they had been opened.
    pub(super) fn count_brief(&mut self, held: &Held, now: Instant) {
        if !held.is_brief(now) {
            self.troubles().cooling.brief = 0;
            return;
        }
        let known = self.is_scattered();
        let cooling = &mut self.troubles().cooling;
        cooling.brief = BRIEF_LIMIT.min(cooling.brief + 1);
        if self.is_scattered() {
            if !known {
                self.event(Event::NotSticky);
            }
            self.cool(Error::new(ErrorKind::SessionLost, NOT_STICKY), now);
        }
    }

    /// Opens no session for a while; callers are told this meanwhile.
    fn cool(&mut self, error: Error, now: Instant) {
        self.troubles().cooling.until = Some((now + COOLING, error));
    }

    /// Something has succeeded in the session.
    pub(super) fn note_success(&mut self, now: Instant) {
        let Some(troubles) = &mut self.troubles else { return };
        let cooling = &mut troubles.cooling;
        cooling.fruitless = 0;
        if cooling.brief > 0 && self.state.held().is_some_and(|held| !held.is_brief(now)) {
            cooling.brief = 0;
        }
    }

    pub(super) fn on_reset(&mut self, credentials: Option<Credentials>, now: Instant) {
        if self.state.is_closing() {
            return;
        }
        // A session may be on its way out already; what follows uses the new credentials.
        if !matches!(self.state, State::Leaving { .. }) {
            self.give_up_for_another(now);
        }
        self.troubles = None;
        self.replace_credentials(credentials);
    }

    /// Ends what there is without waiting for it: another session is to be used instead.
    pub(super) fn give_up_for_another(&mut self, now: Instant) {
        if let State::LoggingIn { exchange, .. } = self.state {
            self.retire_login(exchange);
        }
        if let Some(held) = self.release() {
            self.event(Event::Replaced { generation: held.generation });
            if held.is_ours() {
                self.log_out_in_background(&held.wire, now);
            }
        }
        self.state = State::idle();
    }

    fn replace_credentials(&mut self, credentials: Option<Credentials>) {
        self.forget_supplied();
        match &mut self.state {
            // The refusal was about the former credentials.
            State::Leaving { after: after @ After::Refuse(_), .. } => *after = After::LogInAgain,
            // Nor is the failure: waiting callers ask again.
            State::Leaving { after: After::Fail(failure), .. } => *failure = None,
            _ => {}
        }
        let Some(credentials) = credentials else {
            // Those that were given in between are not what is asked for.
            if self.has_provider {
                self.credentials = Source::Asked { current: None };
            }
            return;
        };
        // They keep the rules of the first ones: nothing empty, nothing in clear.
        let checked = credentials.check().and_then(|()| self.config.check(Some(&credentials)));
        match (checked, &mut self.state) {
            (Ok(()), _) => self.credentials = Source::Held(credentials),
            // They are not kept: once the refusal is lifted, they must not be sent after all.
            (Err(error), State::Leaving { after, .. }) => *after = After::Refuse(error),
            (Err(error), state) => *state = State::Refused(error),
        }
    }
}
