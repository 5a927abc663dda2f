//! Logging in: from no session to one.

use std::time::Instant;

use bytes::Bytes;
use http::Response;

use super::config::WEB_APPLICATION;
use super::held::Held;
use super::machine::{Session, Source, may_pass, timed_out};
use super::messages::{CloseOutcome, Event, Output, Purpose};
use super::state::{After, InFlight, State};
use super::submissions::Objection;
use crate::contract::{Sent, TransportError, TransportErrorKind};
use crate::error::{Error, ErrorKind, parse_error_body};
use crate::protocol::{Credentials, Fingerprint, Place, first_cookies, wire};
use crate::retry::is_passing_status;
use crate::timeouts::later;

impl Session {
    /// Begins a flight: the first attempt to open a session.
    pub(super) fn start_opening(&mut self, now: Instant) {
        let asked = self.troubles.as_mut().and_then(|troubles| troubles.cooling.asked.take());
        if let Some((until, failure)) = asked
            && now < until
        {
            // The attempts of earlier callers are over, and the server's wait is not.
            self.state = State::BackingOff { until, attempts: 0, failure };
            return;
        }
        self.backoff.reset();
        match &mut self.credentials {
            Source::Held(_) => self.log_in(0, now),
            Source::Asked { current } => {
                *current = None;
                let id = self.next_id();
                let limit = self.config.tuning().exchange_timeout;
                self.put(Output::NeedCredentials(id));
                self.state = State::AwaitingCredentials(InFlight::new(id, limit, now));
            }
        }
    }

    /// Sends the login or delegation, after so many attempts.
    pub(super) fn log_in(&mut self, attempts: u32, now: Instant) {
        match self.submit(now) {
            Ok(exchange) => {
                let status = self.state.take_status();
                let status = status.or_else(|| self.ask_beside_login(attempts, now).map(Box::new));
                self.state = State::LoggingIn { exchange, attempts: attempts + 1, status };
            }
            Err(Objection::Refused(error)) => self.refuse(error),
            Err(Objection::Unanswered(error)) => self.give_up(error),
            // Only reachable if a provider's answer has been forgotten between two attempts.
            Err(Objection::Missing) => self.start_opening(now),
        }
    }

    /// Submits the credentials in use, unless something is known against them.
    pub(super) fn submit(&mut self, now: Instant) -> Result<InFlight, Objection> {
        if self.needs_web_application() {
            // Known to be old since a session was borrowed from it.
            self.known.application_type = WEB_APPLICATION;
        }
        if let Some(submitted) = self.submitted()
            && let Some(objection) = self.objection(&submitted, now)
        {
            return Err(objection);
        }
        let (endpoint, options) = (&self.config.endpoint, &self.config.tuning().options);
        let Some(credentials) = self.current_credentials() else {
            return Err(Objection::Missing);
        };
        let purpose = if credentials.is_delegated() { Purpose::Delegate } else { Purpose::Login };
        let request = endpoint.open(credentials, self.known.application_type, options);
        Ok(self.send(purpose, request, now))
    }

    /// A login has been answered.
    pub(super) fn on_login(
        &mut self,
        attempts: u32,
        result: Result<Response<Bytes>, TransportError>,
        now: Instant,
    ) {
        let submitted = self.submitted();
        let (sent_at, deadline) = match &self.state {
            State::LoggingIn { exchange, .. } => (exchange.sent_at(), exchange.deadline),
            _ => (now, now),
        };
        let refused = match self.read_login(submitted, result, now) {
            Ok(mut opened) => {
                opened.opened_by(sent_at, deadline);
                return self.on_opened(opened, now);
            }
            Err(refused) => refused,
        };
        // A delegation has no application type: it would be the same request once more.
        let delegated = self.current_credentials().is_some_and(Credentials::is_delegated);
        let type_refused = !delegated && refused.type_refused;
        if type_refused && self.config.may_fall_back(self.known.application_type) {
            self.known.application_type = WEB_APPLICATION;
            return self.log_in(0, now);
        }
        if refused.is_final() {
            return self.refuse(refused.error.with_attempts(attempts));
        }
        if !refused.passes {
            return self.fail(refused.error, attempts);
        }
        self.on_opening_failed(refused.error, attempts, now);
    }

    /// Reads the answer to a login, and keeps what it says of the credentials.
    pub(super) fn read_login(
        &mut self,
        submitted: Option<Fingerprint>,
        result: Result<Response<Bytes>, TransportError>,
        now: Instant,
    ) -> Result<Box<Held>, NotOpened> {
        let response = match result {
            Ok(response) => response,
            Err(error) => {
                let told = if has_left(&error) { Told::Nothing } else { Told::Unsubmitted };
                return Err(self.keep(
                    submitted,
                    NotOpened::new(Error::from_transport(error), told),
                    now,
                ));
            }
        };
        if response.status().is_success() {
            if let Some(opened) = read_opened(&response, &self.place(Purpose::Login), now) {
                if let (Some(submitted), Some(troubles)) = (submitted, &mut self.troubles) {
                    troubles.submissions.answered(&submitted);
                }
                return Ok(opened);
            }
            let error = wire::unexpected(&response, "X-MSTR-AuthToken header");
            return Err(self.keep(submitted, NotOpened::new(error, Told::Nothing), now));
        }
        let mut error = wire::refusal(&response);
        let told = Told::by(&response, &error);
        match error.kind() {
            ErrorKind::NotFound => {
                error = error.with_message("there is no REST API here: check the base URL");
            }
            // Nothing but the login and a few others answers without a session.
            ErrorKind::SessionLost => {
                error = error.with_message(
                    "the server asks for a session where the login should be: check the base URL",
                );
            }
            _ => {}
        }
        let body = parse_error_body(response.body());
        let type_refused = body.is_some_and(|error| error.is_application_type_refused());
        let passes = is_passing_status(response.status()) || told != Told::Answer;
        let refused = NotOpened { type_refused, passes, ..NotOpened::new(error, told) };
        Err(self.keep(submitted, refused, now))
    }

    fn keep(
        &mut self,
        submitted: Option<Fingerprint>,
        refused: NotOpened,
        now: Instant,
    ) -> NotOpened {
        let error = refused.error.clone();
        match (refused.told, submitted) {
            (Told::Refused, Some(submitted)) => {
                self.event(Event::Rejected(error.clone()));
                self.troubles().submissions.refused(submitted, error);
            }
            (Told::Answer, Some(submitted)) => self.troubles().submissions.answered(&submitted),
            (Told::Nothing, Some(submitted)) => {
                self.troubles().submissions.unanswered(submitted, error, now);
            }
            (Told::Unsubmitted, _) | (_, None) => {}
        }
        refused
    }

    /// A login has not been answered in time.
    pub(super) fn on_login_late(&mut self, exchange: InFlight, attempts: u32, now: Instant) {
        self.retire_login(exchange);
        let refused = NotOpened::new(timed_out("login"), Told::Nothing);
        let submitted = self.submitted();
        let refused = self.keep(submitted, refused, now);
        self.on_opening_failed(refused.error, attempts, now);
    }

    /// The credentials are refused. A provider may have others the next time; fixed ones stay
    /// refused.
    fn refuse(&mut self, error: Error) {
        self.forget_supplied();
        self.state = match &self.credentials {
            Source::Held(_) => State::Refused(error),
            Source::Asked { .. } => State::Idle { failure: Some(error) },
        };
    }

    /// An attempt has failed for a reason that may pass.
    pub(super) fn on_opening_failed(&mut self, error: Error, attempts: u32, now: Instant) {
        let objection = self.submitted().and_then(|it| self.objection(&it, now));
        if let Some(Objection::Refused(refusal)) = objection {
            // The answer to an earlier attempt has come meanwhile.
            return self.refuse(refusal.with_attempts(attempts));
        }
        let last = attempts >= self.config.tuning().retry.max_attempts || objection.is_some();
        // An identity token works once. If its answer was lost, trying again can only be refused,
        // which would hide the real reason.
        let spent = self.current_credentials().is_some_and(Credentials::is_delegated)
            && error.transport().is_none_or(|cause| cause.sent() == Sent::Maybe);
        if !may_pass(&error) || last || spent {
            let failure = error.clone().with_operation("login").with_attempts(attempts);
            let asked = error.retry_after().map(|wait| (later(now, wait), failure));
            self.troubles().cooling.asked = asked;
            return self.fail(error, attempts);
        }
        let wait = self.backoff.next(&self.config.tuning().retry);
        let wait = wait.max(error.retry_after().unwrap_or_default());
        let failure = error.with_operation("login").with_attempts(attempts);
        self.state = State::BackingOff { until: later(now, wait), attempts, failure };
    }

    /// Ends the flight: all waiting callers receive this error, the next call tries again.
    pub(super) fn fail(&mut self, error: Error, attempts: u32) {
        self.give_up(error.with_operation("login").with_attempts(attempts));
    }

    fn give_up(&mut self, error: Error) {
        self.forget_supplied();
        self.state = State::Idle { failure: Some(error) };
    }

    pub(super) fn forget_supplied(&mut self) {
        if let Source::Asked { current } = &mut self.credentials {
            *current = None;
        }
    }

    pub(super) fn on_opened(&mut self, mut held: Box<Held>, now: Instant) {
        if let Some(troubles) = &mut self.troubles {
            troubles.submissions.forget();
        }
        self.generation = self.generation.next();
        held.generation = self.generation;
        held.borrowed = self.current_credentials().is_some_and(Credentials::is_delegated);
        held.jitter = self.backoff.fraction();
        let assumed = self.config.tuning().assumed_idle_timeout;
        held.set_idle_timeout(self.known.idle_timeout.unwrap_or(assumed), held.touched());
        self.event(Event::Opened { generation: self.generation });
        self.note_ignored(&mut held);
        if self.known.verified {
            self.open(held, now);
        } else {
            self.settle(held, now);
        }
    }

    /// The session may be used from now on.
    pub(super) fn open(&mut self, held: Box<Held>, now: Instant) {
        self.backoff.reset();
        self.forget_supplied();
        self.state = State::open(held);
        self.store_record();
        let asked_at = self.troubles.as_mut().and_then(|troubles| troubles.renewal_asked_at.take());
        self.renew_if_stale(asked_at, now);
    }

    /// A login was answered after the connection had been closed.
    pub(super) fn on_login_while_closing(
        &mut self,
        borrowed: bool,
        result: Result<Response<Bytes>, TransportError>,
        now: Instant,
    ) {
        let opened = result.ok().filter(|response| response.status().is_success());
        match opened
            .as_ref()
            .and_then(|response| read_opened(response, &self.place(Purpose::Login), now))
        {
            None => self.finish_close(CloseOutcome::NotOpen),
            Some(_) if borrowed => self.finish_close(CloseOutcome::Kept),
            Some(held) => self.log_out(held, After::Close, now),
        }
    }

    /// A login that is no longer awaited has been answered: its session must not stay on the server,
    /// and the server's answer about the credentials counts.
    pub(super) fn on_late_login(
        &mut self,
        borrowed: bool,
        submitted: Option<Fingerprint>,
        response: Response<Bytes>,
        now: Instant,
    ) {
        // What a server wants of others says nothing about the credentials that are in use now.
        let current = self.submitted().is_none_or(|own| {
            submitted.as_ref().is_some_and(|submitted| own.is_same_as(submitted))
        });
        if current
            && is_passing_status(response.status())
            && let Some(wait) = wire::retry_after(response.headers())
        {
            self.put_off_login(later(now, wait), &response);
        }
        // That it is not the server's was counted when it was given up.
        let opened = response.status().is_success()
            && read_opened(&response, &self.place(Purpose::Login), now).is_some();
        if !opened && !wire::is_servers_word(&response) {
            return;
        }
        if let Ok(held) = self.read_login(submitted, Ok(response), now)
            && !borrowed
        {
            self.log_out_in_background(&held.wire, now);
        }
    }

    /// The next login is to wait until then, if it waits at all.
    fn put_off_login(&mut self, at: Instant, response: &Response<Bytes>) {
        match &mut self.state {
            State::BackingOff { until, .. } => *until = at.max(*until),
            State::Idle { .. } => {
                let error = wire::refusal(response).with_operation("login");
                let asked = &mut self.troubles().cooling.asked;
                if asked.as_ref().is_none_or(|(until, _)| *until < at) {
                    *asked = Some((at, error));
                }
            }
            _ => {}
        }
    }
}

/// A login that has opened no session.
#[derive(Debug)]
pub(super) struct NotOpened {
    pub(super) error: Error,
    told: Told,
    type_refused: bool,
    /// Trying again may help.
    passes: bool,
}

impl NotOpened {
    fn new(error: Error, told: Told) -> Self {
        let error = error.with_operation("login");
        Self { error, told, type_refused: false, passes: true }
    }

    /// The server refuses the credentials.
    pub(super) fn is_final(&self) -> bool {
        self.told == Told::Refused
    }
}

/// The meaning for the credentials of an answer to a login that opens no session.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Told {
    /// The server refuses them.
    Refused,
    /// The server has answered, and refuses something else.
    Answer,
    /// They have not been submitted: too many requests, or the server is not there.
    Unsubmitted,
    /// The server has not answered, and they may have been submitted.
    Nothing,
}

impl Told {
    fn by(response: &Response<Bytes>, error: &Error) -> Self {
        if wire::is_servers_word(response) {
            return match error.kind() {
                ErrorKind::Credentials | ErrorKind::Forbidden => Self::Refused,
                _ => Self::Answer,
            };
        }
        match response.status().as_u16() {
            // These two say that nothing was processed.
            429 | 503 => Self::Unsubmitted,
            _ => Self::Nothing,
        }
    }
}

/// Whether a request that failed like this can have reached the server.
fn has_left(error: &TransportError) -> bool {
    use TransportErrorKind::{Config, Connect, Tls};
    error.sent() == Sent::Maybe && !matches!(error.kind(), Config | Connect | Tls)
}

/// The session that an answer to a login opens.
fn read_opened(response: &Response<Bytes>, place: &Place<'_>, now: Instant) -> Option<Box<Held>> {
    let token = wire::auth_token(response)?;
    Held::new(token, first_cookies(response.headers(), place, now), now)
}
