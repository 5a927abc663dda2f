//! The machine: its inputs and outputs.

mod failing;
mod judging;
mod noting;

use std::fmt;
use std::sync::Arc;
use std::time::Instant;

use http::header::{CONTENT_LENGTH, HeaderMap, HeaderValue, IF_MODIFIED_SINCE, IF_NONE_MATCH};
use http::response::Parts;
use http::{Request, Response, StatusCode};

use super::messages::{Output, Wants};
use super::repeats::{Repeats, is_error, refusal, undecided};
use super::route::{Route, is_redirect};
use super::spec::{Description, ProjectChoice, Spec};
use crate::contract::{Body, RequestContext};
use crate::error::{Error, ErrorKind, Refused};
use crate::generation::Generation;
use crate::protocol::encoding;
use crate::protocol::wire::{self, ERROR_BODY_LIMIT, Endpoint};
use crate::protocol::{Grant, SetCookies};
use crate::session::{Access, Observed, Session, SessionConfig, Verdict, is_bare_refusal};
use crate::timeline::{Link, Reason};
use crate::timeouts::{Timeouts, later};

/// A call waits so often to hear whether its session lives: the question that is under way when it
/// is refused may have been sent before it, and says nothing of it then.
const QUESTIONS: u8 = 2;

/// One application request: what it needs, its attempts, its redirects, its deadline. The
/// [module documentation](crate::call) has an example.
pub struct Call {
    spec: Box<Spec>,
    route: Route,
    wants: Wants,
    stage: Stage,
    deadline: Option<Instant>,
    idempotent: bool,
    repeats: Repeats,
    /// Of the attempt under way.
    grant: Option<Grant>,
    /// In which the answer was given.
    generation: Option<Generation>,
    project: Option<HeaderValue>,
    front: HeaderMap,
    has_turn: bool,
    consulted: bool,
    /// How often the session was asked about the refusal of the attempt under way.
    questions: u8,
    sent_at: Instant,
    /// How often the request has been sent, whatever for.
    sends: u32,
    /// The body has been handed to the transport and cannot be produced again.
    spent: bool,
    /// gzip has been asked for, and is to be undone.
    compressed: bool,
    /// An attempt has failed that the server may have carried out.
    executed: bool,
    /// The predicate's answer about the response under way.
    worth: Option<bool>,
    /// Why it is sent again, if it is.
    reason: Reason,
    /// What the driver has written down about it last.
    noted: Link,
}

/// The input that is awaited.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Stage {
    /// The head of an answer.
    Answer,
    /// The beginning of an error's body.
    Body,
    FrontHeaders,
    Grant,
    /// To be begun: at first, or when a wait is over.
    New,
    Over,
    Place,
    /// The request to be taken and sent.
    Send,
    Store,
    Turn,
    /// The server's answer about the session, which a refusal has put in doubt.
    Verdict,
}

impl Call {
    /// A call of the connection that `config` describes. `seed` spreads its waits.
    ///
    /// A request that cannot be sent (a mistake in describing it, a timeout of zero, an address
    /// that is invalid or that the session's token must not reach) fails when it is begun, with
    /// [`Usage`](ErrorKind::Usage).
    #[must_use]
    pub fn new(spec: Spec, config: &SessionConfig, seed: u64, now: Instant) -> Self {
        Self::with(Box::new(spec), config.endpoint(), Wants::of(config), seed, now)
    }

    pub(crate) fn with(
        mut spec: Box<Spec>,
        endpoint: &Arc<Endpoint>,
        wants: Wants,
        seed: u64,
        now: Instant,
    ) -> Self {
        if let Some(message) = spec.timeouts.zero() {
            spec.note_mistake(Error::new(ErrorKind::Usage, message));
        }
        let route = Route::new(endpoint, &mut spec);
        // DELETE and PUT are idempotent by definition, but a repetition after a lost answer
        // reports "not found" or overwrites what came in between, so only reading is.
        let idempotent = spec.idempotent.unwrap_or_else(|| spec.method.is_safe());
        let replayable = spec.body.is_replayable();
        Self {
            route,
            wants,
            stage: Stage::New,
            deadline: spec.timeouts.for_all().map(|total| later(spec.begun.unwrap_or(now), total)),
            idempotent,
            repeats: Repeats::new(spec.retry, replayable, seed),
            grant: None,
            generation: None,
            project: None,
            front: HeaderMap::new(),
            has_turn: false,
            consulted: false,
            questions: 0,
            sent_at: now,
            sends: 0,
            spent: false,
            compressed: false,
            executed: false,
            worth: None,
            reason: Reason::default(),
            noted: Link::default(),
            spec,
        }
    }

    /// Says what the connection wants of its calls, where that is not what its settings say.
    #[must_use]
    pub const fn wants(mut self, wants: Wants) -> Self {
        self.wants = wants;
        self
    }

    /// When the whole call has to be over. A driver that waits for something until then calls
    /// [`handle_late`](Self::handle_late).
    #[must_use]
    pub const fn deadline(&self) -> Option<Instant> {
        self.deadline
    }

    /// The purpose of the call, in log events and errors.
    #[must_use]
    pub const fn operation(&self) -> &'static str {
        self.spec.operation
    }

    /// The session in which the last attempt was answered.
    #[must_use]
    pub const fn generation(&self) -> Option<Generation> {
        self.generation
    }

    pub(crate) const fn timeouts(&self) -> Timeouts {
        self.spec.timeouts
    }

    /// Where it is made.
    pub(crate) fn endpoint(&self) -> Arc<Endpoint> {
        self.route.shared_endpoint()
    }

    /// What an error says of a call that is over.
    pub(crate) fn take_description(&mut self) -> Description {
        self.spec.take_description(self.sends)
    }

    /// How often the request has been sent.
    #[must_use]
    pub const fn sends(&self) -> u32 {
        self.sends
    }

    /// The input that the machine waits for, for diagnosis.
    #[must_use]
    pub const fn describe(&self) -> &'static str {
        match self.stage {
            Stage::Answer => "sent",
            Stage::Body => "reading an error",
            Stage::FrontHeaders => "asking for front headers",
            Stage::Grant => "waiting for a grant",
            Stage::New => "to be begun",
            Stage::Over => "over",
            Stage::Place => "taking a place",
            Stage::Send => "to be sent",
            Stage::Store => "consulting the store",
            Stage::Turn => "taking a turn",
            Stage::Verdict => "waiting for a verdict",
        }
    }

    /// Begins; and goes on when a place or a turn has been taken, the store has been read, or a
    /// wait is over.
    pub fn proceed(&mut self, now: Instant) -> Output {
        if let Some(mistake) = self.spec.mistake.take() {
            return self.refuse(mistake);
        }
        let shared = self.wants.store && self.spec.authenticated && !self.consulted;
        match self.stage {
            Stage::New if self.wants.place => self.ask_for(Stage::Place, Output::TakePlace),
            // The shared store is read once: after that, this call knows better.
            Stage::New | Stage::Place if shared => {
                self.consulted = true;
                self.ask_for(Stage::Store, Output::ConsultStore)
            }
            Stage::New | Stage::Place | Stage::Store if self.spec.authenticated => {
                self.ask_for(Stage::Grant, Output::NeedGrant)
            }
            Stage::New | Stage::Place | Stage::Store => self.front(now),
            Stage::Turn => {
                self.has_turn = true;
                self.ask_for(Stage::Grant, Output::NeedGrant)
            }
            Stage::Answer
            | Stage::Body
            | Stage::FrontHeaders
            | Stage::Grant
            | Stage::Over
            | Stage::Send
            | Stage::Verdict => self.unexpected(),
        }
    }

    const fn ask_for(&mut self, stage: Stage, output: Output) -> Output {
        self.stage = stage;
        output
    }

    /// Asks the session for access, in the way of this call: one about the session in use opens
    /// none.
    pub fn ask(&self, session: &mut Session, now: Instant) -> Access {
        session.expire_cookies(now);
        let grant = session.current_grant();
        // First the turn: a session that is extended now would cross the call that has it.
        let waits = grant.as_ref().is_some_and(|grant| grant.takes_turns() && !self.has_turn);
        if !self.spec.existing_only && !waits {
            return session.request_access_by(self.deadline, now);
        }
        match grant {
            Some(grant) => Access::Granted(grant),
            None => Access::Denied(Error::new(ErrorKind::SessionLost, "no session is open")),
        }
    }

    /// Access has been granted or denied. `project` is the header of the project that the
    /// connection was opened for.
    pub fn handle_access(
        &mut self,
        access: Result<Grant, Error>,
        project: Option<&HeaderValue>,
        now: Instant,
    ) -> Output {
        if self.stage != Stage::Grant {
            return self.unexpected();
        }
        match access {
            Err(error) => self.fail(error),
            // The cookies may be replaced until there is a turn.
            Ok(grant) if grant.takes_turns() && !self.has_turn => {
                self.ask_for(Stage::Turn, Output::TakeTurn)
            }
            Ok(grant) => {
                self.grant = Some(grant);
                self.project = match &self.spec.project {
                    ProjectChoice::Default => project.cloned(),
                    ProjectChoice::Header(header) => Some(header.clone()),
                    ProjectChoice::None => None,
                };
                self.front(now)
            }
        }
    }

    fn front(&mut self, now: Instant) -> Output {
        // They are for the gateway in front of this server only.
        if self.wants.front_headers && self.route.is_at_home() {
            return self.ask_for(Stage::FrontHeaders, Output::FrontHeaders);
        }
        self.send(now)
    }

    /// The headers that something in front of the server wants have come, or not. They are marked
    /// sensitive, and those that the request has already stay as they are.
    pub fn handle_front_headers(
        &mut self,
        front: Result<HeaderMap, Error>,
        now: Instant,
    ) -> Output {
        if self.stage != Stage::FrontHeaders {
            return self.unexpected();
        }
        match front {
            Ok(front) => {
                self.front = front;
                self.send(now)
            }
            Err(error) => self.fail(error),
        }
    }

    fn send(&mut self, now: Instant) -> Output {
        if self.deadline.is_some_and(|deadline| now >= deadline) {
            return self.handle_late();
        }
        if let Err(error) = self.route.prepare(&self.spec) {
            return self.refuse(error);
        }
        self.sent_at = now;
        self.ask_for(Stage::Send, Output::Send)
    }

    /// The request of the attempt that [`Output::Send`] asks for, once.
    ///
    /// # Errors
    ///
    /// [`Usage`](ErrorKind::Usage) if nothing is to be sent now: the call is over then.
    pub fn request(&mut self) -> Result<Request<Body>, Error> {
        if self.stage != Stage::Send {
            return Err(self.mistaken());
        }
        self.stage = Stage::Answer;
        self.sends += 1;
        // Two of every request, three of the session, the encoding, the length of no body, and the
        // host that a transport adds: with one more than there is room for, the table grows.
        let own = self.spec.headers.keys_len().min(64);
        let mut headers = HeaderMap::with_capacity(8 + own);
        self.route.endpoint().apply(&mut headers);
        for name in self.spec.headers.keys() {
            // The caller's own choice replaces a default, and may have several values.
            headers.remove(name);
            for value in self.spec.headers.get_all(name) {
                headers.append(name.clone(), value.clone());
            }
        }
        // What is looked for below only the caller can have set.
        let given = |name| self.spec.headers.contains_key(name);
        if let Some(grant) = &self.grant {
            grant.wire.apply(&mut headers);
            // A caller who names a project by its header means it.
            if let Some(project) = self.project.take().filter(|_| !given(wire::PROJECT_ID)) {
                headers.insert(wire::PROJECT_ID, project);
            }
        }
        self.compressed = encoding::ask(&self.spec.method, &self.spec.headers, &mut headers);
        if !self.front.is_empty() {
            wire::add_front_headers(&mut headers, std::mem::take(&mut self.front));
        }
        let body = match self.spec.body.try_clone() {
            Some(body) => body,
            None => {
                self.spent = true;
                std::mem::take(&mut self.spec.body)
            }
        };
        // An empty file has a length, too.
        if body.len_hint() == Some(0) && !given(CONTENT_LENGTH) {
            wire::declare_empty_body(&self.spec.method, &mut headers);
        }
        let attempt = later(self.sent_at, self.spec.timeouts.for_attempt());
        let context = RequestContext {
            deadline: Some(self.deadline.map_or(attempt, |total| total.min(attempt))),
            connect_timeout: Some(self.spec.timeouts.for_connecting()),
            body_idle_timeout: Some(self.spec.timeouts.between_pieces()),
            operation: self.spec.operation,
            attempt: self.sends,
        };
        let mut request = Request::new(body);
        *request.method_mut() = self.spec.method.clone();
        *request.uri_mut() = self.route.take();
        *request.headers_mut() = headers;
        context.attach(&mut request);
        Ok(request)
    }

    /// Takes an answer apart, before [`handle_head`](Self::handle_head): the body is the one that is
    /// for the caller, decompressed if it was this call that asked for gzip.
    #[must_use]
    pub fn receive(&self, response: Response<Body>) -> (Parts, Body) {
        let (mut head, body) = response.into_parts();
        let body = encoding::undo(self.compressed, &mut head, body);
        (head, body)
    }

    /// The head of the answer has arrived. For an error the beginning of its body is needed too:
    /// without it, [`Output::ReadError`] is returned, and this is called again with both; so it is
    /// after [`Output::AwaitVerdict`]. The session is told here what the response says about it.
    pub fn handle_head(
        &mut self,
        head: &Parts,
        error_body: Option<&[u8]>,
        session: &mut Session,
        now: Instant,
    ) -> Output {
        let cookies = SetCookies::read(&head.headers);
        let refused = error_body.map(Refused::read);
        self.consider(head, refused.as_ref());
        self.handle_read_head(head, &cookies, refused.as_ref(), session, now)
    }

    /// The same, with the cookies that the head sets and with what the server says in its error: a
    /// driver reads both, and [considers](Self::consider) the answer, before it takes the
    /// session's lock.
    pub(crate) fn handle_read_head(
        &mut self,
        head: &Parts,
        cookies: &SetCookies<'_>,
        refused: Option<&Refused<'_>>,
        session: &mut Session,
        now: Instant,
    ) -> Output {
        let status = head.status;
        let read = matches!(self.stage, Stage::Body | Stage::Verdict);
        if self.stage != Stage::Answer && (!read || refused.is_none()) {
            return self.unexpected();
        }
        if refused.is_none() && is_error(status) {
            return self.ask_for(Stage::Body, Output::ReadError { limit: ERROR_BODY_LIMIT });
        }
        let grant = self.grant.take();
        self.generation = grant.as_ref().map(Grant::generation);
        let verdict = match &grant {
            Some(grant) => {
                let observed = Observed { status, refused, cookies, path: &self.spec.path };
                session.observe_answer(grant, &observed, self.sent_at, now)
            }
            None => Verdict::Sound,
        };
        if verdict == Verdict::Suspected
            && self.questions < QUESTIONS
            && !self.spec.existing_only
            && let Some(suspected) = &grant
            && session.question(suspected.generation(), self.sent_at, now)
        {
            self.grant = grant;
            self.questions += 1;
            return self.ask_for(Stage::Verdict, Output::AwaitVerdict);
        }
        if is_redirect(head) {
            return match self.route.follow(head, &mut self.spec, self.spent) {
                Ok(rewritten) => {
                    if rewritten {
                        self.executed = true;
                        // There is no body any more that could be sent once only.
                        self.spent = false;
                        self.repeats.set_replayable();
                    }
                    self.reason = Reason::Redirect;
                    self.again(now)
                }
                Err(error) => self.fail(error),
            };
        }
        let again = match verdict {
            Verdict::Sound if self.is_worth_repeating(head, refused) => {
                let repeatable = self.is_harmless(status);
                let asked = wire::retry_after(&head.headers);
                let after_failure = || self.repeats.after_failure(asked, self.deadline, now);
                let again = repeatable.then(after_failure).flatten();
                let as_asked = again.is_some_and(|at| asked.is_some_and(|it| later(now, it) >= at));
                self.reason = if as_asked { Reason::RetryAfter } else { Reason::Failure };
                again
            }
            Verdict::Sound | Verdict::Suspected => None,
            Verdict::Gone => self.in_new_session(now),
            // It is this call that has asked.
            Verdict::Outdated if self.questions > 0 => self.in_new_session(now),
            Verdict::Outdated | Verdict::Uncertain => {
                // Nothing but a renewal can have overtaken a request that had its turn. One that
                // cannot be sent again cannot ask a second time, and if its refusal said nothing,
                // calls like it would never find out.
                let lost = verdict == Verdict::Uncertain
                    && !session.is_renewing()
                    && (self.has_turn || !self.repeats.is_replayable());
                self.reason = match verdict {
                    Verdict::Outdated => Reason::NewCookies,
                    _ => Reason::CookiesToCome,
                };
                let cookies = match verdict {
                    Verdict::Outdated => self.repeats.with_new_cookies(now),
                    _ if lost => None,
                    _ => self.repeats.with_cookies_to_come(self.deadline, now),
                };
                if cookies.is_none() && !lost && self.spec.existing_only {
                    return self.fail(undecided());
                }
                // A limit that is reached, or a deadline that is near, is taken for the loss that
                // it may be; for what cannot be sent again, newer cookies explain the refusal.
                let bare =
                    is_bare_refusal(status, refused.and_then(|refused| refused.server.as_ref()));
                if cookies.is_none() && !bare && (lost || self.repeats.is_replayable()) {
                    if let Some(grant) = &grant {
                        session.revoke(grant.generation(), now);
                    }
                    self.in_new_session(now)
                } else {
                    cookies
                }
            }
        };
        match again {
            Some(at) => {
                let server = refused.and_then(|refused| refused.server.as_ref());
                self.executed |=
                    verdict == Verdict::Sound && Error::may_be_executed_after(status, server);
                self.again(at)
            }
            None if status.is_success() || self.accepts(status) => {
                self.ask_for(Stage::Over, Output::Deliver)
            }
            None => {
                let mut error = refusal(head, refused);
                if self.questions > 0 && verdict == Verdict::Outdated {
                    // The server itself has said so, when it was asked.
                    let gone = ErrorKind::SessionLost;
                    error = error.with_kind(gone).with_message(gone.refusal());
                }
                if let Some(grant) = &grant {
                    error = error.with_generation(grant.generation());
                }
                self.fail(error)
            }
        }
    }

    /// When to send again because the session was gone; a call about that session is not.
    const fn in_new_session(&mut self, now: Instant) -> Option<Instant> {
        self.reason = Reason::NewSession;
        if self.spec.existing_only { None } else { self.repeats.in_new_session(now) }
    }

    /// Whether the caller accepts a status that is not a success.
    fn accepts(&self, status: StatusCode) -> bool {
        let asked_for_changes = self.spec.headers.contains_key(IF_NONE_MATCH)
            || self.spec.headers.contains_key(IF_MODIFIED_SINCE);
        (self.spec.accepts)(status) || (status == StatusCode::NOT_MODIFIED && asked_for_changes)
    }

    fn again(&mut self, at: Instant) -> Output {
        // Other calls need not wait while this one does.
        self.has_turn = false;
        self.questions = 0;
        self.ask_for(Stage::New, Output::Wait(at))
    }

    /// Ends the call. Says which one failed, unless the error is a login's: then that is what
    /// failed, after attempts of its own.
    fn fail(&mut self, error: Error) -> Output {
        let error = match error.operation() {
            // Whether this call was carried out is another question than whether that login was.
            Some(_) => error.with_executed(self.executed),
            None => {
                let executed = self.executed || error.may_have_been_executed();
                self.take_description().name(error).with_executed(executed)
            }
        };
        self.ask_for(Stage::Over, Output::Fail(error))
    }

    /// Ends the call before anything was sent.
    const fn refuse(&mut self, error: Error) -> Output {
        self.ask_for(Stage::Over, Output::Fail(error))
    }

    /// A driver's mistake ends the call: going on could send a request twice.
    fn unexpected(&mut self) -> Output {
        Output::Fail(self.mistaken())
    }

    fn mistaken(&mut self) -> Error {
        let message =
            format!("the driver reports what the call, {}, did not ask for", self.describe());
        self.stage = Stage::Over;
        Error::new(ErrorKind::Usage, message)
    }
}

impl fmt::Debug for Call {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Call")
            .field("operation", &self.spec.operation)
            .field("state", &self.describe())
            .field("sends", &self.sends)
            .finish_non_exhaustive()
    }
}
