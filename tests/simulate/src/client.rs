//! A connection of each kind, and what its callers do with it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use bytes::Bytes;
use http::Method;
use mstr_core::{
    Body, BoxError, BoxFuture, CloseOutcome, Connection, ConnectionBuilder, CredentialProvider,
    Credentials, Error, ErrorKind, HeaderProvider, IdentityToken, NoTransport, SessionStatus,
    Timeline, Timeouts,
};

use crate::laws::Law;
use crate::ops::{self, Call, Op, Outcome, Path};
use crate::plan::{Class, PROJECT, Plan, USERS};
use crate::world::{BASE, ELSEWHERE, EXCHANGE, World, password};

/// The longest time of an operation without a limit of its own.
pub(crate) const TOTAL: Duration = Duration::from_secs(300);

/// Tells the time, and lets it pass.
pub(crate) trait Clock: Send + Sync + 'static {
    fn now(&self) -> Instant;
    /// For a future that is polled by a driver.
    fn sleep(&self, time: Duration) -> BoxFuture<'static, ()>;
    /// For a caller itself, which blocks its thread if it is one.
    fn wait(&self, time: Duration) -> BoxFuture<'static, ()> {
        self.sleep(time)
    }
}

/// The credentials of the program, for whoever is the user at the time.
pub(crate) struct Vault {
    pub(crate) world: World,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) seed: u64,
    pub(crate) hangs: bool,
    /// How often it has been asked.
    pub(crate) times: AtomicU32,
}

const HANG: Duration = Duration::from_secs(3_600);
/// It hangs no more where it would hang when the troubles are over.
const BUSY: Duration = Duration::from_secs(80_000);
/// Closing does not take longer while the provider is waited for.
const AT_ONCE: Duration = Duration::from_secs(1);

/// A provider does not return.
struct Hanging(World);

impl Hanging {
    fn new(world: &World) -> Self {
        world.state().observer.hanging += 1;
        Self(world.clone())
    }
}

impl Drop for Hanging {
    fn drop(&mut self) {
        self.0.state().observer.hanging -= 1;
    }
}

impl std::fmt::Debug for Vault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Vault")
    }
}

#[async_trait]
impl CredentialProvider for Vault {
    async fn credentials(&self) -> Result<Credentials, BoxError> {
        let wait = Duration::from_millis([0, 40, 900, 3_000][(self.seed % 4) as usize]);
        self.clock.sleep(wait).await;
        let times = self.times.fetch_add(1, Ordering::Relaxed);
        // Some hang now and then, until the troubles are over.
        if self.hangs && times % 3 == 1 && self.clock.now() < self.world.state().start + BUSY {
            let _hanging = Hanging::new(&self.world);
            self.clock.sleep(HANG).await;
        }
        let user = USERS[0];
        Ok(Credentials::standard(user, self.world.state().password.clone()))
    }
}

/// What a gateway wants.
#[derive(Debug)]
struct Front;

#[async_trait]
impl HeaderProvider for Front {
    async fn headers(&self) -> Result<http::HeaderMap, BoxError> {
        let mut headers = http::HeaderMap::new();
        headers.insert("x-front", http::HeaderValue::from_static("of-the-gateway"));
        Ok(headers)
    }
}

/// The settings of the connection.
pub(crate) fn described(plan: &Plan, vault: Vault) -> ConnectionBuilder<NoTransport> {
    let mut timeouts = Timeouts::new();
    if let Some(total) = plan.total {
        timeouts = timeouts.total(Some(total));
    }
    if let Some(attempt) = plan.attempt {
        timeouts = timeouts.attempt(attempt);
    }
    let mut builder = Connection::builder(BASE)
        .seed(plan.seed)
        .timeline(256)
        .checks(plan.checks)
        .timeouts(timeouts);
    if let Some(project) = plan.project {
        builder = builder.project(project);
    }
    if plan.has(Class::Front) {
        builder = builder.header_provider(Front);
    }
    if plan.has(Class::Provider) {
        builder.credential_provider(vault)
    } else {
        builder.standard(USERS[0], password(USERS[0]))
    }
}

/// A connection of any kind.
pub(crate) trait Client: Clone + Send + Sync + 'static {
    fn call(&self, call: Call) -> impl Future<Output = Result<(u16, Bytes), Error>> + Send;
    fn open(&self) -> impl Future<Output = Result<(), Error>> + Send;
    fn renew(&self) -> impl Future<Output = Result<(), Error>> + Send;
    fn user(&self) -> impl Future<Output = Result<String, Error>> + Send;
    /// Whether the session is alive.
    fn status(&self) -> impl Future<Output = Result<bool, Error>> + Send;
    fn projects(&self) -> impl Future<Output = Result<usize, Error>> + Send;
    fn server(&self) -> impl Future<Output = Result<String, Error>> + Send;
    fn select(&self) -> impl Future<Output = Result<Option<String>, Error>> + Send;
    fn lend(&self) -> impl Future<Output = Result<IdentityToken, Error>> + Send;
    fn borrowed(&self, token: IdentityToken) -> impl Future<Output = Result<Self, Error>> + Send;
    fn close(&self) -> impl Future<Output = CloseOutcome> + Send;
    fn reset(&self, credentials: Option<Credentials>);
    fn timeline(&self) -> Option<Timeline>;
}

macro_rules! client {
    ($connection:ty, [$($await:tt)*]) => {
        impl Client for $connection {
            async fn call(&self, call: Call) -> Result<(u16, Bytes), Error> {
                let method: Method = call.method.parse().unwrap_or_default();
                let mut request = match call.path {
                    Path::Echo => self.request(method, format!("/api/calls/{}", call.id)),
                    Path::Missing => self.request(method, "/api/nothing/here"),
                    Path::Public => self.get("/api/status").without_auth(),
                    Path::Elsewhere => self.request(method, ELSEWHERE).without_auth(),
                };
                if let Some(body) = body(call.body) {
                    request = request.body(body);
                }
                if let Some(idempotent) = call.idempotent {
                    request = request.idempotent(idempotent);
                }
                if let Some(total) = call.total {
                    request = request.timeout(total);
                }
                if call.own_project {
                    request = request.header("x-mstr-projectid", "of-the-caller");
                }
                let response = request.send()$($await)*?;
                let status = response.status().as_u16();
                Ok((status, response.bytes()$($await)*?))
            }

            async fn open(&self) -> Result<(), Error> {
                Self::open(self)$($await)*
            }

            async fn renew(&self) -> Result<(), Error> {
                Self::renew(self)$($await)*
            }

            async fn user(&self) -> Result<String, Error> {
                let user = self.fetch_user()$($await)*?;
                Ok(user.full_name.unwrap_or_default())
            }

            async fn status(&self) -> Result<bool, Error> {
                Ok(self.fetch_status()$($await)*? != SessionStatus::Expired)
            }

            async fn projects(&self) -> Result<usize, Error> {
                Ok(self.fetch_projects()$($await)*?.len())
            }

            async fn server(&self) -> Result<String, Error> {
                let server = self.fetch_server()$($await)*?;
                Ok(format!("{:?}", server.iserver_version))
            }

            async fn select(&self) -> Result<Option<String>, Error> {
                let selected = self.select_project(PROJECT)$($await)*?;
                Ok(selected.project().map(|project| project.name.clone()))
            }

            async fn lend(&self) -> Result<IdentityToken, Error> {
                self.create_identity_token()$($await)*
            }

            async fn borrowed(&self, token: IdentityToken) -> Result<Self, Error> {
                self.delegate(token)$($await)*
            }

            async fn close(&self) -> CloseOutcome {
                Self::close(self)$($await)*
            }

            fn reset(&self, credentials: Option<Credentials>) {
                self.reset_credentials(credentials);
            }

            fn timeline(&self) -> Option<Timeline> {
                Some(Self::timeline(self))
            }
        }
    };
}

client!(Connection, [.await]);
#[cfg(mstr_simulation)]
client!(mstr_core::blocking::Connection, []);

pub(crate) fn body(body: ops::Body) -> Option<Body> {
    let bytes = || Body::from("a body of a call");
    match body {
        ops::Body::None => None,
        ops::Body::Bytes => Some(bytes()),
        ops::Body::Once => Some(Body::wrap(bytes())),
        ops::Body::Made => Some(Body::replayable(bytes)),
    }
}

/// What a caller needs, whichever kind of connection it has.
#[derive(Clone)]
pub(crate) struct Caller {
    pub(crate) plan: Arc<Plan>,
    pub(crate) world: World,
    pub(crate) clock: Arc<dyn Clock>,
}

/// Another connection is about, until this is dropped.
struct Lent(World);

impl Drop for Lent {
    fn drop(&mut self) {
        self.0.state().observer.lent -= 1;
    }
}

impl Caller {
    /// Does one thing, and checks what comes of it.
    pub(crate) async fn perform<C: Client>(&self, client: C, op: Op) -> Outcome {
        self.attempt(client, op, true).await
    }

    /// The same for a future that is not always polled when something happens.
    pub(crate) async fn unhurried<C: Client>(&self, client: C, op: Op) -> Outcome {
        self.attempt(client, op, false).await
    }

    async fn attempt<C: Client>(&self, client: C, op: Op, hurried: bool) -> Outcome {
        let begun = self.clock.now();
        let closed = self.world.state().observer.closed;
        let leapt = self.world.state().observer.leapt;
        let known = self.knows_a_living_session();
        let own = match op {
            Op::Call(call) => call.total,
            _ => None,
        };
        // Nothing but the provider is waited for.
        let hangs = self.world.state().observer.hangs();
        self.world.tell(begun, || format!("{op:?}"));
        let result = self.carry_out(&client, op, begun, known).await;
        self.world.tell(self.clock.now(), || format!("{op:?} is told {result:?}"));
        let leapt = self.world.state().observer.leapt - leapt;
        self.world.state().note_outcome(op, &result);
        let took = (self.clock.now() - begun).saturating_sub(leapt);
        let allowed = match op {
            // Three other operations, and the call.
            Op::Delegate(call) => {
                let each = self.plan.total.unwrap_or(TOTAL);
                each * 3 + call.total.unwrap_or(each)
            }
            Op::Close if hangs.is_some() && hangs == self.world.state().observer.hangs() => AT_ONCE,
            _ => own.or(self.plan.total).unwrap_or(TOTAL),
        };
        if took > allowed && hurried {
            self.world.broken(Law::InTime, format!("{op:?} took {took:?} of {allowed:?}"));
        }
        match result {
            Ok(outcome) => {
                let free = matches!(op, Op::Close | Op::Reset(_) | Op::Leap(_) | Op::Server);
                let kept = matches!(&outcome, Outcome::Said(_));
                let public = matches!(op, Op::Call(call) if matches!(call.path, Path::Public | Path::Elsewhere));
                if closed && !free && !kept && !public {
                    self.world.broken(Law::Closed, format!("{op:?} after the close: {outcome:?}"));
                }
                outcome
            }
            Err(error) => {
                let now = self.clock.now();
                let bare = client.timeline().is_none();
                let free = matches!(op, Op::Close | Op::Server)
                    || (bare && matches!(op, Op::Renew))
                    || matches!(op, Op::Call(call) if self.waits_for_no_session(&call, now));
                let paused =
                    self.world.state().observer.pauses_beyond(begun + allowed, now) && !free;
                if hurried && error.kind() == ErrorKind::Timeout && paused && leapt.is_zero() {
                    let said = format!("{op:?} waits for a pause that is longer: {error}");
                    self.world.broken(Law::RetryAfter, said);
                }
                // A refusal is delivered, asked about or not, when its caller's time is over.
                let asked = took < allowed;
                self.check_error(op, &error, closed, hurried, asked);
                Outcome::Failed(error.kind())
            }
        }
    }

    fn waits_for_no_session(&self, call: &Call, now: Instant) -> bool {
        let outside = matches!(call.path, Path::Public | Path::Elsewhere);
        outside || self.world.state().observer.awaits(call.id, now)
    }

    fn knows_a_living_session(&self) -> Option<u32> {
        let mut state = self.world.state();
        let alive = state.alive(self.clock.now());
        let observer = &state.observer;
        (observer.is_known_alive(&alive) && !observer.closing).then_some(observer.resets)
    }

    fn check_error(&self, op: Op, error: &Error, closed: bool, hurried: bool, asked: bool) {
        let texts = [error.to_string(), error.report(), format!("{error:?}")];
        let timeline = error.timeline().map(ToString::to_string);
        for text in texts.into_iter().chain(timeline) {
            let shown = self.world.state().observer.shown_secret(&text);
            if shown.is_some() {
                self.world.broken(Law::NoSecret, format!("in an error of {op:?}: {text}"));
            }
        }
        if let Op::Call(call) = op
            && !error.may_have_been_executed()
            && self.world.state().observer.acted(call.id) > 0
        {
            self.world.broken(Law::Executed, format!("{op:?}: {}", error.report()));
        }
        if let Op::Call(call) = op
            && error.kind() == ErrorKind::Gateway
            && error.status().is_some_and(|status| status.as_u16() == 401)
            && error.operation() != Some("login")
            && asked
            && self.world.state().observer.was_not_asked(call.id)
        {
            self.world.broken(Law::Asked, format!("{op:?}: {}", error.report()));
        }
        if error.kind() == ErrorKind::Canceled && error.report().contains("panicked") {
            self.world.broken(Law::Undisturbed, format!("{op:?}: {}", error.report()));
        }
        let limit = match op {
            Op::Call(call) => call.total.or(self.plan.total),
            // Three other operations, and the call.
            Op::Delegate(call) => call.total.into_iter().chain(self.plan.total).min(),
            _ => self.plan.total,
        };
        let hasty = limit.is_some_and(|limit| limit < EXCHANGE)
            || self.plan.attempt.is_some()
            || self.plan.has_provider_that_hangs()
            || [Class::Scattered, Class::Leaps].iter().any(|class| self.plan.has(*class));
        if error.kind() == ErrorKind::Timeout && hurried && !hasty && !self.plan.is_struck() {
            self.world.broken(Law::Undisturbed, format!("{op:?}: {}", error.report()));
        }
        let expected = match error.kind() {
            ErrorKind::Timeout => hasty,
            ErrorKind::Closed | ErrorKind::NotFound | ErrorKind::ProjectUnavailable => true,
            // Closing ends the session of a call that is on its way.
            ErrorKind::SessionLost => self.world.state().observer.closing,
            _ => false,
        };
        let bare = self.world.state().observer.bare;
        if !self.plan.is_disturbed() && hurried && !expected && !bare {
            self.world.broken(Law::Undisturbed, format!("{op:?}: {}", error.report()));
        }
        let observer_closing = self.world.state().observer.closing;
        if error.kind() == ErrorKind::Closed && !observer_closing {
            self.world.broken(Law::Closed, format!("{op:?} before the close: {error}"));
        }
        let own = !matches!(op, Op::Delegate(_));
        if error.kind() == ErrorKind::Credentials && own && !self.plan.has(Class::PasswordChanges) {
            self.world.broken(Law::WrongCredentials, format!("{op:?}: {}", error.report()));
        }
        if closed && own && error.kind() != ErrorKind::Closed {
            let public =
                matches!(op, Op::Call(call) if matches!(call.path, Path::Public | Path::Elsewhere));
            let unsent = matches!(error.kind(), ErrorKind::Usage);
            if !public && !unsent && !matches!(op, Op::Server) {
                self.world.broken(Law::Closed, format!("{op:?} after the close: {error}"));
            }
        }
        if error.kind() == ErrorKind::Usage {
            self.world
                .broken(Law::NoPanic, format!("{op:?} is said to be wrong: {}", error.report()));
        }
    }

    async fn carry_out<C: Client>(
        &self,
        client: &C,
        op: Op,
        begun: Instant,
        known: Option<u32>,
    ) -> Result<Outcome, Error> {
        Ok(match op {
            Op::Call(call) => {
                self.world.state().observer.calls(call);
                let (status, body) = client.call(call).await?;
                self.check_answer(&call, status, &body)
            }
            Op::Open => {
                client.open().await?;
                if self.world.state().observer.extended.is_none() {
                    self.world.broken(Law::Opened, "open() succeeds and nothing was opened");
                }
                Outcome::Done
            }
            Op::Renew => {
                self.world.state().observer.renewals.asks(begun);
                client.renew().await?;
                let extended = self.world.state().observer.extended;
                // A login that was under way is enough.
                // One that lay unpolled for long is another matter.
                let fresh = !self.plan.has(Class::Leaps) && !self.plan.has(Class::Unpolled);
                if fresh && extended.is_none_or(|at| at + TOTAL < begun) {
                    self.world.broken(Law::Opened, "a renewal succeeds and nothing was extended");
                }
                Outcome::Done
            }
            Op::User => {
                let name = client.user().await?;
                if !self.world.state().observer.was_user(&name, begun) {
                    self.world.broken(Law::RightUser, format!("the user is said to be {name}"));
                }
                // It may have been kept.
                Outcome::Said(name)
            }
            Op::Status => {
                let alive = client.status().await?;
                let still = known.is_some() && self.knows_a_living_session() == known;
                let lied = self.world.state().observer.is_lied_to();
                if !alive && still && !lied {
                    self.world
                        .broken(Law::RightStatus, "a session that lives is said to have ended");
                }
                Outcome::Said(if alive { "alive" } else { "expired" }.to_owned())
            }
            Op::Projects => {
                let count = client.projects().await?;
                Outcome::Answered { status: 200, body: count.to_string() }
            }
            Op::Server => Outcome::Said(client.server().await?),
            Op::Select => {
                let name = client.select().await?;
                if name.as_deref() != Some(PROJECT) {
                    self.world.broken(Law::RightProject, format!("{name:?} was selected"));
                }
                Outcome::Done
            }
            Op::Reset(user) => {
                self.reset(client, user);
                Outcome::Done
            }
            Op::Close => {
                self.close(client).await;
                Outcome::Done
            }
            Op::Delegate(call) => {
                self.world.state().observer.lent += 1;
                let _lent = Lent(self.world.clone());
                self.world.state().observer.calls(call);
                let token = client.lend().await?;
                let borrower = client.borrowed(token).await?;
                let answered = borrower.call(call).await;
                borrower.close().await;
                let (status, body) = answered?;
                self.check_answer(&call, status, &body)
            }
            // Not an operation of a connection.
            Op::Leap(_) | Op::Restart => Outcome::Done,
        })
    }

    pub(crate) fn reset<C: Client>(&self, client: &C, user: Option<usize>) {
        let provided = self.plan.has(Class::Provider) && user.is_none();
        let user = user.unwrap_or(0);
        let now = self.clock.now();
        {
            let mut state = self.world.state();
            let alive = state.alive(now);
            state.observer.resets(user, &alive, now);
            state.observer.resetting += 1;
        }
        let own = || Credentials::standard(USERS[user], password(USERS[user]));
        client.reset((!provided).then(own));
        self.world.state().observer.resetting -= 1;
    }

    /// Closes, and takes the closing for over if it came to an end.
    pub(crate) async fn close<C: Client>(&self, client: &C) -> CloseOutcome {
        {
            let mut state = self.world.state();
            let alive = state.alive(self.clock.now());
            state.observer.closing = true;
            state.observer.supersede(&alive);
        }
        let begun = self.clock.now();
        let closing = Closing(&self.world);
        let outcome = client.close().await;
        std::mem::forget(closing);
        let took = self.clock.now() - begun;
        let mut state = self.world.state();
        if let CloseOutcome::Failed(error) = &outcome
            && error.kind() == ErrorKind::Gateway
            && error.attempts() < 2
            && self.plan.attempt.is_none_or(|attempt| attempt >= EXCHANGE / 10)
            && took * 2 < self.plan.total.unwrap_or(TOTAL).min(EXCHANGE / 10)
        {
            let said = format!("the logout failed after {took:?}: {}", error.report());
            state.observer.broken(Law::Repeated, said);
        }
        let alive = state.alive(self.clock.now());
        let lives = state.observer.uses_one_of(&alive);
        let confirmed = matches!(&outcome, CloseOutcome::LoggedOut | CloseOutcome::AlreadyEnded);
        let simple =
            ![Class::Resets, Class::Leaps, Class::Lends].iter().any(|it| self.plan.has(*it));
        if confirmed && lives && simple && !state.observer.is_lied_to() {
            let said = format!("{outcome:?}, and a session lives");
            state.observer.broken(Law::Outcomes, said);
        }
        let late =
            matches!(&outcome, CloseOutcome::Failed(error) if error.kind() == ErrorKind::Timeout);
        state.observer.closed |= !late;
        outcome
    }

    fn check_answer(&self, call: &Call, status: u16, body: &[u8]) -> Outcome {
        let body = String::from_utf8_lossy(body).into_owned();
        let own = body.contains(&format!("\"id\":\"{}\"", call.id));
        let other = body.contains("\"id\":") && call.path == Path::Echo && !own;
        if other {
            let said = format!("call {} was answered with {body}", call.id);
            self.world.broken(Law::OwnAnswer, said);
        }
        Outcome::Answered { status, body }
    }
}

/// Dropped before its end, it takes note of that.
struct Closing<'a>(&'a World);

impl Drop for Closing<'_> {
    fn drop(&mut self) {
        self.0.state().observer.goes_on();
    }
}
