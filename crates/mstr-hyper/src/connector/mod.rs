//! Makes connections: DNS, TCP, proxies, TLS, and one timeout around all of them.

mod route;
mod socks;
mod stream;
mod tunnel;

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use http::Uri;
use http::uri::Scheme;
use hyper_rustls::{DefaultServerNameResolver, HttpsConnector, MaybeHttpsStream};
use hyper_util::client::legacy::connect::HttpConnector;
use mstr_core::settings::{Proxy, ProxyScheme};
use mstr_core::toolkit::{Peer, Stage};
use mstr_core::{BoxError, BoxFuture, Sent, TransportError, TransportErrorKind};
use rustls::ClientConfig;
use tower_service::Service;

use self::route::Way;
pub(crate) use self::route::{Routes, hand_over};
use self::socks::Host;
use self::stream::{Hop, Standing, Stream};
use crate::error::{explain, proxy_failed};
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
    routes: Routes,
}

type Connecting = BoxFuture<'static, Result<Stream, BoxError>>;

impl Connector {
    pub(crate) fn new(http: HttpConnector, tls: Arc<Tls>, routes: Routes) -> Self {
        Self { http, tls, routes }
    }

    async fn connect(self, to: Uri) -> Result<Stream, BoxError> {
        let Some((proxy, way)) = self.routes.of(&to) else {
            return Ok(Stream::direct(self.reach(to, Tls::config).await?));
        };
        let peer = Peer::of(&to)?;
        let failed = |error| {
            explain(error, || {
                format!("{} through the proxy {proxy}", peer.doing(Stage::Connecting))
            })
        };
        let hop = match way {
            Way::Forward => return Ok(Stream::forwarding(self.reach_proxy(proxy).await?)),
            Way::Connect => tunnel::open(self.reach_proxy(proxy).await?, proxy, &peer).await?,
            Way::Socks => {
                let (host, port) = self.find(&to, proxy).await.map_err(failed)?;
                let mut hop = self.reach_proxy(proxy).await?;
                socks::open(&mut hop, proxy, &host, port).await?;
                hop
            }
        };
        if to.scheme() != Some(&Scheme::HTTPS) {
            return Ok(Stream::through(MaybeHttpsStream::Http(hop)));
        }
        let mut secured = secured(Standing(Some(hop)), self.tls.config()?);
        Ok(Stream::through(secured.call(to).await.map_err(failed)?))
    }

    /// Connects, with TLS to what is https.
    async fn reach(
        &self,
        to: Uri,
        tls: impl FnOnce(&Tls) -> Result<Arc<ClientConfig>, TransportError>,
    ) -> Result<Hop, BoxError> {
        let mut http = self.http.clone();
        if to.scheme() == Some(&Scheme::HTTPS) {
            secured(http, tls(&self.tls)?).call(to).await
        } else {
            Ok(MaybeHttpsStream::Http(http.call(to).await?))
        }
    }

    async fn reach_proxy(&self, proxy: &Proxy) -> Result<Hop, TransportError> {
        let scheme = match proxy.scheme() {
            ProxyScheme::Https => Scheme::HTTPS,
            _ => Scheme::HTTP,
        };
        let failed = |error| proxy_failed(proxy, "connecting to", error);
        let address = Uri::builder()
            .scheme(scheme)
            .authority(format!("{}:{}", proxy.host(), proxy.port()))
            .path_and_query("/")
            .build()
            .map_err(|error| failed(error.into()))?;
        self.reach(address, Tls::proxy_config).await.map_err(failed)
    }

    /// Whom a SOCKS proxy is to connect to.
    async fn find(&self, to: &Uri, proxy: &Proxy) -> Result<(Host, u16), BoxError> {
        let host = to.host().unwrap_or_default();
        let host = host.trim_start_matches('[').trim_end_matches(']');
        let default_port = if to.scheme() == Some(&Scheme::HTTPS) { 443 } else { 80 };
        let port = to.port_u16().unwrap_or(default_port);
        if let Ok(address) = host.parse() {
            return Ok((Host::Address(address), port));
        }
        if proxy.scheme() == ProxyScheme::Socks5h {
            return Ok((Host::Name(host.to_owned()), port));
        }
        // The system puts first what is to be tried first, and a proxy tells too little to know
        // whether another one is worth trying.
        let found = tokio::net::lookup_host((host, port)).await?.next();
        let found = found.ok_or_else(|| io::Error::other("the name has no address"))?;
        Ok((Host::Address(found.ip()), port))
    }
}

fn secured<C>(inner: C, config: Arc<ClientConfig>) -> HttpsConnector<C> {
    HttpsConnector::new(inner, config, true, Arc::new(DefaultServerNameResolver::default()))
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
        let proxy = self.routes.of(&to).map(|(proxy, _)| proxy.clone());
        let connecting = Box::pin(self.clone().connect(to));
        let Some(limit) = limit else { return connecting };
        Box::pin(async move {
            match tokio::time::timeout(limit, connecting).await {
                Ok(connected) => connected,
                Err(elapsed) => {
                    let through = proxy.map(|proxy| format!(" through the proxy {proxy}"));
                    let through = through.unwrap_or_default();
                    let doing = peer?.doing(Stage::Connecting);
                    Err(TransportError::new(TransportErrorKind::Timeout)
                        .with_sent(Sent::No)
                        .with_detail(format!("{doing}{through} for {limit:?}"))
                        .with_source(elapsed)
                        .into())
                }
            }
        })
    }
}
