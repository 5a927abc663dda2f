//! A driver that carries out nothing: it gives the machine one input at a time and writes down
//! what the machine does. It uses the public interface only.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use http::{HeaderMap, Response, StatusCode};
use mstr_core::session::{
    Access, Command, ExchangeId, Output, Session, SessionConfig, SessionRecord, Verdict,
};
use mstr_core::{BaseUrl, Generation, Grant, RetryPolicy};

use super::inputs::{
    Adopted, EXPIRED, Exchanged, Given, Input, Observed, PROJECT, Possible, Reply,
};
use super::made::{BASE, credentials, record, token};
use super::notes::{Doubt, UNANSWERED_LIMIT};
use super::situation::{Seen, Situation, Track};
use crate::document::words;
use crate::graph::{Done, Machine};

/// Two are enough to see the first and the last.
pub(crate) const MAX_ATTEMPTS: u32 = 2;
const FAILED: &str = r#"{"code":"ERR001","message":"no"}"#;
/// Longer than any idle timeout and any pause here.
const LONG: Duration = Duration::from_secs(3600);
/// Sessions that end sooner are counted.
const BRIEF: Duration = Duration::from_secs(10);

/// The settings of a machine.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub(crate) enum World {
    /// With the two checks of a first login.
    Checks,
    /// With front headers on each exchange, and no check.
    Fronted,
    /// With a project to find, and no other check.
    Project,
}

/// An exchange for which front headers have been asked.
#[derive(Debug)]
pub(super) struct Fronting {
    pub(super) id: ExchangeId,
    pub(super) exchange: Exchanged,
    pub(super) detached: bool,
}

/// An exchange that was sent.
#[derive(Debug)]
pub(super) struct Sent {
    pub(super) id: ExchangeId,
    pub(super) exchange: Exchanged,
    pub(super) deadline: Instant,
    pub(super) detached: bool,
    pub(super) answered: bool,
    /// A success opens a borrowed session.
    pub(super) borrows: bool,
    /// The credentials of its logins, as they were written.
    pub(super) body: Vec<u8>,
}

#[derive(Debug)]
pub(crate) struct Driver {
    pub(super) world: World,
    pub(super) session: Session,
    pub(super) now: Instant,
    pub(super) sent: Vec<Sent>,
    pub(super) asked: Vec<ExchangeId>,
    pub(super) fronting: Vec<Fronting>,
    /// Something was given up before it had its front headers, or never had them.
    pub(super) unsent: bool,
    pub(super) stored: Vec<SessionRecord>,
    pub(super) grant: Option<Grant>,
    pub(super) before: Option<Grant>,
    pub(super) tokens: u32,
    /// The tokens of sessions that are not ended yet and that are ours to end.
    pub(super) alive: BTreeSet<String>,
    /// The tokens of sessions that were logged out.
    pub(super) ended: BTreeSet<String>,
    /// Of these, those of logins that were no longer awaited when they succeeded just now.
    pub(super) late: Vec<String>,
    pub(super) refused: BTreeSet<Vec<u8>>,
    /// How often each password was submitted without an answer of the server's, and until when it
    /// is not submitted again.
    pub(super) unanswered: BTreeMap<String, (u32, Instant)>,
    pub(super) submitted_before: Option<String>,
    pub(super) doubt: Option<Doubt>,
    pub(super) login_was_awaited: bool,
    pub(super) track: Track,
    pub(super) done: Done,
    pub(super) watching: bool,
    /// Laws that were broken.
    pub(super) broken: Vec<String>,
}

impl Machine for Driver {
    type Input = Input;
    type Situation = Situation;
    type Start = (World, Given);

    const STARTS: &'static [(World, Given)] = &[
        (World::Checks, Given::Password),
        (World::Checks, Given::Nothing),
        (World::Checks, Given::IdentityToken),
        (World::Project, Given::Password),
        (World::Project, Given::Nothing),
        (World::Project, Given::IdentityToken),
        (World::Fronted, Given::Password),
    ];

    fn new((world, given): (World, Given)) -> Self {
        let base = BaseUrl::parse(BASE).unwrap();
        let config = SessionConfig::new(base)
            .retry(RetryPolicy::new().max_attempts(MAX_ATTEMPTS))
            .checks(world == World::Checks)
            .front_headers(world == World::Fronted)
            .records(true)
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
            fronting: Vec::new(),
            unsent: false,
            stored: Vec::new(),
            grant: None,
            before: None,
            tokens: 0,
            alive: BTreeSet::new(),
            ended: BTreeSet::new(),
            late: Vec::new(),
            refused: BTreeSet::new(),
            unanswered: BTreeMap::new(),
            submitted_before: None,
            doubt: None,
            login_was_awaited: false,
            track: Track::new(given),
            done: Done::default(),
            watching: false,
            broken: Vec::new(),
        }
    }

    fn inputs(&self) -> Vec<Input> {
        self.possible().inputs()
    }

    fn apply(&mut self, input: Input) -> Done {
        self.done = Done::default();
        self.submitted_before = self.last_submitted();
        let login_is_awaited = self.awaited().any(|sent| sent.exchange.opens_session());
        self.login_was_awaited = login_is_awaited;
        self.late.clear();
        let from = self.state();
        let generation = self.session.generation();
        let record = if self.watching { self.record() } else { None };
        self.stored.clear();
        if self.says_that_it_is_gone(input) {
            // What several that end sooner lead to, the machine's own tests show.
            self.now += BRIEF;
        }
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
            Input::Adopt(adopted) => self.adopt(adopted),
            Input::Front { detached, given } => self.front(detached, given),
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
        let adopted = self.track.adopted;
        self.note_submission(from, input);
        self.note_doubt(from, input);
        self.track.after(from, input, &self.done, &self.session, self.now);
        if adopted && !self.track.adopted && self.track.borrowed_token.is_none() {
            // Something has succeeded in it here: from now on it is ours to end.
            self.alive.extend(self.token());
        }
        self.remember_grant();
        self.unsent |= self.fronting.iter().any(|fronting| self.is_given_up(fronting));
        if self.watching {
            self.check(from, generation);
            self.check_adoption(input, generation);
            self.check_records(input, record.as_deref());
        }
        self.done.clone()
    }

    fn situation(&self) -> Situation {
        let mut awaited: Vec<(Instant, Exchanged)> =
            self.awaited().map(|sent| (sent.deadline, sent.exchange)).collect();
        awaited.sort();
        let borrows = self.awaited().any(|sent| sent.borrows);
        let late: BTreeSet<bool> = self.late().map(|sent| sent.borrows).collect();
        let late: Vec<bool> = late.into_iter().collect();
        let fronting =
            [false, true].map(|detached| self.fronting(detached).next().map(|it| it.exchange));
        let unanswered = self.last_submitted().and_then(|secret| self.unanswered.get(&secret));
        let unanswered = unanswered.map(|(times, until)| (*times, self.now < *until));
        let doubt = self.doubt.as_ref().map(|doubt| (doubt.undecided, self.now < doubt.ask_at));
        let (world, now) = (self.world, self.now);
        let seen = Seen { world, awaited, borrows, late, fronting, unanswered, doubt, now };
        self.track.situation(&self.session, &seen)
    }

    /// Logins that were given up and may still succeed, and what waits for front headers in the
    /// background, have nothing to do with what goes on otherwise. One of them at a time, and not
    /// during the first checks, keeps the exploration short. So does following adopted sessions
    /// only where nothing is known about the server, or everything.
    fn is_followed(&self) -> bool {
        let possible = self.possible();
        let checking = self.state() == "checking the session";
        let late = possible.late_own || possible.late_borrowed;
        let open = self.session.is_open();
        let unverified = open && !self.track.verified;
        let partly = self.session.info().is_some() || self.session.server().is_some();
        let turns = self.session.takes_turns();
        if self.doubt.is_some() && !self.is_plain() {
            return false;
        }
        // What is paused longer is paused all the same.
        if self.unanswered.values().any(|(times, _)| *times > UNANSWERED_LIMIT) {
            return false;
        }
        match self.world {
            _ if late && self.track.adopted => false,
            // A refusal is remembered alike in every world, whatever it was.
            _ if open && !self.track.refusal.is_empty() => {
                let one = self.track.refusal == "the credentials were refused";
                one && !turns && self.world == World::Project
            }
            World::Fronted => !late && possible.fronting != [true, true],
            _ if unverified && (late || partly) => false,
            _ if turns && !self.track.verified && !open => false,
            _ if late && checking => false,
            _ => !(possible.late_own && possible.late_borrowed),
        }
    }

    fn watch(&mut self) {
        self.watching = true;
    }

    fn take_broken(&mut self) -> Vec<String> {
        std::mem::take(&mut self.broken)
    }

    /// Closing is possible everywhere.
    fn ends(input: Input, _: &Done) -> bool {
        matches!(input, Input::Logout | Input::LogoutEvenIfBorrowed)
    }
}

impl Driver {
    pub(super) fn state(&self) -> &'static str {
        self.session.describe()
    }

    fn possible(&self) -> Possible {
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
            doubtful: self.world != World::Fronted && self.is_plain(),
            stale: stale || self.fronting.iter().any(|fronting| self.is_given_up(fronting)),
            fronting: [false, true].map(|detached| self.fronting(detached).next().is_some()),
        }
    }

    /// Whether the session is given up because the server does not know it.
    fn says_that_it_is_gone(&self, input: Input) -> bool {
        match input {
            Input::Observe(Observed::Gone) => true,
            Input::Answer(exchange, Reply::Refused | Reply::Expired) => {
                let beside = matches!(exchange, Exchanged::Question | Exchanged::Renew);
                beside || (exchange.is_check() && self.track.is_last_word(exchange))
            }
            _ => false,
        }
    }

    pub(super) fn awaited(&self) -> impl Iterator<Item = &Sent> {
        self.sent.iter().filter(|sent| !sent.answered && self.session.awaits(sent.id))
    }

    pub(super) fn late(&self) -> impl Iterator<Item = &Sent> {
        self.sent.iter().filter(|sent| {
            !sent.answered && sent.exchange.opens_session() && !self.session.awaits(sent.id)
        })
    }

    fn is_stale(&self, sent: &Sent) -> bool {
        let late = sent.exchange.opens_session() && !sent.answered;
        !late && !self.session.awaits(sent.id)
    }

    /// The exchanges, in the background or not, that wait for their front headers.
    fn fronting(&self, detached: bool) -> impl Iterator<Item = &Fronting> {
        let waits = move |fronting: &&Fronting| {
            fronting.detached == detached && !self.is_given_up(fronting)
        };
        self.fronting.iter().filter(waits)
    }

    fn is_given_up(&self, fronting: &Fronting) -> bool {
        !fronting.detached && !self.session.awaits(fronting.id)
    }

    fn asked(&self) -> Option<ExchangeId> {
        self.asked.last().copied().filter(|id| self.session.awaits(*id))
    }

    /// The exchanges that the machine waits for. Nothing is lost by asking: the outputs have been taken.
    pub(super) fn deadline(&self) -> Option<Instant> {
        self.track.until
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
        if self.track.adopted && self.track.borrowed_token.is_none() {
            self.alive.extend(self.token());
        }
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
        let mut answer = reply.to(exchange, &token);
        if let Ok(response) = &mut answer
            && self.session.takes_turns()
        {
            self.exchange_cookie(response.headers_mut());
        }
        let from = self.state();
        self.session.handle_response(id, answer, self.now);
        self.track.answered(exchange, reply, from);
    }

    fn observe(&mut self, observed: Observed) {
        let about = if observed == Observed::GoneBefore { &self.before } else { &self.grant };
        let grant = about.clone().unwrap();
        let mut head = Response::new(()).into_parts().0;
        if observed == Observed::NewCookie && !self.session.takes_turns() {
            // With one alone it may be a failover. What is stored first is not stored for long.
            self.exchange_cookie(&mut head.headers);
            self.session.observe(&grant, &head, None, self.now, self.now);
            while !matches!(self.session.poll_output(), Output::Wait(_)) {}
        }
        if observed == Observed::NewCookie || self.session.takes_turns() {
            self.exchange_cookie(&mut head.headers);
        }
        let (status, body) = match observed {
            Observed::Success | Observed::NewCookie => (StatusCode::OK, None),
            Observed::Gone | Observed::GoneBefore => (StatusCode::UNAUTHORIZED, Some(EXPIRED)),
            Observed::Suspect => (StatusCode::UNAUTHORIZED, None),
            Observed::ServerError => (StatusCode::INTERNAL_SERVER_ERROR, Some(FAILED)),
        };
        let body = body.map(str::as_bytes);
        head.status = status;
        let verdict = self.session.observe(&grant, &head, body, self.now, self.now);
        self.done.told.push(match verdict {
            Verdict::Sound => "delivered".into(),
            Verdict::Suspected => {
                // Sent after whatever the server has said so far.
                self.now += Duration::from_millis(1);
                let asks = self.session.question(grant.generation(), self.now, self.now);
                if asks { "judge again".into() } else { "delivered".into() }
            }
            Verdict::Outdated => "send again".into(),
            Verdict::Gone => "log in and send again".into(),
            Verdict::Uncertain => "send again in a moment, then log in".into(),
        });
        if verdict == Verdict::Uncertain {
            self.session.revoke(grant.generation(), self.now);
        }
    }

    /// What a server that exchanges the session's cookie does with each answer.
    fn exchange_cookie(&mut self, headers: &mut HeaderMap) {
        self.tokens += 1;
        let cookie = format!("JSESSIONID=n{}; Path=/", self.tokens);
        headers.insert("set-cookie", cookie.parse().unwrap());
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
            let secret = self.sent.iter().find(|sent| sent.id == id).map(Sent::secret);
            self.unanswered.remove(&secret.unwrap());
            let answer = Reply::Success.to(Exchanged::Login, &token);
            self.session.handle_response(id, answer, self.now);
        }
    }

    fn stale(&mut self) {
        let given_up = self.fronting.iter().filter(|fronting| self.is_given_up(fronting));
        let given_up: Vec<ExchangeId> = given_up.map(|fronting| fronting.id).collect();
        for id in given_up {
            self.session.supply_front_headers(id, Ok(HeaderMap::new()), self.now);
        }
        let stale = self.sent.iter().filter(|sent| self.is_stale(sent));
        let stale: Vec<ExchangeId> = stale.map(|sent| sent.id).collect();
        for id in stale {
            let answer = Reply::Success.to(Exchanged::Login, "stale");
            self.session.handle_response(id, answer, self.now);
        }
    }

    fn adopt(&mut self, adopted: Adopted) {
        self.tokens += 1;
        let mut token = format!("t{}", self.tokens);
        // Once a number that has been used already, and once one far ahead.
        let record = match adopted {
            Adopted::Own => record(BASE, &token, 1, false),
            Adopted::Borrowed => record(BASE, &token, u64::from(self.tokens) * 1000, true),
            Adopted::Foreign => record("https://other.example.com", &token, 1, false),
            Adopted::InUse => {
                token = self.token().unwrap();
                self.session.record().unwrap()
            }
        };
        let borrowed = record.is_borrowed();
        let (before, given) = (self.session.generation(), record.generation());
        match self.session.adopt(record, self.now) {
            Ok(()) => {
                self.done.told.push("adopted".into());
                self.track.borrowed_token = borrowed.then(|| token.clone());
                if adopted == Adopted::InUse {
                    return;
                }
                let next = before.map_or(1, |before| before.number() + 1);
                if self.session.generation().map(Generation::number)
                    != Some(next.max(given.number()))
                {
                    self.broken.push("the generation is neither the record's nor the next".into());
                }
            }
            Err(error) => self.done.told.push(format!("denied: {}", words(error.kind()))),
        }
    }

    fn front(&mut self, detached: bool, given: bool) {
        let ids: Vec<ExchangeId> = self.fronting(detached).map(|it| it.id).collect();
        if !given {
            self.unsent = true;
        }
        for id in ids {
            self.fronting.retain(|fronting| fronting.id != id);
            // Any error will do; this is the shortest way to one.
            let front = if given {
                Ok(HeaderMap::new())
            } else {
                BaseUrl::parse("").map(|_| HeaderMap::new())
            };
            self.session.supply_front_headers(id, front, self.now);
        }
    }

    /// The token of the session in use.
    pub(super) fn token(&self) -> Option<String> {
        self.session.current_grant().map(|grant| token(&grant))
    }

    /// The session in use as it would be stored.
    pub(super) fn record(&self) -> Option<Vec<u8>> {
        self.session.record().map(|record| record.expose_bytes().as_ref().to_vec())
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
}
