//! A connection that speaks about one project.

use std::ops::Deref;

use super::connection::Connection;
use crate::error::Error;
#[cfg(doc)]
use crate::error::ErrorKind;
use crate::protocol::{ProjectId, ProjectRef};

/// A handle on a connection's session whose requests are about one project.
///
/// Everything a [`Connection`] can do, it can do too. Cheap to clone; closing it closes the
/// connection it comes from.
#[derive(Clone, Debug)]
pub struct ProjectScope(Connection);

impl ProjectScope {
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

impl Connection {
    /// A handle on the same session whose requests are about this project.
    ///
    /// # Errors
    ///
    /// [`ProjectUnavailable`](ErrorKind::ProjectUnavailable) if it is unknown or ambiguous, and
    /// those of any request.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future ends the request.
    pub async fn project_scope(
        &self,
        project: impl Into<ProjectRef>,
    ) -> Result<ProjectScope, Error> {
        let projects = self.projects().await?;
        Ok(ProjectScope(Self(self.0.scoped(&projects, &project.into())?)))
    }

    /// [`project_scope`](Self::project_scope) by id, in any case.
    ///
    /// # Errors
    ///
    /// [`Usage`](ErrorKind::Usage) if it is no id, and those of
    /// [`project_scope`](Self::project_scope).
    ///
    /// # Cancel safety
    ///
    /// Dropping the future ends the request.
    pub async fn project_by_id(&self, id: impl AsRef<str>) -> Result<ProjectScope, Error> {
        self.project_scope(ProjectId::new(id)?).await
    }

    /// [`project_scope`](Self::project_scope) by name.
    ///
    /// # Errors
    ///
    /// Those of [`project_scope`](Self::project_scope).
    ///
    /// # Cancel safety
    ///
    /// Dropping the future ends the request.
    pub async fn project_by_name(&self, name: impl Into<String>) -> Result<ProjectScope, Error> {
        self.project_scope(ProjectRef::Name(name.into())).await
    }

    /// A new handle with another default project. This one keeps its own, so that tasks which
    /// share it never send each other's project.
    ///
    /// # Errors
    ///
    /// Those of [`project_scope`](Self::project_scope).
    ///
    /// # Cancel safety
    ///
    /// Dropping the future ends the request.
    pub async fn select_project(&self, project: impl Into<ProjectRef>) -> Result<Self, Error> {
        Ok(self.project_scope(project).await?.into_connection())
    }
}
