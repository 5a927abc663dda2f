//! Keeping a session: who may use it, when it is renewed, what a loss leads to.

use std::time::{Duration, Instant};

use bytes::Bytes;
use http::Response;

use super::opening::{COOLING, FRUITLESS_LIMIT};
use super::state::{After, LossReason, Renewing, State};
use super::{Access, Event, Purpose, Session, Source};
use crate::call::later;
use crate::contract::TransportError;
use crate::error::{Error, ErrorKind, parse_error_body};
use crate::protocol::{Credentials, Generation, wire};

/// How long a session is used on trust after a renewal failed for a passing reason.
const TRUST_AFTER_FAILED_RENEWAL: Duration = Duration::from_secs(30);

impl Session {
    /// An open session was asked for.
    pub(super) fn access_open(&mut self, now: Instant) -> Access {
        let Some(held) = &self.held else {
            self.state = State::Idle;
            return self.request_access(now);
        };
        if let State::Open { renewing: Some(renewing) } = &self.state
            && renewing.required
        {
            return Access::Pending;
        }
        if now < held.idle_deadline {
            return Access::Granted(held.grant());
        }
        // Idle for longer than the server allows, as far as this side can tell. Asking costs one
        // round trip; opening a second session beside a living one would cost more.
        self.renew(true, false, now);
        self.request_pending_or_granted()
    }

    fn request_pending_or_granted(&self) -> Access {
        match (&self.state, &self.held) {
            (State::Open { renewing: None }, Some(held)) => Access::Granted(held.grant()),
            (State::Refused(error), _) => Access::Denied(error.clone()),
            _ => Access::Pending,
        }
    }

    pub(super) fn on_renew(&mut self, now: Instant) {
        self.handle_timeout(now);
        match &mut self.state {
            State::Open { renewing: Some(renewing) } => renewing.asked_for = true,
            State::Open { renewing: None } => self.renew(false, true, now),
            State::Idle => {
                // The same guards as for a request: cooling, then opening.
                drop(self.request_access(now));
            }
            State::AwaitingCredentials(_)
            | State::BackingOff { .. }
            | State::Closed(_)
            | State::ClosingLogin(_)
            | State::Leaving { .. }
            | State::LoggingIn(_)
            | State::Refused(_)
            | State::Settling(_) => {}
        }
    }

    fn renew(&mut self, required: bool, asked_for: bool, now: Instant) {
        if let State::Open { renewing: Some(renewing) } = &mut self.state {
            renewing.required |= required;
            renewing.asked_for |= asked_for;
            return;
        }
        let Some(held) = &self.held else { return };
        // An earlier renewal may have failed while nobody waited for it.
        self.failure = None;
        let epoch = held.epoch;
        match self.config.codec().renew(&held.wire) {
            Ok(request) => {
                let exchange = self.send(Purpose::Renew, request, now);
                self.state = State::Open {
                    renewing: Some(Renewing { exchange, epoch, required, asked_for }),
                };
            }
            Err(error) => self.failure = asked_for.then_some(error),
        }
    }

    /// A renewal has been answered.
    pub(super) fn on_renewed(
        &mut self,
        result: Result<Response<Bytes>, TransportError>,
        now: Instant,
    ) {
        let response = match result {
            Ok(response) => response,
            Err(error) => return self.on_renewal_failed(Error::from_transport(error), now),
        };
        self.merge_cookies_if_alive(&response);
        if wire::is_done(&response) {
            if let Some(held) = &mut self.held {
                held.touch(now);
                held.confirmed = true;
            }
            self.state = State::Open { renewing: None };
            self.event(Event::Renewed { generation: self.generation });
        } else if is_gone(&response) && self.renewal_was_crossed() {
            // Another answer has replaced the cookies meanwhile: the session lives, and that
            // answer has begun its idle time anew.
            self.state = State::Open { renewing: None };
        } else if is_gone(&response) {
            let asked_for = matches!(&self.state, State::Open { renewing: Some(renewing) } if renewing.asked_for);
            self.lose(LossReason::Expired, now);
            // Whoever asked to renew wants a session; callers that wait ask by themselves.
            if asked_for && matches!(self.state, State::Idle) {
                drop(self.request_access(now));
            }
        } else {
            self.on_renewal_failed(wire::refusal(&response), now);
        }
    }

    fn renewal_was_crossed(&self) -> bool {
        match (&self.state, &self.held) {
            (State::Open { renewing: Some(renewing) }, Some(held)) => renewing.epoch != held.epoch,
            _ => false,
        }
    }

    fn merge_cookies_if_alive(&mut self, response: &Response<Bytes>) {
        if !is_gone(response) {
            self.merge_cookies(response.headers());
        }
    }

    /// A renewal has failed without a word about the session: it stays in use.
    pub(super) fn on_renewal_failed(&mut self, error: Error, now: Instant) {
        let State::Open { renewing } = &mut self.state else {
            return;
        };
        let asked_for = renewing.take().is_some_and(|renewing| renewing.asked_for);
        if let Some(held) = &mut self.held {
            let trusted = now + TRUST_AFTER_FAILED_RENEWAL.min(held.idle_timeout);
            held.idle_deadline = held.idle_deadline.max(trusted);
            held.renew_at = held.renew_at.max(later(now, self.backoff.next(&self.config.retry)));
        }
        if asked_for {
            self.failure = Some(error.with_operation("renew"));
        }
    }

    /// The server refused a request of this generation. Nothing happens if it has been replaced.
    pub fn revoke(&mut self, generation: Generation, now: Instant) {
        let current = self.held.as_ref().is_some_and(|held| held.generation == generation);
        if current && matches!(self.state, State::Open { .. }) {
            self.lose(LossReason::Refused, now);
        }
    }

    /// The current session has ended.
    fn lose(&mut self, reason: LossReason, now: Instant) {
        let Some(held) = self.held.take() else { return };
        self.event(Event::Lost { generation: held.generation, reason });
        if held.borrowed {
            let error = Error::new(
                ErrorKind::SessionLost,
                "the borrowed session has ended, and its identity token works only once: borrow \
                 again with a new token",
            );
            self.state = State::Refused(error.with_generation(held.generation));
            return;
        }
        self.state = State::Idle;
        if held.confirmed {
            self.fruitless = 0;
        }
        if held.confirmed && !self.rotates {
            return;
        }
        // Nothing ever worked in it, or its cookie has been replaced: perhaps it lives and only
        // our cookies do not reach it.
        if let Ok(request) = self.config.codec().logout(&held.wire) {
            self.send_detached(request, now);
        }
        if held.confirmed {
            return;
        }
        self.fruitless += 1;
        if self.fruitless >= FRUITLESS_LIMIT {
            let error = Error::new(
                ErrorKind::SessionLost,
                format!(
                    "the server opened {} sessions in a row and refused the first request in \
                     each: does a load balancer need cookies that a gateway removes?",
                    self.fruitless
                ),
            );
            self.cooling = Some((now + COOLING, error.with_generation(held.generation)));
            self.fruitless = 0;
        }
    }

    pub(super) fn on_reset(&mut self, credentials: Option<Credentials>, now: Instant) {
        match &self.state {
            State::Closed(_) | State::ClosingLogin(_) => return,
            State::Leaving { after: After::Close, .. } => return,
            // The session is on its way out already; what follows uses the new credentials.
            State::Leaving { .. } => return self.replace_credentials(credentials),
            State::AwaitingCredentials(_)
            | State::BackingOff { .. }
            | State::Idle
            | State::LoggingIn(_)
            | State::Open { .. }
            | State::Refused(_)
            | State::Settling(_) => {}
        }
        if let State::LoggingIn(exchange) = &self.state {
            let exchange = *exchange;
            self.retire_login(exchange);
        }
        if let Some(held) = self.held.take() {
            self.event(Event::Replaced { generation: held.generation });
            if !held.borrowed
                && let Ok(request) = self.config.codec().logout(&held.wire)
            {
                self.send_detached(request, now);
            }
        }
        self.cooling = None;
        self.fruitless = 0;
        self.failure = None;
        self.state = State::Idle;
        self.replace_credentials(credentials);
    }

    fn replace_credentials(&mut self, credentials: Option<Credentials>) {
        self.forget_supplied();
        if let State::Leaving { after: after @ After::Refuse(_), .. } = &mut self.state {
            // What was refused before is no longer what is asked for.
            *after = After::LogInAgain;
        }
        let Some(credentials) = credentials else { return };
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

/// Whether an answer to a renewal says that the session is gone. A bare 401 counts: nothing but
/// the session was asked about.
fn is_gone(response: &Response<Bytes>) -> bool {
    response.status() == http::StatusCode::UNAUTHORIZED
        || parse_error_body(response.body()).is_some_and(|error| error.is_session_gone())
}
