//! Connecting without naming a transport.

use std::future::Future;

use mstr_core::{Builder, Connection, Error, NoTransport, SharedTransport, blocking};
use mstr_hyper::HyperTransport;
use mstr_hyper::blocking::HyperBlocking;

/// Lets a [`Builder`] without a transport connect over hyper, with the platform's certificates and
/// a pool of its own. In the [prelude](crate::prelude).
///
/// Without the feature `hyper` there is no such trait, and a builder without a transport cannot
/// connect: the program does not compile.
pub trait DefaultTransport: Sized {
    /// Opens the connection; see [`Builder::connect`].
    ///
    /// # Errors
    ///
    /// [`Config`](mstr_core::ErrorKind::Config) outside a tokio runtime, and those of
    /// [`Builder::connect`].
    ///
    /// # Cancel safety
    ///
    /// That of [`Builder::connect`].
    fn connect(self) -> impl Future<Output = Result<Connection, Error>> + Send;

    /// Opens a blocking connection, on a transport with a thread of its own.
    ///
    /// # Errors
    ///
    /// Those of [`Builder::connect`].
    fn connect_blocking(self) -> Result<blocking::Connection, Error>;
}

impl DefaultTransport for Builder<NoTransport> {
    async fn connect(self) -> Result<Connection, Error> {
        with_hyper(self)?.connect().await
    }

    fn connect_blocking(self) -> Result<blocking::Connection, Error> {
        self.blocking_transport(HyperBlocking::new()?).connect()
    }
}

fn with_hyper(builder: Builder<NoTransport>) -> Result<Builder<SharedTransport>, Error> {
    Ok(builder.transport(HyperTransport::new()?))
}
