//! The whole session layer in a deterministic simulation: `tests/simulate`.

use std::process::Command;

use crate::cli::Simulate;
use crate::command::{Outcome, cargo, root, run, simulation};
use crate::planted;

/// As every change has to pass it.
pub(crate) fn check() -> Outcome {
    seeds(|command| {
        command.args(["--seeds", "20000"]);
    })
}

/// The simulation finds the faults that it has to find.
pub(crate) fn planted() -> Outcome {
    planted::check(None, 60)
}

pub(crate) fn run_one(simulate: &Simulate) -> Outcome {
    if simulate.planted {
        return planted::check(simulate.only.as_deref(), simulate.seconds.unwrap_or(60));
    }
    seeds(|command| {
        for (name, value) in [
            ("--seeds", simulate.seeds),
            ("--from", simulate.from),
            ("--seconds", simulate.seconds),
        ] {
            if let Some(value) = value {
                command.arg(name).arg(value.to_string());
            }
        }
        if simulate.coverage {
            command.arg("--coverage");
        }
        command.args(&simulate.rest);
    })
}

fn seeds(arguments: impl FnOnce(&mut Command)) -> Outcome {
    let mut command = cargo("run --locked --quiet --profile simulation --package mstr-simulate --");
    arguments(&mut command);
    run(simulation(&mut command, &root().join("target/simulation")))
}
