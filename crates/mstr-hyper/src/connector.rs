//! Makes connections: DNS, TCP, TLS, and one timeout around all three.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use http::Uri;
use http::uri::Scheme;
use hyper_rustls::{DefaultServerNameResolver, HttpsConnector, MaybeHttpsStream};
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioIo;
use mstr_core::toolkit::{Peer, Stage};
use mstr_core::{BoxError, BoxFuture, Sent, TransportError, TransportErrorKind};
use tokio::net::TcpStream;
use tower_service::Service;

use crate::tls::Tls;

tokio::task_local! {
    /// The connect timeout of the request that is being sent.
    ///
    /// A connector is told nothing but where to connect to. It is called in the task of the
    /// request, though.
    pub(crate) static CONNECT_TIMEOUT: Option<Duration>;
}

/// The outermost connector, and therefore the place for the timeout: `HttpConnector`'s own one
/// ends before the TLS handshake begins.
#[derive(Clone)]
pub(crate) struct Connector {
    http: HttpConnector,
    tls: Arc<Tls>,
}

type Stream = MaybeHttpsStream<TokioIo<TcpStream>>;
type Connecting = BoxFuture<'static, Result<Stream, BoxError>>;

impl Connector {
    pub(crate) fn new(http: HttpConnector, tls: Arc<Tls>) -> Self {
        Self { http, tls }
    }

    fn connect(&mut self, to: Uri) -> Connecting {
        if to.scheme() != Some(&Scheme::HTTPS) {
            let connecting = self.http.call(to);
            return Box::pin(async move { Ok(MaybeHttpsStream::Http(connecting.await?)) });
        }
        match self.tls.config() {
            Ok(config) => {
                let names = Arc::new(DefaultServerNameResolver::default());
                Box::pin(HttpsConnector::new(self.http.clone(), config, true, names).call(to))
            }
            Err(error) => Box::pin(async move { Err(error.into()) }),
        }
    }
}

impl Service<Uri> for Connector {
    type Response = Stream;
    type Error = BoxError;
    type Future = Pin<Box<dyn Future<Output = Result<Stream, BoxError>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.http.poll_ready(cx).map_err(Into::into)
    }

    fn call(&mut self, to: Uri) -> Connecting {
        let limit = CONNECT_TIMEOUT.try_with(|limit| *limit).ok().flatten();
        let peer = Peer::of(&to);
        let connecting = self.connect(to);
        let Some(limit) = limit else { return connecting };
        Box::pin(async move {
            match tokio::time::timeout(limit, connecting).await {
                Ok(connected) => connected,
                Err(elapsed) => Err(TransportError::new(TransportErrorKind::Timeout)
                    .with_sent(Sent::No)
                    .with_detail(format!("{} for {limit:?}", peer?.doing(Stage::Connecting)))
                    .with_source(elapsed)
                    .into()),
            }
        })
    }
}
