//! Starts the benchmarks, which are in `tests/benches` and `tests/stacks/benches`.

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

/// What a request costs over a socket, beside other clients.
pub(crate) fn sockets(quick: bool, check: bool, name: Option<&str>) -> Outcome {
    let package = package("mstr-stacks")?;
    let mut bench = cargo(&format!("bench --locked {package} --bench sockets --"));
    bench.args(quick.then_some("--quick")).args(check.then_some("--check"));
    run(bench.args(name))
}

/// Fails where a request costs more than `costs.txt` allows, or the timeline more than its limit.
pub(crate) fn costs() -> Outcome {
    sockets(false, true, None)?;
    let package = package("mstr-tests")?;
    run(&mut cargo(&format!("bench --locked {package} --bench figures -- --check")))
}
