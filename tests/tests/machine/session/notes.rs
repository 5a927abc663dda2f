//! A record of the server's silence: logins and questions that it has not answered.

use std::time::{Duration, Instant};

use super::driver::{Driver, Sent};
use super::inputs::{Exchanged, Input, Observed, Reply};

/// After so many logins that the server has not answered, the same credentials are not submitted
/// for a while.
pub(crate) const UNANSWERED_LIMIT: u32 = 2;
const PAUSE: Duration = Duration::from_secs(30);
/// After so many questions that decided nothing, an own session is replaced.
const UNDECIDED_LIMIT: u32 = 3;
/// Questions about the session that decided nothing.
#[derive(Debug)]
pub(super) struct Doubt {
    pub(super) questions: u32,
    pub(super) undecided: u32,
    pub(super) ask_at: Instant,
    pub(super) replaced_at: Option<Instant>,
}

impl Sent {
    /// What of a login tells credentials from others.
    pub(super) fn secret(&self) -> String {
        let body: serde_json::Value = serde_json::from_slice(&self.body).unwrap();
        body.get("password").or_else(|| body.get("identityToken")).unwrap().to_string()
    }
}

impl Driver {
    /// Nothing else is going on than a session of our own, opened here: that is where doubts about
    /// it are followed.
    pub(super) fn is_plain(&self) -> bool {
        let track = &self.track;
        let once = self.doubt.as_ref().is_none_or(|doubt| doubt.replaced_at.is_none());
        let replacing = self.state() == "replacing the session";
        track.is_plain()
            && self.late().next().is_none()
            && self.unanswered.is_empty()
            && !self.session.takes_turns()
            && (once || replacing)
    }

    /// What the input says about the session, as long as the server cannot be heard.
    pub(super) fn note_doubt(&mut self, from: &'static str, input: Input) {
        let doubted = from == "asking about the session";
        let silent = match input {
            Input::Answer(Exchanged::Question, reply) => reply.is_nothing_heard(),
            Input::Deadline => doubted,
            // It lived then.
            Input::Observe(Observed::Success | Observed::NewCookie) => {
                if let Some(doubt) = &mut self.doubt {
                    doubt.undecided = 0;
                }
                return;
            }
            Input::Answer(Exchanged::Renew, Reply::Success) => {
                self.doubt = None;
                return;
            }
            Input::Reset(_) if !["closing", "closed"].contains(&from) => {
                self.doubt = None;
                return;
            }
            _ => return,
        };
        if !silent {
            // A session that has ended does not dispel a doubt.
            if self.state() == "open" {
                self.doubt = None;
            }
            return;
        }
        let doubt = self.doubt.get_or_insert(Doubt {
            questions: 0,
            undecided: 0,
            ask_at: self.now,
            replaced_at: None,
        });
        doubt.ask_at = self.now + Duration::from_secs(1 << doubt.questions.min(5));
        doubt.questions += 1;
        doubt.undecided = (doubt.undecided + 1).min(UNDECIDED_LIMIT);
        if self.session.describe() == "replacing the session" {
            doubt.replaced_at = Some(self.now);
        }
    }

    /// The secret of the last login.
    pub(super) fn last_submitted(&self) -> Option<String> {
        self.sent.iter().rev().find(|sent| sent.exchange.opens_session()).map(Sent::secret)
    }

    /// What the input says of the credentials that were submitted.
    pub(super) fn note_submission(&mut self, from: &'static str, input: Input) {
        let closing = from == "closing" || from == "closed";
        let opened = self.done.events.iter().any(|event| event == "opened");
        let adopted = matches!(input, Input::Adopt(_));
        if (matches!(input, Input::Reset(_)) && !closing) || (opened && !adopted) {
            return self.unanswered.clear();
        }
        let unanswered = match input {
            Input::Answer(exchange, reply) if exchange.opens_session() && !closing => {
                reply.answers_a_login().map(|answer| !answer)
            }
            Input::Deadline => {
                let login = self.login_was_awaited;
                (from == "logging in" || (from == "replacing the session" && login)).then_some(true)
            }
            Input::AccessLater => (from == "logging in").then_some(true),
            _ => None,
        };
        let secret = self.submitted_before.take();
        match (unanswered, secret) {
            (Some(true), Some(secret)) => {
                let (times, until) = self.unanswered.entry(secret).or_insert((0, self.now));
                *times += 1;
                if *times >= UNANSWERED_LIMIT {
                    *until = self.now + PAUSE;
                }
            }
            (Some(false), Some(secret)) => drop(self.unanswered.remove(&secret)),
            _ => {}
        }
    }
}
