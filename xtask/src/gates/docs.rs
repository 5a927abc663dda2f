//! The documentation of every crate, and the links to it.

use std::fs;

use crate::command::{Outcome, cargo, run, target};
use crate::generate;
use crate::members::{everything, members, published};
use crate::tools::Tls;

pub(crate) fn check() -> Outcome {
    // Pages of what is gone would stay, and links to them with them.
    for member in published()? {
        let pages = target()?.join("doc").join(member.to_string().replace('-', "_"));
        if pages.exists() {
            fs::remove_dir_all(&pages).map_err(|error| format!("{}: {error}", pages.display()))?;
        }
    }
    let mut command = cargo(&format!(
        "doc --locked --workspace --no-deps {}",
        everything(&members()?, Tls::here())
    ));
    run(command.env("RUSTDOCFLAGS", "-D warnings"))?;
    generate::addresses()
}
