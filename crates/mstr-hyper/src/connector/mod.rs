//! Makes connections: DNS, TCP, proxies, TLS, and one timeout around all of them.

mod route;
mod socket;
mod socks;
mod stream;
mod tunnel;

use std::io;
use std::sync::Arc;
use std::time::Duration;

use http::Uri;
use http::uri::Scheme;
use hyper_rustls::{DefaultServerNameResolver, HttpsConnector, MaybeHttpsStream};
use hyper_util::client::legacy::connect::HttpConnector;
use mstr_core::settings::{Proxy, ProxyScheme};
use mstr_core::toolkit::{Peer, Stage};
use mstr_core::{BoxError, Sent, TransportError, TransportErrorKind};
use rustls::ClientConfig;
use tower_service::Service;

use self::route::Way;
pub(crate) use self::route::{Routes, hand_over, leave_user_out};
pub(crate) use self::socket::Socket;
pub(crate) use self::socket::{Arrived, Lookout};
use self::socks::Host;
pub(crate) use self::stream::Stream;
use self::stream::{Hop, Standing};
use crate::error::{explain, proxy_failed};
use crate::tls::Tls;

/// Makes the connections of a transport.
#[derive(Clone)]
pub(crate) struct Connector {
    http: HttpConnector,
    tls: Arc<Tls>,
    routes: Routes,
}

/// A connection that has just been made.
pub(crate) struct Connected {
    pub(crate) stream: Stream,
    /// The TCP connection under it.
    pub(crate) lookout: Lookout,
}

impl Connector {
    pub(crate) fn new(http: HttpConnector, tls: Arc<Tls>, routes: Routes) -> Self {
        Self { http, tls, routes }
    }

    pub(crate) fn routes(&self) -> &Routes {
        &self.routes
    }

    /// Connects to the server of `to`, on the way that its proxy settings say.
    ///
    /// `limit` is one for everything: `HttpConnector`'s own ends before the TLS handshake begins.
    pub(crate) async fn connect(
        &self,
        to: &Uri,
        limit: Option<Duration>,
    ) -> Result<Connected, TransportError> {
        let connecting = self.make(to);
        let connected = match limit {
            None => connecting.await,
            Some(limit) => match tokio::time::timeout(limit, connecting).await {
                Ok(connected) => connected,
                Err(elapsed) => {
                    let proxy = self.routes.of(to).map(|(proxy, _)| proxy);
                    let through = proxy.map(|proxy| format!(" through the proxy {proxy}"));
                    let through = through.unwrap_or_default();
                    let peer = Peer::of(to)?;
                    return Err(TransportError::new(TransportErrorKind::Timeout)
                        .with_sent(Sent::No)
                        .with_place(Stage::Connecting, format!("{peer}{through}"))
                        .with_detail(format!("for {limit:?}"))
                        .with_source(elapsed));
                }
            },
        };
        connected.map_err(|error| match Peer::of(to) {
            Ok(peer) => explain(error, || peer.to_string()),
            Err(unusable) => unusable,
        })
    }

    async fn make(&self, to: &Uri) -> Result<Connected, BoxError> {
        let Some((proxy, way)) = self.routes.of(to) else {
            let (hop, lookout) = self.reach(to, Tls::config).await?;
            return Ok(Connected { stream: Stream(MaybeHttpsStream::Http(hop)), lookout });
        };
        let peer = Peer::of(to)?;
        let failed = |error| explain(error, || format!("{peer} through the proxy {proxy}"));
        let (hop, lookout) = match way {
            Way::Forward => {
                let (hop, lookout) = self.reach_proxy(proxy).await?;
                return Ok(Connected { stream: Stream(MaybeHttpsStream::Http(hop)), lookout });
            }
            Way::Connect => {
                let (hop, lookout) = self.reach_proxy(proxy).await?;
                (tunnel::open(hop, proxy, &peer).await?, lookout)
            }
            Way::Socks => {
                let (host, port) = self.find(to, proxy).await.map_err(failed)?;
                let (mut hop, lookout) = self.reach_proxy(proxy).await?;
                socks::open(&mut hop, proxy, &host, port).await?;
                (hop, lookout)
            }
        };
        if to.scheme() != Some(&Scheme::HTTPS) {
            return Ok(Connected { stream: Stream(MaybeHttpsStream::Http(hop)), lookout });
        }
        let mut secured = secured(Standing(Some(hop)), self.tls.config()?);
        let stream = Stream(secured.call(to.clone()).await.map_err(failed)?);
        Ok(Connected { stream, lookout })
    }

    /// Connects, with TLS to what is https.
    async fn reach(
        &self,
        to: &Uri,
        tls: impl FnOnce(&Tls) -> Result<Arc<ClientConfig>, TransportError>,
    ) -> Result<(Hop, Lookout), BoxError> {
        let tls = match to.scheme() == Some(&Scheme::HTTPS) {
            true => Some(tls(&self.tls)?),
            false => None,
        };
        let socket = Socket::new(self.http.clone().call(to.clone()).await?);
        let lookout = socket.lookout();
        let hop = match tls {
            Some(tls) => secured(Standing(Some(socket)), tls).call(to.clone()).await?,
            None => MaybeHttpsStream::Http(socket),
        };
        Ok((hop, lookout))
    }

    async fn reach_proxy(&self, proxy: &Proxy) -> Result<(Hop, Lookout), TransportError> {
        let scheme = match proxy.scheme() {
            ProxyScheme::Https => Scheme::HTTPS,
            _ => Scheme::HTTP,
        };
        let failed = |error| proxy_failed(proxy, None, error);
        let address = Uri::builder()
            .scheme(scheme)
            .authority(format!("{}:{}", proxy.host(), proxy.port()))
            .path_and_query("/")
            .build()
            .map_err(|error| failed(error.into()))?;
        self.reach(&address, Tls::proxy_config).await.map_err(failed)
    }

    /// The host and port for a SOCKS proxy.
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
