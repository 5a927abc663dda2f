//! What holds of every input in every situation: what the documentation promises, whatever the
//! code does.

use std::time::Instant;

use http::Request;
use http::header::COOKIE;
use mstr_core::Body;

use super::driver::{Driver, Kind, MAX_ATTEMPTS, NOT_ASKED_FOR, headers};
use super::inputs::{Input, Reply, Word};
use super::situation::{Given, Situation};
use crate::graph::Done;

const TOKEN: &str = "x-mstr-authtoken";

/// One input, and what came of it.
pub(crate) struct Step<'s> {
    pub(crate) before: &'s Situation,
    /// A session was open.
    pub(crate) open: bool,
    pub(crate) input: Input,
    pub(crate) done: &'s Done,
    /// Until when it is waited.
    pub(crate) wait: Option<Instant>,
    pub(crate) request: Option<&'s Request<Body>>,
}

/// The laws that are broken by a step that `driver` has made.
pub(crate) fn broken(step: &Step<'_>, driver: &Driver) -> Vec<String> {
    let mut broken = Vec::new();
    inputs(step, driver, &mut broken);
    if let Some(at) = step.wait {
        repetition(step, driver, at, &mut broken);
    }
    if let Some(request) = step.request {
        sending(step, driver, request, &mut broken);
    }
    session(step, driver, &mut broken);
    broken.into_iter().map(str::to_owned).collect()
}

/// Only what was asked for leads on.
fn inputs(step: &Step<'_>, driver: &Driver, broken: &mut Vec<&str>) {
    let Step { before, input, done, .. } = step;
    let failed = done.failure.is_some() && done.sent.is_empty() && done.told.is_empty();
    let over = driver.call.describe() == "over";
    let ended = over && failed;
    if before.state == "over" && !ended {
        broken.push("something is wanted though it is over");
    }
    if over != (failed || done.told == ["delivered"]) {
        broken.push("it is over without an end, or ends and is not over");
    }
    let refused = ended && done.failure.as_deref() == Some(NOT_ASKED_FOR);
    if !input.is_expected(before.state) && !refused {
        broken.push("an input that was not asked for leads on");
    }
    if matches!(input, Input::Head(reply) if reply.is_error())
        && before.state == "sent"
        && done.sent != ["the error's body"]
    {
        broken.push("an error is judged without its body");
    }
}

/// Repetitions, and their times.
fn repetition(step: &Step<'_>, driver: &Driver, at: Instant, broken: &mut Vec<&str>) {
    let Step { before, input, .. } = step;
    let kind = driver.start.kind;
    if at > driver.now && driver.call.deadline().is_some_and(|deadline| at >= deadline) {
        broken.push("a wait is begun that ends after the deadline");
    }
    let redirected = matches!(input, Input::Head(reply) if reply.is_redirect());
    let unprocessed = match input {
        Input::Told(reply) => reply.is_gone() || reply.is_suspect() || *reply == Reply::Throttled,
        // Nothing but a new session is a reason then.
        Input::Verdict(word) => *word == Word::Gone,
        Input::Failure(failure) => failure.is_unsent() && before.state == "sent",
        _ => false,
    };
    let writes = matches!(kind, Kind::Post | Kind::Stream) && !before.track.rewritten;
    if writes && !redirected && !unprocessed {
        broken.push("it is sent again though it may have been processed");
    }
    if kind == Kind::Stream && before.track.spent && !before.track.rewritten && !redirected {
        broken.push("it is sent again though its body cannot be");
    }
    if driver.track.failures >= MAX_ATTEMPTS {
        broken.push("it is tried more often than it may be");
    }
    let given_up = step.open && !driver.session.is_open();
    if before.track.logged_in && given_up {
        broken.push("it is sent in a third session");
    }
    if kind == Kind::AboutSession && given_up {
        broken.push("it is about the session in use, and sent in another one");
    }
}

/// The needs of a request, and the destination of its secrets.
fn sending(step: &Step<'_>, driver: &Driver, request: &Request<Body>, broken: &mut Vec<&str>) {
    let track = &driver.track;
    let wants = driver.start.wants;
    if driver.is_late() {
        broken.push("it is sent after the deadline");
    }
    let at_home = request.uri().host() == Some("env.example.com");
    let carried = [TOKEN, COOKIE.as_str()].map(|name| request.headers().get(name));
    if driver.is_in_session() {
        let granted = driver.grant.as_ref().map(headers).unwrap_or_default();
        let granted = [TOKEN, COOKIE.as_str()].map(|name| granted.get(name));
        if !track.has_access || granted[0].is_none() || carried != granted {
            broken.push("it is sent without the grant that was given for it");
        }
        let turns = driver.grant.as_ref().is_some_and(|grant| grant.takes_turns());
        if turns && !track.has_turn {
            broken.push("it is sent out of turn");
        }
        if wants && !track.consulted {
            broken.push("it is sent though the store was not read");
        }
    }
    let foreign = !at_home || !driver.is_in_session();
    if foreign && carried.iter().any(Option::is_some) {
        broken.push("the session's secrets go where they do not belong");
    }
    if wants && !track.has_place {
        broken.push("it is sent without a place");
    }
    if request.headers().contains_key("x-front") != (wants && at_home) {
        broken.push("front headers are missing, or go where they do not belong");
    }
    if request.body().as_bytes().is_none() && step.before.track.spent {
        broken.push("a one-shot body is sent twice");
    }
}

/// The effects on the session.
fn session(step: &Step<'_>, driver: &Driver, broken: &mut Vec<&str>) {
    let Step { before, input, .. } = step;
    let open = driver.session.is_open();
    if *input == Input::Verdict(Word::Gone) {
        if before.state == "waiting for a verdict" && open {
            broken.push("the server says that the session is gone, and it is kept");
        }
        return;
    }
    if driver.call.describe() == "waiting for a verdict" && driver.start.kind == Kind::AboutSession
    {
        broken.push("a call about the session asks about it");
    }
    let told_gone = ["sent", "reading an error"].contains(&before.state)
        && matches!(input, Input::Told(reply) if reply.is_gone());
    if !told_gone || !driver.is_in_session() {
        let may_open = *input == Input::Access;
        if open != step.open && !(may_open && open) {
            broken.push("a session is given up, or opened, for no reason");
        }
        return;
    }
    match before.given {
        Given::Current if before.track.exchanging.is_suspected() && !before.track.has_turn => {
            let about = driver.start.kind == Kind::AboutSession;
            // What is asked again is told by the next answer; a call about this session says that
            // it cannot tell.
            if open && step.wait.is_none() && !about {
                broken.push("a session that seems to be gone is left to the next call");
            }
        }
        Given::Current if open => broken.push("a session that is gone is not given up"),
        Given::Current => {}
        // At some time it is taken for the loss that it may be.
        Given::Outdated if driver.start.worn => {}
        _ if open != step.open => {
            broken.push("a session is given up though only the grant was out of date");
        }
        _ => {}
    }
}
