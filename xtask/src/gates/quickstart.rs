//! The quickstart as the README runs it, on a machine that has neither OpenSSL nor `pkg-config`.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use crate::command::{Outcome, cargo, mstr_fake, output, root};
use crate::tools::has_openssl;

const ENDS_WITH: &str = "sessions still open on the server: 0";

pub(crate) fn check() -> Outcome {
    let folder = root().join("target/quickstart");
    fs::create_dir_all(&folder).map_err(|error| format!("{}: {error}", folder.display()))?;
    whole(&mut quickstart(&folder))?;
    piped(&folder)?;
    if has_openssl() {
        return whole(&mut cargo(
            "run --locked --quiet --package mstr-sdk --features isahc --example without_tokio",
        ));
    }
    println!("    without_tokio is SKIPPED: it needs OpenSSL's headers");
    Ok(())
}

/// The README's command, without the headers of OpenSSL.
fn quickstart(empty: &Path) -> Command {
    let mut command = cargo("run --locked --quiet --example quickstart");
    command.env("OPENSSL_DIR", empty).env("PKG_CONFIG", empty.join("pkg-config"));
    command
}

/// An example that is heard to its end.
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
    let server = FakeServer::start(folder)?;
    let mut example = quickstart(folder);
    example.env("MSTR_BASE_URL", &server.base_url);
    example.env("MSTR_USERNAME", "alice").env("MSTR_PASSWORD", "secret");
    let mut example = example
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|error| format!("cargo: {error}"))?;
    println!("    cargo run --example quickstart | head -n 1\n{}", first_line(&mut example)?);
    let ended = example.wait_with_output().map_err(|error| format!("cargo: {error}"))?;
    let errors = String::from_utf8_lossy(&ended.stderr);
    if !ended.status.success() || errors.contains("panicked") {
        return Err(format!("the example minds that nobody reads on ({})\n{errors}", ended.status));
    }
    let journal = fs::read_to_string(&server.journal).map_err(|error| error.to_string())?;
    match journal.lines().last() {
        Some(last) if last.contains("\"purpose\":\"logout\"") => Ok(()),
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
struct FakeServer {
    process: Child,
    base_url: String,
    journal: PathBuf,
}

impl FakeServer {
    fn start(folder: &Path) -> Outcome<Self> {
        let journal = folder.join("journal.jsonl");
        let mut command = Command::new(mstr_fake()?);
        command.args(["--user", "alice:secret", "--journal"]).arg(&journal);
        let process = command.stdout(Stdio::piped()).spawn();
        let process = process.map_err(|error| format!("mstr-fake: {error}"))?;
        let mut server = Self { process, base_url: String::new(), journal };
        let line = first_line(&mut server.process)?;
        line.rsplit(' ').next().unwrap_or_default().clone_into(&mut server.base_url);
        Ok(server)
    }
}

impl Drop for FakeServer {
    fn drop(&mut self) {
        drop(self.process.kill());
        drop(self.process.wait());
    }
}
