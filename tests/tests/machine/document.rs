//! The document: what the exploration found, for people.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;

use super::conditions::{Case, cases};
use super::driver::{Done, MAX_ATTEMPTS};
use super::explore::{Edge, Graph};
use super::inputs::Input;

/// One row before it is written.
struct Row {
    when: Vec<String>,
    done: Done,
    inputs: Vec<Told>,
}

/// An input, what else says which one it is, and the failure that those who wait are told.
struct Told {
    input: Input,
    which: String,
    failure: Option<String>,
}

pub(crate) fn write(graph: &Graph) -> String {
    let mut text = String::from(
        "<!-- Generated from the machine by `cargo xtask generate`. Do not edit it by hand. -->\n\n",
    );
    introduction(&mut text);
    diagram(&mut text, graph);
    let mut tables = tables(graph);
    let everywhere = everywhere(&tables);
    text.push_str("\n## In every state\n\n");
    for (input, done) in &everywhere {
        let mut outcome = done.sent.clone();
        outcome.extend(done.told.iter().map(|told| format!("\"{told}\"")));
        let outcome = if outcome.is_empty() { "nothing".into() } else { outcome.join(", ") };
        writeln!(text, "- {}: {outcome}.", words(*input)).unwrap();
    }
    for (state, cases) in &mut tables {
        cases.retain(|input, _| !everywhere.contains_key(input));
        table(&mut text, state, std::mem::take(cases));
    }
    // At the end, so that a difference is first seen where it says something.
    let (situations, steps) = (graph.situations.len(), graph.edges.len());
    writeln!(
        text,
        "\nExplored: {situations} situations and {steps} steps, with {MAX_ATTEMPTS} attempts for each exchange."
    )
    .unwrap();
    text
}

fn introduction(text: &mut String) {
    text.push_str(
        "# The session machine, state by state

A test does to machines everything that can happen to them, in every situation that it finds, until
it finds no further one. What the machines did is below, and a test fails where they do something
else. An arrow says that a state *can* change for this reason; the tables say when. Logins that were
given up and may still succeed are followed for one kind at a time, own or borrowed, and not while a new
session is being checked.

In the tables, `if` has what tells the situations apart, and is empty where the row always holds. A
logout *in the background* is one whose answer nobody waits for. A *failure* is told to the callers who
share the login or renewal. To *open a session* is to do what is done in the state *idle*. \"401
refused\" has the server's code for wrong credentials, \"401 expired\" the one for a session that has
ended.

",
    );
}

fn diagram(text: &mut String, graph: &Graph) {
    let mut arrows: BTreeMap<(usize, usize), BTreeSet<(Input, String)>> = BTreeMap::new();
    let states: Vec<&str> = graph.by_state().into_iter().map(|(state, _)| state).collect();
    let number = |state: &str| states.iter().position(|found| *found == state).unwrap();
    for edge in &graph.edges {
        let from = graph.situations[edge.from].state;
        if from != edge.done.state {
            let arrow = arrows.entry((number(from), number(edge.done.state))).or_default();
            arrow.insert((edge.input, edge.input.label()));
        }
    }
    text.push_str("```mermaid\nstateDiagram-v2\n");
    let id = |state: &str| state.replace(' ', "_");
    for state in &states {
        writeln!(text, "    state \"{state}\" as {}", id(state)).unwrap();
    }
    writeln!(text, "    [*] --> {}", id(states[0])).unwrap();
    for ((from, to), labels) in arrows {
        let mut short: Vec<String> = Vec::new();
        for (_, label) in labels {
            if !short.contains(&label) {
                short.push(label);
            }
        }
        let (from, to) = (id(states[from]), id(states[to]));
        writeln!(text, "    {from} --> {to}: {}", short.join(", ")).unwrap();
    }
    text.push_str("```\n");
}

/// The outcomes of each input in each state.
type Tables<'e> = Vec<(&'static str, BTreeMap<Input, Vec<Case>>)>;

fn tables(graph: &Graph) -> Tables<'_> {
    let table = |(state, edges): (&'static str, Vec<&Edge>)| {
        let mut by_input: BTreeMap<Input, Vec<&Edge>> = BTreeMap::new();
        for edge in edges {
            by_input.entry(edge.input).or_default().push(edge);
        }
        let cases = by_input.into_iter().map(|(input, edges)| (input, cases(graph, input, &edges)));
        (state, cases.collect())
    };
    graph.by_state().into_iter().map(table).collect()
}

/// Inputs that have one outcome, the same in every state in which they occur.
fn everywhere(tables: &Tables<'_>) -> BTreeMap<Input, Done> {
    let mut outcomes: BTreeMap<Input, Vec<(&str, &Case)>> = BTreeMap::new();
    for (state, cases) in tables {
        for (input, cases) in cases {
            let outcomes = outcomes.entry(*input).or_default();
            outcomes.extend(cases.iter().map(|case| (*state, case)));
        }
    }
    let same = |(input, cases): (Input, Vec<(&str, &Case)>)| {
        let stays = |(state, case): &(&str, &Case)| {
            *state == case.done.state && case.when.is_empty() && case.which.is_empty()
        };
        // Without the state, which differs.
        let done = Done { state: "", ..cases[0].1.done.clone() };
        let alike = |case: &Case| Done { state: "", ..case.done.clone() } == done;
        let in_many = cases.len() > tables.len() / 2;
        let same = in_many && cases.iter().all(|case| stays(case) && alike(case.1));
        same.then_some((input, done))
    };
    outcomes.into_iter().filter_map(same).collect()
}

fn table(text: &mut String, state: &str, cases: BTreeMap<Input, Vec<Case>>) {
    let mut rows: Vec<Row> = Vec::new();
    let mut quiet: Vec<Told> = Vec::new();
    for (input, cases) in cases {
        for Case { which, when, mut done } in cases {
            let failure = done.failure.take();
            let told = Told { input, which: which.join(", "), failure };
            if when.is_empty() && told.failure.is_none() && is_quiet(state, &done) {
                quiet.push(told);
                continue;
            }
            let alike = |row: &&mut Row| {
                row.when == when
                    && row.done == done
                    && row.inputs[0].failure.is_some() == told.failure.is_some()
            };
            match rows.iter_mut().find(alike) {
                Some(row) => row.inputs.push(told),
                None => rows.push(Row { when, done, inputs: vec![told] }),
            }
        }
    }
    write!(text, "\n## {}\n\n", capitalised(state)).unwrap();
    text.push_str("| what happens | if | next | is sent | is said |\n|---|---|---|---|---|\n");
    for row in rows {
        let next = match row.done.state {
            next if next == state => "stays".to_owned(),
            next => format!("*{next}*"),
        };
        let (when, sent) = (row.when.join("; "), row.done.sent.join(", "));
        writeln!(text, "| {} | {when} | {next} | {sent} | {} |", merged(&row.inputs), said(&row))
            .unwrap();
    }
    if !quiet.is_empty() {
        writeln!(text, "\nNothing is sent and the state stays: {}.", merged(&quiet)).unwrap();
    }
}

/// Events, then what a caller is told, then what those who wait are.
fn said(row: &Row) -> String {
    let mut said: Vec<String> = row.done.events.iter().chain(&row.done.told).cloned().collect();
    let mut failures: Vec<&str> = Vec::new();
    for failure in row.inputs.iter().filter_map(|told| told.failure.as_deref()) {
        if !failures.contains(&failure) {
            failures.push(failure);
        }
    }
    if !failures.is_empty() {
        said.push(format!("failure: {}", failures.join(", ")));
    }
    said.join("; ")
}

fn is_quiet(state: &str, done: &Done) -> bool {
    let silent = done.sent.is_empty() && done.events.is_empty() && done.told.is_empty();
    done.state == state && silent
}

/// Inputs that differ in how they are done only stand together.
fn merged(inputs: &[Told]) -> String {
    let mut groups: Vec<(String, &str, Vec<&str>)> = Vec::new();
    for told in inputs {
        let (what, how) = told.input.words();
        match groups.iter_mut().find(|(found, which, _)| *found == what && *which == told.which) {
            Some((_, _, hows)) => hows.push(how),
            None => groups.push((what, &told.which, vec![how])),
        }
    }
    let show = |(what, which, hows): (String, &str, Vec<&str>)| {
        let hows = hows.join(", ");
        let hows = if hows.is_empty() { hows } else { format!(": {hows}") };
        let which = if which.is_empty() { String::new() } else { format!(" ({which})") };
        format!("{what}{hows}{which}")
    };
    groups.into_iter().map(show).collect::<Vec<_>>().join("; ")
}

fn words(input: Input) -> String {
    merged(&[Told { input, which: String::new(), failure: None }])
}

fn capitalised(state: &str) -> String {
    let (first, rest) = state.split_at(1);
    first.to_uppercase() + rest
}
