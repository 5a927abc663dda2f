//! What the next inputs depend on, as far as it can be seen from outside: from the public
//! interface, from what was asked for and answered before, and from the session behind the call.
//!
//! An attribute that is missing here shows: the machine then does two things in what looks like
//! one situation, and the walks of [`graph`](crate::graph) fail.

use std::time::Duration;

use super::driver::{Driver, Kind, MAX_ATTEMPTS, OUTDATED, REDIRECTS, UNCERTAIN};
use super::inputs::{Input, Reply};
use crate::graph::{self, Attribute};

/// So many answers in a row that replace the session's cookie make calls take turns.
const TURNS: u32 = 2;
/// So many that do not make the machine forget it.
const STEADY: u32 = 3;

/// Values that the page asks for.
pub(crate) const ABOUT: &str = "it is about the session in use";
pub(crate) const BALANCED: &str = "the session's own cookie is the same";
pub(crate) const CLOSED: &str = "no session is open";
pub(crate) const EXCHANGED: &str = "the server exchanges cookies";
pub(crate) const SUSPECTED: &str = "a cookie was replaced of late";
pub(crate) const NEAR: &str = "no wait is over before the deadline";
pub(crate) const NEVER: &str = "it was repeated for cookies 64 times";
pub(crate) const NONE: &str = "there is no deadline";
pub(crate) const NO_TURN: &str = "it has no turn";
pub(crate) const PASSED: &str = "the deadline has passed";
pub(crate) const STAY: &str = "cookies stay";
pub(crate) const WAITED: &str = "it has waited for a cookie three times";

/// The grant in hand, compared with the session as it is.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub(crate) enum Given {
    Nothing,
    Current,
    /// Cookies have been replaced since.
    Outdated,
    /// The session has been replaced, or has ended.
    Replaced,
}

/// The state, and what else decides.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub(crate) struct Situation {
    pub(crate) state: &'static str,
    pub(crate) given: Given,
    pub(crate) track: Track,
    pub(crate) attributes: Vec<Attribute>,
}

impl graph::Situation for Situation {
    fn state(&self) -> &'static str {
        self.state
    }
}

/// The history so far.
#[derive(Clone, Debug, Default, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub(crate) struct Track {
    /// How often it was repeated because something failed that passes.
    pub(crate) failures: u32,
    /// It was repeated at once because the server had not taken it.
    pub(crate) put_back: bool,
    /// It was repeated in another session.
    pub(crate) logged_in: bool,
    /// How often in a row it was repeated because a cookie may be on its way.
    pub(crate) uncertain: u32,
    pub(crate) redirects: u32,
    pub(crate) outdated: u32,
    /// A redirect has made a GET without a body of it.
    pub(crate) rewritten: bool,
    /// The body that can be sent once has been.
    pub(crate) spent: bool,
    pub(crate) has_place: bool,
    pub(crate) has_turn: bool,
    pub(crate) consulted: bool,
    /// The session was asked in this attempt.
    pub(crate) has_access: bool,
    pub(crate) exchanging: Exchanging,
}

/// What the answers in the session in use say about its cookie.
#[derive(Clone, Debug, Default, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub(crate) struct Exchanging {
    /// How often it was replaced, up to what makes calls take turns.
    replaced: u32,
    /// How many answers have left it alone since.
    kept: u32,
}

impl Exchanging {
    pub(crate) fn note(&mut self, replaced: bool) {
        match (replaced, self) {
            (true, exchanging) => {
                exchanging.replaced = (exchanging.replaced + 1).min(TURNS);
                exchanging.kept = 0;
            }
            (false, Self { replaced: 0, .. }) => {}
            (false, exchanging) if exchanging.kept + 1 == STEADY => *exchanging = Self::default(),
            (false, exchanging) => exchanging.kept += 1,
        }
    }

    pub(crate) fn is_suspected(&self) -> bool {
        self.replaced > 0
    }

    pub(crate) fn takes_turns(&self) -> bool {
        self.replaced == TURNS
    }
}

impl Track {
    /// The machine has been given an input; `wait` is how long it wants to wait before it sends the
    /// request again.
    pub(crate) fn after(
        &mut self,
        before: &Situation,
        input: Input,
        wait: Option<Duration>,
        open: bool,
    ) {
        if input == Input::Proceed {
            match before.state {
                "taking a place" => self.has_place = true,
                "consulting the store" => self.consulted = true,
                "taking a turn" => self.has_turn = true,
                _ => {}
            }
        }
        let Some(wait) = wait else { return };
        (self.has_place, self.has_turn, self.has_access) = (false, false, false);
        match input {
            Input::Head(reply) | Input::Told(reply) if reply.is_redirect() => {
                self.redirects += 1;
                self.rewritten |= reply == Reply::SeeOther;
            }
            Input::Verdict(_) => self.logged_in = true,
            Input::Told(reply) if reply.is_suspect() => {
                self.outdated += 1;
                self.uncertain = 0;
            }
            Input::Told(reply) if reply.is_gone() => match before.given {
                Given::Current if open && !wait.is_zero() => self.uncertain += 1,
                Given::Current => self.logged_in = true,
                _ if self.outdated < OUTDATED => {
                    self.outdated += 1;
                    self.uncertain = 0;
                }
                _ => self.logged_in = true,
            },
            Input::Failure(failure) if failure.is_unprocessed() && !self.put_back => {
                self.put_back = before.state == "sent";
                self.failures += u32::from(!self.put_back);
            }
            _ => self.failures += 1,
        }
    }

    /// It has not been sent again yet.
    pub(crate) fn is_first(&self) -> bool {
        let again = self.failures + self.uncertain + self.redirects + self.outdated;
        again == 0 && !self.logged_in && !self.put_back
    }

    pub(crate) fn sent(&mut self, once: bool) {
        self.spent |= once;
    }
}

impl Situation {
    pub(crate) fn is(&self, name: &str, value: &str) -> bool {
        self.attributes.iter().any(|found| found.name == name && found.value == value)
    }

    pub(crate) fn of(driver: &Driver) -> Self {
        let state = driver.call.describe();
        let mut found =
            Self { state, given: Given::Nothing, track: Track::default(), attributes: Vec::new() };
        if state == "over" {
            return found;
        }
        let start = driver.start;
        let has_grant = [
            "asking for front headers",
            "to be sent",
            "sent",
            "reading an error",
            "waiting for a verdict",
        ]
        .contains(&state);
        found.track = driver.track.clone();
        // How often is told by what is left; both are used up before the worn call begins.
        found.track.redirects = 0;
        found.track.outdated = 0;
        let track = &driver.track;
        let attributes = &mut found.attributes;
        let mut add = |name, value: &str| {
            attributes.push(Attribute { name, value: value.to_owned() });
        };
        let kind = start.kind;
        add(
            "kind",
            match kind {
                Kind::Get => "a GET",
                Kind::Post => "a POST",
                Kind::Stream => "a POST with a one-shot body",
                Kind::AboutSession => "a GET about the session in use",
                Kind::WithoutSession => "a GET without the session",
                Kind::Elsewhere => "a GET without the session on another server",
                Kind::Misdirected => "a GET with the session on another server",
            },
        );
        let mut either = |name, yes, then, otherwise| add(name, if yes { then } else { otherwise });
        let misdirected = kind == Kind::Misdirected;
        either("mistake", misdirected, "the session's token must not go there", "it can be sent");
        let about = kind == Kind::AboutSession;
        either("about", about, ABOUT, "it may open a session");
        let home = kind != Kind::Elsewhere;
        either("home", home, "it goes to the session's server", "it goes to another server");
        let once = kind == Kind::Stream;
        either("repeatable", once, "it can be sent once only", "it can be sent again");
        let writes = matches!(kind, Kind::Post | Kind::Stream);
        either("safe", writes, "it must not be processed twice", "it may be processed twice");
        let spent = track.spent && !track.rewritten;
        either("spent", spent, "its body cannot be sent again", "it has no such body");
        either("wants", start.wants, "place, store and front headers are wanted", "none is wanted");
        let auth = driver.is_in_session();
        either("auth", auth, "it is sent with the session", "it is sent without the session");
        let late = driver.is_late();
        either("late", late, PASSED, "the deadline has not passed");
        add(
            "deadline",
            match () {
                () if !start.hurried => NONE,
                () if late => PASSED,
                () if driver.is_nearly_late() => NEAR,
                () => "the deadline is far",
            },
        );
        let mut either = |name, yes, then, otherwise| add(name, if yes { then } else { otherwise });
        let left = track.failures + 1 < MAX_ATTEMPTS;
        either("attempt", left, "an attempt is left", "no attempt is left");
        let again = track.put_back;
        either("put_back", again, "it was put back before", "it was not put back before");
        let left = track.redirects < REDIRECTS;
        either("redirect", left, "it may be redirected", "it was redirected 10 times");
        let login = track.logged_in;
        either("login", login, "it has lost a session before", "it has lost no session before");
        if !auth {
            return found;
        }
        let left = track.outdated < OUTDATED;
        either("outdated", left, "it may be repeated for cookies", NEVER);
        let open = driver.session.is_open();
        either("session", open, "a session is open", CLOSED);
        let exchanging = &track.exchanging;
        let (turns, suspected) = (exchanging.takes_turns(), exchanging.is_suspected());
        add(
            "turns",
            if turns {
                EXCHANGED
            } else if suspected {
                SUSPECTED
            } else {
                STAY
            },
        );
        let mut either = |name, yes, then, otherwise| add(name, if yes { then } else { otherwise });
        either("turn", track.has_turn, "it has a turn", NO_TURN);
        either("consulted", track.consulted, "the store was read", "the store was not read");
        add(
            "uncertain",
            match track.uncertain {
                0..UNCERTAIN => "it has waited for a cookie less than three times",
                _ => WAITED,
            },
        );
        if has_grant {
            found.given = driver.given();
            let same = found.given == Given::Outdated && !driver.is_cookie_replaced();
            add("balanced", if same { BALANCED } else { "the session's own cookie tells" });
            add(
                "grant",
                match found.given {
                    Given::Nothing => "it has no grant",
                    Given::Current => "its grant is up to date",
                    Given::Outdated => "its cookies have been replaced",
                    Given::Replaced => "its session has been replaced or has ended",
                },
            );
        }
        found
    }
}
