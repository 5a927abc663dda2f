//! What has been seen so far, and which laws that breaks.

mod passwords;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::Request;
use mstr_core::Sent;

use crate::laws::{Broken, Law};
use crate::ops::Call;
use crate::plan::{Class, Plan, USERS};
use crate::renewals::Renewals;
use crate::sending::{Seen, Sending};
use crate::world::{
    AUTHORITY, Answer, Breaks, EXCHANGE, OF_AN_ERROR, call_of, is_own, is_page, is_success,
    password, retry_after, says, says_in, status, token,
};

/// How long the server is not asked about a session at most, after it could not be heard.
const QUESTIONS_PAUSE: Duration = Duration::from_secs(60);

pub(crate) struct Observer {
    plan: Arc<Plan>,
    pub(crate) verdict: Option<Broken>,
    pub(crate) sessions: BTreeMap<String, Seen>,
    /// What calls have been made, and how often each was carried out.
    pub(crate) calls: BTreeMap<u32, (Call, u32)>,
    /// When each was sent last, and until when the answer was awaited.
    sent: BTreeMap<u32, (Instant, Option<Instant>)>,
    /// Before when calls are not sent again.
    waits: BTreeMap<u32, Instant>,
    /// When the server has last opened a session or answered in one, which extends it.
    pub(crate) extended: Option<Instant>,
    /// When the server was last asked about the session, or answered, and whether it said that it
    /// lives.
    asked: Option<(Instant, Option<bool>)>,
    /// Until when the server may not be asked about the session, after nothing has decided a question.
    unheard_until: Option<Instant>,
    pub(crate) renewals: Renewals,
    /// Requests on their way that open or extend a session.
    establishing: BTreeMap<u64, Sending>,
    /// The request that a kept connection lost last, when that was told, and when its time began.
    unsent: Option<(&'static str, Instant, Instant)>,
    /// When passwords were submitted and nothing decisive came back.
    unanswered: BTreeMap<String, Vec<Instant>>,
    refused: BTreeSet<String>,
    pub(crate) resets: u32,
    /// The machines are driven without a connection.
    pub(crate) bare: bool,
    /// How many resets are under way.
    pub(crate) resetting: u32,
    /// Before when no login may be sent, and when that was told.
    pause: Option<(Instant, Instant)>,
    /// Until then a login whose body has not come may still be told as a success.
    lenient: Option<Instant>,
    /// `close` has been called; has returned.
    pub(crate) closing: bool,
    pub(crate) closed: bool,
    /// A closing was given up.
    went_on: bool,
    /// How many providers do not return.
    pub(crate) hanging: u32,
    /// How many requests of the session's own have left or been answered.
    own: u64,
    /// Connections that borrow the session are about.
    pub(crate) lent: u32,
    /// Whose credentials are in use, since when.
    pub(crate) users: Vec<(Instant, usize)>,
    /// How much of the time nothing ran.
    pub(crate) leapt: Duration,
}

impl Observer {
    pub(crate) fn new(plan: &Arc<Plan>) -> Self {
        Self {
            plan: Arc::clone(plan),
            verdict: None,
            sessions: BTreeMap::new(),
            calls: BTreeMap::new(),
            sent: BTreeMap::new(),
            waits: BTreeMap::new(),
            extended: None,
            asked: None,
            unheard_until: None,
            renewals: Renewals::default(),
            establishing: BTreeMap::new(),
            unsent: None,
            unanswered: BTreeMap::new(),
            refused: BTreeSet::new(),
            resets: 0,
            bare: false,
            resetting: 0,
            pause: None,
            lenient: None,
            closing: false,
            closed: false,
            went_on: false,
            hanging: 0,
            own: 0,
            lent: 0,
            users: Vec::new(),
            leapt: Duration::ZERO,
        }
    }

    pub(crate) fn broken(&mut self, law: Law, said: impl Into<String>) {
        if self.verdict.is_none() {
            self.verdict = Some(Broken { law, said: said.into() });
        }
    }

    pub(crate) fn calls(&mut self, call: Call) {
        self.calls.insert(call.id, (call, 0));
    }

    /// The credentials are replaced by those of a user.
    pub(crate) fn resets(&mut self, user: usize, alive: &[String], now: Instant) {
        self.supersede(alive);
        self.resets += 1;
        self.users.push((now, user));
        self.pause = None;
        self.refused.clear();
        self.unanswered.clear();
    }

    fn reset_at(&self) -> Option<Instant> {
        self.users[1..].last().map(|(at, _)| *at)
    }

    /// Whether a name is of a user whose credentials were in use since then.
    pub(crate) fn was_user(&self, name: &str, since: Instant) -> bool {
        let later = self.users.iter().filter(|(at, _)| *at >= since);
        let before = self.users.iter().rev().find(|(at, _)| *at < since);
        later.chain(before).any(|(_, user)| USERS[*user] == name)
    }

    fn has(&self, class: Class) -> bool {
        self.plan.has(class)
    }

    /// Whether something answers in the server's place, or changes its answers.
    pub(crate) fn is_lied_to(&self) -> bool {
        [
            Class::SignInPage,
            Class::GatewayJson,
            Class::Stripped,
            Class::Redirect,
            Class::DropsCookies,
            Class::Namesakes,
            Class::Rotation,
            Class::Scattered,
        ]
        .into_iter()
        .any(|class| self.has(class))
    }

    /// A request leaves.
    pub(crate) fn departs(
        &mut self,
        request: &Request<Bytes>,
        purpose: &'static str,
        number: u64,
        alive: &[String],
        now: Instant,
    ) -> Sending {
        let fields: serde_json::Value = serde_json::from_slice(request.body()).unwrap_or_default();
        let sending = Sending {
            purpose,
            limited_from: match self.unsent {
                Some((what, lost, from)) if what == purpose && lost == now => from,
                _ => now,
            },
            // One that leaves while the credentials are being replaced has the former ones.
            resets: self.resets - self.resetting,
            password: fields["password"].as_str().map(str::to_owned).filter(|_| purpose == "login"),
            token: token(request.headers()),
            call: call_of(request.uri().path()),
            opens: None,
            number,
        };
        self.own += u64::from(purpose != "call");
        if let Some(call) = sending.call {
            self.sent.insert(call, (now, None));
            if let Some(until) = self.waits.remove(&call).filter(|until| now < *until) {
                let early = until - now;
                self.broken(Law::RetryAfter, format!("call {call} is sent {early:?} too early"));
            }
        }
        let own = request.uri().authority().is_some_and(|it| it.as_str() == AUTHORITY);
        let fronted = request.headers().contains_key("x-front");
        if own && fronted != self.has(Class::Front) {
            self.broken(Law::Fronted, format!("{purpose} is sent with: {fronted}"));
        }
        if matches!(purpose, "inspect" | "renew") {
            self.asked = Some((now, None));
        }
        self.check_origin(request);
        self.check_project(request, &sending);
        let cookies = request.headers().get_all("cookie").iter();
        if cookies.into_iter().any(|line| says_in(line.as_bytes(), OF_AN_ERROR)) {
            self.broken(Law::OwnCookies, "a cookie that came with a gateway's error is sent");
        }
        if purpose == "renew"
            && let Some(token) = &sending.token
            && let Some(idle) = self.renewals.needless(token, self.plan.session_timeout, now)
        {
            self.broken(Law::Needed, format!("renewed after {idle:?} without a request"));
        }
        let borrowed = self.is_borrowed(sending.token.as_deref());
        if self.closed && self.lent == 0 && !borrowed {
            let own = sending.token.is_some() || purpose == "login";
            if own && purpose != "logout" {
                self.broken(Law::Silence, format!("{purpose} is sent after the close"));
            }
        }
        if purpose == "logout" && borrowed && !self.bare {
            self.broken(Law::Kept, "a session is logged out by a connection that borrows it");
        }
        // Some hand-written drivers look at the time before they look at an answer.
        let kept = self.plan.keeps_what_it_opens() && !self.closing && !self.bare;
        if purpose == "logout" && !borrowed && kept {
            let token = sending.token.as_ref().filter(|token| alive.contains(token));
            let seen = token.and_then(|token| self.sessions.get(token));
            if seen.is_some_and(|seen| seen.delivered && !seen.used) {
                self.broken(Law::Economy, "a session is logged out that was never used");
            }
        }
        if purpose == "login" || (purpose == "renew" && !borrowed) {
            self.check_establishing(&sending, now);
            self.establishing.insert(sending.number, sending.clone());
        }
        if purpose == "login" {
            // The session of calls that are under way is another one.
            self.asked = None;
            if let Some((until, _)) = self.pause.filter(|(until, _)| now < *until) {
                let early = until - now;
                self.broken(Law::RetryAfter, format!("a login is sent {early:?} too early"));
            }
            self.check_submission(&sending, now);
            self.check_economy(alive);
        }
        if let Some(seen) = sending.token.as_ref().and_then(|token| self.sessions.get_mut(token)) {
            seen.logged_out |= purpose == "logout";
            // Not by the checks, which come before it is used.
            seen.used |= matches!(purpose, "call" | "renew" | "user-info");
        }
        sending
    }

    fn is_borrowed(&self, token: Option<&str>) -> bool {
        let seen = token.and_then(|token| self.sessions.get(token));
        seen.is_some_and(|seen| seen.borrowed)
    }

    fn check_origin(&mut self, request: &Request<Bytes>) {
        let own = request.uri().authority().is_some_and(|it| it.as_str() == AUTHORITY);
        let bears = ["x-mstr-authtoken", "cookie", "x-front", "authorization"]
            .into_iter()
            .find(|name| request.headers().contains_key(*name));
        if let Some(name) = bears.filter(|_| !own) {
            self.broken(Law::OwnOrigin, format!("{name} is sent to {}", request.uri()));
        }
        let whole = request.body();
        let leaks = USERS.iter().any(|user| {
            let password = password(user);
            whole.windows(password.len()).any(|window| window == password.as_bytes())
        });
        if leaks && !own {
            self.broken(Law::OwnOrigin, format!("a password is sent to {}", request.uri()));
        }
    }

    fn check_project(&mut self, request: &Request<Bytes>, sending: &Sending) {
        let call = sending.call.and_then(|id| self.calls.get(&id)).map(|(call, _)| *call);
        let Some(call) = call else { return };
        let given = request.headers().get("x-mstr-projectid").and_then(|it| it.to_str().ok());
        let wanted = if call.own_project { Some("of-the-caller") } else { None };
        if wanted.is_some() && given != wanted {
            let said = format!("call {} is about {given:?} and not {wanted:?}", call.id);
            self.broken(Law::RightProject, said);
        }
        // A connection that borrows the session has no project of its own.
        let own = sending.token.is_some() && !self.is_borrowed(sending.token.as_deref());
        let known = self.plan.project.is_some() && wanted.is_none() && own;
        if known && given.is_none_or(|id| id.len() != 32) {
            let said = format!("call {} is about {given:?}", call.id);
            self.broken(Law::RightProject, said);
        }
    }

    /// About to open or extend a session.
    fn check_establishing(&mut self, sending: &Sending, now: Instant) {
        let limit = self.plan.attempt.unwrap_or(EXCHANGE);
        // One that left in the moment of a reset may have had the former credentials.
        let reset_at = self.reset_at();
        let former =
            |other: &Sending| other.resets != self.resets || reset_at == Some(other.limited_from);
        let beside = self
            .establishing
            .values()
            .find(|other| !former(other) && other.limited_from + limit > now);
        if let Some(other) = beside.filter(|_| !self.closing) {
            let said = format!("{} beside {}", sending.purpose, other.purpose);
            self.broken(Law::OneLogin, said);
        }
    }

    /// A session that lives is not replaced.
    fn check_economy(&mut self, alive: &[String]) {
        if self.is_lied_to() || self.closing {
            return;
        }
        if self.is_known_alive(alive) {
            self.broken(Law::Economy, "a login, and there is a session that lives");
        }
    }

    /// The answer to a request reaches the client.
    pub(crate) fn delivers(
        &mut self,
        sending: Sending,
        answer: &Answer,
        alive: &[String],
        now: Instant,
    ) {
        self.establishing.remove(&sending.number);
        let whole = answer.as_ref().is_ok_and(|(_, _, breaks)| *breaks == Breaks::Never);
        // The server's state is told without a session.
        let counts = sending.purpose != "status";
        if counts
            && whole
            && is_success(answer)
            && !is_page(answer)
            && let Some(token) = sending.opens.as_ref().or(sending.token.as_ref())
        {
            self.renewals.answered(token, sending.limited_from);
        } else if sending.purpose == "renew" {
            self.renewals.refused(now);
        }
        if answer.as_ref().is_err_and(|error| error.sent() == Sent::No) {
            self.unsent = Some((sending.purpose, now, sending.limited_from));
        }
        if matches!(sending.purpose, "inspect" | "renew") {
            let lives = whole && is_success(answer) && !is_page(answer);
            if self.asked.is_some_and(|(at, _)| at == sending.limited_from) {
                self.asked = Some((now, Some(lives)));
            }
            if !lives {
                let wait = retry_after(answer).unwrap_or_default().max(QUESTIONS_PAUSE);
                self.unheard_until = self.unheard_until.max(Some(now + wait));
            }
        }
        self.awaits_no_longer(&sending, now);
        self.own += u64::from(sending.purpose != "call");
        if let Some(seen) = sending.token.as_ref().and_then(|token| self.sessions.get_mut(token)) {
            seen.refused |= status(answer).is_some_and(|status| status.as_u16() == 401);
            seen.answers += u32::from(!seen.refused);
        }
        if let (Some(call), Some(wait)) = (sending.call, retry_after(answer)) {
            self.waits.insert(call, now + wait);
        }
        if counts && is_success(answer) && !is_page(answer) && sending.purpose != "logout" {
            self.extended = Some(now);
        }
        if sending.purpose == "login" {
            let current = sending.resets == self.resets && !self.closing;
            let until = retry_after(answer).filter(|_| current).map(|wait| now + wait);
            self.pause = until.map(|until| (until, now));
        }
        if sending.purpose == "login" && answer.as_ref().is_ok_and(|it| it.2 != Breaks::Never) {
            self.lenient = Some(now + EXCHANGE);
        }
        if let Some(password) = &sending.password
            // An old refusal says nothing about what was given since; another word of the server does.
            && (sending.resets == self.resets || (is_own(answer) && !says(answer, "ERR003")))
        {
            self.note_login(password, answer);
        }
        match &sending.opens {
            // A renewed cookie that does not arrive is lost.
            Some(opened) => self.note_opening(opened, &sending, answer, alive),
            // The cookies of an exchange of the session's own are kept with its body.
            None => {
                let broken =
                    answer.as_ref().map_or(true, |(_, _, breaks)| *breaks != Breaks::Never);
                self.note_lost_cookie(&sending, broken);
            }
        }
        if sending.purpose == "logout" && !is_success(answer) && !says(answer, "ERR009") {
            self.excuse(sending.token.as_deref(), "its logout failed");
        }
    }

    fn note_opening(&mut self, opened: &str, sending: &Sending, answer: &Answer, alive: &[String]) {
        let told = answer.as_ref().is_ok_and(|(parts, ..)| {
            token(&parts.headers).is_some() && parts.headers.contains_key("set-cookie")
        });
        if !told {
            return self.excuse(Some(opened), "its opening was not told");
        }
        let borrowed = sending.purpose == "delegate";
        let late = |other: &Seen| other.delivered && other.number > sending.number;
        let late = self.sessions.values().any(|other| !other.borrowed && late(other));
        if !borrowed && !late {
            self.supersede(alive);
        }
        let reset_at = self.reset_at();
        // A close that is not polled has not begun, perhaps.
        let closes = self.closing && !self.went_on && !self.has(Class::Unpolled);
        if let Some(seen) = self.sessions.get_mut(opened) {
            seen.delivered = true;
            // Or it left in the moment of a reset, with the former credentials or the new ones.
            let former = sending.resets != self.resets && reset_at != Some(sending.limited_from);
            seen.superseded = late || closes || former;
        }
    }

    /// The sessions up to now are not used any more: those that are alive have to be logged out.
    pub(crate) fn supersede(&mut self, alive: &[String]) {
        for (token, seen) in &mut self.sessions {
            seen.superseded |= seen.delivered && alive.contains(token);
        }
    }

    /// How many requests of the session's own there were, if only a provider is waited for.
    pub(crate) fn hangs(&self) -> Option<u64> {
        let waits = self.hanging > 0 && self.establishing.is_empty() && !self.bare;
        waits.then_some(self.own)
    }

    /// A closing is given up before its end: what was opened meanwhile is used on.
    pub(crate) fn goes_on(&mut self) {
        self.went_on = true;
        self.sessions.values_mut().for_each(|seen| seen.superseded = false);
    }

    /// The last handle has gone.
    pub(crate) fn abandons_all(&mut self, alive: &[String]) {
        self.closing = true;
        self.supersede(alive);
    }

    /// The client waits no longer for an answer.
    pub(crate) fn abandons(&mut self, sending: &mut Sending, now: Instant) {
        self.establishing.remove(&sending.number);
        self.awaits_no_longer(sending, now);
        if matches!(sending.purpose, "inspect" | "renew") {
            self.unheard_until = self.unheard_until.max(Some(now + QUESTIONS_PAUSE));
        }
        let limit = self.plan.attempt.unwrap_or(EXCHANGE);
        let early = sending.limited_from + limit > now && sending.resets == self.resets;
        let leaps = self.has(Class::Leaps);
        if sending.purpose == "login" && early && !self.closing && !leaps {
            let after = now - sending.limited_from;
            self.broken(Law::Finished, format!("a login is given up after {after:?}"));
        }
        if let Some(opened) = sending.opens.clone() {
            self.excuse(Some(&opened), "its opening was not waited for");
        }
        if sending.purpose == "logout" {
            self.excuse(sending.token.as_deref(), "its logout was not waited for");
        }
        self.note_lost_cookie(sending, true);
    }

    fn note_lost_cookie(&mut self, sending: &Sending, lost: bool) {
        // Cookies of an error that is not known for the server's are not kept.
        let dropped = self.has(Class::DropsCookies) || self.has(Class::Stripped);
        if self.has(Class::Rotation) && (lost || dropped) {
            self.excuse(sending.token.as_deref(), "its cookie was lost");
        }
    }

    pub(crate) fn excuse(&mut self, token: Option<&str>, why: &'static str) {
        if let Some(seen) = token.and_then(|token| self.sessions.get_mut(token)) {
            seen.excuse = Some(why);
        }
    }

    /// The requests that opened sessions which were not used any more, were alive, and were not logged
    /// out.
    pub(crate) fn left(&self) -> Vec<u64> {
        // Where each answer has a cookie, one that lies unread in a future is lost with the next, those
        // that come late cross others, and the pages of something in front of the server hide that it
        // is so.
        let hides =
            [Class::Unpolled, Class::SignInPage, Class::Redirect, Class::GatewayJson, Class::Slow];
        let unread = self.has(Class::Rotation) && hides.iter().any(|class| self.has(*class));
        if self.has(Class::Scattered) || unread {
            return Vec::new();
        }
        let is_left = |seen: &&Seen| {
            // That each answer has a cookie is known after a few.
            let known = !self.has(Class::Rotation) || seen.answers > 2;
            seen.superseded && !seen.logged_out && !seen.borrowed && seen.excuse.is_none() && known
        };
        self.sessions.values().filter(is_left).map(|seen| seen.number).collect()
    }

    /// Sessions that the client knows and that are alive, since before then.
    pub(crate) fn is_known_alive(&self, alive: &[String]) -> bool {
        self.sessions.iter().any(|(token, seen)| {
            seen.delivered
                && seen.used
                && !seen.logged_out
                && !seen.borrowed
                && seen.resets == self.resets
                && alive.contains(token)
        })
    }

    /// How often a call was carried out.
    pub(crate) fn acted(&self, call: u32) -> u32 {
        self.calls.get(&call).map_or(0, |(_, times)| *times)
    }

    /// Whether a session that is alive is in use.
    pub(crate) fn uses_one_of(&self, alive: &[String]) -> bool {
        let in_use = |seen: &&Seen| {
            seen.delivered && !seen.borrowed && seen.resets == self.resets && seen.excuse.is_none()
        };
        alive.iter().filter_map(|token| self.sessions.get(token)).any(|seen| in_use(&seen))
    }

    /// Whether the server has said that the session lives, and has not been asked since the call was
    /// sent.
    pub(crate) fn was_not_asked(&self, call: u32) -> bool {
        // Newer cookies explain a refusal, without a question; and some hand-written drivers read ahead.
        let excused = self.has(Class::Rotation) || self.closing || self.bare;
        let sent = self.sent.get(&call).filter(|_| !excused);
        let paused = |at: Instant| self.unheard_until.is_some_and(|until| at < until);
        sent.filter(|(sent, _)| !paused(*sent)).is_some_and(|(sent, _)| {
            self.asked.is_some_and(|(at, lives)| at < *sent && lives == Some(true))
        })
    }

    /// Whether the answer to a call is awaited, or was until now.
    pub(crate) fn awaits(&self, call: u32, now: Instant) -> bool {
        self.sent.get(&call).is_some_and(|(_, until)| until.is_none_or(|until| until == now))
    }

    fn awaits_no_longer(&mut self, sending: &Sending, now: Instant) {
        if let Some((_, until)) = sending.call.and_then(|call| self.sent.get_mut(&call)) {
            *until = Some(now);
        }
    }

    /// Whether a wait that the server asked for before `now` ends after `deadline`.
    pub(crate) fn pauses_beyond(&self, deadline: Instant, now: Instant) -> bool {
        self.pause.is_some_and(|(until, told)| told < now && until >= deadline)
    }

    /// All words that must not be shown.
    pub(crate) fn shown_secret(&self, text: &str) -> Option<String> {
        let passwords = USERS.iter().map(|user| password(user));
        let mut secrets =
            passwords.chain(["a-new-password".to_owned()]).chain(self.sessions.keys().cloned());
        secrets.find(|secret| text.contains(secret.as_str()))
    }
}
