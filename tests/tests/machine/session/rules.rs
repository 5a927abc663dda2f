//! Rules that hold on every path through the graph.

use super::driver::Driver;
use super::inputs::Input;
use crate::graph::Graph;

/// Longer than the longest way that deadlines alone have to go.
const PATIENCE: usize = 20;

/// Edges that leave `state` for another one, by inputs that `allowed` does not allow.
pub(crate) fn ways_out(
    graph: &Graph<Driver>,
    state: &str,
    allowed: impl Fn(Input) -> bool,
) -> Vec<String> {
    let leaves = |from: &str, to: &str| from == state && to != state;
    graph
        .edges
        .iter()
        .filter(|edge| leaves(graph.situations[edge.from].state, edge.done.state))
        .filter(|edge| !allowed(edge.input))
        .map(|edge| format!("{:?} leads to {}", edge.input, edge.done.state))
        .collect()
}

/// The end of a path of one input and then deadlines only.
#[derive(Debug, Eq, PartialEq)]
pub(crate) enum End {
    /// To a state that waits for nothing.
    In(&'static str),
    /// Nowhere.
    Never,
    /// To a situation whose inputs were not tried.
    NotExplored,
}

pub(crate) fn after_deadlines(graph: &Graph<Driver>, at: usize, first: Input) -> End {
    let Some(mut edge) = graph.edge(at, first) else { return End::NotExplored };
    for _ in 0..PATIENCE {
        let Some(at) = edge.to else { return End::NotExplored };
        match graph.edge(at, Input::Deadline) {
            Some(next) => edge = next,
            None => return End::In(edge.done.state),
        }
    }
    End::Never
}
