//! What tells the situations apart in which an input has different outcomes.

use std::collections::{BTreeMap, BTreeSet};

use super::driver::{Done, MAX_ATTEMPTS};
use super::explore::{Edge, Graph};
use super::inputs::{Exchanged, Input};
use super::situation::{Check, Situation};

/// One outcome of an input, and when it is the one.
#[derive(Debug)]
pub(crate) struct Case {
    /// What is said of the input: how often it was tried, whether it is this that is awaited.
    pub(crate) which: Vec<String>,
    pub(crate) when: Vec<String>,
    pub(crate) done: Done,
}

/// The attributes that say which input it is rather than when.
const WHICH: [&str; 4] = ["awaited", "attempt", "due", "logout"];

/// What a session is opened with, by the credentials.
const OPENINGS: [&str; 3] = ["login", "delegation", "asks the provider"];

/// The state after a session has begun to be opened.
const OPENING: &str = "logging in* or *awaiting credentials";

/// The attributes that make conditions, those first that come first in a sentence.
const TELLING: [&str; 21] = [
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
    "source",
    "supplied",
    "server",
    "web",
    "turns",
    "fruitless",
];

/// What was done, in which situation, with the attributes that matter to the input.
#[derive(Clone, Copy)]
struct Seen<'e> {
    done: &'e Done,
    attributes: &'e BTreeMap<&'static str, String>,
}

/// The situations by their value of one attribute.
type Parts<'e> = (&'static str, BTreeMap<&'e str, Vec<Seen<'e>>>);

pub(crate) fn cases(graph: &Graph, input: Input, edges: &[&Edge]) -> Vec<Case> {
    let distinct: BTreeSet<(BTreeMap<&'static str, String>, Done)> = edges
        .iter()
        .map(|edge| {
            let from = &graph.situations[edge.from];
            (attributes(input, from), summary(from.state, &edge.done))
        })
        .collect();
    let seen: Vec<Seen<'_>> =
        distinct.iter().map(|(attributes, done)| Seen { done, attributes }).collect();
    let mut cases = Vec::new();
    split(&seen, &mut Vec::new(), &mut cases);
    cases
}

fn attributes(input: Input, situation: &Situation) -> BTreeMap<&'static str, String> {
    let own = situation.attributes.iter().filter(|found| TELLING.contains(&found.name));
    let mut attributes: BTreeMap<_, _> =
        own.map(|attribute| (attribute.name, attribute.value.clone())).collect();
    if situation.checks.is_empty() {
        return attributes;
    }
    let mut add = |name, value: &str| drop(attributes.insert(name, value.to_owned()));
    let left = |sends: u32| {
        if sends < MAX_ATTEMPTS { "an attempt is left" } else { "no attempt is left" }
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
            let sends = situation.due.iter().filter_map(|due| situation.checks.get(due));
            let most = sends.map(|(sends, _)| *sends).max().unwrap_or_default();
            add("due", &format!("an answer is overdue, {}", left(most)));
        }
        _ => {}
    }
    attributes
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

fn case(when: &[(&'static str, String)], done: Done) -> Case {
    let (which, when): (Vec<_>, Vec<_>) =
        when.iter().cloned().partition(|(name, _)| WHICH.contains(name));
    let values = |of: Vec<(&str, String)>| of.into_iter().map(|(_, value)| value).collect();
    Case { which: values(which), when: values(when), done }
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

fn split(seen: &[Seen<'_>], when: &mut Vec<(&'static str, String)>, cases: &mut Vec<Case>) {
    let outcomes: BTreeSet<&Done> = seen.iter().map(|seen| seen.done).collect();
    if outcomes.len() == 1 {
        let done = seen[0].done.clone();
        return cases.push(case(when, done));
    }
    // The attribute that needs the fewest rows, and of those the first.
    let parts = TELLING.iter().filter_map(|name| parts(seen, name));
    let tells = |parts: &Parts<'_>| parts.1.values().any(|seen| count(seen) < outcomes.len());
    let Some(best) = parts.filter(tells).min_by_key(rows) else {
        // Nothing that a reader would know tells them apart: either may happen.
        let each = outcomes.into_iter().cloned();
        return cases.extend(each.map(|done| case(when, done)));
    };
    // Values that mean the same share a row.
    let mut joined: Vec<(Vec<&str>, Vec<Seen<'_>>)> = Vec::new();
    let (name, best) = best;
    for (value, seen) in best {
        let single = outcome(&seen);
        let same =
            joined.iter_mut().find(|(_, other)| single.is_some() && outcome(other) == single);
        match same {
            Some((values, _)) => values.push(value),
            None => joined.push((vec![value], seen)),
        }
    }
    for (values, seen) in joined {
        when.push((name, values.join(" or ")));
        split(&seen, when, cases);
        when.pop();
    }
}

/// The situations by their value of the attribute; `None` if it is no help.
fn parts<'e>(seen: &[Seen<'e>], name: &'static str) -> Option<Parts<'e>> {
    let mut parts: BTreeMap<&str, Vec<Seen<'_>>> = BTreeMap::new();
    for seen in seen {
        let value = seen.attributes.get(name).map_or("otherwise", String::as_str);
        parts.entry(value).or_default().push(*seen);
    }
    (parts.len() > 1).then_some((name, parts))
}

fn outcome<'e>(seen: &[Seen<'e>]) -> Option<&'e Done> {
    let (first, rest) = seen.split_first()?;
    rest.iter().all(|seen| seen.done == first.done).then_some(first.done)
}

/// How many rows it would take if nothing but this attribute were told.
fn rows(parts: &Parts<'_>) -> usize {
    parts.1.values().map(|seen| count(seen)).sum()
}

/// How many outcomes there are.
fn count(seen: &[Seen<'_>]) -> usize {
    seen.iter().map(|seen| seen.done).collect::<BTreeSet<_>>().len()
}
