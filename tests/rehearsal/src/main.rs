//! `cargo xtask release rehearse`: real releases of a copy, to a real registry on this machine.
//!
//! Four scenarios, run by the commands that a maintainer uses: a first release that a fresh
//! program depends on, a second one after a change, one that is interrupted half-way and resumed,
//! and a breaking change that calls itself a patch.
#![forbid(unsafe_code)]
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "this is a program")]

mod command;
mod program;
mod registry;
mod repository;

use std::fs;
use std::process::ExitCode;

use semver::Version;

use command::{Outcome, packages, root};
use program::Program;
use registry::Registry;
use repository::{Repository, tag};

/// What the rehearsed changes add to the core's public interface, and take away again.
const FIRST_ADDITION: &str = "rehearsed_once";
const SECOND_ADDITION: &str = "rehearsed_twice";
const THIRD_ADDITION: &str = "rehearsed_thrice";

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("{message}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Outcome {
    let folder = root().join("target/rehearsal");
    if folder.exists() {
        fs::remove_dir_all(&folder).map_err(|error| format!("{}: {error}", folder.display()))?;
    }
    let mut registry = Registry::start(&folder.join("registry"))?;
    let repository = Repository::copy(&folder.join("repository"), &registry)?;
    let program = Program::new(&folder.join("program"), &registry)?;

    println!("\n--- a first release, and a fresh program that depends on it");
    let first = first(&repository, &registry, &program)?;

    println!("\n--- a second release after a change");
    let second = second(&repository, &program, &first)?;

    println!("\n--- a release that is interrupted half-way and resumed");
    let third = interrupted(&repository, &mut registry, &program, &second)?;

    println!("\n--- a breaking change with the version of a patch");
    refused(&repository, &third)?;

    println!("\nfour rehearsals passed");
    Ok(())
}

fn first(repository: &Repository, registry: &Registry, program: &Program) -> Outcome<Version> {
    let version = repository.next_release()?;
    repository.prepare(&["--version", &version.to_string()])?;
    repository.publish(&["--dry-run"])?;
    expect(registry.versions("mstr-core")?.is_empty(), "a dry run publishes nothing")?;
    expect(!repository.is_tagged(&version)?, "a dry run makes no tag")?;

    repository.publish(&[])?;
    expect(repository.is_tagged(&version)?, "a release ends with an annotated tag")?;
    for package in packages(false)? {
        let versions = registry.versions(&package)?;
        expect(versions == [version.to_string()], &format!("{package} {version} is published"))?;
    }
    program.quickstart(&version)?;

    repository.check_out(&tag(&version))?;
    let again = repository.publish(&[])?;
    repository.check_out("main")?;
    let skipped = again.matches("is there already").count();
    expect(skipped == packages(false)?.len(), "publishing again changes nothing")?;
    Ok(version)
}

fn second(repository: &Repository, program: &Program, last: &Version) -> Outcome<Version> {
    repository.add(FIRST_ADDITION)?;
    let version = patch(last);
    repository.prepare(&["--bump", "patch"])?;
    repository.publish(&[])?;
    program.uses(FIRST_ADDITION, &version)?;
    Ok(version)
}

fn interrupted(
    repository: &Repository,
    registry: &mut Registry,
    program: &Program,
    last: &Version,
) -> Outcome<Version> {
    repository.add(SECOND_ADDITION)?;
    let version = patch(last);
    repository.prepare(&["--bump", "patch"])?;

    let publishing = repository.begin_publishing()?;
    publishing.says(&format!("Uploaded mstr-core v{version} "))?;
    registry.stop();
    let stopped = publishing.fails()?;
    println!("{stopped}");
    expect(stopped.contains(&format!("{version} is not complete")), "it says that it stopped")?;
    let list = |name: &str| {
        let line = stopped.lines().find_map(|line| line.trim().strip_prefix(name));
        line.unwrap_or_default().to_owned()
    };
    expect(list("published:").contains("mstr-core"), "it says what is published")?;
    expect(list("not published:").ends_with(", mstr-sdk"), "it says what is not")?;
    expect(
        stopped.contains("to go on: cargo xtask release publish --registry rehearsal"),
        "it says how to go on",
    )?;
    expect(!repository.is_tagged(&version)?, "half a release has no tag")?;

    registry.restart()?;
    let resumed = repository.publish(&[])?;
    expect(
        resumed.contains(&format!("mstr-core {version} is there already")),
        "what is published is not published again",
    )?;
    expect(repository.is_tagged(&version)?, "a resumed release ends with the tag")?;
    for package in packages(false)? {
        let versions = registry.versions(&package)?;
        let count = versions.iter().filter(|other| **other == version.to_string()).count();
        expect(count == 1, &format!("{package} {version} is published once"))?;
    }
    program.uses(SECOND_ADDITION, &version)?;
    Ok(version)
}

fn refused(repository: &Repository, last: &Version) -> Outcome {
    repository.remove(FIRST_ADDITION)?;
    let before = repository.head()?;
    let error = repository.prepare_fails(&["--bump", "patch"])?;
    println!("{error}");
    expect(error.contains(FIRST_ADDITION), "the item that breaks is named")?;
    expect(repository.head()? == before, "a refused release makes no commit")?;
    expect(repository.is_clean()?, "a refused release leaves no change")?;
    let version = Version::new(last.major, last.minor + 1, 0);
    repository.prepare(&["--bump", "minor"])?;
    expect(repository.head()? != before, &format!("{version} may break what {last} had"))?;

    // That version cannot be completed, say, because its archives do not build.
    repository.add(THIRD_ADDITION)?;
    let error = repository.prepare_fails(&["--bump", "patch"])?;
    expect(error.contains("--version X.Y.Z"), "it says how to give up a prepared version")?;
    let version = patch(&version);
    repository.prepare(&["--version", &version.to_string()])
}

fn patch(last: &Version) -> Version {
    Version::new(last.major, last.minor, last.patch + 1)
}

fn expect(holds: bool, what: &str) -> Outcome {
    if !holds {
        return Err(format!("the rehearsal failed; it should hold that {what}"));
    }
    println!("ok  {what}");
    Ok(())
}
