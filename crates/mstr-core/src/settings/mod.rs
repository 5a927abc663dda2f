//! TLS and proxy settings that mean the same on every transport.
//!
//! The settings are plain values. A transport calls [`TlsConfig::load`] and [`ProxyConfig::resolve`]
//! when it is built, and so reports every mistake before anything is sent. A setting that its HTTP
//! stack cannot honour is an error; no setting is ignored.

mod pem;
mod proxy;
mod tls;

pub use pem::Pem;
pub use proxy::{Proxies, Proxy, ProxyConfig, ProxyScheme};
pub use tls::{LoadedTls, RootSource, TlsConfig, TlsVersion};

use std::borrow::Cow;

use crate::contract::{Sent, TransportError, TransportErrorKind};

/// A setting that cannot work.
fn refuse(detail: impl Into<Cow<'static, str>>) -> TransportError {
    TransportError::new(TransportErrorKind::Config).with_sent(Sent::No).with_detail(detail)
}
