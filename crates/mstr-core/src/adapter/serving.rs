//! A transport as a tower service.

use std::task::{Context, Poll};

use http::{Request, Response};
use tower_service::Service;

use crate::contract::{Body, BoxFuture, SharedTransport, Transport, TransportError};

/// Makes a tower service of `transport`, to put layers around it. [`from_service`](super::from_service)
/// makes a transport of the result.
///
/// ```
/// # use mstr_core as mstr;
/// use mstr::Transport;
/// use mstr::adapter::{from_service, into_service};
/// # use mstr::adapter::TransportService;
/// # fn with_layers(service: TransportService) -> TransportService { service }
///
/// fn layered<T: Transport + Clone>(transport: T) -> impl Transport {
///     // For example tower::ServiceBuilder::new().concurrency_limit(8).service(..).
///     let service = with_layers(into_service(transport.clone()));
///     let timer = transport.timer();
///     let info = transport.info();
///     from_service(timer, service).named(info).detach_with(move |task| transport.detach(task))
/// }
/// # drop(layered::<mstr::SharedTransport>);
/// ```
///
/// The service is always ready. The time limits of a request travel in its body. A layer that replaces
/// the body uses [`RequestContext::map_body`](crate::RequestContext::map_body).
///
/// The stability promise of this crate does not cover this function, as with
/// [`from_service`](super::from_service).
#[cfg(feature = "tower")]
#[must_use]
pub fn into_service(transport: impl Transport) -> TransportService {
    TransportService(SharedTransport::new(transport))
}

/// A tower service made of a [`Transport`] by [`into_service`].
#[cfg(feature = "tower")]
#[derive(Clone, Debug)]
pub struct TransportService(SharedTransport);

impl Service<Request<Body>> for TransportService {
    type Response = Response<Body>;
    type Error = TransportError;
    type Future = BoxFuture<'static, Result<Response<Body>, TransportError>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), TransportError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let transport = self.0.clone();
        Box::pin(async move { transport.send(request).await })
    }
}
