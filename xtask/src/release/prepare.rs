//! `cargo xtask release prepare`: everything that can be checked before a release, then its commit.

use std::fs;

use semver::Version;

use super::version::{Next, allows};
use super::{changelog, git, manifest};
use crate::command::{Outcome, cargo, output, read, root};
use crate::passed::Check;
use crate::{ci, gates, generate};

const LOCK: &str = "Cargo.lock";

pub(super) fn run(next: Next, date: &str) -> Outcome {
    git::on_main()?;
    git::clean()?;
    let last = git::last_release()?;
    let next = next.after(last.as_ref())?;
    if git::tagged(&next).is_some() {
        return Err(format!("the tag {} exists, on another branch", git::tag(&next)));
    }
    let written = read(changelog::PATH)?;
    let current = manifest::version(&read(manifest::PATH)?)?;
    if changelog::section(&written, &current).is_some() && git::tagged(&current).is_none() {
        return Err(format!(
            "{current} is prepared and has not been published: go on with `cargo xtask release \
             publish`, or take its commit back"
        ));
    }
    let changelog = changelog::release(&written, &next, date)?;
    println!(
        "    {} -> {next}",
        last.as_ref().map_or_else(|| "nothing".into(), Version::to_string)
    );

    match &last {
        Some(last) => gates::semver::compare(&git::tag(last), allows(last, &next))?,
        None => println!("    nothing has been released that could be broken"),
    }
    if Check::Ci.has_passed()? {
        println!("    this commit has passed `cargo xtask ci`");
    } else {
        ci::all()?;
    }
    git::clean()?;

    write(&next, &changelog).and_then(|()| commit(&next)).inspect_err(|_| {
        // Half a preparation is worse than none. What cannot be undone, git shows.
        drop(changed().and_then(|files| git::restore(&files)));
    })
}

fn write(next: &Version, changelog: &str) -> Outcome {
    let put = |path: &str, text: &str| {
        fs::write(root().join(path), text).map_err(|error| format!("{path}: {error}"))
    };
    let manifest = manifest::with_version(&read(manifest::PATH)?, next)?;
    put(manifest::PATH, &manifest)?;
    put(changelog::PATH, changelog)?;
    let before = read(LOCK)?;
    // Writes the members' new version into the lock, and asks no registry.
    output(&mut cargo("metadata --offline --format-version 1"))?;
    if manifest::locked(&before) != manifest::locked(&read(LOCK)?) {
        return Err(format!("{LOCK} would change by more than the version of the members"));
    }
    generate::write_texts()
}

fn commit(next: &Version) -> Outcome {
    let files = changed()?;
    let foreign: Vec<&str> =
        files.iter().map(String::as_str).filter(|path| !belongs(path)).collect();
    if !foreign.is_empty() {
        return Err(format!("a release does not change {}", foreign.join(", ")));
    }
    git::commit_files(&git::release_subject(next), &files)?;
    println!(
        "\n{next} is prepared. Next:\n    \
         cargo xtask release check\n    \
         cargo xtask release publish --dry-run\n    \
         cargo xtask release publish"
    );
    Ok(())
}

/// The files that differ from the commit, and those it has not.
fn changed() -> Outcome<Vec<String>> {
    let words = ["ls-files", "--modified", "--others", "--exclude-standard", "--deduplicate"];
    Ok(output(&mut git::git(&words))?.lines().map(str::to_owned).collect())
}

/// Whether a release may change this file.
fn belongs(path: &str) -> bool {
    [manifest::PATH, LOCK, changelog::PATH].contains(&path) || path.ends_with("README.md")
}

#[cfg(test)]
mod tests {
    use super::belongs;

    #[test]
    fn a_release_changes_versions_and_documents_only() {
        for path in ["Cargo.toml", "Cargo.lock", "CHANGELOG.md", "crates/mstr/README.md"] {
            assert!(belongs(path), "{path}");
        }
        for path in ["crates/mstr/Cargo.toml", "crates/mstr/src/lib.rs", "docs/CHANGELOG.md"] {
            assert!(!belongs(path), "{path}");
        }
    }
}
