//! The quickstart as the README runs it, to its end and with a reader that leaves early.
//!
//! That it needs no headers of OpenSSL is shown by `.ci/run`, which hides them, and by `cargo xtask
//! deps`. Here hiding them would make cargo compile everything anew, there and back, whose build looks
//! at the variable.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use crate::command::{Outcome, cargo, mstr_fake, output, root, run, target};
use crate::members::{everything, members};
use crate::tools::{Tls, has_openssl};

/// The last line of each example that runs against the fake server.
pub(super) const ENDS_WITH: &str = "sessions still open on the server: 0";

pub(crate) fn check() -> Outcome {
    whole(&mut quickstart())?;
    piped(&root().join("target/quickstart"))?;
    if !has_openssl() {
        println!("    without_tokio is SKIPPED: it needs OpenSSL's headers");
        return Ok(());
    }
    // Built as the tests are, so that libcurl is not compiled for it alone.
    let features = everything(&members()?, Tls::Native);
    let words = format!("build --locked --workspace {features} --example without_tokio");
    run(&mut cargo(&words))?;
    whole(&mut Command::new(target()?.join("debug/examples/without_tokio")))
}

/// The README's command.
fn quickstart() -> Command {
    cargo("run --locked --quiet --example quickstart")
}

/// An example whose output is read to its end.
fn whole(example: &mut Command) -> Outcome {
    let text = output(example)?;
    print!("{text}");
    if text.lines().any(|line| line == ENDS_WITH) {
        return Ok(());
    }
    Err("the example leaves sessions open on the server".into())
}

/// `| head -n 1`: the example ends well all the same, and the server has seen its logout.
fn piped(folder: &Path) -> Outcome {
    let server = FakeServer::start(folder, None)?;
    let mut example = quickstart();
    server.describe_to(&mut example);
    let mut example = example
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|error| format!("cargo: {error}"))?;
    println!("    cargo run --example quickstart | head -n 1\n{}", first_line(&mut example)?);
    let ended = example.wait_with_output().map_err(|error| format!("cargo: {error}"))?;
    let errors = String::from_utf8_lossy(&ended.stderr);
    if !ended.status.success() || errors.contains("panicked") {
        return Err(format!(
            "the example fails when its reader leaves ({})\n{errors}",
            ended.status
        ));
    }
    match &*server.last_purpose()? {
        "logout" => Ok(()),
        last => Err(format!("the last request was to be the logout, and is {last:?}")),
    }
}

/// Reads a line and closes what it came through.
fn first_line(process: &mut Child) -> Outcome<String> {
    let mut line = String::new();
    let output = process.stdout.take().ok_or("there is nothing to read from")?;
    BufReader::new(output).read_line(&mut line).map_err(|error| error.to_string())?;
    Ok(line.trim_end().to_owned())
}

/// The fake server in a process of its own, with a journal.
pub(super) struct FakeServer {
    process: Child,
    base_url: String,
    journal: PathBuf,
}

impl FakeServer {
    /// With this fault, if any.
    pub(super) fn start(folder: &Path, fault: Option<&str>) -> Outcome<Self> {
        fs::create_dir_all(folder).map_err(|error| format!("{}: {error}", folder.display()))?;
        let journal = folder.join("journal.jsonl");
        let mut command = Command::new(mstr_fake()?);
        command.args(["--user", "alice:secret", "--journal"]).arg(&journal);
        command.args(fault.into_iter().flat_map(|fault| ["--fault", fault]));
        let process = command.stdout(Stdio::piped()).spawn();
        let process = process.map_err(|error| format!("mstr-fake: {error}"))?;
        let mut server = Self { process, base_url: String::new(), journal };
        let line = first_line(&mut server.process)?;
        line.rsplit(' ').next().unwrap_or_default().clone_into(&mut server.base_url);
        Ok(server)
    }

    /// Tells a program where it is and who may log in.
    pub(super) fn describe_to(&self, program: &mut Command) {
        program.env("MSTR_BASE_URL", &self.base_url);
        program.env("MSTR_USERNAME", "alice").env("MSTR_PASSWORD", "secret");
    }

    /// What it was asked for last, as its journal writes it.
    pub(super) fn last_purpose(&self) -> Outcome<String> {
        let journal = fs::read_to_string(&self.journal).map_err(|error| error.to_string())?;
        let last = journal.lines().last().unwrap_or_default();
        let purpose = last.split_once("\"purpose\":\"").map_or("", |(_, rest)| rest);
        Ok(purpose.split('"').next().unwrap_or_default().to_owned())
    }
}

impl Drop for FakeServer {
    fn drop(&mut self) {
        drop(self.process.kill());
        drop(self.process.wait());
    }
}
