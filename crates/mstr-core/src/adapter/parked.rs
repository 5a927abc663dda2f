//! Any asynchronous transport as a blocking one.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::contract::{
    BlockingTransport, Body, SharedTimer, Transport, TransportError, TransportInfo,
};
use crate::park::block_on;
use crate::toolkit::before;

/// How long a request that nobody waits for may take.
const DETACHED_LIMIT: Duration = Duration::from_secs(10);

/// Uses an asynchronous [`Transport`] from blocking code by parking the calling thread.
///
/// The transport must make progress without being polled by an executor of its own: one over a
/// runtime that runs on other threads does. Inside a task of an asynchronous runtime this blocks
/// the thread; a transport that waits on tokio's own primitives there has to poll them
/// `unconstrained`, as mstr-hyper does, because a parked task never gives its budget back.
#[derive(Debug)]
pub struct BlockOn<T> {
    transport: Arc<T>,
    timer: SharedTimer,
}

impl<T: Transport> BlockOn<T> {
    /// Adapts `transport`.
    pub fn new(transport: T) -> Self {
        let timer = transport.timer();
        Self { transport: Arc::new(transport), timer }
    }

    /// The transport inside.
    #[must_use]
    pub fn get_ref(&self) -> &T {
        &self.transport
    }
}

impl<T: Transport> BlockingTransport for BlockOn<T> {
    fn send(&self, request: http::Request<Body>) -> Result<http::Response<Body>, TransportError> {
        block_on(self.transport.send(request))
    }

    fn now(&self) -> Instant {
        self.timer.now()
    }

    fn sleep_until(&self, deadline: Instant) {
        block_on(self.timer.sleep_until(deadline));
    }

    fn send_detached(&self, request: http::Request<Body>) {
        let (transport, timer) = (Arc::clone(&self.transport), self.timer.clone());
        self.transport.detach(Box::pin(async move {
            let limit = timer.now() + DETACHED_LIMIT;
            drop(before(Some(limit), &*timer, transport.send(request)).await);
        }));
    }

    fn info(&self) -> TransportInfo {
        self.transport.info()
    }
}
