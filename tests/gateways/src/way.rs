//! The transports.

use std::fmt;
use std::time::Duration;

use mstr::hyper::blocking::HyperBlocking;
use mstr::hyper::{HyperTransport, HyperTransportBuilder};
use mstr::isahc::blocking::IsahcBlocking;
use mstr::isahc::{IsahcTransport, IsahcTransportBuilder};
use mstr::{
    Connection, ConnectionBuilder, NoTransport, ProxyConfig, SharedBlockingTransport,
    SharedTransport, Timeouts, TlsConfig, blocking,
};

use crate::outcome::{Outcome, Told};
use crate::site::USER;

/// How long one call may take, with all its attempts.
const TOTAL: Duration = Duration::from_secs(20);

/// Which transport a session goes over.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Way {
    Hyper,
    Isahc,
    /// For blocking code, on threads.
    HyperThreads,
    IsahcThreads,
}

/// The settings of a transport.
#[derive(Clone, Default)]
pub(crate) struct Settings {
    /// The authority to trust, in PEM.
    pub(crate) roots: Option<String>,
    pub(crate) proxy: Option<String>,
    /// How many connections at a time.
    pub(crate) connections: Option<usize>,
}

impl Way {
    pub(crate) const TASKS: &'static [Self] = &[Self::Hyper, Self::Isahc];
    pub(crate) const ALL: &'static [Self] =
        &[Self::Hyper, Self::Isahc, Self::HyperThreads, Self::IsahcThreads];

    /// Whether libcurl is below. Where a kept connection is closed while a body is being sent, that
    /// cannot be sent again: whether it has been carried out is not known.
    pub(crate) const fn is_isahc(self) -> bool {
        matches!(self, Self::Isahc | Self::IsahcThreads)
    }

    pub(crate) const fn blocks(self) -> bool {
        matches!(self, Self::HyperThreads | Self::IsahcThreads)
    }

    fn transport(self, settings: &Settings) -> Outcome<SharedTransport> {
        Ok(match self {
            Self::Hyper | Self::HyperThreads => {
                SharedTransport::new(settings.hyper().build().told("mstr-hyper")?)
            }
            Self::Isahc | Self::IsahcThreads => {
                SharedTransport::new(settings.isahc().build().told("mstr-isahc")?)
            }
        })
    }

    /// A connection that is not open yet.
    pub(crate) fn connection(self, url: &str, settings: &Settings) -> Outcome<Connection> {
        let builder = described(Connection::builder(url));
        builder.transport(self.transport(settings)?).build().told("a connection")
    }

    /// The same for threads.
    pub(crate) fn blocking(self, url: &str, settings: &Settings) -> Outcome<blocking::Connection> {
        let transport = match self {
            Self::Hyper | Self::HyperThreads => {
                let transport = HyperBlocking::from_builder(settings.hyper());
                SharedBlockingTransport::new(transport.told("mstr-hyper")?)
            }
            Self::Isahc | Self::IsahcThreads => {
                let transport = IsahcBlocking::from_builder(settings.isahc());
                SharedBlockingTransport::new(transport.told("mstr-isahc")?)
            }
        };
        let builder = described(blocking::Connection::builder(url));
        builder.blocking_transport(transport).build().told("a connection")
    }
}

impl Settings {
    fn tls(&self) -> TlsConfig {
        match &self.roots {
            Some(roots) => TlsConfig::new().add_root_pem(roots.clone()),
            None => TlsConfig::new(),
        }
    }

    fn proxies(&self) -> ProxyConfig {
        self.proxy.iter().fold(ProxyConfig::new(), ProxyConfig::all)
    }

    fn hyper(&self) -> HyperTransportBuilder {
        let builder = HyperTransport::builder().tls(self.tls()).proxy(self.proxies());
        match self.connections {
            Some(limit) => builder.max_connections_per_host(limit),
            None => builder,
        }
    }

    fn isahc(&self) -> IsahcTransportBuilder {
        let builder = IsahcTransport::builder().tls(self.tls()).proxy(self.proxies());
        match self.connections {
            Some(limit) => builder.max_connections_per_host(limit),
            None => builder,
        }
    }
}

/// With limits that tell what hangs from what is slow.
fn described(builder: ConnectionBuilder<NoTransport>) -> ConnectionBuilder<NoTransport> {
    let limits = Timeouts::new().attempt(Duration::from_secs(10)).total(Some(TOTAL));
    builder.standard(USER.0, USER.1).timeouts(limits)
}

impl fmt::Display for Way {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Hyper => "hyper",
            Self::Isahc => "isahc",
            Self::HyperThreads => "hyper, blocking",
            Self::IsahcThreads => "isahc, blocking",
        })
    }
}
