//! Real clients of the REST API against the fake server.
//!
//! A server that only clients from here have talked to proves little. The vendor's Python client
//! and plain `requests` lead their sessions against the program `mstr-fake`, over http and https.

use std::fs;
use std::process::Command;

use crate::command::{Outcome, cargo, output, root, run};

const REQUIREMENTS: &str = "tests/interop/requirements.txt";
const SCENARIOS: &str = "tests/interop/scenarios.py";

pub(crate) fn check() -> Outcome {
    let folder = root().join("target/interop");
    fs::create_dir_all(&folder).map_err(|error| format!("{}: {error}", folder.display()))?;
    let python = folder.join(if cfg!(windows) { "venv/Scripts/python" } else { "venv/bin/python" });

    if !Command::new("python3")
        .args(["-m", "venv", "--help"])
        .output()
        .is_ok_and(|it| it.status.success())
    {
        println!("    SKIPPED: there is no python3 with the module venv here");
        return Ok(());
    }
    let mut venv = Command::new("python3");
    output(venv.args(["-m", "venv"]).arg(folder.join("venv")))?;
    let mut pip = Command::new(&python);
    pip.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--requirement"]);
    println!("    installing {REQUIREMENTS} into target/interop");
    if let Err(problem) = output(pip.arg(root().join(REQUIREMENTS))) {
        // Whoever has no package index can still change the rest; a wrong requirement is a mistake.
        if is_unreachable(&problem) {
            println!("    SKIPPED: the Python package index cannot be reached from here");
            return Ok(());
        }
        return Err(problem);
    }

    run(&mut cargo(
        "build --locked --quiet --package mstr-fake --features loopback --bin mstr-fake",
    ))?;
    let mut scenarios = Command::new(&python);
    scenarios.arg(root().join(SCENARIOS)).arg(program()?).arg(&folder);
    run(&mut scenarios)
}

fn is_unreachable(problem: &str) -> bool {
    ["NewConnectionError", "NameResolutionError", "Connection refused", "timed out"]
        .iter()
        .any(|sign| problem.contains(sign))
}

/// Where cargo has put the program.
fn program() -> Outcome<std::path::PathBuf> {
    let metadata = output(&mut cargo("metadata --locked --no-deps --format-version 1"))?;
    let target = metadata.split("\"target_directory\":\"").nth(1);
    let target = target.and_then(|rest| rest.split('"').next());
    let target = target.ok_or("cargo metadata names no target directory")?;
    Ok(std::path::Path::new(target)
        .join("debug")
        .join(format!("mstr-fake{}", std::env::consts::EXE_SUFFIX)))
}
