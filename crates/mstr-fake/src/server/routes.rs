//! Which endpoint a request is for.

use http::{Method, Response};

use super::answers;
use super::body::ReplyBody;
use super::incoming::Incoming;
use super::journal::Recorded;
use super::model::Model;
use super::sessions::NoSession;
use crate::endpoint::EndpointRequest;

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
            (&Method::GET, "/api/config/authModes") => return self.login_modes(),
            (&Method::GET, "/api/auth/identityToken") => {
                // A session that is there is used all the same.
                if let Ok(index) = self.authenticate(incoming) {
                    recorded.session = Some(index);
                    self.touch(index);
                }
                return self.validate_identity_token(incoming);
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
        match self.endpoint(index, incoming, path, recorded) {
            Some(response) => response,
            None => self.call(index, incoming, path),
        }
    }

    /// What an endpoint of the test answers, if there is one for this.
    fn endpoint(
        &mut self,
        index: usize,
        incoming: &Incoming,
        path: &str,
        recorded: &mut Recorded,
    ) -> Option<Response<ReplyBody>> {
        let found = self.endpoints.find(&incoming.method, path)?;
        recorded.note(&format!("endpoint: {}", found.pattern));
        let request = EndpointRequest {
            method: incoming.method.clone(),
            path: path.to_owned(),
            pattern: found.pattern.clone(),
            captures: found.captures.clone(),
            query: incoming.query.clone(),
            headers: incoming.headers.clone(),
            body: incoming.body.clone(),
            user: self.sessions[index].user.clone(),
            session: index,
            project: incoming.project().map(str::to_owned),
            number: found.number,
        };
        Some(answers::of_endpoint(self.endpoints.answer(&found, &request)))
    }
}
