//! The token and cookies with which a request belongs to a session.

use std::fmt;
use std::sync::Arc;

use http::header::{COOKIE, HeaderMap, HeaderName, HeaderValue};

use super::project::ProjectId;
use crate::generation::Generation;

/// The header that carries a session's token, both ways.
pub(crate) const AUTH_TOKEN: HeaderName = HeaderName::from_static("x-mstr-authtoken");
/// The header that says which project a request is about.
pub(crate) const PROJECT_ID: HeaderName = HeaderName::from_static("x-mstr-projectid");
/// The header that carries an identity token, both ways.
pub(crate) const IDENTITY_TOKEN: HeaderName = HeaderName::from_static("x-mstr-identitytoken");

/// Permission to send requests in one session.
///
/// It is one value with the token and the cookies of that session, as they were when the grant was
/// given, so the token of one login is never sent with the cookies of another.
#[derive(Clone)]
pub struct Grant {
    pub(crate) generation: Generation,
    /// Counts the changes of the cookies within the generation.
    pub(crate) epoch: u64,
    /// Counts those of the session's own cookie.
    pub(crate) cookie: u64,
    pub(crate) takes_turns: bool,
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

    /// Whether only one request may be under way at a time: the server replaces the session's
    /// cookie with every answer and accepts only the newest. The caller takes a turn, and asks
    /// for access again once it has one: the cookies may have been replaced meanwhile.
    #[must_use]
    pub const fn takes_turns(&self) -> bool {
        self.takes_turns
    }

    /// Adds token, cookies and, if given, the project to a request's headers. All of them are
    /// marked sensitive or harmless.
    pub fn apply(&self, headers: &mut HeaderMap, scope: Option<&ProjectId>) {
        self.wire.apply(headers);
        if let Some(project) = scope {
            headers.insert(PROJECT_ID, project_header(project));
        }
    }
}

/// A project's id as a header.
pub(crate) fn project_header(id: &ProjectId) -> HeaderValue {
    // 32 hexadecimal digits: there is nothing a header could not carry.
    HeaderValue::from_str(id.as_str()).unwrap_or_else(|_| HeaderValue::from_static(""))
}

impl WireCredentials {
    pub(crate) fn apply(&self, headers: &mut HeaderMap) {
        headers.insert(AUTH_TOKEN, self.token.clone());
        if let Some(cookies) = &self.cookies {
            headers.insert(COOKIE, cookies.clone());
        }
    }
}

impl fmt::Debug for WireCredentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("WireCredentials")
    }
}

impl fmt::Debug for Grant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Grant")
            .field("generation", &self.generation.number())
            .finish_non_exhaustive()
    }
}
