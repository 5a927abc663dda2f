//! A tunnel through an HTTP proxy.
//!
//! hyper itself asks for it: hyper-util's `Tunnel` does not say with which status a proxy refused.

use std::future::poll_fn;
use std::pin::pin;
use std::task::Poll;

use http::header::{HOST, PROXY_AUTHORIZATION};
use http::{HeaderValue, Method, Request, Uri};
use hyper::client::conn::http1;
use mstr_core::settings::Proxy;
use mstr_core::toolkit::Peer;
use mstr_core::{Body, BoxError, TransportError};

use super::route::authorization;
use super::stream::Hop;
use crate::error::proxy_failed;

/// Asks the proxy at the other end of `hop` for a connection to `peer`.
pub(super) async fn open(hop: Hop, proxy: &Proxy, peer: &Peer) -> Result<Hop, TransportError> {
    let failed = |error| proxy_failed(proxy, Some("asking for a tunnel through it"), error);
    let request = request(proxy, peer).map_err(failed)?;
    let (mut sender, connection) =
        http1::handshake(hop).await.map_err(|error| failed(error.into()))?;
    let mut exchange = pin!(sender.send_request(request));
    // Ends when the proxy has answered, and gives the connection back if that was a yes.
    let mut connection = pin!(connection.without_shutdown());
    let mut ended = None;
    let answer = poll_fn(|cx| {
        if ended.is_none()
            && let Poll::Ready(outcome) = connection.as_mut().poll(cx)
        {
            ended = Some(outcome);
        }
        exchange.as_mut().poll(cx)
    });
    let answer = answer.await.map_err(|error| failed(error.into()))?;
    if !answer.status().is_success() {
        return Err(proxy.answered(answer.status(), answer.headers()));
    }
    let parts = match ended {
        Some(outcome) => outcome,
        None => connection.await,
    };
    let parts = parts.map_err(|error| failed(error.into()))?;
    // The server speaks when it is spoken to; this would be taken for its words.
    if !parts.read_buf.is_empty() {
        return Err(failed("it sent more than its answer".into()));
    }
    Ok(parts.io)
}

fn request(proxy: &Proxy, peer: &Peer) -> Result<Request<Body>, BoxError> {
    let place = peer.to_string();
    let mut request = Request::new(Body::empty());
    *request.method_mut() = Method::CONNECT;
    *request.uri_mut() = place.parse::<Uri>()?;
    request.headers_mut().insert(HOST, HeaderValue::try_from(place)?);
    if let Some(value) = authorization(proxy) {
        request.headers_mut().insert(PROXY_AUTHORIZATION, value);
    }
    Ok(request)
}
