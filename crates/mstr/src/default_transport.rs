//! Connecting without naming a transport.

use std::future::Future;

use mstr_core::{Connection, ConnectionBuilder, Error, NoTransport, SharedTransport, blocking};
use mstr_hyper::HyperTransport;
use mstr_hyper::blocking::HyperBlocking;

/// Lets a [`ConnectionBuilder`] without a transport connect over hyper, with the platform's certificates and
/// a pool of its own. In the [prelude](crate::prelude).
///
/// Without the feature `hyper` there is no such trait, and a builder without a transport cannot
/// connect: the program does not compile.
pub trait DefaultTransport: Sized {
    /// Opens the connection; see [`ConnectionBuilder::connect`].
    ///
    /// # Errors
    ///
    /// [`Config`](mstr_core::ErrorKind::Config) outside a tokio runtime, and those of
    /// [`ConnectionBuilder::connect`].
    ///
    /// # Cancel safety
    ///
    /// That of [`ConnectionBuilder::connect`].
    fn connect(self) -> impl Future<Output = Result<Connection, Error>> + Send;

    /// Opens a blocking connection, on a transport with a thread of its own.
    ///
    /// # Errors
    ///
    /// Those of [`ConnectionBuilder::connect`].
    fn connect_blocking(self) -> Result<blocking::Connection, Error>;
}

impl DefaultTransport for ConnectionBuilder<NoTransport> {
    async fn connect(self) -> Result<Connection, Error> {
        with_hyper(self)?.connect().await
    }

    fn connect_blocking(self) -> Result<blocking::Connection, Error> {
        self.blocking_transport(HyperBlocking::new()?).connect()
    }
}

fn with_hyper(
    builder: ConnectionBuilder<NoTransport>,
) -> Result<ConnectionBuilder<SharedTransport>, Error> {
    Ok(builder.transport(HyperTransport::new()?))
}
