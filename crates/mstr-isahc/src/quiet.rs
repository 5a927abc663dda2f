//! Keeping isahc's log to itself.
//!
//! Whenever a subscriber is interested in isahc's spans, isahc has libcurl report every byte that
//! it sends and receives, and puts that out under the target `isahc::wire`: tokens, cookies and
//! passwords included, whether a header is marked sensitive or not. It decides when a request is
//! made, by whether the span it makes then is of interest to anybody. So requests are made where
//! nobody listens.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use tracing::dispatcher::{self, Dispatch};
use tracing::subscriber::NoSubscriber;

/// Somebody who is interested in nothing.
///
/// Made once and kept, because it has to be known to `tracing` for as long as it is used: a place
/// in the code that everybody known wants to hear of is put out without asking.
#[derive(Clone)]
pub(crate) struct Silence(Dispatch);

impl Silence {
    pub(crate) fn new() -> Self {
        Self(Dispatch::new(NoSubscriber::new()))
    }

    /// Does something where nobody listens.
    pub(crate) fn within<T>(&self, action: impl FnOnce() -> T) -> T {
        dispatcher::with_default(&self.0, action)
    }

    /// Polls `future` where nobody listens.
    pub(crate) fn around<F>(&self, future: F) -> Silenced<F> {
        Silenced { silence: self.clone(), future }
    }
}

/// A future that is polled where nobody listens.
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
