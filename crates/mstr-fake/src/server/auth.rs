//! Logging in and out, delegation, tokens.

use http::header::HeaderValue;
use http::{Response, StatusCode};
use serde_json::{Value, json};

use super::answers;
use super::body::ReplyBody;
use super::incoming::Incoming;
use super::journal::Recorded;
use super::model::{IdentityToken, Model};
use super::sessions::append;

/// Before this version, a login that names an application is refused.
const KNOWS_APPLICATION_ID: [u64; 3] = [11, 3, 1200];

/// Whether a field that is there is a whole number, as such or as a text.
fn is_number(field: Option<&Value>) -> bool {
    match field {
        None | Some(Value::Null) => true,
        Some(Value::Number(number)) => number.is_i64(),
        Some(Value::String(text)) => text.parse::<i64>().is_ok(),
        Some(_) => false,
    }
}

impl Model {
    /// What `GET /api/config/authModes` lists.
    pub(super) fn login_modes(&self) -> Response<ReplyBody> {
        let modes = [1, 8, 16, 4096].into_iter().filter(|mode| *mode != 8 || self.anonymous);
        answers::ok(&json!({ "modes": modes.collect::<Vec<i64>>() }))
    }

    pub(super) fn login(
        &mut self,
        incoming: &Incoming,
        recorded: &mut Recorded,
    ) -> Response<ReplyBody> {
        let fields = incoming.fields();
        if incoming.is_malformed() {
            return answers::refuse(self, 400, "ERR006", "Invalid JSON", None);
        }
        let text = |name: &str| fields.get(name).and_then(Value::as_str).unwrap_or_default();
        let number = |name: &str| match fields.get(name) {
            Some(Value::Number(number)) => number.as_i64(),
            Some(Value::String(text)) => text.parse().ok(),
            _ => None,
        };
        if !is_number(fields.get("loginMode")) {
            return answers::no_login_mode(self);
        }
        let mode = number("loginMode").unwrap_or(1);
        let application = number("applicationType");
        recorded.login_mode = Some(mode);
        recorded.application_type = application;
        if let Some((rejected, message)) = self.rejected_type.clone()
            && application == Some(rejected)
        {
            return answers::refuse(self, 400, "ERR006", &message, None);
        }
        if fields.get("applicationId").is_some() && !self.version_is_at_least(&KNOWS_APPLICATION_ID)
        {
            // Older servers have been seen to ignore the field.
            recorded.note("applicationId ignored");
        }
        let (username, password) = (text("username").to_owned(), text("password").to_owned());
        let user = match mode {
            1 | 16 => self
                .users
                .iter()
                .find(|user| {
                    user.name == username && user.password == password && user.ldap == (mode == 16)
                })
                .map(|user| user.name.clone()),
            8 if self.anonymous => Some("guest".to_owned()),
            4096 => self
                .api_tokens
                .iter()
                .find(|(_, token)| **token == username)
                .map(|(user, _)| user.clone()),
            _ => None,
        };
        let submitted = format!("{mode}\n{username}\n{password}");
        let Some(user) = user else {
            if !self.refused.insert(submitted) {
                self.logins_after_rejection += 1;
            }
            let code = Some(-2_147_216_959);
            return answers::refuse(self, 401, "ERR003", "Login failed", code);
        };
        if self.max_sessions.is_some_and(|limit| self.sessions_of(&user) >= limit) {
            return answers::session_limit(self);
        }
        let index = self.open_session(&user, None);
        let working_set = number("workingSet");
        let max_search = number("maxSearch");
        if let Some(session) = self.sessions.get_mut(index) {
            session.by_api_token = mode == 4096;
            session.working_set = working_set.unwrap_or(session.working_set);
            session.max_search = max_search.unwrap_or(session.max_search);
        }
        recorded.user = Some(user);
        self.opened(index, recorded)
    }

    fn opened(&mut self, index: usize, recorded: &mut Recorded) -> Response<ReplyBody> {
        recorded.session = Some(index);
        recorded.opened = true;
        let mut response = answers::empty(StatusCode::NO_CONTENT);
        if let Ok(token) = HeaderValue::from_str(&self.sessions[index].token) {
            response.headers_mut().insert("x-mstr-authtoken", token);
        }
        for cookie in self.session_cookies(index) {
            append(&mut response, &cookie);
        }
        response
    }

    pub(super) fn delegate(
        &mut self,
        incoming: &Incoming,
        recorded: &mut Recorded,
    ) -> Response<ReplyBody> {
        let fields = incoming.fields();
        if !is_number(fields.get("loginMode")) {
            return answers::no_login_mode(self);
        }
        let token = fields.get("identityToken").and_then(Value::as_str).unwrap_or_default();
        // Clients send the mode as a number or as a text; both are accepted.
        let mode = fields.get("loginMode").map(ToString::to_string).unwrap_or_default();
        let owner = match self.identity_tokens.get_mut(token) {
            Some(known) if !known.used && mode.trim_matches('"') == "-1" => {
                known.used = true;
                Some(known.session)
            }
            _ => None,
        };
        let Some(owner) = owner.filter(|owner| self.sessions[*owner].alive) else {
            let message = "The identity token is not valid.";
            return answers::refuse(self, 401, "ERR003", message, Some(-2_147_205_018));
        };
        let user = self.sessions[owner].user.clone();
        let index = self.open_session(&user, Some(owner));
        recorded.user = Some(user);
        self.opened(index, recorded)
    }

    pub(super) fn logout(&mut self, index: usize) -> Response<ReplyBody> {
        // The Intelligence Server's session ends, and with it everything that shares it.
        self.end_group(self.sessions[index].group);
        answers::empty(StatusCode::NO_CONTENT)
    }

    pub(super) fn current_token(&mut self, index: usize) -> Response<ReplyBody> {
        let mut response = answers::empty(StatusCode::NO_CONTENT);
        if let Ok(token) = HeaderValue::from_str(&self.sessions[index].token) {
            response.headers_mut().insert("x-mstr-authtoken", token);
        }
        response
    }

    pub(super) fn create_identity_token(&mut self, index: usize) -> Response<ReplyBody> {
        let token = format!("ID-{}", self.new_token());
        let mut response = answers::empty(StatusCode::CREATED);
        if let Ok(value) = HeaderValue::from_str(&token) {
            response.headers_mut().insert("x-mstr-identitytoken", value);
        }
        self.identity_tokens.insert(token, IdentityToken { session: index, used: false });
        response
    }

    /// Only the token is checked: the client that received it has no session yet.
    pub(super) fn validate_identity_token(&mut self, incoming: &Incoming) -> Response<ReplyBody> {
        let token = incoming.header("x-mstr-identitytoken").unwrap_or_default();
        let owner = self
            .identity_tokens
            .get(token)
            .filter(|known| !known.used && self.sessions[known.session].alive)
            .map(|known| self.identity(&self.sessions[known.session].user).0);
        match owner {
            Some(id) => answers::ok(&json!({ "userId": id })),
            None => answers::refuse(self, 401, "ERR003", "The identity token is not valid.", None),
        }
    }

    pub(super) fn create_api_token(
        &mut self,
        index: usize,
        incoming: &Incoming,
    ) -> Response<ReplyBody> {
        let own = self.sessions[index].user.clone();
        let fields = incoming.fields();
        let wanted = match fields.get("userId").and_then(Value::as_str) {
            None => own.clone(),
            Some(id) => match self.users.iter().find(|user| user.id == id) {
                Some(user) => user.name.clone(),
                None => return answers::not_found(self),
            },
        };
        if wanted != own && own != "administrator" {
            let message = "The user has no privilege to create a token for others.";
            return answers::refuse(self, 403, "ERR0014", message, Some(-2_147_213_784));
        }
        let token = format!("API-{}", self.new_token());
        self.api_tokens.insert(wanted, token.clone());
        answers::json_with(
            StatusCode::CREATED,
            &json!({
                "apiToken": token,
                "createTime": "2026-01-01T00:00:00.000+0000",
                "expireTime": "2027-01-01T00:00:00.000+0000",
            }),
        )
    }

    pub(super) fn describe_api_token(&mut self, index: usize) -> Response<ReplyBody> {
        if !self.api_tokens.contains_key(&self.sessions[index].user) {
            return answers::not_found(self);
        }
        answers::ok(&json!({
            "createTime": "2026-01-01T00:00:00.000+0000",
            "expireTime": "2027-01-01T00:00:00.000+0000",
        }))
    }

    pub(super) fn revoke_api_token(&mut self, index: usize) -> Response<ReplyBody> {
        let user = self.sessions[index].user.clone();
        if self.api_tokens.remove(&user).is_none() {
            return answers::not_found(self);
        }
        for session in &mut self.sessions {
            if session.by_api_token && session.user == user {
                session.alive = false;
            }
        }
        answers::empty(StatusCode::NO_CONTENT)
    }
}
