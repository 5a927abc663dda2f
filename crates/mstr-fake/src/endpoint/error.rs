//! The reason why an endpoint cannot be added.

use std::fmt;

/// The reason why an endpoint cannot be added.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct EndpointError(pub(super) String);

impl fmt::Display for EndpointError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for EndpointError {}
