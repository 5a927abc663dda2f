//! The work of a flight: the machine's outputs become exchanges, their answers its inputs.

use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Weak};
use std::task::{Context, Poll};
use std::time::Instant;

use bytes::Bytes;
use http::Response;

use super::shared::{Locked, Outcome, Shared, Work};
use crate::contract::{
    BoxFuture, SharedTimer, SharedTransport, Sleep, TransportError, TransportErrorKind,
};
use crate::error::{Error, ErrorKind};
use crate::protocol::Credentials;
use crate::session::ExchangeId;

/// Drives the machine until it has settled.
///
/// Holds the connection weakly: an abandoned flight sits in the connection's own slot, and a
/// strong reference would keep both alive for ever.
pub(super) struct Pump {
    shared: Weak<Shared>,
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
    pub(super) fn new(shared: &Arc<Shared>) -> Self {
        Self {
            shared: Arc::downgrade(shared),
            timer: shared.timer.clone(),
            transport: shared.transport.clone(),
            under_way: Vec::new(),
            sleep: None,
            landed: false,
        }
    }

    fn begin(&mut self, shared: &Arc<Shared>, work: Work) {
        let under_way = match work {
            Work::Exchange(exchange) => {
                let id = exchange.id;
                let opens_session = exchange.purpose.opens_session();
                let answer = shared.exchange(*exchange);
                let answer: BoxFuture<'static, Answer> =
                    Box::pin(async move { Answer::Response(answer.await) });
                UnderWay { id, opens_session, answer }
            }
            Work::Credentials(id) => {
                let provider = shared.provider.clone();
                let answer: BoxFuture<'static, Answer> = Box::pin(async move {
                    Answer::Credentials(match provider {
                        Some(provider) => provider.credentials().await.map_err(|error| {
                            Error::new(
                                ErrorKind::Credentials,
                                "the credential provider gave no credentials",
                            )
                            .with_source(error)
                        }),
                        None => Err(Error::new(ErrorKind::Config, "no credentials were given")),
                    })
                });
                UnderWay { id, opens_session: false, answer }
            }
        };
        self.under_way.push(under_way);
    }

    /// Exchanges the machine no longer awaits: a login that may still succeed goes on in the
    /// background, so that its session can be logged out; the rest is dropped.
    fn retire(&mut self, shared: &Arc<Shared>) {
        let locked = shared.lock();
        let (kept, retired): (Vec<_>, Vec<_>) = std::mem::take(&mut self.under_way)
            .into_iter()
            .partition(|exchange| locked.session.awaits(exchange.id));
        drop(locked);
        self.under_way = kept;
        for exchange in retired.into_iter().filter(|exchange| exchange.opens_session) {
            let shared = Arc::clone(shared);
            self.transport.detach(Box::pin(async move {
                let answer = exchange.answer.await;
                deliver(&shared, &mut shared.lock(), exchange.id, answer);
            }));
        }
    }

    fn landed(&mut self, shared: &Arc<Shared>, outcome: Outcome) -> Poll<Outcome> {
        self.landed = true;
        self.retire(shared);
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

fn deliver(shared: &Arc<Shared>, locked: &mut Locked, id: ExchangeId, answer: Answer) {
    let now = shared.timer.now();
    match answer {
        Answer::Credentials(supplied) => locked.session.supply_credentials(id, supplied, now),
        Answer::Response(result) => locked.session.handle_response(id, result, now),
    }
    shared.flush(locked);
}

impl Future for Pump {
    type Output = Outcome;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Outcome> {
        let this = &mut *self;
        loop {
            let Some(shared) = this.shared.upgrade() else {
                let gone = Error::new(ErrorKind::Canceled, "the connection has been dropped");
                return Poll::Ready(Err(gone));
            };
            let (deadline, work) = {
                let mut locked = shared.lock();
                let deadline = shared.flush(&mut locked);
                if let Some(outcome) = shared.land(&mut locked) {
                    drop(locked);
                    return this.landed(&shared, outcome);
                }
                (deadline, std::mem::take(&mut locked.queue))
            };
            for work in work {
                this.begin(&shared, work);
            }
            this.retire(&shared);

            let mut progress = false;
            let mut index = 0;
            while index < this.under_way.len() {
                match this.under_way[index].answer.as_mut().poll(cx) {
                    Poll::Pending => index += 1,
                    Poll::Ready(answer) => {
                        let exchange = this.under_way.swap_remove(index);
                        let mut locked = shared.lock();
                        deliver(&shared, &mut locked, exchange.id, answer);
                        // Under the same lock: a newcomer in between would begin anew, and those
                        // who wait would never hear of this outcome.
                        if let Some(outcome) = shared.land(&mut locked) {
                            drop(locked);
                            return this.landed(&shared, outcome);
                        }
                        progress = true;
                    }
                }
            }
            // Answers first: one that has arrived counts, even if its deadline has just passed.
            if !progress && this.poll_sleep(deadline, cx) {
                let mut locked = shared.lock();
                let now = shared.timer.now();
                locked.session.handle_timeout(now);
                if let Some(outcome) = shared.land(&mut locked) {
                    drop(locked);
                    return this.landed(&shared, outcome);
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
        let Some(shared) = self.shared.upgrade().filter(|_| !self.landed) else {
            return;
        };
        let mut locked = shared.lock();
        let now = self.timer.now();
        for exchange in &self.under_way {
            let canceled = TransportError::new(TransportErrorKind::Canceled);
            locked.session.handle_response(exchange.id, Err(canceled), now);
            let canceled = Error::new(ErrorKind::Canceled, "the credential provider panicked");
            locked.session.supply_credentials(exchange.id, Err(canceled), now);
        }
        shared.flush(&mut locked);
        // Those who wait are told about the panic itself.
        let flight = Shared::abort(&mut locked);
        drop(locked);
        drop(flight);
    }
}
