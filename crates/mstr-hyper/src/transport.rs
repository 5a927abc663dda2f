//! The asynchronous transport.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use http::{Request, Response, StatusCode};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::{CaptureConnection, capture_connection};
use mstr_core::toolkit::{DownloadBody, Peer, Stage, UploadBody};
use mstr_core::{
    Body, BoxFuture, RequestContext, SharedTimer, Transport, TransportError, TransportErrorKind,
    TransportInfo,
};

use crate::body::ResponseBody;
use crate::connector::{CONNECT_TIMEOUT, Connector, Routes, hand_over};
use crate::error::{classify, refused};
use crate::runtime::{KeepAlive, Runtime};
use crate::timer::TokioTimer;

/// A [`Transport`] over hyper, with a connection pool of its own.
///
/// Clones share the pool. It lives on the tokio runtime it was built on, but may be used from any
/// thread, inside another runtime or outside of all of them: what it sends is driven by tasks on
/// its own runtime. When that has shut down, every exchange ends with
/// [`Canceled`](TransportErrorKind::Canceled).
///
/// The runtime needs its I/O and time drivers (`enable_all`, which `#[tokio::main]` does).
#[derive(Clone)]
pub struct HyperTransport {
    shared: Arc<Shared>,
    keep: Option<KeepAlive>,
}

struct Shared {
    client: Client<Connector, UploadBody>,
    routes: Routes,
    runtime: Runtime,
    timer: SharedTimer,
    connect_timeout: Option<Duration>,
}

impl HyperTransport {
    pub(crate) fn from_parts(
        client: Client<Connector, UploadBody>,
        routes: Routes,
        runtime: Runtime,
        connect_timeout: Option<Duration>,
    ) -> Self {
        let timer = SharedTimer::new(TokioTimer::on(runtime.handle().clone()));
        let shared = Shared { client, routes, runtime, timer, connect_timeout };
        Self { shared: Arc::new(shared), keep: None }
    }

    /// Lets the response bodies hold `keep`.
    pub(crate) fn kept_by(self, keep: KeepAlive) -> Self {
        Self { keep: Some(keep), ..self }
    }
}

#[async_trait]
impl Transport for HyperTransport {
    async fn send(&self, request: Request<Body>) -> Result<Response<Body>, TransportError> {
        let shared = &*self.shared;
        let peer = Peer::of(request.uri())?;
        let context = request.extensions().get::<RequestContext>().copied().unwrap_or_default();
        if context.deadline.is_some_and(|deadline| deadline <= shared.timer.now()) {
            return Err(peer.failure(TransportErrorKind::Timeout, Stage::Connecting));
        }

        let mut request = without_extensions(request);
        let forwarder = shared.routes.forwarder(request.uri());
        if let Some(proxy) = forwarder {
            hand_over(&mut request, proxy)?;
        }
        let failure = request.body().failure();
        let progress = Progress(capture_connection(&mut request));
        let answer = shared.client.request(request);
        let answer = async move {
            match context.deadline.map(tokio::time::Instant::from_std) {
                Some(deadline) => tokio::time::timeout_at(deadline, answer).await.ok(),
                None => Some(answer.await),
            }
        };
        let connect_timeout = context.connect_timeout.or(shared.connect_timeout);
        let task = shared.runtime.spawn(CONNECT_TIMEOUT.scope(connect_timeout, answer));

        match task.await {
            Ok(Some(Ok(response))) => match forwarder {
                // Only a proxy says so, and it has passed on nothing.
                Some(proxy) if response.status() == StatusCode::PROXY_AUTHENTICATION_REQUIRED => {
                    Err(refused(proxy, response.status()))
                }
                _ => Ok(response.map(|incoming| {
                    let keep = self.keep.clone();
                    let body = ResponseBody::new(incoming, peer.clone(), keep);
                    let idle = context.body_idle_timeout;
                    Body::wrap(DownloadBody::new(body, peer, idle, shared.timer.clone()))
                })),
            },
            Ok(Some(Err(error))) => Err(match failure.get() {
                Some(failure) => failure,
                None => classify(progress.stage(), error.into(), &peer),
            }),
            Ok(None) => Err(peer.failure(TransportErrorKind::Timeout, progress.stage())),
            Err(ended) => {
                Err(peer.failure(TransportErrorKind::Canceled, progress.stage()).with_source(ended))
            }
        }
    }

    fn timer(&self) -> SharedTimer {
        self.shared.timer.clone()
    }

    fn detach(&self, task: BoxFuture<'static, ()>) {
        // Not aborted when its handle is dropped: it runs as long as the runtime does.
        drop(self.shared.runtime.handle().spawn(task));
    }

    fn info(&self) -> TransportInfo {
        TransportInfo::new("mstr-hyper", env!("CARGO_PKG_VERSION"))
    }
}

impl fmt::Debug for HyperTransport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HyperTransport")
            .field("connect_timeout", &self.shared.connect_timeout)
            .finish_non_exhaustive()
    }
}

/// Whether a request has been given to a connection yet.
struct Progress(CaptureConnection);

impl Progress {
    fn stage(&self) -> Stage {
        match self.0.connection_metadata().is_some() {
            true => Stage::Sending,
            false => Stage::Connecting,
        }
    }
}

/// Only what goes over the wire: an extension may mean something to hyper, and the HTTP version
/// is what the connection speaks, whatever the request says.
fn without_extensions(request: Request<Body>) -> Request<UploadBody> {
    let (parts, body) = request.into_parts();
    let mut request = Request::new(UploadBody::new(body, &parts.headers));
    *request.method_mut() = parts.method;
    *request.uri_mut() = parts.uri;
    *request.headers_mut() = parts.headers;
    request
}
