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
pub use timer::TokioTimer;
pub use tls::{TlsConfig, TlsVersion};
pub use transport::HyperTransport;
