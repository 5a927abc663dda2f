//! A transport over reqwest.
//!
//! What reqwest cannot be talked out of, and the conformance suite therefore skips for it:
//!
//! - it sends `Accept: */*` with requests that say nothing about it (the session layer's do);
//! - it normalizes addresses: `/a/../b` is sent as `/b`.

use std::error::Error as StdError;
use std::time::Duration;

use async_trait::async_trait;
use http::{Request, Response};
use http_body_util::BodyExt;
use mstr_core::toolkit::{DownloadBody, Peer, Stage, UploadBody, before};
use mstr_core::{
    Body, BoxError, BoxFuture, RequestContext, Sent, SharedTimer, Transport, TransportError,
    TransportErrorKind as Kind, TransportInfo,
};
use reqwest::{Client, ClientBuilder};
use tokio::runtime::Handle;
use tower::util::MapFutureLayer;

use crate::runtime::{TokioTimer, on};

/// A transport over reqwest. It lives on a tokio runtime and may be used from anywhere.
#[derive(Clone, Debug)]
pub struct ReqwestTransport {
    client: Client,
    runtime: Handle,
    timer: SharedTimer,
}

impl ReqwestTransport {
    /// A transport on `runtime`. What belongs to the stack (TLS, proxies, its pool) is yours to
    /// choose on `builder`; what belongs to the session layer is switched off here.
    ///
    /// # Errors
    ///
    /// [`Config`](Kind::Config) if the settings cannot work.
    pub fn new(builder: ClientBuilder, runtime: Handle) -> Result<Self, TransportError> {
        let client = builder
            // The token would go along to wherever a redirect leads.
            .redirect(reqwest::redirect::Policy::none())
            // What old servers and gateways write into a head fails no answer.
            .http1_allow_obsolete_multiline_headers_in_responses(true)
            .http1_allow_spaces_after_header_name_in_responses(true)
            .http1_ignore_invalid_headers_in_responses(true)
            .referer(false)
            // Whether a request is repeated is decided in one place. Cookies and decompression
            // are off because the features are; with them on, switch them off here.
            .retry(reqwest::retry::never())
            .connector_layer(MapFutureLayer::new(limited))
            .build()
            .map_err(|error| TransportError::new(Kind::Config).with_source(error))?;
        let timer = SharedTimer::new(TokioTimer::new(runtime.clone()));
        Ok(Self { client, runtime, timer })
    }
}

#[async_trait]
impl Transport for ReqwestTransport {
    async fn send(&self, request: Request<Body>) -> Result<Response<Body>, TransportError> {
        // 1. Refuse what cannot be sent, and what is too late.
        let peer = Peer::of(request.uri())?;
        let context = RequestContext::of(&request);
        if context.deadline.is_some_and(|deadline| deadline <= self.timer.now()) {
            return Err(peer.failure(Kind::Timeout, Stage::Connecting));
        }

        // 2. Hold the body to its length, and remember where its failure will be found.
        let (parts, body) = request.into_parts();
        let upload = UploadBody::new(body, &parts.headers);
        let failure = upload.failure();
        let request = Request::from_parts(parts, reqwest::Body::wrap(upload));
        let request = reqwest::Request::try_from(request)
            .map_err(|error| explain(error, Stage::Connecting, &peer))?;

        // 3. Send it on the client's runtime, until the deadline.
        let client = self.client.clone();
        let sending = async move { client.execute(request).await };
        let sending = on(&self.runtime, CONNECT_TIMEOUT.scope(context.connect_timeout, sending));
        let response = match before(context.deadline, &*self.timer, sending).await {
            Some(Some(Ok(response))) => response,
            Some(Some(Err(error))) => {
                return Err(failure.get().unwrap_or_else(|| explain(error, Stage::Sending, &peer)));
            }
            Some(None) => return Err(peer.failure(Kind::Canceled, Stage::Sending)),
            None => return Err(peer.failure(Kind::Timeout, Stage::Sending)),
        };

        // 4. Say what the errors of the answer's body mean, and do not let it stall.
        let timer = self.timer.clone();
        Ok(Response::from(response).map(|body| {
            let at = peer.clone();
            let body = body.map_err(move |error| explain(error, Stage::Reading, &at));
            Body::wrap(DownloadBody::new(body, peer, context.body_idle_timeout, timer))
        }))
    }

    fn timer(&self) -> SharedTimer {
        self.timer.clone()
    }

    fn detach(&self, task: BoxFuture<'static, ()>) {
        drop(self.runtime.spawn(task));
    }

    fn info(&self) -> TransportInfo {
        TransportInfo::new("reqwest", "0.13")
    }
}

tokio::task_local! {
    /// The connect timeout of the request that is being sent.
    ///
    /// reqwest has one connect timeout for all requests, and tells its connector nothing about
    /// the request. But it calls it in the task of the request.
    static CONNECT_TIMEOUT: Option<Duration>;
}

/// A layer around reqwest's connector: one connection (TLS included) takes this long at most.
fn limited<C: 'static>(
    connecting: BoxFuture<'static, Result<C, BoxError>>,
) -> BoxFuture<'static, Result<C, BoxError>> {
    match CONNECT_TIMEOUT.try_with(|limit| *limit).ok().flatten() {
        None => connecting,
        Some(limit) => Box::pin(async move {
            let late = || TransportError::new(Kind::Timeout).with_sent(Sent::No).into();
            tokio::time::timeout(limit, connecting).await.unwrap_or_else(|_| Err(late()))
        }),
    }
}

/// What an error of reqwest means, and whether the request can have left.
///
/// reqwest's own questions (`is_connect`, `is_timeout`) tell the half of it; what is inside the
/// source chain tells the rest.
fn explain(error: reqwest::Error, stage: Stage, peer: &Peer) -> TransportError {
    // Ours, from `limited` for example.
    if let Some(ours) = TransportError::find_source::<TransportError>(&error) {
        return ours.clone();
    }
    let hyper = TransportError::find_source::<hyper::Error>(&error);
    // hyper says so of a request that it hands back unwritten.
    let unsent = hyper.is_some_and(hyper::Error::is_canceled) && stage != Stage::Reading;
    let stage = if error.is_connect() || unsent { Stage::Connecting } else { stage };
    let kind = if error.is_builder() {
        Kind::Config
    } else if has::<rustls::Error>(&error) {
        Kind::Tls
    } else if unsent {
        Kind::Canceled
    } else if error.is_timeout() {
        Kind::Timeout
    } else if error.is_connect() {
        Kind::Connect
    } else if hyper.is_some_and(hyper::Error::is_parse) {
        Kind::Protocol
    } else {
        Kind::Interrupted
    };
    // The address may hold a secret.
    peer.failure(kind, stage).with_source(error.without_url())
}

fn has<E: StdError + 'static>(error: &reqwest::Error) -> bool {
    TransportError::find_source::<E>(error).is_some()
}
