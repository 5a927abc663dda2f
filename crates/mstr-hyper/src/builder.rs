//! The settings of a transport.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use mstr_core::{ProxyConfig, TlsConfig};
use tokio::runtime::Handle;

use crate::connector::{Connector, Routes};
use crate::runtime::Runtime;
use crate::tls;
use crate::transport::HyperTransport;

/// The longest that an unused connection can be kept: some hundred years.
const LONGEST: Duration = Duration::from_secs(u32::MAX as u64);

/// Builds a [`HyperTransport`].
#[derive(Clone)]
#[must_use]
pub struct HyperTransportBuilder {
    tls: TlsConfig,
    proxy: ProxyConfig,
    versions: Versions,
    connect_timeout: Option<Duration>,
    pool_idle_timeout: Option<Duration>,
    pool_max_idle_per_host: usize,
    tcp_keepalive: Option<Duration>,
    tcp_nodelay: bool,
    runtime: Option<Handle>,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Versions {
    Any,
    Http1,
    Http2,
}

impl HyperTransportBuilder {
    /// The default settings.
    pub fn new() -> Self {
        Self {
            tls: TlsConfig::new(),
            proxy: ProxyConfig::new(),
            versions: Versions::Any,
            connect_timeout: Some(Duration::from_secs(10)),
            // Below the 20 seconds after which Tomcat as it is shipped closes idle connections:
            // a request that meets such a closing fails and cannot always be repeated.
            pool_idle_timeout: Some(Duration::from_secs(15)),
            pool_max_idle_per_host: 32,
            tcp_keepalive: Some(Duration::from_secs(60)),
            tcp_nodelay: true,
            runtime: None,
        }
    }

    /// What to trust, who to be. Default: the platform's certificates, no client identity.
    pub fn tls(mut self, tls: TlsConfig) -> Self {
        self.tls = tls;
        self
    }

    /// Which proxies to use. Default: none, and the environment is not asked:
    /// [`ProxyConfig::from_env`] does that, if it is given here.
    ///
    /// Requests to http servers are passed on by an HTTP proxy, which sees them whole; to https
    /// servers it opens a tunnel, as a SOCKS proxy does to all. A proxy that is reached over TLS
    /// is trusted, and shown an identity, as [`tls`](Self::tls) says of servers.
    pub fn proxy(mut self, proxy: ProxyConfig) -> Self {
        self.proxy = proxy;
        self
    }

    /// Speak HTTP/1.1 only. Default: HTTP/2 over TLS with servers that choose it, HTTP/1.1
    /// otherwise.
    pub fn http1_only(mut self) -> Self {
        self.versions = Versions::Http1;
        self
    }

    /// Speak HTTP/2 only, over plain TCP as well. An HTTP/1.1 server cannot be reached then.
    pub fn http2_only(mut self) -> Self {
        self.versions = Versions::Http2;
        self
    }

    /// How long DNS, TCP, a proxy and the TLS handshake together may take for a request that does
    /// not say. Default: 10 seconds. `None` waits as long as the request's deadline.
    pub fn connect_timeout(mut self, limit: impl Into<Option<Duration>>) -> Self {
        self.connect_timeout = limit.into();
        self
    }

    /// How long an unused connection is kept. Default: 15 seconds. `None` keeps it until the
    /// server closes it.
    pub fn pool_idle_timeout(mut self, limit: impl Into<Option<Duration>>) -> Self {
        self.pool_idle_timeout = limit.into();
        self
    }

    /// How many unused connections to one host and port are kept. Default: 32. With 0 every
    /// request makes a connection of its own.
    pub fn pool_max_idle_per_host(mut self, limit: usize) -> Self {
        self.pool_max_idle_per_host = limit;
        self
    }

    /// After how much silence TCP asks whether the other side is still there. Default: 60
    /// seconds. `None` never asks.
    pub fn tcp_keepalive(mut self, after: impl Into<Option<Duration>>) -> Self {
        self.tcp_keepalive = after.into();
        self
    }

    /// Whether small pieces are sent at once (`TCP_NODELAY`). Default: true.
    pub fn tcp_nodelay(mut self, nodelay: bool) -> Self {
        self.tcp_nodelay = nodelay;
        self
    }

    /// The runtime to live on. Default: the one of the task that calls [`build`](Self::build).
    pub fn runtime(mut self, runtime: Handle) -> Self {
        self.runtime = Some(runtime);
        self
    }

    /// Builds the transport. Files are read here; nothing is connected.
    ///
    /// # Errors
    ///
    /// [`Config`](mstr_core::ErrorKind::Config) outside a tokio runtime if none was given, and if
    /// the TLS or proxy settings cannot work: the source says which file or setting, and why.
    pub fn build(self) -> Result<HyperTransport, mstr_core::Error> {
        let handle = match self.runtime {
            Some(handle) => handle,
            None => Runtime::current()?,
        };
        let protocols: &[&[u8]] = match self.versions {
            Versions::Any => &[b"h2", b"http/1.1"],
            Versions::Http1 => &[b"http/1.1"],
            Versions::Http2 => &[b"h2"],
        };
        let tls = Arc::new(tls::prepare(&self.tls, protocols)?);
        let routes = Routes::new(&self.proxy, self.versions == Versions::Http2)?;

        let mut http = HttpConnector::new();
        http.enforce_http(false);
        http.set_nodelay(self.tcp_nodelay);
        http.set_keepalive(self.tcp_keepalive);

        let runtime = Runtime::new(handle);
        let client = Client::builder(runtime.clone())
            // Repeating is decided in one place, and that is not here.
            .retry_canceled_requests(false)
            .http2_only(self.versions == Versions::Http2)
            // hyper-util adds it to the time of day, and panics where that has no end.
            .pool_idle_timeout(self.pool_idle_timeout.map(|limit| limit.min(LONGEST)))
            .pool_max_idle_per_host(self.pool_max_idle_per_host)
            .pool_timer(hyper_util::rt::TokioTimer::new())
            .timer(hyper_util::rt::TokioTimer::new())
            .build(Connector::new(http, tls, routes.clone()));
        Ok(HyperTransport::from_parts(client, routes, runtime, self.connect_timeout))
    }
}

impl HyperTransport {
    /// A transport with the default settings on the runtime of the calling task.
    ///
    /// # Errors
    ///
    /// [`Config`](mstr_core::ErrorKind::Config) outside a tokio runtime.
    pub fn new() -> Result<Self, mstr_core::Error> {
        Self::builder().build()
    }

    /// Starts to choose settings.
    pub fn builder() -> HyperTransportBuilder {
        HyperTransportBuilder::new()
    }
}

impl Default for HyperTransportBuilder {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for HyperTransportBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HyperTransportBuilder")
            .field("tls", &self.tls)
            .field("proxy", &self.proxy)
            .field("versions", &self.versions)
            .field("connect_timeout", &self.connect_timeout)
            .field("pool_idle_timeout", &self.pool_idle_timeout)
            .field("pool_max_idle_per_host", &self.pool_max_idle_per_host)
            .field("tcp_keepalive", &self.tcp_keepalive)
            .field("tcp_nodelay", &self.tcp_nodelay)
            .finish_non_exhaustive()
    }
}
