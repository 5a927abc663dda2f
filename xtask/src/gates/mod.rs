//! Checks that keep the promises of the published crates, one file each.

pub(crate) mod clippy;
mod copy;
pub(crate) mod deny;
pub(crate) mod docs;
pub(crate) mod examples;
pub(crate) mod external_types;
pub(crate) mod gateways;
pub(crate) mod interop;
pub(crate) mod minimal;
pub(crate) mod msrv;
pub(crate) mod old_http;
pub(crate) mod platforms;
pub(crate) mod powerset;
pub(crate) mod quickstart;
pub(crate) mod semver;
pub(crate) mod spelling;
