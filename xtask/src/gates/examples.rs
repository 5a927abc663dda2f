//! The examples of the facade, each run to its end against the fake server in its process.
//!
//! `quickstart` and `without_tokio` have a [step of their own](super::quickstart).

use std::collections::BTreeSet;
use std::fs;
use std::io::Read;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use super::quickstart::{ENDS_WITH, FakeServer};
use crate::command::{Outcome, cargo, root, run, target};
use crate::members::{everything, members};
use crate::tools::Tls;

/// Those that run against the fake server, and say at last that they leave nothing on it.
const PROGRAMS: [&str; 6] = [
    "axum_service",
    "blocking_tool",
    "many_users",
    "middleware",
    "nightly_batch",
    "reqwest_transport",
];
/// The one that has tests and does nothing.
const TESTS: &str = "user_tests";
const ELSEWHERE: [&str; 2] = ["quickstart", "without_tokio"];

/// Each takes less than a second.
const LIMIT: Duration = Duration::from_secs(20);

pub(crate) fn check() -> Outcome {
    nothing_is_forgotten()?;
    // Built as the tests are, so that nothing is compiled for them alone.
    let how = format!("--locked --workspace {}", everything(&members()?, Tls::here()));
    run(&mut cargo(&format!("test {how} --example {TESTS}")))?;
    let names = PROGRAMS.map(|name| format!("--example {name}")).join(" ");
    run(&mut cargo(&format!("build {how} {names}")))?;
    let folder = target()?.join("debug/examples");
    for name in PROGRAMS {
        let mut program = Command::new(folder.join(name));
        program.env_remove("MSTR_BASE_URL").current_dir(root());
        let text = within(LIMIT, &mut program).map_err(|error| format!("{name}: {error}"))?;
        let last = text.lines().last().unwrap_or_default();
        if last != ENDS_WITH {
            return Err(format!("{name} does not end with \"{ENDS_WITH}\":\n{text}"));
        }
        println!("    {name}: {last}");
    }
    codes_for_a_scheduler(&folder.join("nightly_batch"))
}

/// `nightly_batch` says by its exit code what a scheduler is to do, and logs out in any case.
fn codes_for_a_scheduler(program: &Path) -> Outcome {
    let folder = root().join("target/examples");
    for (fault, signal, code) in [
        ("call:*:status=503", None, 2),
        ("call:*:error=404,ERR004", None, 1),
        ("call:*:stall", Some("-TERM"), 130),
    ] {
        let server = FakeServer::start(&folder, Some(fault))?;
        let mut program = Command::new(program);
        server.describe_to(&mut program);
        let program =
            program.arg(folder.join("export")).stdout(Stdio::null()).stderr(Stdio::null());
        let mut process = program.spawn().map_err(|error| error.to_string())?;
        if let Some(signal) = signal {
            wait_until(|| server.last_purpose().is_ok_and(|purpose| purpose == "call"))?;
            run(Command::new("kill").args([signal, &process.id().to_string()]))?;
        }
        let status = process.wait().map_err(|error| error.to_string())?;
        let last = server.last_purpose()?;
        if (status.code(), &*last) != (Some(code), "logout") {
            return Err(format!(
                "after {fault}, nightly_batch ends with {status}, its last request was {last:?}"
            ));
        }
        println!("    nightly_batch after {fault}: {code}, logged out");
    }
    Ok(())
}

fn wait_until(holds: impl Fn() -> bool) -> Outcome {
    for _ in 0..200 {
        if holds() {
            return Ok(());
        }
        #[expect(clippy::disallowed_methods, reason = "another process is waited for")]
        thread::sleep(Duration::from_millis(50));
    }
    Err("waited for 10 s in vain".into())
}

/// The manifest names each example, because one of them belongs to another package; a file that it
/// does not name would not even be compiled.
fn nothing_is_forgotten() -> Outcome {
    let folder = root().join("crates/mstr/examples");
    let files = fs::read_dir(&folder).map_err(|error| format!("{}: {error}", folder.display()))?;
    let paths = files.flatten().map(|file| file.path());
    let rust = paths.filter(|path| path.extension().is_some_and(|extension| extension == "rs"));
    let there: BTreeSet<String> =
        rust.filter_map(|path| Some(path.file_stem()?.to_str()?.to_owned())).collect();
    let known = PROGRAMS.into_iter().chain(ELSEWHERE).chain([TESTS]);
    let known: BTreeSet<String> = known.map(str::to_owned).collect();
    if there == known {
        return Ok(());
    }
    let differing: Vec<&str> = there.symmetric_difference(&known).map(String::as_str).collect();
    Err(format!("run or there, and not both: {}", differing.join(", ")))
}

/// What a program prints until it ends, which it has to do in time and with success.
fn within(limit: Duration, program: &mut Command) -> Outcome<String> {
    let program = program.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut process = program.spawn().map_err(|error| error.to_string())?;
    let (send, receive) = mpsc::channel();
    let pipes = process.stdout.take().zip(process.stderr.take());
    thread::spawn(move || {
        let Some((mut output, mut errors)) = pipes else { return };
        // Beside each other: one that is full would hold up the program.
        let reading = thread::spawn(move || {
            let mut text = String::new();
            drop(errors.read_to_string(&mut text));
            text
        });
        let mut text = String::new();
        drop(output.read_to_string(&mut text));
        drop(send.send((text, reading.join().unwrap_or_default())));
    });
    let printed = receive.recv_timeout(limit);
    if printed.is_err() {
        drop(process.kill());
    }
    let status = process.wait().map_err(|error| error.to_string())?;
    match printed {
        Ok((text, _)) if status.success() => Ok(text),
        Ok((text, errors)) => Err(format!("it failed ({status})\n{text}{errors}")),
        Err(_) => Err(format!("it has not ended after {} s", limit.as_secs())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(words: &str) -> Outcome<String> {
        within(Duration::from_millis(500), Command::new("sh").args(["-c", words]))
    }

    #[test]
    fn program_that_ends_well_is_heard() {
        assert_eq!(shell("echo done; echo log >&2").unwrap(), "done\n");
    }

    #[test]
    fn program_that_fails_is_quoted() {
        let error = shell("echo half; echo why >&2; exit 3").unwrap_err();
        assert!(error.contains("half") && error.contains("why"), "{error}");
    }

    #[test]
    fn program_that_does_not_end_is_ended() {
        assert!(shell("exec sleep 60").unwrap_err().contains("has not ended"));
    }

    #[test]
    fn example_that_is_not_run_is_named() {
        nothing_is_forgotten().unwrap();
    }
}
