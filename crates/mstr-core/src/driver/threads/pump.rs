//! The driver itself, and the work of a flight: the session machine's outputs become exchanges,
//! their answers its inputs.

use std::future::ready;
use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::response::Parts;
use tracing::Span;

use super::flight::{Flight, Turn};
use crate::builder::Provider;
use crate::contract::{BoxFuture, Pending, SharedBlockingTransport, TransportError};
use crate::driver::core::{Begun, Core, Driver, Locked, Outcome};
use crate::driver::exchange::{Answer, Asked, Asking, Work, late, no_provider, not_provided};
use crate::driver::recorder::Input;
use crate::error::{Error, ErrorKind};
use crate::park::block_on_while;
use crate::session::{CloseOutcome, Command, Exchange, ExchangeId, Session};
use crate::timeouts::{Timeouts, later};
use crate::trace;

/// How often a thread that leads looks whether the machine wants something else by now. Waiting for
/// an exchange cannot be interrupted.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// The blocking driver.
#[derive(Debug)]
pub(crate) struct Threads {
    pub(super) transport: SharedBlockingTransport,
}

impl Driver for Threads {
    type Transport = SharedBlockingTransport;
    type Flight = Arc<Flight<UnderWay>>;

    fn new(transport: SharedBlockingTransport) -> Self {
        Self { transport }
    }

    fn transport(&self) -> SharedBlockingTransport {
        self.transport.clone()
    }

    fn now(&self) -> Instant {
        self.transport.now()
    }

    fn flight(_: &Arc<Core<Self>>) -> Self::Flight {
        Arc::default()
    }

    fn send_detached(&self, exchange: Exchange, timeouts: &Timeouts) {
        self.transport.send_detached(Asking::from(exchange).outgoing(Duration::ZERO, timeouts));
    }

    fn release(core: &Arc<Core<Self>>) {
        let flight = core.lock().flight.take();
        if let Some(left) = flight.and_then(|flight| flight.take()) {
            core.retire(left, true);
        }
        core.session(Input::Dropped, Session::abandon);
    }
}

impl Core<Threads> {
    /// Waits for a flight, or leads it. `None` if it has not landed by `deadline`: what is under
    /// way then stays in the flight.
    pub(super) fn wait_for(
        self: &Arc<Self>,
        flight: &Flight<UnderWay>,
        deadline: Option<Instant>,
    ) -> Option<Outcome> {
        match flight.wait(deadline, || self.now()) {
            Turn::Landed(outcome) => Some(outcome),
            Turn::Late => None,
            Turn::Lead(left) => {
                let under_way = left.as_ref().map(|left| left.id);
                Leader { core: self, flight, under_way, over: false }.drive(left, deadline)
            }
        }
    }

    /// Opens a session by `deadline`.
    pub(super) fn open(self: &Arc<Self>, deadline: Option<Instant>) -> Result<(), Error> {
        loop {
            match self.access(|session| session.request_access_by(deadline, self.now())) {
                Begun::Done(access) => return access.map(drop),
                Begun::Flight(flight) => match self.wait_for(&flight, deadline) {
                    Some(landed) => self.told(landed)?,
                    None => return Err(late(&self.timeouts(), "login")),
                },
            }
        }
    }

    /// Gives the machine a command and drives it until it has settled, or `deadline` has passed.
    pub(super) fn carry_out(
        self: &Arc<Self>,
        command: Command,
        input: Input,
        deadline: Option<Instant>,
    ) -> Outcome {
        if let Some(left) = self.left_behind() {
            drop(self.wait_for(&left, deadline));
        }
        match self.command(command, input) {
            Begun::Done(outcome) => outcome,
            Begun::Flight(flight) => self
                .wait_for(&flight, deadline)
                .unwrap_or_else(|| Err(late(&self.timeouts(), "renew"))),
        }
    }

    /// Ends the session, within the total time of a call.
    pub(super) fn close(self: &Arc<Self>, even_if_borrowed: bool) -> CloseOutcome {
        let deadline = self.deadline();
        let closed = || self.look(|session| session.close_outcome().cloned());
        loop {
            // A flight that was under way may have failed; closing goes on regardless.
            let logout = Command::Logout { even_if_borrowed };
            if let Begun::Flight(flight) = self.command(logout, Input::Close) {
                flight.poke();
                // The exchange under way is not needed any more, and the leader learns it by itself.
                let until = match closed() {
                    Some(_) => Some(self.now()),
                    None => [deadline, self.due()].into_iter().flatten().min(),
                };
                drop(self.wait_for(&flight, until));
                // The leader may wait for something else, and longer.
                self.session(Input::Time, Session::handle_timeout);
            }
            if let Some(outcome) = closed() {
                return outcome;
            }
            if deadline.is_some_and(|deadline| self.now() >= deadline) {
                return CloseOutcome::Failed(late(&self.timeouts(), "logout"));
            }
        }
    }

    fn take_up(&self, work: Work) -> UnderWay {
        let id = work.id();
        let asking = match work {
            Work::FrontHeaders(_) => {
                return UnderWay::supplying(id, Answer::front(self.front.clone()));
            }
            Work::Exchange(exchange) => Ok(Asking::from(*exchange)),
            Work::Credentials(_) => match self.provider.as_deref().cloned() {
                Some(Provider::Given(provider)) => {
                    return UnderWay::supplying(id, async move {
                        Answer::Credentials(provider.credentials().await.map_err(not_provided))
                    });
                }
                Some(Provider::Workstation(data)) => {
                    Asking::borrow(&data, self.now(), &self.timeouts())
                }
                None => Err(no_provider()),
            },
        };
        match asking {
            Ok(asking) => UnderWay { id, stage: self.send(asking) },
            Err(error) => UnderWay::supplying(id, ready(Answer::Credentials(Err(error)))),
        }
    }

    fn send(&self, asking: Asking) -> Stage {
        let Asking { asked, deadline, .. } = asking;
        let request = asking.outgoing(Duration::ZERO, &self.timeouts());
        let span = trace::exchange(asked.name(), &request);
        let pending = span.in_scope(|| self.driver.transport.start(request));
        Stage::Sending { asked, deadline, span, pending }
    }

    /// Waits for the answer, at most until `until`. What is still under way then comes back.
    fn wait(
        &self,
        flight: &Flight<UnderWay>,
        under_way: UnderWay,
        until: Instant,
    ) -> Result<Answer, UnderWay> {
        let UnderWay { id, stage } = under_way;
        match stage {
            Stage::Supplying(mut supplying) => {
                let answer = self.wait_within(flight, supplying.as_mut(), until);
                answer.ok_or_else(|| UnderWay { id, stage: Stage::Supplying(supplying) })
            }
            Stage::Sending { asked, deadline, span, mut pending } => {
                let answer = span.in_scope(|| pending.wait_until(until));
                match answer {
                    None => {
                        let stage = Stage::Sending { asked, deadline, span, pending };
                        Err(UnderWay { id, stage })
                    }
                    Some(Err(error)) => {
                        trace::failed(&span, &error);
                        Ok(asked.failed(error))
                    }
                    Some(Ok(response)) => {
                        trace::answered(&span, response.status());
                        let (parts, body) = Asked::received(response);
                        let parts = Box::new(parts);
                        let reading = Box::pin(body.collect(asked.limit()));
                        let stage = Stage::Reading { asked, deadline, span, parts, reading };
                        self.wait(flight, UnderWay { id, stage }, until)
                    }
                }
            }
            Stage::Reading { asked, deadline, span, parts, mut reading } => {
                let until = until.min(deadline);
                let body = span.in_scope(|| self.wait_within(flight, reading.as_mut(), until));
                if body.is_none() && self.now() < deadline {
                    let stage = Stage::Reading { asked, deadline, span, parts, reading };
                    return Err(UnderWay { id, stage });
                }
                Ok(asked.answered(*parts, body))
            }
        }
    }

    /// Waits for a future on this thread, at most until `until` or until it is poked.
    fn wait_within<T>(
        &self,
        flight: &Flight<UnderWay>,
        future: Pin<&mut (dyn Future<Output = T> + Send)>,
        until: Instant,
    ) -> Option<T> {
        block_on_while(future, || {
            if flight.take_poke() || self.now() >= until {
                return false;
            }
            self.driver.transport.park_until(until);
            true
        })
    }

    /// Lets go of exchanges that the machine no longer awaits. A login that may still succeed goes on in the
    /// background, so that its session can be logged out; the rest is dropped. The machine is told
    /// of the answer, and then, if it is `over`, to end what there is.
    fn retire(self: &Arc<Self>, under_way: UnderWay, over: bool) {
        let UnderWay { id, stage } = under_way;
        let core = Arc::clone(self);
        let tell = move |answer: Answer| {
            let mut locked = core.lock();
            core.answer(&mut locked, id, answer);
            core.flush(&mut locked);
            if over {
                locked.timeline.begin(Input::Dropped);
                locked.session.abandon(core.now());
                core.flush(&mut locked);
            }
        };
        match stage {
            Stage::Sending { asked, pending, .. } if asked.opens_session() => {
                pending.detach(Box::new(move |answer| match answer {
                    // Its head says whether there is a session.
                    Ok(response) => tell(asked.answered(response.into_parts().0, None)),
                    Err(error) => tell(asked.failed(error)),
                }));
            }
            Stage::Reading { asked, parts, .. } if asked.opens_session() => {
                tell(asked.answered(*parts, None));
            }
            Stage::Supplying(_) | Stage::Sending { .. } | Stage::Reading { .. } => {}
        }
    }
}

/// An exchange that has begun and is not answered yet.
pub(crate) struct UnderWay {
    id: ExchangeId,
    stage: Stage,
}

enum Stage {
    /// Credentials are asked for.
    Supplying(BoxFuture<'static, Answer>),
    /// The head of an answer is waited for, until the deadline.
    Sending { asked: Asked, deadline: Instant, span: Span, pending: Box<dyn Pending> },
    /// Its body is read, until the deadline.
    Reading {
        asked: Asked,
        deadline: Instant,
        span: Span,
        parts: Box<Parts>,
        reading: BoxFuture<'static, Result<Bytes, TransportError>>,
    },
}

impl UnderWay {
    fn supplying(id: ExchangeId, answer: impl Future<Output = Answer> + Send + 'static) -> Self {
        Self { id, stage: Stage::Supplying(Box::pin(answer)) }
    }
}

/// The thread that drives. If it panics, in a transport or a provider, the others are told and
/// the machine does not wait for an answer that never comes.
struct Leader<'a> {
    core: &'a Arc<Core<Threads>>,
    flight: &'a Flight<UnderWay>,
    under_way: Option<ExchangeId>,
    /// It has landed, or left.
    over: bool,
}

/// How things stand after the machine has been told something.
struct Standing {
    outcome: Option<Outcome>,
    /// When the machine wants to be told the time.
    deadline: Option<Instant>,
    /// The machine awaits what is under way.
    awaited: bool,
}

impl Leader<'_> {
    /// Drives the machine until it has settled or this thread's time is over.
    fn drive(
        &mut self,
        mut under_way: Option<UnderWay>,
        deadline: Option<Instant>,
    ) -> Option<Outcome> {
        let core = self.core;
        let mut standing = self.tell(|_| ());
        loop {
            if let Some(retired) = under_way.take_if(|_| !standing.awaited) {
                core.retire(retired, false);
            }
            if let Some(outcome) = standing.outcome {
                self.over = true;
                self.flight.land(outcome.clone());
                return Some(outcome);
            }
            let now = core.now();
            let over = deadline.is_some_and(|deadline| now >= deadline);
            if under_way.is_none() && !over {
                let work = core.next_work();
                self.under_way = work.as_ref().map(Work::id);
                // Done without the lock. The machine is told, and may settle, under one.
                under_way = work.map(|work| core.take_up(work));
            }
            // Another thread may want something of the machine meanwhile: a logout, say.
            let until = [deadline, standing.deadline, Some(later(now, LOOK_EVERY))];
            let until = until.into_iter().flatten().min().unwrap_or(now);
            standing = match under_way.take() {
                Some(work) => {
                    match core.wait(self.flight, work, until) {
                        // Answers first: one that has arrived counts, whatever the time.
                        Ok(answer) => self.answered(answer),
                        Err(work) if over => return self.leave(Some(work)),
                        Err(work) => {
                            under_way = Some(work);
                            self.tell(|locked| core.tick(locked))
                        }
                    }
                }
                None if over => return self.leave(None),
                None => {
                    // Without work it waits for something: the machine is never busy for nothing.
                    debug_assert!(standing.deadline.is_some(), "the machine waits for nothing");
                    core.driver.transport.sleep_until(until);
                    self.tell(|locked| core.tick(locked))
                }
            };
        }
    }

    fn answered(&mut self, answer: Answer) -> Standing {
        let id = self.under_way.take();
        self.tell(|locked| {
            if let Some(id) = id {
                self.core.answer(locked, id, answer);
            }
        })
    }

    fn tell(&self, input: impl FnOnce(&mut Locked<Threads>)) -> Standing {
        let (outcome, (deadline, awaited)) = self.core.step(|locked| {
            input(locked);
            let deadline = self.core.flush(locked);
            (deadline, self.under_way.is_some_and(|id| locked.session.awaits(id)))
        });
        Standing { outcome, deadline, awaited }
    }

    /// Lets another thread lead.
    fn leave(&mut self, under_way: Option<UnderWay>) -> Option<Outcome> {
        self.over = true;
        self.flight.leave(under_way);
        None
    }
}

impl Drop for Leader<'_> {
    fn drop(&mut self) {
        if self.over {
            return;
        }
        drop(self.core.abort(self.under_way.into_iter()));
        let message = "the thread that was logging in panicked";
        self.flight.land(Err(Error::new(ErrorKind::Canceled, message)));
    }
}
