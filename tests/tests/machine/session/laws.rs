//! What holds after every input, whatever came before: what the documentation promises.

use mstr_core::Generation;

use super::driver::Driver;
use super::inputs::{Adopted, Exchanged, Input};

impl Driver {
    /// The laws that hold after every input, whatever came before.
    pub(crate) fn check(&mut self, from: &'static str, generation: Option<Generation>) {
        let mut broken = Vec::new();
        let establishing = self.awaited().filter(|sent| {
            let beside = matches!(sent.exchange, Exchanged::Renew | Exchanged::Question);
            sent.exchange.opens_session() || beside
        });
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
        let sent = !self.unsent && self.fronting.is_empty();
        if sent && idle && !between.contains(&self.state()) && !self.alive.is_empty() {
            broken.push("a session of ours is left on the server");
        }
        if self.late.iter().any(|token| self.alive.contains(token)) {
            broken.push("a session that was no longer awaited is left on the server");
        }
        if self.done.told.iter().any(|told| told == "granted")
            && self.session.current_grant().is_none()
        {
            broken.push("access is granted without a session");
        }
        if self.token().is_some_and(|token| self.ended.contains(&token)) {
            broken.push("a session that was logged out is in use");
        }
        self.broken.extend(broken.into_iter().map(str::to_owned));
    }

    /// What holds of a session that was opened elsewhere.
    pub(crate) fn check_adoption(&mut self, input: Input, generation: Option<Generation>) {
        let Input::Adopt(_) = input else { return };
        let mut broken = Vec::new();
        let adopted = self.done.told.iter().any(|told| told == "adopted");
        let background = |sent: &String| sent.ends_with("in the background");
        if !self.done.sent.iter().all(background) {
            broken.push("more is sent than logouts in the background");
        }
        let in_use = input == Input::Adopt(Adopted::InUse);
        let newer = self.session.generation() > generation;
        if adopted && !in_use && (!self.session.is_open() || !newer) {
            broken.push("what was adopted is not in use");
        }
        if (!adopted || in_use) && self.session.generation() != generation {
            broken.push("nothing was to be replaced, and something was");
        }
        self.broken.extend(broken.into_iter().map(str::to_owned));
    }

    /// Subscribers are told of each change, and of nothing else.
    pub(crate) fn check_records(&mut self, input: Input, before: Option<&[u8]>) {
        let now = self.record();
        let changed = now.is_some() && now.as_deref() != before;
        // They have an adopted one already.
        let expected = changed && !matches!(input, Input::Adopt(_));
        let last = self.stored.last().map(|record| record.expose_bytes().as_ref().to_vec());
        if expected != last.is_some() || (expected && last != now) || self.stored.len() > 1 {
            self.broken.push("what is stored is not what has changed".into());
        }
    }
}
