//! Carries out what [`Host`] decides.

use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, Weak};
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use http::Uri;
use mstr_core::{TransportError, TransportErrorKind as Kind};

use super::clock::{Clock, NEVER};
use super::connection::{Connection, Owner};
use super::dial::{Made, Protocol, dial};
use super::exchange::{Exchange, How, Sender};
use super::host::{HostId, Room, Step};
use super::order::Order;
use super::servers::{Kept, Server, State};
use super::settings::Settings;
use super::waiter::Waiter;
use crate::connector::Arrived;
use crate::sync::lock;

/// How long a request may still be written when its answer has ended. Over HTTP/1.1 the connection
/// ends then, over HTTP/2 the request alone.
const UPLOAD_AFTER_ANSWER: Duration = Duration::from_secs(15);

/// How often the keeper looks after exchanges whose callers are not polled, while others wait for
/// their connections.
const ROUND: Duration = Duration::from_millis(50);

/// How often the keeper comes by at least while there are connections.
const AT_LEAST: Duration = Duration::from_secs(1);

/// The pool as its connections and exchanges know it. Exchanges that go on keep it.
pub(super) struct Shared {
    settings: Arc<Settings>,
    clock: Arc<Clock>,
    state: Mutex<State>,
    numbers: AtomicU64,
}

/// Where a request can go.
type Place = Room<Kept, Arc<Connection>>;

/// The request that has waited longest, where it can go, and its place among the requests.
type First = (Waiter, Place, u64);

/// The state of a request that was to be sent.
pub(crate) enum Begun {
    Sent(Arc<Exchange>),
    Waits(HostId, Waiter),
}

impl Shared {
    pub(super) fn new(settings: Settings) -> Self {
        Self {
            clock: Arc::new(Clock::new(settings.timer.clone())),
            settings: Arc::new(settings),
            state: Mutex::default(),
            numbers: AtomicU64::new(1),
        }
    }

    pub(super) fn settings(&self) -> &Settings {
        &self.settings
    }

    pub(super) fn clock(&self) -> &Arc<Clock> {
        &self.clock
    }

    fn number(&self) -> u64 {
        self.numbers.fetch_add(1, Ordering::Relaxed)
    }

    /// Sends a request that comes `now`, or lets it wait. One that comes again, having been given
    /// back, goes before those that wait, and over no connection kept with the one it failed on.
    pub(super) fn begin(
        self: &Arc<Self>,
        mut order: Order,
        now: Option<Instant>,
    ) -> Result<Begun, TransportError> {
        let until = order.terms.until;
        loop {
            let mut state = lock(&self.state);
            let server = state.server(&self.settings, &self.numbers, &mut order)?;
            let id = server.id;
            let taken = now.and_then(|now| Some((server.host.take()?, now)));
            if let Some(((room, number), now)) = taken {
                drop(state);
                match self.place(id, room, number, order, true, now) {
                    Ok(exchange) => return Ok(Begun::Sent(exchange)),
                    Err(back) => order = back,
                }
                continue;
            }
            let waiter = Waiter::new(order);
            let stale = if now.is_none() {
                server.host.wait_first(waiter.clone());
                server.host.suspect(NEVER)
            } else {
                server.host.wait(waiter.clone());
                Vec::new()
            };
            drop(state);
            drop(stale);
            self.clock.wake_by(until);
            self.go_on(id);
            return Ok(Begun::Waits(id, waiter));
        }
    }

    /// Sends a request where there is room. It is given back if the connection is of no use.
    /// `kept` says that the connection has waited for the request, and not the other way round.
    #[expect(clippy::result_large_err, reason = "a box would be an allocation for each request")]
    fn place(
        self: &Arc<Self>,
        id: HostId,
        room: Place,
        number: u64,
        order: Order,
        kept: bool,
        now: Instant,
    ) -> Result<Arc<Exchange>, Order> {
        let (until, now) = (order.terms.until, self.clock.nanos(now));
        let look = |connection: &Connection, safe| match connection.needs_a_look(kept, safe, now) {
            true => connection.lookout.look(),
            false => Arrived::Nothing,
        };
        let safe = order.request.method().is_safe();
        let exchange = match room {
            Room::Kept((connection, sender)) => match look(&connection, safe) {
                Arrived::Nothing => connection.send(sender, order, number, now),
                Arrived::End => {
                    drop(sender);
                    self.retire(&connection);
                    return Err(order);
                }
                Arrived::Bytes => {
                    self.with(id, |server| server.host.look());
                    connection.leave(sender, true, NEVER);
                    return Err(order);
                }
            },
            Room::Shared(connection, alone) => {
                // While others are under way its reader reads whatever comes. And the last one
                // may have been given up without an answer.
                if alone && look(&connection, false) == Arrived::End {
                    self.retire(&connection);
                    return Err(order);
                }
                match connection.send_shared(order, number) {
                    Ok(exchange) => exchange,
                    Err(order) => {
                        self.retire(&connection);
                        return Err(order);
                    }
                }
            }
        };
        self.clock.wake_by(until);
        Ok(exchange)
    }

    fn with<T>(&self, id: HostId, act: impl FnOnce(&mut Server) -> T) -> Option<T> {
        lock(&self.state).of(id).map(act)
    }

    /// Does what is to be done next for a server, until there is nothing.
    pub(super) fn go_on(self: &Arc<Self>, id: HostId) {
        enum Do {
            Send(Waiter, Place, u64),
            Dial(u64, Uri, Waiter),
            Stop(bool),
        }
        // The steps that are carried out may come back here.
        if self.with(id, |server| std::mem::replace(&mut server.going_on, true)) != Some(false) {
            self.with(id, |server| server.again = true);
            return;
        }
        loop {
            let next = self.with(id, |server| match server.host.next() {
                Some(Step::Send(waiter, room, number)) => Do::Send(waiter, room, number),
                Some(Step::Dial(waiter)) => Do::Dial(self.number(), server.address.clone(), waiter),
                None if std::mem::take(&mut server.again) => Do::Stop(false),
                None => {
                    server.going_on = false;
                    Do::Stop(true)
                }
            });
            match next {
                Some(Do::Send(waiter, room, number)) => self.serve(id, &waiter, room, number),
                Some(Do::Dial(number, address, waiter)) => {
                    self.dial(id, number, address, waiter);
                }
                Some(Do::Stop(false)) => {}
                Some(Do::Stop(true)) | None => break,
            }
        }
        if self.with(id, |server| server.host.is_full()) == Some(true) {
            self.clock.wake_by(self.clock.after(ROUND));
        }
    }

    fn serve(self: &Arc<Self>, id: HostId, waiter: &Waiter, room: Place, number: u64) {
        let Some(order) = waiter.serve() else {
            match room {
                Room::Kept((connection, sender)) => {
                    Arc::clone(self).ready(&connection, sender, false);
                }
                Room::Shared(connection, _) => self.stream_ended(&connection),
            }
            return;
        };
        match self.place(id, room, number, order, false, self.clock.now()) {
            Ok(exchange) => {
                if let Some(unwanted) = waiter.sent(exchange) {
                    unwanted.abandon();
                }
            }
            Err(order) => {
                if waiter.put_back(order) {
                    self.with(id, |server| server.host.wait_first(waiter.clone()));
                    // The keeper may have come by when it was not in line.
                    self.clock.wake_by(waiter.until());
                }
            }
        }
    }

    fn serve_first(self: &Arc<Self>, id: HostId, first: Option<First>) {
        if let Some((waiter, room, number)) = first {
            self.serve(id, &waiter, room, number);
        }
    }

    fn dial(self: &Arc<Self>, id: HostId, number: u64, to: Uri, waiter: Waiter) {
        // Known before it begins: it may have ended when `dial` returns.
        if self.with(id, |server| server.dials.push((number, None))).is_none() {
            return;
        }
        let shared = Arc::clone(self);
        let limit = waiter.connect_timeout();
        let tell = move |outcome| shared.dialed(id, number, &waiter, outcome);
        let handle = dial(Arc::clone(&self.settings), to, limit, tell);
        self.with(id, |server| {
            if let Some(dial) = server.dials.iter_mut().find(|(dial, _)| *dial == number) {
                dial.1 = Some(handle);
            }
        });
    }

    /// A dial has ended. One that was given up is none of ours any longer.
    fn dialed(
        self: &Arc<Self>,
        id: HostId,
        number: u64,
        waiter: &Waiter,
        outcome: Result<Made, TransportError>,
    ) {
        let known = self.with(id, |server| {
            let before = server.dials.len();
            server.dials.retain(|(dial, _)| *dial != number);
            server.dials.len() < before
        });
        if known != Some(true) {
            return;
        }
        match outcome {
            Ok(made) => self.connected(id, made),
            Err(error) => {
                // Requests with more time than the one it was made for try for themselves.
                let limit = waiter.connect_timeout().filter(|_| error.kind() == Kind::Timeout);
                let concerns = |other: &Waiter| {
                    limit.is_none_or(|limit| other.connect_timeout().is_some_and(|it| it <= limit))
                };
                let told = self.with(id, |server| server.host.failed(waiter, concerns));
                for waiter in told.unwrap_or_default() {
                    waiter.fail(error.clone());
                }
            }
        }
        self.go_on(id);
    }

    /// A connection stands. It is driven once it has a request, if one waits for it: should it be
    /// closed already, that request hears of it.
    fn connected(self: &Arc<Self>, id: HostId, Made { lookout, protocol }: Made) {
        let number = self.number();
        let now = self.clock.now();
        lookout.serve();
        let mut state = lock(&self.state);
        if state.closed {
            return;
        }
        let Some(server) = state.of(id) else { return };
        let peer = server.peer.clone();
        let (address, header) = (server.address.clone(), server.header.clone());
        let pool: Weak<dyn Owner> = Arc::<Self>::downgrade(self);
        let connection =
            Arc::new(Connection::new(number, id, peer, address, header, lookout, pool));
        server.connections.push(Arc::clone(&connection));
        let runtime = &self.settings.runtime;
        match protocol {
            Protocol::Http1(sender, io) => {
                let kept = (Arc::clone(&connection), sender);
                let surplus = server.host.connected(number, kept, now);
                let first = server.host.first();
                drop(state);
                drop(surplus);
                self.serve_first(id, first);
                connection.drive_http1(runtime, io);
            }
            Protocol::Http2(sender, io) => {
                connection.open(sender);
                let surplus = server.host.connected_shared(number, Arc::clone(&connection), now);
                let first = server.host.first();
                drop(state);
                surplus.iter().for_each(|surplus| surplus.close());
                self.serve_first(id, first);
                connection.drive_http2(runtime, io);
            }
        }
        // From now on it comes by at least so often.
        self.clock.wake_by(self.clock.nanos(now + AT_LEAST));
        self.keep_until_expiry(now);
    }

    /// Lets the keeper come by when what is unused from `now` on has been so for long enough. Before
    /// a longer limit is over it comes by anyway, and sees when that will be.
    fn keep_until_expiry(&self, now: Instant) {
        if let Some(limit) = self.settings.limits.idle_timeout
            && limit < AT_LEAST
        {
            self.clock.wake_by(self.clock.nanos(now + limit));
        }
    }

    /// Takes back a connection over HTTP/1.1 whose answer has ended.
    fn give_back(self: &Arc<Self>, connection: &Arc<Connection>, sender: Sender) {
        connection.has_answered();
        if sender.is_ready() {
            Arc::clone(self).ready(connection, sender, false);
        } else if !sender.is_closed() {
            let until = self.upload_until();
            connection.leave(sender, false, until);
            self.clock.wake_by(until);
        }
    }

    /// A request over HTTP/2 has ended.
    fn stream_ended(self: &Arc<Self>, connection: &Arc<Connection>) {
        connection.has_answered();
        let now = self.clock.now();
        let ended = self.with(connection.host, |server| {
            let alone = server.host.stream_ended(connection.number, now);
            (alone, server.host.is_waited_for())
        });
        let Some((alone, waited_for)) = ended else { return };
        if alone {
            self.retire(connection);
        }
        self.keep_until_expiry(now);
        if waited_for {
            self.go_on(connection.host);
        }
    }

    /// A connection takes no more requests. Those that go on over HTTP/2 are not touched.
    fn retire(self: &Arc<Self>, connection: &Arc<Connection>) {
        let gone = self.with(connection.host, |server| server.host.gone(connection.number));
        if let Some(kept) = gone.flatten() {
            drop(kept);
            self.go_on(connection.host);
        }
        connection.close();
    }

    /// Nothing was heard on a connection in answer to a request until its time was over. It may be
    /// dead, and with it those that have been silent for as long.
    fn fell_silent(self: &Arc<Self>, connection: &Arc<Connection>, request: u64) {
        self.retire(connection);
        let silent = self.with(connection.host, |server| server.host.suspect(request));
        drop(silent);
    }

    /// A request waits no longer.
    pub(super) fn left(&self, id: HostId, waiter: &Waiter) {
        let unwanted = self.with(id, |server| {
            let unwanted = server.host.leave(waiter).then(|| server.dials.pop()).flatten()?;
            server.host.given_up();
            unwanted.1
        });
        if let Some(dial) = unwanted.flatten() {
            dial.abort();
        }
    }

    /// Looks after everything whose time has come. When to do so next.
    pub(super) fn review(self: &Arc<Self>, now: Instant) -> u64 {
        let nanos = self.clock.nanos(now);
        let mut state = lock(&self.state);
        let (mut next, mut late, mut connections) = (NEVER, Vec::new(), Vec::new());
        let (mut stale, mut stale_shared) = (Vec::new(), Vec::new());
        for server in &mut state.servers {
            for waiter in server.host.waiting() {
                match waiter.until() {
                    until if until <= nanos => late.push((server.id, waiter.clone())),
                    until => next = next.min(until),
                }
            }
            let full = server.host.is_full();
            if full {
                next = next.min(self.clock.nanos(now + ROUND));
            }
            connections.extend(server.connections.iter().map(|it| (Arc::clone(it), full)));
            let (kept, shared) = server.host.expired(now);
            stale.extend(kept);
            stale_shared.extend(shared);
            next =
                server.host.expires().map_or(next, |expires| next.min(self.clock.nanos(expires)));
        }
        drop(state);
        drop(stale);
        stale_shared.iter().for_each(|it| it.close());
        for (id, waiter) in late {
            waiter.lapse();
            self.left(id, &waiter);
        }
        for (connection, full) in connections {
            connection.review(nanos);
            next = next.min(connection.leaves_by());
            for exchange in connection.exchanges() {
                exchange.review(nanos, full);
                next = next.min(exchange.until());
            }
            // Otherwise each request would ask for its own deadline.
            next = next.min(self.clock.nanos(now + AT_LEAST));
        }
        next
    }

    /// The runtime has shut down: waiting requests will get no connection.
    pub(super) fn stranded(&self) {
        let mut waiting = Vec::new();
        for server in &mut lock(&self.state).servers {
            waiting.extend(server.host.waiting().cloned());
        }
        for waiter in waiting {
            waiter.strand();
        }
    }

    /// The transport is gone. What goes on goes on; the rest is closed.
    pub(super) fn close(&self) {
        let mut state = lock(&self.state);
        state.closed = true;
        let (mut kept, mut dials) = (Vec::new(), Vec::new());
        for server in &mut state.servers {
            kept.extend(server.host.suspect(NEVER));
            dials.append(&mut server.dials);
            for connection in &server.connections {
                connection.close();
            }
        }
        drop(state);
        drop(kept);
        for (_, dial) in dials {
            if let Some(dial) = dial {
                dial.abort();
            }
        }
    }
}

impl Owner for Shared {
    fn is_stranded(&self) -> bool {
        self.settings.runtime.has_ended()
    }

    fn ready(self: Arc<Self>, connection: &Arc<Connection>, sender: Sender, looked: bool) {
        let now = self.clock.now();
        let mut state = lock(&self.state);
        let closed = state.closed;
        let Some(server) = state.of(connection.host) else { return };
        if looked {
            server.host.looked();
        }
        let kept = (Arc::clone(connection), sender);
        let surplus = match closed {
            true => Some(kept),
            false => server.host.returned(connection.number, kept, now),
        };
        let waited_for = server.host.is_waited_for();
        drop(state);
        drop(surplus);
        self.keep_until_expiry(now);
        if waited_for {
            self.go_on(connection.host);
        }
    }

    fn looked(self: Arc<Self>, connection: &Connection) {
        self.with(connection.host, |server| server.host.looked());
        self.go_on(connection.host);
    }

    fn allow(self: Arc<Self>, connection: &Arc<Connection>, streams: usize) {
        self.with(connection.host, |server| server.host.allow(connection.number, streams));
        self.go_on(connection.host);
    }

    fn release(
        self: Arc<Self>,
        connection: Arc<Connection>,
        sender: Option<Sender>,
        number: u64,
        how: How,
    ) {
        if let How::Silent = how {
            self.fell_silent(&connection, number);
        }
        match (sender, how) {
            (Some(sender), How::Whole) => self.give_back(&connection, sender),
            (Some(sender), How::Silent | How::Closed | How::Broken) => {
                drop(sender);
                self.retire(&connection);
            }
            (None, How::Closed) => self.retire(&connection),
            (None, _) => self.stream_ended(&connection),
        }
    }

    fn upload_until(&self) -> u64 {
        self.clock.after(UPLOAD_AFTER_ANSWER)
    }

    fn watch(&self, until: u64) {
        self.clock.wake_by(until);
    }

    fn closed(self: Arc<Self>, connection: &Arc<Connection>) {
        self.retire(connection);
    }

    fn ended(self: Arc<Self>, connection: &Arc<Connection>) {
        self.retire(connection);
        self.with(connection.host, |server| {
            server.host.ended(connection.number);
            server.connections.retain(|other| !Arc::ptr_eq(other, connection));
        });
        self.go_on(connection.host);
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        self.clock.end();
        // No caller holds an answer any longer, so what is still written is not needed.
        for server in &lock(&self.state).servers {
            server.connections.iter().for_each(|connection| connection.end());
        }
    }
}

/// The caller's handle on a request that waits. Its place is lost when this is dropped.
pub(super) struct Waiting<'a> {
    shared: &'a Arc<Shared>,
    host: HostId,
    waiter: Option<Waiter>,
}

impl<'a> Waiting<'a> {
    pub(super) fn new(shared: &'a Arc<Shared>, host: HostId, waiter: Waiter) -> Self {
        Self { shared, host, waiter: Some(waiter) }
    }
}

impl Future for Waiting<'_> {
    type Output = Result<Arc<Exchange>, TransportError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let Some(waiter) = &self.waiter else { return Poll::Pending };
        let served = ready!(waiter.poll(cx));
        self.waiter = None;
        Poll::Ready(served)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        let Some(waiter) = self.waiter.take() else { return };
        if let Some(exchange) = waiter.leave() {
            exchange.abandon();
        }
        self.shared.left(self.host, &waiter);
    }
}
