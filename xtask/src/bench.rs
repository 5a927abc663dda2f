//! Starts the benchmarks, which are in `tests/benches`.

use crate::command::{Outcome, cargo, run};
use crate::members::package;

/// Those whose names contain `name`; all without one.
pub(crate) fn run_some(name: Option<&str>, only_instructions: bool) -> Outcome {
    let package = package("mstr-tests")?;
    let bench = |target: &str, words: &[&str]| {
        let line = format!("bench --locked {package} --bench {target} --");
        run(cargo(&line).args(words).args(name))
    };
    if only_instructions {
        return bench("figures", &["--instructions"]);
    }
    bench("warm", &[])?;
    bench("figures", &[])
}
