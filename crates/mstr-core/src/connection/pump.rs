//! The work of a flight: the machine's outputs become exchanges, their answers its inputs.

use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Weak};
use std::task::{Context, Poll};
use std::time::Instant;

use bytes::Bytes;
use http::Response;

use super::shared::{Outcome, Shared, Work};
use crate::contract::{BoxFuture, SharedTimer, SharedTransport, Sleep, TransportError};
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
                deliver(&shared, exchange.id, answer);
            }));
        }
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

fn deliver(shared: &Arc<Shared>, id: ExchangeId, answer: Answer) {
    let mut locked = shared.lock();
    let now = shared.timer.now();
    match answer {
        Answer::Credentials(supplied) => locked.session.supply_credentials(id, supplied, now),
        Answer::Response(result) => locked.session.handle_response(id, result, now),
    }
    shared.flush(&mut locked);
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
                if locked.session.is_settled() && locked.queue.is_empty() {
                    let outcome = Shared::land(&mut locked);
                    drop(locked);
                    this.retire(&shared);
                    return Poll::Ready(outcome);
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
                        deliver(&shared, exchange.id, answer);
                        progress = true;
                    }
                }
            }
            // Answers first: one that has arrived counts, even if its deadline has just passed.
            if !progress && this.poll_sleep(deadline, cx) {
                let mut locked = shared.lock();
                let now = shared.timer.now();
                locked.session.handle_timeout(now);
                progress = true;
            }
            if !progress {
                return Poll::Pending;
            }
        }
    }
}
