//! The session machine: every state it can be in, driven with every input that can occur there.
//! `docs/session-machine.md` describes it.

mod driver;
mod inputs;
mod laws;
mod made;
mod notes;
mod outputs;
mod page;
mod rules;
mod situation;
mod words;

use std::sync::LazyLock;

use self::driver::Driver;
use self::inputs::{Exchanged, Input};
use self::rules::End;
use crate::document;
use crate::graph::Graph;

static GRAPH: LazyLock<Graph<Driver>> = LazyLock::new(Graph::explore);

/// One test, because each is a process of its own for nextest and would explore anew. A machine that
/// breaks a rule has no page.
#[test]
fn the_document_says_what_the_session_machine_does_and_it_keeps_its_rules() {
    let source = include_str!("../../../../crates/mstr-core/src/session/state.rs");
    GRAPH.check_states(source, "fn name(&self)");
    GRAPH.check_laws();
    closed_is_never_left();
    refused_is_left_by_a_reset_a_logout_or_an_adoption_only();
    only_those_answers_are_awaited_that_can_change_something();
    exchanges_end_by_their_deadlines_without_an_answer();
    GRAPH.check_walks(400, 60);
    document::compare("session-machine.md", &GRAPH);
}

fn closed_is_never_left() {
    let out = rules::ways_out(&GRAPH, "closed", |_| false);
    assert!(out.is_empty(), "{out:?}");
}

fn refused_is_left_by_a_reset_a_logout_or_an_adoption_only() {
    let allowed = |input| {
        let ends = matches!(input, Input::Logout | Input::LogoutEvenIfBorrowed);
        ends || matches!(input, Input::Reset(_) | Input::Adopt(_))
    };
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

fn exchanges_end_by_their_deadlines_without_an_answer() {
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
    assert!(unknown * 8 < known, "{unknown} ends are not explored, {known} are");
}
