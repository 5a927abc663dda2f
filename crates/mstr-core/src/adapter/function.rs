//! A closure as a transport.

use std::fmt;
use std::future::Future;

use async_trait::async_trait;
use http::{Request, Response};

use super::watched::{Surroundings, Watched};
use crate::contract::{Body, BoxFuture, SharedTimer, Transport, TransportError, TransportInfo};
use crate::toolkit::Stage;

/// Makes a transport of `send`, a function that sends a request and returns the answer.
///
/// `timer` is that of the runtime that `send` needs. The [module documentation](super) says what
/// is done for `send` and what it has to do itself.
pub fn from_fn<F, A>(timer: SharedTimer, send: F) -> FnTransport<F>
where
    F: Fn(Request<Body>) -> A + Send + Sync + 'static,
    A: Future<Output = Result<Response<Body>, TransportError>> + Send,
{
    FnTransport { send, around: Surroundings::new(timer) }
}

/// A [`Transport`] made of a closure by [`from_fn`].
#[derive(Clone)]
#[must_use]
pub struct FnTransport<F> {
    send: F,
    around: Surroundings,
}

impl<F> FnTransport<F> {
    /// Runs background work with `spawn`, which has to return at once. Without it, a session
    /// whose connection is dropped stays open until the server's idle timeout; see
    /// [`Transport::detach`].
    pub fn detach_with(
        mut self,
        spawn: impl Fn(BoxFuture<'static, ()>) + Send + Sync + 'static,
    ) -> Self {
        self.around.spawn_with(spawn);
        self
    }

    /// Names the stack, for the `User-Agent` header and bug reports.
    pub fn named(mut self, info: TransportInfo) -> Self {
        self.around.info = info;
        self
    }
}

#[async_trait]
impl<F, A> Transport for FnTransport<F>
where
    F: Fn(Request<Body>) -> A + Send + Sync + 'static,
    A: Future<Output = Result<Response<Body>, TransportError>> + Send,
{
    async fn send(&self, request: Request<Body>) -> Result<Response<Body>, TransportError> {
        let timer = &self.around.timer;
        let (exchange, request) = Watched::begin(request, timer.now())?;
        let answer = (self.send)(request);
        match exchange.in_time(Stage::Sending, timer, answer).await? {
            // It cannot stall.
            Ok(response) if response.body().as_bytes().is_some() => Ok(response),
            Ok(response) => Ok(exchange.answer(response, timer)),
            Err(error) => Err(exchange.failed(error)),
        }
    }

    fn timer(&self) -> SharedTimer {
        self.around.timer.clone()
    }

    fn detach(&self, task: BoxFuture<'static, ()>) {
        self.around.detach(task);
    }

    fn info(&self) -> TransportInfo {
        self.around.info
    }
}

impl<F> fmt::Debug for FnTransport<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FnTransport").field("around", &self.around).finish_non_exhaustive()
    }
}
