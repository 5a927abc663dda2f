//! The texts of the session's page, and the attributes that matter to each input.

use super::driver::{Driver, MAX_ATTEMPTS};
use super::inputs::{Exchanged, Input};
use super::situation::{Check, Situation};
use crate::conditions::Attributes;
use crate::document::Page;
use crate::graph::Done;

/// The request that opens a session, by the credentials.
const OPENINGS: [&str; 3] = ["login", "delegation", "asks the provider"];

/// The state after a session has begun to be opened.
const OPENING: &str = "logging in* or *awaiting credentials";

impl Page for Driver {
    const INTRODUCTION: &'static str = "\
# The session machine, state by state

A test gives machines every input in every situation, until it finds no further situation. The
tables below are generated from the results, and a test fails where they differ. An arrow shows that an
input *can* change the state; the tables show when. Not every combination is explored. Logins that were
given up and may still succeed are followed for one kind at a time, own or borrowed, and not while a new
session is being checked. Refusals by a gateway (*a gateway's 401*) are followed in sessions that were
opened here, until one has been replaced. Adopted sessions are followed where nothing is known about
the server, or everything.

In the tables, the column `if` holds the condition, and is empty where the row always applies. The
answer of a logout *in the background* is not waited for. A *failure* is returned to the callers that
share the login or renewal. To *open a session* is to act as in the state *idle*. \"401 refused\" has the
server's code for wrong credentials, \"401 expired\" the one for a session that has ended. A record of
the session is *stored* for the processes that share it, where records are wanted. Where front headers
are wanted, they are asked for first, and the request is sent when they come. Beside a first login the
server is asked for its version, in no session; that is given up with the login.
";
    const SENT: &'static str = "sends";
    const WHICH: &'static [&'static str] = &["awaited", "attempt", "due", "logout"];
    const TELLING: &'static [&'static str] = &[
        "cooling",
        "refusal",
        "unknown",
        "awaited",
        "attempt",
        "due",
        "crossing",
        "others",
        "logout",
        "then",
        "crossed",
        "required",
        "asked for",
        "borrowed",
        "confirmed",
        "credentials",
        "source",
        "supplied",
        "server",
        "web",
        "turns",
        "fruitless",
        "unanswered",
        "doubt",
    ];

    fn attributes(input: Input, situation: &Situation) -> Attributes {
        let own = situation.attributes.iter().filter(|found| Self::TELLING.contains(&found.name));
        let mut attributes: Attributes =
            own.map(|attribute| (attribute.name, attribute.value.clone())).collect();
        let beside = ["renewing", "asking about the session", "replacing the session"];
        if situation.state == "open" || beside.contains(&situation.state) {
            // The next session is opened with the known facts, which another table has.
            attributes.remove("unknown");
            attributes.remove("refusal");
            if situation.state == "open" {
                attributes.remove("cooling");
            }
        }
        if situation.checks.is_empty() {
            return attributes;
        }
        let mut add = |name, value: &str| drop(attributes.insert(name, value.to_owned()));
        let left = |sends: u32| match sends {
            0 => "it was asked beside the login",
            sends if sends < MAX_ATTEMPTS => "an attempt is left",
            _ => "no attempt is left",
        };
        let put_off = situation.checks.iter().filter(|(_, (_, check))| *check == Check::PutOff);
        let put_off: Vec<&str> = put_off.map(|(exchange, _)| exchange.name()).collect();
        match input {
            Input::Answer(exchange, _) => {
                let sends = situation.checks.get(&exchange).map_or(0, |(sends, _)| *sends);
                add("attempt", left(sends));
                add("crossing", crossing(situation, sends));
                add("others", &others(situation, exchange));
                attributes.remove("unknown");
            }
            Input::Deadline if !put_off.is_empty() => {
                add("due", &format!("{} put off", put_off.join(" and ")));
            }
            Input::Deadline => {
                let due = situation.due.iter().filter_map(|due| situation.checks.get(due));
                let sends = || due.clone().map(|(sends, _)| *sends);
                let most = sends().max().unwrap_or_default();
                let too = if most > 0 && sends().any(|sends| sends == 0) {
                    ", and one that was asked beside the login"
                } else {
                    ""
                };
                add("due", &format!("an answer is overdue, {}{too}", left(most)));
            }
            _ => {}
        }
        attributes
    }

    /// How a session is opened depends on the credentials, and always in the same way. It is told
    /// where that begins, and elsewhere summed up.
    fn summary(state: &str, done: &Done) -> Done {
        let mut done = done.clone();
        let told_in = ["idle", "awaiting credentials", "logging in", "backing off"];
        let opens = done.sent.last().is_some_and(|sent| OPENINGS.contains(&sent.as_str()));
        if opens && !told_in.contains(&state) {
            done.sent.pop();
            done.sent.push("opens a session".to_owned());
            done.state = OPENING;
        }
        done
    }

    fn is_unexpected(_: &Done) -> bool {
        false
    }

    fn ending() -> String {
        format!("with {MAX_ATTEMPTS} attempts for each exchange")
    }
}

/// Whether the refusal of a check may be owed to the answer of another one.
fn crossing(situation: &Situation, sends: u32) -> &'static str {
    let limit = u32::try_from(Exchanged::CHECKS).unwrap_or(u32::MAX);
    match (situation.checks.len(), sends < limit) {
        (1, _) => "it is the only check",
        (_, true) => "another check may have replaced the cookie",
        (_, false) => "refused as often as it can cross another one",
    }
}

fn others(situation: &Situation, own: Exchanged) -> String {
    let others = situation.checks.iter().filter(|(exchange, _)| **exchange != own);
    let other = others.map(|(exchange, (_, check))| (exchange, check)).next();
    match other {
        Some((_, Check::InFlight | Check::PutOff)) => "another check is not answered".to_owned(),
        Some((exchange, Check::Crossed)) => format!("{} was refused before", exchange.name()),
        Some((_, Check::Done)) | None => "no other check is open".to_owned(),
    }
}
