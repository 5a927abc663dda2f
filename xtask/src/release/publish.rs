//! `cargo xtask release publish`: what is not in the registry yet, in dependency order, then a tag.

use semver::Version;

use super::{changelog, check, git, manifest, prepare, registry};
use crate::command::{Outcome, cargo, read, run as run_command};
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
    if dry_run {
        return rehearse(&rest, &options);
    }
    if !Check::Packages.has_passed()? {
        println!("    this commit has not passed `cargo xtask release check` here yet");
        check::run()?;
    }
    let again =
        |stopped: String| format!("{stopped}\n\nto go on: cargo xtask release publish{options}");
    upload(&version, done, &rest, |package| {
        run_command(&mut cargo(&format!("publish --locked --package {package}{options}")))
    })
    .map_err(again)?;
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

/// Everything but the upload. At once, because cargo then takes what is not there from here.
fn rehearse(rest: &[String], options: &str) -> Outcome {
    if rest.is_empty() {
        println!("    nothing to publish");
        return Ok(());
    }
    let packages = rest.join(" --package ");
    run_command(&mut cargo(&format!("publish --dry-run --locked --package {packages}{options}")))?;
    println!("\nwould publish, in this order: {}", rest.join(", "));
    Ok(())
}

/// Publishes one after the other and stops at the first that fails.
fn upload(
    version: &Version,
    mut done: Vec<String>,
    rest: &[String],
    mut publish: impl FnMut(&str) -> Outcome,
) -> Outcome {
    for (index, package) in rest.iter().enumerate() {
        if let Err(error) = publish(package) {
            let list = |packages: &[String]| match packages {
                [] => "nothing".to_owned(),
                some => some.join(", "),
            };
            return Err(format!(
                "{version} is not complete: {error}\n    published:     {}\n    not published: {}",
                list(&done),
                list(&rest[index..])
            ));
        }
        done.push(package.clone());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(names: &[&str]) -> Vec<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    #[test]
    fn the_first_failure_stops_and_says_what_is_done_and_what_is_not() {
        let mut tried = Vec::new();
        let version = Version::new(0, 1, 0);
        let stopped = upload(&version, names(&["a"]), &names(&["b", "c", "d"]), |package| {
            tried.push(package.to_owned());
            if package == "c" { Err("no route".into()) } else { Ok(()) }
        });
        assert_eq!(tried, ["b", "c"]);
        assert_eq!(
            stopped.unwrap_err(),
            "0.1.0 is not complete: no route\n    published:     a, b\n    not published: c, d"
        );
    }

    #[test]
    fn what_is_there_is_not_published_again() {
        let version = Version::new(0, 1, 0);
        let published = upload(&version, names(&["a", "b"]), &[], |package| Err(package.into()));
        assert_eq!(published, Ok(()));
    }
}
