//! Whether a published crate breaks what its last release promised.
//!
//! The facade re-exports what the core has, so a break in the core is one of the facade; the crates
//! share one version for that reason.

use crate::command::{Outcome, cargo, run};
use crate::members::published;
use crate::release::{self, git};
use crate::tools::{SEMVER, Tls, openssl};

/// `cargo xtask semver`: any change is compared as if it were a patch.
pub(crate) fn check(baseline: Option<&str>) -> Outcome {
    let baseline = match (baseline, git::last_release()?) {
        (Some(revision), _) => git::commit(revision)?,
        (None, Some(last)) => git::tag(&last),
        (None, None) => {
            release::all_tagged()?;
            println!("    SKIPPED: nothing has been released that could be broken");
            return Ok(());
        }
    };
    compare(&baseline, "minor")
}

/// Compares with a revision; `allowed` is the kind of change that the version may make, as the tool names it.
pub(crate) fn compare(baseline: &str, allowed: &str) -> Outcome {
    openssl()?;
    SEMVER.provide()?;
    let mut broken = Vec::new();
    for member in published()? {
        if !git::holds(baseline, &member.path()) {
            println!("    {member} is new");
            continue;
        }
        // The tool's own choice would be all of them.
        let features = member.everything(Tls::Native);
        let features = features.replace("--no-default-features", "--only-explicit-features");
        let words = format!(
            "semver-checks check-release --package {member} --baseline-rev {baseline} \
             --release-type {allowed} {features}"
        );
        if let Err(error) = run(&mut cargo(&words)) {
            broken.push(error);
        }
    }
    if broken.is_empty() {
        return Ok(());
    }
    Err(format!(
        "compared with {baseline}, a crate breaks what a version of this kind may not break, or could \
         not be compared; see above. Take the change back or release with a higher bump (before \
         1.0: minor)\n{}",
        broken.join("\n")
    ))
}
