//! The conditions that tell apart the situations in which an input has different outcomes.

use std::collections::{BTreeMap, BTreeSet};

use super::document::Page;
use super::graph::{Done, Edge, Graph, Situation};

/// One outcome of an input, and when it is the one.
#[derive(Debug)]
pub(crate) struct Case {
    /// What is said of the input: how often it was tried, whether it is this that is awaited.
    pub(crate) which: Vec<String>,
    pub(crate) when: Vec<String>,
    pub(crate) done: Done,
}

/// The attributes that matter to an input, by name.
pub(crate) type Attributes = BTreeMap<&'static str, String>;

/// What was done, in which situation, with the attributes that matter to the input.
#[derive(Clone, Copy)]
struct Seen<'e> {
    done: &'e Done,
    attributes: &'e Attributes,
}

/// The situations by their value of one attribute.
type Parts<'e> = (&'static str, BTreeMap<&'e str, Vec<Seen<'e>>>);

/// The cases of the edges of one input, with the words of a page.
struct Cases {
    telling: &'static [&'static str],
    which: &'static [&'static str],
    found: Vec<Case>,
}

pub(crate) fn cases<P: Page>(
    graph: &Graph<P>,
    input: P::Input,
    edges: &[&Edge<P::Input>],
) -> Vec<Case> {
    let distinct: BTreeSet<(Attributes, Done)> = edges
        .iter()
        .map(|edge| {
            let from = &graph.situations[edge.from];
            (P::attributes(input, from), P::summary(from.state(), &edge.done))
        })
        .collect();
    let seen: Vec<Seen<'_>> =
        distinct.iter().map(|(attributes, done)| Seen { done, attributes }).collect();
    let mut cases = Cases { telling: P::TELLING, which: P::WHICH, found: Vec::new() };
    cases.split(&seen, &mut Vec::new());
    cases.found
}

impl Cases {
    fn case(&mut self, when: &[(&'static str, String)], done: Done) {
        let (which, when): (Vec<_>, Vec<_>) =
            when.iter().cloned().partition(|(name, _)| self.which.contains(name));
        let values = |of: Vec<(&str, String)>| of.into_iter().map(|(_, value)| value).collect();
        self.found.push(Case { which: values(which), when: values(when), done });
    }

    fn split(&mut self, seen: &[Seen<'_>], when: &mut Vec<(&'static str, String)>) {
        let outcomes: BTreeSet<&Done> = seen.iter().map(|seen| seen.done).collect();
        if outcomes.len() == 1 {
            let done = seen[0].done.clone();
            return self.case(when, done);
        }
        // The attribute that needs the fewest rows, and of those the first.
        let parts = self.telling.iter().filter_map(|name| parts(seen, name));
        let tells = |parts: &Parts<'_>| parts.1.values().any(|seen| count(seen) < outcomes.len());
        let Some((name, best)) = parts.filter(tells).min_by_key(rows) else {
            // Nothing that a reader would know tells them apart: either may happen.
            for done in outcomes {
                self.case(when, done.clone());
            }
            return;
        };
        // Values that mean the same share a row.
        let mut joined: Vec<(Vec<&str>, Vec<Seen<'_>>)> = Vec::new();
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
            self.split(&seen, when);
            when.pop();
        }
    }
}

/// The situations by their value of the attribute; `None` if it does not help.
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
