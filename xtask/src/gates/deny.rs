//! Advisories, bans, licences and sources of dependencies; `deny.toml` has the rules.

use crate::command::{Outcome, cargo, run};
use crate::tools::DENY;

pub(crate) fn check() -> Outcome {
    DENY.provide()?;
    run(&mut cargo("deny --all-features --locked check licenses bans sources"))?;
    // The advisories come from a repository that is not reachable everywhere.
    let advisories = cargo("deny --all-features --locked check advisories").output();
    match advisories {
        Ok(output) if output.status.success() => println!("    advisories: none"),
        Ok(output) if is_unreachable(&output.stderr) => {
            println!("    advisories: SKIPPED, their database cannot be reached from here");
        }
        Ok(output) => return Err(String::from_utf8_lossy(&output.stderr).into_owned()),
        Err(error) => return Err(format!("cargo deny: {error}")),
    }
    Ok(())
}

fn is_unreachable(errors: &[u8]) -> bool {
    String::from_utf8_lossy(errors).contains("failed to fetch advisory database")
}
