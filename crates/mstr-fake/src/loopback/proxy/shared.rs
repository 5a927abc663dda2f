//! The state that the connections of one proxy share: accepted clients, addresses, the record.

use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::net::TcpStream;

use super::super::raw::RawRequest;
#[cfg(doc)]
use super::ProxyServer;

/// Of each direction of a connection no more than this is kept.
pub(super) const RECORD_LIMIT: usize = 16 * 1024 * 1024;

/// A client's request to a proxy.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum ProxyKind {
    /// An HTTP tunnel.
    Connect,
    /// To pass on one HTTP request.
    Forward,
    /// A SOCKS 5 connection.
    Socks5,
}

/// One thing a client asked of a [`ProxyServer`].
///
/// It shows the password that came: it is for tests, which make theirs up.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ProxyEntry {
    /// Its kind.
    pub kind: ProxyKind,
    /// Host and port as they were asked for: a name is still a name. Empty if SOCKS did not come
    /// that far.
    pub target: String,
    /// User and password, if any came.
    pub credentials: Option<(String, String)>,
    /// Whether it was let in.
    pub admitted: bool,
    /// The request as it came, without its body; `None` for SOCKS.
    pub request: Option<RawRequest>,
}

#[derive(Default)]
pub(super) struct Shared {
    pub(super) credentials: Option<(String, String)>,
    names: BTreeMap<String, SocketAddr>,
    seen: Mutex<Vec<ProxyEntry>>,
    /// One for each direction of each connection.
    records: Mutex<Vec<Vec<u8>>>,
}

impl Shared {
    pub(super) fn new(
        credentials: Option<(String, String)>,
        names: BTreeMap<String, SocketAddr>,
    ) -> Self {
        Self { credentials, names, ..Self::default() }
    }

    pub(super) fn seen(&self) -> MutexGuard<'_, Vec<ProxyEntry>> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn records(&self) -> MutexGuard<'_, Vec<Vec<u8>>> {
        self.records.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn admits(&self, credentials: Option<&(String, String)>) -> bool {
        self.credentials.is_none() || self.credentials.as_ref() == credentials
    }

    /// Connects to a host, which is an address without brackets or a name.
    pub(super) async fn dial(&self, host: &str, port: u16) -> io::Result<TcpStream> {
        let address = match self.names.get(host) {
            Some(address) => *address,
            None if host == "localhost" => (Ipv4Addr::LOCALHOST, port).into(),
            None => match host.parse::<IpAddr>() {
                Ok(address) if address.is_loopback() => (address, port).into(),
                _ => return Err(io::ErrorKind::HostUnreachable.into()),
            },
        };
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        Ok(stream)
    }
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shared").field("seen", &self.seen).finish_non_exhaustive()
    }
}
