//! What the next inputs depend on, as far as it can be seen from outside: from the public
//! interface, and from what was sent and answered before.
//!
//! An attribute that is missing here shows: the machine then does two things in what looks like
//! one situation, and the walks of [`rules`](super::rules) fail.

use std::collections::BTreeMap;
use std::time::Instant;

use mstr_core::session::Session;

use super::driver::{Done, MAX_ATTEMPTS, World};
use super::inputs::{Exchanged, Given, Input, Observed, Reply};

/// After so many sessions in which nothing succeeded the machine pauses.
const FRUITLESS_LIMIT: u32 = 3;

/// One attribute: its name, and its value as the condition of a row.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub(crate) struct Attribute {
    pub(crate) name: &'static str,
    pub(crate) value: String,
}

/// The state, and what else decides.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub(crate) struct Situation {
    pub(crate) state: &'static str,
    /// How often each check was asked, and what came of it.
    pub(crate) checks: BTreeMap<Exchanged, (u32, Check)>,
    /// The checks whose deadline comes first.
    pub(crate) due: Vec<Exchanged>,
    pub(crate) attributes: Vec<Attribute>,
}

#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub(crate) enum Check {
    InFlight,
    PutOff,
    Crossed,
    Done,
}

/// What happened so far.
#[derive(Debug)]
pub(crate) struct Track {
    pub(crate) until: Option<Instant>,
    pub(crate) supplied: Option<Given>,
    /// The session in use, if its end is its owner's business.
    pub(crate) borrowed_token: Option<String>,
    source: Given,
    attempt: u32,
    logout_attempt: u32,
    web: bool,
    checks: BTreeMap<Exchanged, (u32, Check)>,
    borrowed: bool,
    confirmed: bool,
    fruitless: u32,
    cooling: bool,
    ever_open: bool,
    required: bool,
    asked_for: bool,
    crossed: bool,
    then: &'static str,
    refusal: &'static str,
}

impl Track {
    pub(crate) fn new(source: Given) -> Self {
        Self {
            until: None,
            supplied: None,
            borrowed_token: None,
            source,
            attempt: 0,
            logout_attempt: 0,
            web: false,
            checks: BTreeMap::new(),
            borrowed: false,
            confirmed: false,
            fruitless: 0,
            cooling: false,
            ever_open: false,
            required: false,
            asked_for: false,
            crossed: false,
            then: "",
            refusal: "",
        }
    }

    /// Something was sent, by an input in the state `from`.
    pub(crate) fn sent(&mut self, exchange: Exchanged, detached: bool, from: &str, body: &[u8]) {
        if exchange.opens_session() {
            self.attempt = if from == "backing off" { self.attempt + 1 } else { 1 };
            self.borrowed = exchange == Exchanged::Delegate;
            self.checks.clear();
        }
        if exchange == Exchanged::Login {
            let body = String::from_utf8_lossy(body);
            self.web = body.contains("\"applicationType\":35");
        }
        if exchange == Exchanged::Logout && !detached {
            let again = from == "closing" || from == "leaving a session";
            self.logout_attempt = if again { self.logout_attempt + 1 } else { 1 };
        }
        if exchange.is_check() {
            let (sends, check) = self.checks.entry(exchange).or_insert((0, Check::InFlight));
            *sends += 1;
            *check = Check::InFlight;
        }
    }

    /// Something that was awaited has been answered; what follows has not been seen yet.
    pub(crate) fn answered(&mut self, exchange: Exchanged, reply: Reply) {
        if exchange.opens_session() {
            self.logout_attempt = 0;
        }
        if let Some((_, check)) = self.checks.get_mut(&exchange) {
            *check = match reply {
                Reply::Refused | Reply::Expired => Check::Crossed,
                Reply::Unavailable
                | Reply::Throttled
                | Reply::NoConnection
                | Reply::Interrupted
                | Reply::TimedOut => Check::PutOff,
                _ => Check::Done,
            };
        }
    }

    /// Those checks whose deadline passed are put off.
    pub(crate) fn still_awaited(&mut self, awaited: &[Exchanged]) {
        for (exchange, (_, check)) in &mut self.checks {
            if *check == Check::InFlight && !awaited.contains(exchange) {
                *check = Check::PutOff;
            }
        }
    }

    /// An input has been carried out.
    pub(crate) fn after(&mut self, from: &str, input: Input, done: &Done, session: &Session) {
        let has = |event: &str| done.events.iter().any(|found| found.starts_with(event));
        let entered = from != done.state;
        match input {
            Input::Reset(given) if from != "closing" && from != "closed" => {
                self.supplied = None;
                if matches!(given, Given::Password | Given::IdentityToken) {
                    self.source = given;
                }
                if from == "leaving a session" {
                    if given == Given::Unusable {
                        self.then = "then it refuses";
                    } else if self.then == "then it refuses" {
                        self.then = "then it logs in again";
                    }
                } else {
                    self.fruitless = 0;
                    self.cooling = false;
                }
            }
            Input::Observe(Observed::Success | Observed::NewCookie) => {
                self.confirmed = true;
                self.fruitless = 0;
                self.crossed |= input == Input::Observe(Observed::NewCookie);
            }
            Input::Answer(Exchanged::Inspect, _) => self.confirmed |= session.info().is_some(),
            Input::AccessLater => self.cooling = false,
            _ => {}
        }
        if has("lost") {
            self.lost();
        }
        if has("opened") {
            self.confirmed = false;
        }
        self.confirmed |= has("renewed");
        self.ever_open |= done.state == "open";
        match done.state {
            "renewing" if entered => {
                self.required = matches!(input, Input::Access | Input::AccessLater);
                self.asked_for = input == Input::Renew;
                self.crossed = false;
            }
            "renewing" => self.asked_for |= input == Input::Renew,
            "leaving a session" if entered => {
                let again = has("given up for another");
                self.then =
                    if again { "then it logs in again" } else { "then the failure is told" };
            }
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

    fn lost(&mut self) {
        if self.borrowed {
            return;
        }
        self.fruitless = if self.confirmed { 0 } else { self.fruitless + 1 };
        if self.fruitless >= FRUITLESS_LIMIT {
            self.fruitless = 0;
            self.cooling = true;
        }
    }

    /// `awaited` is in the order of the deadlines, and `borrows` if it would; `late` says whether logins that
    /// were given up borrow.
    pub(crate) fn situation(
        &self,
        world: World,
        session: &Session,
        awaited: &[(Instant, Exchanged)],
        borrows: bool,
        late: &[bool],
    ) -> Situation {
        let state = session.describe();
        let mut attributes = Vec::new();
        let mut add = |name, value: String| attributes.push(Attribute { name, value });
        let choose = |yes: bool, then: &str, otherwise: &str| {
            if yes { then.to_owned() } else { otherwise.to_owned() }
        };
        add("late", format!("{late:?}"));
        if state == "closed" {
            return Situation { state, checks: BTreeMap::new(), due: Vec::new(), attributes };
        }
        let in_use = ["open", "renewing", "checking the session"].contains(&state);
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
        if state == "refused" {
            add("refusal", self.refusal.to_owned());
        }
        if leaving {
            add("then", self.then.to_owned());
        }
        if state == "renewing" {
            add(
                "asked for",
                choose(self.asked_for, "renewal was asked for", "nobody asked for it"),
            );
            add("required", choose(self.required, "callers wait for it", "nobody waits for it"));
            add(
                "crossed",
                choose(self.crossed, "the cookie was replaced", "the cookie is the same"),
            );
        }
        if closing {
            add("borrowed", choose(borrows, "it is borrowed", "it is its own"));
        }
        if in_use {
            add("borrowed", choose(self.borrowed, "it is borrowed", "it is its own"));
        }
        if state == "open" || state == "renewing" {
            let proven = choose(self.confirmed, "something succeeded", "nothing succeeded yet");
            add("confirmed", proven);
        }
        if state == "idle" {
            add("cooling", choose(self.cooling, "during a pause", "otherwise"));
        }
        let first = awaited.first().map(|(deadline, _)| *deadline);
        let due = awaited.iter().filter(|(deadline, _)| Some(*deadline) == first);
        let due: Vec<Exchanged> = due.map(|(_, exchange)| *exchange).collect();
        let names = |exchanges: &[Exchanged]| {
            exchanges.iter().map(|exchange| exchange.name()).collect::<Vec<_>>().join(" and ")
        };
        if state != "checking the session" {
            let nothing = due.is_empty();
            let awaited = choose(nothing, "during a pause", &format!("{} under way", names(&due)));
            add("awaited", awaited);
        }
        if closing {
            return Situation { state, checks: BTreeMap::new(), due, attributes };
        }
        let source = match self.source {
            Given::Nothing => "with a provider".to_owned(),
            given => format!("with {}", given.name("")),
        };
        add("source", source);
        let provider = self.source == Given::Nothing;
        if provider && (opening || leaving || state == "checking the session") {
            let supplied = self.supplied.map_or("nothing", |given| given.name("an error"));
            add("supplied", format!("which gave {supplied}"));
        }
        let fruitless =
            if self.confirmed && state != "idle" && in_use { 0 } else { self.fruitless };
        add("fruitless", format!("sessions of no use before it: {fruitless}"));
        add("turns", choose(session.takes_turns(), "the server replaces cookies", "cookies stay"));
        add("ever open", choose(self.ever_open, "a session was open before", "it is the first"));
        add("web", choose(self.web, "as a web client", "as a Python client"));
        // What is known is asked about no more, and once a session was open everything is known.
        if self.ever_open {
            add("unknown", "everything is known".to_owned());
        } else {
            let checks = world == World::Checks;
            let unknown: Vec<&str> = [
                (Exchanged::Inspect, checks && session.info().is_none()),
                (Exchanged::Status, checks && session.server().is_none()),
                (Exchanged::ListProjects, !checks && session.project().is_none()),
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
