//! Whose types stand in the public signatures of the published crates.
//!
//! A type of another crate ties our versions to that crate's: its next major version is one of
//! ours. Each crate's list of those that are wanted is in `external-types/`.

use crate::command::{Outcome, cargo, root, run, unstable};
use crate::members::{everything, published};
use crate::tools::{EXTERNAL_TYPES, Tls, openssl};

pub(crate) fn check() -> Outcome {
    openssl()?;
    EXTERNAL_TYPES.provide()?;
    for member in published()? {
        // With the package named before each feature: the tool asks cargo for the whole workspace.
        let features = everything(std::slice::from_ref(&member), Tls::Native);
        let mut command = cargo(&format!("check-external-types {features}"));
        command.arg("--manifest-path").arg(&member.manifest);
        command.arg("--config").arg(root().join(format!("xtask/external-types/{member}.toml")));
        // It reads what rustdoc writes for programs, which is not stable yet.
        run(unstable(&mut command)).map_err(|error| {
            format!(
                "{error}\n{member} shows a type of another crate: see above. Wrap it, or add it to \
                 xtask/external-types/{member}.toml with a reason"
            )
        })?;
    }
    Ok(())
}
