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
/// The longest that Linux takes for TCP's questions.
const LONGEST_INTERVAL: Duration = Duration::from_secs(i16::MAX as u64);
/// As many connections as libcurl can be told.
const MOST: usize = i32::MAX as usize;

/// Builds an [`IsahcTransport`].
#[derive(Clone, Debug)]
#[must_use]
pub struct IsahcTransportBuilder {
    tls: TlsConfig,
    proxy: ProxyConfig,
    pool: Pool,
    connect_timeout: Option<Duration>,
    wire_log: bool,
}

/// What libcurl is told once, for all requests.
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

    /// What to trust, who to be. Default: the platform's certificates, no client identity.
    pub fn tls(mut self, tls: TlsConfig) -> Self {
        self.tls = tls;
        self
    }

    /// Which proxies to use. Default: none, and none from the environment either.
    pub fn proxy(mut self, proxy: ProxyConfig) -> Self {
        self.proxy = proxy;
        self
    }

    /// Speak HTTP/1.1 only. Default: HTTP/2 over TLS with servers that choose it, HTTP/1.1
    /// otherwise.
    pub fn http1_only(mut self) -> Self {
        self.pool.versions = Versions::Http1;
        self
    }

    /// Speak HTTP/2 only, over plain TCP as well. An HTTP/1.1 server cannot be reached then.
    pub fn http2_only(mut self) -> Self {
        self.pool.versions = Versions::Http2;
        self
    }

    /// How long DNS, TCP and the TLS handshake together may take for a request that does not say.
    /// Default: 10 seconds. `None` waits as long as the request's deadline, or libcurl's own 5
    /// minutes.
    pub fn connect_timeout(mut self, limit: impl Into<Option<Duration>>) -> Self {
        self.connect_timeout = limit.into();
        self
    }

    /// How long an unused connection is kept. Default: 15 seconds. `None` keeps it for libcurl's
    /// own 118 seconds.
    pub fn pool_idle_timeout(mut self, limit: impl Into<Option<Duration>>) -> Self {
        self.pool.idle_timeout = limit.into();
        self
    }

    /// How many unused connections are kept, to all hosts together. Default: four times as many
    /// as there are requests under way, which is libcurl's. With 0 every request makes a
    /// connection of its own.
    pub fn pool_max_idle(mut self, limit: impl Into<Option<usize>>) -> Self {
        self.pool.max_idle = limit.into();
        self
    }

    /// How many connections to one host and port there are at a time. Default: 100. `None` sets no
    /// limit. Requests beyond that wait in libcurl, at most until their deadline.
    ///
    /// Writes without a body go over connections of their own, which are not counted: libcurl
    /// repeats such a request by itself if a kept connection breaks.
    pub fn max_connections_per_host(mut self, limit: impl Into<Option<usize>>) -> Self {
        self.pool.max_per_host = limit.into();
        self
    }

    /// How much time lies between two questions of TCP whether the other side is still there.
    /// Default: 60 seconds. `None` never asks.
    pub fn tcp_keepalive(mut self, interval: impl Into<Option<Duration>>) -> Self {
        self.pool.tcp_keepalive = interval.into();
        self
    }

    /// Whether isahc may log what goes over the wire, under the target `isahc::wire` at level
    /// `TRACE`. Default: false. **The log holds passwords, tokens and cookies.**
    ///
    /// For a program with one subscriber, set for the whole process: isahc begins its spans on the
    /// caller's thread and goes on with them on its own, and a subscriber of one thread's that is
    /// not the other's may panic at that.
    pub fn wire_log(mut self, log: bool) -> Self {
        self.wire_log = log;
        self
    }

    /// Builds the transport and starts its thread. Files are read here; nothing is connected.
    ///
    /// # Errors
    ///
    /// [`Config`](mstr_core::ErrorKind::Config) if the thread cannot be started, and for settings
    /// that cannot work or that isahc cannot honour: the error names the setting and says why.
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
    /// A transport with the default settings.
    ///
    /// # Errors
    ///
    /// [`Config`](mstr_core::ErrorKind::Config) if isahc's thread cannot be started.
    pub fn new() -> Result<Self, mstr_core::Error> {
        Self::builder().build()
    }

    /// Starts to choose settings.
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

/// isahc 2.0 checks the certificate of a proxy when told not to and does not when told to, and
/// without being told trusts nobody. So there is no way to use such a proxy safely.
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
