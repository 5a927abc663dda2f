//! Keeping isahc's log to itself.
//!
//! Whenever a subscriber is interested in isahc's spans, isahc has libcurl report every byte that
//! it sends and receives, and puts that out under the target `isahc::wire`: tokens, cookies and
//! passwords included, whether a header is marked sensitive or not. It decides when a request is
//! made, by whether a subscriber accepts the span it makes then. So requests are made where no
//! subscriber listens.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use tracing::dispatcher::{self, Dispatch};
use tracing::subscriber::NoSubscriber;

/// A subscriber that accepts nothing.
///
/// Made once and kept, because it has to be known to `tracing` for as long as it is used: a place
/// in the code that every known subscriber accepts is reported without asking.
#[derive(Clone)]
pub(crate) struct Silence(Dispatch);

impl Silence {
    pub(crate) fn new() -> Self {
        Self(Dispatch::new(NoSubscriber::new()))
    }

    /// Runs `action` where no subscriber listens.
    pub(crate) fn within<T>(&self, action: impl FnOnce() -> T) -> T {
        dispatcher::with_default(&self.0, action)
    }

    /// Polls `future` where no subscriber listens.
    pub(crate) fn around<F>(&self, future: F) -> Silenced<F> {
        Silenced { silence: self.clone(), future }
    }
}

/// A future that is polled where no subscriber listens.
pub(crate) struct Silenced<F> {
    silence: Silence,
    future: F,
}

impl<F: Future + Unpin> Future for Silenced<F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        let this = &mut *self;
        let future = Pin::new(&mut this.future);
        this.silence.within(|| future.poll(cx))
    }
}
