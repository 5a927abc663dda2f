//! A forward proxy: HTTP (forwarding and tunnels) and SOCKS 5 on one port, with TLS if wanted.

mod client;
mod http;
mod shared;
mod socks;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::sync::Arc;

use rustls::ServerConfig;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;

pub use self::shared::{ProxyEntry, ProxyKind};

use self::client::Client;
use self::shared::Shared;
use super::running::Running;
use super::tls::ServerTls;

/// A proxy on a free port of 127.0.0.1 that keeps a record of its traffic.
///
/// It forwards plain requests, opens tunnels (`CONNECT`) and speaks SOCKS 5, whichever a client
/// begins with. It never leaves this machine: it knows addresses of this machine, `localhost` and
/// the names it was [told](ProxyServerBuilder::resolve), and everything else cannot be reached.
///
/// It adds nothing to forwarded requests, and removes headers that are meant for itself. Dropping it ends
/// all connections.
#[derive(Debug)]
pub struct ProxyServer {
    shared: Arc<Shared>,
    address: SocketAddr,
    _running: Running,
}

/// Describes a [`ProxyServer`].
#[derive(Debug, Default)]
#[must_use]
pub struct ProxyServerBuilder {
    credentials: Option<(String, String)>,
    names: BTreeMap<String, SocketAddr>,
    tls: Option<ServerTls>,
}

impl ProxyServer {
    /// Starts one that accepts every client.
    ///
    /// # Errors
    ///
    /// As [`ProxyServerBuilder::start`].
    pub fn start() -> io::Result<Self> {
        Self::builder().start()
    }

    /// Begins to describe one.
    pub fn builder() -> ProxyServerBuilder {
        ProxyServerBuilder::default()
    }

    /// The socket's address.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// The proxy's address for clients, for example `socks5h://127.0.0.1:40001`. Before the host
    /// stands whatever is given: `http://ann:secret@`.
    #[must_use]
    pub fn url(&self, before: &str) -> String {
        format!("{before}{}", self.address)
    }

    /// The requests of clients, in order.
    #[must_use]
    pub fn seen(&self) -> Vec<ProxyEntry> {
        self.shared.seen().clone()
    }

    /// Every byte that has passed: for each connection what the client sent, then what it got from
    /// the servers. TLS with the proxy itself is taken off, other TLS is as it is. Of each
    /// direction at most 16 MiB are kept.
    #[must_use]
    pub fn bytes_seen(&self) -> Vec<u8> {
        self.shared.records().concat()
    }
}

impl ProxyServerBuilder {
    /// Accepts only clients that send these. Default: every client.
    pub fn credentials(mut self, user: impl Into<String>, password: impl Into<String>) -> Self {
        self.credentials = Some((user.into(), password.into()));
        self
    }

    /// Finds this host (a name, or an address without brackets) at `address`, whatever its port.
    pub fn resolve(mut self, host: impl Into<String>, address: SocketAddr) -> Self {
        self.names.insert(host.into(), address);
        self
    }

    /// Speaks TLS with its clients, and HTTP/1.1 over it.
    pub fn tls(mut self, tls: ServerTls) -> Self {
        self.tls = Some(tls);
        self
    }

    /// Starts the proxy.
    ///
    /// # Errors
    ///
    /// [`Unsupported`](io::ErrorKind::Unsupported) in a tokio runtime whose clock is paused, and
    /// those of binding a socket and starting a thread.
    pub fn start(self) -> io::Result<ProxyServer> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        let address = listener.local_addr()?;
        let shared = Arc::new(Shared::new(self.credentials, self.names));
        let tls = self.tls.map(|tls| {
            let mut config = ServerConfig::clone(&tls.config());
            config.alpn_protocols = vec![b"http/1.1".to_vec()];
            TlsAcceptor::from(Arc::new(config))
        });
        let serving = Arc::clone(&shared);
        let running = Running::start("proxy", listener, move |stream| {
            serve(stream, tls.clone(), Arc::clone(&serving))
        })?;
        Ok(ProxyServer { shared, address, _running: running })
    }
}

async fn serve(stream: TcpStream, tls: Option<TlsAcceptor>, shared: Arc<Shared>) {
    // Each error is one of this client or of its server, and ends the connection.
    match tls {
        None => drop(speak(stream, shared).await),
        Some(tls) => {
            if let Ok(stream) = tls.accept(stream).await {
                drop(speak(stream, shared).await);
            }
        }
    }
}

async fn speak<S>(stream: S, shared: Arc<Shared>) -> io::Result<()>
where
    S: AsyncRead + AsyncWrite + 'static,
{
    let mut client = Client::new(stream, shared);
    match client.reader.peek().await? {
        Some(socks::VERSION) => socks::serve(client).await,
        Some(first) if first.is_ascii_alphabetic() => http::serve(client).await,
        // TLS where none is spoken, for example: its end would never be found.
        Some(_) => client.dismiss(http::last("400 Bad Request")).await,
        None => Ok(()),
    }
}
