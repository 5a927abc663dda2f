//! A connection, and the task that drives it.

use std::future::poll_fn;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, Weak};
use std::task::{Context, Poll, Waker};

use http::{HeaderValue, Uri};
use hyper::client::conn::{http1, http2};
use mstr_core::toolkit::{BodyFailure, Peer, UploadBody};
use mstr_core::{TransportError, TransportErrorKind};
use tokio::task::coop::unconstrained;

use super::clock::NEVER;
use super::dial::INITIAL_STREAMS;
use super::exchange::{Carrier, Exchange, How, Sender};
use super::host::{HostId, Number};
use super::order::Order;
use crate::connector::{Lookout, Stream};
use crate::runtime::Runtime;
use crate::sync::lock;

/// More answers than one.
const MORE: u8 = 2;

/// How long ago a request may have been sent whose answer vouches for its connection, in nanoseconds.
/// The runtime has looked at its sockets since then, but perhaps not much later: other tasks may have
/// computed before the caller took the answer. No server closes a connection that was unused for so
/// short a time.
const PROMPT: u64 = 10_000_000;

/// The events of a connection, for its pool.
pub(super) trait Owner: Send + Sync {
    /// It is ready for its next request; what had arrived on it was looked at, or nothing had.
    fn ready(self: Arc<Self>, connection: &Arc<Connection>, sender: Sender, looked: bool);

    /// Whether the runtime has shut down.
    fn is_stranded(&self) -> bool;

    /// Looking at it has ended with it.
    fn looked(self: Arc<Self>, connection: &Connection);

    /// Its server takes so many requests at a time.
    fn allow(self: Arc<Self>, connection: &Arc<Connection>, streams: usize);

    /// An exchange on it has ended.
    fn release(
        self: Arc<Self>,
        connection: Arc<Connection>,
        sender: Option<Sender>,
        number: u64,
        how: How,
    );

    /// Until when an upload may go on whose answer is there now.
    fn upload_until(&self) -> u64;

    /// Comes by when the first of its uploads has gone on for long enough.
    fn watch(&self, until: u64);

    /// It takes no more requests. Those over HTTP/2 that are open go on.
    fn closed(self: Arc<Self>, connection: &Arc<Connection>);

    /// Its task has ended, and with it all its requests.
    fn ended(self: Arc<Self>, connection: &Arc<Connection>);
}

/// A connection, as its pool and its exchanges know it.
pub(super) struct Connection {
    pub(super) number: Number,
    pub(super) host: HostId,
    pub(super) lookout: Lookout,
    peer: Peer,
    address: Uri,
    host_header: HeaderValue,
    pool: Weak<dyn Owner>,
    /// The answers that it has given, as far as they are counted: none, one, or more.
    answers: AtomicU8,
    /// When its last request over HTTP/1.1 was sent, in nanoseconds of the pool.
    asked: AtomicU64,
    exchanges: Mutex<Vec<Arc<Exchange>>>,
    desk: Mutex<Desk>,
    /// There is something at the desk. Set before the driver is woken for it.
    called: AtomicBool,
    /// Uploads over HTTP/2 that go on after their answers, and until when they may.
    uploads: Mutex<Vec<(u64, BodyFailure)>>,
    /// Over HTTP/2, while it takes requests.
    http2: Mutex<Option<http2::SendRequest<UploadBody>>>,
}

/// Where what is to be given back waits until the connection is ready for it.
struct Desk {
    /// Over HTTP/2 it waits for the end of the requests that are open.
    driver: Option<Waker>,
    returned: Option<Returned>,
    /// The driver has ended or is to end.
    closed: bool,
}

struct Returned {
    sender: Sender,
    /// Its reader is to look first at what has arrived.
    looks: bool,
    /// When it is waited for no longer.
    until: u64,
}

impl Connection {
    pub(super) fn new(
        number: Number,
        host: HostId,
        peer: Peer,
        address: Uri,
        host_header: HeaderValue,
        lookout: Lookout,
        pool: Weak<dyn Owner>,
    ) -> Self {
        Self {
            number,
            host,
            lookout,
            peer,
            address,
            host_header,
            pool,
            answers: AtomicU8::new(0),
            asked: AtomicU64::new(0),
            exchanges: Mutex::default(),
            desk: Mutex::new(Desk { driver: None, returned: None, closed: false }),
            called: AtomicBool::new(false),
            uploads: Mutex::default(),
            http2: Mutex::default(),
        }
    }

    /// It has given an answer.
    pub(super) fn has_answered(&self) {
        let known = self.answers.load(Ordering::SeqCst);
        self.answers.store((known + 1).min(MORE), Ordering::SeqCst);
    }

    /// Whether the system has to be asked for the connection's end before a request is put on it.
    /// `kept` says that it has waited for the request, and `safe` that the request can be repeated.
    ///
    /// The runtime learns of an end when it next looks at its sockets. It has done so for the last
    /// answer. After that a request that cannot be repeated takes no chance, and no request does
    /// before the server has shown that it keeps connections.
    pub(super) fn needs_a_look(&self, kept: bool, safe: bool, now: u64) -> bool {
        match self.answers.load(Ordering::SeqCst) {
            // One that was made for this request and is closed already tells of its server: making
            // another would go on for ever.
            0 => kept,
            1 => true,
            _ => !safe || now.saturating_sub(self.asked.load(Ordering::Relaxed)) >= PROMPT,
        }
    }

    fn carrier(self: &Arc<Self>) -> Arc<dyn Carrier> {
        Arc::clone(self) as Arc<dyn Carrier>
    }

    pub(super) fn exchanges(&self) -> Vec<Arc<Exchange>> {
        lock(&self.exchanges).clone()
    }

    /// Sends a request over HTTP/1.1.
    pub(super) fn send(
        self: &Arc<Self>,
        mut sender: Sender,
        mut order: Order,
        number: u64,
        now: u64,
    ) -> Arc<Exchange> {
        self.asked.store(now, Ordering::Relaxed);
        order.for_http1(&self.host_header);
        let exchange = {
            let mut exchanges = lock(&self.exchanges);
            match exchanges.last().filter(|exchange| exchange.is_free()) {
                Some(exchange) => Arc::clone(exchange),
                // The last one may still be held by its caller.
                None => {
                    let exchange = Arc::new(Exchange::new());
                    *exchanges = vec![Arc::clone(&exchange)];
                    exchange
                }
            }
        };
        // Code that parks inside of a task never yields, so tokio would stop it after a while.
        let answer = unconstrained(sender.try_send_request(order.request));
        exchange.begin(self.carrier(), Some(sender), answer, order.terms, number);
        // The driver may have ended meanwhile, and have seen nothing of this exchange.
        if self.called.load(Ordering::SeqCst) && lock(&self.desk).closed {
            exchange.disconnect();
        }
        exchange
    }

    /// The same over HTTP/2. The request is given back if none is taken any longer.
    #[expect(clippy::result_large_err, reason = "a box would be an allocation for each request")]
    pub(super) fn send_shared(
        self: &Arc<Self>,
        order: Order,
        number: u64,
    ) -> Result<Arc<Exchange>, Order> {
        let Some(mut sender) = lock(&self.http2).clone() else { return Err(order) };
        // The exchange has to be found here as soon as the stack has taken the request.
        let mut exchanges = lock(&self.exchanges);
        let answer = unconstrained(sender.try_send_request(order.request));
        let exchange = Arc::new(Exchange::new());
        exchange.begin(self.carrier(), None, answer, order.terms, number);
        // Now and then: looking at all of them for each request would cost more than keeping some.
        if exchanges.len() == exchanges.capacity() {
            exchanges.retain(|exchange| !exchange.is_free());
        }
        exchanges.push(Arc::clone(&exchange));
        Ok(exchange)
    }

    /// Takes requests over HTTP/2.
    pub(super) fn open(&self, sender: http2::SendRequest<UploadBody>) {
        *lock(&self.http2) = Some(sender);
    }

    /// Takes no more requests. Those over HTTP/2 that go on are not touched.
    pub(super) fn close(&self) {
        drop(lock(&self.http2).take());
    }

    /// Leaves a sender to the driver, until the connection is ready for its next request.
    pub(super) fn leave(&self, sender: Sender, looks: bool, until: u64) {
        let mut desk = lock(&self.desk);
        if desk.closed {
            // The driver has ended meanwhile.
            drop(desk);
            self.unready(looks);
            return;
        }
        desk.returned = Some(Returned { sender, looks, until });
        self.called.store(true, Ordering::SeqCst);
        let driver = desk.driver.take();
        drop(desk);
        if let Some(driver) = driver {
            driver.wake();
        }
    }

    /// The connection will not be ready again.
    fn unready(&self, looks: bool) {
        if looks && let Some(pool) = self.pool.upgrade() {
            pool.looked(self);
        }
    }

    /// Bounds an upload over HTTP/2 that goes on although its exchange has ended: the stack would
    /// go on with it for ever.
    fn limit(&self, upload: BodyFailure, how: How) {
        match (how, self.pool.upgrade()) {
            (How::Whole, Some(pool)) => {
                let until = pool.upload_until();
                lock(&self.uploads).push((until, upload));
                pool.watch(until);
            }
            _ => upload.give_up(given_up()),
        }
    }

    /// When the driver has waited for long enough for the end of an upload whose answer is there.
    pub(super) fn leaves_by(&self) -> u64 {
        let over_http1 = lock(&self.desk).returned.as_ref().map_or(NEVER, |it| it.until);
        let uploads = lock(&self.uploads);
        uploads.iter().map(|(until, _)| *until).min().map_or(over_http1, |it| it.min(over_http1))
    }

    /// Gives up the uploads whose time is over: over HTTP/1.1 with the connection.
    pub(super) fn review(&self, now: u64) {
        let over_http1 = lock(&self.desk).returned.as_ref().is_some_and(|it| it.until <= now);
        if over_http1 {
            self.end();
        }
        let mut late = Vec::new();
        lock(&self.uploads).retain(|(until, upload)| {
            let goes_on = upload.is_open() && *until > now;
            if !goes_on {
                late.push(upload.clone());
            }
            goes_on
        });
        for upload in late {
            upload.give_up(given_up());
        }
    }

    /// Ends the driver, and with it what goes over HTTP/1.1.
    pub(super) fn end(&self) {
        let mut desk = lock(&self.desk);
        desk.closed = true;
        self.called.store(true, Ordering::SeqCst);
        let (driver, returned) = (desk.driver.take(), desk.returned.take());
        drop(desk);
        if let Some(Returned { looks, .. }) = returned {
            self.unready(looks);
        }
        if let Some(driver) = driver {
            driver.wake();
        }
    }

    /// After the connection has done what it could: is it ready for the next request? `known` is
    /// who is woken for what comes to the desk.
    fn poll_desk(self: &Arc<Self>, known: &mut Option<Waker>, cx: &mut Context<'_>) -> Poll<()> {
        let is_known = known.as_ref().is_some_and(|known| known.will_wake(cx.waker()));
        if is_known && !self.called.load(Ordering::SeqCst) {
            return Poll::Pending;
        }
        let mut desk = lock(&self.desk);
        if desk.closed {
            return Poll::Ready(());
        }
        *known = Some(cx.waker().clone());
        desk.driver.clone_from(known);
        let Some(mut returned) = desk.returned.take() else {
            self.called.store(false, Ordering::SeqCst);
            return Poll::Pending;
        };
        match returned.sender.poll_ready(cx) {
            Poll::Pending => desk.returned = Some(returned),
            // It ends by itself.
            Poll::Ready(Err(_)) => {
                drop(desk);
                self.unready(returned.looks);
            }
            Poll::Ready(Ok(())) => {
                drop(desk);
                if let Some(pool) = self.pool.upgrade() {
                    pool.ready(self, returned.sender, returned.looks);
                }
            }
        }
        Poll::Pending
    }

    /// After the stack has stopped to take requests over HTTP/2: have those that are open ended?
    fn poll_open(&self, cx: &Context<'_>) -> Poll<()> {
        // Before looking, so that none ends in between and says nothing.
        lock(&self.desk).driver = Some(cx.waker().clone());
        let mut exchanges = lock(&self.exchanges);
        exchanges.retain(|exchange| exchange.goes_on());
        if exchanges.is_empty() { Poll::Ready(()) } else { Poll::Pending }
    }

    /// Drives a connection over HTTP/1.1 to its end.
    pub(super) fn drive_http1(
        self: &Arc<Self>,
        runtime: &Runtime,
        mut connection: Box<http1::Connection<Stream, UploadBody>>,
    ) {
        let end = End(Arc::clone(self));
        let mut known = None;
        let drive = async move {
            poll_fn(|cx| {
                // The exchange receives the error.
                if Pin::new(&mut *connection).poll(cx).is_ready() {
                    return Poll::Ready(());
                }
                end.0.poll_desk(&mut known, cx)
            })
            .await;
        };
        drop(runtime.handle().spawn(drive));
    }

    /// The same over HTTP/2, and stays with the requests that are open when it takes no more. The
    /// stack goes on with those by itself, but keeps none of their times.
    pub(super) fn drive_http2(
        self: &Arc<Self>,
        runtime: &Runtime,
        mut connection: Box<http2::Connection<Stream, UploadBody, Runtime>>,
    ) {
        let end = End(Arc::clone(self));
        let drive = async move {
            let mut allowed = None;
            poll_fn(|cx| {
                let ended = Pin::new(&mut *connection).poll(cx);
                let now = connection.current_max_send_streams();
                // Until the first answer it may be what we have begun with.
                let said = now != INITIAL_STREAMS || end.0.is_used();
                if said && allowed != Some(now) {
                    allowed = Some(now);
                    if let Some(pool) = end.0.pool.upgrade() {
                        pool.allow(&end.0, now);
                    }
                }
                ended.map(drop)
            })
            .await;
            drop(connection);
            if let Some(pool) = end.0.pool.upgrade() {
                pool.closed(&end.0);
            }
            poll_fn(|cx| end.0.poll_open(cx)).await;
        };
        drop(runtime.handle().spawn(drive));
    }
}

impl Carrier for Connection {
    fn address(&self) -> &Uri {
        &self.address
    }

    fn peer(&self) -> &Peer {
        &self.peer
    }

    fn is_used(&self) -> bool {
        self.answers.load(Ordering::SeqCst) > 0
    }

    fn is_stranded(&self) -> bool {
        self.pool.upgrade().is_none_or(|pool| pool.is_stranded())
    }

    fn release(
        self: Arc<Self>,
        sender: Option<Sender>,
        number: u64,
        how: How,
        upload: BodyFailure,
    ) {
        if sender.is_none() && upload.is_open() {
            self.limit(upload, how);
        }
        let driver = match sender {
            Some(_) => None,
            None => lock(&self.desk).driver.take(),
        };
        if let Some(driver) = driver {
            driver.wake();
        }
        if let Some(pool) = self.pool.upgrade() {
            pool.release(self, sender, number, how);
        }
    }
}

fn given_up() -> TransportError {
    TransportError::new(TransportErrorKind::Body)
        .with_detail("the exchange had ended, and the request's body had not")
}

/// The end of a connection's task, by whatever it ends.
struct End(Arc<Connection>);

impl Drop for End {
    fn drop(&mut self) {
        self.0.end();
        if let Some(pool) = self.0.pool.upgrade() {
            pool.ended(&self.0);
        }
        for exchange in self.0.exchanges() {
            exchange.disconnect();
        }
    }
}

#[cfg(test)]
#[path = "connection_tests.rs"]
mod tests;
