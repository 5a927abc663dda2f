//! The driver itself, and the work of a flight: the session machine's outputs become exchanges,
//! their answers its inputs.

use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Weak};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::Response;
use tracing::Instrument;

use super::flight::Flight;
use super::line::Line;
use crate::contract::{BoxFuture, SharedTimer, SharedTransport, Sleep, TransportError};
use crate::driver::core::{Begun, Core, Driver, Locked, Outcome};
use crate::driver::exchange::{
    LATE_LOGIN_GRACE, Work, answer_limit, answer_read, late, no_provider, not_provided, outgoing,
};
use crate::error::{Error, ErrorKind};
use crate::policy::Timeouts;
use crate::protocol::Credentials;
use crate::session::{CloseOutcome, Command, Exchange, ExchangeId};
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
        let again = self.exchange(exchange.clone(), timeouts);
        let answer = self.exchange(exchange, timeouts);
        self.transport.detach(Box::pin(async move {
            // Best effort: the server's idle timeout ends the session otherwise.
            if answer.await.is_err_and(|error| error.is_unprocessed()) {
                drop(again.await);
            }
        }));
    }

    fn release(core: &Arc<Core<Self>>) {
        if core.look(|session| session.needs_closing()) {
            let closing = Arc::clone(core);
            core.driver.transport.detach(Box::pin(async move {
                closing.close(false).await;
            }));
        }
    }
}

impl Tasks {
    /// Sends one exchange of the session's own. The future borrows nothing from the connection.
    fn exchange(
        &self,
        exchange: Exchange,
        timeouts: &Timeouts,
    ) -> impl Future<Output = Result<Response<Bytes>, TransportError>> + Send + use<> {
        let Exchange { request, purpose, deadline, .. } = exchange;
        let grace = if purpose.opens_session() { LATE_LOGIN_GRACE } else { Duration::ZERO };
        let request = outgoing(request, purpose, deadline + grace, timeouts);
        let (transport, timer) = (self.transport.clone(), self.timer.clone());
        async move {
            let span = trace::exchange(purpose, &request);
            let response = transport.send(request).instrument(span.clone()).await;
            let response = response.inspect_err(|error| trace::failed(&span, error))?;
            trace::answered(&span, response.status());
            let (parts, body) = response.into_parts();
            // What opens a session has said so by now: its body is not worth the grace.
            let reading = body.collect(answer_limit(purpose));
            answer_read(purpose, parts, before(Some(deadline), &*timer, reading).await)
        }
    }
}

impl Core<Tasks> {
    /// Opens a session within the total time of a call.
    pub(super) async fn open(self: &Arc<Self>) -> Result<(), Error> {
        let deadline = self.deadline();
        loop {
            match self.access(|session| session.request_access_by(deadline, self.now())) {
                Begun::Done(access) => return access.map(drop),
                Begun::Flight(flight) => self.wait_for(flight, deadline, "login").await?,
            }
        }
    }

    /// Gives the machine a command and drives it until it has settled, or `deadline` has passed.
    pub(super) async fn carry_out(
        self: &Arc<Self>,
        command: Command,
        deadline: Option<Instant>,
    ) -> Outcome {
        match self.command(command) {
            Begun::Done(outcome) => outcome,
            Begun::Flight(flight) => self.wait_for(flight, deadline, "renew").await,
        }
    }

    async fn wait_for(
        &self,
        flight: Flight<Outcome>,
        deadline: Option<Instant>,
        operation: &'static str,
    ) -> Outcome {
        let landed = before(deadline, &*self.driver.timer, flight.wait(Err(aborted()))).await;
        landed.unwrap_or_else(|| Err(late(&self.timeouts, operation)))
    }

    /// Ends the session, within the total time of a call.
    pub(super) async fn close(self: &Arc<Self>, even_if_borrowed: bool) -> CloseOutcome {
        let deadline = self.deadline();
        loop {
            // A flight that was under way may have failed; closing goes on regardless.
            drop(self.carry_out(Command::Logout { even_if_borrowed }, deadline).await);
            if let Some(outcome) = self.look(|session| session.close_outcome().cloned()) {
                return outcome;
            }
            if deadline.is_some_and(|deadline| self.now() >= deadline) {
                return CloseOutcome::Failed(late(&self.timeouts, "logout"));
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

enum Answer {
    Credentials(Result<Credentials, Error>),
    Response(Result<Response<Bytes>, TransportError>),
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
        let (opens_session, answer): (bool, BoxFuture<'static, Answer>) = match work {
            Work::Exchange(exchange) => {
                let opens_session = exchange.purpose.opens_session();
                let answer = core.driver.exchange(*exchange, &core.timeouts);
                (opens_session, Box::pin(async move { Answer::Response(answer.await) }))
            }
            Work::Credentials(_) => {
                let provider = core.provider.clone();
                let supplied = async move {
                    Answer::Credentials(match provider {
                        Some(provider) => provider.credentials().await.map_err(not_provided),
                        None => Err(no_provider()),
                    })
                };
                (false, Box::pin(supplied))
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
    let now = core.now();
    match answer {
        Answer::Credentials(supplied) => locked.session.supply_credentials(id, supplied, now),
        Answer::Response(result) => locked.session.handle_response(id, result, now),
    }
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
            let work = std::mem::take(&mut core.lock().queue);
            for work in work {
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
                    locked.session.handle_timeout(core.now());
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

/// What waiters receive if a transport panics while it is polled.
pub(super) fn aborted() -> Error {
    Error::new(ErrorKind::Canceled, "the transport or the credential provider panicked")
}
