//! The driver itself, and how threads share a login: one of them leads, the others wait for it.

use std::sync::{Arc, PoisonError};
use std::time::{Duration, Instant};

use crate::builder::Provider;
use crate::contract::SharedBlockingTransport;
use crate::driver::core::{Begun, Core, Driver, Outcome};
use crate::driver::exchange::{Answer, Asking, Work, late, no_provider, not_provided};
use crate::error::{Error, ErrorKind};
use crate::park::{block_on, block_on_until};
use crate::policy::Timeouts;
use crate::session::{CloseOutcome, Command, Exchange, ExchangeId, Session};
use crate::sync::{Condvar, Mutex, MutexGuard, lock};
use crate::trace;

/// The blocking driver.
#[derive(Debug)]
pub(crate) struct Threads(pub(super) SharedBlockingTransport);

/// One thread drives the session machine, the others wait for the outcome.
#[derive(Default)]
pub(crate) struct Flight {
    progress: Mutex<Progress>,
    landed: Condvar,
}

#[derive(Default)]
struct Progress {
    /// A thread has begun to drive.
    led: bool,
    outcome: Option<Outcome>,
}

impl Driver for Threads {
    type Transport = SharedBlockingTransport;
    type Flight = Arc<Flight>;

    fn new(transport: SharedBlockingTransport) -> Self {
        Self(transport)
    }

    fn transport(&self) -> SharedBlockingTransport {
        self.0.clone()
    }

    fn now(&self) -> Instant {
        self.0.now()
    }

    fn flight(_: &Arc<Core<Self>>) -> Arc<Flight> {
        Arc::default()
    }

    fn send_detached(&self, exchange: Exchange, timeouts: &Timeouts) {
        self.0.send_detached(Asking::from(exchange).outgoing(Duration::ZERO, timeouts));
    }

    fn release(core: &Arc<Core<Self>>) {
        core.session(Session::abandon);
    }
}

impl Flight {
    fn progress(&self) -> MutexGuard<'_, Progress> {
        lock(&self.progress)
    }

    fn land(&self, outcome: Outcome) {
        self.progress().outcome = Some(outcome);
        self.landed.notify_all();
    }

    /// Whether it is the caller who leads.
    fn takes_lead(&self) -> bool {
        !std::mem::replace(&mut self.progress().led, true)
    }

    /// Waits for the outcome, at most until `deadline`. `None` if it has passed.
    fn wait(&self, deadline: Option<Instant>, now: impl Fn() -> Instant) -> Option<Outcome> {
        let mut progress = self.progress();
        loop {
            if let Some(outcome) = &progress.outcome {
                return Some(outcome.clone());
            }
            progress = match deadline {
                None => self.landed.wait(progress).unwrap_or_else(PoisonError::into_inner),
                Some(deadline) => {
                    let left = deadline.saturating_duration_since(now());
                    if left.is_zero() {
                        return None;
                    }
                    let waited = self.landed.wait_timeout(progress, left);
                    waited.unwrap_or_else(PoisonError::into_inner).0
                }
            };
        }
    }
}

impl Core<Threads> {
    /// Waits for a flight, or leads it. `None` if it has not landed by `deadline`; a thread that
    /// leads finishes first.
    pub(super) fn wait_for(
        self: &Arc<Self>,
        flight: &Arc<Flight>,
        deadline: Option<Instant>,
    ) -> Option<Outcome> {
        if flight.takes_lead() {
            let mut leader = Leader { core: self, flight, exchange: None, landed: false };
            return Some(leader.drive());
        }
        flight.wait(deadline, || self.now())
    }

    /// Opens a session within the total time of a call.
    pub(super) fn open(self: &Arc<Self>) -> Result<(), Error> {
        let deadline = self.deadline();
        loop {
            match self.access(|session| session.request_access_by(deadline, self.now())) {
                Begun::Done(access) => return access.map(drop),
                Begun::Flight(flight) => {
                    self.wait_for(&flight, deadline)
                        .unwrap_or_else(|| Err(late(&self.timeouts, "login")))?;
                }
            }
        }
    }

    /// Gives the machine a command and drives it until it has settled. A thread that waits for
    /// another one does so until `deadline`.
    pub(super) fn carry_out(
        self: &Arc<Self>,
        command: Command,
        deadline: Option<Instant>,
    ) -> Outcome {
        match self.command(command) {
            Begun::Done(outcome) => outcome,
            Begun::Flight(flight) => self
                .wait_for(&flight, deadline)
                .unwrap_or_else(|| Err(late(&self.timeouts, "renew"))),
        }
    }

    /// Ends the session.
    pub(super) fn close(self: &Arc<Self>, even_if_borrowed: bool) -> CloseOutcome {
        let deadline = self.deadline();
        loop {
            // A flight that was under way may have failed; closing goes on regardless.
            drop(self.carry_out(Command::Logout { even_if_borrowed }, deadline));
            if let Some(outcome) = self.look(|session| session.close_outcome().cloned()) {
                return outcome;
            }
            if deadline.is_some_and(|deadline| self.now() >= deadline) {
                return CloseOutcome::Failed(late(&self.timeouts, "logout"));
            }
        }
    }

    fn ask(&self, asking: Asking) -> Answer {
        let Asking { asked, deadline, .. } = asking;
        let request = asking.outgoing(Duration::ZERO, &self.timeouts);
        let span = trace::exchange(asked.name(), &request);
        let _entered = span.enter();
        let (parts, body) = match self.driver.0.send(request) {
            Ok(response) => response.into_parts(),
            Err(error) => {
                trace::failed(&span, &error);
                return asked.failed(error);
            }
        };
        trace::answered(&span, parts.status);
        let reading = body.collect(asked.limit());
        asked.answered(parts, block_on_until(reading, Some(deadline), || self.now()))
    }

    fn supply(&self) -> Answer {
        let asking = match &self.provider {
            Some(Provider::Given(provider)) => {
                return Answer::Credentials(block_on(provider.credentials()).map_err(not_provided));
            }
            Some(Provider::Workstation(data)) => Asking::borrow(data, self.now(), &self.timeouts),
            None => Err(no_provider()),
        };
        match asking {
            Ok(asking) => self.ask(asking),
            Err(error) => Answer::Credentials(Err(error)),
        }
    }
}

/// The thread that drives. If it panics, in a transport or a provider, the others are told and
/// the machine does not wait for an answer that never comes.
struct Leader<'a> {
    core: &'a Core<Threads>,
    flight: &'a Flight,
    exchange: Option<ExchangeId>,
    landed: bool,
}

impl Leader<'_> {
    fn drive(&mut self) -> Outcome {
        let core = self.core;
        let (mut outcome, mut deadline) = core.step(|locked| core.flush(locked));
        while outcome.is_none() {
            let work = core.lock().queue.pop_front();
            self.exchange = work.as_ref().map(Work::id);
            // Done without the lock. The machine is told, and may settle, under one.
            (outcome, deadline) = match work {
                Some(work) => {
                    let id = work.id();
                    let answer = match work {
                        Work::Credentials(_) => core.supply(),
                        Work::Exchange(exchange) => core.ask(Asking::from(*exchange)),
                    };
                    self.tell(|session, now| answer.tell(session, id, now))
                }
                None => {
                    // Without work it waits for something: the machine is never busy for nothing.
                    debug_assert!(deadline.is_some(), "the machine waits for nothing");
                    core.driver.0.sleep_until(deadline.unwrap_or_else(|| core.now()));
                    self.tell(Session::handle_timeout)
                }
            };
        }
        self.landed = true;
        let outcome = outcome.unwrap_or(Ok(()));
        self.flight.land(outcome.clone());
        outcome
    }

    fn tell(
        &self,
        input: impl FnOnce(&mut Session, Instant),
    ) -> (Option<Outcome>, Option<Instant>) {
        self.core.step(|locked| {
            input(&mut locked.session, self.core.now());
            self.core.flush(locked)
        })
    }
}

impl Drop for Leader<'_> {
    fn drop(&mut self) {
        if self.landed {
            return;
        }
        drop(self.core.abort(self.exchange.into_iter()));
        let message = "the thread that was logging in panicked";
        self.flight.land(Err(Error::new(ErrorKind::Canceled, message)));
    }
}
