//! Connecting without naming a transport.

use std::future::Future;

use mstr_core::{Connection, ConnectionBuilder, Error, NoTransport, SharedTransport, blocking};
use mstr_core::{ProxyConfig, SharedBlockingTransport, TlsConfig};
use mstr_hyper::blocking::HyperBlocking;
use mstr_hyper::{HyperTransport, HyperTransportBuilder};

/// Connects a [`ConnectionBuilder`] over the default transport, [`HyperTransport`].
///
/// Import it with `use mstr::prelude::*;`.
///
/// ```no_run
/// use mstr::prelude::*;
///
/// # async fn run() -> Result<(), Error> {
/// let connection = Connection::builder("https://env.example.com/MicroStrategyLibrary")
///     .standard("username", "password")
///     .tls(mstr::TlsConfig::new().add_root_pem_file("company.pem"))
///     .build()?;
/// let mut events = connection.events(); // before the first login
/// connection.open().await?;
/// println!("{:?}", events.next().await);
/// connection.close().await;
/// # Ok(())
/// # }
/// ```
///
/// Each connection gets a transport with a connection pool of its own, with the settings of
/// [`tls`](ConnectionBuilder::tls) and [`proxy`](ConnectionBuilder::proxy). To share a pool, or for
/// further settings, make a transport and give it to [`transport`](ConnectionBuilder::transport).
///
/// Without the feature `hyper` this trait does not exist, and a builder without a transport does not
/// compile with `connect`.
pub trait DefaultTransport: Sized + sealed::Sealed {
    /// Opens an async connection: logs in, and finds the project if one is given; see
    /// [`ConnectionBuilder::connect`].
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

    /// Builds an async connection without opening it: the first request logs in.
    ///
    /// # Errors
    ///
    /// [`Config`](mstr_core::ErrorKind::Config) outside a tokio runtime, and for a setting that cannot
    /// work.
    fn build(self) -> Result<Connection, Error>;

    /// Opens a blocking connection, over a transport with a thread of its own. Needs no runtime.
    ///
    /// # Errors
    ///
    /// [`Config`](mstr_core::ErrorKind::Config) if the thread cannot be started, and those of
    /// [`ConnectionBuilder::connect`].
    fn connect_blocking(self) -> Result<blocking::Connection, Error>;

    /// Builds a blocking connection without opening it: the first request logs in.
    ///
    /// # Errors
    ///
    /// [`Config`](mstr_core::ErrorKind::Config) if the thread cannot be started, and for a setting that
    /// cannot work.
    fn build_blocking(self) -> Result<blocking::Connection, Error>;
}

/// No other type has a default transport, so that the trait can grow.
mod sealed {
    #[allow(unnameable_types, reason = "that is what it is for")]
    pub trait Sealed {}

    impl Sealed for mstr_core::ConnectionBuilder<mstr_core::NoTransport> {}
}

impl DefaultTransport for ConnectionBuilder<NoTransport> {
    async fn connect(self) -> Result<Connection, Error> {
        with_hyper(self)?.connect().await
    }

    fn build(self) -> Result<Connection, Error> {
        with_hyper(self)?.build()
    }

    fn connect_blocking(self) -> Result<blocking::Connection, Error> {
        with_blocking_hyper(self)?.connect()
    }

    fn build_blocking(self) -> Result<blocking::Connection, Error> {
        with_blocking_hyper(self)?.build()
    }
}

fn with_hyper(mut builder: ConnectionBuilder) -> Result<ConnectionBuilder<SharedTransport>, Error> {
    let transport = described(builder.take_transport_settings()).build()?;
    Ok(builder.transport(transport))
}

fn with_blocking_hyper(
    mut builder: ConnectionBuilder,
) -> Result<ConnectionBuilder<SharedBlockingTransport>, Error> {
    let settings = described(builder.take_transport_settings());
    Ok(builder.blocking_transport(HyperBlocking::from_builder(settings)?))
}

fn described((tls, proxy): (TlsConfig, ProxyConfig)) -> HyperTransportBuilder {
    HyperTransport::builder().tls(tls).proxy(proxy)
}
