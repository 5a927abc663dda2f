//! The settings of a transport.

use std::time::Duration;

use isahc::HttpClient;
use isahc::config::{Configurable, VersionNegotiation};
use mstr_core::settings::{Proxies, ProxyScheme};
use mstr_core::{ProxyConfig, Sent, SharedTimer, TlsConfig, TransportError, TransportErrorKind};

use crate::client::{Client, Once};
use crate::quiet::Silence;
use crate::timer::ThreadTimer;
use crate::tls::Tls;
use crate::transport::{IsahcTransport, Shared};

/// The longest time that libcurl takes in seconds of 32 bits: 68 years.
const LONGEST: Duration = Duration::from_secs(i32::MAX as u64);
/// The longest interval of keep-alive probes that Linux accepts.
const LONGEST_INTERVAL: Duration = Duration::from_secs(i16::MAX as u64);
/// The largest number of connections that libcurl accepts.
const MOST: usize = i32::MAX as usize;

/// Builds an [`IsahcTransport`], or an [`IsahcBlocking`](crate::blocking::IsahcBlocking).
///
/// | setting | default |
/// |---|---|
/// | [`tls`](Self::tls) | the operating system's certificates, TLS 1.2 and 1.3 |
/// | [`proxy`](Self::proxy) | none |
/// | [`http1_only`](Self::http1_only), [`http2_only`](Self::http2_only) | HTTP/2 over TLS if the server offers it, otherwise HTTP/1.1 |
/// | [`connect_timeout`](Self::connect_timeout) | 10 seconds, for requests without their own |
/// | [`pool_idle_timeout`](Self::pool_idle_timeout) | 15 seconds |
/// | [`pool_max_idle`](Self::pool_max_idle) | four times the number of requests under way |
/// | [`max_connections_per_host`](Self::max_connections_per_host) | 100 connections |
/// | [`tcp_keepalive`](Self::tcp_keepalive) | every 60 seconds |
/// | [`wire_log`](Self::wire_log) | false |
#[derive(Clone, Debug)]
#[must_use]
pub struct IsahcTransportBuilder {
    tls: TlsConfig,
    proxy: ProxyConfig,
    pool: Pool,
    connect_timeout: Option<Duration>,
    wire_log: bool,
}

/// The settings of libcurl for all requests.
#[derive(Clone, Copy, Debug)]
struct Pool {
    versions: Versions,
    idle_timeout: Option<Duration>,
    max_idle: Option<usize>,
    max_per_host: Option<usize>,
    tcp_keepalive: Option<Duration>,
}

#[derive(Clone, Copy, Debug)]
enum Versions {
    Any,
    Http1,
    Http2,
}

impl IsahcTransportBuilder {
    /// The default settings.
    pub fn new() -> Self {
        Self {
            tls: TlsConfig::new(),
            proxy: ProxyConfig::new(),
            pool: Pool {
                versions: Versions::Any,
                // Below the 20 seconds after which Tomcat as it is shipped closes idle
                // connections: a request that meets such a closing fails and cannot always be
                // repeated.
                idle_timeout: Some(Duration::from_secs(15)),
                max_idle: None,
                // As mstr-hyper: half of what Tomcat as it is shipped has threads for.
                max_per_host: Some(100),
                tcp_keepalive: Some(Duration::from_secs(60)),
            },
            connect_timeout: Some(Duration::from_secs(10)),
            wire_log: false,
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
    pub fn proxy(mut self, proxy: ProxyConfig) -> Self {
        self.proxy = proxy;
        self
    }

    /// Uses HTTP/1.1 only. Default: HTTP/2 over TLS if the server offers it, otherwise HTTP/1.1.
    pub fn http1_only(mut self) -> Self {
        self.pool.versions = Versions::Http1;
        self
    }

    /// Uses HTTP/2 only, over plain TCP as well. A server without HTTP/2 cannot be reached then.
    pub fn http2_only(mut self) -> Self {
        self.pool.versions = Versions::Http2;
        self
    }

    /// Sets the time for DNS, TCP and the TLS handshake together, for requests that have no connect
    /// timeout of their own. Default: 10 seconds. `None` waits until the request's deadline, or for
    /// libcurl's own 5 minutes.
    ///
    /// The requests of a connection always have one: set it with
    /// [`Timeouts::connect`](mstr_core::Timeouts::connect) instead.
    pub fn connect_timeout(mut self, limit: impl Into<Option<Duration>>) -> Self {
        self.connect_timeout = limit.into();
        self
    }

    /// Sets how long an unused connection is kept. Default: 15 seconds. `None` keeps it for libcurl's own
    /// 118 seconds.
    pub fn pool_idle_timeout(mut self, limit: impl Into<Option<Duration>>) -> Self {
        self.pool.idle_timeout = limit.into();
        self
    }

    /// Sets how many unused connections are kept, to all hosts together. Default: libcurl's own, four
    /// times the number of requests under way. With 0, each request makes its own connection.
    pub fn pool_max_idle(mut self, limit: impl Into<Option<usize>>) -> Self {
        self.pool.max_idle = limit.into();
        self
    }

    /// Sets how many connections to one host and port there may be. Default: 100. `None` sets no limit.
    /// Further requests wait in libcurl, at most until their deadline.
    ///
    /// A POST, PUT, PATCH or DELETE without a body uses its own connection, which is not counted:
    /// libcurl would repeat it by itself if a kept connection breaks.
    pub fn max_connections_per_host(mut self, limit: impl Into<Option<usize>>) -> Self {
        self.pool.max_per_host = limit.into();
        self
    }

    /// Sets the time between two keep-alive probes of TCP. Default: 60 seconds. `None` sends none.
    pub fn tcp_keepalive(mut self, interval: impl Into<Option<Duration>>) -> Self {
        self.pool.tcp_keepalive = interval.into();
        self
    }

    /// Sets whether isahc may log everything that is sent and received, to the target `isahc::wire` at
    /// level `TRACE`. Default: false. **The log has passwords, tokens and cookies.**
    ///
    /// Use it only with one subscriber for the whole process. isahc begins its spans on the caller's
    /// thread and continues them on its own thread; if the two have different subscribers, one may
    /// panic.
    pub fn wire_log(mut self, log: bool) -> Self {
        self.wire_log = log;
        self
    }

    /// Builds the transport and starts its thread. Certificate files are read here; no connection is
    /// made.
    ///
    /// # Errors
    ///
    /// [`Config`](mstr_core::ErrorKind::Config) if the thread cannot be started, and for a setting that
    /// cannot work or that isahc cannot honour. The error names the setting and the reason.
    pub fn build(self) -> Result<IsahcTransport, mstr_core::Error> {
        if self.pool.max_per_host == Some(0) {
            return Err(TransportError::new(TransportErrorKind::Config)
                .with_sent(Sent::No)
                .with_detail(
                    "max_connections_per_host is 0, so nothing could be sent; `None` is no limit",
                )
                .into());
        }
        let tls = Tls::prepare(&self.tls)?;
        let proxies = self.proxy.resolve()?;
        refuse_tls_proxies(&proxies)?;
        let silence = (!self.wire_log).then(Silence::new);
        let client = self.pool.client(&tls, silence.as_ref())?;
        let once = {
            let (pool, tls, silence) = (self.pool.unkept(), tls, silence.clone());
            let shared = matches!(pool.versions, Versions::Http1);
            Once::new(shared, move || pool.client(&tls, silence.as_ref()))
        };
        Ok(IsahcTransport::from_shared(Shared {
            client: Client::new(client),
            once,
            timer: SharedTimer::new(ThreadTimer::new()),
            proxies,
            connect_timeout: self.connect_timeout,
            silence,
            https: Tls::AVAILABLE,
        }))
    }
}

impl IsahcTransport {
    /// Makes a transport with the default settings.
    ///
    /// # Errors
    ///
    /// [`Config`](mstr_core::ErrorKind::Config) if isahc's thread cannot be started.
    pub fn new() -> Result<Self, mstr_core::Error> {
        Self::builder().build()
    }

    /// Makes a builder with the default settings.
    pub fn builder() -> IsahcTransportBuilder {
        IsahcTransportBuilder::new()
    }
}

impl Default for IsahcTransportBuilder {
    fn default() -> Self {
        Self::new()
    }
}

impl Pool {
    /// The same without kept connections.
    fn unkept(self) -> Self {
        Self { max_idle: Some(0), ..self }
    }

    fn client(self, tls: &Tls, silence: Option<&Silence>) -> Result<HttpClient, TransportError> {
        let mut builder = HttpClient::builder().version_negotiation(match self.versions {
            Versions::Any => VersionNegotiation::latest_compatible(),
            Versions::Http1 => VersionNegotiation::http11(),
            Versions::Http2 => VersionNegotiation::http2(),
        });
        if let Some(limit) = self.idle_timeout {
            builder = builder.connection_cache_ttl(limit.clamp(Duration::from_secs(1), LONGEST));
        }
        if let Some(limit) = self.max_idle {
            builder = builder.connection_cache_size(limit.min(MOST));
        }
        if let Some(limit) = self.max_per_host {
            builder = builder.max_connections_per_host(limit.min(MOST));
        }
        if let Some(interval) = self.tcp_keepalive {
            builder =
                builder.tcp_keepalive(interval.clamp(Duration::from_secs(1), LONGEST_INTERVAL));
        }
        // The same for every request; a request that goes through a proxy says so.
        builder = builder.automatic_decompression(false).proxy(None);
        builder = tls.configure(builder);
        // The thread's own span would make libcurl talkative, too.
        let built = match silence {
            Some(silence) => silence.within(|| builder.build()),
            None => builder.build(),
        };
        built.map_err(|error| {
            TransportError::new(TransportErrorKind::Config)
                .with_sent(Sent::No)
                .with_detail("isahc cannot be started")
                .with_source(error)
        })
    }
}

/// isahc 2.0 inverts the setting that checks the certificate of a proxy, and without the setting it
/// trusts no certificate. So such a proxy cannot be used safely.
fn refuse_tls_proxies(proxies: &Proxies) -> Result<(), TransportError> {
    match proxies.iter().find(|proxy| proxy.scheme() == ProxyScheme::Https) {
        None => Ok(()),
        Some(proxy) => Err(TransportError::new(TransportErrorKind::Config)
            .with_sent(Sent::No)
            .with_detail(format!(
                "ProxyConfig: {proxy}: isahc cannot check the certificate of a proxy; use an \
                 http:// or socks5h:// proxy, or mstr-hyper"
            ))),
    }
}
