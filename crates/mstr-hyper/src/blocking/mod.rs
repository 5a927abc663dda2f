//! The transport for blocking code.

mod bell;

use std::convert::Infallible;
use std::fmt;
use std::sync::{Arc, mpsc as sync_mpsc};
use std::thread;
use std::time::Instant;

use mstr_core::blocking::BlockOn;
use mstr_core::{
    BlockingTransport, Body, Pending, TransportError, TransportErrorKind, TransportInfo,
};
use tokio::runtime::{self, Handle};
use tokio::sync::mpsc;

use self::bell::{Bell, Belled};
use crate::builder::HyperTransportBuilder;

/// A [`BlockingTransport`] over hyper, with its own connection pool and thread.
///
/// ```no_run
/// # mod mstr { pub use mstr_core::*; pub mod hyper { pub use mstr_hyper::*; } }
/// use mstr::Connection;
/// use mstr::hyper::HyperTransport;
/// use mstr::hyper::blocking::HyperBlocking;
///
/// # fn main() -> Result<(), mstr::Error> {
/// let settings = HyperTransport::builder().max_connections_per_host(20);
/// let connection = Connection::builder("https://env.example.com/MicroStrategyLibrary")
///     .standard("username", "password")
///     .blocking_transport(HyperBlocking::from_builder(settings)?)
///     .connect()?;
/// connection.close();
/// # Ok(())
/// # }
/// ```
///
/// To share one transport between connections, put it into a
/// [`SharedBlockingTransport`](mstr_core::SharedBlockingTransport), which can be cloned.
///
/// The transport owns one thread with a tokio runtime. Calls hand their request to that thread and
/// park, so the program needs no runtime. The transport can be shared by any number of threads. Inside
/// asynchronous code it blocks the calling thread, but does not panic.
///
/// The thread ends when the transport, its requests and the bodies of its responses are gone. Dropping
/// the transport does not wait for that.
pub struct HyperBlocking(BlockOn<Belled>);

impl HyperBlocking {
    /// Makes a transport with the default settings.
    ///
    /// # Errors
    ///
    /// [`Config`](mstr_core::ErrorKind::Config) if the thread or its runtime cannot be started.
    pub fn new() -> Result<Self, mstr_core::Error> {
        Self::from_builder(HyperTransportBuilder::new())
    }

    /// Makes a transport with the settings of `builder`. A runtime in it is ignored.
    ///
    /// # Errors
    ///
    /// Those of [`HyperTransportBuilder::build`] and [`new`](Self::new).
    pub fn from_builder(builder: HyperTransportBuilder) -> Result<Self, mstr_core::Error> {
        let (keep, kept) = mpsc::channel(1);
        let bell = Arc::new(Bell::default());
        let runtime = start(kept, Arc::clone(&bell))?;
        let transport = builder.runtime(runtime).build_kept(Some(keep))?;
        Ok(Self(BlockOn::new(Belled { transport, bell })))
    }
}

impl BlockingTransport for HyperBlocking {
    fn send(&self, request: http::Request<Body>) -> Result<http::Response<Body>, TransportError> {
        self.0.send(request)
    }

    fn start(&self, request: http::Request<Body>) -> Box<dyn Pending> {
        // It holds the transport, and so keeps the thread, too.
        self.0.start(request)
    }

    #[expect(clippy::disallowed_methods, reason = "this is the timer of blocking code")]
    fn now(&self) -> Instant {
        Instant::now()
    }

    #[expect(clippy::disallowed_methods, reason = "this is the timer of blocking code")]
    fn sleep_until(&self, deadline: Instant) {
        // Sleeping may end early on some platforms.
        while let Some(left) = deadline.checked_duration_since(self.now()) {
            if left.is_zero() {
                return;
            }
            thread::sleep(left);
        }
    }

    fn send_detached(&self, request: http::Request<Body>) {
        // It holds the transport, and so keeps the thread, too.
        self.0.send_detached(request);
    }

    fn info(&self) -> TransportInfo {
        self.0.info()
    }
}

impl fmt::Debug for HyperBlocking {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HyperBlocking").field("transport", self.0.get_ref()).finish_non_exhaustive()
    }
}

/// Starts a thread that runs a runtime until every [`KeepAlive`](crate::runtime::KeepAlive) is gone.
///
/// The runtime is made, run and dropped over there: a runtime that is dropped inside
/// asynchronous code panics.
fn start(mut kept: mpsc::Receiver<Infallible>, bell: Arc<Bell>) -> Result<Handle, TransportError> {
    let (tell, started) = sync_mpsc::sync_channel(1);
    let run = move || match runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => {
            runtime.spawn(bell.ringer());
            // If the constructor has gone, no request will come either.
            drop(tell.send(Ok(runtime.handle().clone())));
            runtime.block_on(kept.recv());
            // A name lookup cannot be interrupted, and is not worth waiting for.
            runtime.shutdown_background();
        }
        Err(error) => {
            drop(tell.send(Err(error)));
        }
    };
    let failed = |error| {
        TransportError::new(TransportErrorKind::Config)
            .with_detail("the transport's thread cannot be started")
            .with_source(error)
    };
    thread::Builder::new().name("mstr-hyper".to_owned()).spawn(run).map_err(failed)?;
    match started.recv() {
        Ok(runtime) => runtime.map_err(failed),
        Err(_) => Err(TransportError::new(TransportErrorKind::Config)
            .with_detail("the transport's thread ended at once")),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use mstr_core::Transport as _;

    use super::*;

    #[test]
    fn the_thread_ends_with_the_transport() {
        let transport = HyperBlocking::new().unwrap();
        let timer = transport.0.get_ref().timer();
        let waiting = timer.sleep_until(timer.now() + Duration::from_secs(3600));
        let waiting = thread::spawn(move || futures_executor::block_on(waiting));
        drop(transport);
        // Ends because its runtime does.
        waiting.join().unwrap();
    }
}
