//! `cargo xtask release prepare`: everything that can be checked before a release, then its commit.

use std::fs;

use semver::Version;

use super::version::{Next, allows};
use super::{all_tagged, changelog, git, install, manifest};
use crate::command::{Outcome, cargo, output, read, root};
use crate::passed::Check;
use crate::{ci, gates};

const LOCK: &str = "Cargo.lock";

pub(super) fn run(next: Next, date: &str) -> Outcome {
    git::on_main()?;
    git::clean()?;
    git::identity()?;
    let current = manifest::version(&read(manifest::PATH)?)?;
    // A higher version that is named gives up one that could not be completed.
    if !matches!(&next, Next::Version(version) if *version > current) {
        all_tagged()?;
    }
    let last = git::last_release()?;
    let next = next.after(last.as_ref())?;
    if git::tagged(&next).is_some() {
        return Err(format!("the tag {} exists, on another branch", git::tag(&next)));
    }
    let written = read(changelog::PATH)?;
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
        println!("    this commit has passed `cargo xtask ci --release`");
    } else {
        ci::before_a_release()?;
    }
    git::clean()?;

    write(&next, &changelog).and_then(|()| commit(&next)).map_err(|error| {
        // Half a preparation is worse than none.
        match changed().and_then(|files| git::restore(&files)) {
            Ok(()) => error,
            Err(problem) => format!("{error}\nand what was written could not be undone: {problem}"),
        }
    })
}

fn write(next: &Version, changelog: &str) -> Outcome {
    let put = |path: &str, text: &str| {
        fs::write(root().join(path), text).map_err(|error| format!("{path}: {error}"))
    };
    let manifest = manifest::with_version(&read(manifest::PATH)?, next)?;
    put(manifest::PATH, &manifest)?;
    put(changelog::PATH, changelog)?;
    for path in install::PATHS {
        put(path, &install::with_version(&read(path)?, next))?;
    }
    let before = read(LOCK)?;
    // Writes the members' new version into the lock, and asks no registry.
    output(&mut cargo("metadata --offline --format-version 1"))?;
    if manifest::locked(&before) != manifest::locked(&read(LOCK)?) {
        return Err(format!("{LOCK} would change by more than the version of the members"));
    }
    Ok(())
}

fn commit(next: &Version) -> Outcome {
    git::clean_but(&belongs)?;
    let files = changed()?;
    git::commit_files(&git::release_subject(next), &files)?;
    println!(
        "\n{next} is prepared. Next:\n    \
         cargo xtask release check\n    \
         cargo xtask release publish --dry-run\n    \
         git push origin main\n    \
         cargo xtask release publish"
    );
    Ok(())
}

/// The files of a release that differ from the commit.
fn changed() -> Outcome<Vec<String>> {
    Ok(git::changed()?.into_iter().filter(|path| belongs(path)).collect())
}

/// Whether a release may change this file.
pub(super) fn belongs(path: &str) -> bool {
    [manifest::PATH, LOCK, changelog::PATH].contains(&path) || install::PATHS.contains(&path)
}

#[cfg(test)]
mod tests {
    use super::belongs;

    #[test]
    fn a_release_changes_the_version_the_install_lines_and_the_changelog_only() {
        for path in
            ["Cargo.toml", "Cargo.lock", "CHANGELOG.md", "README.md", "crates/mstr/src/lib.rs"]
        {
            assert!(belongs(path), "{path}");
        }
        for path in ["crates/mstr/Cargo.toml", "crates/mstr-core/src/lib.rs", "docs/CHANGELOG.md"] {
            assert!(!belongs(path), "{path}");
        }
    }
}
