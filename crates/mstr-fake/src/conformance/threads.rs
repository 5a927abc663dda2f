//! A blocking transport in the suite: one thread a request.

use std::fmt;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Waker, ready};
use std::thread::{self, Thread};
use std::time::Instant;

use async_trait::async_trait;
use bytes::Bytes;
use futures_executor::block_on;
use http::{Request, Response};
use http_body::{Frame, SizeHint};
use mstr_core::{
    BlockingTransport, Body, BoxFuture, SharedTimer, Sleep, Timer, Transport, TransportError,
    TransportErrorKind, TransportInfo,
};
use tokio::sync::{mpsc, oneshot};

/// A [`BlockingTransport`] as a [`Transport`], so that it can run the conformance suite.
///
/// Every request has a thread, which sends it and then reads the answer's body, one piece ahead
/// of their caller. It needs no runtime: [`Backend::run`](super::Backend::run) can be
/// `futures_executor::block_on`.
///
/// It is made for tests. A thread that waits for a server cannot be told to stop, so a request
/// that is dropped goes on until its deadline; a backend over this lacks
/// [`SilentPeerCancel`](super::Capability::SilentPeerCancel).
#[derive(Debug)]
pub struct OnThreads<T>(Arc<T>);

impl<T: BlockingTransport> OnThreads<T> {
    /// Adapts `transport`.
    pub fn new(transport: T) -> Self {
        Self(Arc::new(transport))
    }
}

#[async_trait]
impl<T: BlockingTransport> Transport for OnThreads<T> {
    async fn send(&self, request: Request<Body>) -> Result<Response<Body>, TransportError> {
        let (tell, answer) = oneshot::channel();
        let transport = Arc::clone(&self.0);
        spawn(move || exchange(&*transport, request, tell))?;
        // Without a word the thread can only have panicked.
        answer.await.unwrap_or_else(|_| Err(TransportError::new(TransportErrorKind::Canceled)))
    }

    fn timer(&self) -> SharedTimer {
        SharedTimer::new(ThreadTimer(Arc::clone(&self.0)))
    }

    fn detach(&self, task: BoxFuture<'static, ()>) {
        // Without a thread it is given up, as it is without a runtime.
        drop(spawn(move || block_on(task)));
    }

    fn info(&self) -> TransportInfo {
        self.0.info()
    }
}

fn spawn(work: impl FnOnce() + Send + 'static) -> Result<(), TransportError> {
    let started = thread::Builder::new().name("on-threads".to_owned()).spawn(work);
    started.map(drop).map_err(TransportError::from_io)
}

type Answer = Result<Response<Body>, TransportError>;

/// The thread of one request.
fn exchange(
    transport: &impl BlockingTransport,
    request: Request<Body>,
    tell: oneshot::Sender<Answer>,
) {
    let (parts, mut body) = match transport.send(request) {
        Ok(response) => response.into_parts(),
        Err(error) => return drop(tell.send(Err(error))),
    };
    if body.as_bytes().is_some() {
        return drop(tell.send(Ok(Response::from_parts(parts, body))));
    }
    let (pieces, incoming) = mpsc::channel(1);
    let length = body.len_hint();
    let answer =
        Response::from_parts(parts, Body::wrap(ThreadBody { incoming, length, ended: false }));
    // A caller that has lost interest has dropped the other end; so is `body` then.
    if tell.send(Ok(answer)).is_err() {
        return;
    }
    loop {
        let piece = block_on(body.chunk()).transpose();
        let ended = !matches!(piece, Some(Ok(_)));
        if pieces.blocking_send(piece).is_err() || ended {
            return;
        }
    }
}

/// The pieces of a body that another thread reads.
struct ThreadBody {
    incoming: mpsc::Receiver<Option<Result<Bytes, TransportError>>>,
    length: Option<u64>,
    ended: bool,
}

impl http_body::Body for ThreadBody {
    type Data = Bytes;
    type Error = TransportError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, TransportError>>> {
        if self.ended {
            return Poll::Ready(None);
        }
        let piece = ready!(self.incoming.poll_recv(cx));
        // The thread says when the body has ended. Without a word it can only have panicked.
        let gone = || Some(Err(TransportError::new(TransportErrorKind::Canceled)));
        let piece = piece.unwrap_or_else(gone);
        match &piece {
            Some(Ok(data)) => {
                self.length = self.length.map(|left| left.saturating_sub(data.len() as u64));
            }
            Some(Err(_)) | None => self.ended = true,
        }
        Poll::Ready(piece.map(|piece| piece.map(Frame::data)))
    }

    fn is_end_stream(&self) -> bool {
        self.ended
    }

    fn size_hint(&self) -> SizeHint {
        self.length.map_or_else(SizeHint::default, SizeHint::with_exact)
    }
}

/// The clock of a blocking transport; each wait has a thread of its own.
struct ThreadTimer<T>(Arc<T>);

impl<T: BlockingTransport> Timer for ThreadTimer<T> {
    fn now(&self) -> Instant {
        self.0.now()
    }

    fn sleep_until(&self, deadline: Instant) -> Sleep {
        let shared = Arc::new(Mutex::new(Waiting { over: false, waker: None }));
        Box::pin(Wait { transport: Arc::clone(&self.0), deadline, shared, thread: None })
    }
}

impl<T> fmt::Debug for ThreadTimer<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ThreadTimer").finish_non_exhaustive()
    }
}

/// A sleep with a thread of its own, which ends with it.
struct Wait<T: BlockingTransport> {
    transport: Arc<T>,
    deadline: Instant,
    shared: Arc<Mutex<Waiting>>,
    thread: Option<Thread>,
}

struct Waiting {
    /// The time has come, or the caller has stopped waiting.
    over: bool,
    waker: Option<Waker>,
}

impl<T: BlockingTransport> Future for Wait<T> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let this = &mut *self;
        let mut waiting = this.shared.lock().unwrap_or_else(PoisonError::into_inner);
        if waiting.over || this.deadline <= this.transport.now() {
            return Poll::Ready(());
        }
        waiting.waker = Some(cx.waker().clone());
        if this.thread.is_none() {
            let (transport, deadline) = (Arc::clone(&this.transport), this.deadline);
            let shared = Arc::clone(&this.shared);
            let work = move || wait(&*transport, deadline, &shared);
            match thread::Builder::new().name("on-threads-timer".to_owned()).spawn(work) {
                Ok(handle) => this.thread = Some(handle.thread().clone()),
                // As if the runtime had shut down.
                Err(_) => return Poll::Ready(()),
            }
        }
        Poll::Pending
    }
}

impl<T: BlockingTransport> Drop for Wait<T> {
    fn drop(&mut self) {
        self.shared.lock().unwrap_or_else(PoisonError::into_inner).over = true;
        if let Some(thread) = &self.thread {
            thread.unpark();
        }
    }
}

fn wait(transport: &impl BlockingTransport, deadline: Instant, shared: &Mutex<Waiting>) {
    loop {
        let left = deadline.saturating_duration_since(transport.now());
        let mut waiting = shared.lock().unwrap_or_else(PoisonError::into_inner);
        waiting.over |= left.is_zero();
        if waiting.over {
            let waker = waiting.waker.take();
            drop(waiting);
            if let Some(waker) = waker {
                waker.wake();
            }
            return;
        }
        drop(waiting);
        thread::park_timeout(left);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, Ordering};
    use std::time::Duration;

    use super::*;

    /// Answers each request with a body that panics after its first piece, or at once.
    #[derive(Debug, Default)]
    struct Panicking {
        at_once: AtomicBool,
    }

    struct Half(bool);

    impl http_body::Body for Half {
        type Data = Bytes;
        type Error = TransportError;

        fn poll_frame(
            mut self: Pin<&mut Self>,
            _: &mut Context<'_>,
        ) -> Poll<Option<Result<Frame<Bytes>, TransportError>>> {
            assert!(!std::mem::replace(&mut self.0, true), "as the test has it");
            Poll::Ready(Some(Ok(Frame::data(Bytes::from("half")))))
        }
    }

    impl BlockingTransport for Panicking {
        fn send(&self, _: Request<Body>) -> Answer {
            assert!(!self.at_once.load(Ordering::SeqCst), "as the test has it");
            Ok(Response::new(Body::wrap(Half(false))))
        }

        #[expect(clippy::disallowed_methods, reason = "this is the clock of blocking code")]
        fn now(&self) -> Instant {
            Instant::now()
        }

        fn sleep_until(&self, _: Instant) {}
    }

    #[test]
    fn a_thread_that_panics_is_an_error_and_no_end() {
        let transport = OnThreads::new(Panicking::default());
        let answer = block_on(transport.send(Request::new(Body::empty())));
        let error = block_on(answer.unwrap().into_body().collect(usize::MAX)).unwrap_err();
        assert_eq!(error.kind(), TransportErrorKind::Canceled);
        transport.0.at_once.store(true, Ordering::SeqCst);
        let error = block_on(transport.send(Request::new(Body::empty()))).unwrap_err();
        assert_eq!(error.kind(), TransportErrorKind::Canceled);
    }

    #[test]
    fn a_wait_that_is_dropped_ends_its_thread() {
        let transport = OnThreads::new(Panicking::default());
        let timer = transport.timer();
        let mut wait = timer.sleep_until(timer.now() + Duration::from_secs(3600));
        assert!(wait.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
        drop((wait, timer));
        // The thread holds the transport while it runs.
        while Arc::strong_count(&transport.0) > 1 {
            thread::yield_now();
        }
    }
}
