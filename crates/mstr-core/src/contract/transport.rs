//! The traits an HTTP stack implements. The contract itself is the essay of the parent module.

use std::fmt;
use std::future::Future;
use std::ops::Deref;
use std::pin::Pin;
use std::sync::Arc;
use std::thread;
use std::time::Instant;

use async_trait::async_trait;

use super::body::Body;
use super::context::RequestContext;
use super::timer::SharedTimer;
use super::transport_error::TransportError;

/// A boxed future that may move between threads.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// An asynchronous HTTP stack. The [module documentation](crate::contract) is the
/// contract.
#[async_trait]
pub trait Transport: fmt::Debug + Send + Sync + 'static {
    /// Sends one request and returns the response's head and a body that streams.
    ///
    /// What limits it has are in [`RequestContext::of`] the request. A transport that wraps another
    /// and gives the request another body does so by [`RequestContext::map_body`], or
    /// [attaches](RequestContext::attach) them again: without them a server that is silent is waited
    /// for without end.
    ///
    /// # Errors
    ///
    /// Only failures below HTTP; a 500 is a response.
    ///
    /// # Cancel safety
    ///
    /// See the [module documentation](crate::contract).
    async fn send(
        &self,
        request: http::Request<Body>,
    ) -> Result<http::Response<Body>, TransportError>;

    /// The timer that belongs to this transport's runtime.
    ///
    /// A transport lives on some reactor, or on virtual time in a test; only it knows which
    /// clock fits.
    fn timer(&self) -> SharedTimer;

    /// Runs `task` to its end in the background, if this transport has something that can.
    ///
    /// Must return at once, without polling `task`: a caller waits for its own answer meanwhile.
    ///
    /// Used for one purpose: to log a session out whose last handle has been dropped, or whose
    /// opening was canceled, so that nothing stays open on the server. The default gives the
    /// task up and the server's idle timeout ends the session instead.
    fn detach(&self, task: BoxFuture<'static, ()>) {
        not_detached();
        drop(task);
    }

    /// Name and version, for the `User-Agent` header and bug reports.
    fn info(&self) -> TransportInfo {
        TransportInfo::default()
    }
}

/// Warns that a transport runs nothing in the background.
pub(crate) fn not_detached() {
    tracing::warn!(
        target: "mstr::session",
        "the transport does not implement `detach`: a session may stay open until it expires"
    );
}

/// A synchronous HTTP stack, for the blocking driver. The same contract as [`Transport`].
pub trait BlockingTransport: fmt::Debug + Send + Sync + 'static {
    /// Sends one request and waits for the response's head.
    ///
    /// # Errors
    ///
    /// Only failures below HTTP; a 500 is a response.
    fn send(&self, request: http::Request<Body>) -> Result<http::Response<Body>, TransportError>;

    /// Begins to send one request, whose answer can be waited for in several steps.
    ///
    /// The requests of the session's own are sent this way: a thread whose time is over leaves
    /// what it has begun to the next one.
    ///
    /// The default runs [`send`](Self::send) in place, and what it returns has its answer already.
    /// With it, [`Timeouts::total`](crate::Timeouts::total) may be exceeded by one attempt.
    fn start(&self, request: http::Request<Body>) -> Box<dyn Pending> {
        Box::new(Answered(Some(self.send(request))))
    }

    /// The current instant.
    fn now(&self) -> Instant;

    /// Blocks the calling thread until `deadline`.
    fn sleep_until(&self, deadline: Instant);

    /// Parks the calling thread until it is unparked, at most until `deadline`. May return early.
    ///
    /// Whoever waits for a future does it with this: for a credential provider, or for the body of
    /// an answer. The default is right for every transport whose [`now`](Self::now) is the
    /// system's.
    fn park_until(&self, deadline: Instant) {
        thread::park_timeout(deadline.saturating_duration_since(self.now()));
    }

    /// Sends `request` in the background and ignores the answer, if this transport can do so
    /// without blocking. The counterpart of [`Transport::detach`].
    fn send_detached(&self, request: http::Request<Body>) {
        drop(request);
    }

    /// Name and version, for the `User-Agent` header and bug reports.
    fn info(&self) -> TransportInfo {
        TransportInfo::default()
    }
}

/// An exchange that [`BlockingTransport::start`] has begun. Dropping it aborts that exchange only.
pub trait Pending: Send {
    /// Waits for the response's head, at most until `deadline`. `None` if it is not there by then;
    /// it can be waited for again, by any thread.
    ///
    /// An answer that has arrived is returned whatever the time. It is returned once.
    ///
    /// # Errors
    ///
    /// Those of [`BlockingTransport::send`].
    fn wait_until(
        &mut self,
        deadline: Instant,
    ) -> Option<Result<http::Response<Body>, TransportError>>;

    /// Lets the exchange go on in the background and gives its answer to `then`, if this transport
    /// has something that can. Must return at once.
    ///
    /// Used for one purpose: to log a session out whose login is no longer waited for. The default
    /// gives the exchange up, and the server's idle timeout ends the session instead.
    fn detach(
        self: Box<Self>,
        then: Box<dyn FnOnce(Result<http::Response<Body>, TransportError>) + Send>,
    ) {
        drop(then);
    }
}

/// What was sent in place. The answer, until it has been taken.
struct Answered(Option<Result<http::Response<Body>, TransportError>>);

impl Pending for Answered {
    fn wait_until(&mut self, _: Instant) -> Option<Result<http::Response<Body>, TransportError>> {
        self.0.take()
    }

    fn detach(
        self: Box<Self>,
        then: Box<dyn FnOnce(Result<http::Response<Body>, TransportError>) + Send>,
    ) {
        if let Some(answer) = self.0 {
            then(answer);
        }
    }
}

/// A [`Transport`] shared by any number of connections.
///
/// A newtype rather than an alias, so that a transport can be passed by value, in an `Arc` or
/// as this, through one trait.
#[derive(Clone, Debug)]
pub struct SharedTransport(Arc<dyn Transport>);

impl SharedTransport {
    /// Shares `transport`.
    pub fn new(transport: impl Transport) -> Self {
        Self(Arc::new(transport))
    }
}

impl Deref for SharedTransport {
    type Target = dyn Transport;

    fn deref(&self) -> &Self::Target {
        &*self.0
    }
}

macro_rules! forward_transport {
    ($([$($generics:tt)*] $target:ty),* $(,)?) => {$(
        #[async_trait]
        impl<$($generics)*> Transport for $target {
            async fn send(
                &self,
                request: http::Request<Body>,
            ) -> Result<http::Response<Body>, TransportError> {
                (**self).send(request).await
            }

            fn timer(&self) -> SharedTimer {
                (**self).timer()
            }

            fn detach(&self, task: BoxFuture<'static, ()>) {
                (**self).detach(task);
            }

            fn info(&self) -> TransportInfo {
                (**self).info()
            }
        }
    )*};
}

forward_transport!([T: Transport + ?Sized] Arc<T>, [T: Transport + ?Sized] Box<T>, [] SharedTransport);

/// A [`BlockingTransport`] shared by any number of connections.
#[derive(Clone, Debug)]
pub struct SharedBlockingTransport(Arc<dyn BlockingTransport>);

impl SharedBlockingTransport {
    /// Shares `transport`.
    pub fn new(transport: impl BlockingTransport) -> Self {
        Self(Arc::new(transport))
    }
}

impl Deref for SharedBlockingTransport {
    type Target = dyn BlockingTransport;

    fn deref(&self) -> &Self::Target {
        &*self.0
    }
}

macro_rules! forward_blocking_transport {
    ($([$($generics:tt)*] $target:ty),* $(,)?) => {$(
        impl<$($generics)*> BlockingTransport for $target {
            fn send(
                &self,
                request: http::Request<Body>,
            ) -> Result<http::Response<Body>, TransportError> {
                (**self).send(request)
            }

            fn start(&self, request: http::Request<Body>) -> Box<dyn Pending> {
                (**self).start(request)
            }

            fn now(&self) -> Instant {
                (**self).now()
            }

            fn sleep_until(&self, deadline: Instant) {
                (**self).sleep_until(deadline);
            }

            fn park_until(&self, deadline: Instant) {
                (**self).park_until(deadline);
            }

            fn send_detached(&self, request: http::Request<Body>) {
                (**self).send_detached(request);
            }

            fn info(&self) -> TransportInfo {
                (**self).info()
            }
        }
    )*};
}

forward_blocking_transport!(
    [T: BlockingTransport + ?Sized] Arc<T>,
    [T: BlockingTransport + ?Sized] Box<T>,
    [] SharedBlockingTransport,
);

impl RequestContext {
    /// What is said about `request`. Empty if nothing is.
    #[must_use]
    pub fn of(request: &http::Request<Body>) -> Self {
        // A layer between may have put it there, with a body of its own.
        let extension = || request.extensions().get::<Self>().copied();
        request.body().context().or_else(extension).unwrap_or_default()
    }

    /// Gives `request` the body that `change` makes of its own, and keeps what is said about it.
    #[must_use]
    pub fn map_body(
        request: http::Request<Body>,
        change: impl FnOnce(Body) -> Body,
    ) -> http::Request<Body> {
        let context = Self::of(&request);
        let mut request = request.map(change);
        context.attach(&mut request);
        request
    }

    /// Says it about `request`.
    ///
    /// It travels in the body. A layer that gives the request another body says it again, of what
    /// [`of`](Self::of) has returned.
    pub fn attach(self, request: &mut http::Request<Body>) {
        request.body_mut().set_context(self);
    }
}

/// Which transport this is.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub struct TransportInfo {
    /// The product name, for example `"mstr-hyper"`. Empty if the transport does not say.
    pub name: &'static str,
    /// Its version.
    pub version: &'static str,
}

impl TransportInfo {
    /// Names a transport.
    #[must_use]
    pub const fn new(name: &'static str, version: &'static str) -> Self {
        Self { name, version }
    }
}
