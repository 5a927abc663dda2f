//! A closure that blocks as a transport.

use std::fmt;
use std::sync::Arc;
use std::thread;
use std::time::Instant;

use http::{Request, Response};

use super::watched::Watched;
use crate::contract::{BlockingTransport, Body, SharedTimer, TransportError, TransportInfo};
use crate::park::{block_on, park_beside};

/// Makes a [`BlockingTransport`] of `send`, a function that sends a request and waits for the response.
///
/// ```no_run
/// # mod mstr { pub use mstr_core::*; pub mod core { pub use mstr_core::*; } }
/// use http::{Request, Response};
/// use mstr::adapter::blocking_from_fn;
/// use mstr::core::RequestContext;
/// use mstr::core::toolkit::{UploadBody, UploadReader};
/// use mstr::{Body, Connection, TransportError};
///
/// fn send(request: Request<Body>) -> Result<Response<Body>, TransportError> {
///     let deadline = RequestContext::of(&request).deadline;
///     // `client` stands for the HTTP client of the program.
///     let (head, body) = request.into_parts();
///     let body = UploadReader::new(UploadBody::new(body, &head.headers));
///     let response = client::send(head, body, deadline).map_err(TransportError::from_io)?;
///     Ok(response.map(Body::from))
/// }
///
/// # fn run() -> Result<(), mstr::Error> {
/// let connection = Connection::builder("https://env.example.com/MicroStrategyLibrary")
///     .standard("username", "password")
///     .blocking_transport(blocking_from_fn(send))
///     .connect()?;
/// # drop(connection);
/// # Ok(())
/// # }
/// # mod client {
/// #     pub fn send(
/// #         _: http::request::Parts,
/// #         _: impl std::io::Read,
/// #         _: Option<std::time::Instant>,
/// #     ) -> Result<http::Response<Vec<u8>>, std::io::Error> {
/// #         Err(std::io::ErrorKind::ConnectionRefused.into())
/// #     }
/// # }
/// ```
///
/// - `send` has to return by the deadline of the request, and the body that it returns has to keep the
///   [idle limit](crate::RequestContext::body_idle_timeout), because a blocking call cannot be ended
///   from outside. A login may exceed [`Timeouts::total`](crate::Timeouts::total) by one attempt.
/// - [`UploadReader`](crate::toolkit::UploadReader) turns a request's body into a reader, and
///   [`ReadBody`](crate::toolkit::ReadBody) turns a reader into a response's body.
/// - The clock is that of the operating system. For virtual time, use
///   [`on_timer`](BlockingFnTransport::on_timer).
/// - The [module documentation](super) says what else the adapter does, and what `send` has to do.
pub fn blocking_from_fn<F>(send: F) -> BlockingFnTransport<F>
where
    F: Fn(Request<Body>) -> Result<Response<Body>, TransportError> + Send + Sync + 'static,
{
    BlockingFnTransport {
        send: Arc::new(send),
        timer: None,
        info: TransportInfo::default(),
        spawn: None,
    }
}

/// A [`BlockingTransport`] made of a closure by [`blocking_from_fn`]. Clones share the closure.
#[must_use]
pub struct BlockingFnTransport<F> {
    send: Arc<F>,
    timer: Option<SharedTimer>,
    info: TransportInfo,
    spawn: Option<Spawn>,
}

type Spawn = Arc<dyn Fn(Box<dyn FnOnce() + Send>) + Send + Sync>;

impl<F> BlockingFnTransport<F> {
    /// Sends logouts in the background with `spawn`. It gets a function that blocks, runs it on another
    /// thread, and returns at once. Without it, a session whose connection is dropped without a close
    /// stays open until the server's idle timeout.
    pub fn detach_with(
        mut self,
        spawn: impl Fn(Box<dyn FnOnce() + Send>) + Send + Sync + 'static,
    ) -> Self {
        self.spawn = Some(Arc::new(spawn));
        self
    }

    /// Names the stack, for the `User-Agent` header and bug reports.
    pub fn named(mut self, info: TransportInfo) -> Self {
        self.info = info;
        self
    }

    /// Takes the time from `timer` and waits on it, by parking the thread.
    pub fn on_timer(mut self, timer: SharedTimer) -> Self {
        self.timer = Some(timer);
        self
    }
}

impl<F> BlockingTransport for BlockingFnTransport<F>
where
    F: Fn(Request<Body>) -> Result<Response<Body>, TransportError> + Send + Sync + 'static,
{
    fn send(&self, request: Request<Body>) -> Result<Response<Body>, TransportError> {
        let (exchange, request) = Watched::begin(request, self.now())?;
        (self.send)(request).map_err(|error| exchange.failed(error))
    }

    fn now(&self) -> Instant {
        match &self.timer {
            Some(timer) => timer.now(),
            None => system_now(),
        }
    }

    fn sleep_until(&self, deadline: Instant) {
        match &self.timer {
            Some(timer) => block_on(timer.sleep_until(deadline)),
            None => system_sleep_until(deadline),
        }
    }

    fn park_until(&self, deadline: Instant) {
        match &self.timer {
            Some(timer) => park_beside(timer.sleep_until(deadline).as_mut()),
            None => thread::park_timeout(deadline.saturating_duration_since(system_now())),
        }
    }

    fn send_detached(&self, request: Request<Body>) {
        let Some(spawn) = &self.spawn else { return crate::contract::not_detached() };
        let transport = self.clone();
        spawn(Box::new(move || drop(transport.send(request))));
    }

    fn info(&self) -> TransportInfo {
        self.info
    }
}

#[expect(clippy::disallowed_methods, reason = "this is the clock of blocking code")]
fn system_now() -> Instant {
    Instant::now()
}

#[expect(clippy::disallowed_methods, reason = "this is the clock of blocking code")]
fn system_sleep_until(deadline: Instant) {
    // Sleeping may end early on some platforms.
    while let Some(left) = deadline.checked_duration_since(system_now()) {
        if left.is_zero() {
            return;
        }
        thread::sleep(left);
    }
}

impl<F> Clone for BlockingFnTransport<F> {
    fn clone(&self) -> Self {
        Self {
            send: Arc::clone(&self.send),
            timer: self.timer.clone(),
            info: self.info,
            spawn: self.spawn.clone(),
        }
    }
}

impl<F> fmt::Debug for BlockingFnTransport<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BlockingFnTransport")
            .field("timer", &self.timer)
            .field("info", &self.info)
            .field("detaches", &self.spawn.is_some())
            .finish_non_exhaustive()
    }
}
