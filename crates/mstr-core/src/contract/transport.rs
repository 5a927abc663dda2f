//! The traits that an HTTP stack implements. Their contract is in the parent module.

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

/// An asynchronous HTTP stack.
///
/// Programs use one that exists, such as `mstr::hyper::HyperTransport`, or make one of an HTTP client
/// with [`adapter`](crate::adapter). Implement this trait, with
/// [`async-trait`](https://docs.rs/async-trait), to wrap a transport:
///
/// ```
/// # mod mstr { pub use mstr_core::*; pub mod core { pub use mstr_core::*; } }
/// use std::sync::atomic::{AtomicU64, Ordering};
///
/// use async_trait::async_trait;
/// use http::header::HeaderValue;
/// use mstr::core::{BoxFuture, SharedTimer, TransportInfo};
/// use mstr::{Body, Transport, TransportError};
///
/// /// Adds a header to all requests, those of the session included, and counts them.
/// #[derive(Debug)]
/// struct Tagged<T> {
///     inner: T,
///     count: AtomicU64,
/// }
///
/// #[async_trait]
/// impl<T: Transport> Transport for Tagged<T> {
///     async fn send(
///         &self,
///         mut request: http::Request<Body>,
///     ) -> Result<http::Response<Body>, TransportError> {
///         let number = self.count.fetch_add(1, Ordering::Relaxed);
///         request.headers_mut().insert("x-request-number", HeaderValue::from(number));
///         self.inner.send(request).await
///     }
///
///     fn timer(&self) -> SharedTimer {
///         self.inner.timer()
///     }
///
///     fn detach(&self, task: BoxFuture<'static, ()>) {
///         self.inner.detach(task);
///     }
///
///     fn info(&self) -> TransportInfo {
///         self.inner.info()
///     }
/// }
/// ```
///
/// A wrapper that waits, for a place among a limited number for example, keeps the request's time: the
/// connection does not interrupt [`send`](Self::send). It waits until the deadline of
/// [`RequestContext::of`](crate::RequestContext::of) (with [`toolkit::before`](crate::toolkit::before))
/// and returns [`Timeout`](crate::TransportErrorKind::Timeout) with [`Sent::No`](crate::Sent::No) then.
/// The example `middleware` does so.
///
/// The [module `contract`](crate::contract) says what a transport has to do and must not do; the suite
/// `mstr::fake::conformance` tests it.
#[async_trait]
pub trait Transport: fmt::Debug + Send + Sync + 'static {
    /// Sends one request and returns the response's head and a body that streams.
    ///
    /// [`RequestContext::of`] has the time limits of the request. They travel in the request's body. A
    /// transport that replaces the body uses [`RequestContext::map_body`], or
    /// [attaches](RequestContext::attach) the limits to the new one. Without them, the transport below
    /// waits for a silent server without end.
    ///
    /// # Errors
    ///
    /// Only failures below HTTP; a 500 is a response.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future aborts this exchange only. The server may have received the request.
    async fn send(
        &self,
        request: http::Request<Body>,
    ) -> Result<http::Response<Body>, TransportError>;

    /// The timer that belongs to this transport's runtime.
    ///
    /// All waits of a connection use this timer. In a test with virtual time it is a virtual one.
    fn timer(&self) -> SharedTimer;

    /// Runs `task` to its end in the background, for example as a task of the runtime.
    ///
    /// Must return at once, without polling `task`, because a caller waits for its own answer
    /// meanwhile.
    ///
    /// It is used to log out a session whose last handle has been dropped, or whose opening was
    /// canceled. The default drops the task with a warning in the log; the session then stays open
    /// until the server's idle timeout.
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

/// A synchronous HTTP stack, for [`blocking::Connection`](crate::blocking::Connection). The
/// [contract](crate::contract) is that of [`Transport`].
///
/// Programs use one that exists, such as `mstr::hyper::blocking::HyperBlocking`, or make one of an HTTP
/// client with [`blocking_from_fn`](crate::adapter::blocking_from_fn). Implement this trait to wrap a
/// transport:
///
/// ```
/// # mod mstr { pub use mstr_core::*; pub mod core { pub use mstr_core::*; } }
/// use std::time::Instant;
///
/// use http::{Request, Response};
/// use mstr::core::{Pending, TransportInfo};
/// use mstr::{BlockingTransport, Body, TransportError};
///
/// /// Prints the method and the path of all requests.
/// #[derive(Debug)]
/// struct Printing<T>(T);
///
/// impl<T: BlockingTransport> BlockingTransport for Printing<T> {
///     fn send(&self, request: Request<Body>) -> Result<Response<Body>, TransportError> {
///         println!("{} {}", request.method(), request.uri().path());
///         self.0.send(request)
///     }
///
///     // Logins and renewals, which a thread can leave to another one.
///     fn start(&self, request: Request<Body>) -> Box<dyn Pending> {
///         println!("{} {}", request.method(), request.uri().path());
///         self.0.start(request)
///     }
///
///     fn now(&self) -> Instant {
///         self.0.now()
///     }
///
///     fn sleep_until(&self, deadline: Instant) {
///         self.0.sleep_until(deadline);
///     }
///
///     fn park_until(&self, deadline: Instant) {
///         self.0.park_until(deadline);
///     }
///
///     fn send_detached(&self, request: Request<Body>) {
///         self.0.send_detached(request);
///     }
///
///     fn info(&self) -> TransportInfo {
///         self.0.info()
///     }
/// }
/// ```
pub trait BlockingTransport: fmt::Debug + Send + Sync + 'static {
    /// Sends one request and waits for the response's head.
    ///
    /// # Errors
    ///
    /// Only failures below HTTP; a 500 is a response.
    fn send(&self, request: http::Request<Body>) -> Result<http::Response<Body>, TransportError>;

    /// Begins to send one request, and returns a value with which the answer can be waited for in
    /// several steps.
    ///
    /// Logins, renewals and logouts are sent this way: a thread whose time is over returns, and the next
    /// thread waits for the same answer.
    ///
    /// The default calls [`send`](Self::send) and returns when the answer has arrived. With it,
    /// [`Timeouts::total`](crate::Timeouts::total) may be exceeded by one attempt.
    fn start(&self, request: http::Request<Body>) -> Box<dyn Pending> {
        Box::new(Answered(Some(self.send(request))))
    }

    /// The current instant.
    fn now(&self) -> Instant;

    /// Blocks the calling thread until `deadline`.
    fn sleep_until(&self, deadline: Instant);

    /// Parks the calling thread until it is unparked, at most until `deadline`. May return early.
    ///
    /// It is used to wait for a future, for example that of a credential provider. The default is right
    /// for every transport whose [`now`](Self::now) is the clock of the operating system.
    fn park_until(&self, deadline: Instant) {
        thread::park_timeout(deadline.saturating_duration_since(self.now()));
    }

    /// Sends `request` in the background and ignores the answer. Must not block. The counterpart of
    /// [`Transport::detach`].
    ///
    /// The default drops the request; the session that it was to end stays open until the server's idle
    /// timeout.
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
    /// Waits for the response's head, at most until `deadline`. `None` if it has not arrived by then;
    /// any thread can wait for it again.
    ///
    /// An answer that has arrived is returned even if `deadline` has passed. It is returned once.
    ///
    /// # Errors
    ///
    /// Those of [`BlockingTransport::send`].
    fn wait_until(
        &mut self,
        deadline: Instant,
    ) -> Option<Result<http::Response<Body>, TransportError>>;

    /// Lets the exchange continue in the background and gives its answer to `then`. Must return at
    /// once.
    ///
    /// It is used to log out a session for whose login no thread waits any more. The default drops the
    /// exchange; the session then stays open until the server's idle timeout.
    fn detach(
        self: Box<Self>,
        then: Box<dyn FnOnce(Result<http::Response<Body>, TransportError>) + Send>,
    ) {
        drop(then);
    }
}

/// The answer to a request that was sent in place, until it is taken.
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

/// A [`Transport`] of any type, shared by any number of connections. It is a transport itself.
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

/// A [`BlockingTransport`] of any type, shared by any number of connections. It is a transport itself.
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
    /// The limits of `request`. Empty if it has none.
    #[must_use]
    pub fn of(request: &http::Request<Body>) -> Self {
        // A layer between may have put it there, with a body of its own.
        let extension = || request.extensions().get::<Self>().copied();
        request.body().context().or_else(extension).unwrap_or_default()
    }

    /// Replaces the body of `request` by the one that `change` returns, and keeps the limits.
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

    /// Attaches these limits to `request`.
    ///
    /// They travel in the request's body. A layer that replaces the body attaches the limits that
    /// [`of`](Self::of) has returned to the new one.
    pub fn attach(self, request: &mut http::Request<Body>) {
        request.body_mut().set_context(self);
    }
}

/// The name and version of a transport.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub struct TransportInfo {
    /// The product name, for example `"mstr-hyper"`. Empty if the transport does not say.
    pub name: &'static str,
    /// Its version.
    pub version: &'static str,
    /// Each connection that it makes may show a password, to a proxy. Until the first one stands, a
    /// session asks for no second one, so that a wrong password is submitted once.
    pub shows_password: bool,
}

impl TransportInfo {
    /// Names a transport.
    #[must_use]
    pub const fn new(name: &'static str, version: &'static str) -> Self {
        Self { name, version, shows_password: false }
    }

    /// Says whether each connection may show a password.
    #[must_use]
    pub const fn showing_password(mut self, shows: bool) -> Self {
        self.shows_password = shows;
        self
    }
}
