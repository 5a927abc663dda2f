//! The session's machine, its inputs and its outputs.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::response::Parts as Head;
use http::{HeaderMap, Response};
use mstr_core::session::{Access, Command, Exchange, ExchangeId, Output, Purpose, Session};
use mstr_core::session::{SessionConfig, SessionRecord};
use mstr_core::toolkit::before;
use mstr_core::{
    Body, CloseOutcome, CredentialProvider, Error, Generation, Grant, RequestContext, Sent,
    Timeouts, Timer, Transport, TransportError, TransportErrorKind, call,
};
use mstr_fake::Task;

use super::quirks::Quirks;
use super::waiting::{Flight, Line, Outcome};
use super::words::{self, Input, Seen};
use crate::client::Vault;
use crate::net::Net;
use crate::plan::Plan;

/// So much longer a login is awaited in the background.
const GRACE: Duration = Duration::from_secs(60);
/// The longest wait between two pieces of a body.
const IDLE_BODY: Duration = Duration::from_secs(30);
/// More than any answer of the simulation has.
pub(super) const BODY_LIMIT: usize = 1 << 20;

pub(super) type Answer = Result<Response<Bytes>, TransportError>;

/// What a core is made of, apart from its machine.
#[derive(Clone)]
pub(super) struct Parts {
    pub(super) plan: Arc<Plan>,
    pub(super) net: Net,
    pub(super) config: SessionConfig,
    pub(super) vault: Option<Arc<Vault>>,
    pub(super) timeouts: Timeouts,
    /// Calls are about the project that was found.
    pub(super) project: bool,
    pub(super) quirks: Quirks,
    pub(super) seen: Seen,
}

/// One session.
pub(super) struct Core {
    pub(super) parts: Parts,
    pub(super) line: Line,
    state: Mutex<State>,
}

pub(super) struct State {
    pub(super) session: Session,
    /// What waiting callers wait for.
    flight: Option<Flight>,
    /// Exchanges that are awaited: whether a success opens a session, and the task.
    under_way: BTreeMap<ExchangeId, (bool, Task<()>)>,
    /// The alarm.
    due: Option<Instant>,
    last_input: Instant,
    /// The user of a session, once asked for.
    pub(super) user: Option<(Option<Generation>, String)>,
    /// The server's version, once asked for.
    pub(super) server: Option<String>,
    /// What the machine has stored last.
    pub(super) stored: Option<SessionRecord>,
    pub(super) calls: u64,
    /// The last question about the session was answered by the server.
    pub(super) answered: bool,
}

/// Something that is ready, or what to wait for.
pub(super) enum Begun<T> {
    Done(T),
    Flight(Flight),
}

impl Core {
    pub(super) fn new(parts: Parts, session: Session) -> Arc<Self> {
        let state = State {
            session,
            flight: None,
            under_way: BTreeMap::new(),
            due: None,
            last_input: parts.net.time.now(),
            user: None,
            server: None,
            stored: None,
            calls: 0,
            answered: false,
        };
        Arc::new(Self { parts, line: Line::default(), state: Mutex::new(state) })
    }

    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn now(&self) -> Instant {
        self.parts.net.time.now()
    }

    /// When an operation that begins now has to be over.
    pub(super) fn deadline(&self) -> Option<Instant> {
        let total = self.parts.plan.total.unwrap_or(crate::client::TOTAL);
        Some(self.now() + total)
    }

    pub(super) async fn before<F: Future>(
        &self,
        deadline: Option<Instant>,
        future: F,
    ) -> Option<F::Output> {
        before(deadline, &self.parts.net.time, future).await
    }

    /// Gives the machine an input, notes it, and carries out what comes of it.
    pub(super) fn give<T>(
        self: &Arc<Self>,
        state: &mut State,
        input: impl FnOnce(&mut State, Instant) -> (Option<Input>, T),
    ) -> T {
        let now = self.now();
        let from = state.session.describe();
        let (said, told) = input(state, now);
        state.last_input = now;
        if let Some(said) = said {
            self.parts.seen.session(from, said, state.session.describe());
        }
        self.carry_out(state, now);
        told
    }

    fn tick(self: &Arc<Self>, state: &mut State, now: Instant) {
        state.due = None;
        let from = state.session.describe();
        state.session.handle_timeout(now);
        self.parts.seen.session(from, words::DEADLINE, state.session.describe());
        self.carry_out(state, now);
    }

    /// Takes the outputs, and tells those who wait for the machine.
    pub(super) fn carry_out(self: &Arc<Self>, state: &mut State, now: Instant) {
        let until = loop {
            match state.session.poll_output() {
                Output::Event(_) => {}
                Output::FrontHeaders(id) => {
                    self.find_headers(id, state.session.is_in_background(id));
                }
                Output::NeedCredentials(id) => self.find_credentials(id),
                Output::Send(exchange) => self.send(state, *exchange),
                Output::Store(record) => state.stored = Some(*record),
                Output::Wait(until) => break until,
            }
        };
        if state.due != until {
            state.due = until;
            if let Some(until) = until {
                self.set_alarm(until.max(now), until);
            }
        }
        self.give_up(state);
        Self::land(state);
    }

    fn set_alarm(self: &Arc<Self>, at: Instant, due: Instant) {
        let core = Arc::clone(self);
        drop(self.parts.net.time.spawn(async move {
            core.parts.net.time.sleep_until(at).await;
            let mut state = core.state();
            if state.due == Some(due) {
                core.tick(&mut state, core.now());
            }
        }));
    }

    /// Exchanges that are no longer awaited end, but for logins: one that succeeds after all is
    /// logged out.
    fn give_up(&self, state: &mut State) {
        let State { session, under_way, .. } = state;
        under_way.retain(|id, (opens, task)| {
            let kept = *opens || session.awaits(*id);
            if !kept {
                task.abort();
            }
            kept
        });
    }

    /// Wakes those who wait, if the machine has settled or paused.
    fn land(state: &mut State) {
        if state.flight.is_none() || !(state.session.is_settled() || state.session.take_pause()) {
            return;
        }
        let outcome = state.session.take_failure().map_or(Ok(()), Err);
        if let Some(flight) = state.flight.take() {
            flight.land(outcome);
        }
    }

    /// What is under way, to be waited for.
    pub(super) fn flight(state: &mut State) -> Flight {
        let flight = state.flight.get_or_insert_default().clone();
        Self::land(state);
        flight
    }

    fn find_headers(self: &Arc<Self>, id: ExchangeId, in_background: bool) {
        let core = Arc::clone(self);
        let found = self.parts.quirks.headers(&self.parts.net.world, in_background);
        drop(self.parts.net.time.spawn(async move {
            core.parts.net.time.sleep(found.after).await;
            let headers = found.headers;
            let mut state = core.state();
            let leaves = matches!(state.session.describe(), "closing" | "leaving a session");
            if headers.is_err() && (in_background || leaves) {
                // It may be a logout, which is not sent then.
                let mut world = core.parts.net.world.state();
                let sessions = world.observer.sessions.values_mut();
                sessions.for_each(|seen| seen.excuse = Some("its logout had no front headers"));
            }
            core.give(&mut state, |state, now| {
                let said = words::fronted(in_background, headers.is_ok());
                let awaited = in_background || state.session.awaits(id);
                state.session.supply_front_headers(id, headers, now);
                (awaited.then_some(said), ())
            });
        }));
    }

    fn find_credentials(self: &Arc<Self>, id: ExchangeId) {
        let core = Arc::clone(self);
        let odd = self.parts.quirks.credentials(&self.parts.plan, &self.parts.net.world);
        drop(self.parts.net.time.spawn(async move {
            let supplied = match (&core.parts.vault, odd) {
                (Some(vault), odd) => {
                    let own = vault.credentials().await;
                    odd.unwrap_or_else(|| own.map_err(|_| words::any_error()))
                }
                (None, _) => Err(words::any_error()),
            };
            core.give(&mut core.state(), |state, now| {
                let awaited = state.session.awaits(id);
                let said = words::supplied(&supplied);
                state.session.supply_credentials(id, supplied, now);
                (awaited.then_some(said), ())
            });
        }));
    }

    fn send(self: &Arc<Self>, state: &mut State, exchange: Exchange) {
        let core = Arc::clone(self);
        let Exchange { id, purpose, detached, .. } = exchange;
        // The checks of a session come before it is open.
        let question = purpose == Purpose::Inspect && state.session.is_open();
        let again = (exchange.clone(), detached);
        let task = self.parts.net.time.spawn(async move {
            // What was given up before it was begun is not begun.
            let begun = detached || core.state().session.awaits(id);
            let answer = if begun { core.ask(exchange).await } else { Err(canceled()) };
            match again {
                (again, true) if answer.as_ref().is_err_and(is_unprocessed) => {
                    drop(core.ask(again).await);
                }
                (_, true) => {}
                (_, false) => core.answered(id, words::asked(purpose, question), answer),
            }
        });
        if !detached {
            state.under_way.insert(id, (purpose.opens_session(), task));
        }
    }

    fn answered(self: &Arc<Self>, id: ExchangeId, asked: &'static str, answer: Answer) {
        let mut state = self.state();
        state.under_way.remove(&id);
        self.give(&mut state, |state, now| {
            let awaited = state.session.awaits(id);
            let said = words::exchanged(asked, &answer);
            if asked == words::QUESTION {
                state.answered = words::is_heard(said);
            }
            state.session.handle_response(id, answer, now);
            (awaited.then_some(said), ())
        });
    }

    /// Sends one request of the session's own.
    async fn ask(&self, exchange: Exchange) -> Answer {
        let Exchange { request, purpose, deadline, .. } = exchange;
        let opens = purpose.opens_session();
        let mut request = request.map(Body::from);
        let mut context = RequestContext::default();
        context.deadline = Some(if opens { deadline + GRACE } else { deadline });
        context.body_idle_timeout = Some(IDLE_BODY);
        context.operation = purpose.name();
        context.attach(&mut request);
        let (head, body) = self.parts.net.send(request).await?.into_parts();
        let late = || Err(TransportError::new(TransportErrorKind::Timeout));
        let read = self.before(Some(deadline), body.collect(BODY_LIMIT)).await;
        let body = match read.unwrap_or_else(late) {
            // The session is open, whatever has become of the body.
            Err(_) if opens && head.status.is_success() => Bytes::new(),
            read => read?,
        };
        Ok(Response::from_parts(head, body))
    }

    /// Asks for access; what to wait for, if it takes that.
    pub(super) fn access(
        self: &Arc<Self>,
        ask: impl FnOnce(&mut Session, Instant) -> Access,
    ) -> Begun<Result<Grant, Error>> {
        let mut state = self.state();
        // Asking would do the same.
        if state.due.is_some_and(|due| due <= self.now()) {
            self.tick(&mut state, self.now());
        }
        let access = self.give(&mut state, |state, now| {
            let said = words::wanted(now - state.last_input);
            (Some(said), ask(&mut state.session, now))
        });
        match access {
            Access::Granted(grant) => Begun::Done(Ok(grant)),
            Access::Denied(error) => Begun::Done(Err(error)),
            Access::Pending => Begun::Flight(Self::flight(&mut state)),
        }
    }

    /// The outcome for a caller that needs a session: a renewal that has failed leaves one.
    pub(super) fn told(&self, landed: Outcome) -> Outcome {
        if self.state().session.is_open() { Ok(()) } else { landed }
    }

    pub(super) async fn open(self: &Arc<Self>, deadline: Option<Instant>) -> Outcome {
        loop {
            match self.access(|session, now| session.request_access_by(deadline, now)) {
                Begun::Done(access) => return access.map(drop),
                Begun::Flight(flight) => match self.before(deadline, flight).await {
                    Some(landed) => self.told(landed)?,
                    None => return Err(late()),
                },
            }
        }
    }

    /// Gives a command, and waits until the machine has settled.
    pub(super) async fn command(
        self: &Arc<Self>,
        said: Input,
        command: Command,
        deadline: Option<Instant>,
    ) -> Outcome {
        let flight = {
            let mut state = self.state();
            self.give(&mut state, |state, now| {
                state.session.handle(command, now);
                (Some(said), ())
            });
            if state.session.is_settled() && state.flight.is_none() {
                return state.session.take_failure().map_or(Ok(()), Err);
            }
            Self::flight(&mut state)
        };
        self.before(deadline, flight).await.unwrap_or_else(|| Err(late()))
    }

    pub(super) async fn close(
        self: &Arc<Self>,
        even_if_borrowed: bool,
        deadline: Option<Instant>,
    ) -> CloseOutcome {
        loop {
            let (said, logout) =
                (words::logout(even_if_borrowed), Command::Logout { even_if_borrowed });
            drop(self.command(said, logout, deadline).await);
            if let Some(outcome) = self.state().session.close_outcome().cloned() {
                return outcome;
            }
            if deadline.is_some_and(|deadline| self.now() >= deadline) {
                return CloseOutcome::Failed(late());
            }
        }
    }

    /// Tells call and session what an answer says.
    pub(super) fn judge(
        self: &Arc<Self>,
        call: &mut call::Call,
        granted: Option<&Grant>,
        head: &Head,
        body: Option<&[u8]>,
    ) -> call::Output {
        self.give(&mut self.state(), |state, now| {
            let said = granted.and_then(|grant| {
                let ours = state.session.generation() == Some(grant.generation());
                words::observed(ours, grant, head, body)
            });
            (said, call.handle_head(head, body, &mut state.session, now))
        })
    }
}

/// The front headers of a request.
pub(super) struct Found {
    pub(super) after: Duration,
    pub(super) headers: Result<HeaderMap, Error>,
}

pub(super) fn late() -> Error {
    TransportError::new(TransportErrorKind::Timeout).into()
}

fn canceled() -> TransportError {
    TransportError::new(TransportErrorKind::Canceled).with_sent(Sent::No)
}

/// A connection that stood was lost before the server took the request.
pub(super) fn is_unprocessed(error: &TransportError) -> bool {
    let lost =
        matches!(error.kind(), TransportErrorKind::Canceled | TransportErrorKind::Interrupted);
    lost && error.sent() == Sent::No
}
