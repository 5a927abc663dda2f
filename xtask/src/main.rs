//! The project's automation: `cargo xtask --help`.
#![forbid(unsafe_code)]
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "this is a program")]

mod ci;
mod command;
mod deps;
mod interop;
mod members;
mod msrv;
mod old_http;
mod tidy;
mod tools;

use std::process::ExitCode;

const HELP: &str = "\
cargo xtask <command>

  ci                 everything a change has to pass, in one go
  ci --list          its steps
  ci --step NAME     one of them
  matrix             every case of the end-to-end suite and of the transport contract on every
                     backend, as tables, and what each backend can do
  interop            the vendor's Python client and plain requests against the fake server
  old-http           mstr-isahc in a program that keeps http 0.2
  deps               which crates may stand in whose dependency tree
  tidy               the text rules
  msrv               the minimum supported Rust version, as far as this machine can show it

What a step needs and this machine lacks is installed by the step, at a pinned version.
";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let outcome = match words.as_slice() {
        [] | ["help" | "-h" | "--help"] => {
            print!("{HELP}");
            return ExitCode::SUCCESS;
        }
        ["ci"] => ci::all(),
        ["ci", "--list"] => {
            ci::list();
            Ok(())
        }
        ["ci", "--step", name] => ci::one(name),
        ["matrix"] => command::run(&mut command::cargo(
            "run --locked --quiet --package mstr-stacks --bin matrix",
        )),
        ["interop"] => interop::check(),
        ["old-http"] => old_http::check(),
        ["deps"] => deps::check(),
        ["tidy"] => tidy::check(),
        ["msrv"] => msrv::check(),
        other => {
            eprintln!("xtask: \"{}\" is no command\n\n{HELP}", other.join(" "));
            return ExitCode::from(2);
        }
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("xtask: {message}");
            ExitCode::FAILURE
        }
    }
}
