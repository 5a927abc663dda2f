//! A connection that speaks about one project.

use std::ops::Deref;

use super::Connection;

/// A handle on a connection's session whose requests are about one project.
///
/// Everything a [`Connection`] can do, it can do too. Cheap to clone; closing it closes the
/// connection it comes from.
#[derive(Clone, Debug)]
pub struct ProjectScope(Connection);

impl ProjectScope {
    pub(super) const fn new(connection: Connection) -> Self {
        Self(connection)
    }

    /// The same handle as a plain connection.
    #[must_use]
    pub fn into_connection(self) -> Connection {
        self.0
    }
}

impl Deref for ProjectScope {
    type Target = Connection;

    fn deref(&self) -> &Connection {
        &self.0
    }
}
