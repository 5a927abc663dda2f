//! The REST API's session endpoints as values: what to send and how to read the answer. Each
//! driver runs them its own way.

use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{HeaderMap, Method, StatusCode};

use super::decode::decode_json;
use crate::call::Spec;
use crate::contract::Body;
use crate::error::{Error, ErrorKind, parse_error_body};
use crate::protocol::wire;
use crate::protocol::{
    ApiTokenRequest, CreatedApiToken, IdentityToken, Project, Projects, Server, SessionInfo,
    SessionStatus, User, UserId,
};
use crate::session::is_session_gone;

/// One endpoint's request, and how its answer is read.
pub(crate) struct Operation<T> {
    pub(crate) spec: Box<Spec>,
    pub(crate) decode: fn(&Answer) -> Result<T, Error>,
    /// The longest answer that is read, in bytes.
    pub(crate) limit: usize,
}

/// The longest list of projects that is read, in bytes: some ten thousand of them, each with a
/// description of a page.
pub(crate) const PROJECTS_LIMIT: usize = 16 * 1024 * 1024;
/// The same of what describes a session, a server or a user, which has a few kilobytes. What JSON
/// becomes in memory may be some forty times as large.
pub(crate) const DESCRIPTION_LIMIT: usize = 256 * 1024;

/// An answer read whole.
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

fn operation<T>(
    name: &'static str,
    method: Method,
    path: &'static str,
    decode: fn(&Answer) -> Result<T, Error>,
) -> Operation<T> {
    let mut spec = Box::new(Spec::new(method, path));
    spec.operation = name;
    Operation { spec, decode, limit: DESCRIPTION_LIMIT }
}

pub(crate) fn user() -> Operation<User> {
    operation("user info", Method::GET, "/api/sessions/userInfo", |answer| {
        let user: User = json(answer)?;
        // Something else than the server may have answered, with JSON of its own.
        if user.id.is_none() && user.full_name.is_none() && user.username.is_none() {
            return Err(missing("user's id or name"));
        }
        Ok(user)
    })
}

pub(crate) fn server() -> Operation<Server> {
    operation("server status", Method::GET, "/api/status", |answer| {
        Ok(Server::from_json(&json::<serde_json::Value>(answer)?))
    })
}

pub(crate) fn session_info() -> Operation<SessionInfo> {
    operation("session info", Method::GET, "/api/sessions", |answer| {
        Ok(SessionInfo::from_json(&json::<serde_json::Value>(answer)?))
    })
}

/// Like [`session_info`], with a session that is gone as an answer.
pub(crate) fn status() -> Operation<SessionStatus> {
    let mut operation = operation("status", Method::GET, "/api/sessions", |answer| {
        if answer.status.is_success() {
            let value = json::<serde_json::Value>(answer)?;
            return Ok(SessionStatus::Active(SessionInfo::from_json(&value)));
        }
        let error = parse_error_body(&answer.body);
        if is_session_gone(answer.status, error.as_ref()) {
            return Ok(SessionStatus::Expired);
        }
        // A gateway's sign-in page, for example, says nothing about the session.
        Err(Error::from_response(answer.status, error.as_ref(), None))
    });
    operation.spec.accepts = |status| status == StatusCode::UNAUTHORIZED;
    operation.spec.existing_only = true;
    operation
}

/// A session that went away while it was asked about is told like one that had gone before.
pub(crate) fn status_told(told: Result<SessionStatus, Error>) -> Result<SessionStatus, Error> {
    match told {
        Err(error) if error.kind() == ErrorKind::SessionLost => Ok(SessionStatus::Expired),
        told => told,
    }
}

pub(crate) fn projects() -> Operation<Vec<Project>> {
    let list = operation("project list", Method::GET, "/api/projects", |answer| {
        json(answer).map(|Projects(projects)| projects)
    });
    Operation { limit: PROJECTS_LIMIT, ..list }
}

/// The same, as a part of the call that `spec` describes.
pub(crate) fn projects_for(spec: &Spec) -> Operation<Vec<Project>> {
    let mut list = projects();
    (list.spec.timeouts, list.spec.retry) = (spec.timeouts, spec.retry);
    list
}

pub(crate) fn create_identity_token() -> Operation<IdentityToken> {
    let name = "create identity token";
    operation(name, Method::POST, "/api/auth/identityToken", |answer| {
        wire::identity_token(&answer.headers, &answer.body)
            .ok_or_else(|| missing("X-MSTR-IdentityToken header"))
    })
}

pub(crate) fn validate_identity_token(token: &IdentityToken) -> Operation<Option<UserId>> {
    let name = "validate identity token";
    let mut operation = operation(name, Method::GET, "/api/auth/identityToken", |answer| {
        if !answer.status.is_success() {
            let error = parse_error_body(&answer.body);
            let error = Error::from_response(answer.status, error.as_ref(), None);
            // A gateway knows nothing of the token.
            return if error.kind() == ErrorKind::Gateway { Err(error) } else { Ok(None) };
        }
        let value = json::<serde_json::Value>(answer)?;
        let id = value.get("userId").and_then(|id| id.as_str());
        Ok(Some(UserId::from(id.unwrap_or_default())))
    });
    operation.spec.accepts = |status| {
        matches!(status, StatusCode::BAD_REQUEST | StatusCode::UNAUTHORIZED | StatusCode::NOT_FOUND)
    };
    match wire::identity_token_header(token) {
        Ok(value) => {
            operation.spec.headers.insert(wire::IDENTITY_TOKEN, value);
        }
        Err(error) => operation.spec.note_mistake(error),
    }
    operation
}

pub(crate) fn create_api_token(request: &ApiTokenRequest) -> Operation<CreatedApiToken> {
    let name = "create API token";
    let mut operation = operation(name, Method::POST, "/api/auth/apiTokens", |answer| {
        wire::created_api_token(&answer.body).ok_or_else(|| missing("apiToken"))
    });
    if !request.is_default() {
        match serde_json::to_vec(request) {
            Ok(body) => {
                operation.spec.body = Body::from(body);
                operation.spec.headers.insert(CONTENT_TYPE, wire::JSON);
            }
            Err(error) => operation.spec.note_mistake(
                Error::new(ErrorKind::Usage, "the request cannot be written").with_source(error),
            ),
        }
    }
    operation
}

pub(crate) fn revoke_api_token() -> Operation<()> {
    let name = "revoke API token";
    operation(name, Method::DELETE, "/api/auth/apiTokens", |_| Ok(()))
}

fn json<T: serde::de::DeserializeOwned>(answer: &Answer) -> Result<T, Error> {
    decode_json(&answer.headers, &answer.body)
}

fn missing(what: &str) -> Error {
    Error::new(ErrorKind::Decode, format!("the answer has no {what}"))
}
