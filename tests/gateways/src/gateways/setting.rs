//! The settings of a gateway.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

/// Below it a gateway answers with pages of its own: `401`, `403`, `413` and `502` are their names.
pub(crate) const PAGES: &str = "/api/pages";
/// A path before the Library's under which a gateway refuses every client.
pub(crate) const WALLED: &str = "/walled";
/// The user and password that a proxy accepts.
pub(crate) const PROXY_USER: (&str, &str) = ("ann", "hush-hush");

/// The features of a gateway.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Setting {
    /// Nothing.
    Plain,
    /// It keeps a connection for a second and for 20 requests.
    ShortKeepAlive,
    /// It speaks TLS and HTTP/2.
    Http2,
    /// The same, with 20 requests for each connection.
    ShortHttp2,
    /// A cookie of its own says which of two servers a client is at.
    Sticky,
    /// It refuses what comes too fast.
    RateLimit,
    /// It writes another path into the cookies.
    WrongCookiePath,
    /// It answers some paths with pages of its own.
    Pages,
    /// It takes four connections at a time.
    FewConnections,
    /// A forward proxy that asks for a password.
    Password,
    /// A forward proxy that opens no tunnels to the servers.
    NoTunnels,
}

/// The addresses and paths of one gateway.
pub(crate) struct Places<'p> {
    /// Its own folder, for everything that it writes.
    pub(crate) folder: &'p Path,
    /// Where it listens.
    pub(crate) port: u16,
    /// The servers.
    pub(crate) servers: &'p [SocketAddr],
    /// An address on which no process listens.
    pub(crate) unused: u16,
    /// Certificate and key in PEM.
    pub(crate) identity: PathBuf,
    /// Its version, as it prints it.
    pub(crate) version: &'p str,
    /// Where its modules are.
    pub(crate) modules: &'p Path,
    /// Whether it is started by root.
    pub(crate) root: bool,
}

/// The text of a gateway's settings, or why there is none.
pub(crate) type Text = Result<String, String>;
