//! What the handles of one blocking connection share, and how threads take turns driving.

use std::collections::VecDeque;
use std::fmt;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Instant;

use http::Response;

use super::park::{block_on, block_on_until};
use crate::call::{RetryPolicy, Timeouts, later};
use crate::connection::{
    Events, Gate, Subscribers, answer_limit, answer_read, open_late, outgoing,
};
use crate::contract::{SharedBlockingTransport, TransportError, TransportErrorKind};
use crate::error::{Error, ErrorKind};
use crate::protocol::{CredentialProvider, Credentials, Generation, Grant, Project, User};
use crate::session::{Access, CloseOutcome, Command, Event, Exchange, ExchangeId, Output, Session};
use crate::trace;

type Outcome = Result<(), Error>;
type Report = Box<dyn FnOnce(&mut Session)>;

/// One session and its driver.
pub(crate) struct Shared {
    pub(super) transport: SharedBlockingTransport,
    pub(super) timeouts: Timeouts,
    pub(super) retry: RetryPolicy,
    provider: Option<Arc<dyn CredentialProvider>>,
    project: OnceLock<Project>,
    pub(super) gate: Gate,
    state: Mutex<Locked>,
}

struct Locked {
    session: Session,
    queue: VecDeque<Work>,
    subscribers: Subscribers,
    flight: Option<Arc<Flight>>,
    user: Option<(Option<Generation>, User)>,
    seed: u64,
}

enum Work {
    Credentials(ExchangeId),
    Exchange(Box<Exchange>),
}

impl Work {
    const fn id(&self) -> ExchangeId {
        match self {
            Self::Credentials(id) => *id,
            Self::Exchange(exchange) => exchange.id,
        }
    }
}

/// One thread drives, the others wait for its outcome.
#[derive(Default)]
struct Flight {
    outcome: Mutex<Option<Outcome>>,
    landed: Condvar,
}

impl Flight {
    fn land(&self, outcome: Outcome) {
        *self.outcome.lock().unwrap_or_else(PoisonError::into_inner) = Some(outcome);
        self.landed.notify_all();
    }

    /// Waits for the outcome, at most until `deadline`. `None` if it has passed.
    fn wait(&self, deadline: Option<Instant>, now: impl Fn() -> Instant) -> Option<Outcome> {
        let mut outcome = self.outcome.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            if let Some(outcome) = &*outcome {
                return Some(outcome.clone());
            }
            let Some(deadline) = deadline else {
                outcome = self.landed.wait(outcome).unwrap_or_else(PoisonError::into_inner);
                continue;
            };
            let left = deadline.saturating_duration_since(now());
            if left.is_zero() {
                return None;
            }
            let waited = self.landed.wait_timeout(outcome, left);
            outcome = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
    }
}

impl Shared {
    pub(crate) fn new(
        session: Session,
        transport: SharedBlockingTransport,
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
            seed,
        });
        Self {
            transport,
            timeouts,
            retry,
            provider,
            project: OnceLock::new(),
            gate: Gate::default(),
            state,
        }
    }

    fn lock(&self) -> MutexGuard<'_, Locked> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Looks at the machine, or changes what it knows.
    pub(super) fn session<T>(&self, look: impl FnOnce(&mut Session) -> T) -> T {
        let mut locked = self.lock();
        let seen = look(&mut locked.session);
        self.flush(&mut locked);
        seen
    }

    fn flush(&self, locked: &mut Locked) -> Option<Instant> {
        loop {
            match locked.session.poll_output() {
                Output::Event(event) => {
                    trace::event(&event);
                    locked.subscribers.publish(&event);
                }
                Output::NeedCredentials(id) => locked.queue.push_back(Work::Credentials(id)),
                Output::Send(exchange) if exchange.detached => {
                    let Exchange { request, purpose, deadline, .. } = *exchange;
                    let request = outgoing(request, purpose, deadline, &self.timeouts);
                    self.transport.send_detached(request);
                }
                Output::Send(exchange) => {
                    locked.queue.push_back(Work::Exchange(exchange));
                }
                Output::Wait(deadline) => return deadline,
            }
        }
    }

    /// A grant to send a request with, opening a session first if there is none. `None` if it has
    /// not come by `deadline`; a thread that leads a login finishes it first.
    pub(super) fn access(&self, deadline: Option<Instant>) -> Result<Option<Grant>, Error> {
        loop {
            let mut locked = self.lock();
            let access = locked.session.request_access(self.transport.now());
            self.flush(&mut locked);
            match access {
                Access::Granted(grant) => {
                    if self.project.get().is_none()
                        && let Some(project) = locked.session.project()
                    {
                        self.project.get_or_init(|| project.clone());
                    }
                    return Ok(Some(grant));
                }
                Access::Denied(error) => return Err(error),
                Access::Pending => match self.fly(locked, deadline) {
                    Some(outcome) => outcome?,
                    None => return Ok(None),
                },
            }
        }
    }

    pub(super) fn open(&self) -> Result<(), Error> {
        let deadline = self.timeouts.total.map(|total| later(self.transport.now(), total));
        self.access(deadline)?.map(drop).ok_or_else(open_late)
    }

    pub(super) fn command(&self, command: Command) -> Outcome {
        let mut locked = self.lock();
        locked.session.handle(command, self.transport.now());
        self.flush(&mut locked);
        if locked.session.is_settled() && locked.queue.is_empty() && locked.flight.is_none() {
            return locked.session.take_failure().map_or(Ok(()), Err);
        }
        // Without a deadline there is always an outcome.
        self.fly(locked, None).unwrap_or(Ok(()))
    }

    pub(super) fn close(&self, even_if_borrowed: bool) -> CloseOutcome {
        loop {
            // A flight that was under way may have failed; closing goes on regardless.
            drop(self.command(Command::Logout { even_if_borrowed }));
            if let Some(outcome) = self.lock().session.close_outcome() {
                return outcome.clone();
            }
        }
    }

    /// Waits for the flight under way, or leads a new one.
    fn fly(
        &self,
        mut locked: MutexGuard<'_, Locked>,
        deadline: Option<Instant>,
    ) -> Option<Outcome> {
        if let Some(flight) = locked.flight.clone() {
            drop(locked);
            return flight.wait(deadline, || self.transport.now());
        }
        let flight = Arc::new(Flight::default());
        locked.flight = Some(Arc::clone(&flight));
        drop(locked);
        let mut leader = Leader { shared: self, flight: &flight, exchange: None, landed: false };
        Some(leader.drive())
    }

    fn exchange(&self, exchange: Exchange) -> Result<Response<bytes::Bytes>, TransportError> {
        let Exchange { request, deadline, purpose, .. } = exchange;
        let request = outgoing(request, purpose, deadline, &self.timeouts);
        let span = trace::exchange(purpose, &request);
        let _entered = span.enter();
        let response = self.transport.send(request).inspect_err(|error| {
            trace::failed(&span, error);
        })?;
        trace::answered(&span, response.status());
        let (parts, body) = response.into_parts();
        let reading = body.collect(answer_limit(purpose));
        let body = block_on_until(reading, Some(deadline), || self.transport.now());
        let late = || Err(TransportError::new(TransportErrorKind::Timeout));
        answer_read(purpose, parts, body.unwrap_or_else(late))
    }

    fn supply(&self) -> Result<Credentials, Error> {
        let Some(provider) = &self.provider else {
            return Err(Error::new(ErrorKind::Config, "no credentials were given"));
        };
        block_on(provider.credentials()).map_err(|error| {
            let message = "the credential provider gave no credentials";
            Error::new(ErrorKind::Credentials, message).with_source(error)
        })
    }

    pub(super) fn reset(&self, credentials: Option<Credentials>) {
        let now = self.transport.now();
        self.session(|session| session.handle(Command::Reset(credentials), now));
    }

    pub(super) fn revoke(&self, generation: Generation) {
        let now = self.transport.now();
        self.session(|session| session.revoke(generation, now));
    }

    pub(super) fn subscribe(&self) -> Events {
        let mut locked = self.lock();
        let events = locked.subscribers.subscribe();
        if let Some(outcome) = locked.session.close_outcome().cloned() {
            locked.subscribers.publish(&Event::Closed(outcome));
        }
        events
    }

    pub(super) fn next_seed(&self) -> u64 {
        let mut locked = self.lock();
        locked.seed = locked.seed.wrapping_add(0x9E37_79B9_7F4A_7C15);
        locked.seed
    }

    pub(super) fn default_project(&self) -> Option<&Project> {
        self.project.get()
    }

    pub(super) fn known_user(&self) -> Option<User> {
        let locked = self.lock();
        let (generation, user) = locked.user.as_ref()?;
        (*generation == locked.session.generation()).then(|| user.clone())
    }

    pub(super) fn remember_user(&self, user: &User) {
        let mut locked = self.lock();
        locked.user = Some((locked.session.generation(), user.clone()));
    }

    pub(super) fn sibling(&self, credentials: Credentials) -> Result<Self, Error> {
        let config = self.session(|session| session.config().sibling());
        let seed = self.next_seed();
        let session = Session::new(config.seed(seed), Some(credentials))?;
        let (timeouts, retry) = (self.timeouts.clone(), self.retry.clone());
        Ok(Self::new(session, self.transport.clone(), None, timeouts, retry, seed))
    }

    /// The last handle is gone: the session is logged out in the background.
    pub(super) fn release(&self) {
        let parting = {
            let locked = self.lock();
            let open = locked.session.close_outcome().is_none();
            open.then(|| locked.session.parting_request()).flatten()
        };
        if let Some(request) = parting {
            let deadline = later(self.transport.now(), self.timeouts.attempt);
            let purpose = crate::session::Purpose::Logout;
            let request = outgoing(request, purpose, deadline, &self.timeouts);
            self.transport.send_detached(request);
        }
    }
}

/// The thread that drives. If it panics, in a transport or a provider, the others are told and
/// the machine does not wait for an answer that never comes.
struct Leader<'a> {
    shared: &'a Shared,
    flight: &'a Arc<Flight>,
    exchange: Option<ExchangeId>,
    landed: bool,
}

impl Leader<'_> {
    fn drive(&mut self) -> Outcome {
        let shared = self.shared;
        // What the machine has to be told next.
        let mut report: Option<Report> = None;
        loop {
            let (deadline, work) = {
                let mut locked = shared.lock();
                if let Some(report) = report.take() {
                    report(&mut locked.session);
                }
                let deadline = shared.flush(&mut locked);
                let Locked { session, queue, .. } = &mut *locked;
                // What was given up before anybody began it is not begun.
                queue.retain(|work| session.awaits(work.id()));
                let work = queue.pop_front();
                if work.is_none() && locked.session.is_settled() {
                    // Under the lock that saw it settle: a newcomer in between would begin anew,
                    // and those who wait would never hear of this outcome.
                    locked.flight = None;
                    let outcome = locked.session.take_failure().map_or(Ok(()), Err);
                    drop(locked);
                    self.landed = true;
                    self.flight.land(outcome.clone());
                    return outcome;
                }
                (deadline, work)
            };
            match (work, deadline) {
                (Some(Work::Credentials(id)), _) => {
                    self.exchange = Some(id);
                    let supplied = shared.supply();
                    let now = shared.transport.now();
                    report = Some(Box::new(move |session| {
                        session.supply_credentials(id, supplied, now);
                    }));
                }
                (Some(Work::Exchange(exchange)), _) => {
                    let id = exchange.id;
                    self.exchange = Some(id);
                    let answer = shared.exchange(*exchange);
                    let now = shared.transport.now();
                    report = Some(Box::new(move |session| {
                        session.handle_response(id, answer, now);
                    }));
                }
                (None, Some(deadline)) => {
                    shared.transport.sleep_until(deadline);
                    let now = shared.transport.now();
                    report = Some(Box::new(move |session| session.handle_timeout(now)));
                }
                (None, None) => {
                    // Busy without a deadline and without work: the machine never says so.
                    debug_assert!(false, "the machine waits for nothing");
                    return Ok(());
                }
            }
            self.exchange = None;
        }
    }
}

impl Drop for Leader<'_> {
    fn drop(&mut self) {
        if self.landed {
            return;
        }
        let mut locked = self.shared.lock();
        locked.flight = None;
        if let Some(id) = self.exchange {
            let now = self.shared.transport.now();
            let canceled = TransportError::new(TransportErrorKind::Canceled);
            locked.session.handle_response(id, Err(canceled), now);
            let canceled = Error::new(ErrorKind::Canceled, "the credential provider panicked");
            locked.session.supply_credentials(id, Err(canceled), now);
            self.shared.flush(&mut locked);
            // Those who wait are told about the panic itself.
            drop(locked.session.take_failure());
        }
        let message = "the thread that was logging in panicked";
        drop(locked);
        self.flight.land(Err(Error::new(ErrorKind::Canceled, message)));
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
