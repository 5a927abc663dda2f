//! The first checks of a new session: its idle timeout, the server's version, the project. All
//! three are asked at once.
//!
//! The version is asked for already beside the first login, without a session: it is public. That saves
//! a round trip, because the connection that is made for it is there when the checks are sent. Only an
//! answer with a version counts. Whatever else comes of it, the question is asked again in the session.

use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use http::{Response, StatusCode};

use super::config::WEB_APPLICATION;
use super::held::Held;
use super::machine::{Session, may_pass, timed_out};
use super::messages::{Event, ExchangeId, LossReason, Purpose, Why};
use super::observe::is_servers_own;
use super::state::{After, Checks, InFlight, Slot, State};
use crate::contract::TransportError;
use crate::error::{Error, ErrorKind};
use crate::protocol::{
    Credentials, Server, SessionInfo, Version, WireCredentials, resolve_project, wire,
};
use crate::retry::is_passing_status;
use crate::timeouts::later;

/// How often a check is asked before its refusal is believed: as many as there are that it can
/// cross.
const CROSSED_LIMIT: u32 = 3;

impl Session {
    /// Asks what has to be known before the session is used, all at once.
    pub(super) fn settle(&mut self, held: Box<Held>, now: Instant) {
        let asks = self.config.checks;
        // Known values are not asked for again after the application type was changed.
        let inspect = asks && !self.known.inspected;
        let status = self.wants_status();
        let mut beside_login = self.state.take_status();
        let projects = self.config.project.is_some() && self.known.project.is_none();
        let mut checks = Checks::default();
        for (purpose, wanted) in [
            (Purpose::Inspect, inspect),
            (Purpose::Status, status),
            (Purpose::ListProjects, projects),
        ] {
            if !wanted {
                continue;
            }
            let asked = beside_login.take_if(|_| purpose == Purpose::Status);
            let slot = match asked {
                Some(exchange) => Slot::InFlight { exchange: *exchange, attempts: 0 },
                None => self.ask(purpose, &held.wire, 1, now),
            };
            checks.set(purpose, slot);
        }
        self.state = State::Settling { held, checks };
        self.finish_settling(now);
    }

    const fn wants_status(&self) -> bool {
        self.config.checks && self.known.server.is_none()
    }

    /// Asks for the server's version beside a login that has just been sent. Once for all attempts,
    /// and in no session: the answer says nothing about any.
    pub(super) fn ask_beside_login(&mut self, attempts: u32, now: Instant) -> Option<InFlight> {
        if attempts > 0 || self.config.login_alone || !self.wants_status() {
            return None;
        }
        let request = self.config.endpoint.server_status(None);
        let why = std::mem::replace(&mut self.why, Why::BesideLogin);
        let exchange = self.send(Purpose::Status, request, now);
        self.why = why;
        Some(exchange)
    }

    /// The server's version has been asked for beside a login, which is not answered yet.
    pub(super) fn on_status_beside_login(
        &mut self,
        result: Result<Response<Bytes>, TransportError>,
    ) {
        self.state.take_status();
        if let Ok(response) = result
            && tells_version(&response)
        {
            // One that is too old is not kept: the check says so.
            drop(self.on_server_status(&response));
        }
    }

    /// The same, after the login has been answered.
    fn on_status_after_login(
        &mut self,
        sent_at: Instant,
        result: Result<Response<Bytes>, TransportError>,
        now: Instant,
    ) {
        let failure = match result {
            Ok(response) if tells_version(&response) => {
                self.set_check(Purpose::Status, Slot::Done);
                return self.conclude(Purpose::Status, sent_at, &response, now);
            }
            Ok(response) if is_passing_status(response.status()) => wire::refusal(&response),
            // In the session there may be another answer.
            Ok(_) => return self.ask_again(Purpose::Status, 1, now),
            Err(error) => Error::from_transport(error),
        };
        if may_pass(&failure) {
            self.retry_check(Purpose::Status, 0, failure, now);
        } else {
            self.ask_again(Purpose::Status, 1, now);
        }
    }

    /// One of the checks has been answered.
    pub(super) fn on_settled(
        &mut self,
        id: ExchangeId,
        result: Result<Response<Bytes>, TransportError>,
        now: Instant,
    ) {
        let State::Settling { checks, .. } = &mut self.state else {
            return;
        };
        let awaited = checks.0.iter_mut().find(|(_, slot)| slot.awaits(id));
        let Some(&mut (purpose, ref mut slot)) = awaited else { return };
        let Slot::InFlight { ref exchange, attempts } = *slot else {
            return;
        };
        let sent_at = exchange.sent_at();
        if attempts == 0 {
            return self.on_status_after_login(sent_at, result, now);
        }
        *slot = Slot::Done;
        let error = match result {
            Ok(response) => {
                if self.crossed_another(&response, attempts) {
                    self.set_check(purpose, Slot::Crossed { attempts });
                    return self.finish_settling(now);
                }
                let own = is_servers_own(&response);
                self.merge_cookies(response.headers(), purpose, own, now);
                let status = response.status();
                // The session is usable without its server's version, and by who may not ask about it.
                let needed = match purpose {
                    Purpose::Status => false,
                    Purpose::Inspect => status != StatusCode::FORBIDDEN,
                    _ => true,
                };
                let gateways = needed && wire::is_gateways(&response);
                if !is_passing_status(status) && !gateways {
                    return self.conclude(purpose, sent_at, &response, now);
                }
                wire::refusal(&response)
            }
            Err(error) => Error::from_transport(error),
        };
        self.retry_check(purpose, attempts, error, now);
    }

    fn retry_check(&mut self, purpose: Purpose, attempts: u32, error: Error, now: Instant) {
        let failure = error.with_operation(purpose.name()).with_attempts(attempts);
        if !may_pass(&failure) || attempts >= self.config.tuning().retry.max_attempts {
            return self.fail_check(failure, now);
        }
        let wait = self.backoff.next(&self.config.tuning().retry);
        let until = later(now, wait.max(failure.retry_after().unwrap_or_default()));
        self.set_check(purpose, Slot::Waiting { until, attempts, failure });
    }

    /// Whether a check was refused because it crossed the answer to another one, with which the
    /// server replaced its cookie. That is told apart from a dead session by asking again.
    fn crossed_another(&self, response: &Response<Bytes>, attempts: u32) -> bool {
        let State::Settling { checks, .. } = &self.state else { return false };
        response.status() == StatusCode::UNAUTHORIZED
            && checks.0.len() > 1
            && attempts < CROSSED_LIMIT
    }

    fn set_check(&mut self, purpose: Purpose, slot: Slot) {
        if let State::Settling { checks, .. } = &mut self.state {
            checks.set(purpose, slot);
        }
    }

    pub(super) fn on_settling_timeout(&mut self, now: Instant) {
        // Each may be the last straw, after which there is nothing to check.
        while let State::Settling { checks, .. } = &self.state
            && let Some((purpose, attempts, unanswered)) = checks.due(now)
        {
            if unanswered && attempts > 0 {
                self.retry_check(purpose, attempts, timed_out(purpose.name()), now);
            } else {
                self.ask_again(purpose, attempts + 1, now);
            }
        }
    }

    /// Sends one of the checks; `attempts` says how often it has been sent then.
    fn ask(
        &mut self,
        purpose: Purpose,
        wire: &WireCredentials,
        attempts: u32,
        now: Instant,
    ) -> Slot {
        let endpoint = &self.config.endpoint;
        let request = match purpose {
            Purpose::Inspect => endpoint.inspect(wire),
            Purpose::Status => endpoint.server_status(Some(wire)),
            _ => endpoint.list_projects(wire),
        };
        Slot::InFlight { exchange: self.send(purpose, request, now), attempts }
    }

    fn ask_again(&mut self, purpose: Purpose, attempts: u32, now: Instant) {
        let Some(held) = self.state.held() else { return };
        let wire = Arc::clone(&held.wire);
        let slot = self.ask(purpose, &wire, attempts, now);
        self.set_check(purpose, slot);
    }

    /// Draws the conclusion from a check's answer.
    fn conclude(
        &mut self,
        purpose: Purpose,
        sent_at: Instant,
        response: &Response<Bytes>,
        now: Instant,
    ) {
        let checked = match purpose {
            Purpose::Inspect => self.on_inspected(response, sent_at),
            Purpose::Status => self.on_server_status(response),
            _ => self.on_projects(response, sent_at),
        };
        match checked {
            Ok(()) => self.finish_settling(now),
            Err(error) => self.fail_check(error.with_operation(purpose.name()), now),
        }
    }

    fn on_inspected(&mut self, response: &Response<Bytes>, sent_at: Instant) -> Result<(), Error> {
        let status = response.status();
        if status == StatusCode::UNAUTHORIZED {
            return Err(wire::refusal(response).with_kind(ErrorKind::SessionLost).with_message(
                "the server refuses the session it has just opened: does a load balancer lack \
                 sticky sessions, or need cookies that a gateway removes?",
            ));
        }
        if status.is_server_error() || status.is_redirection() {
            return Err(wire::refusal(response));
        }
        // A server that forbids or does not know the question still has a usable session.
        let value = serde_json::from_slice(response.body()).unwrap_or_default();
        let info = if status.is_success() {
            SessionInfo::from_json(&value)
        } else {
            SessionInfo::from_json(&serde_json::Value::Null)
        };
        let assumed = self.config.tuning().assumed_idle_timeout;
        if info.timeout.is_none() {
            self.event(Event::TimeoutAssumed { timeout: assumed });
        }
        if let Some(held) = self.state.held_mut() {
            held.set_idle_timeout(info.timeout.unwrap_or(assumed), sent_at);
            held.confirm();
        }
        (self.known.inspected, self.known.idle_timeout) = (true, info.timeout);
        self.known.info = self.config.keeps_info.then(|| Box::new(info));
        Ok(())
    }

    fn on_server_status(&mut self, response: &Response<Bytes>) -> Result<(), Error> {
        let server = read_server(response);
        if server.iserver_version.is_none() {
            self.event(Event::VersionUnknown);
        }
        let version = server.iserver_version.as_ref();
        if let Some(version) = version.filter(|it| !it.is_at_least(&Version::OLDEST)) {
            // Not kept: the next session would otherwise be opened without asking.
            let [major, minor, update] = Version::OLDEST;
            return Err(Error::new(
                ErrorKind::UnsupportedServer,
                format!(
                    "the Intelligence Server is {version}, and {major}.{minor}.{update:04} is \
                     the oldest supported"
                ),
            ));
        }
        if version.is_some_and(|it| !it.is_at_least(&Version::KNOWS_APPLICATION_ID))
            && self.config.drop_application_id()
        {
            self.event(Event::ApplicationIdDropped);
        }
        self.known.server = Some(Box::new(server));
        Ok(())
    }

    fn on_projects(&mut self, response: &Response<Bytes>, sent_at: Instant) -> Result<(), Error> {
        let Some(wanted) = self.config.project.as_deref() else {
            return Ok(());
        };
        if !response.status().is_success() {
            return Err(wire::refusal(response));
        }
        if let Some(held) = self.state.held_mut() {
            held.touch(sent_at);
        }
        let projects = wire::projects(response)?;
        self.known.project = Some(Arc::new(resolve_project(&projects, wanted)?));
        // It is known from now on, and not looked for again.
        self.config.project = None;
        Ok(())
    }

    /// Opens the session once every check has been answered.
    pub(super) fn finish_settling(&mut self, now: Instant) {
        let State::Settling { checks, .. } = &self.state else {
            return;
        };
        if let Some((purpose, attempts)) = checks.next_crossed() {
            return self.ask_again(purpose, attempts + 1, now);
        }
        if !checks.is_done() {
            return;
        }
        let Some(held) = self.state.take_held() else { return };
        if self.needs_web_application() {
            self.known.application_type = WEB_APPLICATION;
            self.event(Event::Replaced { generation: self.generation });
            return self.leave(held, After::LogInAgain, now);
        }
        self.known.verified = true;
        self.open(held, now);
    }

    /// Servers before 11.5.0600 accept application type 76 at login and do not know it
    /// afterwards.
    pub(super) fn needs_web_application(&self) -> bool {
        let version = self.known.server.as_ref().and_then(|server| server.iserver_version.as_ref());
        let old = version
            .is_some_and(|version| !version.is_at_least(&Version::KNOWS_APPLICATION_TYPE_76));
        let borrowed = self.current_credentials().is_some_and(Credentials::is_delegated);
        old && !borrowed && self.config.may_fall_back(self.known.application_type)
    }

    /// A check has failed for good: the session is logged out before a caller receives it.
    pub(super) fn fail_check(&mut self, error: Error, now: Instant) {
        let Some(held) = self.state.take_held() else { return };
        let lost = error.kind() == ErrorKind::SessionLost && !held.borrowed;
        if lost {
            self.count_brief(&held, now);
        }
        // One that has stood for a while has ended as any other does: by a restart, or because no
        // caller drove the checks.
        if lost && !held.is_brief(now) {
            self.event(Event::Lost { generation: held.generation, reason: LossReason::Refused });
            self.count_fruitless(&held, now);
            if self.troubles.as_ref().is_none_or(|troubles| troubles.cooling.until.is_none()) {
                return self.leave(held, After::LogInAgain, now);
            }
        }
        self.leave(held, After::Fail(Some(error)), now);
    }
}

/// What an answer says of the server. A gateway may shield this endpoint, or answer in its place. The
/// session is usable all the same.
fn read_server(response: &Response<Bytes>) -> Server {
    let read = response.status().is_success().then(|| serde_json::from_slice(response.body()));
    match read {
        Some(Ok(value @ serde_json::Value::Object(_))) => Server::from_json(&value),
        _ => Server::unknown(),
    }
}

fn tells_version(response: &Response<Bytes>) -> bool {
    read_server(response).iserver_version.is_some()
}
