//! One connection of either driver over the server model, in virtual time.

use std::fmt;
use std::future::poll_fn;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use http::{Method, Request, Response};
use mstr::core::{BoxFuture, Pending, SharedTimer};
use mstr::{
    BlockingTransport, Body, CloseOutcome, CredentialProvider, Credentials, Error, RequestBuilder,
    RetryPolicy, SessionStatus, Timeouts, Transport, TransportError, User, blocking,
};
use mstr_fake::{FakeTransport, Fault, Purpose, Server, ServerBuilder, VirtualTime};

/// The answer to a call.
#[derive(Debug)]
pub(crate) struct Answered {
    pub(crate) status: u16,
    pub(crate) body: String,
}

/// The server, its clock, and a connection.
pub(crate) struct Rig {
    pub(crate) fake: FakeTransport,
    pub(crate) time: VirtualTime,
    connection: Either,
}

enum Either {
    Tasks(mstr::Connection),
    Threads(blocking::Connection),
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Driver {
    Tasks,
    Threads,
}

/// The settings that differ from test to test.
#[derive(Default)]
pub(crate) struct Setting {
    pub(crate) credentials: Option<Credentials>,
    pub(crate) timeouts: Timeouts,
    pub(crate) project: Option<&'static str>,
    pub(crate) way: Way,
    /// Further settings of the connection.
    pub(crate) described: Option<Described>,
}

pub(crate) type Described = Box<dyn Fn(mstr::ConnectionBuilder) -> mstr::ConnectionBuilder>;

/// The fate of a request on its way to the server, and of the answer on its way back.
#[derive(Clone)]
pub(crate) struct Way {
    fails: Arc<Fails>,
    strips: bool,
}

type Fails = dyn Fn(&Request<Body>) -> Option<TransportError> + Send + Sync;

impl Way {
    /// A request that fails does not reach the server.
    pub(crate) fn new(
        fails: impl Fn(&Request<Body>) -> Option<TransportError> + Send + Sync + 'static,
    ) -> Self {
        Self { fails: Arc::new(fails), strips: false }
    }

    /// A proxy that strips the body of every error.
    pub(crate) fn stripping() -> Self {
        Self { strips: true, ..Self::default() }
    }

    fn back(&self, response: Response<Body>) -> Response<Body> {
        if self.strips && response.status().as_u16() >= 400 {
            return response.map(|_| Body::empty());
        }
        response
    }
}

impl Default for Way {
    fn default() -> Self {
        Self::new(|_| None)
    }
}

/// The transport to the server model, by such a way.
#[derive(Clone)]
struct OnItsWay(FakeTransport, Way);

impl fmt::Debug for OnItsWay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[async_trait::async_trait]
impl Transport for OnItsWay {
    async fn send(&self, request: Request<Body>) -> Result<Response<Body>, TransportError> {
        match (self.1.fails)(&request) {
            Some(error) => Err(error),
            None => Ok(self.1.back(Transport::send(&self.0, request).await?)),
        }
    }

    fn timer(&self) -> SharedTimer {
        self.0.timer()
    }

    fn detach(&self, task: BoxFuture<'static, ()>) {
        self.0.detach(task);
    }
}

impl BlockingTransport for OnItsWay {
    fn send(&self, request: Request<Body>) -> Result<Response<Body>, TransportError> {
        match (self.1.fails)(&request) {
            Some(error) => Err(error),
            None => Ok(self.1.back(BlockingTransport::send(&self.0, request)?)),
        }
    }

    fn start(&self, request: Request<Body>) -> Box<dyn Pending> {
        match (self.1.fails)(&request) {
            Some(error) => Box::new(Lost(Some(error))),
            None => Box::new(OnItsWayBack(self.0.start(request), self.1.clone())),
        }
    }

    fn now(&self) -> Instant {
        self.0.now()
    }

    fn sleep_until(&self, deadline: Instant) {
        BlockingTransport::sleep_until(&self.0, deadline);
    }

    fn park_until(&self, deadline: Instant) {
        self.0.park_until(deadline);
    }

    fn send_detached(&self, request: Request<Body>) {
        if (self.1.fails)(&request).is_none() {
            self.0.send_detached(request);
        }
    }
}

/// The request that the server is answering.
struct OnItsWayBack(Box<dyn Pending>, Way);

type Then = Box<dyn FnOnce(Result<Response<Body>, TransportError>) + Send>;

impl Pending for OnItsWayBack {
    fn wait_until(&mut self, at: Instant) -> Option<Result<Response<Body>, TransportError>> {
        let answer = self.0.wait_until(at)?;
        Some(answer.map(|response| self.1.back(response)))
    }

    fn detach(self: Box<Self>, then: Then) {
        let Self(pending, way) = *self;
        pending.detach(Box::new(move |answer| then(answer.map(|response| way.back(response)))));
    }
}

/// A request that never reaches the server.
struct Lost(Option<TransportError>);

impl Pending for Lost {
    fn wait_until(&mut self, _: Instant) -> Option<Result<Response<Body>, TransportError>> {
        self.0.take().map(Err)
    }
}

/// Runs a test with each driver.
pub(crate) fn on_both(test: impl Fn(Driver)) {
    for driver in [Driver::Tasks, Driver::Threads] {
        eprintln!("with {driver:?}");
        test(driver);
    }
}

pub(crate) fn server() -> ServerBuilder {
    Server::builder().user("alice", "secret").user("bob", "hidden")
}

impl Driver {
    pub(crate) fn open(self, server: ServerBuilder) -> Rig {
        self.build(server, Setting::default(), None::<Provider>)
    }

    pub(crate) fn with(self, server: ServerBuilder, setting: Setting) -> Rig {
        self.build(server, setting, None::<Provider>)
    }

    pub(crate) fn provided(self, server: ServerBuilder, provider: impl CredentialProvider) -> Rig {
        self.build(server, Setting::default(), Some(provider))
    }

    pub(crate) fn provided_within(
        self,
        server: ServerBuilder,
        total: Duration,
        provider: impl CredentialProvider,
    ) -> Rig {
        let timeouts = Timeouts::new().total(Some(total));
        self.build(server, Setting { timeouts, ..Setting::default() }, Some(provider))
    }

    fn build(
        self,
        server: ServerBuilder,
        setting: Setting,
        provider: Option<impl CredentialProvider>,
    ) -> Rig {
        let time = VirtualTime::new();
        let fake = FakeTransport::new(server.build(), time.clone());
        let builder = mstr::Connection::builder(fake.base_url()).seed(7).timeouts(setting.timeouts);
        let builder = match setting.described {
            Some(describe) => describe(builder),
            None => builder,
        };
        let transport = OnItsWay(fake.clone(), setting.way);
        let builder = match (provider, setting.credentials) {
            (Some(provider), _) => builder.credential_provider(provider),
            (None, Some(credentials)) => builder.credentials(credentials),
            (None, None) => builder.standard("alice", "secret"),
        };
        let builder = match setting.project {
            Some(project) => builder.project(project),
            None => builder,
        };
        let connection = match self {
            Self::Tasks => Either::Tasks(builder.transport(transport).build().unwrap()),
            Self::Threads => {
                Either::Threads(builder.blocking_transport(transport).build().unwrap())
            }
        };
        Rig { fake, time, connection }
    }
}

/// The type of no provider.
#[derive(Debug)]
pub(crate) enum Provider {}

#[async_trait::async_trait]
impl CredentialProvider for Provider {
    async fn credentials(&self) -> Result<Credentials, mstr::BoxError> {
        match *self {}
    }
}

/// Runs the same expression with either connection, awaiting it where that is needed.
macro_rules! either {
    ($rig:expr, |$connection:ident| $call:expr) => {
        match &$rig.connection {
            Either::Tasks($connection) => $rig.time.run(async { $call.await }),
            Either::Threads($connection) => $call,
        }
    };
}

impl Rig {
    pub(crate) fn open(&self) -> Result<(), Error> {
        either!(self, |connection| connection.open())
    }

    pub(crate) fn renew(&self) -> Result<(), Error> {
        either!(self, |connection| connection.renew())
    }

    pub(crate) fn get(&self, path: &str) -> Result<Answered, Error> {
        self.send(Method::GET, path, |request| request, |request| request)
    }

    /// Uploads a body that can be sent once.
    pub(crate) fn upload(&self, path: &str) -> Result<Answered, Error> {
        let body = || Body::wrap(Body::from("once"));
        self.send(
            Method::POST,
            path,
            |request| request.body(body()),
            |request| request.body(body()),
        )
    }

    pub(crate) fn with_header(
        &self,
        path: &str,
        name: &str,
        value: &str,
    ) -> Result<Answered, Error> {
        self.send(
            Method::GET,
            path,
            |request| request.header(name, value),
            |request| request.header(name, value),
        )
    }

    /// A request without the session.
    pub(crate) fn unauthenticated(&self, path: &str) -> Result<Answered, Error> {
        self.send(
            Method::GET,
            path,
            |request| request.without_auth(),
            |request| request.without_auth(),
        )
    }

    pub(crate) fn within(&self, total: Duration, path: &str) -> Result<Answered, Error> {
        self.send(
            Method::GET,
            path,
            |request| request.timeout(total),
            |request| request.timeout(total),
        )
    }

    /// A GET in the project with this name, within `total`, tried once.
    pub(crate) fn in_project(
        &self,
        project: &str,
        total: Duration,
        path: &str,
    ) -> Result<Answered, Error> {
        let once = RetryPolicy::never();
        self.send(
            Method::GET,
            path,
            |request| request.project(project).timeout(total).retry(once),
            |request| request.project(project).timeout(total).retry(once),
        )
    }

    pub(crate) fn retrying(&self, policy: RetryPolicy, path: &str) -> Result<Answered, Error> {
        self.send(
            Method::GET,
            path,
            |request| request.retry(policy),
            |request| request.retry(policy),
        )
    }

    fn send(
        &self,
        method: Method,
        path: &str,
        of_tasks: impl Fn(RequestBuilder) -> RequestBuilder,
        of_threads: impl Fn(blocking::RequestBuilder) -> blocking::RequestBuilder,
    ) -> Result<Answered, Error> {
        match &self.connection {
            Either::Tasks(connection) => self.time.run(async {
                let response = of_tasks(connection.request(method, path)).send().await?;
                let status = response.status().as_u16();
                Ok(Answered { status, body: response.text().await? })
            }),
            Either::Threads(connection) => {
                let response = of_threads(connection.request(method, path)).send()?;
                let status = response.status().as_u16();
                Ok(Answered { status, body: response.text()? })
            }
        }
    }

    /// The connection of tasks, for what threads cannot do.
    pub(crate) fn tasks(&self) -> &mstr::Connection {
        match &self.connection {
            Either::Tasks(connection) => connection,
            Either::Threads(_) => panic!("a connection of threads"),
        }
    }

    /// Calls of tasks that are sent together, each with so many seconds: how each ended, and when.
    pub(crate) fn together(&self, seconds: &[u64]) -> Vec<(Option<Error>, Duration)> {
        let Either::Tasks(connection) = &self.connection else { unreachable!("of tasks") };
        let begun = self.time.elapsed();
        self.time.run(join_all(seconds.iter().map(|total| async {
            let call = connection.get("/api/echo").timeout(Duration::from_secs(*total));
            let error = call.send().await.err();
            (error, self.time.elapsed() - begun)
        })))
    }

    /// Begins a call of tasks, polls it once and leaves it so.
    pub(crate) fn begin(&self, path: &str) -> Option<BoxFuture<'static, ()>> {
        let Either::Tasks(connection) = &self.connection else { return None };
        let call = connection.get(path);
        let mut call: BoxFuture<'static, ()> = Box::pin(async move { drop(call.send().await) });
        let once = poll_fn(|_| {
            Poll::Ready(call.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending())
        });
        self.time.run(once).then_some(call)
    }

    /// A call of tasks among twenty tasks that send others.
    pub(crate) fn in_a_crowd(&self, path: &str) -> Result<(), Error> {
        let Either::Tasks(connection) = &self.connection else { unreachable!("of tasks") };
        let others = join_all((0..20).map(|_| async {
            for _ in 0..10 {
                drop(connection.get("/api/echo").send().await);
            }
        }));
        let call = async { connection.get(path).send().await.map(drop) };
        self.time.run(futures_util::future::join(call, others)).0
    }

    /// A call of tasks beside another one and a renewal.
    pub(crate) fn beside(&self, path: &str) {
        let Either::Tasks(connection) = &self.connection else { unreachable!("of tasks") };
        let (guarded, plain) = (connection.get(path), connection.get("/api/echo"));
        let all = futures_util::future::join3(guarded.send(), plain.send(), connection.renew());
        drop(self.time.run(all));
    }

    pub(crate) fn user(&self) -> Result<User, Error> {
        either!(self, |connection| connection.fetch_user())
    }

    pub(crate) fn status(&self) -> Result<SessionStatus, Error> {
        either!(self, |connection| connection.fetch_status())
    }

    pub(crate) fn reset(&self, credentials: Option<Credentials>) {
        match &self.connection {
            Either::Tasks(connection) => connection.reset_credentials(credentials),
            Either::Threads(connection) => connection.reset_credentials(credentials),
        }
    }

    pub(crate) fn close(&self) -> CloseOutcome {
        let outcome = either!(self, |connection| connection.close());
        self.time.run_until_idle();
        outcome
    }

    pub(crate) fn describe(&self) -> String {
        match &self.connection {
            Either::Tasks(connection) => format!("{connection:?}"),
            Either::Threads(connection) => format!("{connection:?}"),
        }
    }

    pub(crate) fn timeline(&self) -> mstr::Timeline {
        match &self.connection {
            Either::Tasks(connection) => connection.timeline(),
            Either::Threads(connection) => connection.timeline(),
        }
    }

    pub(crate) fn events(&self) -> mstr::Events {
        match &self.connection {
            Either::Tasks(connection) => connection.events(),
            Either::Threads(connection) => connection.events(),
        }
    }

    pub(crate) fn server<T>(&self, look: impl FnOnce(&mut Server) -> T) -> T {
        self.fake.server(look)
    }

    pub(crate) fn fault(&self, rule: &str) {
        let fault = rule.parse::<Fault>().unwrap();
        self.server(|server| server.add_fault(fault));
    }

    pub(crate) fn heal(&self) {
        self.server(|server| server.clear_faults());
    }

    pub(crate) fn count(&self, purpose: Purpose) -> usize {
        self.server(|server| server.journal().count(purpose))
    }

    pub(crate) fn logins(&self) -> usize {
        self.count(Purpose::Login)
    }

    pub(crate) fn left(&self) -> usize {
        self.server(|server| server.open_sessions())
    }

    pub(crate) fn elapsed(&self) -> Duration {
        self.time.elapsed()
    }

    /// The server's present time.
    pub(crate) fn pass(&self, time: Duration) {
        let clock = self.time.clone();
        self.time.run(async move { clock.sleep(time).await });
    }
}
