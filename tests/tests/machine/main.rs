//! The session machine as it is: every state it can be in, driven with every input that can occur
//! there. What it does is `docs/session-machine.md`.

#![expect(clippy::unwrap_used, reason = "this is test code")]

mod conditions;
mod document;
mod driver;
mod explore;
mod inputs;
mod rules;
mod situation;

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::LazyLock;

use self::explore::Graph;
use self::inputs::{Exchanged, Input};
use self::rules::End;

/// Says that the document is to be written instead of compared.
const GENERATE: &str = "MSTR_GENERATE";

/// Explored once for each of the two tests.
static GRAPH: LazyLock<Graph> = LazyLock::new(Graph::explore);

#[test]
fn the_document_says_what_the_machine_does() {
    // Of the run and not of the build: two copies of the repository may share what they build.
    #[expect(clippy::disallowed_methods, reason = "cargo sets it for tests")]
    let root = std::env::var("CARGO_MANIFEST_DIR").map(PathBuf::from).unwrap();
    let path = root.join("../docs/session-machine.md");
    let generated = document::write(&GRAPH);
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
            "docs/session-machine.md is out of date in line {}: run `cargo xtask generate`\n\
             it says:          {}\nthe machine does: {}",
            index + 1,
            written.get(index).unwrap_or(&"(end)"),
            generated.get(index).unwrap_or(&"(end)"),
        );
    }
}

/// One test, because each is a process of its own for nextest and would explore anew.
#[test]
fn the_machine_keeps_its_rules_in_every_situation() {
    every_state_of_the_machine_is_reached_and_no_other();
    no_law_is_broken_by_any_input_in_any_situation();
    closed_is_never_left();
    refused_is_left_by_a_reset_or_a_logout_only();
    only_those_answers_are_awaited_that_can_change_something();
    whatever_is_under_way_ends_though_nothing_is_answered();
    any_walk_goes_as_the_exploration_says();
}

fn every_state_of_the_machine_is_reached_and_no_other() {
    let reached: BTreeSet<&str> =
        GRAPH.situations.iter().map(|situation| situation.state).collect();
    assert_eq!(reached, rules::names().into_iter().collect());
}

fn no_law_is_broken_by_any_input_in_any_situation() {
    for edge in &GRAPH.edges {
        let from = &GRAPH.situations[edge.from];
        assert!(edge.broken.is_empty(), "{:?} in {from:?}: {:?}", edge.input, edge.broken);
    }
}

fn closed_is_never_left() {
    let out = rules::ways_out(&GRAPH, "closed", |_| false);
    assert!(out.is_empty(), "{out:?}");
}

fn refused_is_left_by_a_reset_or_a_logout_only() {
    let allowed =
        |input| matches!(input, Input::Reset(_) | Input::Logout | Input::LogoutEvenIfBorrowed);
    let out = rules::ways_out(&GRAPH, "refused", allowed);
    assert!(out.is_empty(), "{out:?}");
}

fn only_those_answers_are_awaited_that_can_change_something() {
    for edge in &GRAPH.edges {
        if matches!(edge.input, Input::Stale | Input::LateLogin { .. }) {
            let state = GRAPH.situations[edge.from].state;
            assert_eq!(edge.done.state, state, "{:?} changes the state", edge.input);
            let only_logouts = edge.done.sent.iter().all(|sent| {
                sent.starts_with(Exchanged::Logout.name()) && edge.input != Input::Stale
            });
            assert!(only_logouts, "{:?} in {state}: {:?}", edge.input, edge.done.sent);
        }
    }
}

fn whatever_is_under_way_ends_though_nothing_is_answered() {
    let (mut known, mut unknown) = (0, 0);
    for (index, situation) in GRAPH.situations.iter().enumerate() {
        if GRAPH.edge(index, Input::Deadline).is_some() {
            match rules::after_deadlines(&GRAPH, index, Input::Deadline) {
                End::In(_) => known += 1,
                End::Never => panic!("waits for ever: {situation:?}"),
                End::NotExplored => unknown += 1,
            }
        }
        match rules::after_deadlines(&GRAPH, index, Input::Logout) {
            End::In("closed") => known += 1,
            End::NotExplored => unknown += 1,
            end => panic!("is never closed but {end:?}: {situation:?}"),
        }
    }
    assert!(unknown * 10 < known, "{unknown} ends are not explored, {known} are");
}

fn any_walk_goes_as_the_exploration_says() {
    for seed in 0..400 {
        rules::walk(&GRAPH, seed, 60).unwrap();
    }
}
