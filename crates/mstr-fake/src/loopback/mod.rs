//! The server on a loopback socket, for clients in any language.
//!
//! It runs on a thread of its own, so tests need no runtime for it, and in real time. It listens
//! on this machine only: it holds passwords in clear and answers every client.

mod body;
mod http;
mod proxy;
mod raw;
mod relay;
mod running;
mod socket;
mod tls;

pub use self::http::{HttpServer, HttpServerBuilder};
pub use self::proxy::{ProxyEntry, ProxyKind, ProxyServer, ProxyServerBuilder};
pub use self::raw::{RawConnection, RawRequest, RawServer};
pub use self::relay::{Cut, Direction, Relay};
pub use self::tls::{Authority, Identity, ServerTls};
