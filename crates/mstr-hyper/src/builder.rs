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

    /// How many connections to one host and port there are at a time, those that are being made
    /// included. Default: 100. `None` sets no limit.
    ///
    /// Requests beyond that wait, first come first served, at most until their deadline; an error
    /// then says that nothing was sent. Over HTTP/1.1 a connection has one request at a time, and is
    /// held until the body of its answer has been read to its end or is dropped. An answer that its
    /// caller does not read is read ahead for those who wait, up to 256 KiB. Over HTTP/2 there is
    /// one connection, and one more where an earlier one takes no more requests. The earlier ones
    /// count until their answers have ended, but one that takes requests can always be made.
    pub fn max_connections_per_host(mut self, limit: impl Into<Option<usize>>) -> Self {
        self.max_connections_per_host = limit.into();
        self
    }

    /// How many requests at a time go over one connection with HTTP/2. Further ones wait as above.
    /// Default: `None`, as many as the server takes.
    pub fn max_streams_per_connection(mut self, limit: impl Into<Option<usize>>) -> Self {
        self.max_streams_per_connection = limit.into();
        self
    }

    /// After how much silence HTTP/2 asks whether the server is still there (`PING`), and how long
    /// it waits for the answer. It asks while requests are open, once the server has sent its
    /// settings. Without an answer the connection is dead, and its requests fail. Default: 15
    /// seconds each. `None` never asks.
    pub fn http2_ping(mut self, times: impl Into<Option<(Duration, Duration)>>) -> Self {
        self.http2_ping = times.into().map(|(after, patience)| Pings { after, patience });
        self
    }

    /// After how much silence TCP asks whether the other side is still there, and asks again three
    /// times in as much time. Default: 15 seconds. `None` never asks.
    pub fn tcp_keepalive(mut self, after: impl Into<Option<Duration>>) -> Self {
        self.tcp_keepalive = after.into();
        self
    }

    /// How long what was sent may stay unacknowledged before the connection is dead
    /// (`TCP_USER_TIMEOUT`), where the system has it: Linux, Android and Fuchsia. It also bounds
    /// how long [`tcp_keepalive`](Self::tcp_keepalive) asks. Default: 30 seconds. `None` leaves it
    /// to the system, which waits for many minutes.
    pub fn tcp_user_timeout(mut self, limit: impl Into<Option<Duration>>) -> Self {
        self.tcp_user_timeout = limit.into();
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
    /// [`Config`](mstr_core::ErrorKind::Config) outside a tokio runtime if none was given, if a limit
    /// is 0, and if the TLS or proxy settings cannot work: the source says which file or setting,
    /// and why.
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
            .field("max_connections_per_host", &self.max_connections_per_host)
            .field("max_streams_per_connection", &self.max_streams_per_connection)
            .field("http2_ping", &self.http2_ping)
            .field("tcp_keepalive", &self.tcp_keepalive)
            .field("tcp_user_timeout", &self.tcp_user_timeout)
            .field("tcp_nodelay", &self.tcp_nodelay)
            .finish_non_exhaustive()
    }
}
