//! A request that waits for a connection.

use std::sync::{Arc, Mutex, MutexGuard};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use mstr_core::TransportError;

use super::exchange::Exchange;
use super::order::{Order, Terms};
use crate::sync::lock;

/// A request in the line of its server. It is sent in its turn by the task that returns or makes a
/// connection, whether or not its caller is polled meanwhile.
#[derive(Clone)]
pub(crate) struct Waiter(Arc<Mutex<Place>>);

struct Place {
    until: u64,
    connect_timeout: Option<Duration>,
    stage: Stage,
    waker: Option<Waker>,
}

enum Stage {
    InLine(Box<Order>),
    /// It is being sent.
    Served,
    Sent(Arc<Exchange>),
    Failed(TransportError),
    Taken,
    /// Its caller is gone.
    Left,
}

impl Waiter {
    pub(super) fn new(order: Order) -> Self {
        let Terms { until, connect_timeout, .. } = order.terms;
        let stage = Stage::InLine(Box::new(order));
        Self(Arc::new(Mutex::new(Place { until, connect_timeout, stage, waker: None })))
    }

    pub(super) fn connect_timeout(&self) -> Option<Duration> {
        lock(&self.0).connect_timeout
    }

    pub(super) fn until(&self) -> u64 {
        lock(&self.0).until
    }

    /// Its request, to be sent. `None` if it waits no longer.
    pub(super) fn serve(&self) -> Option<Order> {
        let mut waiting = lock(&self.0);
        match std::mem::replace(&mut waiting.stage, Stage::Served) {
            Stage::InLine(order) => Some(*order),
            other => {
                waiting.stage = other;
                None
            }
        }
    }

    /// The request that was served has found no connection. Whether it still waits for one.
    pub(super) fn put_back(&self, order: Order) -> bool {
        self.settle(Stage::InLine(Box::new(order))).is_none()
    }

    /// The exchange of the request that was served. An exchange that is returned has no caller.
    pub(super) fn sent(&self, exchange: Arc<Exchange>) -> Option<Arc<Exchange>> {
        match self.settle(Stage::Sent(exchange)) {
            Some(Stage::Sent(exchange)) => Some(exchange),
            _ => None,
        }
    }

    /// It cannot be sent.
    pub(super) fn fail(&self, error: TransportError) {
        drop(self.settle(Stage::Failed(error)));
    }

    /// Its time is over.
    pub(super) fn lapse(&self) {
        self.give_up(Order::late);
    }

    /// The runtime has shut down.
    pub(super) fn strand(&self) {
        self.give_up(Order::stranded);
    }

    /// Fails it while it is in line. One that is being sent meanwhile is not touched.
    fn give_up(&self, error: impl FnOnce(&Order) -> TransportError) {
        let waiting = lock(&self.0);
        let Stage::InLine(order) = &waiting.stage else { return };
        let error = error(order);
        Self::replace(waiting, Stage::Failed(error));
    }

    /// Returns a result for which no caller waits.
    fn settle(&self, stage: Stage) -> Option<Stage> {
        let waiting = lock(&self.0);
        if matches!(waiting.stage, Stage::Left) {
            return Some(stage);
        }
        Self::replace(waiting, stage);
        None
    }

    /// Unlocks before a body is dropped or a caller is woken: both may come back here.
    fn replace(mut waiting: MutexGuard<'_, Place>, stage: Stage) {
        let before = std::mem::replace(&mut waiting.stage, stage);
        let waker = waiting.waker.take();
        drop(waiting);
        drop(before);
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    pub(super) fn poll(&self, cx: &mut Context<'_>) -> Poll<Result<Arc<Exchange>, TransportError>> {
        let mut waiting = lock(&self.0);
        match std::mem::replace(&mut waiting.stage, Stage::Taken) {
            Stage::Sent(exchange) => Poll::Ready(Ok(exchange)),
            Stage::Failed(error) => Poll::Ready(Err(error)),
            before => {
                waiting.stage = before;
                waiting.waker = Some(cx.waker().clone());
                Poll::Pending
            }
        }
    }

    /// The caller waits no longer. Returns what it has been given meanwhile.
    pub(super) fn leave(&self) -> Option<Arc<Exchange>> {
        // Unlocked before the rest is dropped: a body may be another answer of this pool.
        let before = std::mem::replace(&mut lock(&self.0).stage, Stage::Left);
        match before {
            Stage::Sent(exchange) => Some(exchange),
            _ => None,
        }
    }
}

impl PartialEq for Waiter {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}
