//! Breadth first from an idle machine: every input that can occur, in every situation found.

use std::collections::{BTreeMap, HashMap, VecDeque};

use super::driver::{Done, Driver, World};
use super::inputs::{Given, Input};
use super::situation::Situation;

/// More than this means that the exploration does not end.
const BOUND: usize = 200_000;

/// Every situation found, in the order in which it was found, and every edge.
#[derive(Debug, Default)]
pub(crate) struct Graph {
    pub(crate) situations: Vec<Situation>,
    pub(crate) edges: Vec<Edge>,
    index: HashMap<Situation, usize>,
    by_input: HashMap<(usize, Input), usize>,
}

#[derive(Debug)]
pub(crate) struct Edge {
    pub(crate) from: usize,
    pub(crate) input: Input,
    pub(crate) done: Done,
    /// Where it leads, if that was followed.
    pub(crate) to: Option<usize>,
    pub(crate) broken: Vec<String>,
}

/// How a situation was first reached.
#[derive(Clone, Debug)]
struct Way {
    world: World,
    given: Given,
    inputs: Vec<Input>,
}

/// Where every exploration begins.
pub(crate) const STARTS: [(World, Given); 6] = [
    (World::Checks, Given::Password),
    (World::Checks, Given::Nothing),
    (World::Checks, Given::IdentityToken),
    (World::Project, Given::Password),
    (World::Project, Given::Nothing),
    (World::Project, Given::IdentityToken),
];

impl Way {
    fn walk(&self) -> Driver {
        let mut driver = Driver::new(self.world, self.given);
        for input in &self.inputs {
            driver.apply(*input);
        }
        // What was broken on the way stands at the edge where it was broken.
        driver.broken.clear();
        driver
    }
}

/// Logins that were given up and may still succeed have nothing to do with what goes on otherwise.
/// One kind of them at a time, and not during the first checks, keeps the exploration short.
fn is_followed(driver: &Driver) -> bool {
    let possible = driver.possible();
    let checking = driver.state() == "checking the session";
    match (possible.late_own, possible.late_borrowed) {
        (false, false) => true,
        (true, true) => false,
        _ => !checking,
    }
}

impl Graph {
    pub(crate) fn explore() -> Self {
        let mut graph = Self::default();
        let mut queue = VecDeque::new();
        for (world, given) in STARTS {
            let way = Way { world, given, inputs: Vec::new() };
            let (_, is_new) = graph.add(way.walk().situation());
            if is_new {
                queue.push_back(way);
            }
        }
        let mut from = 0;
        while let Some(way) = queue.pop_front() {
            for input in way.walk().possible().inputs() {
                let mut driver = way.walk();
                let done = driver.apply(input);
                let followed = is_followed(&driver).then(|| graph.add(driver.situation()));
                let (to, is_new) = followed.map_or((None, false), |(to, new)| (Some(to), new));
                let broken = std::mem::take(&mut driver.broken);
                graph.by_input.insert((from, input), graph.edges.len());
                graph.edges.push(Edge { from, input, done, to, broken });
                if is_new {
                    let mut inputs = way.inputs.clone();
                    inputs.push(input);
                    queue.push_back(Way { inputs, ..way });
                }
            }
            from += 1;
        }
        graph
    }

    fn add(&mut self, situation: Situation) -> (usize, bool) {
        if let Some(index) = self.index.get(&situation) {
            return (*index, false);
        }
        let index = self.situations.len();
        assert!(index < BOUND, "no end in sight: {situation:?}");
        self.situations.push(situation.clone());
        self.index.insert(situation, index);
        (index, true)
    }

    pub(crate) fn find(&self, situation: &Situation) -> Option<usize> {
        self.index.get(situation).copied()
    }

    pub(crate) fn edge(&self, from: usize, input: Input) -> Option<&Edge> {
        self.by_input.get(&(from, input)).map(|edge| &self.edges[*edge])
    }

    /// The edges by the state they leave, states in the order in which they were found.
    pub(crate) fn by_state(&self) -> Vec<(&'static str, Vec<&Edge>)> {
        let mut order = Vec::new();
        let mut edges: BTreeMap<&str, Vec<&Edge>> = BTreeMap::new();
        for edge in &self.edges {
            let state = self.situations[edge.from].state;
            if !order.contains(&state) {
                order.push(state);
            }
            edges.entry(state).or_default().push(edge);
        }
        order.into_iter().map(|state| (state, edges.remove(state).unwrap())).collect()
    }
}
