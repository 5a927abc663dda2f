//! The session behind its lock, and all that both drivers do with it.
//!
//! A call that meets an open session takes the lock twice: to be granted access, and to tell what
//! its response says. What never changes (address, fixed headers, timeouts) lies beside the lock.

use std::collections::VecDeque;
use std::fmt;
use std::ops::{Deref, DerefMut};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::task::Waker;
use std::time::Instant;

use http::response::Parts;
use http::{HeaderMap, HeaderValue};
use tracing::Span;

use super::events::{Events, Subscribers};
use super::exchange::{self, Answer, Work};
use super::recorder::{Input, Recorder};
use super::scope::Scope;
use super::turns::Turns;
use crate::builder::{Prepared, Provider};
use crate::call::{self, Call, Spec, Wants};
use crate::contract::{TransportError, TransportErrorKind};
use crate::error::{Error, ErrorKind, Refused};
use crate::generation::Generation;
use crate::protocol::wire::Endpoint;
use crate::protocol::{Credentials, FrontHeaders, Grant, SetCookies, User};
use crate::retry::RetryPolicy;
use crate::seed::seed_of;
use crate::session::{Access, Command, Event, Exchange, ExchangeId, Output, Session};
use crate::sync::{Mutex, MutexGuard, lock};
use crate::timeline::Timeline;
use crate::timeouts::{Timeouts, later};
use crate::trace;

/// The result for callers that wait for a session or a logout.
pub(super) type Outcome = Result<(), Error>;

/// The differences between the drivers: how they tell the time, how callers wait for one another, how
/// something is sent that no caller waits for.
pub(crate) trait Driver: fmt::Debug + Send + Sync + Sized + 'static {
    /// The transport a connection is built with.
    type Transport: fmt::Debug;
    /// The shared login for which callers wait.
    type Flight: Clone + Send;

    fn new(transport: Self::Transport) -> Self;
    fn transport(&self) -> Self::Transport;
    fn now(&self) -> Instant;
    fn flight(core: &Arc<Core<Self>>) -> Self::Flight;
    /// Sends an exchange whose answer no caller waits for. Must return at once.
    fn send_detached(&self, exchange: Exchange, timeouts: &Timeouts);
    /// The last handle is gone: what would stay open on the server is closed in the background.
    fn release(core: &Arc<Core<Self>>);
}

/// One session and what its handles share.
pub(crate) struct Core<D: Driver> {
    pub(super) driver: D,
    pub(super) endpoint: Arc<Endpoint>,
    /// `None` if both are the defaults, as in most connections.
    limits: Option<Arc<(Timeouts, RetryPolicy)>>,
    pub(super) provider: Option<Box<Provider>>,
    pub(super) front: Option<FrontHeaders>,
    /// The project the connection was opened for, once it has been found.
    project: OnceLock<Scope>,
    /// Made for the first call that takes one: few servers accept only one request at a time.
    turns: OnceLock<Box<Turns>>,
    pub(super) wants: Wants,
    seed: u64,
    calls: AtomicU64,
    state: Mutex<Locked<D>>,
}

/// The data behind the lock, which is held for microseconds and never across an await.
pub(super) struct Locked<D: Driver> {
    pub(super) session: Session,
    pub(super) queue: VecDeque<Work>,
    subscribers: Subscribers,
    pub(super) flight: Option<D::Flight>,
    user: Option<Box<(Option<Generation>, User)>>,
    /// Work that runs code of the program, and waits until the lock is free again: a subscriber
    /// of events or of `tracing`, or a transport, may look at the connection.
    later: Option<Box<Later>>,
    pub(super) timeline: Recorder,
}

#[derive(Default)]
struct Later {
    events: Vec<Event>,
    wakers: Vec<Waker>,
    detached: Vec<Exchange>,
}

/// The lock, held. When it is given back, what had to wait for that is done.
pub(super) struct Guard<'a, D: Driver> {
    core: &'a Core<D>,
    locked: Option<MutexGuard<'a, Locked<D>>>,
}

/// A result that is ready, or the flight that will have it.
pub(super) enum Begun<T, F> {
    Done(T),
    Flight(F),
}

impl<D: Driver> Core<D> {
    pub(super) fn new(prepared: Prepared<D::Transport>) -> Arc<Self> {
        let Prepared { session, transport, provider, front, timeouts, retry, seed, timeline } =
            prepared;
        let driver = D::new(transport);
        let endpoint = Arc::clone(session.config().endpoint());
        let wants = Wants::of(session.config());
        let state = Mutex::new(Locked {
            session,
            queue: VecDeque::new(),
            subscribers: Subscribers::default(),
            flight: None,
            user: None,
            later: None,
            timeline: Recorder::new(timeline, driver.now()),
        });
        let usual = timeouts == Timeouts::default() && retry == RetryPolicy::default();
        Arc::new(Self {
            driver,
            endpoint,
            limits: (!usual).then(|| Arc::new((timeouts, retry))),
            provider: provider.map(Box::new),
            front,
            project: OnceLock::new(),
            turns: OnceLock::new(),
            wants,
            seed,
            calls: AtomicU64::new(1),
            state,
        })
    }

    /// Another session on the same server and transport.
    pub(super) fn sibling(&self, credentials: Credentials) -> Result<Arc<Self>, Error> {
        let (config, timeline) = {
            let locked = self.lock();
            (locked.session.config().sibling(), locked.timeline.limit())
        };
        let seed = self.next_seed();
        Ok(Self::new(Prepared {
            session: Session::new(config.seed(seed), Some(credentials))?,
            transport: self.driver.transport(),
            provider: None,
            front: self.front.clone(),
            timeouts: self.limits().0,
            retry: self.limits().1,
            seed,
            timeline,
        }))
    }

    pub(super) fn lock(&self) -> Guard<'_, D> {
        #[cfg(test)]
        locks::count();
        Guard { core: self, locked: Some(lock(&self.state)) }
    }

    pub(super) fn now(&self) -> Instant {
        self.driver.now()
    }

    /// When something that begins now has to be over.
    pub(super) fn deadline(&self) -> Option<Instant> {
        self.timeouts().for_all().map(|total| later(self.now(), total))
    }

    /// Another seed for the waits of each call.
    pub(super) fn next_seed(&self) -> u64 {
        seed_of(self.seed, self.calls.fetch_add(1, Ordering::Relaxed))
    }

    /// Applies the connection's settings to a request without its own.
    pub(super) fn set_defaults(&self, spec: &mut Spec) {
        (spec.timeouts, spec.retry) = self.limits();
    }

    fn limits(&self) -> (Timeouts, RetryPolicy) {
        self.limits.as_deref().copied().unwrap_or_default()
    }

    pub(super) fn timeouts(&self) -> Timeouts {
        self.limits().0
    }

    pub(super) fn turns(&self) -> &Turns {
        self.turns.get_or_init(Box::default)
    }

    /// The project the connection was opened for, once it has been found.
    pub(super) fn project(&self) -> Option<&Scope> {
        self.project.get()
    }

    /// Its header.
    pub(super) fn header(&self) -> Option<&HeaderValue> {
        self.project.get().map(|scope| &scope.header)
    }

    /// Takes the machine's outputs: events are published, exchanges no caller waits for are sent
    /// in the background once the lock is free, the rest is queued for the callers that drive.
    pub(super) fn flush(&self, locked: &mut Locked<D>) -> Option<Instant> {
        if locked.timeline.is_awaiting() {
            let Locked { session, timeline, .. } = &mut *locked;
            timeline.overdue(session, self.now());
        }
        loop {
            match locked.session.poll_output() {
                Output::Event(event) => {
                    locked.timeline.event(&event, self.now());
                    let Locked { subscribers, later, .. } = &mut *locked;
                    let later = later.get_or_insert_with(Box::default);
                    subscribers.publish(&event, &mut later.wakers);
                    later.events.push(event);
                }
                Output::FrontHeaders(id) => {
                    locked.timeline.fronting(id, self.now());
                    let front = match &self.front {
                        // There is nothing in front of the server that wants any.
                        None => Some(HeaderMap::new()),
                        // No caller waits who could ask.
                        Some(front) if locked.session.is_in_background(id) => {
                            Some(front.at_once().unwrap_or_else(|| front.last()))
                        }
                        Some(front) => front.at_once(),
                    };
                    match front {
                        Some(front) => {
                            locked.session.supply_front_headers(id, Ok(front), self.now());
                        }
                        None => locked.queue.push_back(Work::FrontHeaders(id)),
                    }
                }
                Output::NeedCredentials(id) => {
                    locked.timeline.asked(id, &locked.session, self.now());
                    locked.queue.push_back(Work::Credentials(id));
                }
                Output::Send(exchange) => {
                    locked.timeline.sent(&exchange, &locked.session, self.now());
                    if exchange.detached {
                        locked.later.get_or_insert_with(Box::default).detached.push(*exchange);
                    } else if exchange.purpose.opens_session() {
                        // Before what is asked beside it: it waits for nothing of that.
                        locked.queue.push_front(Work::Exchange(exchange));
                    } else {
                        locked.queue.push_back(Work::Exchange(exchange));
                    }
                }
                // The session is not shared.
                Output::Store(_) => {}
                Output::Wait(deadline) => return deadline,
            }
        }
    }

    /// When the machine wants to be told the time.
    pub(super) fn due(&self) -> Option<Instant> {
        self.flush(&mut self.lock())
    }

    /// Gives the machine an input.
    pub(super) fn session<T>(
        &self,
        input: Input,
        with: impl FnOnce(&mut Session, Instant) -> T,
    ) -> T {
        let mut locked = self.lock();
        locked.timeline.begin(input);
        let outcome = with(&mut locked.session, self.now());
        self.flush(&mut locked);
        outcome
    }

    /// Tells the machine what was asked for.
    pub(super) fn answer(&self, locked: &mut Locked<D>, id: ExchangeId, answer: Answer) {
        let now = self.now();
        locked.timeline.answered(id, &answer, &locked.session, now);
        answer.tell(&mut locked.session, id, now);
    }

    /// Tells the machine the time.
    pub(super) fn tick(&self, locked: &mut Locked<D>) {
        locked.timeline.begin(Input::Time);
        locked.session.handle_timeout(self.now());
    }

    /// Replaces the credentials.
    pub(super) fn reset(&self, credentials: Option<Credentials>) {
        let (mut locked, now) = (self.lock(), self.now());
        locked.timeline.reset(now);
        locked.session.handle(Command::Reset(credentials), now);
        self.flush(&mut locked);
    }

    /// Looks at the machine.
    pub(super) fn look<T>(&self, look: impl FnOnce(&Session) -> T) -> T {
        look(&self.lock().session)
    }

    /// The flight under way, or a new one.
    fn flight(self: &Arc<Self>, locked: &mut Locked<D>) -> D::Flight {
        locked.flight.get_or_insert_with(|| D::flight(self)).clone()
    }

    /// The flight, if no caller has driven it for so long that the machine would give up what it
    /// awaits. It may have been answered meanwhile: first the answers, then the time.
    pub(super) fn overdue(&self, locked: &mut Locked<D>) -> Option<D::Flight> {
        let flight = locked.flight.clone()?;
        let due = self.flush(locked)?;
        (due <= self.now()).then_some(flight)
    }

    /// Asks for access; the flight to wait for, after which to ask again, if it takes one.
    pub(super) fn access(
        self: &Arc<Self>,
        ask: impl FnOnce(&mut Session) -> Access,
    ) -> Begun<Result<Grant, Error>, D::Flight> {
        let mut locked = self.lock();
        if let Some(flight) = self.overdue(&mut locked) {
            return Begun::Flight(flight);
        }
        locked.timeline.begin(Input::Wanted);
        let access = ask(&mut locked.session);
        self.flush(&mut locked);
        match access {
            Access::Granted(grant) => {
                if self.project.get().is_none()
                    && let Some(project) = locked.session.shared_project()
                {
                    self.project.get_or_init(|| Scope::new(Arc::clone(project)));
                }
                Begun::Done(Ok(grant))
            }
            Access::Denied(error) => Begun::Done(Err(locked.timeline.explain_trouble(error))),
            Access::Pending => {
                locked.timeline.waits();
                Begun::Flight(self.flight(&mut locked))
            }
        }
    }

    /// Gives the machine a command; the flight that carries it out, if it takes one.
    pub(super) fn command(
        self: &Arc<Self>,
        command: Command,
        input: Input,
    ) -> Begun<Outcome, D::Flight> {
        let mut locked = self.lock();
        let (now, renews) = (self.now(), matches!(command, Command::Renew));
        locked.timeline.begin(input);
        locked.session.handle(command, now);
        self.flush(&mut locked);
        if renews && locked.session.is_pausing() {
            // The session that is asked for next says whether the caller has the time for the pause.
            return Begun::Done(Ok(()));
        }
        if locked.session.is_settled() && locked.queue.is_empty() && locked.flight.is_none() {
            return Begun::Done(Self::come_to(&mut locked));
        }
        Begun::Flight(self.flight(&mut locked))
    }

    /// The result of a flight for a caller that needs a session. A failed renewal is not an error
    /// for it, as long as there is a session.
    pub(super) fn told(&self, landed: Outcome) -> Outcome {
        match landed {
            Err(_) if self.look(Session::is_open) => Ok(()),
            landed => landed,
        }
    }

    /// Ends the flight if the machine has settled. Under the same lock that saw it settle, so
    /// that a caller who comes later does not receive this flight's outcome.
    pub(super) fn land(&self, locked: &mut Locked<D>) -> Option<Outcome> {
        let Locked { session, queue, .. } = &mut *locked;
        // Work that was given up before a caller began it is not begun.
        queue.retain(|work| session.awaits(work.id()));
        // Waiting callers ask again when a pause begins: it may be too long for some.
        if !queue.is_empty() || (!session.is_settled() && !session.take_pause()) {
            return None;
        }
        locked.flight = None;
        // Nothing may come for hours.
        locked.queue = VecDeque::new();
        locked.timeline.landed(self.now());
        Some(Self::come_to(locked))
    }

    /// How what was under way has ended.
    fn come_to(locked: &mut Locked<D>) -> Outcome {
        match locked.session.take_failure() {
            Some(error) => Err(locked.timeline.explain_trouble(error)),
            None => Ok(()),
        }
    }

    /// Does one thing under the lock; what the flight has come to, if the machine has settled then.
    pub(super) fn step<T>(&self, change: impl FnOnce(&mut Locked<D>) -> T) -> (Option<Outcome>, T) {
        let mut locked = self.lock();
        let changed = change(&mut locked);
        (self.land(&mut locked), changed)
    }

    /// Ends a flight whose work has panicked: the machine does not wait for answers that never
    /// come, and waiting callers receive the panic itself. The returned value is dropped
    /// without the lock.
    pub(super) fn abort(&self, under_way: impl Iterator<Item = ExchangeId>) -> Option<D::Flight> {
        let mut locked = self.lock();
        let now = self.now();
        for id in under_way {
            let canceled = TransportError::new(TransportErrorKind::Canceled);
            self.answer(&mut locked, id, Answer::Response(Err(canceled)));
            let canceled = Error::new(ErrorKind::Canceled, "the credential provider panicked");
            locked.session.supply_credentials(id, Err(canceled), now);
        }
        self.flush(&mut locked);
        locked.session.forget_failure();
        locked.flight.take()
    }

    /// A call of this connection.
    pub(super) fn begin(&self, spec: Box<Spec>, now: Instant) -> Call {
        Call::with(spec, &self.endpoint, self.wants, self.next_seed(), now)
    }

    /// Tells the call and the session about a response's head, under one lock.
    pub(super) fn answered(
        &self,
        call: &mut Call,
        head: &Parts,
        error_body: Option<&[u8]>,
    ) -> call::Output {
        let cookies = SetCookies::read(&head.headers);
        let refused = error_body.map(Refused::read);
        let refused = refused.as_ref();
        call.consider(head, refused);
        let (mut locked, now) = (self.lock(), self.now());
        let output = call.handle_read_head(head, &cookies, refused, &mut locked.session, now);
        let said = (head.status.as_u16(), refused.and_then(|refused| refused.server.as_ref()));
        let Locked { session, timeline, .. } = &mut *locked;
        timeline.called(call, said, &output, session, now);
        self.flush(&mut locked);
        locked.timeline.repeats(call, &output, now);
        output
    }

    /// The flight that asks whether the session lives.
    pub(super) fn verdict(self: &Arc<Self>) -> D::Flight {
        self.flight(&mut self.lock())
    }

    /// When the headers that a call asks for have to be there.
    pub(super) fn front_deadline(&self, call: &Call) -> Instant {
        let own = later(self.now(), call.timeouts().for_exchange());
        call.deadline().map_or(own, |deadline| deadline.min(own))
    }

    /// Tells the call which headers it goes with; `None` if they were not there in time.
    pub(super) fn fronted(
        &self,
        call: &mut Call,
        supplied: Option<Result<HeaderMap, Error>>,
        now: Instant,
    ) -> call::Output {
        match supplied {
            Some(supplied) => call.handle_front_headers(supplied, now),
            None if call.deadline().is_some_and(|deadline| now >= deadline) => call.handle_late(),
            None => call.handle_front_headers(Err(exchange::headers_late(&call.timeouts())), now),
        }
    }

    /// Tells the call that an attempt failed below HTTP.
    pub(super) fn failed(
        &self,
        call: &mut Call,
        span: &Span,
        error: &TransportError,
    ) -> call::Output {
        trace::failed(span, error);
        let now = self.now();
        let output = call.handle_failure(error, now);
        self.lock().timeline.call_failed(call, error, &output, now);
        output
    }

    /// An error of a call as the caller is told it: with what led to it.
    pub(super) fn explained(&self, call: &Call, error: Error) -> Error {
        if call.noted().is_none() {
            error
        } else {
            self.lock().timeline.explain(error, call.noted())
        }
    }

    pub(super) fn timeline(&self) -> Timeline {
        self.lock().timeline.snapshot()
    }

    pub(super) fn subscribe(&self) -> Events {
        let mut locked = self.lock();
        let events = locked.subscribers.subscribe();
        if let Some(outcome) = locked.session.close_outcome().cloned() {
            let Locked { subscribers, later, .. } = &mut *locked;
            let later = later.get_or_insert_with(Box::default);
            subscribers.publish(&Event::Closed(outcome), &mut later.wakers);
        }
        events
    }

    /// The user of the current session, if it has been asked.
    pub(super) fn known_user(&self) -> Option<User> {
        let locked = self.lock();
        let (generation, user) = &**locked.user.as_ref()?;
        let current = locked.session.is_open() && *generation == locked.session.generation();
        current.then(|| user.clone())
    }

    /// Keeps the user of the session that told.
    pub(super) fn remember_user(&self, user: &User, generation: Option<Generation>) {
        self.lock().user = Some(Box::new((generation, user.clone())));
    }
}

impl<D: Driver> Deref for Guard<'_, D> {
    type Target = Locked<D>;

    #[expect(clippy::expect_used, reason = "it is taken when the guard is dropped, not before")]
    fn deref(&self) -> &Locked<D> {
        self.locked.as_ref().expect("held until the drop")
    }
}

impl<D: Driver> DerefMut for Guard<'_, D> {
    #[expect(clippy::expect_used, reason = "it is taken when the guard is dropped, not before")]
    fn deref_mut(&mut self) -> &mut Locked<D> {
        self.locked.as_mut().expect("held until the drop")
    }
}

impl<D: Driver> Drop for Guard<'_, D> {
    fn drop(&mut self) {
        let Some(mut locked) = self.locked.take() else { return };
        // Mostly there is nothing.
        let Some(later) = locked.later.take() else { return };
        drop(locked);
        let Later { events, wakers, detached } = *later;
        events.iter().for_each(trace::event);
        wakers.into_iter().for_each(Waker::wake);
        for exchange in detached {
            self.core.driver.send_detached(exchange, &self.core.timeouts());
        }
    }
}

impl<D: Driver> fmt::Debug for Core<D> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let locked = self.lock();
        f.debug_struct("Connection")
            .field("base_url", &self.endpoint.base)
            .field("state", &locked.session.describe())
            .field("generation", &locked.session.generation())
            .field("transport", &self.driver.transport())
            .finish_non_exhaustive()
    }
}

/// How often this thread has taken a session's lock, for the tests that promise how often.
#[cfg(test)]
pub(super) mod locks {
    use std::cell::Cell;

    thread_local! {
        static TAKEN: Cell<usize> = const { Cell::new(0) };
    }

    pub(super) fn count() {
        TAKEN.set(TAKEN.get() + 1);
    }

    pub(in crate::driver) fn taken() -> usize {
        TAKEN.get()
    }
}
