//! A blocking transport over ureq.
//!
//! What ureq cannot do, and the conformance suite therefore skips for it: HTTP/2, and reading an
//! answer while it still sends the request's body.
//!
//! Its timeouts are made for whole requests or for one step of one, and the contract asks for
//! others: one until the head of the answer, one for each wait after it. So this sets the two
//! where ureq waits, in a connector around its own. Those traits are public, but outside of
//! ureq's promise of stability, so the version of ureq is pinned where that matters.

use std::cell::Cell;
use std::io::{self, Read};
use std::thread;
use std::time::{Duration, Instant};

use http::header::CONTENT_LENGTH;
use http::{HeaderValue, Request, Response};
use mstr_core::toolkit::{BodyFailure, Peer, ReadBody, Stage, UploadBody, UploadReader};
use mstr_core::{
    BlockingTransport, Body, RequestContext, TransportError, TransportErrorKind as Kind,
    TransportInfo,
};
use ureq::config::ConfigBuilder;
use ureq::typestate::AgentScope;
use ureq::unversioned::resolver::DefaultResolver;
use ureq::unversioned::transport::{
    Buffers, ConnectionDetails, Connector, DefaultConnector, NextTimeout, Transport, time,
};
use ureq::{Agent, Error, SendBody, Timeout};

/// A blocking transport over ureq. Clones share its connections.
#[derive(Clone, Debug)]
pub struct UreqTransport(Agent);

impl UreqTransport {
    /// A transport. What belongs to the stack (TLS, proxies, its pool) is yours to choose on
    /// `config`; what belongs to the session layer is switched off here.
    #[must_use]
    pub fn new(config: ConfigBuilder<AgentScope>) -> Self {
        let config = config
            // A status is an answer, and a redirect is one too.
            .http_status_as_error(false)
            .max_redirects(0)
            .max_redirects_will_error(false)
            // No headers of its own. Cookies and decompression are off because the features are.
            .user_agent("")
            .accept("")
            .accept_encoding("")
            .allow_non_standard_methods(true)
            .max_response_header_size(1024 * 1024)
            .build();
        let connector = Limited(DefaultConnector::default());
        Self(Agent::with_parts(config, connector, DefaultResolver::default()))
    }
}

impl BlockingTransport for UreqTransport {
    fn send(&self, request: Request<Body>) -> Result<Response<Body>, TransportError> {
        // 1. Refuse what cannot be sent, and what is too late.
        let peer = Peer::of(request.uri())?;
        let context = RequestContext::of(&request);
        let now = now();
        if context.deadline.is_some_and(|deadline| deadline <= now) {
            return Err(peer.failure(Kind::Timeout, Stage::Connecting));
        }

        // 2. Hold the body to its length, and remember where its failure will be found.
        let (request, failure) = outgoing(request, context.deadline);

        // 3. Send it, until the deadline. ureq looks the name up before it asks for a connection,
        //    so that has to be told in ureq's own words.
        let connect = context.connect_timeout.and_then(|limit| now.checked_add(limit));
        let connect = earlier(connect, context.deadline);
        let lookup = connect.map(|at| at.saturating_duration_since(now));
        let request = self.0.configure_request(request).timeout_resolve(lookup).build();
        let limits = Limits { connect, head: context.deadline, ..Limits::default() };
        let (answer, stage) = limits.during(|| self.0.run(request));
        let response = answer.map_err(|error| match failure.get() {
            Some(failure) => failure,
            None => explain(error, stage, &peer),
        })?;

        // 4. Say what the errors of the answer's body mean, and do not let it stall.
        Ok(response.map(|body| {
            let length = body.content_length();
            let reader = Patient { inner: body.into_reader(), idle: context.body_idle_timeout };
            let explain = move |error| explain(Error::from(error), Stage::Reading, &peer);
            Body::wrap(ReadBody::new(reader, length, explain))
        }))
    }

    fn now(&self) -> Instant {
        now()
    }

    #[expect(clippy::disallowed_methods, reason = "this is the clock of blocking code")]
    fn sleep_until(&self, deadline: Instant) {
        thread::sleep(deadline.saturating_duration_since(now()));
    }

    fn send_detached(&self, request: Request<Body>) {
        let transport = self.clone();
        let send = move || drop(transport.send(request));
        // Without a thread the session stays open until it expires.
        drop(thread::Builder::new().name("ureq-logout".to_owned()).spawn(send));
    }

    fn info(&self) -> TransportInfo {
        TransportInfo::new("ureq", "3")
    }
}

#[expect(clippy::disallowed_methods, reason = "this is the clock of blocking code")]
fn now() -> Instant {
    Instant::now()
}

/// The request as ureq wants it: a body to read from, with its length in a header.
fn outgoing(
    request: Request<Body>,
    deadline: Option<Instant>,
) -> (Request<SendBody<'static>>, BodyFailure) {
    let (mut parts, body) = request.into_parts();
    // It means something to us only.
    parts.extensions.clear();
    let upload = UploadBody::new(body, &parts.headers);
    let failure = upload.failure();
    let body = match upload.remaining() {
        Some(0) => SendBody::none(),
        known => {
            // ureq takes what it reads for a stream of unknown length.
            if let Some(length) = known {
                parts.headers.entry(CONTENT_LENGTH).or_insert_with(|| HeaderValue::from(length));
            }
            SendBody::from_owned_reader(UploadReader::new(upload).until(deadline, now))
        }
    };
    (Request::from_parts(parts, body), failure)
}

/// The meaning of an error of ureq. `stage` says whether anything had been written.
fn explain(error: Error, stage: Stage, peer: &Peer) -> TransportError {
    let kind = match &error {
        Error::Timeout(_) => Kind::Timeout,
        Error::HostNotFound | Error::ConnectionFailed => Kind::Connect,
        Error::Rustls(_) | Error::Tls(_) | Error::Pem(_) => Kind::Tls,
        Error::Io(io) if TransportError::find_source::<rustls::Error>(io).is_some() => Kind::Tls,
        Error::Io(io) if io.kind() == io::ErrorKind::TimedOut => Kind::Timeout,
        Error::Io(_) if stage == Stage::Connecting => Kind::Connect,
        Error::Io(_) => Kind::Interrupted,
        Error::Protocol(_) | Error::LargeResponseHeader(..) => Kind::Protocol,
        Error::Http(_) | Error::BadUri(_) | Error::InvalidProxyUrl => Kind::Config,
        _ => Kind::Interrupted,
    };
    // An error of ureq has no source; what it was made of is reached this way.
    peer.failure(kind, stage).with_source(error.into_io())
}

/// The limits of ureq, which works on the calling thread.
#[derive(Clone, Copy, Default)]
struct Limits {
    /// When there has to be a connection.
    connect: Option<Instant>,
    /// When there has to be an answer.
    head: Option<Instant>,
    /// How long one wait may last.
    idle: Option<Duration>,
    /// Whether anything has been written.
    sent: bool,
}

thread_local! {
    static LIMITS: Cell<Limits> = Cell::default();
}

impl Limits {
    /// Does something of ureq within these limits, and says how far it came.
    fn during<T>(self, work: impl FnOnce() -> T) -> (T, Stage) {
        // The request's body may come from another exchange on this thread.
        let outer = LIMITS.replace(self);
        let output = work();
        let stage = if LIMITS.get().sent { Stage::Sending } else { Stage::Connecting };
        LIMITS.set(outer);
        (output, stage)
    }
}

/// The earlier of what ureq allows, and of an instant or a duration of ours.
fn capped(
    mut timeout: NextTimeout,
    until: Option<Instant>,
    idle: Option<Duration>,
) -> Result<NextTimeout, Error> {
    let left = until.map(|until| until.saturating_duration_since(now()));
    if let Some(left) = earlier(left, idle) {
        // To ureq, no time is a second.
        if left.is_zero() {
            return Err(Error::Timeout(Timeout::PerCall));
        }
        if left < *timeout.after {
            timeout.after = time::Duration::Exact(left);
            timeout.reason = Timeout::PerCall;
        }
    }
    Ok(timeout)
}

fn earlier<T: Ord>(one: Option<T>, other: Option<T>) -> Option<T> {
    match (one, other) {
        (Some(one), Some(other)) => Some(one.min(other)),
        (one, other) => one.or(other),
    }
}

/// ureq's own connector, within the limits of the calling thread.
#[derive(Debug)]
struct Limited(DefaultConnector);

impl Connector for Limited {
    type Out = LimitedTransport;

    fn connect(
        &self,
        details: &ConnectionDetails<'_>,
        chained: Option<()>,
    ) -> Result<Option<LimitedTransport>, Error> {
        let details = ConnectionDetails {
            uri: details.uri,
            addrs: details.addrs.clone(),
            config: details.config,
            request_level: details.request_level,
            resolver: details.resolver,
            now: details.now,
            timeout: capped(details.timeout, LIMITS.get().connect, None)?,
            current_time: details.current_time.clone(),
            run_connector: details.run_connector.clone(),
            register_shutdown: details.register_shutdown.clone(),
        };
        Ok(self.0.connect(&details, chained)?.map(LimitedTransport))
    }
}

/// One of ureq's connections, within the limits of the request that uses it.
#[derive(Debug)]
struct LimitedTransport(Box<dyn Transport>);

impl Transport for LimitedTransport {
    fn buffers(&mut self) -> &mut dyn Buffers {
        self.0.buffers()
    }

    fn transmit_output(&mut self, amount: usize, timeout: NextTimeout) -> Result<(), Error> {
        let limits = LIMITS.get();
        let timeout = capped(timeout, limits.head, limits.idle)?;
        LIMITS.set(Limits { sent: true, ..limits });
        self.0.transmit_output(amount, timeout)
    }

    fn await_input(&mut self, timeout: NextTimeout) -> Result<bool, Error> {
        let limits = LIMITS.get();
        self.0.await_input(capped(timeout, limits.head, limits.idle)?)
    }

    fn is_open(&mut self) -> bool {
        self.0.is_open()
    }

    fn is_tls(&self) -> bool {
        self.0.is_tls()
    }
}

/// A reader whose single waits are limited.
struct Patient<R> {
    inner: R,
    idle: Option<Duration>,
}

impl<R: Read> Read for Patient<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let limits = Limits { idle: self.idle, ..Limits::default() };
        limits.during(|| self.inner.read(buffer)).0
    }
}
