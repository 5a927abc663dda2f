//! The knowledge about one server, and the decisions about its connections. Does no I/O.

use std::collections::{BTreeSet, VecDeque};
use std::time::{Duration, Instant};

/// How much a pool may hold for one server.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    /// Connections at a time, those that are being made included.
    pub(crate) connections: Option<usize>,
    /// Requests at a time on one connection over HTTP/2.
    pub(crate) streams: Option<usize>,
    /// Unused connections over HTTP/1.1.
    pub(crate) idle: usize,
    /// How long an unused connection is kept.
    pub(crate) idle_timeout: Option<Duration>,
}

/// The version of HTTP that a server speaks, as far as it is known.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Speaks {
    /// The TLS handshake will tell. Until then at most so many connections are made for all who wait:
    /// two for a server that turns out to speak HTTP/1.1, one of which is of no use over HTTP/2.
    Unknown(usize),
    Http1,
    Http2,
}

/// The number of a server in its pool.
pub(crate) type HostId = u64;

/// The number of a connection in its pool.
pub(super) type Number = u64;

/// One server: `K` is a kept connection over HTTP/1.1, `M` one over HTTP/2, `W` a request that waits.
pub(super) struct Host<K, M, W> {
    limits: Limits,
    speaks: Speaks,
    /// Connections that take requests, busy or not.
    standing: BTreeSet<Number>,
    /// Connections over HTTP/2 that take no more requests and have not ended.
    retired: BTreeSet<Number>,
    dials: usize,
    /// Kept connections whose reader looks at what has arrived.
    looking: usize,
    /// The one used last is at the back.
    idle: VecDeque<Kept<K>>,
    shared: Option<Shared<M>>,
    waiting: VecDeque<W>,
    /// Counts the requests: which answer came after which request had begun.
    requests: u64,
}

struct Kept<K> {
    number: Number,
    connection: K,
    since: Instant,
    /// How many requests had begun when this connection last gave an answer.
    heard: u64,
}

struct Shared<M> {
    number: Number,
    connection: M,
    open: usize,
    allowed: usize,
    since: Instant,
}

/// Where a request can go.
#[derive(Debug, Eq, PartialEq)]
pub(super) enum Room<K, M> {
    Kept(K),
    /// A connection over HTTP/2, and whether it has no other request.
    Shared(M, bool),
}

/// The next step.
#[derive(Debug, Eq, PartialEq)]
pub(super) enum Step<K, M, W> {
    /// Send what has waited longest. The number is its place among the requests.
    Send(W, Room<K, M>, u64),
    /// Make one more connection, for this request.
    Dial(W),
}

impl<K, M: Clone, W: Clone + PartialEq> Host<K, M, W> {
    pub(super) fn new(speaks: Speaks, limits: Limits) -> Self {
        Self {
            limits,
            speaks,
            standing: BTreeSet::new(),
            retired: BTreeSet::new(),
            dials: 0,
            looking: 0,
            idle: VecDeque::new(),
            shared: None,
            waiting: VecDeque::new(),
            requests: 0,
        }
    }

    /// Room for a request that has just come, with its number among the requests. Those that wait
    /// are before it.
    pub(super) fn take(&mut self) -> Option<(Room<K, M>, u64)> {
        if !self.waiting.is_empty() {
            return None;
        }
        self.room()
    }

    fn room(&mut self) -> Option<(Room<K, M>, u64)> {
        let room = match self.idle.pop_back() {
            Some(kept) => Room::Kept(kept.connection),
            None => {
                let most = self.limits.streams.unwrap_or(usize::MAX);
                let shared = self.shared.as_mut()?;
                if shared.open >= shared.allowed.min(most) {
                    return None;
                }
                shared.open += 1;
                let room = Room::Shared(shared.connection.clone(), shared.open == 1);
                if self.limits.idle == 0 {
                    // One for each request, with which it ends.
                    self.shared = None;
                }
                room
            }
        };
        self.requests += 1;
        Some((room, self.requests))
    }

    /// Lets a request wait for its turn.
    pub(super) fn wait(&mut self, request: W) {
        self.waiting.push_back(request);
    }

    /// The same for one that had its turn already and lost it.
    pub(super) fn wait_first(&mut self, request: W) {
        self.waiting.push_front(request);
    }

    /// The request that has waited longest, if there is room for it.
    pub(super) fn first(&mut self) -> Option<(W, Room<K, M>, u64)> {
        let first = self.waiting.front()?.clone();
        let (room, number) = self.room()?;
        self.waiting.pop_front();
        Some((first, room, number))
    }

    pub(super) fn next(&mut self) -> Option<Step<K, M, W>> {
        if let Some((first, room, number)) = self.first() {
            return Some(Step::Send(first, room, number));
        }
        let wanted = match self.speaks {
            Speaks::Http1 => self.dials + self.looking < self.waiting.len(),
            Speaks::Unknown(most) => {
                self.dials < most.min(self.waiting.len()) && self.shared.is_none()
            }
            Speaks::Http2 => self.dials == 0 && self.shared.is_none() && !self.waiting.is_empty(),
        };
        let useful = self.standing.len() + self.dials;
        let all = useful + self.retired.len();
        // Exchanges over retired connections may take for ever: a usable one can always be made.
        let room = |limit| all < limit || useful == 0;
        if wanted && self.limits.connections.is_none_or(room) {
            let request = self.waiting.get(self.dials).cloned()?;
            self.dials += 1;
            return Some(Step::Dial(request));
        }
        None
    }

    /// Whether requests wait although no connection is being made for them.
    pub(super) fn is_full(&self) -> bool {
        self.waiting.len() > self.dials
    }

    pub(super) fn is_waited_for(&self) -> bool {
        !self.waiting.is_empty()
    }

    pub(super) fn waiting(&self) -> impl Iterator<Item = &W> {
        self.waiting.iter()
    }

    /// A request waits no longer. Whether a connection is being made for which no request waits now.
    pub(super) fn leave(&mut self, request: &W) -> bool {
        self.waiting.retain(|waiting| waiting != request);
        self.dials > self.waiting.len() && (self.speaks != Speaks::Http2 || self.waiting.is_empty())
    }

    /// A connection over HTTP/1.1 stands. It is at the bottom: what has answered before is used
    /// first. What is returned is too much.
    pub(super) fn connected(&mut self, number: Number, connection: K, now: Instant) -> Option<K> {
        self.dials = self.dials.saturating_sub(1);
        self.standing.insert(number);
        self.speaks = Speaks::Http1;
        let kept = Kept { number, connection, since: now, heard: self.requests };
        self.idle.push_front(kept);
        self.surplus()
    }

    /// A connection over HTTP/2 stands. What is returned is one too many.
    pub(super) fn connected_shared(
        &mut self,
        number: Number,
        connection: M,
        now: Instant,
    ) -> Option<M> {
        self.dials = self.dials.saturating_sub(1);
        self.speaks = Speaks::Http2;
        if self.shared.is_some() {
            self.retired.insert(number);
            return Some(connection);
        }
        self.standing.insert(number);
        // The server has not yet said how many it takes. One more than one waits inside of the
        // stack, and goes when it has said so.
        let shared = Shared { number, connection, open: 0, allowed: 2, since: now };
        self.shared = Some(shared);
        None
    }

    /// No connection could be made for `request`. The requests to be told: this one, if it still
    /// waits, and of those that share one connection, those that `concerns` selects.
    pub(super) fn failed(&mut self, request: &W, concerns: impl Fn(&W) -> bool) -> Vec<W> {
        self.dials = self.dials.saturating_sub(1);
        // Another one that is being made decides for the others.
        let shared = self.speaks != Speaks::Http1 && self.shared.is_none() && self.dials == 0;
        if let Speaks::Unknown(most) = &mut self.speaks {
            *most = 1;
        }
        let told = |waiting: &W| waiting == request || (shared && concerns(waiting));
        let (told, waiting) = self.waiting.drain(..).partition(told);
        self.waiting = waiting;
        Vec::from(told)
    }

    /// The connection is no longer being made.
    pub(super) fn given_up(&mut self) {
        self.dials = self.dials.saturating_sub(1);
    }

    /// A connection has given its answer and is free. What is returned is too much.
    pub(super) fn returned(&mut self, number: Number, connection: K, now: Instant) -> Option<K> {
        if !self.standing.contains(&number) {
            return Some(connection);
        }
        let kept = Kept { number, connection, since: now, heard: self.requests };
        self.idle.push_back(kept);
        self.surplus()
    }

    fn surplus(&mut self) -> Option<K> {
        let needed = self.limits.idle.max(self.waiting.len());
        let kept = (self.idle.len() > needed).then(|| self.idle.pop_front()).flatten()?;
        self.standing.remove(&kept.number);
        Some(kept.connection)
    }

    /// The reader of a kept connection looks at what has arrived on it.
    pub(super) fn look(&mut self) {
        self.looking += 1;
    }

    pub(super) fn looked(&mut self) {
        self.looking = self.looking.saturating_sub(1);
    }

    /// A request over HTTP/2 has ended. Whether its connection was for it alone.
    pub(super) fn stream_ended(&mut self, number: Number, now: Instant) -> bool {
        match self.shared.as_mut().filter(|shared| shared.number == number) {
            Some(shared) => {
                shared.open = shared.open.saturating_sub(1);
                shared.since = now;
                false
            }
            None => self.standing.contains(&number),
        }
    }

    /// The server takes so many requests at a time on this connection.
    pub(super) fn allow(&mut self, number: Number, streams: usize) {
        if let Some(shared) = self.shared.as_mut().filter(|shared| shared.number == number) {
            shared.allowed = streams;
        }
    }

    /// A connection takes no more requests. What was kept of it, if it took some until now.
    pub(super) fn gone(&mut self, number: Number) -> Option<(Option<K>, Option<M>)> {
        if !self.standing.remove(&number) {
            return None;
        }
        if self.speaks == Speaks::Http2 {
            self.retired.insert(number);
        }
        let kept = self.idle.iter().position(|kept| kept.number == number);
        let kept = kept.and_then(|at| self.idle.remove(at)).map(|kept| kept.connection);
        let shared = self.shared.take_if(|shared| shared.number == number);
        Some((kept, shared.map(|shared| shared.connection)))
    }

    /// A connection has ended with all its requests.
    pub(super) fn ended(&mut self, number: Number) {
        self.retired.remove(&number);
    }

    /// Nothing was heard in answer to this request until its time was over. What is kept and has
    /// given no answer since it began may be as dead as its connection.
    pub(super) fn suspect(&mut self, request: u64) -> Vec<K> {
        self.sift(|kept| kept.heard < request)
    }

    /// The connections that have been kept for long enough.
    pub(super) fn expired(&mut self, now: Instant) -> (Vec<K>, Option<M>) {
        let Some(limit) = self.limits.idle_timeout else { return (Vec::new(), None) };
        let over = |since: Instant| now.saturating_duration_since(since) >= limit;
        let shared = self.shared.take_if(|shared| shared.open == 0 && over(shared.since));
        if let Some(shared) = &shared {
            self.standing.remove(&shared.number);
        }
        (self.sift(|kept| over(kept.since)), shared.map(|shared| shared.connection))
    }

    fn sift(&mut self, out: impl Fn(&Kept<K>) -> bool) -> Vec<K> {
        let mut sifted = Vec::new();
        for _ in 0..self.idle.len() {
            match self.idle.pop_front() {
                Some(kept) if out(&kept) => {
                    self.standing.remove(&kept.number);
                    sifted.push(kept.connection);
                }
                Some(kept) => self.idle.push_back(kept),
                None => {}
            }
        }
        sifted
    }

    /// When the next of the kept connections has been kept for long enough.
    pub(super) fn expires(&self) -> Option<Instant> {
        let limit = self.limits.idle_timeout?;
        let shared = self.shared.iter().filter(|shared| shared.open == 0).map(|it| it.since);
        let since = self.idle.iter().map(|kept| kept.since).chain(shared).min()?;
        since.checked_add(limit)
    }

    /// Whether there is nothing to remember but what the server speaks.
    pub(super) fn is_unused(&self) -> bool {
        self.standing.is_empty()
            && self.retired.is_empty()
            && self.dials == 0
            && self.looking == 0
            && self.waiting.is_empty()
    }
}

#[cfg(test)]
#[path = "host_tests.rs"]
mod tests;
