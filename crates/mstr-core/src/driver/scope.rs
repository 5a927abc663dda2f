//! The project that requests are about.

use std::sync::Arc;

use http::HeaderValue;

use crate::protocol::Project;
use crate::protocol::wire::project_header;

/// A project, and the header that says a request is about it.
pub(super) struct Scope {
    pub(super) project: Arc<Project>,
    pub(super) header: HeaderValue,
}

impl Scope {
    pub(super) fn new(project: Arc<Project>) -> Self {
        Self { header: project_header(&project.id), project }
    }
}
