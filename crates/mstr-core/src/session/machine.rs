//! The machine itself: its inputs and its outputs.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::{HeaderMap, Request, Response};

use super::config::SessionConfig;
use super::held::Held;
use super::messages::{
    Access, CloseOutcome, Command, Event, Exchange, ExchangeId, Output, Purpose, Why,
};
use super::state::{After, Beside, InFlight, State};
use super::submissions::Objection;
use super::troubles::Troubles;
use super::under_way::UnderWay;
use crate::contract::{Sent, TransportError, TransportErrorKind};
use crate::error::{Error, ErrorKind};
use crate::generation::Generation;
use crate::protocol::wire;
use crate::protocol::{Credentials, Fingerprint, Project, Server, SessionInfo, WireCredentials};
use crate::retry::Backoff;

/// How long a logout in the background may take, whatever an attempt may.
const BACKGROUND_LOGOUT: Duration = Duration::from_secs(10);

/// The session machine; see the [module documentation](crate::session).
#[derive(Debug)]
pub struct Session {
    pub(super) config: SessionConfig,
    pub(super) credentials: Source,
    /// Credentials can be asked for: none were given at first.
    pub(super) has_provider: bool,
    pub(super) state: State,
    pub(super) generation: Generation,
    pub(super) known: Known,
    /// What has gone wrong lately, if anything has.
    pub(super) troubles: Option<Box<Troubles>>,
    pub(super) backoff: Backoff,
    next_exchange: u64,
    /// What is under way, if anything is. Sessions are idle most of the time, and many are kept.
    under_way: Option<Box<UnderWay>>,
    /// What is said of the exchanges that are sent now.
    pub(super) why: Why,
}

#[derive(Debug)]
pub(super) enum Source {
    Held(Credentials),
    /// Asked for at each login and forgotten afterwards.
    Asked {
        current: Option<Credentials>,
    },
}

/// Knowledge about the server from earlier sessions.
#[derive(Debug)]
pub(super) struct Known {
    /// Every check has been answered: the next session is used without any.
    pub(super) verified: bool,
    pub(super) application_type: u32,
    pub(super) server: Option<Box<Server>>,
    /// The idle timeout has been asked for, and this is what the server says.
    pub(super) inspected: bool,
    pub(super) idle_timeout: Option<Duration>,
    pub(super) info: Option<Box<SessionInfo>>,
    pub(super) project: Option<Arc<Project>>,
}

impl Session {
    /// Creates a machine that has not logged in yet. Without `credentials` they are asked for at
    /// each login.
    ///
    /// # Errors
    ///
    /// [`Config`](ErrorKind::Config) if a setting cannot work; see [`SessionConfig`].
    pub fn new(config: SessionConfig, credentials: Option<Credentials>) -> Result<Self, Error> {
        if let Some(credentials) = &credentials {
            credentials.check()?;
        }
        config.check(credentials.as_ref())?;
        let known = Known {
            verified: false,
            application_type: config.first_application_type(),
            server: None,
            inspected: false,
            idle_timeout: None,
            info: None,
            project: None,
        };
        let backoff = Backoff::new(config.seed.0);
        let has_provider = credentials.is_none();
        let credentials = match credentials {
            Some(credentials) => Source::Held(credentials),
            None => Source::Asked { current: None },
        };
        Ok(Self {
            config,
            credentials,
            has_provider,
            state: State::idle(),
            generation: Generation::NONE,
            known,
            troubles: None,
            backoff,
            next_exchange: 0,
            under_way: None,
            why: Why::default(),
        })
    }

    /// Like [`request_access`](Self::request_access), for a caller who waits until `deadline` and
    /// no longer: a pause that would end afterwards, because the server asks for it or between two
    /// attempts, is not waited for. What is told then is why there is one.
    pub fn request_access_by(&mut self, deadline: Option<Instant>, now: Instant) -> Access {
        match (self.request_access(now), self.pause(), deadline) {
            (Access::Pending, Some((until, failure)), Some(deadline)) if until >= deadline => {
                Access::Denied(failure.clone())
            }
            (access, ..) => access,
        }
    }

    /// Whether there is no session before the end of a pause: a caller asks whether it is to wait for that.
    pub(crate) fn is_pausing(&self) -> bool {
        self.pause().is_some()
    }

    /// Before when there is no session, and why.
    fn pause(&self) -> Option<(Instant, &Error)> {
        match &self.state {
            State::BackingOff { until, failure, .. } => Some((*until, failure)),
            State::Settling { checks, .. } => checks.pause(),
            _ => None,
        }
    }

    /// Whether a pause has begun since the last call of this function. Callers that wait for a session
    /// have to [ask again](Self::request_access_by): the pause may be too long for them.
    pub fn take_pause(&mut self) -> bool {
        let rests = match &self.state {
            State::Settling { checks, .. } => checks.rest(),
            _ => true,
        };
        let until = self.pause().map(|(until, _)| until).filter(|_| rests);
        let told = self.troubles.as_ref().and_then(|troubles| troubles.told_pause);
        if until != told {
            self.troubles().told_pause = until;
        }
        until.is_some() && until != told
    }

    /// Asks to send an application request; opens or extends a session if needed.
    pub fn request_access(&mut self, now: Instant) -> Access {
        // A driver that was paused may have missed deadlines.
        self.handle_timeout(now);
        match &self.state {
            state if state.is_closing() => return Access::Denied(closed()),
            State::Idle { .. } => {
                if let Some(troubles) = &mut self.troubles
                    && let Some((until, error)) = &troubles.cooling.until
                {
                    if now < *until {
                        return Access::Denied(error.clone().with_retry_after(*until - now));
                    }
                    troubles.cooling.until = None;
                }
                self.start_opening(now);
            }
            State::Open { .. } => self.extend_if_idle(now),
            // Something is under way already, or there is nothing that asking could change.
            _ => {}
        }
        match &mut self.state {
            State::Refused(error) => Access::Denied(error.clone()),
            // With a failure, nothing was sent for it.
            State::Idle { failure } => failure.take().map_or(Access::Pending, Access::Denied),
            State::Open { held, renewing, .. }
                if renewing.as_ref().is_none_or(|renewing| !renewing.required) =>
            {
                Access::Granted(held.grant())
            }
            _ => Access::Pending,
        }
    }

    /// Carries out a command.
    pub fn handle(&mut self, command: Command, now: Instant) {
        self.expire_cookies(now);
        match command {
            Command::Logout { even_if_borrowed } => self.on_logout(even_if_borrowed, now),
            Command::Renew => self.on_renew(now),
            Command::Reset(credentials) => self.on_reset(credentials, now),
        }
    }

    /// Supplies the credentials an [`Output::NeedCredentials`] asked for.
    pub fn supply_credentials(
        &mut self,
        id: ExchangeId,
        supplied: Result<Credentials, Error>,
        now: Instant,
    ) {
        let beside = self.awaits_other_credentials(id);
        let awaited = matches!(&self.state, State::AwaitingCredentials(it) if it.id == id);
        if !awaited && !beside {
            return;
        }
        let checked = supplied.and_then(|credentials| {
            credentials.check()?;
            self.config.check(Some(&credentials))?;
            Ok(credentials)
        });
        match checked {
            checked if beside => self.on_other_credentials(checked, now),
            Ok(credentials) => {
                self.credentials = Source::Asked { current: Some(credentials) };
                self.log_in(0, now);
            }
            Err(error) => self.fail(error, 0),
        }
    }

    /// Whether the headers that were asked for by this name are for an exchange that no caller waits
    /// for.
    #[must_use]
    pub fn is_in_background(&self, id: ExchangeId) -> bool {
        self.under_way.as_ref().is_some_and(|under_way| {
            under_way.fronting.iter().any(|exchange| exchange.id == id && exchange.detached)
        })
    }

    /// Supplies the headers an [`Output::FrontHeaders`] asked for. They are marked sensitive, and
    /// those that the exchange has already stay as they are. With an error nothing is sent, and
    /// the exchange counts as one that never left.
    pub fn supply_front_headers(
        &mut self,
        id: ExchangeId,
        supplied: Result<HeaderMap, Error>,
        now: Instant,
    ) {
        // They may have been given up while the headers were asked for.
        let Self { state, under_way, .. } = self;
        let Some(under_way) = under_way else { return };
        let UnderWay { fronting, retired_logins, outputs, .. } = &mut **under_way;
        fronting.retain(|exchange| {
            let wanted = exchange.detached || state.awaits(exchange.id);
            if !wanted {
                // It has never left, so it cannot open a session late.
                retired_logins.retain(|(late, _)| late.id != exchange.id);
            }
            wanted
        });
        let Some(index) = fronting.iter().position(|exchange| exchange.id == id) else {
            return;
        };
        let mut exchange = fronting.remove(index);
        match supplied {
            Ok(front) => {
                wire::add_front_headers(exchange.request.headers_mut(), front);
                outputs.push_back(Output::Send(Box::new(exchange)));
            }
            Err(error) => {
                let unsent = TransportError::new(TransportErrorKind::Canceled)
                    .with_sent(Sent::No)
                    .with_detail("the header provider failed")
                    .with_source(error);
                self.on_response(id, Err(unsent), now);
            }
        }
    }

    /// Reports the outcome of an exchange. One that a connection lost before the server took it is
    /// sent again at once, and once, by the same name. Outcomes of exchanges no longer awaited are ignored,
    /// except for a login that succeeded after all: its session is logged out.
    pub fn handle_response(
        &mut self,
        id: ExchangeId,
        result: Result<Response<Bytes>, TransportError>,
        now: Instant,
    ) {
        let Self { state, under_way, .. } = &mut *self;
        let copy = under_way.as_mut().and_then(|under_way| under_way.take_copy(id, state));
        if let (Some(mut copy), Err(error)) = (copy, &result)
            && error.is_unprocessed()
            && self.state.awaits(id)
            // A driver that was paused may bring the failure late: nothing would wait for an answer.
            && now < copy.deadline
        {
            if copy.why != Why::BesideLogin {
                copy.why = Why::Input;
            }
            if let State::Leaving { held, .. } = &self.state {
                // With the cookies that are valid by now.
                copy.request = self.config.endpoint.logout(&held.wire);
            }
            return self.put_out(copy);
        }
        self.on_response(id, result, now);
    }

    fn on_response(
        &mut self,
        id: ExchangeId,
        result: Result<Response<Bytes>, TransportError>,
        now: Instant,
    ) {
        if !self.state.awaits(id) {
            let Some(under_way) = &mut self.under_way else { return };
            let retired = &mut under_way.retired_logins;
            if let Some(index) = retired.iter().position(|(late, _)| late.id == id) {
                let (late, submitted) = retired.swap_remove(index);
                if let Ok(response) = result {
                    self.on_late_login(late.borrows, submitted, response, now);
                }
            }
            return;
        }
        match &self.state {
            State::LoggingIn { exchange, attempts, .. } if exchange.id == id => {
                self.on_login(*attempts, result, now);
            }
            State::LoggingIn { .. } => self.on_status_beside_login(result),
            State::ClosingLogin(login) => self.on_login_while_closing(login.borrows, result, now),
            State::Settling { .. } => self.on_settled(id, result, now),
            State::Leaving { .. } => self.on_logged_out(result, now),
            State::Open { renewing: Some(beside), .. } if beside.what == Beside::Login => {
                self.on_replacement(result, now);
            }
            State::Open { .. } => self.on_renewed(result, now),
            // Credentials are awaited there, or nothing.
            _ => {}
        }
    }

    /// Reports that time has passed. Always legal, also early.
    pub fn handle_timeout(&mut self, now: Instant) {
        self.why = Why::Due;
        self.on_timeout(now);
        self.why = Why::Input;
    }

    fn on_timeout(&mut self, now: Instant) {
        self.expire_cookies(now);
        match &self.state {
            State::AwaitingCredentials(awaited) if now >= awaited.deadline => {
                self.fail(timed_out("asking for credentials"), 0);
            }
            State::BackingOff { until, attempts, .. } if now >= *until => {
                self.log_in(*attempts, now);
            }
            State::LoggingIn { exchange, attempts, .. } if now >= exchange.deadline => {
                let (exchange, attempts) = (*exchange, *attempts);
                self.on_login_late(exchange, attempts, now);
            }
            State::ClosingLogin(exchange) if now >= exchange.deadline => {
                let exchange = *exchange;
                self.retire_login(exchange);
                self.finish_close(CloseOutcome::NotOpen);
            }
            State::Settling { .. } => self.on_settling_timeout(now),
            State::Leaving { .. } => self.on_leaving_timeout(now),
            State::Open { renewing: Some(beside), .. } if now >= beside.exchange.deadline => {
                match (beside.what, beside.exchange) {
                    _ if beside.rests => self.ask_beside_again(now),
                    (Beside::Renewal | Beside::Question, _) => {
                        self.on_renewal_failed(timed_out("renew"), now);
                    }
                    (Beside::Login, exchange) => {
                        self.on_replacement_late(exchange, timed_out("login"), now);
                    }
                    (Beside::Credentials, _) => {
                        self.fail_beside(timed_out("asking for credentials"));
                    }
                }
            }
            // Nothing is due.
            _ => {}
        }
        if let Some(under_way) = &mut self.under_way {
            under_way.copies.retain(|copy| self.state.awaits(copy.id));
        }
    }

    /// Takes the next output. [`Output::Wait`] means that there is nothing more now.
    pub fn poll_output(&mut self) -> Output {
        if let Some(under_way) = &mut self.under_way {
            while let Some(output) = under_way.outputs.pop_front() {
                match output {
                    // A driver that does one thing after another takes it once the login is over.
                    Output::Send(exchange)
                        if exchange.why == Why::BesideLogin && !self.state.awaits(exchange.id) => {}
                    output => return output,
                }
            }
            if under_way.is_over() {
                self.under_way = None;
            }
        }
        if self.troubles.as_ref().is_some_and(|troubles| troubles.are_over()) {
            self.troubles = None;
        }
        Output::Wait(self.state.next_deadline())
    }

    /// Whether there is anything to take.
    pub(crate) fn has_outputs(&self) -> bool {
        self.under_way.as_ref().is_some_and(|under_way| !under_way.outputs.is_empty())
    }

    /// Whether callers have nothing to wait for: no output is left, and no exchange is awaited.
    #[must_use]
    pub fn is_settled(&self) -> bool {
        !self.has_outputs() && !self.state.is_busy()
    }

    /// Whether the machine still waits for the answer to this exchange.
    #[must_use]
    pub fn awaits(&self, id: ExchangeId) -> bool {
        self.state.awaits(id)
    }

    /// Takes why the last attempt to open or renew failed, once.
    pub fn take_failure(&mut self) -> Option<Error> {
        match &mut self.state {
            State::Idle { failure } | State::Open { failure, .. } => failure.take(),
            _ => None,
        }
    }

    /// The waiting callers have been told otherwise: the next caller does not receive this failure,
    /// nor one for which a session is being left first.
    pub(crate) fn forget_failure(&mut self) {
        drop(self.take_failure());
        if let State::Leaving { after: After::Fail(failure), .. } = &mut self.state {
            *failure = None;
        }
    }

    /// Replaces what is known about the server.
    pub(crate) fn set_server(&mut self, server: Server) {
        self.known.server = Some(Box::new(server));
    }

    /// Ends what there is without waiting for it, for a driver that goes away and cannot wait.
    pub fn abandon(&mut self, now: Instant) {
        let held = match std::mem::replace(&mut self.state, State::idle()) {
            State::Leaving { held, .. } => Some(held),
            other => {
                self.state = other;
                let ours = self.state.held().is_some_and(Held::is_ours);
                if ours { self.release() } else { None }
            }
        };
        if let Some(held) = held {
            self.log_out_in_background(&held.wire, now);
        }
    }

    pub(super) const fn current_credentials(&self) -> Option<&Credentials> {
        match &self.credentials {
            Source::Held(credentials) => Some(credentials),
            Source::Asked { current } => current.as_ref(),
        }
    }

    /// The fingerprint of the credentials in use.
    pub(super) fn submitted(&self) -> Option<Fingerprint> {
        let credentials = self.current_credentials()?;
        Some(self.config.endpoint.fingerprint(credentials, self.config.seed.0))
    }

    fn under_way(&mut self) -> &mut UnderWay {
        self.under_way.get_or_insert_with(Box::default)
    }

    pub(super) fn put(&mut self, output: Output) {
        self.under_way().outputs.push_back(output);
    }

    pub(super) fn troubles(&mut self) -> &mut Troubles {
        self.troubles.get_or_insert_with(Box::default)
    }

    /// Whether a load balancer does not keep to one server.
    pub(super) fn is_scattered(&self) -> bool {
        self.troubles.as_ref().is_some_and(|troubles| troubles.cooling.is_scattered())
    }

    /// Why these credentials are not submitted now, if they are not.
    pub(super) fn objection(&self, submitted: &Fingerprint, now: Instant) -> Option<Objection> {
        self.troubles.as_ref()?.submissions.against(submitted, now)
    }

    pub(super) fn event(&mut self, event: Event) {
        self.put(Output::Event(event));
    }

    /// Hands the session's record to the driver, for the machines that share the session.
    pub(super) fn store_record(&mut self) {
        if self.config.records
            && let Some(record) = self.record()
        {
            self.put(Output::Store(Box::new(record)));
        }
    }

    /// Queues an exchange that is awaited.
    pub(super) fn send(
        &mut self,
        what: Purpose,
        request: Request<Bytes>,
        now: Instant,
    ) -> InFlight {
        self.queue(what, request, now, false)
    }

    /// Ends a session without waiting for it.
    pub(super) fn log_out_in_background(&mut self, wire: &WireCredentials, now: Instant) {
        let request = self.config.endpoint.logout(wire);
        self.queue(Purpose::Logout, request, now, true);
    }

    fn queue(
        &mut self,
        purpose: Purpose,
        request: Request<Bytes>,
        now: Instant,
        detached: bool,
    ) -> InFlight {
        let id = self.next_id();
        let timeout = match purpose {
            Purpose::Logout if detached => BACKGROUND_LOGOUT,
            Purpose::Logout => self.config.tuning().logout_timeout,
            _ => self.config.tuning().exchange_timeout,
        };
        let mut in_flight = InFlight::new(id, timeout, now);
        in_flight.borrows = purpose == Purpose::Delegate;
        let deadline = in_flight.deadline;
        let exchange = Exchange { id, request, deadline, purpose, detached, why: self.why };
        if !detached {
            self.under_way().copies.push(exchange.clone());
        }
        self.put_out(exchange);
        in_flight
    }

    fn put_out(&mut self, exchange: Exchange) {
        if self.config.front_headers {
            self.put(Output::FrontHeaders(exchange.id));
            self.under_way().fronting.push(exchange);
        } else {
            self.put(Output::Send(Box::new(exchange)));
        }
    }

    #[cfg(test)]
    pub(super) fn kept_copies(&self) -> usize {
        self.under_way.as_ref().map_or(0, |under_way| under_way.copies.len())
    }

    pub(super) fn has_retired_logins(&self) -> bool {
        self.under_way.as_ref().is_some_and(|under_way| !under_way.retired_logins.is_empty())
    }

    pub(super) const fn next_id(&mut self) -> ExchangeId {
        self.next_exchange += 1;
        ExchangeId(self.next_exchange)
    }

    pub(super) fn retire_login(&mut self, exchange: InFlight) {
        let submitted = self.submitted();
        let under_way = self.under_way();
        under_way.copies.retain(|copy| copy.id != exchange.id);
        under_way.retired_logins.push((exchange, submitted));
    }
}

pub(super) fn closed() -> Error {
    Error::new(ErrorKind::Closed, "the connection has been closed: open a new one")
}

/// Whether an exchange that failed like this can succeed by being sent again.
pub(super) fn may_pass(error: &Error) -> bool {
    error.is_retryable() || error.transport().is_some_and(TransportError::is_unprocessed)
}

pub(super) fn timed_out(operation: &'static str) -> Error {
    Error::new(ErrorKind::Timeout, "no answer before the deadline").with_operation(operation)
}
