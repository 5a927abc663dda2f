//! A client of the bare machines: its calls, and the operations that are made of them.

use std::sync::Arc;

use bytes::Bytes;
use http::response::Parts as Head;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Response};
use mstr_core::call::{Call, Output, Spec, Wants};
use mstr_core::session::{Command, Session};
use mstr_core::toolkit::before;
use mstr_core::{
    Body, CloseOutcome, Credentials, Error, ErrorKind, Generation, Grant, IdentityToken, Timeline,
    Timer, Transport, TransportError, TransportErrorKind, Version,
};
use serde_json::Value;

use super::core::{BODY_LIMIT, Begun, Core, late};
use super::waiting::{Awaited, Turn};
use super::words;
use crate::client::{Client, body};
use crate::ops::{self, Path};
use crate::plan::PROJECT;
use crate::world::ELSEWHERE;

const PROJECT_ID: HeaderName = HeaderName::from_static("x-mstr-projectid");

/// Clones share the session. The last one closes it.
#[derive(Clone)]
pub(crate) struct Bare {
    core: Arc<Core>,
    _last: Arc<Last>,
}

struct Last(Arc<Core>);

impl Drop for Last {
    fn drop(&mut self) {
        if self.0.state().session.needs_closing() {
            let core = Arc::clone(&self.0);
            let even_if_borrowed = core.parts.quirks.closes_borrowed();
            let time = self.0.parts.net.time.clone();
            drop(time.spawn(async move { core.close(even_if_borrowed, None).await }));
        }
    }
}

/// The response that is for the caller, read whole.
struct Answered {
    head: Head,
    body: Bytes,
    generation: Option<Generation>,
}

/// The project header of a request.
#[derive(Clone, Copy)]
enum About {
    /// The project for which the connection was opened.
    Ours,
    Given(&'static str),
    Nothing,
}

/// A call that is under way.
struct Underway {
    core: Arc<Core>,
    call: Call,
    about: About,
    grant: Option<Grant>,
    turn: Option<Turn>,
    head: Head,
    body: Body,
    /// Of an error's body.
    beginning: Bytes,
}

impl Underway {
    fn new(core: Arc<Core>, spec: Spec, about: About) -> Self {
        let seed = {
            let mut state = core.state();
            state.calls += 1;
            core.parts.plan.seed.wrapping_add(state.calls)
        };
        let mut wants = Wants::default();
        wants.front_headers = core.parts.quirks.fronts();
        (wants.place, wants.store) = (core.parts.quirks.limits(), core.parts.quirks.shares());
        let call = Call::new(spec, &core.parts.config, seed, core.now()).wants(wants);
        let (head, body) = Response::new(Body::empty()).into_parts();
        let beginning = Bytes::new();
        Self { core, call, about, grant: None, turn: None, head, body, beginning }
    }

    /// Gives the call an input, and notes it.
    fn give(&mut self, input: words::Input, give: impl FnOnce(&mut Call) -> Output) -> Output {
        let from = self.call.describe();
        let output = give(&mut self.call);
        self.core.parts.seen.call(from, input, self.call.describe());
        output
    }

    async fn run(mut self) -> Result<Answered, Error> {
        let now = self.core.now();
        let mut output = self.give(words::PROCEED, |call| call.proceed(now));
        loop {
            output = match output {
                Output::TakePlace => self.proceed(),
                Output::ConsultStore => {
                    self.consult();
                    self.proceed()
                }
                Output::TakeTurn => {
                    let turn = self.core.line.join();
                    match self.core.before(self.call.deadline(), turn.comes()).await {
                        Some(()) => {
                            self.turn = Some(turn);
                            self.proceed()
                        }
                        None => self.late(),
                    }
                }
                Output::Wait(until) => {
                    self.turn = None;
                    self.core.parts.net.time.sleep_until(until).await;
                    self.proceed()
                }
                Output::FrontHeaders => {
                    let found = self.core.parts.quirks.headers(&self.core.parts.net.world, true);
                    let latest = self.core.now() + found.after;
                    let until = self.call.deadline().map_or(latest, |it| it.min(latest));
                    self.core.parts.net.time.sleep_until(until).await;
                    // The session may have been closed meanwhile, and is not asked again.
                    let closed = self.core.state().session.close_outcome().is_some();
                    let headers = if closed && self.grant.is_some() {
                        Err(words::any_error())
                    } else {
                        found.headers
                    };
                    let (now, said) = (self.core.now(), words::fronted(false, headers.is_ok()));
                    self.give(said, |call| call.handle_front_headers(headers, now))
                }
                Output::NeedGrant => self.ask().await,
                Output::Send => self.send().await?,
                Output::ReadError { limit } => self.read_error(limit).await,
                Output::AwaitVerdict => {
                    let flight = Core::flight(&mut self.core.state());
                    drop(self.core.before(self.call.deadline(), flight).await);
                    self.judge(true)
                }
                Output::Deliver => return self.deliver().await,
                Output::Fail(error) => return Err(error),
            }
        }
    }

    fn proceed(&mut self) -> Output {
        let now = self.core.now();
        self.give(words::PROCEED, |call| call.proceed(now))
    }

    fn late(&mut self) -> Output {
        self.give(words::DEADLINE, Call::handle_late)
    }

    /// The session that was stored last, if there is none and none is being opened.
    fn consult(&self) {
        let core = &self.core;
        let mut state = core.state();
        let idle = state.session.describe() == "idle";
        let wanted = idle && core.parts.quirks.adopts(&core.parts.net.world);
        let stored = state.stored.take().filter(|_| wanted);
        if let Some(stored) = stored {
            core.give(&mut state, |state, now| {
                let said = words::adopted(stored.is_borrowed());
                (Some(said), drop(state.session.adopt(stored, now)))
            });
        }
    }

    async fn ask(&mut self) -> Output {
        let access = self.core.access(|session, now| self.call.ask(session, now));
        let now = self.core.now();
        match access {
            Begun::Done(access) => {
                self.grant = access.as_ref().ok().cloned();
                let said = words::granted(&access, self.call.deadline(), now);
                self.give(said, |call| call.handle_access(access, None, now))
            }
            Begun::Flight(flight) => {
                let landed = self.core.before(self.call.deadline(), flight).await;
                let now = self.core.now();
                match landed.map(|landed| self.core.told(landed)) {
                    Some(Ok(())) => Output::NeedGrant,
                    Some(Err(error)) => {
                        self.give(words::DENIED, |call| call.handle_access(Err(error), None, now))
                    }
                    None => self.late(),
                }
            }
        }
    }

    async fn send(&mut self) -> Result<Output, Error> {
        let from = self.call.describe();
        let mut request = self.call.request()?;
        self.core.parts.seen.call(from, words::TAKEN, self.call.describe());
        let ours = self.core.parts.project && self.grant.is_some();
        let project = self.core.state().session.project().map(|project| project.id.clone());
        let header = match (self.about, project) {
            (About::Given(id), _) => Some(HeaderValue::from_static(id)),
            (About::Ours, Some(id)) if ours => HeaderValue::from_str(id.as_str()).ok(),
            _ => None,
        };
        if let Some(header) = header {
            request.headers_mut().insert(PROJECT_ID, header);
        }
        let response = match self.core.parts.net.send(request).await {
            Ok(response) => response,
            Err(error) => return Ok(self.fail(&error)),
        };
        (self.head, self.body) = self.call.receive(response);
        self.beginning = Bytes::new();
        // A driver may read the beginning of an error at once.
        let failed = self.head.status.is_client_error() || self.head.status.is_server_error();
        if failed && self.core.parts.quirks.reads_ahead() {
            return Ok(self.read_error(BODY_LIMIT).await);
        }
        Ok(self.judge(false))
    }

    fn fail(&mut self, error: &TransportError) -> Output {
        let now = self.core.now();
        self.give(words::failed(error), |call| call.handle_failure(error, now))
    }

    async fn read_error(&mut self, limit: usize) -> Output {
        let mut read = Vec::new();
        while read.len() < limit {
            let piece = before(self.call.deadline(), &self.core.parts.net.time, self.body.chunk());
            match piece.await {
                Some(Ok(Some(piece))) => read.extend_from_slice(&piece),
                Some(Ok(None)) => break,
                Some(Err(error)) => return self.fail(&error),
                None => return self.late(),
            }
        }
        read.truncate(limit);
        self.beginning = read.into();
        self.judge(true)
    }

    fn judge(&mut self, read: bool) -> Output {
        let Self { core, call, grant, head, beginning, .. } = self;
        let body = read.then_some(&**beginning);
        let from = call.describe();
        let said = if from == "waiting for a verdict" {
            let state = core.state();
            let same = |grant: &Grant| Some(grant.generation()) == state.session.generation();
            let kept = state.session.is_open() && grant.as_ref().is_some_and(same);
            vec![words::verdict(kept, state.answered)]
        } else {
            words::answered(head, body)
        };
        let output = core.judge(call, grant.as_ref(), head, body);
        for said in said {
            core.parts.seen.call(from, said, call.describe());
        }
        output
    }

    async fn deliver(self) -> Result<Answered, Error> {
        let (head, generation) = (self.head, self.call.generation());
        let read = self.core.before(self.call.deadline(), self.body.collect(BODY_LIMIT)).await;
        let body = read.ok_or_else(late)??;
        Ok(Answered { head, body, generation })
    }
}

impl Bare {
    pub(super) fn new(core: Arc<Core>) -> Self {
        Self { _last: Arc::new(Last(Arc::clone(&core))), core }
    }

    fn spec(&self, method: Method, path: impl Into<String>) -> Spec {
        let mut spec = Spec::new(method, path);
        spec.timeouts = self.core.parts.timeouts;
        spec
    }

    /// A call is a task of its own, so it goes on when its caller is not polled.
    async fn run(&self, spec: Spec, about: About) -> Result<Answered, Error> {
        let call = Underway::new(Arc::clone(&self.core), spec, about);
        let task = self.core.parts.net.time.spawn(call.run());
        Awaited(task).await.unwrap_or_else(|| Err(late()))
    }

    /// A value of the JSON that one of the session's endpoints answers with.
    async fn read<T>(
        &self,
        path: &str,
        read: impl FnOnce(&Value) -> Option<T>,
    ) -> Result<(T, Option<Generation>), Error> {
        let Answered { body, generation, .. } =
            self.run(self.spec(Method::GET, path), About::Nothing).await?;
        let value = serde_json::from_slice(&body).ok().and_then(|value| read(&value));
        Ok((value.ok_or_else(unreadable)?, generation))
    }

    async fn list(&self) -> Result<Vec<String>, Error> {
        let names = |value: &Value| {
            let name = |project: &Value| project["name"].as_str().map(str::to_owned);
            value.as_array()?.iter().map(name).collect()
        };
        Ok(self.read("/api/projects", names).await?.0)
    }
}

/// An answer that is not what the API promises.
fn unreadable() -> Error {
    TransportError::new(TransportErrorKind::Protocol).into()
}

impl Client for Bare {
    async fn call(&self, call: ops::Call) -> Result<(u16, Bytes), Error> {
        let method: Method = call.method.parse().unwrap_or_default();
        let mut spec = match call.path {
            Path::Echo => self.spec(method, format!("/api/calls/{}", call.id)),
            Path::Missing => self.spec(method, "/api/nothing/here"),
            Path::Public => self.spec(Method::GET, "/api/status"),
            Path::Elsewhere => self.spec(method, ELSEWHERE),
        };
        spec.authenticated = !matches!(call.path, Path::Public | Path::Elsewhere);
        if let Some(body) = body(call.body) {
            spec.body = body;
        }
        spec.idempotent = call.idempotent;
        if let Some(total) = call.total {
            spec.timeouts = spec.timeouts.total(Some(total));
        }
        let about = if call.own_project { About::Given("of-the-caller") } else { About::Ours };
        let answered = self.run(spec, about).await?;
        Ok((answered.head.status.as_u16(), answered.body))
    }

    async fn open(&self) -> Result<(), Error> {
        self.core.open(self.core.deadline()).await
    }

    async fn renew(&self) -> Result<(), Error> {
        let deadline = self.core.deadline();
        self.core.command(words::RENEW, Command::Renew, deadline).await?;
        self.core.open(deadline).await
    }

    async fn user(&self) -> Result<String, Error> {
        let kept = |session: &Session, of: &Option<Generation>| {
            session.is_open() && *of == session.generation()
        };
        {
            let state = self.core.state();
            let known = state.user.as_ref().filter(|(of, _)| kept(&state.session, of));
            if let Some((_, name)) = known {
                return Ok(name.clone());
            }
        }
        let name = |value: &Value| value["fullName"].as_str().map(str::to_owned);
        let (name, generation) = self.read("/api/sessions/userInfo", name).await?;
        self.core.state().user = Some((generation, name.clone()));
        Ok(name)
    }

    async fn status(&self) -> Result<bool, Error> {
        let mut spec = self.spec(Method::GET, "/api/sessions");
        spec.existing_only = true;
        match self.run(spec, About::Nothing).await {
            Ok(answered) => {
                let info: Result<Value, _> = serde_json::from_slice(&answered.body);
                info.map(|_| true).map_err(|_| unreadable())
            }
            Err(error) if error.kind() == ErrorKind::SessionLost => Ok(false),
            Err(error) => Err(error),
        }
    }

    async fn projects(&self) -> Result<usize, Error> {
        Ok(self.list().await?.len())
    }

    async fn server(&self) -> Result<String, Error> {
        let shown = |version: Option<&Version>| format!("{version:?}");
        {
            let state = self.core.state();
            let known = state.session.server().map(|server| shown(server.iserver_version.as_ref()));
            if let Some(known) = known.or_else(|| state.server.clone()) {
                return Ok(known);
            }
        }
        let version = |value: &Value| {
            value.as_object()?;
            let version = value["iServerVersion"].as_str().and_then(|text| text.parse().ok());
            Some(shown(version.as_ref()))
        };
        let (version, _) = self.read("/api/status", version).await?;
        self.core.state().server = Some(version.clone());
        Ok(version)
    }

    async fn select(&self) -> Result<Option<String>, Error> {
        let found = self.list().await?.into_iter().find(|name| name == PROJECT);
        found.map(Some).ok_or_else(unreadable)
    }

    async fn lend(&self) -> Result<IdentityToken, Error> {
        let spec = self.spec(Method::POST, "/api/auth/identityToken");
        let answered = self.run(spec, About::Nothing).await?;
        let token = |headers: &HeaderMap| {
            headers.get("x-mstr-identitytoken")?.to_str().ok().map(IdentityToken::from)
        };
        token(&answered.head.headers).ok_or_else(unreadable)
    }

    async fn borrowed(&self, token: IdentityToken) -> Result<Self, Error> {
        let seed = {
            let mut state = self.core.state();
            state.calls += 1;
            self.core.parts.plan.seed.wrapping_add(state.calls)
        };
        let mut parts = self.core.parts.clone();
        (parts.vault, parts.project) = (None, false);
        parts.config = super::settings(&parts.plan, &parts.quirks)?.seed(seed);
        if parts.quirks.borrows_for_a_project() {
            parts.config = parts.config.project(PROJECT);
        }
        let credentials = Credentials::identity_token(token);
        let session = Session::new(parts.config.clone(), Some(credentials))?;
        let borrower = Self::new(Core::new(parts, session));
        borrower.open().await?;
        Ok(borrower)
    }

    async fn close(&self) -> CloseOutcome {
        let even_if_borrowed = self.core.parts.quirks.closes_borrowed();
        self.core.close(even_if_borrowed, self.core.deadline()).await
    }

    fn reset(&self, credentials: Option<Credentials>) {
        let core = &self.core;
        let mut state = core.state();
        core.parts.quirks.before_a_reset(core, &mut state);
        // What is stored is of another user.
        state.stored = None;
        core.give(&mut state, |state, now| {
            let said = words::reset(credentials.as_ref());
            state.session.handle(Command::Reset(credentials), now);
            (Some(said), ())
        });
    }

    fn timeline(&self) -> Option<Timeline> {
        None
    }
}
