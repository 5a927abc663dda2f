//! The git commands of a release.

use semver::Version;

use crate::command::{Outcome, git, output, run};

/// Fails if a file is changed or new.
pub(crate) fn clean() -> Outcome {
    let changes = output(&mut git(&["status", "--porcelain", "--untracked-files=normal"]))?;
    if changes.is_empty() {
        return Ok(());
    }
    Err(format!("there are changes that are not committed: commit or discard them\n{changes}"))
}

/// The tracked files that differ from the commit.
pub(super) fn changed() -> Outcome<Vec<String>> {
    let files = output(&mut git(&["diff", "--name-only", "HEAD"]))?;
    Ok(files.lines().map(str::to_owned).collect())
}

/// Fails if a file is changed or new that is not one of these.
pub(super) fn clean_but(wanted: &dyn Fn(&str) -> bool) -> Outcome {
    let words = ["ls-files", "--others", "--exclude-standard"];
    let new = output(&mut git(&words))?;
    let foreign = changed()?.into_iter().chain(new.lines().map(str::to_owned));
    let foreign: Vec<String> = foreign.filter(|path| !wanted(path)).collect();
    if foreign.is_empty() {
        return Ok(());
    }
    Err(format!("a release does not change {}", foreign.join(", ")))
}

pub(super) fn on_main() -> Outcome {
    let branch = output(&mut git(&["branch", "--show-current"]))?;
    match branch.trim() {
        "main" => Ok(()),
        "" => Err("releases are made on the branch main, and no branch is checked out".into()),
        other => Err(format!("releases are made on the branch main, this is {other}")),
    }
}

/// Fails if this commit is not part of main.
pub(super) fn part_of_main() -> Outcome {
    let ancestry = git(&["merge-base", "--is-ancestor", "HEAD", "main"]).status();
    match ancestry {
        Ok(status) if status.success() => Ok(()),
        _ => Err("releases are commits of the branch main, and this is none".into()),
    }
}

/// Fails if git does not know who commits and tags.
pub(super) fn identity() -> Outcome {
    output(&mut git(&["var", "GIT_COMMITTER_IDENT"])).map(drop)
}

/// The files in which this commit differs from the one before.
pub(super) fn changed_by_head() -> Outcome<Vec<String>> {
    let words = ["diff-tree", "--no-commit-id", "--name-only", "-r", "--root", "HEAD"];
    Ok(output(&mut git(&words))?.lines().map(str::to_owned).collect())
}

/// Whether this commit holds the file.
pub(crate) fn holds(revision: &str, path: &str) -> bool {
    let status = git(&["cat-file", "-e", &format!("{revision}:{path}")]).output();
    status.is_ok_and(|output| output.status.success())
}

/// The content of a file in this commit.
pub(super) fn text(revision: &str, path: &str) -> Outcome<String> {
    output(&mut git(&["show", &format!("{revision}:{path}")]))
}

/// The commit that is checked out.
pub(crate) fn head() -> Outcome<String> {
    commit("HEAD")
}

/// The first line of its message.
pub(super) fn subject() -> Outcome<String> {
    Ok(output(&mut git(&["log", "-1", "--format=%s"]))?.trim().to_owned())
}

/// The subject of the commit that is released as this version.
pub(super) fn release_subject(version: &Version) -> String {
    format!("Release {version}")
}

/// The commit that this revision names.
pub(crate) fn commit(revision: &str) -> Outcome<String> {
    let name = format!("{revision}^{{commit}}");
    let commit = output(&mut git(&["rev-parse", "--verify", "--quiet", &name]));
    let commit = commit.map_err(|_| format!("git knows no \"{revision}\""))?;
    Ok(commit.trim().to_owned())
}

pub(crate) fn tag(version: &Version) -> String {
    format!("v{version}")
}

/// The commit of this version's tag.
pub(super) fn tagged(version: &Version) -> Option<String> {
    commit(&format!("refs/tags/{}", tag(version))).ok()
}

/// The highest version whose tag leads here.
pub(crate) fn last_release() -> Outcome<Option<Version>> {
    let tags = output(&mut git(&["tag", "--list", "v*", "--merged", "HEAD"]))?;
    Ok(highest(&tags))
}

/// The highest version among the names of tags.
pub(super) fn highest(tags: &str) -> Option<Version> {
    tags.lines().filter_map(|tag| tag.trim().strip_prefix('v')?.parse().ok()).max()
}

/// Commits these files and nothing else.
pub(super) fn commit_files(message: &str, files: &[String]) -> Outcome {
    let mut command = git(&["commit", "--quiet", "--message", message, "--"]);
    run(command.args(files))
}

/// Undoes uncommitted changes in these files.
pub(super) fn restore(files: &[String]) -> Outcome {
    if files.is_empty() {
        return Ok(());
    }
    run(git(&["restore", "--"]).args(files))
}

/// An annotated tag of the commit that is checked out.
pub(super) fn annotate(version: &Version, message: &str) -> Outcome {
    let name = tag(version);
    // Headings of the changelog begin with what git takes for comments.
    let words = ["tag", "--annotate", &name, "--cleanup", "verbatim", "--message", message];
    output(&mut git(&words)).map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_release_is_the_highest_and_not_the_last_in_the_list() {
        let last = highest("v0.10.0\nv0.2.0\nv0.9.1\nvolatile\n").unwrap();
        assert_eq!(last, Version::new(0, 10, 0));
        assert_eq!(highest(""), None);
    }
}
