#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

pub mod blocking;

mod body;
mod builder;
mod client;
mod convert;
mod error;
mod quiet;
mod timer;
mod tls;
mod transport;

pub use builder::IsahcTransportBuilder;
pub use mstr_core::{ProxyConfig, TlsConfig, TlsVersion};
pub use timer::ThreadTimer;
pub use transport::IsahcTransport;
