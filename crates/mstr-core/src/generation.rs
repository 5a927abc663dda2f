//! Which session of a connection something belongs to.

use std::fmt;

use serde::Serialize;

/// Counts the sessions of a connection, from 1.
///
/// A refusal that arrives late is recognised by its generation: it is about a session that has
/// been replaced, and says nothing about the current one.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(transparent)]
pub struct Generation(u64);

impl Generation {
    pub(crate) const NONE: Self = Self(0);

    pub(crate) const fn from_number(number: u64) -> Self {
        Self(number)
    }

    /// The number.
    #[must_use]
    pub const fn number(self) -> u64 {
        self.0
    }

    pub(crate) const fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }

    /// The next one, and not before `given`: where sessions come from elsewhere too, they are
    /// numbered by all who share them, and no number may come twice.
    pub(crate) fn next_from(self, given: Self) -> Self {
        self.next().max(given)
    }
}

impl fmt::Display for Generation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
