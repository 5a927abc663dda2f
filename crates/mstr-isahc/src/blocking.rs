//! The transport for blocking code.

use std::time::Instant;

use mstr_core::blocking::BlockOn;
use mstr_core::{BlockingTransport, Body, Pending, TransportError, TransportInfo};

use crate::builder::IsahcTransportBuilder;
use crate::transport::IsahcTransport;

/// A [`BlockingTransport`] over isahc, with its own connection pool and thread.
///
/// ```no_run
/// # mod mstr { pub use mstr_core::*; pub mod isahc { pub use mstr_isahc::*; } }
/// use mstr::Connection;
/// use mstr::isahc::blocking::IsahcBlocking;
///
/// # fn main() -> Result<(), mstr::Error> {
/// let connection = Connection::builder("https://env.example.com/MicroStrategyLibrary")
///     .standard("username", "password")
///     .blocking_transport(IsahcBlocking::new()?)
///     .connect()?;
/// connection.close();
/// # Ok(())
/// # }
/// ```
///
/// To share one transport between connections, put it into a
/// [`SharedBlockingTransport`](mstr_core::SharedBlockingTransport), which can be cloned.
///
/// Calls park while the thread of isahc does the work. The transport needs no runtime and can be shared
/// by any number of threads. It may be used and dropped inside asynchronous code.
#[derive(Debug)]
pub struct IsahcBlocking(BlockOn<IsahcTransport>);

impl IsahcBlocking {
    /// Makes a transport with the default settings.
    ///
    /// # Errors
    ///
    /// [`Config`](mstr_core::ErrorKind::Config) if isahc's thread cannot be started.
    pub fn new() -> Result<Self, mstr_core::Error> {
        Self::from_builder(IsahcTransportBuilder::new())
    }

    /// Makes a transport with the settings of `builder`.
    ///
    /// # Errors
    ///
    /// Those of [`IsahcTransportBuilder::build`].
    pub fn from_builder(builder: IsahcTransportBuilder) -> Result<Self, mstr_core::Error> {
        Ok(Self(BlockOn::new(builder.build()?)))
    }
}

impl BlockingTransport for IsahcBlocking {
    fn send(&self, request: http::Request<Body>) -> Result<http::Response<Body>, TransportError> {
        self.0.send(request)
    }

    fn start(&self, request: http::Request<Body>) -> Box<dyn Pending> {
        self.0.start(request)
    }

    fn now(&self) -> Instant {
        self.0.now()
    }

    fn sleep_until(&self, deadline: Instant) {
        self.0.sleep_until(deadline);
    }

    fn park_until(&self, deadline: Instant) {
        self.0.park_until(deadline);
    }

    fn send_detached(&self, request: http::Request<Body>) {
        self.0.send_detached(request);
    }

    fn info(&self) -> TransportInfo {
        self.0.info()
    }
}
