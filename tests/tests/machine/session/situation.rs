//! What the next inputs depend on, as far as it can be seen from outside: from the public
//! interface, and from what was sent and answered before.
//!
//! An attribute that is missing here shows: the machine then does two things in what looks like
//! one situation, and the walks of [`graph`](crate::graph) fail.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use mstr_core::session::Session;

use super::driver::{MAX_ATTEMPTS, World};
use super::inputs::{Adopted, Exchanged, Given, Input, Observed, Reply};
use crate::graph::{self, Attribute, Done};

const LOGGING_IN: &str = "logging in";
/// The states in which something is under way beside a session in use.
const BESIDE: [&str; 3] = ["renewing", "asking about the session", "replacing the session"];
/// After so many sessions in which nothing succeeded the machine pauses.
const FRUITLESS_LIMIT: u32 = 3;
/// For so long.
const PAUSE: Duration = Duration::from_secs(30);
/// So often a check is asked before its refusal is believed, where it may have crossed another one.
const CROSSED_LIMIT: u32 = 3;

/// The state, and what else decides.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub(crate) struct Situation {
    pub(crate) state: &'static str,
    /// How often each check was asked in the session, and what came of it. The server's version may be
    /// asked for already beside the login.
    pub(crate) checks: BTreeMap<Exchanged, (u32, Check)>,
    /// The checks whose deadline comes first.
    pub(crate) due: Vec<Exchanged>,
    pub(crate) attributes: Vec<Attribute>,
}

impl graph::Situation for Situation {
    fn state(&self) -> &'static str {
        self.state
    }
}

#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub(crate) enum Check {
    InFlight,
    PutOff,
    Crossed,
    Done,
}

/// The driver's view.
#[derive(Debug)]
pub(crate) struct Seen {
    pub(crate) world: World,
    /// In the order of the deadlines.
    pub(crate) awaited: Vec<(Instant, Exchanged)>,
    /// A success of the awaited exchange opens a borrowed session.
    pub(crate) borrows: bool,
    /// Of logins that were given up.
    pub(crate) late: Vec<bool>,
    /// Exchanges that wait for front headers: those of callers, and those in the background.
    pub(crate) fronting: [Option<Exchanged>; 2],
    /// How often the credentials were submitted without an answer, and whether that is a reason
    /// not to submit them now.
    pub(crate) unanswered: Option<(u32, bool)>,
    /// How many questions decided nothing, and whether that is a reason not to ask now.
    pub(crate) doubt: Option<(u32, bool)>,
    pub(crate) now: Instant,
}

/// The history so far.
#[derive(Debug)]
pub(crate) struct Track {
    pub(crate) until: Option<Instant>,
    pub(crate) supplied: Option<Given>,
    /// The session in use, if its end is its owner's business.
    pub(crate) borrowed_token: Option<String>,
    source: Given,
    /// It was created with a provider, to which a reset without credentials goes back.
    has_provider: bool,
    attempt: u32,
    logout_attempt: u32,
    web: bool,
    checks: BTreeMap<Exchanged, (u32, Check)>,
    borrowed: bool,
    confirmed: bool,
    /// Opened elsewhere, and nothing has succeeded in it yet.
    pub(crate) adopted: bool,
    fruitless: u32,
    cooling: Option<Instant>,
    /// Every check has been answered once.
    pub(crate) verified: bool,
    required: bool,
    asked_for: bool,
    crossed: bool,
    then: &'static str,
    /// Why the credentials are refused, also while an adopted session is in use.
    pub(crate) refusal: &'static str,
}

impl Track {
    pub(crate) fn new(source: Given) -> Self {
        Self {
            until: None,
            supplied: None,
            borrowed_token: None,
            source,
            has_provider: source == Given::Nothing,
            attempt: 0,
            logout_attempt: 0,
            web: false,
            checks: BTreeMap::new(),
            borrowed: false,
            confirmed: false,
            adopted: false,
            fruitless: 0,
            cooling: None,
            verified: false,
            required: false,
            asked_for: false,
            crossed: false,
            then: "",
            refusal: "",
        }
    }

    /// The request that is about to be sent in this state.
    pub(crate) fn beginning(&self, state: &str) -> Exchanged {
        match state {
            "logging in" if self.source == Given::IdentityToken => Exchanged::Delegate,
            "logging in" | "replacing the session" => Exchanged::Login,
            "renewing" => Exchanged::Renew,
            "asking about the session" => Exchanged::Question,
            _ => Exchanged::Logout,
        }
    }

    pub(crate) fn sent(&mut self, exchange: Exchanged, body: &[u8]) {
        if exchange == Exchanged::Login {
            let body = String::from_utf8_lossy(body);
            self.web = body.contains("\"applicationType\":35");
        }
    }

    /// Something that is awaited was sent or is about to be, by an input in the state `from` that has
    /// led to `state`.
    pub(crate) fn begun(&mut self, exchange: Exchanged, from: &str, state: &str) {
        if exchange.opens_session() {
            self.attempt = if from == "backing off" { self.attempt + 1 } else { 1 };
            self.borrowed = exchange == Exchanged::Delegate;
            // A login that follows another one at once has beside it what that had.
            let beside = from == LOGGING_IN && state == LOGGING_IN;
            self.checks.retain(|_, (sends, _)| beside && *sends == 0);
        }
        if exchange == Exchanged::Logout {
            let again = from == "closing" || from == "leaving a session";
            self.logout_attempt = if again { self.logout_attempt + 1 } else { 1 };
        }
        if exchange.is_check() {
            let (sends, check) = self.checks.entry(exchange).or_insert((0, Check::InFlight));
            *sends += u32::from(state != LOGGING_IN);
            *check = Check::InFlight;
        }
    }

    /// Something that was awaited has been answered in the state `from`; what follows has not been
    /// seen yet.
    pub(crate) fn answered(&mut self, exchange: Exchanged, reply: Reply, from: &str) {
        if from == LOGGING_IN && exchange.is_check() {
            self.checks.remove(&exchange);
        }
        if exchange.opens_session() {
            self.logout_attempt = 0;
            // With front headers it is not seen at once.
            self.web |= exchange == Exchanged::Login && reply == Reply::TypeRefused;
        }
        let several = self.checks.len() > 1;
        if let Some((_, check)) = self.checks.get_mut(&exchange) {
            *check = match reply {
                Reply::Refused | Reply::Expired => Check::Crossed,
                Reply::Turned if several => Check::Crossed,
                Reply::Turned
                | Reply::Unavailable
                | Reply::Throttled
                | Reply::NoConnection
                | Reply::Interrupted
                | Reply::TimedOut => Check::PutOff,
                _ => Check::Done,
            };
        }
    }

    /// Whether the check is not asked again if it is refused.
    pub(crate) fn is_last_word(&self, exchange: Exchanged) -> bool {
        let sends = self.checks.get(&exchange).map_or(0, |(sends, _)| *sends);
        sends > 0 && (self.checks.len() < 2 || sends >= CROSSED_LIMIT)
    }

    /// Those checks whose deadline passed are put off, and what was asked beside a login is given up
    /// with it.
    pub(crate) fn still_awaited(&mut self, awaited: &[Exchanged]) {
        self.checks.retain(|exchange, (sends, check)| {
            *sends > 0 || *check != Check::InFlight || awaited.contains(exchange)
        });
        for (exchange, (_, check)) in &mut self.checks {
            if *check == Check::InFlight && !awaited.contains(exchange) {
                *check = Check::PutOff;
            }
        }
    }

    /// An input has been carried out.
    pub(crate) fn after(
        &mut self,
        from: &str,
        input: Input,
        done: &Done,
        session: &Session,
        now: Instant,
    ) {
        let has = |event: &str| done.events.iter().any(|found| found.starts_with(event));
        let entered = from != done.state;
        match input {
            Input::Reset(given) if from != "closing" && from != "closed" => {
                self.supplied = None;
                let provider = given == Given::Nothing && self.has_provider;
                if provider || matches!(given, Given::Password | Given::IdentityToken) {
                    self.source = given;
                }
                if from == "leaving a session" {
                    if given == Given::Unusable {
                        self.then = "then it refuses";
                    } else if self.then == "then it refuses" {
                        self.then = "then it logs in again";
                    } else if self.then == "then the failure is told" {
                        self.then = "then the waiting callers ask again";
                    }
                } else {
                    self.refusal = "";
                }
                self.fruitless = 0;
                self.cooling = None;
            }
            Input::Observe(Observed::Success | Observed::NewCookie) => self.confirm(),
            Input::Answer(Exchanged::Question, Reply::Success | Reply::Forbidden) => self.confirm(),
            Input::Answer(Exchanged::Inspect, _) if session.info().is_some() => self.confirm(),
            _ => {}
        }
        let replaced = [Observed::NewCookie, Observed::Success, Observed::ServerError];
        self.crossed |= replaced.map(Input::Observe).contains(&input) && session.takes_turns();
        self.crossed |= input == Input::Adopt(Adopted::InUse);
        if has("lost") {
            self.lost(now);
        }
        let adopted = match input {
            Input::Adopt(adopted) if has("opened") => Some(adopted),
            _ => None,
        };
        if has("opened") && adopted != Some(Adopted::InUse) {
            self.confirmed = false;
            self.adopted = adopted.is_some();
        }
        if let Some(own @ (Adopted::Own | Adopted::Borrowed)) = adopted {
            self.borrowed = own == Adopted::Borrowed;
            self.supplied = None;
        }
        if has("renewed") {
            self.confirm();
        }
        // A renewal also leads there, of an adopted session too.
        let first = |exchange: Exchanged| exchange.opens_session() || exchange.is_check();
        self.verified |=
            done.state == "open" && matches!(input, Input::Answer(exchange, _) if first(exchange));
        match done.state {
            state if BESIDE.contains(&state) && entered => {
                self.required = matches!(input, Input::Access | Input::AccessLater);
                self.asked_for = input == Input::Renew;
                self.crossed = false;
            }
            state if BESIDE.contains(&state) => self.asked_for |= input == Input::Renew,
            "leaving a session" if entered => {
                let again = has("given up for another");
                self.then =
                    if again { "then it logs in again" } else { "then the failure is told" };
            }
            "open" if from == "replacing the session" && self.source != Given::Nothing => {
                match input {
                    Input::Answer(Exchanged::Login, Reply::Forbidden) => {
                        self.refusal = "the login was forbidden";
                    }
                    Input::Answer(Exchanged::Login, Reply::Refused) => {
                        self.refusal = "the credentials were refused";
                    }
                    _ => {}
                }
            }
            // What was refused before is refused again.
            "refused" if has("lost") && !self.borrowed && !self.refusal.is_empty() => {}
            // Another reset may refuse for another reason.
            "refused" if entered || matches!(input, Input::Reset(_)) => {
                self.refusal = match input {
                    Input::Answer(exchange, Reply::Forbidden) if exchange.opens_session() => {
                        "the login was forbidden"
                    }
                    Input::Answer(exchange, _) if exchange.opens_session() => {
                        "the credentials were refused"
                    }
                    _ if has("lost") => "the borrowed session ended",
                    _ => "the credentials cannot be used",
                };
            }
            _ => {}
        }
    }

    /// A session that was opened here, in which something works, by credentials that are accepted.
    pub(crate) fn is_plain(&self) -> bool {
        let own = !self.borrowed && !self.adopted && self.source != Given::IdentityToken;
        let calm = self.cooling.is_none() && self.fruitless == 0 && self.refusal.is_empty();
        own && calm && self.verified && self.confirmed
    }

    fn confirm(&mut self) {
        self.confirmed = true;
        self.adopted = false;
        self.fruitless = 0;
    }

    fn lost(&mut self, now: Instant) {
        if self.borrowed || self.adopted {
            return;
        }
        self.fruitless = if self.confirmed { 0 } else { self.fruitless + 1 };
        if self.fruitless >= FRUITLESS_LIMIT {
            self.fruitless = 0;
            self.cooling = Some(now + PAUSE);
        }
    }

    pub(crate) fn situation(&self, session: &Session, seen: &Seen) -> Situation {
        let Seen { world, awaited, borrows, late, fronting, unanswered, doubt, now } = seen;
        let state = session.describe();
        let mut attributes = Vec::new();
        let mut add = |name, value: String| attributes.push(Attribute { name, value });
        let choose = |yes: bool, then: &str, otherwise: &str| {
            if yes { then.to_owned() } else { otherwise.to_owned() }
        };
        add("late", format!("{late:?}"));
        if *world == World::Fronted {
            add("front", format!("{fronting:?}"));
        }
        if state == "closed" {
            return Situation { state, checks: BTreeMap::new(), due: Vec::new(), attributes };
        }
        let beside = BESIDE.contains(&state);
        let in_use = beside || ["open", "checking the session"].contains(&state);
        let opening = ["logging in", "backing off"].contains(&state);
        let leaving = state == "leaving a session";
        let closing = state == "closing";
        if opening {
            let left = self.attempt < MAX_ATTEMPTS;
            add("attempt", choose(left, "an attempt is left", "no attempt is left"));
        }
        if closing || leaving {
            let left = self.logout_attempt < MAX_ATTEMPTS;
            add("logout", choose(left, "an attempt is left", "no attempt is left"));
        }
        if state == "refused" || (in_use && !self.refusal.is_empty()) {
            add("refusal", self.refusal.to_owned());
        }
        if in_use {
            let refused = !self.refusal.is_empty();
            let not = "the credentials are not refused";
            add("credentials", choose(refused, "the credentials are refused", not));
        }
        if leaving {
            add("then", self.then.to_owned());
        }
        if beside {
            add(
                "asked for",
                choose(self.asked_for, "renewal was asked for", "renewal was not asked for"),
            );
            add("required", choose(self.required, "callers wait for it", "no caller waits for it"));
            add(
                "crossed",
                choose(self.crossed, "the cookie was replaced", "the cookie is the same"),
            );
        }
        if closing {
            add("borrowed", choose(*borrows, "it is borrowed", "it is its own"));
        }
        if in_use {
            add("borrowed", choose(self.borrowed, "it is borrowed", "it is its own"));
        }
        if state == "open" || beside {
            let proven = choose(self.confirmed, "something succeeded", "nothing succeeded yet");
            let adopted = "it was adopted and nothing succeeded yet".to_owned();
            add("confirmed", if self.adopted { adopted } else { proven });
        }
        let cooling = self.cooling.is_some_and(|until| *now < until);
        if state == "idle" || (cooling && in_use) {
            add("cooling", choose(cooling, "during a pause", "otherwise"));
        }
        let first = awaited.first().map(|(deadline, _)| *deadline);
        let due = awaited.iter().filter(|(deadline, _)| Some(*deadline) == first);
        let due: Vec<Exchanged> = due.map(|(_, exchange)| *exchange).collect();
        let names = |exchanges: &[Exchanged]| {
            exchanges.iter().map(|exchange| exchange.name()).collect::<Vec<_>>().join(" and ")
        };
        if state != "checking the session" {
            let awaited = match (due.is_empty(), fronting) {
                (true, [Some(exchange), _]) => {
                    format!("front headers of the {} asked for", exchange.name())
                }
                (true, _) => "during a pause".to_owned(),
                (false, _) => format!("{} under way", names(&due)),
            };
            add("awaited", awaited);
        }
        if closing {
            return Situation { state, checks: BTreeMap::new(), due, attributes };
        }
        if let Some((times, paused)) = doubt {
            let pause = if *paused { "not asked for a while" } else { "may be asked" };
            add("doubt", format!("{times} questions decided nothing: {pause}"));
        }
        let others = self.source == Given::Nothing && !opening;
        if let Some((times, paused)) = unanswered.filter(|_| !others && state != "refused") {
            let pause = if paused { "not submitted for a while" } else { "may be submitted" };
            add("unanswered", format!("{times} logins were not answered: {pause}"));
        }
        let source = match self.source {
            Given::Nothing => "with a provider".to_owned(),
            given if self.has_provider => {
                format!("with {} in place of the provider's", given.name(""))
            }
            given => format!("with {}", given.name("")),
        };
        add("source", source);
        let provider = self.source == Given::Nothing;
        if provider && (opening || leaving || state == "checking the session") {
            let supplied = self.supplied.map_or("nothing", |given| given.name("an error"));
            add("supplied", format!("which gave {supplied}"));
        }
        add("fruitless", format!("sessions of no use before it: {}", self.fruitless));
        add("turns", choose(session.takes_turns(), "the server replaces cookies", "cookies stay"));
        add("verified", choose(self.verified, "a session was open before", "it is the first"));
        add("web", choose(self.web, "as a web client", "as a Python client"));
        // What is known is asked about no more, and once a session was open everything is known.
        if self.verified {
            add("unknown", "everything is known".to_owned());
        } else {
            let checks = *world == World::Checks;
            let unknown: Vec<&str> = [
                (Exchanged::Inspect, checks && session.info().is_none()),
                (Exchanged::Status, checks && session.server().is_none()),
                (Exchanged::ListProjects, *world == World::Project && session.project().is_none()),
            ]
            .into_iter()
            .filter_map(|(exchange, unknown)| unknown.then_some(exchange.name()))
            .collect();
            let known = unknown.is_empty();
            let unknown = format!("{} not known yet", unknown.join(" and "));
            add("unknown", choose(known, "everything is known", &unknown));
            let version = session.server().map(|server| server.iserver_version.as_ref());
            add(
                "server",
                match version {
                    Some(Some(version)) => format!("the server is {version}"),
                    Some(None) => "the server does not say which it is".to_owned(),
                    None => "the server was not asked".to_owned(),
                },
            );
        }
        let checking = state == "checking the session";
        let checks = if checking { self.checks.clone() } else { BTreeMap::new() };
        Situation { state, checks, due, attributes }
    }
}
