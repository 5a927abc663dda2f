//! Real clients of the REST API against the fake server.
//!
//! A server that only clients from here have talked to proves little. The vendor's Python client
//! and plain `requests` lead their sessions against the program `mstr-fake`, over http and https.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::command::{Outcome, cargo, output, root, run, target};

const REQUIREMENTS: &str = "tests/interop/requirements.txt";
const SCENARIOS: &str = "tests/interop/scenarios.py";

pub(crate) fn check() -> Outcome {
    if cfg!(windows) {
        println!("    SKIPPED: the scenarios end the server with a signal that Windows has not");
        return Ok(());
    }
    let folder = root().join("target/interop");
    fs::create_dir_all(&folder).map_err(|error| format!("{}: {error}", folder.display()))?;
    let python = match environment(&folder) {
        Ok(python) => python,
        // Whoever has no Python or no package index can still change the rest; a wrong requirement
        // is a mistake.
        Err(problem) => match absent(&problem) {
            Some(what) => {
                println!("    SKIPPED: {what}\n{problem}");
                return Ok(());
            }
            None => return Err(problem),
        },
    };
    run(&mut cargo(
        "build --locked --quiet --package mstr-fake --features loopback --bin mstr-fake",
    ))?;
    let mut scenarios = Command::new(&python);
    // Without a buffer, so that each line is there when its scenario ends.
    scenarios
        .arg("-u")
        .arg(root().join(SCENARIOS))
        .arg(target()?.join("debug/mstr-fake"))
        .arg(&folder);
    run(&mut scenarios)
}

/// A virtual environment with the pinned clients; returns its Python.
fn environment(folder: &Path) -> Outcome<PathBuf> {
    let venv = folder.join("venv");
    output(Command::new("python3").args(["-m", "venv"]).arg(&venv))?;
    let python = venv.join("bin/python");
    println!("    installing {REQUIREMENTS} into target/interop");
    let mut pip = Command::new(&python);
    pip.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check"]);
    // Only a request that pip repeats makes it say why it failed.
    pip.args(["--retries", "3", "--requirement"]).arg(root().join(REQUIREMENTS));
    output(&mut pip)?;
    Ok(python)
}

/// What this machine lacks, if that is the problem.
fn absent(problem: &str) -> Option<&'static str> {
    let says = |signs: &[&str]| signs.iter().any(|sign| problem.contains(sign));
    if problem.starts_with("python3 ") {
        if says(&["ensurepip", "No module named venv"]) {
            return Some("python3 is here without its module venv");
        }
        return says(&["(os error 2)"]).then_some("there is no python3 here");
    }
    if says(&["require a different python version"]) {
        return Some("this python3 has a version that the clients do not support");
    }
    // Also where an index is there and some package or version is not, pip ends with "No matching
    // distribution"; only a connection that failed shows the difference.
    says(&["connection broken by"]).then_some("the Python package index cannot be reached")
}

#[cfg(test)]
mod tests {
    use super::absent;

    #[test]
    fn what_a_machine_lacks_is_told_from_a_wrong_requirement() {
        let no_python = "python3 -m venv x: No such file or directory (os error 2)";
        let no_venv = "python3 -m venv x failed (exit status: 1)\nThe virtual environment was not \
                       created successfully because ensurepip is not available.";
        let no_index = "python -m pip install failed (exit status: 1)\nWARNING: Retrying \
                        (Retry(total=0)) after connection broken by 'ProxyError('Cannot connect \
                        to proxy.')': /simple/pytz/\nERROR: No matching distribution found";
        let wrong = "python -m pip install failed (exit status: 1)\nERROR: Could not find a \
                     version that satisfies the requirement pytz==1.1 (from versions: 2004d)\n\
                     ERROR: No matching distribution found for pytz==1.1";
        assert_eq!(absent(no_python), Some("there is no python3 here"));
        assert_eq!(absent(no_venv), Some("python3 is here without its module venv"));
        assert_eq!(absent(no_index), Some("the Python package index cannot be reached"));
        let too_old = "python -m pip install failed (exit status: 1)\nERROR: Ignored the following \
                       versions that require a different python version: 11.5.4.101 \
                       Requires-Python >=3.10\nERROR: No matching distribution found";
        assert_eq!(
            absent(too_old),
            Some("this python3 has a version that the clients do not support")
        );
        assert_eq!(absent(wrong), None);
        assert_eq!(absent("python3 -m venv x failed (exit status: 1)\nNo space left"), None);
    }
}
