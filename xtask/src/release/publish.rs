//! `cargo xtask release publish`: the crates that are not in the registry yet, then a tag.

use semver::Version;

use super::{changelog, check, git, manifest, prepare, registry};
use crate::command::{Outcome, cargo, overheard, read, run as run_command};
use crate::members::published;
use crate::passed::Check;

pub(super) fn run(dry_run: bool, name: Option<&str>) -> Outcome {
    git::clean()?;
    let version = manifest::version(&read(manifest::PATH)?)?;
    let written = read(changelog::PATH)?;
    let changes = changelog::section(&written, &version).ok_or_else(|| {
        format!(
            "{} says nothing about {version}: prepare a release first, with `cargo xtask release \
             prepare`",
            changelog::PATH
        )
    })?;
    let tagged = git::tagged(&version);
    if tagged.as_ref().is_some_and(|commit| git::head().as_ref() != Ok(commit)) {
        return Err(format!(
            "{} is the tag of another commit: {version} has been released. Check that commit out \
             to go on with it, or prepare the next version",
            git::tag(&version)
        ));
    }
    let changed = git::changed_by_head()?;
    if git::subject()? != git::release_subject(&version)
        || !changed.iter().all(|path| prepare::belongs(path))
    {
        return Err(format!(
            "this is not the commit that `cargo xtask release prepare` made for {version}, and \
             nothing else is published under that version"
        ));
    }
    git::part_of_main()?;
    git::identity()?;

    let (done, rest) = split(&version, name)?;
    for package in &done {
        println!("    {package} {version} is there already");
    }
    let options = name.map(|name| format!(" --registry {name}")).unwrap_or_default();
    // At once: cargo builds all of them before it uploads any, and each after those it needs.
    let all = format!("publish --locked --package {}{options}", rest.join(" --package "));
    if dry_run {
        if rest.is_empty() {
            println!("    nothing to publish");
            return Ok(());
        }
        run_command(&mut cargo(&format!("{all} --dry-run")))?;
        println!("\nwould publish {}", rest.join(", "));
        return Ok(());
    }
    if !Check::Packages.has_passed()? {
        println!("    this commit has not passed `cargo xtask release check` here yet");
        check::run()?;
    }
    let again =
        |stopped: String| format!("{stopped}\n\nto go on: cargo xtask release publish{options}");
    if !rest.is_empty() {
        let (outcome, told) = overheard(&mut cargo(&all));
        outcome.map_err(|error| again(stopped(&version, &error, &told, done, rest)))?;
    }
    if tagged.is_none() {
        let tag = git::annotate(&version, &format!("Release {version}\n\n{changes}\n"));
        tag.map_err(|error| again(format!("{version} is published and not tagged: {error}")))?;
    }
    let tag = git::tag(&version);
    println!("\n{version} is published and tagged. Last: git push origin {tag}");
    Ok(())
}

/// The packages that are in the registry and those that are not, in dependency order.
fn split(version: &Version, name: Option<&str>) -> Outcome<(Vec<String>, Vec<String>)> {
    let (mut done, mut rest) = (Vec::new(), Vec::new());
    for package in published()?.iter().map(ToString::to_string) {
        let there = registry::has(&package, version, name)?;
        if there { done.push(package) } else { rest.push(package) }
    }
    Ok((done, rest))
}

/// What is published now and what is not, by what cargo has told until it failed.
fn stopped(
    version: &Version,
    error: &str,
    told: &str,
    mut done: Vec<String>,
    rest: Vec<String>,
) -> String {
    let is_uploaded = |package: &String| told.contains(&format!("Uploaded {package} v{version} "));
    let (uploaded, rest): (Vec<_>, Vec<_>) = rest.into_iter().partition(is_uploaded);
    done.extend(uploaded);
    let list = |packages: &[String]| match packages {
        [] => "nothing".to_owned(),
        some => some.join(", "),
    };
    format!(
        "{version} is not complete: {error}\n    published:     {}\n    not published: {}",
        list(&done),
        list(&rest)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_publication_that_stops_says_what_is_done_and_what_is_not() {
        let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        let version = Version::new(0, 1, 0);
        let told = "   Packaged b v0.1.0\n   Uploaded b v0.1.0 to registry `r`\n   Uploading c v0.1.0 (/c)\n";
        let stopped = stopped(&version, "no route", told, names(&["a"]), names(&["b", "c", "d"]));
        assert_eq!(
            stopped,
            "0.1.0 is not complete: no route\n    published:     a, b\n    not published: c, d"
        );
    }
}
