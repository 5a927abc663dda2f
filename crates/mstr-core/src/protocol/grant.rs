//! What makes a request belong to a session.

use std::fmt;
use std::sync::Arc;

use http::header::{COOKIE, HeaderMap, HeaderName, HeaderValue};

use super::ProjectId;

/// The header that carries a session's token, both ways.
pub(crate) const AUTH_TOKEN: HeaderName = HeaderName::from_static("x-mstr-authtoken");
/// The header that says which project a request is about.
pub(crate) const PROJECT_ID: HeaderName = HeaderName::from_static("x-mstr-projectid");
/// The header that carries an identity token, both ways.
pub(crate) const IDENTITY_TOKEN: HeaderName = HeaderName::from_static("x-mstr-identitytoken");

/// Counts the sessions a connection has opened, from 1.
///
/// A refusal that arrives late is recognised by its generation: it is about a session that has
/// been replaced, and says nothing about the current one.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Generation(u64);

impl Generation {
    pub(crate) const NONE: Self = Self(0);

    /// The number.
    #[must_use]
    pub const fn number(self) -> u64 {
        self.0
    }

    pub(crate) const fn next(self) -> Self {
        Self(self.0 + 1)
    }
}

impl fmt::Display for Generation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Permission to send requests in one session: its token and cookies, as they were when the
/// grant was given. One value, so that the token of one login never travels with the cookies of
/// another.
#[derive(Clone)]
pub struct Grant {
    pub(crate) generation: Generation,
    /// Counts the changes of the cookies within the generation.
    pub(crate) epoch: u64,
    pub(crate) wire: Arc<WireCredentials>,
}

pub(crate) struct WireCredentials {
    pub(crate) token: HeaderValue,
    pub(crate) cookies: Option<HeaderValue>,
}

impl Grant {
    /// Which session this belongs to.
    #[must_use]
    pub const fn generation(&self) -> Generation {
        self.generation
    }

    /// Adds token, cookies and, if given, the project to a request's headers. All of them are
    /// marked sensitive or harmless.
    pub fn apply(&self, headers: &mut HeaderMap, scope: Option<&ProjectId>) {
        self.wire.apply(headers);
        if let Some(project) = scope.and_then(|id| HeaderValue::from_str(id.as_str()).ok()) {
            headers.insert(PROJECT_ID, project);
        }
    }
}

impl WireCredentials {
    pub(crate) fn apply(&self, headers: &mut HeaderMap) {
        headers.insert(AUTH_TOKEN, self.token.clone());
        if let Some(cookies) = &self.cookies {
            headers.insert(COOKIE, cookies.clone());
        }
    }
}

impl fmt::Debug for Grant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Grant").field("generation", &self.generation.0).finish_non_exhaustive()
    }
}
