//! Clients in Python, in turns with ours: `clients.py` makes the requests and takes the time.
//!
//! The packages are those of `cargo xtask interop`, in the same environment. Where there is no Python, or
//! no package index, this part is skipped.

use std::io::{BufRead, BufReader, ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::OnceLock;
use std::time::Duration;

use mstr_suite::figures::{Figure, Spread, in_turns};

use crate::clients::{self, Target};
use crate::parts::Run;
use crate::server::{self, keep_off};
use crate::times::{DIRECTLY, Running};
use crate::{BASE, OURS};

pub(crate) const PART: &str = "python";
pub(crate) const REQUESTS: &str = "requests";
pub(crate) const MSTRIO: &str = "mstrio-py";
/// The exit code of `environment.py` where something is absent, which it prints last.
const SKIPPED: i32 = 77;
const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/benches/sockets/clients.py");
const TABLE: &str = "200 bytes over HTTP/1.1 in Python: throughput, ratio to hyper-util";
/// As many threads there as requests in flight here.
const THREADS: [(usize, &str); 2] = [(1, "1 in flight"), (8, "8 in flight")];

/// Python with the packages.
pub(crate) struct Python {
    program: PathBuf,
}

impl Python {
    /// Makes the environment where it is not there yet, or says what this machine lacks.
    pub(crate) fn find() -> &'static Result<Self, String> {
        static FOUND: OnceLock<Result<Python, String>> = OnceLock::new();
        FOUND.get_or_init(Self::make)
    }

    /// Runs the script as this client.
    pub(crate) fn run(&self, how: &str, client: &str) -> Command {
        let mut command = server::client(&self.program);
        command.args([SCRIPT, how, client]);
        command
    }

    fn make() -> Result<Self, String> {
        if cfg!(windows) {
            return Err("the environment is made for other systems than Windows".to_owned());
        }
        let root = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."));
        let mut command = Command::new("python3");
        command.args(["tests/interop/environment.py", "target/interop"]).current_dir(root);
        let output = match command.output() {
            Ok(output) => output,
            Err(error) if error.kind() == ErrorKind::NotFound => {
                return Err("there is no python3 here".to_owned());
            }
            Err(error) => panic!("python3: {error}"),
        };
        let told = String::from_utf8_lossy(&output.stdout);
        let last = told.lines().last().unwrap_or_default().trim();
        match output.status.code() {
            Some(0) => Ok(Self { program: root.join(last) }),
            Some(SKIPPED) => Err(last.trim_start_matches("SKIPPED: ").to_owned()),
            _ => panic!("{command:?} failed\n{told}{}", String::from_utf8_lossy(&output.stderr)),
        }
    }
}

/// A client that waits to be told for how long to make requests.
struct Loop {
    child: Child,
    input: Option<ChildStdin>,
    output: BufReader<ChildStdout>,
}

impl Loop {
    fn start(python: &Python, client: &str, base: &str) -> Self {
        let mut command = python.run("loop", client);
        command.arg(format!("{base}/MicroStrategyLibrary"));
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let (input, output) = (child.stdin.take(), child.stdout.take().unwrap());
        Self { child, input, output: BufReader::new(output) }
    }

    /// Requests a second.
    fn rate(&mut self, threads: usize, seconds: f64) -> f64 {
        writeln!(self.input.as_mut().unwrap(), "{threads} {seconds}").unwrap();
        let mut line = String::new();
        self.output.read_line(&mut line).unwrap();
        line.trim().parse().unwrap()
    }
}

impl Drop for Loop {
    fn drop(&mut self) {
        // It closes its session at the end of its input.
        self.input = None;
        drop(self.child.wait());
    }
}

pub(crate) fn print(run: &Run<'_>) {
    let chosen = run.chosen(PART, [REQUESTS, MSTRIO], |row| row);
    if chosen.is_empty() {
        return;
    }
    keep_off();
    println!("\n{TABLE}");
    let python = match Python::find() {
        Ok(python) => python,
        Err(why) => return println!("SKIPPED: {why}"),
    };
    let target = Target::small(&run.server.plain);
    let (seconds, length) = if run.quick {
        (0.2, Duration::from_millis(60))
    } else {
        (1.0, Duration::from_millis(250))
    };
    println!("{:<28} {:>22} {:>22}", "threads", THREADS[0].0, THREADS[1].0);
    for row in chosen {
        let mut python = Loop::start(python, row, &run.server.plain);
        // It opens its connections, and what the interpreter learns of a loop, it learns here.
        python.rate(THREADS[1].0, seconds);
        let mut beside = |client, threads| {
            let other = Running::start(clients::named(client), &target, threads);
            in_turns(0..run.pairs(), || python.rate(threads, seconds), || other.rate(length))
        };
        let cells = THREADS.map(|(threads, column)| {
            let ratios = beside(BASE, threads).into_iter().map(|(own, base)| own / base);
            let spread = Spread::of(ratios.collect());
            Figure { table: TABLE, row, column, unit: "ratio", spread }.record();
            format!("{spread:.3}")
        });
        println!("{row:<28} {:>22} {:>22}", cells[0], cells[1]);
        if row == MSTRIO {
            let (threads, column) = THREADS[1];
            let ratios = beside(OURS, threads).into_iter().map(|(own, ours)| ours / own);
            let spread = Spread::of(ratios.collect());
            println!("{DIRECTLY}: {row} {spread:.1}, {column}");
            Figure { table: DIRECTLY, row, column, unit: "ratio", spread }.record();
        }
    }
}
