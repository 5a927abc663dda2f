//! One request on a connection, until its answer has ended.
//!
//! The caller polls it. If it does not, the pool's keeper goes on with it when its time is over
//! or other requests wait for the connection.

use std::collections::VecDeque;
use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use http::{Request, Response, Uri};
use http_body::{Body as _, Frame, SizeHint};
use hyper::body::Incoming;
use hyper::client::conn::{TrySendError, http1};
use mstr_core::toolkit::{BodyFailure, Peer, Stage, UploadBody};
use mstr_core::{Sent, TransportError, TransportErrorKind as Kind};
use tokio_util::sync::ReusableBoxFuture;

use super::clock::{Clock, NEVER};
use super::order::{Order, Terms};
use crate::error::classify;
use crate::sync::lock;

/// How much is read ahead at most of an unread answer while other requests wait for its connection.
const AHEAD: usize = 256 * 1024;

/// The length in bytes up to which a body is short. Not more than arrives at once.
const SHORT: u64 = 8 * 1024;

pub(super) type Sender = http1::SendRequest<UploadBody>;
type Answered = Result<Response<Incoming>, Refused>;
type Refused = TrySendError<Request<UploadBody>>;
type Piece = Option<Result<Frame<Bytes>, TransportError>>;

/// The head of an answer.
pub(super) struct Head {
    pub(super) response: Response<()>,
    /// The size of its body, as far as the head tells.
    pub(super) size: SizeHint,
    /// A short body, if all of it was there with the head.
    pub(super) whole: Bytes,
    /// There is nothing more, and the exchange is no longer the caller's.
    pub(super) last: bool,
}

/// Why there is no head.
pub(super) enum NoHead {
    /// The request has been given back: nothing of it was written.
    Unsent(Box<Unsent>),
    Failed(TransportError),
}

pub(super) struct Unsent {
    pub(super) order: Order,
    pub(super) error: TransportError,
    /// The connection had given an answer before.
    pub(super) reused: bool,
}

/// One request on a connection. That of a connection over HTTP/1.1 is used again for its next one,
/// so its caller lets go of it as soon as it has ended.
pub(crate) struct Exchange {
    /// When the wait that goes on is over. `NEVER` while none does. Changed while the state is locked.
    until: AtomicU64,
    state: Mutex<State>,
}

struct State {
    phase: Phase,
    /// The wait for a head. Its room is used again for the connection's next request.
    answer: Option<ReusableBoxFuture<'static, Answered>>,
    active: Option<Active>,
    /// The head, until the caller has taken it.
    head: Option<(Response<()>, SizeHint)>,
    /// Frames that were read while the caller did not read.
    ahead: VecDeque<Frame<Bytes>>,
    waker: Option<Waker>,
    /// The caller has polled since the keeper came by.
    polled: bool,
}

enum Phase {
    /// The caller holds nothing of it.
    Free,
    Head,
    Body(Incoming),
    /// The connection has been released, and the caller has not taken everything yet.
    Ended,
    Failed(Box<NoHead>),
}

/// The connection of an exchange.
pub(super) trait Carrier: Send + Sync {
    /// Scheme and authority of its server.
    fn address(&self) -> &Uri;

    /// Its server, for errors.
    fn peer(&self) -> &Peer;

    /// Whether it had given an answer before.
    fn is_used(&self) -> bool;

    /// Whether its runtime has shut down.
    fn is_stranded(&self) -> bool;

    /// An exchange on it has ended. Called when nothing is locked.
    fn release(self: Arc<Self>, sender: Option<Sender>, number: u64, how: How, upload: BodyFailure);
}

/// How an exchange has ended.
#[derive(Clone, Copy)]
pub(super) enum How {
    /// Its connection may be used again, if its stack says so.
    Whole,
    /// It gave no sign of life in time.
    Silent,
    /// It takes no more requests.
    Closed,
    /// It broke, or was given up in the middle.
    Broken,
}

/// The parts of an exchange that is under way.
struct Active {
    connection: Arc<dyn Carrier>,
    /// Over HTTP/1.1.
    sender: Option<Sender>,
    terms: Terms,
    /// Its place among the requests to its server.
    number: u64,
}

/// The next use of the connection of an exchange that has ended, once nothing is locked.
struct Release {
    connection: Arc<dyn Carrier>,
    sender: Option<Sender>,
    number: u64,
    how: How,
    upload: BodyFailure,
}

fn release(release: Option<Release>) {
    if let Some(Release { connection, sender, number, how, upload }) = release {
        connection.release(sender, number, how, upload);
    }
}

impl Exchange {
    pub(super) fn new() -> Self {
        Self {
            until: AtomicU64::new(NEVER),
            state: Mutex::new(State {
                phase: Phase::Free,
                answer: None,
                active: None,
                head: None,
                ahead: VecDeque::new(),
                waker: None,
                polled: true,
            }),
        }
    }

    pub(super) fn begin(
        &self,
        connection: Arc<dyn Carrier>,
        sender: Option<Sender>,
        answer: impl Future<Output = Answered> + Send + 'static,
        terms: Terms,
        number: u64,
    ) {
        let mut state = lock(&self.state);
        self.until.store(terms.until, Ordering::SeqCst);
        state.phase = Phase::Head;
        match &mut state.answer {
            Some(room) => room.set(answer),
            none => *none = Some(ReusableBoxFuture::new(answer)),
        }
        state.active = Some(Active { connection, sender, terms, number });
        state.polled = true;
    }

    pub(super) fn until(&self) -> u64 {
        self.until.load(Ordering::SeqCst)
    }

    /// Whether its answer has not ended yet.
    pub(super) fn goes_on(&self) -> bool {
        lock(&self.state).active.is_some()
    }

    /// Whether no part of the last request is in use.
    pub(super) fn is_free(&self) -> bool {
        matches!(lock(&self.state).phase, Phase::Free)
    }

    pub(super) fn poll_head(&self, cx: &mut Context<'_>) -> Poll<Result<Head, NoHead>> {
        let mut state = lock(&self.state);
        state.polled = true;
        let mut release = state.advance_head(cx);
        let answer = if let Some((response, size)) = state.head.take() {
            let (whole, ended) = state.take_short(size, cx);
            release = release.or(ended);
            let last = state.is_taken();
            Ok(Head { response, size, whole, last })
        } else if let Some(error) = state.take_failure() {
            Err(*error)
        } else {
            state.remember(cx);
            return Poll::Pending;
        };
        self.until.store(NEVER, Ordering::SeqCst);
        drop(state);
        self::release(release);
        Poll::Ready(answer)
    }

    /// The next piece of the body, and whether the exchange is no longer the caller's.
    pub(super) fn poll_frame(&self, clock: &Clock, cx: &mut Context<'_>) -> Poll<(Piece, bool)> {
        let mut state = lock(&self.state);
        state.polled = true;
        if let Some(frame) = state.ahead.pop_front() {
            self.until.store(NEVER, Ordering::SeqCst);
            let last = state.is_taken();
            return Poll::Ready((Some(Ok(frame)), last));
        }
        if let Some(error) = state.take_failure() {
            return Poll::Ready((Some(Err(error.into_error())), true));
        }
        let (polled, release) = state.advance_body(cx);
        let Poll::Ready(piece) = polled else {
            state.remember(cx);
            let idle = state.active.as_ref().and_then(|active| active.terms.idle);
            if let Some(idle) = idle.filter(|_| self.until() == NEVER) {
                let until = clock.after(idle);
                self.until.store(until, Ordering::SeqCst);
                drop(state);
                clock.wake_by(until);
            }
            return Poll::Pending;
        };
        self.until.store(NEVER, Ordering::SeqCst);
        let last = state.is_taken();
        drop(state);
        self::release(release);
        Poll::Ready((piece, last))
    }

    /// The connection's task has ended, so that no answer comes any more.
    ///
    /// A request that was sent at that very moment may have reached the stack's channel after the
    /// task had emptied it. Then it lies there for as long as its sender exists, and is given back as
    /// unsent when that is gone.
    pub(super) fn disconnect(&self) {
        let mut state = lock(&self.state);
        let waits = matches!(state.phase, Phase::Head);
        let sender = state.active.as_mut().filter(|_| waits).and_then(|it| it.sender.take());
        // Dropping it may wake the caller.
        drop(state);
        drop(sender);
    }

    /// The caller is gone.
    pub(super) fn abandon(&self) {
        let mut state = lock(&self.state);
        self.until.store(NEVER, Ordering::SeqCst);
        state.ahead.clear();
        state.head = None;
        // Of a body the stack reads what is there already, and closes the connection otherwise.
        let how = match state.phase {
            Phase::Body(_) => How::Whole,
            _ => How::Broken,
        };
        let release = state.end(Phase::Free, how);
        drop(state);
        self::release(release);
    }

    /// Goes on with an exchange whose time is over, or whose connection others wait for although
    /// its caller has not been polled since the last time.
    pub(super) fn review(&self, now: u64, others_wait: bool) {
        let mut state = lock(&self.state);
        if state.active.is_none() {
            // The rest is the caller's, which may take it at any time.
            self.until.store(NEVER, Ordering::SeqCst);
            return;
        }
        let over = self.until() <= now;
        let unpolled = !std::mem::replace(&mut state.polled, false);
        if !(over || (others_wait && unpolled)) {
            return;
        }
        let waker = state.waker.clone().unwrap_or_else(|| Waker::noop().clone());
        let mut cx = Context::from_waker(&waker);
        let mut release = state.advance_head(&mut cx);
        let ahead = state.ahead.len();
        if release.is_none() {
            release = state.read_ahead(&mut cx);
        }
        // An answer that is there is taken, however late it is.
        let progress = release.is_some() || state.head.is_some() || state.ahead.len() > ahead;
        if over || progress {
            self.until.store(NEVER, Ordering::SeqCst);
        }
        if over && !progress {
            release = state.time_out();
        }
        drop(state);
        self::release(release);
        if over || progress {
            waker.wake();
        }
    }
}

impl NoHead {
    fn into_error(self) -> TransportError {
        match self {
            Self::Unsent(unsent) => unsent.error,
            Self::Failed(error) => error,
        }
    }
}

impl State {
    fn remember(&mut self, cx: &Context<'_>) {
        match &mut self.waker {
            Some(waker) => waker.clone_from(cx.waker()),
            none => *none = Some(cx.waker().clone()),
        }
    }

    /// Whether nothing is left for the caller, who lets go of it then.
    fn is_taken(&mut self) -> bool {
        let ended = matches!(self.phase, Phase::Ended) && self.ahead.is_empty();
        if ended {
            self.phase = Phase::Free;
        }
        matches!(self.phase, Phase::Free)
    }

    fn take_failure(&mut self) -> Option<Box<NoHead>> {
        match std::mem::replace(&mut self.phase, Phase::Free) {
            Phase::Failed(error) => Some(error),
            other => {
                self.phase = other;
                None
            }
        }
    }

    /// Ends the exchange. Its connection, if it still had one.
    fn end(&mut self, phase: Phase, how: How) -> Option<Release> {
        if let Phase::Head = std::mem::replace(&mut self.phase, phase) {
            self.answer = None;
        }
        self.waker = None;
        let Active { connection, sender, terms, number } = self.active.take()?;
        Some(Release { connection, sender, number, how, upload: terms.failure })
    }

    fn advance_head(&mut self, cx: &mut Context<'_>) -> Option<Release> {
        let (Phase::Head, Some(answer)) = (&self.phase, &mut self.answer) else { return None };
        let Poll::Ready(answered) = answer.poll(cx) else { return None };
        let mut failed = match answered {
            Ok(response) => {
                let (parts, incoming) = response.into_parts();
                self.head = Some((Response::from_parts(parts, ()), incoming.size_hint()));
                let ended = incoming.is_end_stream();
                self.phase = Phase::Body(incoming);
                return ended.then(|| self.end(Phase::Ended, How::Whole)).flatten();
            }
            Err(failed) => failed,
        };
        let unsent = failed.take_message();
        let how = if unsent.is_some() { How::Closed } else { How::Broken };
        let Active { connection, sender, terms, number } = self.active.take()?;
        let error = match terms.failure.get() {
            Some(failure) => failure,
            None => {
                let error = classify(Stage::Sending, failed.into_error().into(), connection.peer());
                // hyper says the same of a request that was in its hands when the connection ended.
                let ended = (error.kind(), error.sent()) == (Kind::Canceled, Sent::Maybe);
                match ended && !connection.is_stranded() {
                    true => {
                        let peer = connection.peer();
                        peer.failure(Kind::Interrupted, Stage::Sending).with_source(error)
                    }
                    false => error,
                }
            }
        };
        // One that is given back may be sent again.
        let upload = if unsent.is_some() { BodyFailure::default() } else { terms.failure.clone() };
        let no_head = match unsent {
            Some(request) => {
                let reused = connection.is_used();
                let order = Order::again(request, terms, connection.address());
                NoHead::Unsent(Box::new(Unsent { order, error, reused }))
            }
            None => NoHead::Failed(error),
        };
        self.phase = Phase::Failed(Box::new(no_head));
        self.waker = None;
        Some(Release { connection, sender, number, how, upload })
    }

    fn advance_body(&mut self, cx: &mut Context<'_>) -> (Poll<Piece>, Option<Release>) {
        let Phase::Body(incoming) = &mut self.phase else { return (Poll::Ready(None), None) };
        let Poll::Ready(piece) = Pin::new(&mut *incoming).poll_frame(cx) else {
            return (Poll::Pending, None);
        };
        let more = matches!(&piece, Some(Ok(_))) && !incoming.is_end_stream();
        let peer = self.active.as_ref().map(|active| active.connection.peer());
        let piece = piece.map(|frame| {
            frame.map_err(|error| match peer {
                Some(peer) => classify(Stage::Reading, error.into(), peer),
                None => TransportError::new(Kind::Interrupted).with_source(error),
            })
        });
        let release = match &piece {
            _ if more => None,
            Some(Err(_)) => self.end(Phase::Ended, How::Broken),
            _ => self.end(Phase::Ended, How::Whole),
        };
        (Poll::Ready(piece), release)
    }

    /// A short body has mostly come with its head. It is given with it then, and its connection is
    /// free: there is nothing for the caller to wait for.
    fn take_short(&mut self, size: SizeHint, cx: &mut Context<'_>) -> (Bytes, Option<Release>) {
        let short = size.exact().is_some_and(|length| length <= SHORT);
        if !(short && self.ahead.is_empty() && matches!(self.phase, Phase::Body(_))) {
            return (Bytes::new(), None);
        }
        let (polled, release) = self.advance_body(cx);
        match polled {
            Poll::Ready(Some(Ok(frame))) => match frame.into_data() {
                Ok(whole) if release.is_some() => return (whole, release),
                Ok(piece) => self.ahead.push_back(Frame::data(piece)),
                Err(other) => self.ahead.push_back(other),
            },
            Poll::Ready(Some(Err(error))) => {
                self.phase = Phase::Failed(Box::new(NoHead::Failed(error)));
            }
            Poll::Ready(None) | Poll::Pending => {}
        }
        (Bytes::new(), release)
    }

    fn read_ahead(&mut self, cx: &mut Context<'_>) -> Option<Release> {
        let mut held: usize = self.ahead.iter().filter_map(Frame::data_ref).map(Bytes::len).sum();
        while held < AHEAD && matches!(self.phase, Phase::Body(_)) {
            let (polled, release) = self.advance_body(cx);
            match polled {
                Poll::Pending => return None,
                Poll::Ready(Some(Ok(frame))) => {
                    held += frame.data_ref().map_or(0, Bytes::len);
                    self.ahead.push_back(frame);
                }
                Poll::Ready(Some(Err(error))) => {
                    self.phase = Phase::Failed(Box::new(NoHead::Failed(error)));
                }
                Poll::Ready(None) => {}
            }
            if release.is_some() {
                return release;
            }
        }
        None
    }

    fn time_out(&mut self) -> Option<Release> {
        let stage = match self.phase {
            Phase::Head => Stage::Sending,
            Phase::Body(_) => Stage::Reading,
            _ => return None,
        };
        let peer = self.active.as_ref()?.connection.peer();
        let error = peer.failure(Kind::Timeout, stage);
        self.end(Phase::Failed(Box::new(NoHead::Failed(error))), How::Silent)
    }
}
