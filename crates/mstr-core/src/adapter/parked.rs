//! Any asynchronous transport as a blocking one.

use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use crate::contract::{
    BlockingTransport, Body, BoxFuture, Pending, SharedTimer, Transport, TransportError,
    TransportInfo,
};
use crate::park::{block_on, park_beside};
use crate::toolkit::before;

/// How long a request in the background may take.
const DETACHED_LIMIT: Duration = Duration::from_secs(10);

/// Makes a [`BlockingTransport`] of an asynchronous [`Transport`], by parking the calling thread.
///
/// ```no_run
/// # use mstr_core as mstr;
/// use mstr::blocking::BlockOn;
/// use mstr::{Connection, Error, Transport, blocking};
///
/// fn connect(transport: impl Transport) -> Result<blocking::Connection, Error> {
///     Connection::builder("https://env.example.com/MicroStrategyLibrary")
///         .standard("username", "password")
///         .blocking_transport(BlockOn::new(transport))
///         .connect()
/// }
/// ```
///
/// The transport has to make progress while the calling thread is parked, for example on the threads
/// of its own runtime. Inside a task of an asynchronous runtime the calling thread is blocked. A
/// transport that waits on tokio's own primitives there has to poll them `unconstrained`, as mstr-hyper
/// does, because a parked task never gets a new budget.
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

    fn start(&self, request: http::Request<Body>) -> Box<dyn Pending> {
        let transport = Arc::clone(&self.transport);
        let mut sending: BoxFuture<'static, Answer> =
            Box::pin(async move { transport.send(request).await });
        // Sent now, not when a thread waits for it.
        let polled = sending.as_mut().poll(&mut Context::from_waker(Waker::noop()));
        let state = match polled {
            Poll::Ready(answer) => State::Answered(Some(answer)),
            Poll::Pending => State::Sending(sending),
        };
        let (transport, timer) = (Arc::clone(&self.transport), self.timer.clone());
        Box::new(Started { state, transport, timer })
    }

    fn now(&self) -> Instant {
        self.timer.now()
    }

    fn sleep_until(&self, deadline: Instant) {
        block_on(self.timer.sleep_until(deadline));
    }

    fn park_until(&self, deadline: Instant) {
        park_beside(self.timer.sleep_until(deadline).as_mut());
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

type Answer = Result<http::Response<Body>, TransportError>;

/// An exchange that has begun. It is polled only while a thread waits for it.
struct Started<T> {
    state: State,
    transport: Arc<T>,
    timer: SharedTimer,
}

#[expect(clippy::large_enum_variant, reason = "it is moved once, with the answer")]
enum State {
    /// Until it has been taken.
    Answered(Option<Answer>),
    Sending(BoxFuture<'static, Answer>),
}

impl<T: Transport> Pending for Started<T> {
    fn wait_until(&mut self, deadline: Instant) -> Option<Answer> {
        let sending = match &mut self.state {
            State::Answered(answer) => return answer.take(),
            State::Sending(sending) => sending.as_mut(),
        };
        let answer = block_on(before(Some(deadline), &*self.timer, sending))?;
        self.state = State::Answered(None);
        Some(answer)
    }

    fn detach(self: Box<Self>, then: Box<dyn FnOnce(Answer) + Send>) {
        match self.state {
            State::Answered(answer) => drop(answer.map(then)),
            State::Sending(sending) => {
                self.transport.detach(Box::pin(async move { then(sending.await) }));
            }
        }
    }
}
