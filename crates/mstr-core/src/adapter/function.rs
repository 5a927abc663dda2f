//! A closure as a transport.

use std::fmt;
use std::future::Future;

use async_trait::async_trait;
use http::{Request, Response};

use super::watched::{Surroundings, Watched};
use crate::contract::{Body, BoxFuture, SharedTimer, Transport, TransportError, TransportInfo};
use crate::toolkit::Stage;

/// Makes a [`Transport`] of `send`, an async function that sends a request and returns the response.
///
/// `timer` is the timer of the runtime that `send` runs on. The [module documentation](super) has a
/// complete example, and says what the adapter does and what `send` has to do.
///
/// ```
/// # mod mstr { pub use mstr_core::*; pub mod core { pub use mstr_core::*; } }
/// use http::{Request, Response};
/// use mstr::adapter::from_fn;
/// use mstr::core::{SharedTimer, TransportInfo};
/// use mstr::{Body, Transport, TransportError};
///
/// /// A transport that sends no request and answers 503, for a test.
/// fn unavailable(timer: SharedTimer) -> impl Transport {
///     let send = |request: Request<Body>| async move {
///         drop(request);
///         let mut response = Response::new(Body::from("try again later"));
///         *response.status_mut() = http::StatusCode::SERVICE_UNAVAILABLE;
///         Ok::<_, TransportError>(response)
///     };
///     from_fn(timer, send).named(TransportInfo::new("unavailable", "1.0"))
/// }
/// ```
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
    /// Runs background work with `spawn`, which has to return at once, for example by
    /// `tokio::spawn`. Without it, a session whose connection is dropped without a close stays open
    /// until the server's idle timeout; see [`Transport::detach`].
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
            // A body in memory cannot stall.
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
