//! The driver itself, and the work of a flight: the session machine's outputs become exchanges,
//! their answers its inputs.

use std::future::{Future, ready};
use std::pin::Pin;
use std::sync::{Arc, Weak};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use tracing::Instrument;

use super::flight::Flight;
use super::line::Line;
use crate::builder::Provider;
use crate::contract::{BoxFuture, SharedTimer, SharedTransport, Sleep};
use crate::driver::core::{Begun, Core, Driver, Locked, Outcome};
use crate::driver::exchange::{
    Answer, Asked, Asking, LATE_LOGIN_GRACE, Work, late, no_provider, not_provided,
};
use crate::driver::recorder::Input;
use crate::error::{Error, ErrorKind};
use crate::session::{CloseOutcome, Command, Exchange, ExchangeId};
use crate::timeouts::Timeouts;
use crate::toolkit::before;
use crate::trace;

/// The asynchronous driver.
#[derive(Debug)]
pub(crate) struct Tasks {
    pub(super) transport: SharedTransport,
    pub(super) timer: SharedTimer,
    pub(super) line: Line,
}

impl Driver for Tasks {
    type Transport = SharedTransport;
    type Flight = Flight<Outcome>;

    fn new(transport: SharedTransport) -> Self {
        Self { timer: transport.timer(), transport, line: Line::default() }
    }

    fn transport(&self) -> SharedTransport {
        self.transport.clone()
    }

    fn now(&self) -> Instant {
        self.timer.now()
    }

    fn flight(core: &Arc<Core<Self>>) -> Flight<Outcome> {
        Flight::new(Box::pin(Pump::new(core)))
    }

    fn send_detached(&self, exchange: Exchange, timeouts: &Timeouts) {
        let again = self.ask(exchange.clone().into(), timeouts);
        let answer = self.ask(exchange.into(), timeouts);
        self.transport.detach(Box::pin(async move {
            // Best effort: the server's idle timeout ends the session otherwise.
            if let Answer::Response(Err(error)) = answer.await
                && error.is_unprocessed()
            {
                drop(again.await);
            }
        }));
    }

    fn release(core: &Arc<Core<Self>>) {
        if core.look(|session| session.needs_closing()) {
            let closing = Arc::clone(core);
            core.driver.transport.detach(Box::pin(async move {
                // No caller's time bounds it. Its exchanges have limits of their own.
                closing.close(false, None).await;
            }));
        }
    }
}

impl Tasks {
    /// Sends one request of the session's own. The future borrows nothing from the connection.
    fn ask(
        &self,
        asking: Asking,
        timeouts: &Timeouts,
    ) -> impl Future<Output = Answer> + Send + use<> {
        let Asking { asked, deadline, .. } = asking;
        let grace = if asked.opens_session() { LATE_LOGIN_GRACE } else { Duration::ZERO };
        let request = asking.outgoing(grace, timeouts);
        let (transport, timer) = (self.transport.clone(), self.timer.clone());
        async move {
            let span = trace::exchange(asked.name(), &request);
            let (parts, body) = match transport.send(request).instrument(span.clone()).await {
                Ok(response) => Asked::received(response),
                Err(error) => {
                    trace::failed(&span, &error);
                    return asked.failed(error);
                }
            };
            trace::answered(&span, parts.status);
            // A successful login has shown in its head by now: its body is not worth the grace.
            let reading = body.collect(asked.limit());
            asked.answered(parts, before(Some(deadline), &*timer, reading).await)
        }
    }

    /// Asks for credentials.
    fn supply(
        &self,
        provider: Option<Provider>,
        timeouts: &Timeouts,
    ) -> BoxFuture<'static, Answer> {
        let asking = match provider {
            Some(Provider::Given(provider)) => {
                return Box::pin(async move {
                    Answer::Credentials(provider.credentials().await.map_err(not_provided))
                });
            }
            Some(Provider::Workstation(data)) => Asking::borrow(&data, self.now(), timeouts),
            None => Err(no_provider()),
        };
        match asking {
            Ok(asking) => Box::pin(self.ask(asking, timeouts)),
            Err(error) => Box::pin(ready(Answer::Credentials(Err(error)))),
        }
    }
}

impl Core<Tasks> {
    /// Opens a session by `deadline`.
    pub(super) async fn open(self: &Arc<Self>, deadline: Option<Instant>) -> Result<(), Error> {
        loop {
            match self.access(|session| session.request_access_by(deadline, self.now())) {
                Begun::Done(access) => return access.map(drop),
                Begun::Flight(flight) => match self.wait_for(flight, deadline).await {
                    Some(landed) => self.told(landed)?,
                    None => return Err(late(&self.timeouts(), "login")),
                },
            }
        }
    }

    /// Gives the machine a command and drives it until it has settled, or `deadline` has passed.
    pub(super) async fn carry_out(
        self: &Arc<Self>,
        command: Command,
        input: Input,
        deadline: Option<Instant>,
    ) -> Outcome {
        if let Some(left) = self.left_behind() {
            drop(self.wait_for(left, deadline).await);
        }
        match self.command(command, input) {
            Begun::Done(outcome) => outcome,
            Begun::Flight(flight) => {
                let landed = self.wait_for(flight, deadline).await;
                landed.unwrap_or_else(|| Err(late(&self.timeouts(), "renew")))
            }
        }
    }

    /// Waits for a flight. `None` if it has not landed by `deadline`.
    async fn wait_for(
        &self,
        flight: Flight<Outcome>,
        deadline: Option<Instant>,
    ) -> Option<Outcome> {
        before(deadline, &*self.driver.timer, flight.wait(Err(aborted()))).await
    }

    /// Ends the session by `deadline`.
    pub(super) async fn close(
        self: &Arc<Self>,
        even_if_borrowed: bool,
        deadline: Option<Instant>,
    ) -> CloseOutcome {
        loop {
            // A flight that was under way may have failed; closing goes on regardless.
            let logout = Command::Logout { even_if_borrowed };
            drop(self.carry_out(logout, Input::Close, deadline).await);
            if let Some(outcome) = self.look(|session| session.close_outcome().cloned()) {
                return outcome;
            }
            if deadline.is_some_and(|deadline| self.now() >= deadline) {
                return CloseOutcome::Failed(late(&self.timeouts(), "logout"));
            }
        }
    }
}

/// Drives the machine until it has settled.
///
/// Holds the connection weakly: an abandoned flight sits in the connection's own slot, and a
/// strong reference would keep both alive for ever.
pub(super) struct Pump {
    core: Weak<Core<Tasks>>,
    timer: SharedTimer,
    transport: SharedTransport,
    under_way: Vec<UnderWay>,
    sleep: Option<(Instant, Sleep)>,
    landed: bool,
}

struct UnderWay {
    id: ExchangeId,
    opens_session: bool,
    answer: BoxFuture<'static, Answer>,
}

impl Pump {
    fn new(core: &Arc<Core<Tasks>>) -> Self {
        Self {
            core: Arc::downgrade(core),
            timer: core.driver.timer.clone(),
            transport: core.driver.transport.clone(),
            under_way: Vec::new(),
            sleep: None,
            landed: false,
        }
    }

    fn begin(&mut self, core: &Core<Tasks>, work: Work) {
        let id = work.id();
        let (driver, timeouts) = (&core.driver, &core.timeouts());
        let (opens_session, answer) = match work {
            Work::Exchange(exchange) => {
                let asking = Asking::from(*exchange);
                let opens_session = asking.asked.opens_session();
                let answer: BoxFuture<'static, Answer> = Box::pin(driver.ask(asking, timeouts));
                (opens_session, answer)
            }
            Work::Credentials(_) => {
                (false, driver.supply(core.provider.as_deref().cloned(), timeouts))
            }
            Work::FrontHeaders(_) => {
                let answer: BoxFuture<'static, Answer> =
                    Box::pin(Answer::front(core.front.clone()));
                (false, answer)
            }
        };
        self.under_way.push(UnderWay { id, opens_session, answer });
    }

    /// Exchanges the machine no longer awaits: a login that may still succeed goes on in the
    /// background, so that its session can be logged out; the rest is dropped.
    fn retire(&mut self, core: &Arc<Core<Tasks>>) {
        let locked = core.lock();
        let (kept, retired): (Vec<_>, Vec<_>) = std::mem::take(&mut self.under_way)
            .into_iter()
            .partition(|exchange| locked.session.awaits(exchange.id));
        drop(locked);
        self.under_way = kept;
        for exchange in retired.into_iter().filter(|exchange| exchange.opens_session) {
            let core = Arc::clone(core);
            self.transport.detach(Box::pin(async move {
                let answer = exchange.answer.await;
                deliver(&core, &mut core.lock(), exchange.id, answer);
            }));
        }
    }

    fn landed(&mut self, core: &Arc<Core<Tasks>>, outcome: Outcome) -> Poll<Outcome> {
        self.landed = true;
        self.retire(core);
        Poll::Ready(outcome)
    }

    /// Whether the machine's next deadline has passed.
    fn poll_sleep(&mut self, deadline: Option<Instant>, cx: &mut Context<'_>) -> bool {
        let Some(deadline) = deadline else {
            self.sleep = None;
            return false;
        };
        if self.sleep.as_ref().is_none_or(|(until, _)| *until != deadline) {
            self.sleep = Some((deadline, self.timer.sleep_until(deadline)));
        }
        let over = self.sleep.as_mut().is_some_and(|(_, sleep)| sleep.as_mut().poll(cx).is_ready());
        if over {
            self.sleep = None;
        }
        over
    }
}

fn deliver(core: &Core<Tasks>, locked: &mut Locked<Tasks>, id: ExchangeId, answer: Answer) {
    core.answer(locked, id, answer);
    core.flush(locked);
}

impl Future for Pump {
    type Output = Outcome;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Outcome> {
        let this = &mut *self;
        let Some(core) = this.core.upgrade() else {
            let gone = Error::new(ErrorKind::Canceled, "the connection has been dropped");
            return Poll::Ready(Err(gone));
        };
        loop {
            let (outcome, deadline) = core.step(|locked| core.flush(locked));
            if let Some(outcome) = outcome {
                return this.landed(&core, outcome);
            }
            while let Some(work) = core.next_work() {
                this.begin(&core, work);
            }
            this.retire(&core);

            let mut progress = false;
            let mut index = 0;
            while index < this.under_way.len() {
                let Poll::Ready(answer) = this.under_way[index].answer.as_mut().poll(cx) else {
                    index += 1;
                    continue;
                };
                let exchange = this.under_way.swap_remove(index);
                let (outcome, ()) = core.step(|locked| deliver(&core, locked, exchange.id, answer));
                if let Some(outcome) = outcome {
                    return this.landed(&core, outcome);
                }
                progress = true;
            }
            // Answers first: one that has arrived counts, even if its deadline has just passed.
            if !progress && this.poll_sleep(deadline, cx) {
                let (outcome, ()) = core.step(|locked| {
                    core.tick(locked);
                    core.flush(locked);
                });
                if let Some(outcome) = outcome {
                    return this.landed(&core, outcome);
                }
                progress = true;
            }
            if !progress {
                return Poll::Pending;
            }
        }
    }
}

/// Gives the flight up if its work panicked: the machine does not wait for answers that never
/// come, and the next call begins anew.
impl Drop for Pump {
    fn drop(&mut self) {
        if let Some(core) = self.core.upgrade().filter(|_| !self.landed) {
            drop(core.abort(self.under_way.iter().map(|exchange| exchange.id)));
        }
    }
}

/// The error for waiters if a transport panics while it is polled.
pub(super) fn aborted() -> Error {
    Error::new(ErrorKind::Canceled, "the transport or the credential provider panicked")
}
