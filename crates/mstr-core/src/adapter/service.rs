//! A tower service as a transport.

use std::error::Error as StdError;
use std::fmt;
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use async_trait::async_trait;
use bytes::Bytes;
use http::{Request, Response};
use http_body::{Body as HttpBody, Frame, SizeHint};
use tower_service::Service;

use super::watched::{Surroundings, Watched};
use crate::contract::{
    Body, BoxError, BoxFuture, Sent, SharedTimer, Transport, TransportError, TransportErrorKind,
    TransportInfo,
};
use crate::toolkit::{Peer, Stage};

/// Makes a [`Transport`] of a tower service: an HTTP client, with any layers around it.
///
/// ```
/// # mod mstr { pub use mstr_core::*; pub mod core { pub use mstr_core::*; } }
/// use std::io;
///
/// use http::{Request, Response};
/// use mstr::adapter::from_service;
/// use mstr::core::{Sent, SharedTimer};
/// use mstr::{Body, Transport, TransportError, TransportErrorKind};
/// # use std::future::{Ready, ready};
/// # use std::task::{Context, Poll};
/// # #[derive(Clone)]
/// # struct Client;
/// # impl tower_service::Service<Request<Body>> for Client {
/// #     type Response = Response<Body>;
/// #     type Error = io::Error;
/// #     type Future = Ready<Result<Response<Body>, io::Error>>;
/// #     fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), io::Error>> {
/// #         Poll::Ready(Ok(()))
/// #     }
/// #     fn call(&mut self, _: Request<Body>) -> Self::Future {
/// #         ready(Err(io::ErrorKind::ConnectionRefused.into()))
/// #     }
/// # }
///
/// /// `Client` stands for the service of the program.
/// fn transport(timer: SharedTimer, client: Client) -> impl Transport {
///     from_service(timer, client).classify(|error| {
///         let error = TransportError::find_source::<io::Error>(error)?;
///         let refused = error.kind() == io::ErrorKind::ConnectionRefused;
///         refused.then_some((TransportErrorKind::Connect, Sent::No))
///     })
/// }
/// ```
///
/// `timer` is the timer of the runtime that `service` runs on. For each request the service is cloned
/// and polled until it is ready, within the deadline of the request. The [module documentation](super)
/// says what else the adapter does, and what the service has to do.
///
/// A [`TransportError`] in the source chain of the service's error, or of the error of a response's
/// body, is kept. [`classify`](TowerTransport::classify) is for all other errors.
///
/// The stability promise of this crate does not cover this function: `tower-service` is at version 0.3,
/// and its next version may change the bounds.
#[cfg(feature = "tower")]
pub fn from_service<S, B>(timer: SharedTimer, service: S) -> TowerTransport<S>
where
    S: Service<Request<Body>, Response = Response<B>> + Clone + Send + Sync + 'static,
    S::Error: Into<BoxError>,
    S::Future: Send,
    B: HttpBody<Data = Bytes> + Send + 'static,
    B::Error: Into<BoxError>,
{
    let diagnose: Diagnose = Arc::new(|_| None);
    TowerTransport { service, diagnose, around: Surroundings::new(timer) }
}

/// A [`Transport`] made of a tower service by [`from_service`].
#[cfg(feature = "tower")]
#[derive(Clone)]
#[must_use]
pub struct TowerTransport<S> {
    service: S,
    diagnose: Diagnose,
    around: Surroundings,
}

type Diagnosis = Option<(TransportErrorKind, Sent)>;
type Diagnose = Arc<dyn Fn(&(dyn StdError + 'static)) -> Diagnosis + Send + Sync>;

impl<S> TowerTransport<S> {
    /// Classifies the errors of the service and of its bodies with `diagnose`: their kind, and whether
    /// the request can have left. [`TransportError::find_source`] searches their source chain.
    ///
    /// Without it, and if `diagnose` returns `None`, an error is
    /// [`Interrupted`](TransportErrorKind::Interrupted) and the request may have left. The error of a
    /// service that did not become ready is [`Connect`](TransportErrorKind::Connect), and the request
    /// has not left.
    pub fn classify(
        mut self,
        diagnose: impl Fn(&(dyn StdError + 'static)) -> Option<(TransportErrorKind, Sent)>
        + Send
        + Sync
        + 'static,
    ) -> Self {
        self.diagnose = Arc::new(diagnose);
        self
    }

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
impl<S, B> Transport for TowerTransport<S>
where
    S: Service<Request<Body>, Response = Response<B>> + Clone + Send + Sync + 'static,
    S::Error: Into<BoxError>,
    S::Future: Send,
    B: HttpBody<Data = Bytes> + Send + 'static,
    B::Error: Into<BoxError>,
{
    async fn send(&self, request: Request<Body>) -> Result<Response<Body>, TransportError> {
        let timer = &self.around.timer;
        let (exchange, request) = Watched::begin(request, timer.now())?;
        let failed = |stage, error: BoxError| {
            exchange.failed(explain(&self.diagnose, &exchange.peer, stage, error))
        };

        // This clone is the one that is ready, so it is the one that is called.
        let mut service = self.service.clone();
        let ready = poll_fn(|cx| service.poll_ready(cx).map_err(Into::into));
        let ready = exchange.in_time(Stage::Connecting, timer, ready).await?;
        ready.map_err(|error| failed(Stage::Connecting, error))?;

        let answer = service.call(request);
        let answer = async { answer.await.map_err(Into::into) };
        let answer = exchange.in_time(Stage::Sending, timer, answer).await?;
        let response = answer.map_err(|error| failed(Stage::Sending, error))?;
        let peer = exchange.peer.clone();
        let response = response.map(|body| ServiceBody {
            inner: Box::pin(body),
            diagnose: Arc::clone(&self.diagnose),
            peer,
        });
        Ok(exchange.answer(response, timer))
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

fn explain(diagnose: &Diagnose, peer: &Peer, stage: Stage, error: BoxError) -> TransportError {
    if let Some(ours) = TransportError::find_source::<TransportError>(&*error) {
        return ours.clone();
    }
    let (kind, sent) = diagnose(&*error).unwrap_or(match stage {
        Stage::Connecting => (TransportErrorKind::Connect, Sent::No),
        Stage::Sending | Stage::Reading => (TransportErrorKind::Interrupted, Sent::Maybe),
    });
    // The request had not been handed over, or there was an answer to it.
    let sent = match stage {
        Stage::Connecting => Sent::No,
        Stage::Sending => sent,
        Stage::Reading => Sent::Maybe,
    };
    peer.locate(TransportError::new(kind).with_sent(sent).with_source(error), stage)
}

/// The body of a service's answer, with errors that say what they mean.
struct ServiceBody<B> {
    inner: Pin<Box<B>>,
    diagnose: Diagnose,
    peer: Peer,
}

impl<B> HttpBody for ServiceBody<B>
where
    B: HttpBody<Data = Bytes>,
    B::Error: Into<BoxError>,
{
    type Data = Bytes;
    type Error = TransportError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, TransportError>>> {
        let this = &mut *self;
        this.inner
            .as_mut()
            .poll_frame(cx)
            .map_err(|error| explain(&this.diagnose, &this.peer, Stage::Reading, error.into()))
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

impl<S> fmt::Debug for TowerTransport<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TowerTransport").field("around", &self.around).finish_non_exhaustive()
    }
}
