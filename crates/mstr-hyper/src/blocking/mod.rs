//! The transport for blocking code.

use std::convert::Infallible;
use std::fmt;
use std::sync::mpsc as sync_mpsc;
use std::thread;
use std::time::Instant;

use mstr_core::blocking::BlockOn;
use mstr_core::{
    BlockingTransport, Body, Pending, TransportError, TransportErrorKind, TransportInfo,
};
use tokio::runtime::{self, Handle};
use tokio::sync::mpsc;

use crate::builder::HyperTransportBuilder;
use crate::transport::HyperTransport;

/// A [`BlockingTransport`] over hyper.
///
/// It owns one thread with a tokio runtime on it; calls hand their request to that thread and
/// park. So it needs no runtime of the caller's, can be shared by any number of threads, and may
/// be used and dropped inside asynchronous code, where it blocks the calling thread but does not
/// panic. Response bodies are read without a runtime as well.
///
/// The thread ends when the transport, the bodies of its responses, the requests it has started
/// and those it was told to send in the background are gone. Dropping the transport does not wait
/// for that.
pub struct HyperBlocking(BlockOn<HyperTransport>);

impl HyperBlocking {
    /// A transport with the default settings.
    ///
    /// # Errors
    ///
    /// [`Config`](mstr_core::ErrorKind::Config) if the thread or its runtime cannot be started.
    pub fn new() -> Result<Self, mstr_core::Error> {
        Self::from_builder(HyperTransportBuilder::new())
    }

    /// A transport with the settings of `builder`, whose runtime is not used.
    ///
    /// # Errors
    ///
    /// Those of [`HyperTransportBuilder::build`] and [`new`](Self::new).
    pub fn from_builder(builder: HyperTransportBuilder) -> Result<Self, mstr_core::Error> {
        let (keep, kept) = mpsc::channel(1);
        let runtime = start(kept)?;
        Ok(Self(BlockOn::new(builder.runtime(runtime).build_kept(Some(keep))?)))
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
        // What it holds of the transport keeps the thread, too.
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
fn start(mut kept: mpsc::Receiver<Infallible>) -> Result<Handle, TransportError> {
    let (tell, started) = sync_mpsc::sync_channel(1);
    let run = move || match runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => {
            // Nobody listening means that nobody will send anything either.
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
