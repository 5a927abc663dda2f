//! `cargo xtask release check`: the archives that would be published, built and tested alone.

mod archive;

use std::fs;
use std::path::Path;
use std::process::Command;

use super::manifest;
use crate::command::{Outcome, cargo, metadata, output, read, root, run as run_command, target};
use crate::members::{MEMBERS, published, published_features};
use crate::passed::Check;
use crate::tools::openssl;

pub(super) fn run() -> Outcome {
    openssl()?;
    Check::Packages.remember(check)
}

fn check() -> Outcome {
    let version = manifest::version(&read(manifest::PATH)?)?;
    complain(archive::unversioned(&metadata()?))?;

    let mut package = cargo("package --locked --workspace --no-verify --quiet");
    for member in MEMBERS.iter().filter(|member| !member.published) {
        package.args(["--exclude", &member.to_string()]);
    }
    run_command(&mut package)?;

    // Built and tested below, from the archives alone and all at once, which is more than the
    // verification that was left out above.
    let folder = root().join("target/unpacked");
    let missing = |error: std::io::Error| format!("{}: {error}", folder.display());
    if folder.exists() {
        fs::remove_dir_all(&folder).map_err(missing)?;
    }
    fs::create_dir_all(&folder).map_err(missing)?;
    let mut complaints = Vec::new();
    for member in published() {
        let name = format!("{member}-{version}");
        unpack(&target()?.join("package").join(format!("{name}.crate")), &folder)?;
        complaints.extend(archive::check(&member.to_string(), &folder.join(&name))?);
    }
    complain(complaints)?;
    println!("    the archives hold what they should and nothing else");

    workspace(&folder, &version.to_string())?;
    let within = |words: String| {
        let mut command = cargo(&words);
        command.current_dir(&folder);
        // What the archives depend on has been built already.
        target().map(|target| {
            command.env("CARGO_TARGET_DIR", target);
            command
        })
    };
    run_command(&mut within(format!("test --workspace {}", published_features()))?)?;
    let quickstart =
        output(&mut within("run --quiet --package mstr --example quickstart".into())?)?;
    if !quickstart.contains("sessions still open on the server: 0") {
        return Err(format!("the quickstart of the archive leaves sessions open:\n{quickstart}"));
    }
    println!("    the archives of {version} build and pass their tests on their own");
    Ok(())
}

fn complain(complaints: Vec<String>) -> Outcome {
    if complaints.is_empty() { Ok(()) } else { Err(complaints.join("\n")) }
}

fn unpack(archive: &Path, folder: &Path) -> Outcome {
    let mut tar = Command::new("tar");
    tar.arg("-xzf").arg(archive).arg("-C").arg(folder);
    output(&mut tar).map(drop)
}

/// Lets the archives find each other as they would in the registry.
fn workspace(folder: &Path, version: &str) -> Outcome {
    let members: String =
        published().map(|member| format!("    \"{member}-{version}\",\n")).collect();
    let patches: String = published()
        .map(|member| format!("{member} = {{ path = \"{member}-{version}\" }}\n"))
        .collect();
    let text = format!(
        "[workspace]\nresolver = \"3\"\nmembers = [\n{members}]\n\n[patch.crates-io]\n{patches}\n\
         [profile.dev]\ndebug = \"line-tables-only\"\n\n[profile.test]\ndebug = \
         \"line-tables-only\"\n"
    );
    fs::write(folder.join("Cargo.toml"), text).map_err(|error| error.to_string())?;
    // The versions that everything else was tested with.
    fs::copy(root().join("Cargo.lock"), folder.join("Cargo.lock"))
        .map(drop)
        .map_err(|error| error.to_string())
}
