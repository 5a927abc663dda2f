//! The lints, for each package and its features.

use crate::command::{Outcome, cargo, run};
use crate::members::members;
use crate::tools::Tls;

/// What is compiled only when a feature is off.
const LESS: [&str; 9] = [
    "mstr-fake --no-default-features",
    "mstr-fake --no-default-features --features tokio",
    "mstr-hyper --no-default-features",
    "mstr-hyper --no-default-features --features rustls-ring,webpki-roots",
    "mstr-isahc --no-default-features",
    "mstr-sdk --no-default-features",
    "mstr-sdk --no-default-features --features fake",
    "mstr-sdk --no-default-features --features isahc",
    "mstr-sdk --no-default-features --features tower",
];

pub(crate) fn check() -> Outcome {
    let tls = Tls::here();
    for package in members()? {
        let features = package.everything(tls);
        run(&mut cargo(&format!(
            "clippy --locked --package {package} --all-targets {features} -- -D warnings"
        )))?;
    }
    for less in LESS {
        let less = if tls == Tls::Rustls {
            less.replace("features isahc", "features isahc-rustls-tls")
        } else {
            less.to_owned()
        };
        run(&mut cargo(&format!("clippy --locked --lib --package {less} -- -D warnings")))?;
    }
    Ok(())
}
