//! What the handles of one connection share, and how the machine's outputs become exchanges.

use std::collections::VecDeque;
use std::fmt;
use std::sync::{Arc, OnceLock};
use std::time::Instant;

use http::{Request, Response};

use super::calls::Timed;
use super::events::{Events, Subscribers};
use super::flight::Flight;
use super::gate::Gate;
use super::pump::Pump;
use crate::call::{ERROR_BODY_LIMIT, RetryPolicy, Timeouts, later};
use crate::contract::{
    Body, BoxFuture, RequestContext, SharedTimer, SharedTransport, TransportError,
};
use crate::error::{Error, ErrorKind};
use crate::protocol::{CredentialProvider, Generation, Grant, Project, User};
use crate::session::{
    Access, CloseOutcome, Command, Event, Exchange, ExchangeId, Output, Purpose, Session,
};
use crate::sync::{Mutex, MutexGuard, lock};
use crate::trace;

/// How much longer than the machine a login is awaited in the background, so that a session it
/// still opens can be logged out.
const LATE_LOGIN_GRACE: std::time::Duration = std::time::Duration::from_secs(60);
/// The list of projects and a session's description are data, not error messages.
const ANSWER_LIMIT: usize = 16 * 1024 * 1024;

pub(crate) type Outcome = Result<(), Error>;

/// One session and its driver.
pub(crate) struct Shared {
    pub(crate) transport: SharedTransport,
    pub(crate) timer: SharedTimer,
    pub(crate) timeouts: Timeouts,
    pub(crate) retry: RetryPolicy,
    pub(super) provider: Option<Arc<dyn CredentialProvider>>,
    /// The project the connection was opened for, once it has been found.
    project: OnceLock<Project>,
    pub(super) gate: Gate,
    state: Mutex<Locked>,
}

/// What the lock protects. It is held for microseconds and never across an await.
pub(crate) struct Locked {
    pub(crate) session: Session,
    pub(super) queue: VecDeque<Work>,
    subscribers: Subscribers,
    flight: Option<Flight<Outcome>>,
    pub(crate) user: Option<User>,
    pub(crate) user_generation: Option<Generation>,
    seed: u64,
}

/// What the machine has asked for and nobody has begun.
pub(super) enum Work {
    Credentials(ExchangeId),
    Exchange(Box<Exchange>),
}

impl Work {
    pub(super) const fn id(&self) -> ExchangeId {
        match self {
            Self::Credentials(id) => *id,
            Self::Exchange(exchange) => exchange.id,
        }
    }
}

impl Shared {
    pub(crate) fn new(
        session: Session,
        transport: SharedTransport,
        timer: SharedTimer,
        provider: Option<Arc<dyn CredentialProvider>>,
        timeouts: Timeouts,
        retry: RetryPolicy,
        seed: u64,
    ) -> Self {
        let state = Mutex::new(Locked {
            session,
            queue: VecDeque::new(),
            subscribers: Subscribers::default(),
            flight: None,
            user: None,
            user_generation: None,
            seed,
        });
        Self {
            transport,
            timer,
            timeouts,
            retry,
            provider,
            project: OnceLock::new(),
            gate: Gate::default(),
            state,
        }
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, Locked> {
        lock(&self.state)
    }

    /// Takes the machine's outputs: events are published, exchanges nobody waits for are sent in
    /// the background, the rest is queued for whoever drives.
    pub(crate) fn flush(self: &Arc<Self>, locked: &mut Locked) -> Option<Instant> {
        loop {
            match locked.session.poll_output() {
                Output::Event(event) => {
                    trace::event(&event);
                    locked.subscribers.publish(&event);
                }
                Output::NeedCredentials(id) => locked.queue.push_back(Work::Credentials(id)),
                Output::Send(exchange) if exchange.detached => self.detach(*exchange),
                Output::Send(exchange) => {
                    locked.queue.push_back(Work::Exchange(exchange));
                }
                Output::Wait(deadline) => return deadline,
            }
        }
    }

    fn detach(&self, exchange: Exchange) {
        let answer = self.exchange(exchange);
        self.transport.detach(Box::pin(async move {
            // Best effort: the server's idle timeout ends the session otherwise.
            drop(answer.await);
        }));
    }

    /// Sends one exchange of the session's own. The future borrows nothing from the connection.
    pub(super) fn exchange(
        &self,
        exchange: Exchange,
    ) -> BoxFuture<'static, Result<Response<bytes::Bytes>, TransportError>> {
        let Exchange { request, deadline, purpose, .. } = exchange;
        let deadline = if purpose.opens_session() { deadline + LATE_LOGIN_GRACE } else { deadline };
        let request = outgoing(request, purpose, deadline, &self.timeouts);
        let transport = self.transport.clone();
        Box::pin(async move {
            let span = trace::exchange(purpose, &request);
            let response = trace::Traced::new(span.clone(), transport.send(request)).await;
            let response = match response {
                Ok(response) => response,
                Err(error) => {
                    trace::failed(&span, &error);
                    return Err(error);
                }
            };
            trace::answered(&span, response.status());
            let (parts, body) = response.into_parts();
            let body = body.collect(answer_limit(purpose)).await;
            answer_read(purpose, parts, body)
        })
    }

    /// A grant to send a request with, opening a session first if there is none.
    pub(crate) async fn access(self: &Arc<Self>) -> Result<Grant, Error> {
        loop {
            let flight = {
                let mut locked = self.lock();
                let now = self.timer.now();
                let access = locked.session.request_access(now);
                self.flush(&mut locked);
                match access {
                    Access::Granted(grant) => {
                        if self.project.get().is_none()
                            && let Some(project) = locked.session.project()
                        {
                            self.project.get_or_init(|| project.clone());
                        }
                        return Ok(grant);
                    }
                    Access::Denied(error) => return Err(error),
                    Access::Pending => self.flight(&mut locked),
                }
            };
            flight.wait(Err(aborted())).await?;
        }
    }

    /// Opens a session within the total time of a call.
    pub(crate) async fn open(self: &Arc<Self>) -> Result<(), Error> {
        let deadline = self.timeouts.total.map(|total| later(self.timer.now(), total));
        match Timed::new(self.access(), deadline, &self.timer).await {
            Some(outcome) => outcome.map(drop),
            None => Err(open_late()),
        }
    }

    /// The flight under way, or a new one.
    fn flight(self: &Arc<Self>, locked: &mut Locked) -> Flight<Outcome> {
        let new = || Flight::new(Box::pin(Pump::new(self)));
        locked.flight.get_or_insert_with(new).clone()
    }

    /// Ends the flight if the machine has settled. Under the same lock that saw it settle, so
    /// that nobody who comes later receives this flight's outcome.
    pub(super) fn land(self: &Arc<Self>, locked: &mut Locked) -> Option<Outcome> {
        self.flush(locked);
        let Locked { session, queue, .. } = &mut *locked;
        // What was given up before anybody began it is not begun.
        queue.retain(|work| session.awaits(work.id()));
        if !session.is_settled() || !queue.is_empty() {
            return None;
        }
        locked.flight = None;
        Some(locked.session.take_failure().map_or(Ok(()), Err))
    }

    /// Ends a flight whose work has panicked. What is left of it is dropped without the lock.
    pub(super) fn abort(locked: &mut Locked) -> Option<Flight<Outcome>> {
        drop(locked.session.take_failure());
        locked.flight.take()
    }

    /// Gives the machine a command and drives it until it has settled.
    pub(crate) async fn command(self: &Arc<Self>, command: Command) -> Result<(), Error> {
        let flight = {
            let mut locked = self.lock();
            locked.session.handle(command, self.timer.now());
            self.flush(&mut locked);
            if locked.session.is_settled() && locked.queue.is_empty() && locked.flight.is_none() {
                return locked.session.take_failure().map_or(Ok(()), Err);
            }
            self.flight(&mut locked)
        };
        flight.wait(Err(aborted())).await
    }

    /// Ends the session.
    pub(crate) async fn close(self: &Arc<Self>, even_if_borrowed: bool) -> CloseOutcome {
        loop {
            // A flight that was under way may have failed; closing goes on regardless.
            drop(self.command(Command::Logout { even_if_borrowed }).await);
            if let Some(outcome) = self.lock().session.close_outcome() {
                return outcome.clone();
            }
        }
    }

    pub(crate) fn reset(self: &Arc<Self>, credentials: Option<crate::Credentials>) {
        let mut locked = self.lock();
        locked.session.handle(Command::Reset(credentials), self.timer.now());
        self.flush(&mut locked);
    }

    pub(crate) fn revoke(self: &Arc<Self>, generation: Generation) {
        let mut locked = self.lock();
        locked.session.revoke(generation, self.timer.now());
        self.flush(&mut locked);
    }

    pub(crate) fn default_project(&self) -> Option<&Project> {
        self.project.get()
    }

    pub(crate) fn subscribe(&self) -> Events {
        let mut locked = self.lock();
        let events = locked.subscribers.subscribe();
        if let Some(outcome) = locked.session.close_outcome().cloned() {
            locked.subscribers.publish(&Event::Closed(outcome));
        }
        events
    }

    /// Another seed for the waits of each call.
    pub(crate) fn next_seed(&self) -> u64 {
        let mut locked = self.lock();
        locked.seed = locked.seed.wrapping_add(0x9E37_79B9_7F4A_7C15);
        locked.seed
    }

    /// The last handle is gone: what would stay open on the server is closed in the background.
    pub(crate) fn release(self: &Arc<Self>) {
        if self.lock().session.needs_closing() {
            let shared = Arc::clone(self);
            self.transport.detach(Box::pin(async move {
                shared.close(false).await;
            }));
        }
    }
}

impl Shared {
    /// The driver of another session on the same server and transport.
    pub(crate) fn sibling(&self, credentials: crate::Credentials) -> Result<Self, Error> {
        let config = self.lock().session.config().sibling();
        let seed = self.next_seed();
        let session = Session::new(config.seed(seed), Some(credentials))?;
        Ok(Self::new(
            session,
            self.transport.clone(),
            self.timer.clone(),
            None,
            self.timeouts.clone(),
            self.retry.clone(),
            seed,
        ))
    }
}

impl Locked {
    /// The user of the current session, if it has been asked.
    pub(crate) fn known_user(&self) -> Option<User> {
        let current = self.user_generation == self.session.generation();
        self.user.clone().filter(|_| current)
    }

    pub(crate) fn remember_user(&mut self, user: &User) {
        self.user = Some(user.clone());
        self.user_generation = self.session.generation();
    }
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let locked = self.lock();
        f.debug_struct("Connection")
            .field("base_url", &locked.session.config().base_url())
            .field("state", &locked.session.describe())
            .field("generation", &locked.session.generation())
            .field("transport", &self.transport)
            .finish_non_exhaustive()
    }
}

/// Turns a request of the machine into one for a transport.
pub(crate) fn outgoing(
    request: Request<bytes::Bytes>,
    purpose: Purpose,
    deadline: Instant,
    timeouts: &Timeouts,
) -> Request<Body> {
    let mut request = request.map(Body::from);
    request.extensions_mut().insert(RequestContext {
        deadline: Some(deadline),
        connect_timeout: Some(timeouts.connect),
        body_idle_timeout: Some(timeouts.idle_body),
        operation: purpose.name(),
        attempt: 1,
    });
    request
}

pub(crate) const fn answer_limit(purpose: Purpose) -> usize {
    match purpose {
        Purpose::Inspect | Purpose::ListProjects | Purpose::Status => ANSWER_LIMIT,
        _ => ERROR_BODY_LIMIT,
    }
}

/// An answer whose body has been read, or not.
///
/// What opens a session says so in its head: if only the body is lost, the session is not, and
/// giving up would leave it on the server.
pub(crate) fn answer_read(
    purpose: Purpose,
    parts: http::response::Parts,
    body: Result<bytes::Bytes, TransportError>,
) -> Result<Response<bytes::Bytes>, TransportError> {
    let opened = purpose.opens_session() && parts.status.is_success();
    match body {
        Err(_) if opened => Ok(Response::from_parts(parts, bytes::Bytes::new())),
        body => Ok(Response::from_parts(parts, body?)),
    }
}

/// Opening has taken longer than a call may.
pub(crate) fn open_late() -> Error {
    Error::new(ErrorKind::Timeout, "opening took longer than the total timeout")
        .with_operation("login")
}

/// What waiters receive if a transport panics while it is polled.
fn aborted() -> Error {
    Error::new(ErrorKind::Canceled, "the transport or the credential provider panicked")
}
