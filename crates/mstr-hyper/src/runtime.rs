//! The runtime a transport lives on, reached from anywhere.
//!
//! A transport can be polled on another runtime, or on none, and can outlive its own. So the caller
//! polls nothing that needs tokio's context: sockets and timers are driven by tasks on the captured
//! handle. When the runtime shuts down, its tasks are dropped and the caller sees that as the end
//! of its wait; polling a tokio timer or socket directly would panic.

use std::convert::Infallible;
use std::future::{Future, pending};
use std::pin::Pin;
use std::task::{Context, Poll};

use mstr_core::{TransportError, TransportErrorKind};
use tokio::runtime::Handle;
use tokio::sync::mpsc;
use tokio::task::coop::{Unconstrained, unconstrained};
use tokio::task::{AbortHandle, JoinError, JoinHandle};

/// Keeps the thread of a [`HyperBlocking`](crate::blocking::HyperBlocking) running while this value
/// exists.
pub(crate) type KeepAlive = mpsc::Sender<Infallible>;

/// A handle to a runtime.
#[derive(Clone)]
pub(crate) struct Runtime(Handle);

impl Runtime {
    pub(crate) fn new(handle: Handle) -> Self {
        Self(handle)
    }

    /// The runtime of the calling task.
    pub(crate) fn current() -> Result<Handle, TransportError> {
        Handle::try_current().map_err(|error| {
            TransportError::new(TransportErrorKind::Config)
                .with_detail("there is no tokio runtime here: pass one to HyperTransport::builder().runtime(..), or use \
                 the blocking transport")
                .with_source(error)
        })
    }

    pub(crate) fn handle(&self) -> &Handle {
        &self.0
    }

    /// Whether the calling code runs on it.
    pub(crate) fn is_current(&self) -> bool {
        Handle::try_current().is_ok_and(|current| current.id() == self.0.id())
    }

    /// Whether it shuts down or has. tokio tells it only by not taking a task.
    pub(crate) fn has_ended(&self) -> bool {
        let probe = self.0.spawn(pending::<()>());
        let refused = probe.is_finished();
        probe.abort();
        refused
    }

    pub(crate) fn spawn<T: Send + 'static>(
        &self,
        future: impl Future<Output = T> + Send + 'static,
    ) -> Task<T> {
        let handle = self.0.spawn(future);
        let abort = handle.abort_handle();
        // A tokio task that has used up its budget is told to wait until it has yielded. Code
        // that parks inside a task, as the blocking transport does, would never yield.
        Task { handle: unconstrained(handle), abort }
    }
}

impl<F: Future<Output = ()> + Send + 'static> hyper::rt::Executor<F> for Runtime {
    fn execute(&self, task: F) {
        drop(self.0.spawn(task));
    }
}

/// A task that ends when this is dropped.
pub(crate) struct Task<T> {
    handle: Unconstrained<JoinHandle<T>>,
    abort: AbortHandle,
}

impl<T> Future for Task<T> {
    type Output = Result<T, JoinError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        Pin::new(&mut self.handle).poll(cx)
    }
}

impl<T> Drop for Task<T> {
    fn drop(&mut self) {
        self.abort.abort();
    }
}
