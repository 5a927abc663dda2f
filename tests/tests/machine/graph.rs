//! Breadth first from new machines: every input that can occur, in every situation found. And
//! walks at random, to see that what looks like one situation is one.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::fmt::Debug;
use std::hash::Hash;

/// More than this means that the exploration does not end.
const BOUND: usize = 200_000;

/// A machine with a driver around it that carries out nothing.
pub(crate) trait Machine: Sized {
    /// Its settings.
    type Start: Copy + Debug + 'static;
    type Input: Input;
    type Situation: Situation;

    /// The situations in which explorations begin.
    const STARTS: &'static [Self::Start];

    fn new(start: Self::Start) -> Self;

    /// The inputs that are possible now.
    fn inputs(&self) -> Vec<Self::Input>;

    /// Gives the machine an input, and returns what it did.
    fn apply(&mut self, input: Self::Input) -> Done;

    /// The state on which the next inputs depend.
    fn situation(&self) -> Self::Situation;

    /// Whether to go on from here.
    fn is_followed(&self) -> bool;

    /// Looks for broken laws from now on. It takes time, and on the way to a situation everything
    /// has been looked at before.
    fn watch(&mut self);

    /// The laws that were broken since this was asked last.
    fn take_broken(&mut self) -> Vec<String>;

    /// Whether this ends the machine's life: walks take it seldom.
    fn ends(input: Self::Input, done: &Done) -> bool;
}

/// One thing that happens.
pub(crate) trait Input: Copy + Debug + Eq + Hash + Ord {
    /// What is done, and how: inputs that are done alike stand in one row.
    fn words(self) -> (String, &'static str);

    /// Shorter still, for an arrow.
    fn label(self) -> String;
}

/// The state, and what else decides.
pub(crate) trait Situation: Clone + Debug + Eq + Hash {
    fn state(&self) -> &'static str;
}

/// One attribute: its name, and its value as the condition of a row.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub(crate) struct Attribute {
    pub(crate) name: &'static str,
    pub(crate) value: String,
}

/// The machine's reaction to one input.
#[derive(Clone, Debug, Default, Eq, Ord, PartialEq, PartialOrd)]
pub(crate) struct Done {
    pub(crate) state: &'static str,
    pub(crate) sent: Vec<String>,
    pub(crate) events: Vec<String>,
    pub(crate) told: Vec<String>,
    /// The kind of the failure that waiting callers get.
    pub(crate) failure: Option<String>,
}

/// Every situation found, in the order in which it was found, and every edge.
#[derive(Debug)]
pub(crate) struct Graph<M: Machine> {
    pub(crate) situations: Vec<M::Situation>,
    pub(crate) edges: Vec<Edge<M::Input>>,
    index: HashMap<M::Situation, usize>,
    by_input: HashMap<(usize, M::Input), usize>,
}

#[derive(Debug)]
pub(crate) struct Edge<I> {
    pub(crate) from: usize,
    pub(crate) input: I,
    pub(crate) done: Done,
    /// Where it leads, if that was followed.
    pub(crate) to: Option<usize>,
    pub(crate) broken: Vec<String>,
}

/// How a situation was first reached.
struct Way<M: Machine> {
    start: M::Start,
    inputs: Vec<M::Input>,
}

/// The edges that leave a state.
pub(crate) type Leaving<'g, M> = (&'static str, Vec<&'g Edge<<M as Machine>::Input>>);

impl<M: Machine> Way<M> {
    fn walk(&self) -> M {
        let mut machine = M::new(self.start);
        for input in &self.inputs {
            machine.apply(*input);
        }
        machine.watch();
        machine
    }
}

impl<M: Machine> Graph<M> {
    pub(crate) fn explore() -> Self {
        let mut graph = Self {
            situations: Vec::new(),
            edges: Vec::new(),
            index: HashMap::new(),
            by_input: HashMap::new(),
        };
        let mut queue = VecDeque::new();
        for start in M::STARTS {
            let way: Way<M> = Way { start: *start, inputs: Vec::new() };
            let (_, is_new) = graph.add(way.walk().situation());
            if is_new {
                queue.push_back(way);
            }
        }
        let mut from = 0;
        while let Some(way) = queue.pop_front() {
            // Walking takes most of the time: where nothing has changed, the same machine goes on.
            let mut walked = Some(way.walk());
            for input in walked.as_ref().map(M::inputs).unwrap_or_default() {
                let mut machine = walked.take().unwrap_or_else(|| way.walk());
                let done = machine.apply(input);
                let followed = machine.is_followed().then(|| graph.add(machine.situation()));
                let (to, is_new) = followed.map_or((None, false), |(to, new)| (Some(to), new));
                let broken = machine.take_broken();
                graph.by_input.insert((from, input), graph.edges.len());
                graph.edges.push(Edge { from, input, done, to, broken });
                if to == Some(from) {
                    walked = Some(machine);
                }
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

    fn add(&mut self, situation: M::Situation) -> (usize, bool) {
        if let Some(index) = self.index.get(&situation) {
            return (*index, false);
        }
        let index = self.situations.len();
        assert!(index < BOUND, "no end in sight: {situation:?}");
        self.situations.push(situation.clone());
        self.index.insert(situation, index);
        (index, true)
    }

    pub(crate) fn edge(&self, from: usize, input: M::Input) -> Option<&Edge<M::Input>> {
        self.by_input.get(&(from, input)).map(|edge| &self.edges[*edge])
    }

    /// The edges by the state they leave, states in the order in which they were found.
    pub(crate) fn by_state(&self) -> Vec<Leaving<'_, M>> {
        let mut order = Vec::new();
        let mut edges: BTreeMap<&str, Vec<&Edge<M::Input>>> = BTreeMap::new();
        for edge in &self.edges {
            let state = self.situations[edge.from].state();
            if !order.contains(&state) {
                order.push(state);
            }
            edges.entry(state).or_default().push(edge);
        }
        order.into_iter().map(|state| (state, edges.remove(state).unwrap())).collect()
    }

    /// Complains about the first law that was broken.
    pub(crate) fn check_laws(&self) {
        for edge in &self.edges {
            let from = &self.situations[edge.from];
            assert!(edge.broken.is_empty(), "{:?} in {from:?}: {:?}", edge.input, edge.broken);
        }
    }

    /// Complains if other states were reached than those that `source` names, as the machine's own
    /// source has them after `function`.
    pub(crate) fn check_states(&self, source: &str, function: &str) {
        let function = source.split(function).nth(1).unwrap();
        let function = function.split("\n    }\n").next().unwrap();
        let mut names: Vec<&str> = function.split('"').skip(1).step_by(2).collect();
        let mut reached: Vec<&str> = self.situations.iter().map(Situation::state).collect();
        names.sort_unstable();
        names.dedup();
        reached.sort_unstable();
        reached.dedup();
        assert_eq!(reached, names);
    }

    /// Walks at random and compares each step with what the exploration says about it.
    pub(crate) fn check_walks(&self, walks: u64, steps: usize) {
        for seed in 0..walks {
            self.walk(seed, steps).unwrap();
        }
    }

    fn walk(&self, seed: u64, steps: usize) -> Result<(), String> {
        let mut seed = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
        let mut draw = |below: usize| {
            seed ^= seed << 13;
            seed ^= seed >> 7;
            seed ^= seed << 17;
            usize::try_from(seed % below as u64).unwrap()
        };
        let start = M::STARTS[draw(M::STARTS.len())];
        let mut machine = M::new(start);
        machine.watch();
        let mut way = format!("{start:?}");
        for _ in 0..steps {
            let situation = machine.situation();
            let from = self.index.get(&situation);
            let from = *from.ok_or_else(|| format!("{way}: new: {situation:?}"))?;
            let inputs = machine.inputs().into_iter();
            let known = |input| self.edge(from, input).filter(|edge| edge.to.is_some());
            let (ends, goes_on): (Vec<_>, Vec<_>) =
                inputs.filter_map(known).partition(|edge| M::ends(edge.input, &edge.done));
            let seldom = goes_on.is_empty() || (draw(16) == 0 && !ends.is_empty());
            let among = if seldom { ends } else { goes_on };
            let edge = among[draw(among.len())];
            way.push_str(&format!(", {:?}", edge.input));
            let done = machine.apply(edge.input);
            if done != edge.done {
                return Err(format!("{way}: {done:?} instead of {:?}", edge.done));
            }
            let to = machine.situation();
            let expected = edge.to.map(|to| &self.situations[to]);
            if Some(&to) != expected {
                return Err(format!("{way}: {to:?} instead of {expected:?}"));
            }
            let broken = machine.take_broken();
            if !broken.is_empty() {
                return Err(format!("{way}: {broken:?}"));
            }
        }
        Ok(())
    }
}
