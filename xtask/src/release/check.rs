//! `cargo xtask release check`: the archives that would be published, built and tested alone.

use std::fs;
use std::path::Path;
use std::process::Command;

use super::{git, manifest, registry};
use crate::command::{Outcome, cargo, output, read, root, rules, run as run_command, target};
use crate::members::{Member, everything, members as all, published};
use crate::passed::Check;
use crate::tools::{Tls, openssl};

pub(super) fn run() -> Outcome {
    git::clean()?;
    names()?;
    Check::Packages.remember(archives)
}

/// Fails if the registry has another owner's crate under one of our names.
fn names() -> Outcome {
    let last = git::last_release()?.map(|version| git::tag(&version));
    for member in published()? {
        let path = member.path();
        let released = |tag: &String| {
            let text = git::text(tag, &path).unwrap_or_default();
            text.contains(&format!("name = \"{member}\""))
        };
        if last.as_ref().is_some_and(released) {
            println!("    {member} is ours: it was in the last release");
            continue;
        }
        match registry::about(&member.to_string())? {
            None => println!("    {member} is free"),
            // An interrupted release has published it.
            Some(about) if about.contains(&member.description) => {
                println!("    {member} is ours, by its description");
            }
            Some(about) => {
                return Err(format!(
                    "the registry has another crate with the name {member}, and nothing of ours can \
                     be published under it: give the package another name, in {path}\n\n{about}"
                ));
            }
        }
    }
    Ok(())
}

/// The same for whatever is in the folder, committed or not.
pub(crate) fn archives() -> Outcome {
    openssl()?;
    let version = manifest::version(&read(manifest::PATH)?)?.to_string();
    let mut package = cargo("package --locked --workspace --no-verify --quiet --allow-dirty");
    let members = published()?;
    for member in all()?.iter().filter(|member| !member.published) {
        package.args(["--exclude", &member.to_string()]);
    }
    run_command(&mut package)?;

    // Built and tested below, from the archives alone and all at once, which is more than the
    // verification that was left out above.
    let folder = root().join("target/unpacked");
    let failed = |error: std::io::Error| format!("{}: {error}", folder.display());
    if folder.exists() {
        fs::remove_dir_all(&folder).map_err(failed)?;
    }
    fs::create_dir_all(&folder).map_err(failed)?;
    for member in &members {
        let archive = format!("package/{member}-{version}.crate");
        unpack(&target()?.join(archive), &folder)?;
    }
    workspace(&folder, &version, &members)?;
    rules(&["archives", &folder.to_string_lossy()])?;
    println!("    the archives hold what they should and nothing else");

    let within = |words: String| {
        let mut command = cargo(&words);
        command.current_dir(&folder);
        // What the archives depend on has been built already.
        target().map(|target| {
            command.env("CARGO_TARGET_DIR", target);
            command
        })
    };
    run_command(&mut within(format!("test --workspace {}", everything(&members, Tls::Native)))?)?;
    let quickstart =
        output(&mut within("run --quiet --package mstr-sdk --example quickstart".into())?)?;
    if !quickstart.contains("sessions still open on the server: 0") {
        return Err(format!("the quickstart of the archive leaves sessions open:\n{quickstart}"));
    }
    println!("    the archives of {version} build and pass their tests on their own");
    Ok(())
}

fn unpack(archive: &Path, folder: &Path) -> Outcome {
    let mut tar = Command::new("tar");
    // With the time of unpacking: all archives have the same old one, by which cargo would take
    // what it has built of the last one for this one.
    tar.arg("-xmzf").arg(archive).arg("-C").arg(folder);
    output(&mut tar).map(drop)
}

/// Lets the archives find each other as they would in the registry.
fn workspace(folder: &Path, version: &str, members: &[Member]) -> Outcome {
    let list: String =
        members.iter().map(|member| format!("    \"{member}-{version}\",\n")).collect();
    let patches: String = members
        .iter()
        .map(|member| format!("{member} = {{ path = \"{member}-{version}\" }}\n"))
        .collect();
    let text = format!(
        "[workspace]\nresolver = \"3\"\nmembers = [\n{list}]\n\n[patch.crates-io]\n{patches}\n\
         [profile.dev]\ndebug = \"line-tables-only\"\n\n[profile.test]\ndebug = \
         \"line-tables-only\"\n"
    );
    fs::write(folder.join("Cargo.toml"), text).map_err(|error| error.to_string())?;
    // The versions that everything else was tested with.
    fs::copy(root().join("Cargo.lock"), folder.join("Cargo.lock"))
        .map(drop)
        .map_err(|error| error.to_string())
}
