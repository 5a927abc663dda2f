//! What an application's response says about the session it was sent in.

use std::time::Instant;

use http::header::SET_COOKIE;
use http::response::Parts;
use http::{HeaderMap, StatusCode};

use super::machine::Session;
use super::messages::LossReason;
use super::state::State;
use crate::error::parse_error_body;
use crate::protocol::{Grant, Stored};

/// What a response says about the grant its request carried.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[expect(clippy::exhaustive_enums, reason = "a driver has to handle each")]
pub enum Verdict {
    /// The session is gone and has been given up: ask for access and send again.
    Gone,
    /// The grant was out of date when the request arrived: send again with the current one.
    Outdated,
    /// Nothing against it: the response is for the caller.
    Sound,
    /// It has been refused without the server's word, by a gateway or by the server itself:
    /// [`question`](Session::question) says what to do.
    Suspected,
    /// The session is gone, or another request has just been answered with the cookie that is
    /// valid now and that answer is still on its way: send again in a moment, and if nothing has
    /// changed by then, [`revoke`](Session::revoke) it. A request that had its turn cannot have
    /// been overtaken by another one, only by a renewal.
    Uncertain,
}

impl Session {
    /// Takes note of a response to a request that carried `grant` and was sent at `sent_at`.
    ///
    /// `error_body` is the beginning of the body, if the status is an error; a session that is
    /// gone is told by the code in it.
    pub fn observe(
        &mut self,
        grant: &Grant,
        head: &Parts,
        error_body: Option<&[u8]>,
        sent_at: Instant,
        now: Instant,
    ) -> Verdict {
        let error_body = error_body.unwrap_or_default();
        let gone = is_session_gone(head.status, error_body);
        let own = gone || is_servers_answer(head.status, error_body);
        let suspected = head.status == StatusCode::UNAUTHORIZED && !own;
        if let State::Leaving { held, .. } = &mut self.state
            && held.generation == grant.generation
            && !gone
            && held.jar.store_from(&head.headers, own) != Stored::Nothing
        {
            // The logout may have to be repeated, with what is valid by then.
            held.refresh();
        }
        let held = self.state.held_mut();
        let Some(held) = held.filter(|held| held.generation == grant.generation) else {
            // About a session that has been replaced: says nothing about this one.
            return if gone || suspected { Verdict::Outdated } else { Verdict::Sound };
        };
        if suspected {
            // Unless the server has said since that the session lives, newer cookies explain it.
            let same = held.cookie == grant.cookie || held.is_vouched_for(sent_at);
            return if same { Verdict::Suspected } else { Verdict::Outdated };
        }
        if gone {
            // Cookies that were replaced while the request was under way explain the refusal.
            return if held.epoch != grant.epoch {
                Verdict::Outdated
            } else if held.exchanging.is_suspected() {
                Verdict::Uncertain
            } else {
                self.lose(LossReason::Refused, now);
                Verdict::Gone
            };
        }
        if own {
            if head.status != StatusCode::UNAUTHORIZED && !head.status.is_server_error() {
                held.confirm();
                held.touch(sent_at);
                self.cooling.fruitless = 0;
            }
            if head.status.is_success() {
                self.doubt.relieve(sent_at);
            }
        }
        self.merge_cookies(&head.headers, own);
        Verdict::Sound
    }

    /// Keeps the cookies of an answer, which is the server's [own](is_servers_answer), or not.
    pub(super) fn merge_cookies(&mut self, headers: &HeaderMap, own: bool) {
        let Some(held) = self.state.held_mut() else { return };
        let stored = match headers.contains_key(SET_COOKIE) {
            true => held.jar.store_from(headers, own),
            false => Stored::Nothing,
        };
        if own {
            let replaced = stored == Stored::SessionCookie;
            held.exchanging.note(replaced);
            held.cookie += u64::from(replaced);
        }
        if stored != Stored::Nothing {
            held.refresh();
            self.store_record();
        }
    }
}

/// A session that is gone says so by the server's code, whatever the status of the refusal.
pub(crate) fn is_session_gone(status: StatusCode, body: &[u8]) -> bool {
    !status.is_success()
        && !status.is_informational()
        && !status.is_redirection()
        && parse_error_body(body).is_some_and(|error| error.is_session_gone())
}

/// A 401 without the server's word: a gateway's, or one whose body a proxy has stripped. The answer
/// to a HEAD has no body at all.
pub(crate) fn is_bare_refusal(status: StatusCode, body: &[u8]) -> bool {
    status == StatusCode::UNAUTHORIZED
        && !parse_error_body(body).is_some_and(|error| error.is_servers_own())
}

/// Whether an answer has something to say about the session: what stands in front of the server sets
/// cookies of its own, by the same names, with the errors that it answers in the server's place.
pub(super) fn is_servers_answer(status: StatusCode, body: &[u8]) -> bool {
    let failed = status.is_client_error() || status.is_server_error();
    !failed || parse_error_body(body).is_some_and(|error| error.is_servers_own())
}
