#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

pub mod blocking;

mod body;
mod builder;
mod connector;
mod error;
mod runtime;
mod timer;
mod tls;
mod transport;

pub use builder::HyperTransportBuilder;
pub use mstr_core::{ProxyConfig, TlsConfig, TlsVersion};
pub use timer::TokioTimer;
pub use transport::HyperTransport;
