//! The sans-IO session machine.
//!
//! # Responsibilities
//!
//! Decides when to log in, which requests to send for it, what their answers mean, when a session
//! has to be renewed, what a refused application request says about it, and what has to be logged
//! out. It does no I/O, reads no clock and draws no entropy: instants and a seed come in.
//!
//! # Driving it
//!
//! 1. [`request_access`](Session::request_access) until it is not [`Access::Pending`].
//! 2. While pending, take [`poll_output`](Session::poll_output): send what it asks to send and
//!    report the answer with [`handle_response`](Session::handle_response), supply credentials
//!    when asked, and call [`handle_timeout`](Session::handle_timeout) when a wait is over.
//! 3. With the [`Grant`], send application requests, and report every response's head to
//!    [`observe`](Session::observe).
//!
//! Any number of inputs may be given before outputs are taken. Answers to exchanges that are no
//! longer awaited never change the state; a late success of a login carries a live session,
//! though, which is then logged out.

mod closing;
mod config;
mod keeping;
mod messages;
mod observe;
mod opening;
mod settling;
mod state;
#[cfg(test)]
mod tests;

use std::collections::VecDeque;
use std::time::Instant;

use bytes::Bytes;
use http::{Request, Response};

pub use config::SessionConfig;
pub use messages::{Access, Command, Event, Exchange, ExchangeId, Output, Purpose};
pub use observe::Verdict;
pub(crate) use observe::is_session_gone;
pub use state::{CloseOutcome, LossReason};

use crate::call::{Backoff, later};
use crate::contract::TransportError;
use crate::error::{Error, ErrorKind};
use crate::protocol::{
    Credentials, Generation, Grant, LoginMode, Project, Server, SessionInfo, wire,
};
use state::{Held, InFlight, State};

/// How many logins that nobody awaits any more are remembered, in case they still succeed.
const REMEMBERED_LOGINS: usize = 32;

/// The session machine; see the [module documentation](self).
#[derive(Debug)]
pub struct Session {
    config: SessionConfig,
    credentials: Source,
    state: State,
    held: Option<Held>,
    generation: Generation,
    application_type: u32,
    backoff: Backoff,
    attempts: u32,
    /// Generations in a row that were lost before anything succeeded in them.
    fruitless: u32,
    cooling: Option<(Instant, Error)>,
    /// The server has been seen to replace the session's cookie with an answer.
    rotates: bool,
    failure: Option<Error>,
    verified: bool,
    server: Option<Server>,
    info: Option<SessionInfo>,
    project: Option<Project>,
    next_exchange: u64,
    retired_logins: VecDeque<InFlight>,
    outputs: VecDeque<Output>,
}

#[derive(Debug)]
enum Source {
    Held(Credentials),
    /// Asked for at each login and forgotten afterwards.
    Asked {
        current: Option<Credentials>,
    },
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
        let application_type = config.first_application_type();
        let backoff = Backoff::new(config.seed);
        let credentials = match credentials {
            Some(credentials) => Source::Held(credentials),
            None => Source::Asked { current: None },
        };
        Ok(Self {
            config,
            credentials,
            state: State::Idle,
            held: None,
            generation: Generation::NONE,
            application_type,
            backoff,
            attempts: 0,
            fruitless: 0,
            cooling: None,
            rotates: false,
            failure: None,
            verified: false,
            server: None,
            info: None,
            project: None,
            next_exchange: 0,
            retired_logins: VecDeque::new(),
            outputs: VecDeque::new(),
        })
    }

    /// Asks to send an application request; opens or extends a session if needed.
    pub fn request_access(&mut self, now: Instant) -> Access {
        // A driver that was paused may have missed deadlines.
        self.handle_timeout(now);
        match &self.state {
            State::Closed(_) | State::Leaving { after: state::After::Close, .. } => {
                return Access::Denied(closed());
            }
            State::ClosingLogin(_) => return Access::Denied(closed()),
            State::Refused(error) => return Access::Denied(error.clone()),
            State::Idle => {
                if let Some((until, error)) = &self.cooling {
                    if now < *until {
                        return Access::Denied(error.clone());
                    }
                    self.cooling = None;
                }
                self.start_opening(now);
            }
            State::Open { .. } => return self.access_open(now),
            State::AwaitingCredentials(_)
            | State::BackingOff { .. }
            | State::Leaving { .. }
            | State::LoggingIn(_)
            | State::Settling(_) => {}
        }
        match &self.state {
            State::Refused(error) => Access::Denied(error.clone()),
            _ => Access::Pending,
        }
    }

    /// Carries out a command.
    pub fn handle(&mut self, command: Command, now: Instant) {
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
        let State::AwaitingCredentials(awaited) = &self.state else {
            return;
        };
        if awaited.id != id {
            return;
        }
        let checked = supplied.and_then(|credentials| {
            credentials.check()?;
            self.config.check(Some(&credentials))?;
            Ok(credentials)
        });
        match checked {
            Ok(credentials) => {
                self.credentials = Source::Asked { current: Some(credentials) };
                self.log_in(now);
            }
            Err(error) => self.fail(error),
        }
    }

    /// Reports the outcome of an exchange. Outcomes of exchanges no longer awaited are ignored,
    /// except for a login that succeeded after all: its session is logged out.
    pub fn handle_response(
        &mut self,
        id: ExchangeId,
        result: Result<Response<Bytes>, TransportError>,
        now: Instant,
    ) {
        match &self.state {
            State::LoggingIn(exchange) if exchange.id == id => self.on_login(result, now),
            State::ClosingLogin(exchange) if exchange.id == id => {
                self.on_login_while_closing(result, now);
            }
            State::Settling(settling) if settling.awaits(id) => self.on_settled(id, result, now),
            State::Leaving { slot, .. } if slot.awaits(id) => self.on_logged_out(result, now),
            State::Open { renewing: Some(renewing) } if renewing.exchange.id == id => {
                self.on_renewed(result, now);
            }
            _ => {
                if let Some(index) = self.retired_logins.iter().position(|late| late.id == id)
                    && let Some(late) = self.retired_logins.remove(index)
                    && let Ok(response) = result
                {
                    self.log_out_stray(late.borrows, &response, now);
                }
            }
        }
    }

    /// Reports that time has passed. Always legal, also early.
    pub fn handle_timeout(&mut self, now: Instant) {
        match &self.state {
            State::AwaitingCredentials(awaited) if now >= awaited.deadline => {
                self.fail(timed_out("asking for credentials"));
            }
            State::BackingOff { until } if now >= *until => self.log_in(now),
            State::LoggingIn(exchange) if now >= exchange.deadline => {
                let exchange = *exchange;
                self.retire_login(exchange);
                self.on_opening_failed(timed_out("login"), now);
            }
            State::ClosingLogin(exchange) if now >= exchange.deadline => {
                let exchange = *exchange;
                self.retire_login(exchange);
                self.finish_close(CloseOutcome::NotOpen);
            }
            State::Settling(_) => self.on_settling_timeout(now),
            State::Leaving { .. } => self.on_leaving_timeout(now),
            State::Open { renewing: Some(renewing) } if now >= renewing.exchange.deadline => {
                self.on_renewal_failed(timed_out("renew"), now);
            }
            State::AwaitingCredentials(_)
            | State::BackingOff { .. }
            | State::Closed(_)
            | State::ClosingLogin(_)
            | State::Idle
            | State::LoggingIn(_)
            | State::Open { .. }
            | State::Refused(_) => {}
        }
    }

    /// Takes the next output. [`Output::Wait`] means that there is nothing more now.
    pub fn poll_output(&mut self) -> Output {
        self.outputs.pop_front().unwrap_or_else(|| Output::Wait(self.state.next_deadline()))
    }

    /// Whether nothing is under way that callers wait for.
    #[must_use]
    pub fn is_settled(&self) -> bool {
        self.outputs.is_empty() && !self.state.is_busy()
    }

    /// Whether the machine still waits for the answer to this exchange.
    #[must_use]
    pub fn awaits(&self, id: ExchangeId) -> bool {
        self.state.awaits(id)
    }

    /// Whether only one request should be under way at a time: the server replaces the session's
    /// cookie with every answer and accepts only the newest.
    #[must_use]
    pub const fn takes_turns(&self) -> bool {
        self.rotates
    }

    /// Takes why the last attempt to open or renew failed, once.
    pub fn take_failure(&mut self) -> Option<Error> {
        self.failure.take()
    }

    /// When an idle session should be renewed; `None` while there is none to renew.
    #[must_use]
    pub fn renew_at(&self) -> Option<Instant> {
        match (&self.state, &self.held) {
            (State::Open { .. }, Some(held)) => Some(held.renew_at),
            _ => None,
        }
    }

    /// Why the machine waits, for diagnosis.
    #[must_use]
    pub fn describe(&self) -> &'static str {
        self.state.name()
    }

    /// The session in use or the last one; `None` before the first.
    #[must_use]
    pub fn generation(&self) -> Option<Generation> {
        (self.generation != Generation::NONE).then_some(self.generation)
    }

    /// The project the session was opened for, once it has been found.
    #[must_use]
    pub fn project(&self) -> Option<&Project> {
        self.project.as_ref()
    }

    /// The server, once it has been asked.
    #[must_use]
    pub fn server(&self) -> Option<&Server> {
        self.server.as_ref()
    }

    /// What the server said about the session when it was first opened.
    #[must_use]
    pub fn info(&self) -> Option<&SessionInfo> {
        self.info.as_ref()
    }

    /// How the session was closed, once it has been.
    #[must_use]
    pub fn close_outcome(&self) -> Option<&CloseOutcome> {
        match &self.state {
            State::Closed(outcome) => Some(outcome),
            _ => None,
        }
    }

    /// The login mode, if it is known and the session is not borrowed.
    #[must_use]
    pub fn login_mode(&self) -> Option<LoginMode> {
        self.current_credentials().and_then(Credentials::login_mode)
    }

    /// The user name, for the modes that have one.
    #[must_use]
    pub fn username(&self) -> Option<&str> {
        self.current_credentials().and_then(Credentials::username)
    }

    /// Whether something on the server would outlive this machine if it were dropped now.
    #[must_use]
    pub fn needs_closing(&self) -> bool {
        match &self.state {
            State::LoggingIn(_) | State::ClosingLogin(_) | State::Leaving { .. } => true,
            State::Settling(_) | State::Open { .. } => {
                self.held.as_ref().is_some_and(|held| !held.borrowed)
            }
            State::AwaitingCredentials(_)
            | State::BackingOff { .. }
            | State::Closed(_)
            | State::Idle
            | State::Refused(_) => false,
        }
    }

    /// The grant of the session in use, if there is one; nothing is opened or extended.
    #[must_use]
    pub fn current_grant(&self) -> Option<Grant> {
        match (&self.state, &self.held) {
            (State::Open { .. }, Some(held)) => Some(held.grant()),
            _ => None,
        }
    }

    /// The token in clear; `None` while there is none.
    pub(crate) fn expose_token(&self) -> Option<String> {
        self.held.as_ref().map(|held| wire::reveal_token(&held.token))
    }

    pub(crate) const fn config(&self) -> &SessionConfig {
        &self.config
    }

    /// Replaces what is known about the server.
    pub(crate) fn set_server(&mut self, server: Server) {
        self.server = Some(server);
    }

    /// A request that logs the current session out, for a driver that cannot wait for it.
    pub(crate) fn parting_request(&self) -> Option<Request<Bytes>> {
        let held = self.held.as_ref().filter(|held| !held.borrowed)?;
        self.config.codec().logout(&held.wire).ok()
    }

    fn current_credentials(&self) -> Option<&Credentials> {
        match &self.credentials {
            Source::Held(credentials) => Some(credentials),
            Source::Asked { current } => current.as_ref(),
        }
    }

    fn event(&mut self, event: Event) {
        self.outputs.push_back(Output::Event(event));
    }

    /// Queues an exchange that is awaited.
    fn send(&mut self, purpose: Purpose, request: Request<Bytes>, now: Instant) -> InFlight {
        self.queue(purpose, request, now, false)
    }

    /// Queues a logout whose answer nobody waits for.
    fn send_detached(&mut self, request: Request<Bytes>, now: Instant) {
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
            Purpose::Logout => self.config.logout_timeout,
            _ => self.config.exchange_timeout,
        };
        let deadline = later(now, timeout);
        let exchange = Exchange { id, request, deadline, purpose, detached };
        self.outputs.push_back(Output::Send(Box::new(exchange)));
        InFlight { id, deadline, borrows: purpose == Purpose::Delegate }
    }

    fn next_id(&mut self) -> ExchangeId {
        self.next_exchange += 1;
        ExchangeId(self.next_exchange)
    }

    fn retire_login(&mut self, exchange: InFlight) {
        if self.retired_logins.len() >= REMEMBERED_LOGINS {
            self.retired_logins.pop_front();
        }
        self.retired_logins.push_back(exchange);
    }
}

fn closed() -> Error {
    Error::new(ErrorKind::Closed, "the connection has been closed: open a new one")
}

fn timed_out(operation: &'static str) -> Error {
    Error::new(ErrorKind::Timeout, "no answer before the deadline").with_operation(operation)
}
