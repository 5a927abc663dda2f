//! Sessions over a network that fails at random: `tests/chaos`.

use crate::cli::Chaos;
use crate::command::{Outcome, cargo, run};
use crate::members::package;

/// As every change has to pass it: few requests, and another seed each time.
pub(crate) fn check() -> Outcome {
    run(&mut cargo(&words()?))
}

pub(crate) fn run_one(chaos: &Chaos) -> Outcome {
    let mut command = cargo(&words()?);
    command.arg("--").arg("--requests").arg(chaos.requests.to_string());
    if let Some(seed) = chaos.seed {
        command.arg("--seed").arg(seed.to_string());
    }
    if let Some(transport) = &chaos.transport {
        command.arg("--transport").arg(transport);
    }
    run(&mut command)
}

fn words() -> Outcome<String> {
    Ok(format!("run --locked --quiet {}", package("mstr-chaos")?))
}
