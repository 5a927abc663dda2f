//! The settings of a transport.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use hyper_util::client::legacy::connect::HttpConnector;
use mstr_core::{ProxyConfig, Sent, SharedTimer, TlsConfig, TransportError, TransportErrorKind};
use tokio::runtime::Handle;

use crate::connector::{Connector, Routes};
use crate::pool::{Limits, Pings, Settings, Versions};
use crate::runtime::{KeepAlive, Runtime};
use crate::timer::TokioTimer;
use crate::tls;
use crate::transport::HyperTransport;

/// How often TCP asks a silent peer, and how many times, before the connection is dead.
const PROBES: u32 = 3;

/// Builds a [`HyperTransport`], or a [`HyperBlocking`](crate::blocking::HyperBlocking).
///
/// ```no_run
/// # mod mstr { pub use mstr_core::*; pub mod hyper { pub use mstr_hyper::*; } }
/// # #[tokio::main]
/// # async fn main() -> Result<(), mstr::Error> {
/// use std::time::Duration;
///
/// use mstr::hyper::HyperTransport;
/// use mstr::{ProxyConfig, TlsConfig};
///
/// let transport = HyperTransport::builder()
///     .tls(TlsConfig::new().add_root_pem_file("/etc/ssl/company-ca.pem"))
///     .proxy(ProxyConfig::from_env())
///     .pool_idle_timeout(Duration::from_secs(10))
///     .build()?;
/// # Ok(())
/// # }
/// ```
///
/// | setting | default |
/// |---|---|
/// | [`tls`](Self::tls) | the operating system's certificates, TLS 1.2 and 1.3 |
/// | [`proxy`](Self::proxy) | none |
/// | [`http1_only`](Self::http1_only), [`http2_only`](Self::http2_only) | HTTP/2 over TLS if the server offers it, otherwise HTTP/1.1 |
/// | [`connect_timeout`](Self::connect_timeout) | 10 seconds, for requests without their own |
/// | [`pool_idle_timeout`](Self::pool_idle_timeout) | 15 seconds |
/// | [`pool_max_idle_per_host`](Self::pool_max_idle_per_host) | 32 connections |
/// | [`max_connections_per_host`](Self::max_connections_per_host) | 100 connections |
/// | [`max_streams_per_connection`](Self::max_streams_per_connection) | as many as the server allows |
/// | [`http2_ping`](Self::http2_ping) | after 15 seconds of silence, 15 seconds for the answer |
/// | [`tcp_keepalive`](Self::tcp_keepalive) | after 15 seconds of silence |
/// | [`tcp_user_timeout`](Self::tcp_user_timeout) | 30 seconds |
/// | [`tcp_nodelay`](Self::tcp_nodelay) | true |
#[derive(Clone)]
#[must_use]
pub struct HyperTransportBuilder {
    tls: TlsConfig,
    proxy: ProxyConfig,
    versions: Versions,
    connect_timeout: Option<Duration>,
    pool_idle_timeout: Option<Duration>,
    pool_max_idle_per_host: usize,
    max_connections_per_host: Option<usize>,
    max_streams_per_connection: Option<usize>,
    http2_ping: Option<Pings>,
    tcp_keepalive: Option<Duration>,
    tcp_user_timeout: Option<Duration>,
    tcp_nodelay: bool,
    runtime: Option<Handle>,
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
            // Half of what Tomcat as it is shipped has threads for.
            max_connections_per_host: Some(100),
            max_streams_per_connection: None,
            http2_ping: Some(Pings {
                after: Duration::from_secs(15),
                patience: Duration::from_secs(15),
            }),
            tcp_keepalive: Some(Duration::from_secs(15)),
            tcp_user_timeout: Some(Duration::from_secs(30)),
            tcp_nodelay: true,
            runtime: None,
        }
    }

    /// Sets the trusted certificates and the client certificate. Default: the operating system's
    /// certificates are trusted, no client certificate.
    pub fn tls(mut self, tls: TlsConfig) -> Self {
        self.tls = tls;
        self
    }

    /// Sets the proxies. Default: none. The environment is read only if [`ProxyConfig::from_env`] is
    /// given here.
    ///
    /// An HTTP proxy forwards requests to http servers and can read them. To https servers it opens a
    /// tunnel, as a SOCKS proxy does to all servers. For a proxy that is reached over TLS, the settings
    /// of [`tls`](Self::tls) hold as for a server.
    pub fn proxy(mut self, proxy: ProxyConfig) -> Self {
        self.proxy = proxy;
        self
    }

    /// Uses HTTP/1.1 only. Default: HTTP/2 over TLS if the server offers it, otherwise HTTP/1.1.
    pub fn http1_only(mut self) -> Self {
        self.versions = Versions::Http1;
        self
    }

    /// Uses HTTP/2 only, over plain TCP as well. A server without HTTP/2 cannot be reached then.
    pub fn http2_only(mut self) -> Self {
        self.versions = Versions::Http2;
        self
    }

    /// Sets the time for DNS, TCP, the proxy and the TLS handshake together, for requests that have no
    /// connect timeout of their own. Default: 10 seconds. `None` waits until the request's deadline.
    ///
    /// The requests of a connection always have one: set it with
    /// [`Timeouts::connect`](mstr_core::Timeouts::connect) instead.
    pub fn connect_timeout(mut self, limit: impl Into<Option<Duration>>) -> Self {
        self.connect_timeout = limit.into();
        self
    }

    /// Sets how long an unused connection is kept. Default: 15 seconds. `None` keeps it until the server
    /// closes it.
    pub fn pool_idle_timeout(mut self, limit: impl Into<Option<Duration>>) -> Self {
        self.pool_idle_timeout = limit.into();
        self
    }

    /// Sets how many unused connections to one host and port are kept. Default: 32. With 0, each request
    /// makes its own connection.
    pub fn pool_max_idle_per_host(mut self, limit: usize) -> Self {
        self.pool_max_idle_per_host = limit;
        self
    }

    /// Sets how many connections to one host and port there may be, those that are being made included.
    /// Default: 100. `None` sets no limit.
    ///
    /// Further requests wait in the order in which they came, at most until their deadline. The error
    /// then says that nothing was sent.
    ///
    /// Over HTTP/1.1 a connection has one request at a time, and is in use until the body of the
    /// response has been read to its end or is dropped. If other requests wait and the caller does not
    /// read, up to 256 KiB of the body are read ahead to free the connection. Over HTTP/2 there is one
    /// connection, and another one when it takes no more requests. The former one counts until its
    /// responses have ended, but never keeps a usable one from being made.
    pub fn max_connections_per_host(mut self, limit: impl Into<Option<usize>>) -> Self {
        self.max_connections_per_host = limit.into();
        self
    }

    /// Sets how many requests may use one HTTP/2 connection at the same time. Further requests wait as
    /// for [`max_connections_per_host`](Self::max_connections_per_host). Default: `None`, as many as the
    /// server allows.
    pub fn max_streams_per_connection(mut self, limit: impl Into<Option<usize>>) -> Self {
        self.max_streams_per_connection = limit.into();
        self
    }

    /// Sets after how much silence an HTTP/2 connection sends a `PING`, and how long it waits for the
    /// answer. It does so while requests are open, after the server has sent its settings. Without an
    /// answer the connection is closed and its requests fail. Default: 15 seconds each. `None` sends no
    /// `PING`.
    pub fn http2_ping(mut self, times: impl Into<Option<(Duration, Duration)>>) -> Self {
        self.http2_ping = times.into().map(|(after, patience)| Pings { after, patience });
        self
    }

    /// Sets after how much silence TCP sends keep-alive probes: three, spread over the same time again.
    /// Default: 15 seconds. `None` sends none.
    pub fn tcp_keepalive(mut self, after: impl Into<Option<Duration>>) -> Self {
        self.tcp_keepalive = after.into();
        self
    }

    /// Sets how long sent data may stay unacknowledged before the connection is closed
    /// (`TCP_USER_TIMEOUT`; Linux, Android and Fuchsia only). It also limits the time of
    /// [`tcp_keepalive`](Self::tcp_keepalive). Default: 30 seconds. `None` leaves it to the operating
    /// system, which waits for many minutes.
    pub fn tcp_user_timeout(mut self, limit: impl Into<Option<Duration>>) -> Self {
        self.tcp_user_timeout = limit.into();
        self
    }

    /// Sets whether small pieces are sent at once (`TCP_NODELAY`). Default: true.
    pub fn tcp_nodelay(mut self, nodelay: bool) -> Self {
        self.tcp_nodelay = nodelay;
        self
    }

    /// Sets the tokio runtime for the transport's tasks. Default: the runtime of the task that calls
    /// [`build`](Self::build).
    pub fn runtime(mut self, runtime: Handle) -> Self {
        self.runtime = Some(runtime);
        self
    }

    /// Builds the transport. Certificate files are read here; no connection is made.
    ///
    /// # Errors
    ///
    /// [`Config`](mstr_core::ErrorKind::Config) outside a tokio runtime if none was given, if a limit of
    /// connections or streams is 0, and if the TLS or proxy settings cannot work. The source names the
    /// file or setting and the reason.
    pub fn build(self) -> Result<HyperTransport, mstr_core::Error> {
        self.build_kept(None)
    }

    /// The same on a runtime whose thread runs while `keep` is there.
    pub(crate) fn build_kept(
        self,
        keep: Option<KeepAlive>,
    ) -> Result<HyperTransport, mstr_core::Error> {
        for (name, limit) in [
            ("max_connections_per_host", self.max_connections_per_host),
            ("max_streams_per_connection", self.max_streams_per_connection),
        ] {
            if limit == Some(0) {
                return Err(TransportError::new(TransportErrorKind::Config)
                    .with_sent(Sent::No)
                    .with_detail(format!(
                        "{name} is 0, so nothing could be sent; `None` is no limit"
                    ))
                    .into());
            }
        }
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
        http.set_keepalive_interval(self.tcp_keepalive.map(|after| after / PROBES));
        http.set_keepalive_retries(self.tcp_keepalive.map(|_| PROBES));
        #[cfg(any(target_os = "android", target_os = "fuchsia", target_os = "linux"))]
        http.set_tcp_user_timeout(self.tcp_user_timeout);

        let settings = Settings {
            connector: Connector::new(http, tls, routes),
            timer: SharedTimer::new(TokioTimer::on(handle.clone())),
            runtime: Runtime::new(handle),
            limits: Limits {
                connections: self.max_connections_per_host,
                streams: self.max_streams_per_connection,
                idle: self.pool_max_idle_per_host,
                idle_timeout: self.pool_idle_timeout,
            },
            versions: self.versions,
            pings: self.http2_ping,
            keep,
        };
        Ok(HyperTransport::from_parts(settings, self.connect_timeout))
    }
}

impl HyperTransport {
    /// Makes a transport with the default settings, on the tokio runtime of the calling task.
    ///
    /// # Errors
    ///
    /// [`Config`](mstr_core::ErrorKind::Config) outside a tokio runtime.
    pub fn new() -> Result<Self, mstr_core::Error> {
        Self::builder().build()
    }

    /// Makes a builder with the default settings.
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
            .field("max_connections_per_host", &self.max_connections_per_host)
            .field("max_streams_per_connection", &self.max_streams_per_connection)
            .field("http2_ping", &self.http2_ping)
            .field("tcp_keepalive", &self.tcp_keepalive)
            .field("tcp_user_timeout", &self.tcp_user_timeout)
            .field("tcp_nodelay", &self.tcp_nodelay)
            .finish_non_exhaustive()
    }
}
