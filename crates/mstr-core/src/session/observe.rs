//! What an application's response says about the session it was sent in.

use std::time::Instant;

use http::header::SET_COOKIE;
use http::{HeaderMap, StatusCode};

use super::Session;
use crate::error::parse_error_body;
use crate::protocol::Grant;

/// What to do with a response.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[expect(clippy::exhaustive_enums, reason = "a driver has to handle each")]
pub enum Verdict {
    /// It is for the caller.
    Deliver,
    /// The session is gone: [`revoke`](Session::revoke) the grant's generation, ask for access
    /// and send again.
    Reauthenticate,
    /// The grant was out of date when the request arrived: send again with the current one.
    Resend,
    /// The session is gone, or another request has just been answered with the cookie that is
    /// valid now and that answer is still on its way: send again in a moment, and if nothing has
    /// changed by then, take it as [`Reauthenticate`](Self::Reauthenticate).
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
        status: StatusCode,
        headers: &HeaderMap,
        error_body: Option<&[u8]>,
        sent_at: Instant,
    ) -> Verdict {
        let gone = is_session_gone(status, error_body.unwrap_or_default());
        let Some(held) = &mut self.held else {
            return if gone { Verdict::Resend } else { Verdict::Deliver };
        };
        if held.generation != grant.generation {
            // About a session that has been replaced: says nothing about this one.
            return if gone { Verdict::Resend } else { Verdict::Deliver };
        }
        if gone {
            // Cookies that were replaced while the request was under way explain the refusal.
            return if held.epoch != grant.epoch {
                Verdict::Resend
            } else if self.rotates {
                Verdict::Uncertain
            } else {
                Verdict::Reauthenticate
            };
        }
        if status != StatusCode::UNAUTHORIZED {
            if !status.is_server_error() {
                held.confirmed = true;
                held.touch(sent_at);
                self.fruitless = 0;
            }
            self.merge_cookies(headers);
        }
        Verdict::Deliver
    }

    pub(super) fn merge_cookies(&mut self, headers: &HeaderMap) {
        if !headers.contains_key(SET_COOKIE) {
            return;
        }
        if let Some(held) = &mut self.held
            && held.jar.store(headers)
        {
            held.refresh();
            self.rotates |= held.jar.rotates();
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
