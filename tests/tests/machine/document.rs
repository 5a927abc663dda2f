//! The documents: what the explorations found, for people. And their comparison with the files.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::path::PathBuf;

use mstr_core::ErrorKind;

use super::conditions::{Attributes, Case, cases};
use super::graph::{Done, Edge, Graph, Input, Machine, Situation};

/// Says that the documents are to be written instead of compared.
const GENERATE: &str = "MSTR_GENERATE";

/// The texts of one machine's page.
pub(crate) trait Page: Machine {
    /// Title and text above the diagram.
    const INTRODUCTION: &'static str;
    /// What the column says of [`Done::sent`].
    const SENT: &'static str;
    /// The attributes that make conditions, those first that come first in a sentence.
    const TELLING: &'static [&'static str];
    /// Those that say which input it is rather than when.
    const WHICH: &'static [&'static str];
    /// The sentence about [unexpected](Self::is_unexpected) inputs.
    const UNEXPECTED: Option<&'static str> = None;

    /// The attributes that matter to an input.
    fn attributes(input: Self::Input, situation: &Self::Situation) -> Attributes;

    /// What is told of what was done in a state, where that is not all of it.
    fn summary(state: &str, done: &Done) -> Done;

    /// Whether this is what becomes of every input that no row tells of.
    fn is_unexpected(done: &Done) -> bool;

    /// How far was explored, at the end of a sentence.
    fn ending() -> String;
}

/// One row before it is written.
struct Row<I> {
    when: Vec<String>,
    done: Done,
    inputs: Vec<Told<I>>,
}

/// An input, what else says which one it is, and the failure that waiting callers get.
struct Told<I> {
    input: I,
    which: String,
    failure: Option<String>,
}

/// Compares a page with what the machine does, or writes it.
pub(crate) fn compare<P: Page>(name: &str, graph: &Graph<P>) {
    // Of the run and not of the build: two copies of the repository may share what they build.
    #[expect(clippy::disallowed_methods, reason = "cargo sets it for tests")]
    let root = std::env::var("CARGO_MANIFEST_DIR").map(PathBuf::from).unwrap();
    let path = root.join("../docs").join(name);
    let generated = write(graph);
    #[expect(clippy::disallowed_methods, reason = "set by `cargo xtask generate` for this test")]
    if std::env::var(GENERATE).is_ok_and(|value| value == "1") {
        std::fs::write(path, generated).unwrap();
        return;
    }
    let written = std::fs::read_to_string(path).unwrap_or_default().replace("\r\n", "\n");
    if written != generated {
        let (written, generated): (Vec<&str>, Vec<&str>) =
            (written.lines().collect(), generated.lines().collect());
        let lines = written.len().max(generated.len());
        let differs = (0..lines).find(|index| written.get(*index) != generated.get(*index));
        let index = differs.unwrap_or(lines);
        panic!(
            "docs/{name} is out of date in line {}: run `cargo xtask generate`\n\
             it says:          {}\nthe machine does: {}",
            index + 1,
            written.get(index).unwrap_or(&"(end)"),
            generated.get(index).unwrap_or(&"(end)"),
        );
    }
}

fn write<P: Page>(graph: &Graph<P>) -> String {
    let mut text = String::from(
        "<!-- Generated from the machine by `cargo xtask generate`. Do not edit it by hand. -->\n\n",
    );
    text.push_str(P::INTRODUCTION);
    diagram(&mut text, graph);
    let mut tables = tables(graph);
    let everywhere = everywhere::<P>(&tables);
    text.push_str("\n## In every state\n\n");
    for (input, done) in &everywhere {
        let mut outcome = Vec::new();
        if !done.state.is_empty() {
            outcome.push(format!("*{}*", done.state));
        }
        outcome.extend(done.sent.iter().cloned());
        outcome.extend(done.told.iter().map(|told| format!("\"{told}\"")));
        outcome.extend(done.failure.iter().map(|failure| format!("failure: {failure}")));
        let outcome = if outcome.is_empty() { "nothing".into() } else { outcome.join(", ") };
        writeln!(text, "- {}: {outcome}.", shown(*input)).unwrap();
    }
    if let Some(unexpected) = P::UNEXPECTED {
        writeln!(text, "- {unexpected}").unwrap();
    }
    for (state, cases) in &mut tables {
        cases.retain(|input, cases| {
            let unexpected = |case: &Case| P::is_unexpected(&case.done);
            !everywhere.contains_key(input) && !cases.iter().all(unexpected)
        });
        table::<P>(&mut text, state, std::mem::take(cases));
    }
    // At the end, so that a difference is first seen where it says something.
    let (situations, steps) = (graph.situations.len(), graph.edges.len());
    writeln!(text, "\nExplored: {situations} situations and {steps} steps, {}.", P::ending())
        .unwrap();
    text
}

fn diagram<P: Page>(text: &mut String, graph: &Graph<P>) {
    let mut arrows: BTreeMap<_, BTreeSet<(P::Input, String)>> = BTreeMap::new();
    let states: Vec<&str> = graph.by_state().into_iter().map(|(state, _)| state).collect();
    let number = |state: &str| states.iter().position(|found| *found == state).unwrap();
    for edge in &graph.edges {
        let from = graph.situations[edge.from].state();
        if from != edge.done.state && !P::is_unexpected(&edge.done) {
            let arrow = arrows.entry((number(from), number(edge.done.state))).or_default();
            arrow.insert((edge.input, edge.input.label()));
        }
    }
    text.push_str("\n```mermaid\nstateDiagram-v2\n");
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
type Tables<I> = Vec<(&'static str, BTreeMap<I, Vec<Case>>)>;

fn tables<P: Page>(graph: &Graph<P>) -> Tables<P::Input> {
    let table = |(state, edges): (&'static str, Vec<&Edge<P::Input>>)| {
        let mut by_input: BTreeMap<P::Input, Vec<&Edge<P::Input>>> = BTreeMap::new();
        for edge in edges {
            by_input.entry(edge.input).or_default().push(edge);
        }
        let cases = by_input.into_iter().map(|(input, edges)| (input, cases(graph, input, &edges)));
        (state, cases.collect())
    };
    graph.by_state().into_iter().map(table).collect()
}

/// Inputs that have one outcome, the same in every state in which they occur. Where the state stays,
/// the outcome has none.
fn everywhere<P: Page>(tables: &Tables<P::Input>) -> BTreeMap<P::Input, Done> {
    let mut outcomes: BTreeMap<P::Input, Vec<(&str, &Case)>> = BTreeMap::new();
    for (state, cases) in tables {
        for (input, cases) in cases {
            let outcomes = outcomes.entry(*input).or_default();
            outcomes.extend(cases.iter().map(|case| (*state, case)));
        }
    }
    let same = |(input, cases): (P::Input, Vec<(&str, &Case)>)| {
        let stays = cases.iter().all(|(state, case)| *state == case.done.state);
        let seen = |case: &Case| match stays {
            true => Done { state: "", ..case.done.clone() },
            false => case.done.clone(),
        };
        let done = seen(cases[0].1);
        let in_many = cases.len() > tables.len() / 2;
        let alike =
            |case: &Case| case.when.is_empty() && case.which.is_empty() && seen(case) == done;
        let same = in_many && cases.iter().all(|case| alike(case.1));
        (same && !P::is_unexpected(&done)).then_some((input, done))
    };
    outcomes.into_iter().filter_map(same).collect()
}

fn table<P: Page>(text: &mut String, state: &str, cases: BTreeMap<P::Input, Vec<Case>>) {
    let mut rows: Vec<Row<P::Input>> = Vec::new();
    let mut quiet: Vec<Told<P::Input>> = Vec::new();
    for (input, cases) in cases {
        for Case { which, when, mut done } in cases {
            let failure = done.failure.take();
            let told = Told { input, which: which.join(", "), failure };
            if when.is_empty() && told.failure.is_none() && is_quiet(state, &done) {
                quiet.push(told);
                continue;
            }
            let alike = |row: &&mut Row<P::Input>| {
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
    if rows.is_empty() && quiet.is_empty() {
        text.push_str("Only the rows that hold in every state.\n");
        return;
    }
    writeln!(text, "| input | if | next state | {} | reports |\n|---|---|---|---|---|", P::SENT)
        .unwrap();
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

/// Events, then the result of a caller, then that of the waiting callers.
fn said<I>(row: &Row<I>) -> String {
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
fn merged<I: Input>(inputs: &[Told<I>]) -> String {
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

fn shown<I: Input>(input: I) -> String {
    merged(&[Told { input, which: String::new(), failure: None }])
}

fn capitalised(state: &str) -> String {
    let (first, rest) = state.split_at(1);
    first.to_uppercase() + rest
}

/// An error's kind in words: `SessionLost` is "session lost".
pub(crate) fn words(kind: ErrorKind) -> String {
    let mut words = String::new();
    for character in format!("{kind:?}").chars() {
        if character.is_uppercase() && !words.is_empty() {
            words.push(' ');
        }
        words.extend(character.to_lowercase());
    }
    words
}
