//! A driver that carries out nothing: it gives the machine one input at a time and writes down
//! what the machine does. It uses the public interface only.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use http::{HeaderMap, Response, StatusCode};
use mstr_core::session::{
    Access, CloseOutcome, Command, Event, Exchange, ExchangeId, LossReason, Output, Session,
    SessionConfig, Verdict,
};
use mstr_core::{BaseUrl, Credentials, ErrorKind, Generation, Grant, RetryPolicy};

use super::inputs::{EXPIRED, Exchanged, Given, Input, Observed, PROJECT, Possible, Reply};
use super::situation::{Situation, Track};

/// Two are enough to see the first and the last.
pub(crate) const MAX_ATTEMPTS: u32 = 2;
/// Longer than any idle timeout and any pause here.
const LONG: Duration = Duration::from_secs(3600);

/// What a machine is created with.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub(crate) enum World {
    /// With the two checks of a first login.
    Checks,
    /// With a project to find, and no other check.
    Project,
}

/// What the machine did with one input.
#[derive(Clone, Debug, Default, Eq, Ord, PartialEq, PartialOrd)]
pub(crate) struct Done {
    pub(crate) state: &'static str,
    pub(crate) sent: Vec<String>,
    pub(crate) events: Vec<String>,
    pub(crate) told: Vec<String>,
    /// Of which kind the failure is that those who wait are told.
    pub(crate) failure: Option<String>,
}

/// An exchange that was sent.
#[derive(Debug)]
struct Sent {
    id: ExchangeId,
    exchange: Exchanged,
    deadline: Instant,
    detached: bool,
    answered: bool,
    /// A success opens a session that is somebody else's.
    borrows: bool,
    /// What it tried to log in with, as it was written.
    body: Vec<u8>,
}

#[derive(Debug)]
pub(crate) struct Driver {
    world: World,
    session: Session,
    now: Instant,
    sent: Vec<Sent>,
    asked: Vec<ExchangeId>,
    grant: Option<Grant>,
    before: Option<Grant>,
    tokens: u32,
    /// The tokens of sessions that nobody has ended yet and that are ours to end.
    alive: BTreeSet<String>,
    /// Of these, those of logins that nobody awaited any more when they succeeded just now.
    late: Vec<String>,
    refused: BTreeSet<Vec<u8>>,
    track: Track,
    done: Done,
    /// Laws that were broken.
    pub(crate) broken: Vec<String>,
}

impl Driver {
    pub(crate) fn new(world: World, given: Given) -> Self {
        let base = BaseUrl::parse("https://env.example.com/MicroStrategyLibrary").unwrap();
        let config = SessionConfig::new(base)
            .retry(RetryPolicy::new().max_attempts(MAX_ATTEMPTS))
            .checks(world == World::Checks)
            .seed(7);
        let config = if world == World::Project { config.project(PROJECT) } else { config };
        let session = Session::new(config, credentials(given, 0)).unwrap();
        #[expect(clippy::disallowed_methods, reason = "an arbitrary origin for virtual time")]
        let now = Instant::now();
        Self {
            world,
            session,
            now,
            sent: Vec::new(),
            asked: Vec::new(),
            grant: None,
            before: None,
            tokens: 0,
            alive: BTreeSet::new(),
            late: Vec::new(),
            refused: BTreeSet::new(),
            track: Track::new(given),
            done: Done::default(),
            broken: Vec::new(),
        }
    }

    pub(crate) fn state(&self) -> &'static str {
        self.session.describe()
    }

    pub(crate) fn possible(&self) -> Possible {
        let late = |borrows| self.late().any(|sent| sent.borrows == borrows);
        let stale = self.sent.iter().any(|sent| self.is_stale(sent));
        Possible {
            awaited: self.awaited().map(|sent| sent.exchange).collect(),
            asked: self.asked().is_some(),
            deadline: self.deadline().is_some(),
            granted: self.session.current_grant().is_some(),
            granted_before: self.before.is_some(),
            late_own: late(false),
            late_borrowed: late(true),
            stale,
        }
    }

    fn awaited(&self) -> impl Iterator<Item = &Sent> {
        self.sent.iter().filter(|sent| !sent.answered && self.session.awaits(sent.id))
    }

    fn late(&self) -> impl Iterator<Item = &Sent> {
        self.sent.iter().filter(|sent| {
            !sent.answered && sent.exchange.opens_session() && !self.session.awaits(sent.id)
        })
    }

    fn is_stale(&self, sent: &Sent) -> bool {
        let late = sent.exchange.opens_session() && !sent.answered;
        !late && !self.session.awaits(sent.id)
    }

    fn asked(&self) -> Option<ExchangeId> {
        self.asked.last().copied().filter(|id| self.session.awaits(*id))
    }

    /// What the machine waits for. Nothing is lost by asking: the outputs have been taken.
    fn deadline(&self) -> Option<Instant> {
        self.track.until
    }

    /// Gives the machine an input, and returns what it did.
    pub(crate) fn apply(&mut self, input: Input) -> Done {
        self.done = Done::default();
        self.late.clear();
        let from = self.state();
        let generation = self.session.generation();
        match input {
            Input::Access => self.access(),
            Input::AccessLater => {
                self.now += LONG;
                self.access();
            }
            Input::Renew => self.session.handle(Command::Renew, self.now),
            Input::Reset(given) => {
                self.tokens += 1;
                self.refused.clear();
                let credentials = credentials(given, self.tokens);
                self.session.handle(Command::Reset(credentials), self.now);
            }
            Input::Logout => self.log_out(false),
            Input::LogoutEvenIfBorrowed => self.log_out(true),
            Input::Supply(given) => self.supply(given),
            Input::Answer(exchange, reply) => self.answer(exchange, reply),
            Input::Deadline => {
                self.now = self.now.max(self.deadline().unwrap());
                self.session.handle_timeout(self.now);
            }
            Input::Observe(observed) => self.observe(observed),
            Input::LateLogin { borrowed } => self.late_login(borrowed),
            Input::Stale => self.stale(),
        }
        self.drain(from);
        if let Some(error) = self.session.take_failure() {
            // The failed check is a thing of the past by then, and each has a failure of its own.
            let leaving = from == "leaving a session";
            let why = if leaving { "why it was left".into() } else { words(error.kind()) };
            self.done.failure = Some(why);
        }
        self.done.state = self.state();
        let awaited = self.possible().awaited;
        self.track.still_awaited(&awaited);
        self.track.after(from, input, &self.done, &self.session);
        self.remember_grant();
        self.check(from, generation);
        self.done.clone()
    }

    fn access(&mut self) {
        let told = match self.session.request_access(self.now) {
            Access::Denied(error) => format!("denied: {}", words(error.kind())),
            Access::Granted(_) => "granted".into(),
            Access::Pending => "pending".into(),
        };
        self.done.told.push(told);
    }

    fn log_out(&mut self, even_if_borrowed: bool) {
        if even_if_borrowed {
            let session = &self.session;
            for sent in self.sent.iter_mut().filter(|sent| session.awaits(sent.id)) {
                sent.borrows = false;
            }
            let token = self.track.borrowed_token.take();
            if self.session.current_grant().is_some() || self.state() == "checking the session" {
                self.alive.extend(token);
            }
        }
        self.session.handle(Command::Logout { even_if_borrowed }, self.now);
    }

    fn supply(&mut self, given: Given) {
        let id = self.asked().unwrap();
        self.tokens += 1;
        self.track.supplied = Some(given);
        // Any error will do; this is the shortest way to one.
        let supplied = credentials(given, self.tokens);
        let supplied = supplied.ok_or_else(|| BaseUrl::parse("").unwrap_err());
        self.session.supply_credentials(id, supplied, self.now);
    }

    fn answer(&mut self, exchange: Exchanged, reply: Reply) {
        let session = &self.session;
        let mut awaited = self.sent.iter_mut();
        let sent = awaited.find(|sent| sent.exchange == exchange && session.awaits(sent.id));
        let sent = sent.unwrap();
        sent.answered = true;
        let (id, borrows, body) = (sent.id, sent.borrows, sent.body.clone());
        self.tokens += 1;
        let token = format!("t{}", self.tokens);
        if exchange.opens_session() && reply == Reply::Success {
            self.track.borrowed_token = None;
            if borrows {
                self.track.borrowed_token = Some(token.clone());
            } else {
                self.alive.insert(token.clone());
            }
        }
        if exchange == Exchanged::Login && matches!(reply, Reply::Refused | Reply::Forbidden) {
            self.refused.insert(body);
        }
        self.session.handle_response(id, reply.to(exchange, &token), self.now);
        self.track.answered(exchange, reply);
    }

    fn observe(&mut self, observed: Observed) {
        let about = if observed == Observed::GoneBefore { &self.before } else { &self.grant };
        let grant = about.clone().unwrap();
        let mut head = Response::new(()).into_parts().0;
        if observed == Observed::NewCookie {
            self.tokens += 1;
            let cookie = format!("JSESSIONID=n{}; Path=/", self.tokens);
            head.headers.insert("set-cookie", cookie.parse().unwrap());
        }
        let (status, body) = match observed {
            Observed::Success | Observed::NewCookie => (StatusCode::OK, None),
            Observed::Gone | Observed::GoneBefore => (StatusCode::UNAUTHORIZED, Some(EXPIRED)),
            Observed::ServerError => (StatusCode::INTERNAL_SERVER_ERROR, None),
        };
        let body = body.map(str::as_bytes);
        head.status = status;
        let verdict = self.session.observe(&grant, &head, body, self.now, self.now);
        self.done.told.push(match verdict {
            Verdict::Sound => "delivered".into(),
            Verdict::Outdated => "send again".into(),
            Verdict::Gone => "log in and send again".into(),
            Verdict::Uncertain => "send again in a moment, then log in".into(),
        });
        if verdict == Verdict::Uncertain {
            self.session.revoke(grant.generation(), self.now);
        }
    }

    fn late_login(&mut self, borrowed: bool) {
        let session = &self.session;
        let late = |sent: &&mut Sent| {
            !sent.answered
                && sent.exchange.opens_session()
                && sent.borrows == borrowed
                && !session.awaits(sent.id)
        };
        let mut late: Vec<ExchangeId> = self
            .sent
            .iter_mut()
            .filter(late)
            .map(|sent| {
                sent.answered = true;
                sent.id
            })
            .collect();
        for id in late.drain(..) {
            self.tokens += 1;
            let token = format!("t{}", self.tokens);
            if !borrowed {
                self.alive.insert(token.clone());
                self.late.push(token.clone());
            }
            let answer = Reply::Success.to(Exchanged::Login, &token);
            self.session.handle_response(id, answer, self.now);
        }
    }

    fn stale(&mut self) {
        let stale = self.sent.iter().filter(|sent| self.is_stale(sent));
        let stale: Vec<ExchangeId> = stale.map(|sent| sent.id).collect();
        for id in stale {
            let answer = Reply::Success.to(Exchanged::Login, "stale");
            self.session.handle_response(id, answer, self.now);
        }
    }

    fn drain(&mut self, from: &'static str) {
        loop {
            match self.session.poll_output() {
                Output::Event(event) => {
                    // The server has said so, or is asked to end it all the same.
                    if let Event::Lost { generation, .. } = event {
                        self.lose(generation);
                    }
                    self.done.events.push(name(&event));
                }
                Output::NeedCredentials(id) => {
                    self.asked.push(id);
                    self.done.sent.push("asks the provider".into());
                }
                Output::Send(exchange) => self.send(&exchange, from),
                Output::FrontHeaders(_) | Output::Store(_) => panic!("not asked for here"),
                Output::Wait(until) => {
                    self.track.until = until;
                    return;
                }
            }
        }
    }

    fn lose(&mut self, generation: Generation) {
        match self.grant.as_ref().filter(|grant| grant.generation() == generation) {
            Some(grant) => {
                let mut headers = HeaderMap::new();
                grant.apply(&mut headers, None);
                let token = headers.get("x-mstr-authtoken").unwrap();
                self.alive.remove(token.to_str().unwrap());
            }
            // It was never granted, so there is no other.
            None => self.alive.clear(),
        }
    }

    fn send(&mut self, sent: &Exchange, from: &'static str) {
        let exchange = Exchanged::of(sent.purpose);
        let background = if sent.detached { " in the background" } else { "" };
        let shown = format!("{}{background}", exchange.name());
        // However many logins were given up, one line says what becomes of them.
        if !sent.detached || self.done.sent.last() != Some(&shown) {
            self.done.sent.push(shown);
        }
        let body = sent.request.body().to_vec();
        if exchange == Exchanged::Login && self.refused.contains(&body) {
            self.broken.push("credentials that were refused are sent again".into());
        }
        if exchange == Exchanged::Logout
            && let Some(token) = sent.request.headers().get("x-mstr-authtoken")
        {
            self.alive.remove(token.to_str().unwrap());
        }
        self.track.sent(exchange, sent.detached, from, &body);
        self.sent.push(Sent {
            id: sent.id,
            exchange,
            deadline: sent.deadline,
            detached: sent.detached,
            answered: false,
            borrows: exchange == Exchanged::Delegate,
            body,
        });
    }

    fn remember_grant(&mut self) {
        let Some(current) = self.session.current_grant() else { return };
        let generation = current.generation();
        if let Some(old) = self.grant.replace(current)
            && old.generation() != generation
        {
            self.before = Some(old);
        }
    }

    /// The laws that hold after every input, whatever came before.
    fn check(&mut self, from: &'static str, generation: Option<Generation>) {
        let mut broken = Vec::new();
        let establishing = self
            .awaited()
            .filter(|sent| sent.exchange.opens_session() || sent.exchange == Exchanged::Renew);
        if establishing.count() > 1 {
            broken.push("two exchanges that open or renew are awaited at once");
        }
        if self.awaited().any(|sent| sent.detached) {
            broken.push("an exchange in the background is awaited");
        }
        if self.session.generation() < generation {
            broken.push("generations go back");
        }
        if !self.session.is_settled() && self.deadline().is_none() {
            broken.push("it is busy and waits for nothing");
        }
        if from == "closed" && self.state() != "closed" {
            broken.push("closed is left");
        }
        let idle = self.awaited().next().is_none() && self.session.current_grant().is_none();
        // Between two attempts nothing is awaited, and the session is not forgotten.
        let between = ["closing", "leaving a session", "checking the session"];
        if idle && !between.contains(&self.state()) && !self.alive.is_empty() {
            broken.push("a session of ours is left on the server");
        }
        if self.late.iter().any(|token| self.alive.contains(token)) {
            broken.push("a session that nobody awaited any more is left on the server");
        }
        if self.done.told.iter().any(|told| told == "granted")
            && self.session.current_grant().is_none()
        {
            broken.push("access is granted without a session");
        }
        self.broken.extend(broken.into_iter().map(str::to_owned));
    }

    /// What the next inputs depend on.
    pub(crate) fn situation(&self) -> Situation {
        let mut awaited: Vec<(Instant, Exchanged)> =
            self.awaited().map(|sent| (sent.deadline, sent.exchange)).collect();
        awaited.sort();
        let borrows = self.awaited().any(|sent| sent.borrows);
        let late: BTreeSet<bool> = self.late().map(|sent| sent.borrows).collect();
        let late: Vec<bool> = late.into_iter().collect();
        self.track.situation(self.world, &self.session, &awaited, borrows, &late)
    }
}

/// Each with a secret of its own.
fn credentials(given: Given, number: u32) -> Option<Credentials> {
    match given {
        Given::Password => Some(Credentials::standard("alice", format!("secret{number}"))),
        Given::IdentityToken => Some(Credentials::identity_token(format!("identity{number}"))),
        Given::Unusable => Some(Credentials::standard("alice", "")),
        Given::Nothing => None,
    }
}

/// An error's kind in words: `SessionLost` is "session lost".
fn words(kind: ErrorKind) -> String {
    let mut words = String::new();
    for character in format!("{kind:?}").chars() {
        if character.is_uppercase() && !words.is_empty() {
            words.push(' ');
        }
        words.extend(character.to_lowercase());
    }
    words
}

fn name(event: &Event) -> String {
    match event {
        Event::ApplicationIdDropped => "application id dropped".into(),
        Event::Closed(outcome) => format!(
            "closed: {}",
            match outcome {
                CloseOutcome::AlreadyEnded => "already ended",
                CloseOutcome::Failed(_) => "logout failed",
                CloseOutcome::Kept => "kept for its owner",
                CloseOutcome::LoggedOut => "logged out",
                CloseOutcome::NotOpen => "was not open",
                other => panic!("{other:?} is new: give it a name"),
            }
        ),
        Event::Lost { reason: LossReason::Expired, .. } => "lost: expired".into(),
        Event::Lost { .. } => "lost: refused".into(),
        Event::Opened { .. } => "opened".into(),
        Event::Rejected(_) => "credentials rejected".into(),
        Event::Renewed { .. } => "renewed".into(),
        Event::Replaced { .. } => "given up for another".into(),
        Event::TimeoutAssumed(_) => "idle timeout assumed".into(),
        other => panic!("{other:?} is new: give it a name"),
    }
}
