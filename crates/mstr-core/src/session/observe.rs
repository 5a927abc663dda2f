//! Conclusions about a session from the responses of the application's requests.

use std::time::Instant;

use bytes::Bytes;
use http::response::Parts;
use http::{HeaderMap, Response, StatusCode};

use super::held::Held;
use super::machine::Session;
use super::messages::{Event, LossReason, Purpose};
use super::state::State;
use crate::error::{Refused, ServerError};
use crate::protocol::{Grant, Place, SetCookies, Stored, wire};
use crate::shown::Plain;

/// How much of the name of an ignored cookie is shown.
const LONGEST_NAME: usize = 64;

/// A response, read before the session's lock is taken.
pub(crate) struct Observed<'a> {
    pub(crate) status: StatusCode,
    /// The beginning of the body, if the status is an error.
    pub(crate) refused: Option<&'a Refused<'a>>,
    pub(crate) cookies: &'a SetCookies<'a>,
    /// Of the request, below the base URL, or its complete address.
    pub(crate) path: &'a str,
}

/// The conclusion from a response about the grant of its request.
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
        let cookies = SetCookies::read(&head.headers);
        let refused = error_body.map(Refused::read);
        let refused = refused.as_ref();
        let observed = Observed { status: head.status, refused, cookies: &cookies, path: "/" };
        self.observe_answer(grant, &observed, sent_at, now)
    }

    /// The same, of an answer whose cookies have been read already.
    pub(crate) fn observe_answer(
        &mut self,
        grant: &Grant,
        observed: &Observed<'_>,
        sent_at: Instant,
        now: Instant,
    ) -> Verdict {
        let &Observed { status, refused, cookies, path } = observed;
        let server = refused.and_then(|refused| refused.server.as_ref());
        let gone = is_session_gone(status, server);
        let own = gone || is_servers_answer(status, server);
        let suspected = status == StatusCode::UNAUTHORIZED && !own;
        let place = Place::new(&self.config.endpoint.base, path);
        if let State::Leaving { held, .. } = &mut self.state
            && held.generation == grant.generation
            && !gone
            && held.jar.store(cookies, &place, own, now) != Stored::Nothing
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
            if status != StatusCode::UNAUTHORIZED && !status.is_server_error() {
                held.confirm();
                held.touch(sent_at);
                self.note_success(now);
            }
            if status.is_success()
                && let Some(troubles) = &mut self.troubles
            {
                troubles.doubt.relieve(sent_at);
            }
        }
        self.store_cookies(cookies, path, own, now);
        Verdict::Sound
    }

    /// Keeps the cookies of an answer to an exchange for `purpose`, which is the server's
    /// [own](is_servers_own), or not.
    pub(super) fn merge_cookies(
        &mut self,
        headers: &HeaderMap,
        purpose: Purpose,
        own: bool,
        now: Instant,
    ) {
        self.store_cookies(&SetCookies::read(headers), purpose.path(), own, now);
    }

    fn store_cookies(&mut self, set: &SetCookies<'_>, path: &str, own: bool, now: Instant) {
        let Some(held) = self.state.held_mut() else { return };
        let place = Place::new(&self.config.endpoint.base, path);
        let stored = held.jar.store(set, &place, own, now);
        if own {
            let replaced = stored == Stored::SessionCookie;
            held.exchanging.note(replaced);
            held.cookie += u64::from(replaced);
        }
        if stored != Stored::Nothing {
            held.refresh();
            self.store_record();
        }
        if let Some(held) = self.state.held_mut()
            && let Some(ignored) = ignored(held)
        {
            self.event(ignored);
        }
    }

    /// Drops the cookies whose time is over.
    pub(crate) fn expire_cookies(&mut self, now: Instant) {
        if let Some(held) = self.state.any_held_mut() {
            held.expire_cookies(now);
        }
    }

    /// Where an exchange for this purpose goes.
    pub(super) fn place(&self, purpose: Purpose) -> Place<'_> {
        Place::new(&self.config.endpoint.base, purpose.path())
    }

    /// Tells that a cookie of a new session has been ignored.
    pub(super) fn note_ignored(&mut self, held: &mut Held) {
        if let Some(ignored) = ignored(held) {
            self.event(ignored);
        }
    }
}

/// The event for an ignored cookie: only the first one of each session.
fn ignored(held: &mut Held) -> Option<Event> {
    let name = held.jar.take_ignored()?;
    if std::mem::replace(&mut held.told_ignored, true) {
        return None;
    }
    let shown = name.get(..LONGEST_NAME).unwrap_or(&name);
    Some(Event::CookieIgnored { name: Plain(&String::from_utf8_lossy(shown)).to_string() })
}

/// A session that is gone says so by the server's code, whatever the status of the refusal.
pub(crate) fn is_session_gone(status: StatusCode, said: Option<&ServerError>) -> bool {
    !status.is_success()
        && !status.is_informational()
        && !status.is_redirection()
        && said.is_some_and(ServerError::is_session_gone)
}

/// A 401 without the server's word: a gateway's, or one whose body a proxy has stripped. The answer
/// to a HEAD has no body at all.
pub(crate) fn is_bare_refusal(status: StatusCode, said: Option<&ServerError>) -> bool {
    status == StatusCode::UNAUTHORIZED && !said.is_some_and(ServerError::is_servers_own)
}

/// Whether an answer has something to say about the session: what stands in front of the server sets
/// cookies of its own, by the same names, with the errors that it answers in the server's place.
fn is_servers_answer(status: StatusCode, said: Option<&ServerError>) -> bool {
    !is_failure(status) || said.is_some_and(ServerError::is_servers_own)
}

/// The same of an answer to an exchange.
pub(super) fn is_servers_own(response: &Response<Bytes>) -> bool {
    !is_failure(response.status()) || wire::is_servers_word(response)
}

fn is_failure(status: StatusCode) -> bool {
    status.is_client_error() || status.is_server_error()
}
