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
        let gone = is_session_gone(head.status, error_body.unwrap_or_default());
        if let State::Leaving { held, .. } = &mut self.state
            && held.generation == grant.generation
            && !gone
            && held.jar.store(&head.headers) != Stored::Nothing
        {
            // The logout may have to be repeated, with what is valid by then.
            held.refresh();
        }
        let held = self.state.held_mut();
        let Some(held) = held.filter(|held| held.generation == grant.generation) else {
            // About a session that has been replaced: says nothing about this one.
            return if gone { Verdict::Outdated } else { Verdict::Sound };
        };
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
        if head.status != StatusCode::UNAUTHORIZED {
            if !head.status.is_server_error() {
                held.confirm();
                held.touch(sent_at);
                self.cooling.fruitless = 0;
            }
            self.merge_cookies(&head.headers);
        }
        Verdict::Sound
    }

    pub(super) fn merge_cookies(&mut self, headers: &HeaderMap) {
        let Some(held) = self.state.held_mut() else { return };
        let stored = match headers.contains_key(SET_COOKIE) {
            true => held.jar.store(headers),
            false => Stored::Nothing,
        };
        held.exchanging.note(stored == Stored::SessionCookie);
        if stored != Stored::Nothing {
            held.refresh();
            self.store_record();
        }
    }
}

/// A session that is gone says so by its code. A 401 without a body (the answer to a HEAD) and
/// one in JSON without a code can mean nothing else; a web page comes from a gateway and says
/// nothing about the session.
pub(crate) fn is_session_gone(status: StatusCode, body: &[u8]) -> bool {
    if status.is_success() || status.is_informational() || status.is_redirection() {
        return false;
    }
    match parse_error_body(body) {
        Some(error) if status == StatusCode::UNAUTHORIZED => {
            error.is_session_gone() || error.code.as_str().is_empty()
        }
        Some(error) => error.is_session_gone(),
        None => status == StatusCode::UNAUTHORIZED && body.iter().all(u8::is_ascii_whitespace),
    }
}
