//! A request on its way to a connection.

use std::mem;
use std::time::Duration;

use http::header::HOST;
use http::uri::{PathAndQuery, Scheme};
use http::{Extensions, HeaderValue, Method, Request, Uri, Version};
use mstr_core::toolkit::{BodyFailure, Peer, Stage, UploadBody};
use mstr_core::{Body, Sent, TransportError, TransportErrorKind};

/// A request, and what has to be known of it until its answer has ended.
pub(crate) struct Order {
    pub(super) request: Request<UploadBody>,
    pub(super) terms: Terms,
}

/// The limits of an exchange.
pub(super) struct Terms {
    pub(super) failure: BodyFailure,
    /// When the response's head has to be there, in nanoseconds of the pool.
    pub(super) until: u64,
    /// How long each wait for a piece of the body may last.
    pub(super) idle: Option<Duration>,
    pub(super) connect_timeout: Option<Duration>,
    /// A proxy passes the request on, and is told the whole address.
    pub(super) forwarded: bool,
}

impl Order {
    /// Takes of `request` what goes over the wire: an extension may mean something to hyper, and
    /// the HTTP version is what the connection speaks, whatever the request says.
    pub(crate) fn new(
        request: Request<Body>,
        until: u64,
        idle: Option<Duration>,
        connect_timeout: Option<Duration>,
    ) -> Result<Self, TransportError> {
        if *request.method() == Method::CONNECT {
            return Err(TransportError::new(TransportErrorKind::Config)
                .with_sent(Sent::No)
                .with_detail("CONNECT is not a request for a server: a proxy setting sends it"));
        }
        let (mut head, body) = request.into_parts();
        (head.version, head.extensions) = (Version::default(), Extensions::new());
        let body = UploadBody::new(body, &head.headers);
        let terms =
            Terms { failure: body.failure(), until, idle, connect_timeout, forwarded: false };
        Ok(Self { request: Request::from_parts(head, body), terms })
    }

    /// A request to the server at `address` that was given back unwritten.
    pub(super) fn again(mut request: Request<UploadBody>, terms: Terms, address: &Uri) -> Self {
        if request.uri().scheme().is_none() {
            let mut parts = address.clone().into_parts();
            parts.path_and_query = request.uri().path_and_query().cloned();
            if let Ok(whole) = Uri::from_parts(parts) {
                *request.uri_mut() = whole;
            }
        }
        Self { request, terms }
    }

    pub(crate) fn request_mut(&mut self) -> &mut Request<UploadBody> {
        &mut self.request
    }

    /// Says that a proxy will pass it on.
    pub(crate) fn forward(&mut self) {
        self.terms.forwarded = true;
    }

    pub(super) fn is_https(&self) -> bool {
        self.request.uri().scheme() == Some(&Scheme::HTTPS)
    }

    /// The time was over before there was a connection.
    pub(super) fn late(&self) -> TransportError {
        self.unconnected(TransportErrorKind::Timeout)
    }

    /// The runtime that makes connections has shut down.
    pub(super) fn stranded(&self) -> TransportError {
        self.unconnected(TransportErrorKind::Canceled)
    }

    fn unconnected(&self, kind: TransportErrorKind) -> TransportError {
        match Peer::of(self.request.uri()) {
            Ok(peer) => peer.failure(kind, Stage::Connecting),
            Err(unusable) => unusable,
        }
    }

    /// The request in the form of HTTP/1.1.
    pub(super) fn for_http1(&mut self, host: &HeaderValue) {
        // Mostly there is none yet, and to look first would take as long again.
        let headers = self.request.headers_mut();
        if let Some(own) = headers.insert(HOST, host.clone()) {
            headers.insert(HOST, own);
        }
        if !self.terms.forwarded {
            let whole = mem::take(self.request.uri_mut());
            *self.request.uri_mut() = origin_form(whole.into_parts().path_and_query);
        }
    }
}

fn origin_form(path: Option<PathAndQuery>) -> Uri {
    // The default is `/`.
    path.map(Uri::from).unwrap_or_default()
}

/// The `Host` header of a request to `uri`: with the port if it is not the scheme's own.
pub(super) fn host_header(uri: &Uri) -> Option<HeaderValue> {
    let host = uri.host()?;
    let default = if uri.scheme() == Some(&Scheme::HTTPS) { 443 } else { 80 };
    match uri.port_u16().filter(|port| *port != default) {
        Some(port) => HeaderValue::try_from(format!("{host}:{port}")).ok(),
        None => HeaderValue::from_str(host).ok(),
    }
}
