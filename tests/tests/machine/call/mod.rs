//! The machine of one call: every state it can be in, driven with every input, expected or not.
//! `docs/call-machine.md` describes it.

mod driver;
mod inputs;
mod laws;
mod page;
mod situation;

use std::sync::LazyLock;

use self::driver::Driver;
use crate::document;
use crate::graph::Graph;

static GRAPH: LazyLock<Graph<Driver>> = LazyLock::new(Graph::explore);

/// One test, because each is a process of its own for nextest and would explore anew. A machine that
/// breaks a rule has no page.
#[test]
fn the_document_says_what_the_call_machine_does_and_it_keeps_its_rules() {
    let source = include_str!("../../../../crates/mstr-core/src/call/machine.rs");
    GRAPH.check_states(source, "fn describe(&self)");
    GRAPH.check_laws();
    GRAPH.check_walks(400, 60);
    document::compare("call-machine.md", &GRAPH);
}
