//! The whole session layer in a deterministic simulation: `tests/simulate`.

use crate::cli::Simulate;
use crate::command::{Outcome, cargo, root, run, simulation};
use crate::planted;

pub(crate) fn run_one(simulate: &Simulate) -> Outcome {
    if simulate.planted {
        return planted::check(simulate.only.as_deref(), simulate.seconds.unwrap_or(60));
    }
    let mut command = cargo("run --locked --quiet --profile simulation --package mstr-simulate --");
    for (name, value) in
        [("--seeds", simulate.seeds), ("--from", simulate.from), ("--seconds", simulate.seconds)]
    {
        if let Some(value) = value {
            command.arg(name).arg(value.to_string());
        }
    }
    if simulate.coverage {
        command.arg("--coverage");
    }
    command.args(&simulate.rest);
    run(simulation(&mut command, &root().join("target/simulation")))
}
