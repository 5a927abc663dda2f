//! Which endpoint a request is for.

use bytes::Bytes;
use http::header::COOKIE;
use http::{HeaderMap, Method, Request, Response};

use super::ReplyBody;
use super::answers;
use super::journal::{Purpose, Recorded};
use super::model::Model;
use super::sessions::NoSession;

/// A request as the server sees it.
#[derive(Debug)]
pub(super) struct Incoming {
    pub(super) method: Method,
    /// Below the base path; `None` outside of it.
    pub(super) path: Option<String>,
    pub(super) full_path: String,
    pub(super) query: String,
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
    pub(super) purpose: Purpose,
}

impl Incoming {
    pub(super) fn new(request: Request<Bytes>, model: &Model) -> Self {
        let (parts, body) = request.into_parts();
        let full_path = parts.uri.path().to_owned();
        let path = full_path.strip_prefix(&model.base_path).map(str::to_owned);
        let purpose = Purpose::of(&parts.method, path.as_deref().unwrap_or_default());
        Self {
            method: parts.method,
            path,
            full_path,
            query: parts.uri.query().unwrap_or_default().to_owned(),
            headers: parts.headers,
            body,
            purpose,
        }
    }

    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    pub(super) fn token(&self) -> Option<&str> {
        self.header("x-mstr-authtoken")
    }

    pub(super) fn project(&self) -> Option<&str> {
        self.header("x-mstr-projectid")
    }

    pub(super) fn cookie(&self, name: &str) -> Option<&str> {
        self.headers
            .get_all(COOKIE)
            .iter()
            .filter_map(|line| line.to_str().ok())
            .flat_map(|line| line.split(';'))
            .find_map(|pair| pair.trim().strip_prefix(name)?.strip_prefix('='))
    }

    pub(super) fn parameter(&self, name: &str) -> Option<String> {
        form_urlencoded::parse(self.query.as_bytes())
            .find(|(key, _)| key == name)
            .map(|(_, value)| value.into_owned())
    }

    fn is_form(&self) -> bool {
        self.header("content-type")
            .is_some_and(|value| value.starts_with("application/x-www-form-urlencoded"))
    }

    /// Whether the body is neither a form nor JSON.
    pub(super) fn is_malformed(&self) -> bool {
        !self.is_form()
            && !self.body.is_empty()
            && serde_json::from_slice::<serde_json::Value>(&self.body).is_err()
    }

    /// A body in JSON or in form encoding, as the server accepts both for a login.
    pub(super) fn fields(&self) -> serde_json::Value {
        if self.is_form() {
            let pairs = form_urlencoded::parse(&self.body);
            return pairs
                .map(|(key, value)| (key.into_owned(), serde_json::Value::from(value.into_owned())))
                .collect::<serde_json::Map<_, _>>()
                .into();
        }
        serde_json::from_slice(&self.body).unwrap_or_default()
    }
}

impl Model {
    pub(super) fn respond(
        &mut self,
        incoming: &Incoming,
        recorded: &mut Recorded,
    ) -> Response<ReplyBody> {
        let Some(path) = incoming.path.as_deref() else {
            return answers::not_found(self);
        };
        match (&incoming.method, path) {
            (&Method::POST, "/api/auth/login") => return self.login(incoming, recorded),
            (&Method::POST, "/api/auth/delegate") => return self.delegate(incoming, recorded),
            (&Method::GET, "/api/status") => return self.status(),
            (&Method::GET, "/api/config/authModes") => {
                return answers::ok(&serde_json::json!({ "modes": [1, 8, 16, 4096] }));
            }
            _ => {}
        }
        let index = match self.authenticate(incoming) {
            Ok(index) => index,
            Err(reason) => {
                recorded.mixed |= reason == NoSession::Mixed;
                return answers::expired(self);
            }
        };
        recorded.session = Some(index);
        self.touch(index);
        match (&incoming.method, path) {
            (&Method::POST, "/api/auth/logout") => return self.logout(index),
            (&Method::GET, "/api/auth/token") => return self.current_token(index),
            (&Method::PUT, "/api/sessions") => {
                return answers::empty(http::StatusCode::NO_CONTENT);
            }
            (&Method::GET, "/api/sessions") => return self.session_info(index),
            (&Method::GET, "/api/sessions/userInfo") => return self.user_info(index),
            (&Method::GET, "/api/projects") => return self.list_projects(index),
            (&Method::POST, "/api/auth/identityToken") => return self.create_identity_token(index),
            (&Method::GET, "/api/auth/identityToken") => {
                return self.validate_identity_token(incoming);
            }
            (&Method::POST, "/api/auth/apiTokens") => {
                return self.create_api_token(index, incoming);
            }
            (&Method::GET, "/api/auth/apiTokens") => return self.describe_api_token(index),
            (&Method::DELETE, "/api/auth/apiTokens") => return self.revoke_api_token(index),
            _ => {}
        }
        if let Some(project) = incoming.project()
            && let Some(refusal) = self.enter_project(index, project)
        {
            return refusal;
        }
        self.call(index, incoming, path)
    }
}
