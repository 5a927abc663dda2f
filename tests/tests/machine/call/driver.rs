//! A driver that carries out nothing: it gives the machine one input at a time and writes down
//! what the machine wants. Behind it is a real session. It uses the public interface only.

use std::time::{Duration, Instant};

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, Response, StatusCode};
use mstr_core::call::{Call, Output, Spec, Wants};
use mstr_core::session::{
    Access, ExchangeId, Output as SessionOutput, Purpose, Session, SessionConfig, Verdict,
};
use mstr_core::{BaseUrl, Body, Credentials, Error, ErrorKind, Grant, RetryPolicy, Timeouts};

use super::inputs::{Input, Other, Reply, Word};
use super::laws::{self, Step};
use super::situation::{Exchanging, Given, Situation, Track};
use crate::document::words;
use crate::graph::{Done, Machine};

/// Two are enough to see the first and the last.
pub(crate) const MAX_ATTEMPTS: u32 = 2;
/// How often the machine follows a redirect, and sends a request again whose cookies were replaced.
pub(crate) const REDIRECTS: u32 = 10;
pub(crate) const OUTDATED: u32 = 64;
/// How often in a row it waits for a cookie.
pub(crate) const UNCERTAIN: u32 = 3;
/// The text for a failure of a call after an input that it did not ask for.
pub(crate) const NOT_ASKED_FOR: &str = "not asked for";
/// Longer than any wait but the one that a server asks for.
const TOTAL: Duration = Duration::from_secs(20);
/// Sessions that end sooner are counted.
const BRIEF: Duration = Duration::from_secs(10);
/// Shorter than any wait.
const NEARLY: Duration = Duration::from_millis(5);

/// The kind of call.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub(crate) enum Kind {
    Get,
    Post,
    /// With a body that can be sent once.
    Stream,
    /// About the session in use.
    AboutSession,
    WithoutSession,
    /// On another server, without the session.
    Elsewhere,
    /// On another server, with the session.
    Misdirected,
}

/// The settings of a call.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Start {
    pub(crate) kind: Kind,
    /// Place, store and front headers.
    pub(crate) wants: bool,
    /// There is a deadline.
    pub(crate) hurried: bool,
    /// It has been redirected and its cookies have been replaced as often as the machine allows.
    pub(crate) worn: bool,
}

const fn start(kind: Kind, wants: bool) -> Start {
    Start { kind, wants, hurried: false, worn: false }
}

pub(crate) struct Driver {
    pub(crate) start: Start,
    pub(crate) call: Call,
    pub(crate) session: Session,
    pub(crate) now: Instant,
    /// When the wait is over.
    until: Instant,
    pub(crate) grant: Option<Grant>,
    tokens: u32,
    pub(crate) track: Track,
    /// What the session has asked about itself.
    question: Option<ExchangeId>,
    /// How the request was answered.
    told: Option<Reply>,
    watching: bool,
    /// Laws that were broken.
    broken: Vec<String>,
}

impl Machine for Driver {
    type Input = Input;
    type Situation = Situation;
    type Start = Start;

    const STARTS: &'static [Start] = &[
        start(Kind::Get, false),
        start(Kind::Get, true),
        start(Kind::Post, false),
        start(Kind::Stream, true),
        start(Kind::AboutSession, true),
        start(Kind::WithoutSession, false),
        start(Kind::WithoutSession, true),
        start(Kind::Elsewhere, true),
        start(Kind::Misdirected, false),
        Start { hurried: true, ..start(Kind::Get, false) },
        Start { hurried: true, ..start(Kind::WithoutSession, false) },
        Start { hurried: true, ..start(Kind::WithoutSession, true) },
        Start { worn: true, ..start(Kind::Get, false) },
    ];

    fn new(start: Start) -> Self {
        let base = BaseUrl::parse("https://env.example.com/MicroStrategyLibrary").unwrap();
        let config = SessionConfig::new(base).checks(false).seed(7);
        let credentials = Credentials::standard("alice", "secret");
        #[expect(clippy::disallowed_methods, reason = "an arbitrary origin for virtual time")]
        let now = Instant::now();
        let mut wants = Wants::default();
        (wants.place, wants.store, wants.front_headers) = (start.wants, start.wants, start.wants);
        let call = Call::new(spec(start), &config, 7, now).wants(wants);
        let session = Session::new(config, Some(credentials)).unwrap();
        let mut driver = Self {
            start,
            call,
            session,
            now,
            until: now,
            grant: None,
            tokens: 0,
            track: Track::default(),
            question: None,
            told: None,
            watching: false,
            broken: Vec::new(),
        };
        if start.worn {
            driver.wear();
        }
        driver
    }

    fn inputs(&self) -> Vec<Input> {
        // Inputs that are not asked for are tried in every state, once.
        let state = self.call.describe();
        let first = state == "over" || self.track.is_first();
        // The response that is judged again is the one that was judged before.
        let again = state == "waiting for a verdict";
        let tried = |input: &Input| match input {
            Input::Head(_) | Input::Told(_) if again => false,
            input => first || input.is_expected(state),
        };
        let mut inputs: Vec<Input> = Input::to_all().filter(tried).collect();
        // The request is taken where it is sent: nothing happens in between.
        if state == "over" || state == "to be sent" {
            return inputs;
        }
        if state == "waiting for a verdict" {
            inputs.extend([Word::Alive, Word::Gone, Word::Nothing].map(Input::Verdict));
        }
        if self.start.hurried && !self.is_late() {
            inputs.push(Input::Time);
        }
        if !self.is_in_session() {
            return inputs;
        }
        // A call that is worn has no time for more, nor has one in a hurry.
        let Start { hurried, worn, .. } = self.start;
        let open = if self.session.is_open() { Other::Gone } else { Other::Opened };
        // Between these states nothing of the session's is looked at.
        if !["waiting for a grant", "sent", "reading an error"].contains(&state) {
            return inputs;
        }
        let mut other = |other, happens| {
            if happens {
                inputs.push(Input::Other(other));
            }
        };
        other(Other::Cookie, !hurried);
        other(Other::Exchanged, !worn && !self.start.wants && !self.session.takes_turns());
        other(open, !worn && !hurried);
        inputs
    }

    fn apply(&mut self, input: Input) -> Done {
        let before = self.situation();
        let open = self.session.is_open();
        let mut done = Done::default();
        let mut request = None;
        let output = match input {
            Input::Taken => self.call.request().map_or_else(
                |error| Some(Output::Fail(error)),
                |taken| {
                    request = Some(taken);
                    None
                },
            ),
            _ => self.give(input),
        };
        let mut wait = None;
        if let Some(output) = output {
            if let Output::Wait(at) = &output {
                wait = Some(*at);
            }
            self.carry_out(output, input.is_expected(before.state), &mut done);
        }
        self.note_exchange(&before, input);
        if input.is_to_the_call() {
            self.track.after(&before, input, wait.map(|at| at - self.now), self.session.is_open());
            if self.watching {
                let (before, done, request) = (&before, &done, request.as_ref());
                let step = Step { before, open, input, done, wait, request };
                let broken = laws::broken(&step, self);
                self.broken.extend(broken);
            }
        }
        if request.is_some() {
            self.track.sent(self.start.kind == Kind::Stream);
        }
        if input.is_to_the_call() && open && !self.session.is_open() {
            done.events.push("the session is given up".into());
        }
        done.state = self.call.describe();
        self.drain();
        done
    }

    fn situation(&self) -> Situation {
        Situation::of(self)
    }

    fn is_followed(&self) -> bool {
        true
    }

    fn watch(&mut self) {
        self.watching = true;
    }

    fn take_broken(&mut self) -> Vec<String> {
        std::mem::take(&mut self.broken)
    }

    fn ends(_: Input, done: &Done) -> bool {
        done.state == "over"
    }
}

impl Driver {
    /// It needs the session's token.
    pub(crate) fn is_in_session(&self) -> bool {
        !matches!(self.start.kind, Kind::WithoutSession | Kind::Elsewhere | Kind::Misdirected)
    }

    pub(crate) fn is_late(&self) -> bool {
        self.call.deadline().is_some_and(|deadline| self.now >= deadline)
    }

    /// The deadline is so near that no wait is over before it.
    pub(crate) fn is_nearly_late(&self) -> bool {
        self.call.deadline().is_some_and(|deadline| self.now + NEARLY >= deadline)
    }

    /// What the session behind it says of the grant in hand.
    pub(crate) fn given(&self) -> Given {
        let Some(grant) = &self.grant else { return Given::Nothing };
        match self.session.current_grant() {
            Some(current) if current.generation() != grant.generation() => Given::Replaced,
            Some(current) if headers(&current) != headers(grant) => Given::Outdated,
            Some(_) => Given::Current,
            None => Given::Replaced,
        }
    }

    /// Whether the session's own cookie is another one than the grant's.
    pub(crate) fn is_cookie_replaced(&self) -> bool {
        let (Some(given), Some(current)) = (&self.grant, self.session.current_grant()) else {
            return false;
        };
        session_cookie(given) != session_cookie(&current)
    }

    /// Gives the machine the input; what it wants then, unless the input is none of its own.
    fn give(&mut self, input: Input) -> Option<Output> {
        let Self { call, session, .. } = self;
        Some(match input {
            Input::Proceed => {
                self.now = self.now.max(self.until);
                call.proceed(self.now)
            }
            Input::Access => {
                let access = self.ask();
                self.grant = access.as_ref().ok().cloned();
                self.track.has_access = true;
                self.call.handle_access(access, None, self.now)
            }
            Input::Denied => call.handle_access(Err(any_error()), None, self.now),
            Input::FrontHeaders { given } => {
                let mut front = HeaderMap::new();
                front.insert("x-front", HeaderValue::from_static("front"));
                let front = if given { Ok(front) } else { Err(any_error()) };
                call.handle_front_headers(front, self.now)
            }
            Input::Head(reply) => call.handle_head(&reply.head(), None, session, self.now),
            Input::Told(reply) => {
                self.told = Some(reply);
                call.handle_head(&reply.head(), Some(reply.body()), session, self.now)
            }
            Input::Verdict(word) => {
                self.answer_question(word);
                let Self { call, session, .. } = self;
                let reply = self.told.unwrap_or(Reply::Bare);
                call.handle_head(&reply.head(), Some(reply.body()), session, self.now)
            }
            Input::Failure(failure) => call.handle_failure(&failure.error(), self.now),
            Input::Taken => return None,
            Input::Late => {
                self.now = self.call.deadline().map_or(self.now, |at| at.max(self.now));
                self.call.handle_late()
            }
            Input::Time => {
                let deadline = self.call.deadline().unwrap();
                self.now = if self.is_nearly_late() { deadline } else { deadline - NEARLY };
                return None;
            }
            Input::Other(other) => {
                self.other(other);
                return None;
            }
        })
    }

    /// Answers what the session asks about itself, as often as it asks.
    fn answer_question(&mut self, word: Word) {
        while let Some(id) = self.question.take() {
            self.session.handle_response(id, word.answer(), self.now);
            let until = self.drain();
            if let Some(until) = until.filter(|_| self.session.is_renewing()) {
                // A cookie may be on its way.
                self.now = self.now.max(until);
                self.session.handle_timeout(self.now);
                self.drain();
            }
        }
    }

    /// What the input says about the session's cookie.
    fn note_exchange(&mut self, before: &Situation, input: Input) {
        if !self.session.is_open() {
            self.track.exchanging = Exchanging::default();
        }
        let answered = match input {
            Input::Head(reply) if !reply.is_error() => reply.says_something(),
            Input::Told(reply) => reply.says_something(),
            _ => false,
        };
        let ours = matches!(before.given, Given::Current | Given::Outdated);
        if answered && ours && input.is_expected(before.state) {
            self.track.exchanging.note(false);
        }
    }

    /// Says what is wanted.
    fn carry_out(&mut self, output: Output, expected: bool, done: &mut Done) {
        let mut ask = |what: &str| done.sent.push(what.to_owned());
        match output {
            Output::TakePlace => ask("a place"),
            Output::ConsultStore => ask("a look into the store"),
            Output::NeedGrant => ask("access"),
            Output::TakeTurn => ask("a turn"),
            Output::FrontHeaders => ask("front headers"),
            Output::ReadError { .. } => ask("the error's body"),
            Output::AwaitVerdict => ask("a word about the session"),
            Output::Send => ask("the request"),
            Output::Wait(at) => {
                self.until = at;
                ask(match at.saturating_duration_since(self.now).as_millis() {
                    0 => "no wait",
                    1..100 => "a moment's wait",
                    100..60_000 => "a wait",
                    _ => "the wait that the server asks for",
                });
            }
            Output::Deliver => done.told.push("delivered".into()),
            // A call can also fail because of what it is, and it is another matter.
            Output::Fail(error) if error.kind() == ErrorKind::Usage && !expected => {
                done.failure = Some(NOT_ASKED_FOR.into());
            }
            Output::Fail(error) => done.failure = Some(words(error.kind())),
        }
    }

    /// Asks the session in the way of the call, and opens one if it may.
    fn ask(&mut self) -> Result<Grant, Error> {
        loop {
            match self.call.ask(&mut self.session, self.now) {
                Access::Granted(grant) => return Ok(grant),
                Access::Denied(error) => return Err(error),
                Access::Pending => self.log_in(),
            }
        }
    }

    /// Opens a session in which something works.
    fn log_in(&mut self) {
        // A while ago: what several lead to that end at once, the session's own tests show.
        let then = self.now.checked_sub(BRIEF).unwrap_or(self.now);
        self.session.request_access(then);
        loop {
            match self.session.poll_output() {
                SessionOutput::Send(exchange) if exchange.purpose == Purpose::Login => {
                    self.tokens += 1;
                    let token = format!("t{}", self.tokens);
                    let answer = Response::builder()
                        .status(204)
                        .header("X-MSTR-AuthToken", &token)
                        .header("Set-Cookie", format!("JSESSIONID=j-{token}"));
                    let answer = answer.body(Bytes::new()).unwrap();
                    self.session.handle_response(exchange.id, Ok(answer), then);
                }
                SessionOutput::Wait(_) => break,
                _ => {}
            }
        }
        self.observe(None);
    }

    /// Another call in the session in use is answered.
    fn observe(&mut self, cookie: Option<String>) {
        let Some(grant) = self.session.current_grant() else { return };
        let mut head = Response::new(()).into_parts().0;
        if let Some(cookie) = cookie {
            head.headers.insert("set-cookie", cookie.parse().unwrap());
        }
        self.session.observe(&grant, &head, None, self.now, self.now);
        let replaced = head
            .headers
            .get("set-cookie")
            .is_some_and(|cookie| cookie.as_bytes().starts_with(b"JSESSIONID"));
        self.track.exchanging.note(replaced);
    }

    fn other(&mut self, other: Other) {
        self.tokens += 1;
        let number = self.tokens;
        match other {
            Other::Cookie => self.observe(Some(format!("AWSALB=a{number}"))),
            Other::Exchanged => {
                if !self.session.is_open() {
                    self.log_in();
                }
                self.observe(Some(format!("JSESSIONID=n{number}")));
            }
            Other::Gone => {
                let grant = self.session.current_grant().unwrap();
                let mut head = Response::new(()).into_parts().0;
                head.status = StatusCode::UNAUTHORIZED;
                let body = Some(Reply::Expired.body());
                let verdict = self.session.observe(&grant, &head, body, self.now, self.now);
                if verdict == Verdict::Uncertain {
                    self.session.revoke(grant.generation(), self.now);
                }
            }
            Other::Opened => self.log_in(),
        }
    }

    /// Takes what the session wants; until when it waits.
    fn drain(&mut self) -> Option<Instant> {
        loop {
            match self.session.poll_output() {
                SessionOutput::Send(exchange) if exchange.purpose == Purpose::Inspect => {
                    self.question = Some(exchange.id);
                }
                SessionOutput::Wait(until) => return until,
                _ => {}
            }
        }
    }

    /// Uses up what the machine allows for redirects and for cookies that were replaced.
    fn wear(&mut self) {
        for _ in 0..REDIRECTS {
            let moved = Input::Head(Reply::Moved);
            for input in [Input::Proceed, Input::Access, Input::Taken, moved] {
                self.apply(input);
            }
        }
        for _ in 0..OUTDATED {
            self.apply(Input::Proceed);
            self.apply(Input::Access);
            self.apply(Input::Taken);
            self.apply(Input::Other(Other::Cookie));
            self.apply(Input::Head(Reply::Expired));
            self.apply(Input::Told(Reply::Expired));
        }
    }
}

fn spec(start: Start) -> Spec {
    let mut spec = match start.kind {
        Kind::Post | Kind::Stream => Spec::new(Method::POST, "/api/x"),
        Kind::Elsewhere | Kind::Misdirected => Spec::new(Method::GET, "https://other.example.com/"),
        _ => Spec::new(Method::GET, "/api/x"),
    };
    spec.body = match start.kind {
        Kind::Post => "{}".into(),
        Kind::Stream => Body::wrap(Body::from("once")),
        _ => Body::empty(),
    };
    spec.authenticated = !matches!(start.kind, Kind::WithoutSession | Kind::Elsewhere);
    spec.existing_only = start.kind == Kind::AboutSession;
    spec.retry = RetryPolicy::new().max_attempts(MAX_ATTEMPTS);
    spec.timeouts = Timeouts::new().total(start.hurried.then_some(TOTAL));
    spec
}

/// Any will do; this is the shortest way to one.
fn any_error() -> Error {
    BaseUrl::parse("").unwrap_err()
}

/// The headers that a grant adds to a request.
pub(crate) fn headers(grant: &Grant) -> HeaderMap {
    let mut headers = HeaderMap::new();
    grant.apply(&mut headers, None);
    headers
}

/// The session's own cookie.
fn session_cookie(grant: &Grant) -> Option<String> {
    let headers = headers(grant);
    let cookies = headers.get("cookie")?.to_str().ok()?;
    let own = cookies.split("; ").find(|cookie| cookie.starts_with("JSESSIONID="))?;
    Some(own.to_owned())
}
