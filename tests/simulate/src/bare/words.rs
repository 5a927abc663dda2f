//! What happens to the machines, in the words of their state tables.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use http::HeaderMap;
use http::response::Parts as Head;
use mstr_core::session::{Purpose, SessionRecord};
use mstr_core::{
    BaseUrl, Credentials, Error, ErrorKind, Grant, Sent, TransportError, TransportErrorKind,
    Version,
};

use super::core::{Answer, is_unprocessed};
use crate::plan::PROJECT;
use crate::world::AUTHORITY;

/// Shorter than any idle timeout.
const LONG: Duration = Duration::from_secs(90);

#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(crate) enum Machine {
    Session,
    Call,
}

/// An input in a state, and the state after it.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(crate) struct Row {
    pub(crate) machine: Machine,
    pub(crate) state: &'static str,
    pub(crate) input: Input,
    pub(crate) next: &'static str,
}

/// What happens, and in which way.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(crate) struct Input {
    pub(crate) what: &'static str,
    pub(crate) how: &'static str,
}

/// The steps that were seen. Clones share them.
#[derive(Clone, Default)]
pub(crate) struct Seen(Arc<Mutex<BTreeSet<Row>>>);

impl Seen {
    pub(super) fn session(&self, state: &'static str, input: Input, next: &'static str) {
        self.note(Row { machine: Machine::Session, state, input, next });
    }

    pub(super) fn call(&self, state: &'static str, input: Input, next: &'static str) {
        self.note(Row { machine: Machine::Call, state, input, next });
    }

    fn note(&self, step: Row) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(step);
    }

    pub(crate) fn take(&self) -> BTreeSet<Row> {
        std::mem::take(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

const fn input(what: &'static str, how: &'static str) -> Input {
    Input { what, how }
}

pub(super) const PROCEED: Input = input("proceed", "");
pub(super) const TAKEN: Input = input("the request is taken", "");
pub(super) const DENIED: Input = input("access is denied", "");
pub(super) const DEADLINE: Input = input("the deadline passes", "");
pub(super) const RENEW: Input = input("renewal is asked for", "");
pub(super) const ADOPTED_IN_USE: Input = input(ADOPTED, "the one in use");
const UNUSABLE: &str = "unusable";
pub(super) const QUESTION: &str = "question answered";
const ADOPTED: &str = "a session from elsewhere is adopted";

/// Any will do; this is the shortest way to one.
pub(super) fn any_error() -> Error {
    match BaseUrl::parse("") {
        Err(error) => error,
        Ok(_) => TransportError::new(TransportErrorKind::Config).into(),
    }
}

pub(super) fn wanted(silence: Duration) -> Input {
    input("access is asked for", if silence < LONG { "at once" } else { "after a long silence" })
}

pub(super) fn logout(even_if_borrowed: bool) -> Input {
    let how = if even_if_borrowed { "even if borrowed" } else { "plainly" };
    input("logout is asked for", how)
}

pub(super) fn adopted(borrowed: bool) -> Input {
    input(ADOPTED, if borrowed { "a borrowed one" } else { "an own one" })
}

/// Whether two records are of one session.
pub(super) fn are_same(one: &SessionRecord, other: &SessionRecord) -> bool {
    one.expose_bytes().as_ref() == other.expose_bytes().as_ref()
}

pub(super) fn fronted(in_background: bool, given: bool) -> Input {
    let what = if in_background { "front headers for the background" } else { "front headers" };
    input(what, if given { "come" } else { "cannot be had" })
}

/// Without a password.
pub(super) fn unusable() -> Credentials {
    Credentials::ldap(UNUSABLE, "")
}

fn given(credentials: &Credentials) -> &'static str {
    match credentials.username() {
        Some(UNUSABLE) => "unusable ones",
        Some(_) => "a password",
        None => "an identity token",
    }
}

pub(super) fn reset(credentials: Option<&Credentials>) -> Input {
    input("credentials are reset", credentials.map_or("none", given))
}

pub(super) fn supplied(supplied: &Result<Credentials, Error>) -> Input {
    input("the provider gives", supplied.as_ref().map_or("an error", given))
}

pub(super) const fn asked(purpose: Purpose, question: bool) -> &'static str {
    match purpose {
        Purpose::Login => "login answered",
        Purpose::Delegate => "delegation answered",
        Purpose::Inspect if question => QUESTION,
        Purpose::Inspect => "session info answered",
        Purpose::Status => "server status answered",
        Purpose::ListProjects => "project list answered",
        Purpose::Renew => "renewal answered",
        Purpose::Logout => "logout answered",
        _ => "answered",
    }
}

fn text(body: &[u8]) -> String {
    String::from_utf8_lossy(body).into_owned()
}

/// How an exchange of the session's own is answered. What the tables do not tell apart has no words.
pub(super) fn exchanged(asked: &'static str, answer: &Answer) -> Input {
    input(asked, exchange_answer(asked, answer))
}

fn exchange_answer(asked: &str, answer: &Answer) -> &'static str {
    let response = match answer {
        Ok(response) => response,
        Err(error) if is_unprocessed(error) => return "a kept connection lost",
        Err(error) => return failure(error),
    };
    let body = text(response.body());
    let own = body.contains("\"ERR");
    match response.status().as_u16() {
        200..300 => success(asked, response.headers(), &body),
        401 if body.contains("ERR003") => "401 refused",
        401 if body.contains("ERR009") => "401 expired",
        401 | 403 if !own => "a gateway's 401",
        403 => "403",
        400 if body.contains("ERR007") => "application type refused",
        429 => "429",
        503 => "503",
        500 if body.contains("-2147072486") => "session limit",
        500 if own => "500",
        _ => "something else",
    }
}

fn success(asked: &str, headers: &HeaderMap, body: &str) -> &'static str {
    const PAGE: &str = "a web page";
    let json: Result<serde_json::Value, _> = serde_json::from_str(body);
    let sound = |sound: bool| if sound { "success" } else { PAGE };
    match asked {
        "login answered" | "delegation answered" => sound(headers.contains_key("x-mstr-authtoken")),
        "renewal answered" | "logout answered" => sound(!body.contains("<html>")),
        "project list answered" if body.contains(PROJECT) => "success",
        "project list answered" if json.is_ok() => "without the project",
        "server status answered" => {
            let Ok(json) = json else { return PAGE };
            let version = json["iServerVersion"].as_str().and_then(|it| it.parse::<Version>().ok());
            let older = |than: &[u64]| version.as_ref().is_some_and(|it| !it.is_at_least(than));
            match () {
                () if older(&[11, 1, 400]) => "older than 11.1.0400",
                () if older(&[11, 5, 600]) => "older than 11.5.0600",
                () => "success",
            }
        }
        _ => sound(json.is_ok()),
    }
}

/// Whether the server has been heard in answer to a question.
pub(super) fn is_heard(said: Input) -> bool {
    matches!(said.how, "success" | "403")
}

fn failure(error: &TransportError) -> &'static str {
    match error.kind() {
        TransportErrorKind::Connect => "no connection",
        TransportErrorKind::Canceled | TransportErrorKind::Interrupted
            if error.sent() == Sent::No =>
        {
            "given up unsent"
        }
        TransportErrorKind::Interrupted => "connection lost",
        TransportErrorKind::Timeout => "timed out",
        TransportErrorKind::Tls => "TLS error",
        TransportErrorKind::Body => "the body failed",
        _ => "something else",
    }
}

pub(super) fn failed(error: &TransportError) -> Input {
    input("it fails", failure(error))
}

/// What the session sees of an answer to a call, if it looks at it.
pub(super) fn observed(
    ours: bool,
    grant: &Grant,
    head: &Head,
    body: Option<&[u8]>,
) -> Option<Input> {
    let status = head.status.as_u16();
    let how = match (status, body.map(text)) {
        (400.., None) => return None,
        (400.., Some(body)) if body.contains("ERR009") => "session gone",
        (401, Some(body)) if !body.contains("\"ERR") => "a gateway's 401",
        (400.., Some(_)) => "500",
        _ if has_new_cookie(grant, head) => "success with a new cookie",
        _ => "success",
    };
    let what = if ours { "a request answered" } else { "a request in a replaced session answered" };
    Some(input(what, how))
}

fn has_new_cookie(grant: &Grant, head: &Head) -> bool {
    let mut own = HeaderMap::new();
    grant.apply(&mut own, None);
    let own = own.get("cookie").and_then(|it| it.to_str().ok()).unwrap_or_default();
    head.headers.get_all("set-cookie").iter().any(|cookie| {
        let cookie = cookie.to_str().unwrap_or_default();
        let pair = cookie.split(';').next().unwrap_or_default();
        pair.starts_with("JSESSIONID=") && !own.contains(pair)
    })
}

/// How a call is answered. A head alone does not tell everything.
pub(super) fn answered(head: &Head, body: Option<&[u8]>) -> Vec<Input> {
    let what = if body.is_none() { "the head" } else { "the head and the error's body" };
    let wait = head.headers.get("retry-after").and_then(|it| it.to_str().ok());
    let long = wait.is_some_and(|wait| wait.parse::<u64>().is_ok_and(|wait| wait >= 60));
    let hows: &[&'static str] = match (head.status.as_u16(), body.map(text)) {
        (300..400, _) => &[redirect(head)],
        (401, None) => &["401 session gone", "401 without a body", "401 with a web page"],
        (401, Some(body)) if body.contains("ERR009") => &["401 session gone"],
        (401, Some(body)) if body.is_empty() => &["401 without a body"],
        (401, Some(body)) if !body.contains("\"ERR") => &["401 with a web page"],
        (429, _) => &["429"],
        (503, _) if long => &["503 for a minute"],
        (503, _) => &["503"],
        (500, None) => &["500", "500 with a web page"],
        (500, Some(body)) if body.contains("\"ERR") => &["500"],
        (500 | 502 | 504, _) => &["500 with a web page"],
        (404, _) => &["404"],
        (400, _) => &["400"],
        (200..300, _) => &["success"],
        _ => &["something else"],
    };
    hows.iter().map(|how| input(what, how)).collect()
}

fn redirect(head: &Head) -> &'static str {
    let Some(place) = head.headers.get("location").and_then(|it| it.to_str().ok()) else {
        return "302 to nowhere";
    };
    let here = !place.contains("://") || place.contains(AUTHORITY);
    match head.status.as_u16() {
        _ if !here => "302 to another server",
        301..=303 => "303 to here",
        _ => "307 to here",
    }
}

pub(super) fn granted(
    access: &Result<Grant, Error>,
    deadline: Option<Instant>,
    now: Instant,
) -> Input {
    let late = deadline.is_some_and(|deadline| now >= deadline);
    match access {
        Err(error) if error.kind() != ErrorKind::SessionLost && !late => DENIED,
        _ => input("access is asked for", ""),
    }
}

pub(super) const fn verdict(kept: bool, answered: bool) -> Input {
    let how = match (kept, answered) {
        (false, _) => "it is gone",
        (true, true) => "it lives",
        (true, false) => "nothing is heard",
    };
    input("the server is asked about the session", how)
}
