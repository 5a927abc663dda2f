//! What holds on every edge and every walk.

use super::driver::Driver;
use super::explore::{Graph, STARTS};
use super::inputs::Input;

/// Longer than the longest way that deadlines alone have to go.
const PATIENCE: usize = 20;

/// The names of the states, as the machine's own source has them.
pub(crate) fn names() -> Vec<&'static str> {
    let source = include_str!("../../../crates/mstr-core/src/session/state.rs");
    let function = source.split("fn name(&self)").nth(1).unwrap();
    let function = function.split("\n    }\n").next().unwrap();
    function.split('"').skip(1).step_by(2).collect()
}

/// Edges that leave `state` for another one, by inputs that `allowed` does not allow.
pub(crate) fn ways_out(graph: &Graph, state: &str, allowed: impl Fn(Input) -> bool) -> Vec<String> {
    let leaves = |from: &str, to: &str| from == state && to != state;
    graph
        .edges
        .iter()
        .filter(|edge| leaves(graph.situations[edge.from].state, edge.done.state))
        .filter(|edge| !allowed(edge.input))
        .map(|edge| format!("{:?} leads to {}", edge.input, edge.done.state))
        .collect()
}

/// Where an input and then deadlines alone lead.
#[derive(Debug, Eq, PartialEq)]
pub(crate) enum End {
    /// To a state that waits for nothing.
    In(&'static str),
    /// Nowhere.
    Never,
    /// To a situation whose inputs were not tried.
    NotExplored,
}

pub(crate) fn after_deadlines(graph: &Graph, at: usize, first: Input) -> End {
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

/// Walks at random and compares each step with what the graph says about it.
pub(crate) fn walk(graph: &Graph, seed: u64, steps: usize) -> Result<(), String> {
    let mut seed = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    let mut draw = |below: usize| {
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        usize::try_from(seed % below as u64).unwrap()
    };
    let (world, given) = STARTS[draw(STARTS.len())];
    let mut driver = Driver::new(world, given);
    let mut way = format!("{world:?} {given:?}");
    for _ in 0..steps {
        let situation = driver.situation();
        let from = graph.find(&situation).ok_or_else(|| format!("{way}: new: {situation:?}"))?;
        let inputs = driver.possible().inputs();
        let is_known =
            |input: &Input| graph.edge(from, *input).is_some_and(|edge| edge.to.is_some());
        let known: Vec<Input> = inputs.into_iter().filter(is_known).collect();
        // Closing is possible everywhere and ends the walk, so it is chosen seldom.
        let mut input = known[draw(known.len())];
        let ends = |input| matches!(input, Input::Logout | Input::LogoutEvenIfBorrowed);
        if ends(input) && draw(8) > 0 {
            input = known[draw(known.len())];
        }
        way.push_str(&format!(", {input:?}"));
        let done = driver.apply(input);
        let edge = graph.edge(from, input).unwrap();
        if done != edge.done {
            return Err(format!("{way}: {done:?} instead of {:?}", edge.done));
        }
        let to = driver.situation();
        let expected = edge.to.map(|to| &graph.situations[to]);
        if Some(&to) != expected {
            return Err(format!("{way}: {to:?} instead of {expected:?}"));
        }
        if !driver.broken.is_empty() {
            return Err(format!("{way}: {:?}", driver.broken));
        }
    }
    Ok(())
}
