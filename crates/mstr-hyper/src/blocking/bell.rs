//! Wakes threads once the runtime's present task is done, and not in the middle of it.
//!
//! hyper tells of an answer's head before it has read the body that came with it. A thread that is
//! woken by that runs at once, on another core: it finds no body and parks again, or gives its
//! connection back while hyper is still busy with it. Each costs another wake-up. So what the
//! runtime's own thread wakes waits until the tasks that were ready before have been polled.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, OnceLock};
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, ThreadId};

use http::{Request, Response};
use mstr_core::{Body, BoxFuture, SharedTimer, Transport, TransportError, TransportInfo};

use crate::sync::lock;
use crate::transport::HyperTransport;

#[derive(Default)]
pub(super) struct Bell {
    /// The runtime's.
    thread: OnceLock<ThreadId>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    waiting: Vec<Waker>,
    /// Of the task that wakes them, as long as it can run.
    ringer: Option<Waker>,
}

impl Bell {
    /// The task that wakes those that wait. To be spawned from the runtime's own thread.
    pub(super) fn ringer(self: Arc<Self>) -> impl Future<Output = ()> + Send + 'static {
        self.thread.get_or_init(|| thread::current().id());
        Ringer { bell: self, due: Vec::new() }
    }

    fn wake(&self, waker: &Waker) {
        if self.thread.get() != Some(&thread::current().id()) {
            return waker.wake_by_ref();
        }
        let mut state = lock(&self.state);
        // Of several only the first has to tell it.
        let ringer = state.ringer.as_ref().map(|it| state.waiting.is_empty().then(|| it.clone()));
        match ringer {
            Some(ringer) => {
                state.waiting.push(waker.clone());
                drop(state);
                ringer.into_iter().for_each(Waker::wake);
            }
            None => {
                drop(state);
                waker.wake_by_ref();
            }
        }
    }
}

struct Ringer {
    bell: Arc<Bell>,
    /// Those that are woken now. Its room is used again.
    due: Vec<Waker>,
}

impl Future for Ringer {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let Self { bell, due } = &mut *self;
        let mut state = lock(&bell.state);
        std::mem::swap(&mut state.waiting, due);
        match &mut state.ringer {
            Some(ringer) => ringer.clone_from(cx.waker()),
            none => *none = Some(cx.waker().clone()),
        }
        drop(state);
        due.drain(..).for_each(Waker::wake);
        Poll::Pending
    }
}

/// The runtime shuts down: from now on each is woken at once.
impl Drop for Ringer {
    fn drop(&mut self) {
        let mut state = lock(&self.bell.state);
        let ringer = state.ringer.take();
        let waiting = std::mem::take(&mut state.waiting);
        drop(state);
        drop(ringer);
        waiting.into_iter().for_each(Waker::wake);
    }
}

/// A transport on a runtime with a bell.
pub(super) struct Belled {
    pub(super) transport: HyperTransport,
    pub(super) bell: Arc<Bell>,
}

impl fmt::Debug for Belled {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.transport.fmt(f)
    }
}

impl Transport for Belled {
    fn send<'a, 'b>(
        &'a self,
        request: Request<Body>,
    ) -> BoxFuture<'b, Result<Response<Body>, TransportError>>
    where
        'a: 'b,
        Self: 'b,
    {
        let sending = self.transport.send(request);
        Box::pin(Waiting { sending, bell: Arc::clone(&self.bell), wakers: None })
    }

    fn timer(&self) -> SharedTimer {
        self.transport.timer()
    }

    fn detach(&self, task: BoxFuture<'static, ()>) {
        self.transport.detach(task);
    }

    fn info(&self) -> TransportInfo {
        self.transport.info()
    }
}

/// A request that is waited for.
struct Waiting<F> {
    sending: F,
    bell: Arc<Bell>,
    /// That of the thread, and the one that passes it to the bell.
    wakers: Option<(Waker, Waker)>,
}

impl<F: Future + Unpin> Future for Waiting<F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        let Self { sending, bell, wakers } = &mut *self;
        if !matches!(wakers, Some((known, _)) if known.will_wake(cx.waker())) {
            let passing = Passing { waker: cx.waker().clone(), bell: Arc::clone(bell) };
            *wakers = Some((cx.waker().clone(), Waker::from(Arc::new(passing))));
        }
        let waker = wakers.as_ref().map_or_else(|| cx.waker(), |(_, passing)| passing);
        Pin::new(sending).poll(&mut Context::from_waker(waker))
    }
}

struct Passing {
    waker: Waker,
    bell: Arc<Bell>,
}

impl Wake for Passing {
    fn wake(self: Arc<Self>) {
        self.bell.wake(&self.waker);
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.bell.wake(&self.waker);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    #[derive(Default)]
    struct Counted(AtomicUsize);

    impl Wake for Counted {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::SeqCst);
        }
    }

    fn poll(ringer: &mut Pin<Box<impl Future<Output = ()>>>, waker: &Waker) {
        assert!(ringer.as_mut().poll(&mut Context::from_waker(waker)).is_pending());
    }

    #[test]
    fn wake_up_waits_for_the_present_task_and_for_nothing_if_there_is_no_runtime() {
        let bell = Arc::new(Bell::default());
        let (thread, task) = (Arc::new(Counted::default()), Arc::new(Counted::default()));
        let (waker, ringers) = (Waker::from(Arc::clone(&thread)), Waker::from(Arc::clone(&task)));
        let counts = || (thread.0.load(Ordering::SeqCst), task.0.load(Ordering::SeqCst));

        bell.wake(&waker);
        assert_eq!(counts(), (1, 0), "there is no runtime yet");
        let mut ringer = Box::pin(Arc::clone(&bell).ringer());
        poll(&mut ringer, &ringers);
        bell.wake(&waker);
        assert_eq!(counts(), (1, 1));
        poll(&mut ringer, &ringers);
        assert_eq!(counts(), (2, 1));
        thread::scope(|scope| scope.spawn(|| bell.wake(&waker)).join()).unwrap();
        assert_eq!(counts(), (3, 1), "from another thread at once");
        bell.wake(&waker);
        drop(ringer);
        assert_eq!(counts(), (4, 2), "the runtime has ended");
        bell.wake(&waker);
        assert_eq!(counts(), (5, 2));
    }
}
