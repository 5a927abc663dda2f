//! Logging in: from no session to one.

use std::time::Instant;

use bytes::Bytes;
use http::Response;

use super::config::{SessionConfig, WEB_APPLICATION};
use super::held::Held;
use super::machine::{Session, Source, may_pass};
use super::messages::{CloseOutcome, Event, Output, Purpose};
use super::state::{After, InFlight, State};
use crate::contract::{Sent, TransportError};
use crate::error::{Error, ErrorKind, parse_error_body};
use crate::policy::{is_passing_status, later};
use crate::protocol::{CookieJar, Credentials, wire};

impl Session {
    /// Begins a flight: the first attempt to open a session.
    pub(super) fn start_opening(&mut self, now: Instant) {
        self.backoff.reset();
        match &mut self.credentials {
            Source::Held(_) => self.log_in(0, now),
            Source::Asked { current } => {
                *current = None;
                let id = self.next_id();
                let deadline = later(now, self.config.exchange_timeout);
                self.outputs.push_back(Output::NeedCredentials(id));
                self.state = State::AwaitingCredentials(InFlight { id, deadline, borrows: false });
            }
        }
    }

    /// Sends the login or delegation, after so many attempts.
    pub(super) fn log_in(&mut self, attempts: u32, now: Instant) {
        if self.needs_web_application() {
            // Known to be old since a session was borrowed from it.
            self.known.application_type = WEB_APPLICATION;
        }
        let Some(credentials) = self.current_credentials() else {
            // Only reachable if a provider's answer has been forgotten between two attempts.
            return self.start_opening(now);
        };
        let purpose = if credentials.is_delegated() { Purpose::Delegate } else { Purpose::Login };
        let SessionConfig { endpoint, options, .. } = &self.config;
        let request = endpoint.open(credentials, self.known.application_type, options);
        let exchange = self.send(purpose, request, now);
        self.state = State::LoggingIn { exchange, attempts: attempts + 1 };
    }

    /// A login has been answered.
    pub(super) fn on_login(
        &mut self,
        attempts: u32,
        result: Result<Response<Bytes>, TransportError>,
        now: Instant,
    ) {
        match result {
            Ok(response) if response.status().is_success() => match read_opened(&response, now) {
                Some(opened) => self.on_opened(opened, now),
                None => self.fail(wire::unexpected(&response, "X-MSTR-AuthToken header"), attempts),
            },
            Ok(response) => self.on_login_refused(&response, attempts, now),
            Err(error) => self.on_opening_failed(Error::from_transport(error), attempts, now),
        }
    }

    fn on_login_refused(&mut self, response: &Response<Bytes>, attempts: u32, now: Instant) {
        let body = parse_error_body(response.body());
        // A delegation has no application type: it would be the same request once more.
        let delegated = self.current_credentials().is_some_and(Credentials::is_delegated);
        let type_refused =
            !delegated && body.is_some_and(|error| error.is_application_type_refused());
        if type_refused && self.config.may_fall_back(self.known.application_type) {
            self.known.application_type = WEB_APPLICATION;
            return self.log_in(0, now);
        }
        let mut error = wire::refusal(response);
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
        if matches!(error.kind(), ErrorKind::Credentials | ErrorKind::Forbidden) {
            let error = error.with_operation("login").with_attempts(attempts);
            self.event(Event::Rejected(error.clone()));
            self.forget_supplied();
            self.state = State::Refused(error);
        } else if is_passing_status(response.status()) && error.kind() != ErrorKind::SessionLimit {
            self.on_opening_failed(error, attempts, now);
        } else {
            self.fail(error, attempts);
        }
    }

    /// An attempt has failed for a reason that may pass.
    pub(super) fn on_opening_failed(&mut self, error: Error, attempts: u32, now: Instant) {
        let last = attempts >= self.config.retry.max_attempts;
        // An identity token works once. If its answer was lost, trying again can only be refused,
        // which would hide the real reason.
        let spent = self.current_credentials().is_some_and(Credentials::is_delegated)
            && error.transport().is_none_or(|cause| cause.sent() == Sent::Maybe);
        if !may_pass(&error) || last || spent {
            return self.fail(error, attempts);
        }
        let wait = self.backoff.next(&self.config.retry);
        let wait = wait.max(error.retry_after().unwrap_or_default());
        self.state = State::BackingOff { until: later(now, wait), attempts };
    }

    /// Ends the flight: everyone who waits receives this error, the next call tries again.
    pub(super) fn fail(&mut self, error: Error, attempts: u32) {
        self.forget_supplied();
        let error = error.with_operation("login").with_attempts(attempts);
        self.state = State::Idle { failure: Some(error) };
    }

    pub(super) fn forget_supplied(&mut self) {
        if let Source::Asked { current } = &mut self.credentials {
            *current = None;
        }
    }

    fn on_opened(&mut self, mut held: Box<Held>, now: Instant) {
        self.generation = self.generation.next();
        held.generation = self.generation;
        held.borrowed = self.current_credentials().is_some_and(Credentials::is_delegated);
        held.jitter = self.backoff.fraction();
        let known = self.known.info.as_ref().and_then(|info| info.timeout);
        held.set_idle_timeout(known.unwrap_or(self.config.assumed_idle_timeout), now);
        self.event(Event::Opened { generation: self.generation });
        if self.known.verified {
            self.open(held);
        } else {
            self.settle(held, now);
        }
    }

    /// The session may be used from now on.
    pub(super) fn open(&mut self, held: Box<Held>) {
        self.backoff.reset();
        self.forget_supplied();
        self.state = State::open(held);
        self.store_record();
    }

    /// A login was answered after the connection had been closed.
    pub(super) fn on_login_while_closing(
        &mut self,
        borrowed: bool,
        result: Result<Response<Bytes>, TransportError>,
        now: Instant,
    ) {
        let opened = result.ok().filter(|response| response.status().is_success());
        match opened.as_ref().and_then(|response| read_opened(response, now)) {
            None => self.finish_close(CloseOutcome::NotOpen),
            Some(_) if borrowed => self.finish_close(CloseOutcome::Kept),
            Some(held) => self.log_out(held, After::Close, now),
        }
    }

    /// A login nobody awaits any more has succeeded: its session must not stay on the server.
    pub(super) fn log_out_stray(
        &mut self,
        borrowed: bool,
        response: &Response<Bytes>,
        now: Instant,
    ) {
        if borrowed || !response.status().is_success() {
            return;
        }
        if let Some(held) = read_opened(response, now) {
            self.log_out_in_background(&held.wire, now);
        }
    }
}

/// The session that an answer to a login opens.
fn read_opened(response: &Response<Bytes>, now: Instant) -> Option<Box<Held>> {
    let token = wire::auth_token(response)?;
    let mut jar = CookieJar::default();
    jar.store(response.headers());
    Held::new(token, jar, now)
}
