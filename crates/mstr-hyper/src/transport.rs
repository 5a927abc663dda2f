//! The asynchronous transport.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use http::{Request, Response, StatusCode};
use http_body::Body as _;
use mstr_core::settings::Proxy;
use mstr_core::toolkit::{Peer, Stage};
use mstr_core::{
    Body, BoxFuture, RequestContext, SharedTimer, Transport, TransportError, TransportErrorKind,
    TransportInfo,
};

use crate::connector::hand_over;
use crate::pool::{Answer, Begun, Order, Pool, Settings};

/// A [`Transport`] over hyper, with its own connection pool, for async code on tokio.
///
/// ```no_run
/// # mod mstr { pub use mstr_core::*; pub mod hyper { pub use mstr_hyper::*; } }
/// use mstr::Connection;
/// use mstr::hyper::HyperTransport;
///
/// # #[tokio::main]
/// # async fn main() -> Result<(), mstr::Error> {
/// let transport = HyperTransport::builder().max_connections_per_host(20).build()?;
/// // Both connections share the pool.
/// for user in ["ann", "bob"] {
///     let connection = Connection::builder("https://env.example.com/MicroStrategyLibrary")
///         .standard(user, "password")
///         .transport(transport.clone())
///         .connect()
///         .await?;
///     connection.close().await;
/// }
/// # Ok(())
/// # }
/// ```
///
/// Clones share the pool. The transport runs tasks on the tokio runtime on which it was built, which
/// needs I/O and time (`enable_all`; `#[tokio::main]` has both). Its methods may be called from any
/// thread, also outside of that runtime. When the runtime has shut down, requests fail with
/// [`Canceled`](TransportErrorKind::Canceled).
///
/// A connection over HTTP/1.1 is in use until the body of the response has been read to its end or is
/// dropped. When
/// [`max_connections_per_host`](crate::HyperTransportBuilder::max_connections_per_host) are in use,
/// further requests wait in line; the wait counts as connecting.
#[derive(Clone)]
pub struct HyperTransport {
    shared: Arc<Inner>,
}

struct Inner {
    pool: Pool,
    connect_timeout: Option<Duration>,
}

impl HyperTransport {
    pub(crate) fn from_parts(settings: Settings, connect_timeout: Option<Duration>) -> Self {
        Self { shared: Arc::new(Inner { pool: Pool::new(settings), connect_timeout }) }
    }
}

impl Inner {
    /// Sends a request or lets it wait, and says which proxy passes it on. No async function: it
    /// would keep room for the request, and move it there.
    fn begin(&self, request: Request<Body>) -> Result<(Begun, Option<&Proxy>), TransportError> {
        let Self { pool, connect_timeout } = self;
        let settings = pool.settings();
        let context = RequestContext::of(&request);
        let now = settings.timer.now();
        if context.deadline.is_some_and(|deadline| deadline <= now) {
            let peer = Peer::of(request.uri())?;
            return Err(peer.failure(TransportErrorKind::Timeout, Stage::Connecting));
        }
        let forwarder = settings.connector.routes().forwarder(request.uri());
        let mut order = Order::new(
            request,
            pool.nanos(context.deadline),
            context.body_idle_timeout,
            context.connect_timeout.or(*connect_timeout),
        )?;
        if let Some(proxy) = forwarder {
            hand_over(order.request_mut(), proxy);
            order.forward();
        }
        Ok((pool.begin(order, now)?, forwarder))
    }
}

impl Transport for HyperTransport {
    // What `async_trait` would make of an async function moves the request once more.
    fn send<'a, 'b>(
        &'a self,
        request: Request<Body>,
    ) -> BoxFuture<'b, Result<Response<Body>, TransportError>>
    where
        'a: 'b,
        Self: 'b,
    {
        Box::pin(async move {
            let (begun, forwarder) = self.shared.begin(request)?;
            let Answer { head, whole, rest } = self.shared.pool.answer(begun).await?;
            match forwarder {
                // Only a proxy answers with this status, and it has forwarded nothing.
                Some(proxy) if head.status() == StatusCode::PROXY_AUTHENTICATION_REQUIRED => {
                    Err(proxy.answered(head.status(), head.headers()))
                }
                _ if rest.is_end_stream() => Ok(head.map(|()| Body::from(whole))),
                _ => Ok(head.map(|()| Body::wrap(rest))),
            }
        })
    }

    fn timer(&self) -> SharedTimer {
        self.shared.pool.settings().timer.clone()
    }

    fn detach(&self, task: BoxFuture<'static, ()>) {
        // Not aborted when its handle is dropped: it runs as long as the runtime does.
        drop(self.shared.pool.settings().runtime.handle().spawn(task));
    }

    fn info(&self) -> TransportInfo {
        let shows = self.shared.pool.settings().connector.routes().show_password();
        TransportInfo::new("mstr-hyper", env!("CARGO_PKG_VERSION")).showing_password(shows)
    }
}

impl fmt::Debug for HyperTransport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HyperTransport")
            .field("connect_timeout", &self.shared.connect_timeout)
            .finish_non_exhaustive()
    }
}
