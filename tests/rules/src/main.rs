//! The rules that the text of this repository keeps, and what is written from other texts.
//!
//! `cargo xtask tidy` and `cargo xtask generate` start it.
#![forbid(unsafe_code)]
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "this is a program")]

mod agreement;
mod attributes;
mod check;
mod circles;
mod command;
mod crates;
mod dependencies;
mod documents;
mod examples;
mod file;
mod generated;
mod imports;
mod layers;
mod lines;
mod lists;
mod manifests;
mod modules;
mod packages;
mod sources;
mod trees;

use std::path::Path;
use std::process::ExitCode;

const USAGE: &str = "\
usage: mstr-rules check             whether the repository keeps its rules
       mstr-rules trees             which crates may stand in whose dependency tree
       mstr-rules lines             how many lines of code the published crates have
       mstr-rules generate          writes what is written from other texts
       mstr-rules generate --check  writes nothing; fails if a file differs
       mstr-rules archives FOLDER   whether the packages in a workspace hold what is published";

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let outcome = match words.as_slice() {
        ["check"] => check::repository(),
        ["trees"] => trees::check(),
        ["lines"] => check::lines(),
        ["generate"] => generated::write(),
        ["generate", "--check"] => generated::check(),
        ["archives", folder] => check::archives(Path::new(folder)),
        _ => Err(USAGE.into()),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("{message}");
            ExitCode::FAILURE
        }
    }
}
