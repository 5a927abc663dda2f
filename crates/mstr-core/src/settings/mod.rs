//! Settings that mean the same on every transport: whom to trust, who to be, which proxies to
//! use.
//!
//! They are values. Nothing is read and nothing decided here; a transport calls
//! [`TlsConfig::load`] and [`ProxyConfig::resolve`] when it is built, and so reports every mistake
//! before anything is sent. What a stack cannot do it refuses then: a setting is honoured or it is
//! an error, never ignored.

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
