//! A case of the suite.

use mstr_core::BoxFuture;

use super::backend::Capability;
use super::context::Context;

/// One sentence of the contract.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Case {
    /// Group and name, for example `policy::a_redirect_is_not_followed`.
    pub name: &'static str,
    /// The capability that it needs.
    pub needs: Capability,
    pub(super) run: fn(Context) -> BoxFuture<'static, ()>,
}
