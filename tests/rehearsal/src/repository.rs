//! A copy of the repository in which releases may be made.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use semver::Version;
use toml_edit::{DocumentMut, Item, value};

use crate::command::{Outcome, build_folder, cargo, git, output, packages, root};
use crate::registry::{Environment, NAME, Registry, wait};

const CHANGELOG: &str = "CHANGELOG.md";
const MANIFEST: &str = "Cargo.toml";
const CORE: &str = "crates/mstr-core/src/lib.rs";
const DATE: &str = "2026-01-31";
/// A cold build of all crates and what they depend on, on a slow machine.
const LONGEST_BUILD: Duration = Duration::from_secs(900);

pub(crate) struct Repository {
    folder: PathBuf,
    environment: Environment,
}

/// A publication under way.
pub(crate) struct Publishing {
    process: Child,
    /// What it says about its failure. A file, because no pipe is read while it runs.
    log: PathBuf,
}

impl Repository {
    /// Copies what is committed, and sends it to another registry.
    pub(crate) fn copy(folder: &Path, registry: &Registry) -> Outcome<Self> {
        output(git(&["clone", "--quiet", "--no-hardlinks"]).arg(root()).arg(folder))?;
        let repository = Self { folder: folder.to_owned(), environment: registry.environment() };
        // Whatever is checked out here is the main branch there.
        repository.git(&["checkout", "--quiet", "-B", "main"])?;
        repository.git(&["config", "user.name", "Rehearsal"])?;
        repository.git(&["config", "user.email", "rehearsal@localhost"])?;
        let text = repository.read(MANIFEST)?;
        let version = version(&text)?;
        let written = repository.read(CHANGELOG)?;
        if written.contains(&format!("\n## {version} (")) && !repository.has_tag(&version)? {
            // A release that is being made, or a copy without tags.
            repository.git(&["tag", &tag(&version)])?;
        }
        repository.write(MANIFEST, &elsewhere(&text)?)?;
        let mut clean = cargo("clean --quiet");
        clean
            .args(packages(true)?.iter().map(|member| format!("--package={member}")))
            .current_dir(folder);
        clean.envs(repository.environment.clone()).env("CARGO_TARGET_DIR", build_folder());
        // Build products of an earlier rehearsal's copy, which are of no use.
        output(&mut clean)?;
        repository.note("Rehearse a release.")?;
        repository.commit("Release to a registry on this machine")?;
        Ok(repository)
    }

    /// The version that is the next to be released: the one that stands in the manifest, unless
    /// that has been released.
    pub(crate) fn next_release(&self) -> Outcome<Version> {
        let version = version(&self.read(MANIFEST)?)?;
        let tags = self.git(&["tag", "--list", "v*", "--merged", "HEAD"])?;
        Ok(
            match tags
                .lines()
                .filter_map(|tag| tag.strip_prefix('v')?.parse::<Version>().ok())
                .max()
            {
                Some(last) if last >= version => Version::new(last.major, last.minor + 1, 0),
                _ => version,
            },
        )
    }

    pub(crate) fn prepare(&self, words: &[&str]) -> Outcome {
        self.passed("ci")?;
        let text = output(&mut self.release("prepare", &[words, &["--date", DATE]].concat()))?;
        println!("{text}");
        Ok(())
    }

    /// Expects a refusal and returns what it says.
    pub(crate) fn prepare_fails(&self, words: &[&str]) -> Outcome<String> {
        self.passed("ci")?;
        match output(&mut self.release("prepare", &[words, &["--date", DATE]].concat())) {
            Ok(text) => Err(format!("this was to be refused:\n{text}")),
            Err(error) => Ok(error),
        }
    }

    pub(crate) fn publish(&self, words: &[&str]) -> Outcome<String> {
        self.passed("packages")?;
        let text = output(&mut self.release("publish", &[words, &["--registry", NAME]].concat()))?;
        println!("{text}");
        Ok(text)
    }

    pub(crate) fn begin_publishing(&self) -> Outcome<Publishing> {
        self.passed("packages")?;
        let log = build_folder().join("publishing.log");
        let file = File::create(&log).map_err(|error| format!("{}: {error}", log.display()))?;
        let mut command = self.release("publish", &["--registry", NAME]);
        // The registry will be gone, which need not be tried three times.
        command.env("CARGO_NET_RETRY", "0");
        let command = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(file);
        let process = command.spawn().map_err(|error| format!("cargo xtask: {error}"))?;
        Ok(Publishing { process, log })
    }

    /// Adds a public function to the core.
    pub(crate) fn add(&self, name: &str) -> Outcome {
        let text = self.read(CORE)?;
        self.write(CORE, &format!("{text}{}", function(name)))?;
        self.note(&format!("`{name}` is there."))?;
        self.commit(&format!("Add {name}"))
    }

    /// Takes it away again.
    pub(crate) fn remove(&self, name: &str) -> Outcome {
        let text = self.read(CORE)?;
        self.write(CORE, &text.replace(&function(name), ""))?;
        self.note(&format!("`{name}` is gone."))?;
        self.commit(&format!("Remove {name}"))
    }

    /// Checks a commit out, and not its branch.
    pub(crate) fn check_out(&self, revision: &str) -> Outcome {
        self.git(&["checkout", "--quiet", revision]).map(drop)
    }

    pub(crate) fn head(&self) -> Outcome<String> {
        self.git(&["rev-parse", "HEAD"])
    }

    pub(crate) fn is_clean(&self) -> Outcome<bool> {
        Ok(self.git(&["status", "--porcelain"])?.is_empty())
    }

    /// Whether the commit that is checked out has this version's annotated tag.
    pub(crate) fn is_tagged(&self, version: &Version) -> Outcome<bool> {
        let tags = self.git(&["tag", "--list", "--points-at", "HEAD", &tag(version)])?;
        if tags.trim().is_empty() {
            return Ok(false);
        }
        let kind = self.git(&["cat-file", "-t", &tag(version)])?;
        Ok(kind.trim() == "tag")
    }

    fn has_tag(&self, version: &Version) -> Outcome<bool> {
        Ok(!self.git(&["tag", "--list", &tag(version)])?.trim().is_empty())
    }

    /// Says that a check has passed which would take long, and which is not what is rehearsed.
    fn passed(&self, check: &str) -> Outcome {
        self.write(&format!("target/passed/{check}"), &self.head()?)
    }

    fn release(&self, command: &str, words: &[&str]) -> Command {
        let mut xtask = cargo("run --locked --quiet --package xtask -- release");
        xtask.arg(command).args(words).current_dir(&self.folder);
        xtask.envs(self.environment.clone());
        xtask.env("CARGO_TARGET_DIR", build_folder());
        xtask
    }

    /// A line about what is not released yet.
    fn note(&self, line: &str) -> Outcome {
        let heading = "## Unreleased\n";
        let text = self.read(CHANGELOG)?;
        let text = text.replacen(heading, &format!("{heading}\n- {line}\n"), 1);
        self.write(CHANGELOG, &text)
    }

    fn commit(&self, message: &str) -> Outcome {
        self.git(&["commit", "--quiet", "--all", "--message", message]).map(drop)
    }

    fn git(&self, words: &[&str]) -> Outcome<String> {
        output(git(words).current_dir(&self.folder))
    }

    fn read(&self, path: &str) -> Outcome<String> {
        fs::read_to_string(self.folder.join(path)).map_err(|error| format!("{path}: {error}"))
    }

    fn write(&self, path: &str, text: &str) -> Outcome {
        let file = self.folder.join(path);
        let written = file.parent().map_or(Ok(()), fs::create_dir_all);
        written.and_then(|()| fs::write(&file, text)).map_err(|error| format!("{path}: {error}"))
    }
}

impl Publishing {
    /// Waits until it has said this.
    pub(crate) fn says(&self, words: &str) -> Outcome {
        let said = || Ok(fs::read_to_string(&self.log).is_ok_and(|log| log.contains(words)));
        if wait(LONGEST_BUILD, said)? { Ok(()) } else { Err(format!("it never said {words:?}")) }
    }

    /// Waits for its end and returns what it says about its failure.
    pub(crate) fn fails(mut self) -> Outcome<String> {
        let status = self.process.wait().map_err(|error| error.to_string())?;
        if status.success() {
            return Err("the publication was to stop".into());
        }
        fs::read_to_string(&self.log).map_err(|error| format!("{}: {error}", self.log.display()))
    }
}

impl Drop for Publishing {
    fn drop(&mut self) {
        drop(self.process.kill());
        drop(self.process.wait());
    }
}

fn function(name: &str) -> String {
    format!("\n/// Rehearsed.\npub fn {name}() -> u32 {{\n    7\n}}\n")
}

pub(crate) fn tag(version: &Version) -> String {
    format!("v{version}")
}

/// The version of all crates.
fn version(manifest: &str) -> Outcome<Version> {
    let document: DocumentMut = manifest.parse().map_err(|error| format!("{MANIFEST}: {error}"))?;
    let version = document
        .get("workspace")
        .and_then(|workspace| workspace.get("package"))
        .and_then(|package| package.get("version"))
        .and_then(Item::as_str);
    let version = version.and_then(|version| version.parse().ok());
    version.ok_or_else(|| format!("{MANIFEST} has no version"))
}

/// The manifest with its published members in the rehearsal's registry.
fn elsewhere(text: &str) -> Outcome<String> {
    let mut document: DocumentMut =
        text.parse().map_err(|error| format!("{}: {error}", MANIFEST))?;
    let dependencies = document
        .get_mut("workspace")
        .and_then(|workspace| workspace.get_mut("dependencies"))
        .and_then(Item::as_table_like_mut)
        .ok_or("no workspace.dependencies")?;
    for member in packages(false)? {
        let mut tables = dependencies
            .iter_mut()
            .filter_map(|(name, item)| Some((name.to_string(), item.as_table_like_mut()?)));
        // The facade's library has another name than its package.
        let dependency = tables.find(|(name, table)| match table.get("package") {
            Some(package) => package.as_str() == Some(&member),
            None => *name == member,
        });
        let (_, dependency) = dependency.ok_or_else(|| format!("no {member} to depend on"))?;
        dependency.insert("registry", value(NAME));
    }
    Ok(document.to_string())
}
