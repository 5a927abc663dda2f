//! Whether the simulation finds faults: those of `tests/simulate/planted`, in a copy of the sources.
//!
//! All of them are in one build. The variable `MSTR_PLANTED` switches one on.

mod faults;

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use crate::command::{Outcome, cargo, listed, read, root, run, simulation};
use faults::Fault;

/// How long the simulation runs without a fault, in seconds.
const CLEAN: u64 = 10;
/// How much longer than it is told to a simulation may take.
const GRACE: Duration = Duration::from_secs(30);
/// More seeds than there is time for.
const SEEDS: &str = "1000000";

/// Plants the faults, or the one that is named, and lets the simulation look for each.
pub(crate) fn check(only: Option<&str>, seconds: u64) -> Outcome {
    let faults = faults::all()?;
    let chosen: Vec<&Fault> =
        faults.iter().filter(|fault| only.is_none_or(|name| fault.name == name)).collect();
    if chosen.is_empty() {
        let names: Vec<&str> = faults.iter().map(|fault| &*fault.name).collect();
        return Err(format!("no planted fault has this name; those are: {}", names.join(", ")));
    }
    let folder = root().join("target/planted");
    let sources = folder.join("src");
    copy(&faults, &sources)?;
    let program = build(&sources, &folder.join("build"))?;
    let looked = |name: &str, seconds| look(&program, &folder, name, seconds);

    println!("    without a fault, for {CLEAN} s");
    if let Found::Law { law, seed, .. } = looked("", CLEAN)? {
        return Err(format!("without a fault the simulation finds: {law}, seed {seed}"));
    }
    let width = chosen.iter().map(|fault| fault.name.len()).max().unwrap_or_default();
    let mut missed = Vec::new();
    for fault in chosen {
        let name = &fault.name;
        let why = match looked(name, seconds) {
            Ok(Found::Law { law, seed, took }) => {
                let took = took.as_secs_f64();
                println!("    {name:width$}  {took:5.1} s  {law}, seed {seed}");
                continue;
            }
            Ok(Found::Nothing) => format!("not found: {}", fault.told()),
            Err(error) => error,
        };
        println!("    {name:width$}  {why}");
        missed.push(&**name);
    }
    if missed.is_empty() {
        return Ok(());
    }
    Err(format!("the simulation has not found {} within {seconds} s", missed.join(", ")))
}

/// Brings the copy up to date. What has not changed keeps its time, so that cargo builds little.
fn copy(faults: &[Fault], folder: &Path) -> Outcome {
    let mut planted = faults::plant(faults, read)?;
    let failed = |path: &str, error: std::io::Error| format!("{path}: {error}");
    let mut kept = BTreeSet::new();
    for path in listed()? {
        let content = match planted.remove(&path) {
            Some(text) => text.into_bytes(),
            None => fs::read(root().join(&path)).map_err(|error| failed(&path, error))?,
        };
        place(folder, &path, &content).map_err(|error| failed(&path, error))?;
        kept.insert(folder.join(path));
    }
    for (path, text) in planted {
        place(folder, &path, text.as_bytes()).map_err(|error| failed(&path, error))?;
        kept.insert(folder.join(path));
    }
    clear(folder, &kept).map_err(|error| format!("{}: {error}", folder.display()))
}

fn place(folder: &Path, path: &str, content: &[u8]) -> std::io::Result<()> {
    let to = folder.join(path);
    if fs::read(&to).is_ok_and(|there| there == content) {
        return Ok(());
    }
    to.parent().map_or(Ok(()), fs::create_dir_all)?;
    fs::write(to, content)
}

/// Removes the files that have gone.
fn clear(folder: &Path, kept: &BTreeSet<PathBuf>) -> std::io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            clear(&path, kept)?;
        } else if !kept.contains(&path) {
            fs::remove_file(path)?;
        }
    }
    Ok(())
}

/// Builds the simulation in the copy; the program.
fn build(sources: &Path, target: &Path) -> Outcome<PathBuf> {
    let mut command = cargo("build --locked --quiet --profile simulation --package mstr-simulate");
    // A folder of its own: cargo takes two workspaces with the same layout for the same one.
    run(simulation(command.current_dir(sources), target))?;
    Ok(target.join(format!("simulation/mstr-simulate{}", std::env::consts::EXE_SUFFIX)))
}

/// What the simulation has come to.
#[derive(Debug)]
enum Found {
    Law { law: String, seed: String, took: Duration },
    Nothing,
}

/// Lets the simulation look for the fault of this name. What it prints is kept in a file.
fn look(program: &Path, folder: &Path, name: &str, seconds: u64) -> Outcome<Found> {
    let log = folder.join(if name.is_empty() { "none.log" } else { name }).with_extension("log");
    let failed = |error: std::io::Error| format!("{}: {error}", log.display());
    let (output, begun) = (File::create(&log).map_err(failed)?, now());
    let errors = output.try_clone().map_err(failed)?;
    let mut command = Command::new(program);
    command.args(["--seeds", SEEDS, "--jobs", "2", "--seconds"]).arg(seconds.to_string());
    command.current_dir(folder).env_remove("MSTR_PLANTED").stdin(Stdio::null());
    if !name.is_empty() {
        command.env("MSTR_PLANTED", name);
    }
    let process = command.stdout(output).stderr(errors).spawn();
    let mut process = process.map_err(|error| format!("{}: {error}", program.display()))?;
    let limit = Duration::from_secs(seconds) + GRACE;
    let status = loop {
        if let Some(status) = process.try_wait().map_err(failed)? {
            break status;
        }
        if now() - begun >= limit {
            process.kill().and_then(|()| process.wait()).map_err(failed)?;
            return Err(format!(
                "the simulation of {} has not ended after {} s; {} has what it printed",
                if name.is_empty() { "no fault" } else { name },
                limit.as_secs(),
                log.display()
            ));
        }
        #[expect(clippy::disallowed_methods, reason = "another process is waited for")]
        thread::sleep(Duration::from_millis(20));
    };
    let told = fs::read_to_string(&log).map_err(failed)?;
    found(status, &told, now() - begun).map_err(|why| format!("{why}; see {}", log.display()))
}

#[expect(clippy::disallowed_methods, reason = "this is a program")]
fn now() -> Instant {
    Instant::now()
}

/// Reads what the simulation says of its end.
fn found(status: ExitStatus, told: &str, took: Duration) -> Outcome<Found> {
    let after = |start: &str| {
        told.lines().find_map(|line| line.trim_start().strip_prefix(start)).map(str::trim)
    };
    match (status.code(), after("law broken:"), after("seed:")) {
        (Some(0), None, _) => Ok(Found::Nothing),
        (Some(1), Some(law), Some(seed)) => {
            let law = law.split_whitespace().next().unwrap_or(law).to_owned();
            Ok(Found::Law { law, seed: seed.to_owned(), took })
        }
        _ => {
            Err(format!("the simulation has ended with {status} and does not say which law broke"))
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use super::*;

    #[test]
    fn copy_is_rewritten_where_it_differs_and_loses_what_has_gone() {
        let folder = std::env::temp_dir().join(format!("mstr-planted-{}", std::process::id()));
        place(&folder, "a/same.txt", b"same").expect("a file");
        place(&folder, "a/other.txt", b"other").expect("a file");
        place(&folder, "b/gone.txt", b"gone").expect("a file");
        let long_ago = SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000);
        for path in ["a/same.txt", "a/other.txt"] {
            let file = File::options().write(true).open(folder.join(path)).expect("a file");
            file.set_modified(long_ago).expect("a time");
        }
        place(&folder, "a/same.txt", b"same").expect("a file");
        place(&folder, "a/other.txt", b"new").expect("a file");
        let written = |path: &str| fs::metadata(folder.join(path)).and_then(|it| it.modified());
        assert_eq!(written("a/same.txt").expect("a time"), long_ago);
        assert!(written("a/other.txt").expect("a time") > long_ago);
        let kept = ["a/same.txt", "a/other.txt"].map(|path| folder.join(path));
        clear(&folder, &BTreeSet::from(kept)).expect("no failure");
        assert!(!folder.join("b/gone.txt").exists());
        assert_eq!(fs::read(folder.join("a/other.txt")).expect("a file"), b"new");
        fs::remove_dir_all(&folder).expect("no failure");
    }

    #[cfg(unix)]
    #[test]
    fn end_of_a_simulation_is_a_law_or_nothing_and_else_an_error() {
        use std::os::unix::process::ExitStatusExt;

        let ended = |code: i32, told: &str| {
            found(ExitStatus::from_raw(code << 8), told, Duration::from_secs(1))
        };
        let told = "law broken: no-session-left (alice has two)\nseed: 42\n";
        let law = ended(1, told).expect("a law");
        assert!(
            matches!(law, Found::Law { law, seed, .. } if law == "no-session-left" && seed == "42")
        );
        assert!(matches!(ended(0, "1000 seeds\n"), Ok(Found::Nothing)));
        for (code, told) in [(1, ""), (101, told), (0, told), (2, "usage")] {
            ended(code, told).expect_err("neither");
        }
    }
}
