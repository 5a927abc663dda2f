//! Logging in: from no session to one.

use std::time::{Duration, Instant};

use bytes::Bytes;
use http::Response;

use super::config::WEB_APPLICATION;
use super::settling::Settling;
use super::state::{After, CloseOutcome, Held, InFlight, State};
use super::{Event, Output, Purpose, Session, Source};
use crate::call::{is_passing_status, later};
use crate::contract::TransportError;
use crate::error::{Error, ErrorKind, parse_error_body};
use crate::protocol::{CookieJar, Credentials, WireCredentials, wire};

/// After so many sessions in a row in which nothing ever succeeded, no further one is opened for
/// a while: each would stay on the server.
pub(super) const FRUITLESS_LIMIT: u32 = 3;
pub(super) const COOLING: Duration = Duration::from_secs(30);

/// What an answer to a login holds.
struct Opened {
    token: crate::protocol::AuthToken,
    jar: CookieJar,
    wire: WireCredentials,
}

impl Session {
    /// Begins a flight: the first attempt to open a session.
    pub(super) fn start_opening(&mut self, now: Instant) {
        self.attempts = 0;
        self.backoff.reset();
        self.failure = None;
        match &mut self.credentials {
            Source::Held(_) => self.log_in(now),
            Source::Asked { current } => {
                *current = None;
                let id = self.next_id();
                let deadline = later(now, self.config.exchange_timeout);
                self.outputs.push_back(Output::NeedCredentials(id));
                self.state = State::AwaitingCredentials(InFlight { id, deadline, borrows: false });
            }
        }
    }

    /// Sends the login or delegation.
    pub(super) fn log_in(&mut self, now: Instant) {
        if self.needs_web_application() {
            // Known to be old since a session was borrowed from it.
            self.application_type = WEB_APPLICATION;
        }
        let Some(credentials) = self.current_credentials() else {
            // Only reachable if a provider's answer has been forgotten between two attempts.
            self.state = State::Idle;
            self.start_opening(now);
            return;
        };
        let purpose = if credentials.is_delegated() { Purpose::Delegate } else { Purpose::Login };
        let request =
            self.config.codec().open(credentials, self.application_type, &self.config.options);
        match request {
            Ok(request) => {
                self.attempts += 1;
                self.state = State::LoggingIn(self.send(purpose, request, now));
            }
            Err(error) => self.fail(error),
        }
    }

    /// A login has been answered.
    pub(super) fn on_login(
        &mut self,
        result: Result<Response<Bytes>, TransportError>,
        now: Instant,
    ) {
        match result {
            Ok(response) if response.status().is_success() => match read_opened(&response) {
                Some(opened) => self.on_opened(opened, now),
                None => self.fail(wire::unexpected(&response, "X-MSTR-AuthToken header")),
            },
            Ok(response) => self.on_login_refused(&response, now),
            Err(error) => self.on_opening_failed(Error::from_transport(error), now),
        }
    }

    fn on_login_refused(&mut self, response: &Response<Bytes>, now: Instant) {
        let body = parse_error_body(response.body());
        // A delegation has no application type: it would be the same request once more.
        let delegated = self.current_credentials().is_some_and(Credentials::is_delegated);
        let type_refused =
            !delegated && body.is_some_and(|error| error.is_application_type_refused());
        if type_refused && self.config.may_fall_back(self.application_type) {
            self.application_type = WEB_APPLICATION;
            self.attempts = 0;
            return self.log_in(now);
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
            let error = error.with_operation("login").with_attempts(self.attempts);
            self.event(Event::Rejected(error.clone()));
            self.forget_supplied();
            self.state = State::Refused(error);
        } else if is_passing_status(response.status()) && error.kind() != ErrorKind::SessionLimit {
            self.on_opening_failed(error, now);
        } else {
            self.fail(error);
        }
    }

    /// An attempt has failed for a reason that may pass.
    pub(super) fn on_opening_failed(&mut self, error: Error, now: Instant) {
        let last = self.attempts >= self.config.retry.max_attempts;
        // An identity token works once. If its answer was lost, trying again can only be refused,
        // which would hide the real reason.
        let spent = self.current_credentials().is_some_and(Credentials::is_delegated)
            && error.transport().is_none_or(|cause| cause.sent() == crate::contract::Sent::Maybe);
        if !error.is_retryable() || last || spent {
            return self.fail(error);
        }
        let wait = self.backoff.next(&self.config.retry);
        let wait = wait.max(error.retry_after().unwrap_or_default());
        self.state = State::BackingOff { until: later(now, wait) };
    }

    /// Ends the flight: everyone who waits receives this error, the next call tries again.
    pub(super) fn fail(&mut self, error: Error) {
        self.forget_supplied();
        self.failure = Some(error.with_operation("login").with_attempts(self.attempts));
        self.state = State::Idle;
    }

    pub(super) fn forget_supplied(&mut self) {
        if let Source::Asked { current } = &mut self.credentials {
            *current = None;
        }
    }

    fn on_opened(&mut self, opened: Opened, now: Instant) {
        let borrowed = self.current_credentials().is_some_and(Credentials::is_delegated);
        self.generation = self.generation.next();
        let known = self.info.as_ref().and_then(|info| info.timeout);
        let mut held = Held {
            generation: self.generation,
            epoch: 0,
            token: opened.token,
            jar: opened.jar,
            wire: opened.wire.into(),
            borrowed,
            confirmed: false,
            idle_timeout: Duration::ZERO,
            idle_deadline: now,
            renew_at: now,
            jitter: self.backoff.fraction(),
        };
        held.set_idle_timeout(known.unwrap_or(self.config.assumed_idle_timeout), now);
        self.held = Some(held);
        self.event(Event::Opened { generation: self.generation });
        if self.verified {
            self.open();
        } else {
            self.settle(now);
        }
    }

    /// The session may be used from now on.
    pub(super) fn open(&mut self) {
        self.attempts = 0;
        self.backoff.reset();
        self.forget_supplied();
        self.state = State::Open { renewing: None };
    }

    fn settle(&mut self, now: Instant) {
        let Some(wire) = self.held.as_ref().map(|held| std::sync::Arc::clone(&held.wire)) else {
            return self.open();
        };
        let codec = self.config.codec();
        let checks = self.config.checks;
        // What is known already is not asked again after the application type was changed.
        let inspect = (checks && self.info.is_none()).then(|| codec.inspect(&wire));
        let status = (checks && self.server.is_none()).then(|| codec.server_status(&wire));
        let wanted = self.config.project.is_some() && self.project.is_none();
        let projects = wanted.then(|| codec.list_projects(&wire));
        let mut settling = Settling::default();
        for (purpose, request) in [
            (Purpose::Inspect, inspect),
            (Purpose::Status, status),
            (Purpose::ListProjects, projects),
        ] {
            match request {
                None => {}
                Some(Ok(request)) => {
                    let exchange = self.send(purpose, request, now);
                    settling.await_answer(purpose, exchange, 1);
                }
                Some(Err(error)) => return self.abandon(error, now),
            }
        }
        self.state = State::Settling(settling);
        self.finish_settling(now);
    }

    /// A login was answered after the connection had been closed.
    pub(super) fn on_login_while_closing(
        &mut self,
        result: Result<Response<Bytes>, TransportError>,
        now: Instant,
    ) {
        let State::ClosingLogin(exchange) = &self.state else {
            return;
        };
        let borrowed = exchange.borrows;
        let opened = result.ok().filter(|response| response.status().is_success());
        match opened.as_ref().and_then(read_opened) {
            None => self.finish_close(CloseOutcome::NotOpen),
            Some(_) if borrowed => self.finish_close(CloseOutcome::Kept),
            Some(opened) => match self.config.codec().logout(&opened.wire) {
                Ok(request) => self.leave_with(After::Close, request, now),
                Err(error) => self.finish_close(CloseOutcome::Failed(error)),
            },
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
        if let Some(opened) = read_opened(response)
            && let Ok(request) = self.config.codec().logout(&opened.wire)
        {
            self.send_detached(request, now);
        }
    }
}

fn read_opened(response: &Response<Bytes>) -> Option<Opened> {
    let token = wire::auth_token(response)?;
    let header = wire::token_header(&token)?;
    let mut jar = CookieJar::default();
    jar.store(response.headers());
    let wire = WireCredentials { token: header, cookies: jar.header() };
    Some(Opened { token, jar, wire })
}
