//! One application request: when it is repeated, how long it may take.

mod machine;
mod policy;
mod spec;

pub(crate) use machine::{Call, Step, is_passing_status};
pub(crate) use policy::{Backoff, later};
pub use policy::{RetryPolicy, Timeouts};
pub(crate) use spec::{ERROR_BODY_LIMIT, Next, Plan, ProjectChoice, Spec};
