//! The purpose of requests.

use http::Method;

/// The purpose of a request, by its method and path.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
#[non_exhaustive]
pub enum Purpose {
    /// API tokens: create, describe, revoke.
    ApiToken,
    /// Anything that is not about the session itself.
    Call,
    /// `POST /api/auth/delegate`.
    Delegate,
    /// Identity tokens: create, validate.
    IdentityToken,
    /// `GET /api/sessions`.
    Inspect,
    /// `POST /api/auth/login`.
    Login,
    /// `POST /api/auth/logout`.
    Logout,
    /// `GET /api/projects`.
    Projects,
    /// `PUT /api/sessions`.
    Renew,
    /// `GET /api/status`.
    Status,
    /// `GET /api/sessions/userInfo`.
    UserInfo,
}

impl Purpose {
    pub(super) const ALL: [Self; 11] = [
        Self::ApiToken,
        Self::Call,
        Self::Delegate,
        Self::IdentityToken,
        Self::Inspect,
        Self::Login,
        Self::Logout,
        Self::Projects,
        Self::Renew,
        Self::Status,
        Self::UserInfo,
    ];

    pub(super) fn of(method: &Method, path: &str) -> Self {
        match (method, path) {
            (_, "/api/auth/apiTokens") => Self::ApiToken,
            (&Method::POST, "/api/auth/delegate") => Self::Delegate,
            (_, "/api/auth/identityToken") => Self::IdentityToken,
            (&Method::GET, "/api/sessions") => Self::Inspect,
            (&Method::POST, "/api/auth/login") => Self::Login,
            (&Method::POST, "/api/auth/logout") => Self::Logout,
            (&Method::GET, "/api/projects") => Self::Projects,
            (&Method::PUT, "/api/sessions") => Self::Renew,
            (&Method::GET, "/api/status") => Self::Status,
            (&Method::GET, "/api/sessions/userInfo") => Self::UserInfo,
            _ => Self::Call,
        }
    }

    /// The name in fault rules and in the journal's file.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::ApiToken => "api-token",
            Self::Call => "call",
            Self::Delegate => "delegate",
            Self::IdentityToken => "identity-token",
            Self::Inspect => "inspect",
            Self::Login => "login",
            Self::Logout => "logout",
            Self::Projects => "projects",
            Self::Renew => "renew",
            Self::Status => "status",
            Self::UserInfo => "user-info",
        }
    }
}
