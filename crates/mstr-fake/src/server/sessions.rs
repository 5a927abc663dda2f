//! How sessions begin, last and end.

use std::time::Instant;

use super::answers;
use super::body::ReplyBody;
use super::faults::Effect;
use super::incoming::Incoming;
use super::model::{Model, Session};
use http::Response;
use http::header::{HeaderValue, SET_COOKIE};

/// Why a request has no session.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum NoSession {
    /// No token, an unknown one, or one whose session has ended.
    Gone,
    /// A token without the cookie of its session.
    NoCookies,
    /// The token of one session with the cookies of another.
    Mixed,
}

impl Model {
    /// Ends sessions that have been idle too long.
    pub(super) fn pass_time(&mut self, now: Instant) {
        let now = self.now.map_or(now, |before| before.max(now));
        self.now = Some(now);
        let limit = self.session_timeout.min(self.http_timeout);
        let mut expired: Vec<usize> = Vec::new();
        for session in self.sessions.iter_mut().filter(|session| session.alive) {
            if now.duration_since(session.last_used) > limit {
                session.alive = false;
                expired.push(session.group);
            }
        }
        for group in expired {
            // The sessions of a group live as long as one of them is used.
            let last =
                self.sessions.iter().filter(|session| session.group == group && session.alive);
            if last.count() == 0 {
                self.end_group(group);
            }
        }
    }

    pub(super) fn next_expiry(&self) -> Option<Instant> {
        let limit = self.session_timeout.min(self.http_timeout);
        self.sessions
            .iter()
            .filter(|session| session.alive)
            .map(|session| session.last_used + limit)
            .min()
    }

    pub(super) fn end_group(&mut self, group: usize) {
        for session in self.sessions.iter_mut().filter(|session| session.group == group) {
            session.alive = false;
        }
    }

    pub(super) fn expire_all(&mut self) {
        for session in &mut self.sessions {
            session.alive = false;
        }
    }

    pub(super) fn expire_session(&mut self, token: Option<&str>) {
        if let Some(index) = token.and_then(|token| self.by_token.get(token)) {
            let group = self.sessions[*index].group;
            self.end_group(group);
        }
    }

    fn live_groups(&self) -> std::collections::BTreeSet<usize> {
        self.sessions.iter().filter(|session| session.alive).map(|session| session.group).collect()
    }

    pub(super) fn open_sessions(&self) -> usize {
        self.live_groups().len()
    }

    pub(super) fn open_tokens(&self) -> Vec<String> {
        let alive = self.sessions.iter().filter(|session| session.alive);
        alive.map(|session| session.token.clone()).collect()
    }

    pub(super) fn orphan_sessions(&self) -> usize {
        let users: std::collections::BTreeSet<&str> = self
            .sessions
            .iter()
            .filter(|session| session.alive)
            .map(|session| session.user.as_str())
            .collect();
        self.open_sessions() - users.len()
    }

    pub(super) fn sessions_of(&self, user: &str) -> usize {
        let alive = self.sessions.iter().filter(|session| session.alive && session.user == user);
        alive.map(|session| session.group).collect::<std::collections::BTreeSet<_>>().len()
    }

    /// Opens a session, or one that shares another's.
    pub(super) fn open_session(&mut self, user: &str, shared_with: Option<usize>) -> usize {
        let index = self.sessions.len();
        let token = self.new_token();
        let cookie = self.new_hex();
        let group = shared_with.map_or(index, |other| self.sessions[other].group);
        let Some(now) = self.now else { return index };
        self.by_token.insert(token.clone(), index);
        self.sessions.push(Session {
            user: user.to_owned(),
            token,
            cookie,
            group,
            alive: true,
            node: self.node,
            last_used: now,
            projects: std::collections::BTreeSet::new(),
            working_set: 10,
            max_search: 3,
            by_api_token: false,
        });
        index
    }

    /// The session a request belongs to.
    pub(super) fn authenticate(&self, incoming: &Incoming) -> Result<usize, NoSession> {
        let index = incoming.token().and_then(|token| self.by_token.get(token));
        let index = *index.ok_or(NoSession::Gone)?;
        let session = &self.sessions[index];
        if session.node != self.node {
            return Err(NoSession::Gone);
        }
        // Some clients keep no `iSession`: the vendor's tutorial for curl sends token and JSESSIONID.
        if incoming.cookies("iSession").any(|token| token != session.token.as_bytes()) {
            return Err(NoSession::Mixed);
        }
        // As Tomcat does: of several, which may be those of other applications, a valid one counts.
        let mut cookies = incoming.cookies("JSESSIONID").peekable();
        if cookies.peek().is_none() {
            return Err(NoSession::NoCookies);
        }
        if !incoming.cookies("JSESSIONID").any(|cookie| cookie == session.cookie.as_bytes()) {
            let strange = cookies
                .any(|cookie| self.sessions.iter().any(|other| other.cookie.as_bytes() == cookie));
            // Or it is the right session's, but has been replaced since.
            return Err(if strange { NoSession::Mixed } else { NoSession::Gone });
        }
        if session.alive { Ok(index) } else { Err(NoSession::Gone) }
    }

    /// A request in a session: it is not idle any more.
    pub(super) fn touch(&mut self, index: usize) {
        let Some(now) = self.now else { return };
        let group = self.sessions[index].group;
        for session in self.sessions.iter_mut().filter(|session| session.group == group) {
            session.last_used = now;
        }
    }

    /// Opens the project a request is about, within the limit. Returns the refusal, if any.
    pub(super) fn enter_project(
        &mut self,
        index: usize,
        project: &str,
    ) -> Option<Response<ReplyBody>> {
        let user = self.sessions[index].user.clone();
        let known = self.projects_of(&user).iter().any(|known| known["id"] == project);
        if !known {
            let message = "(Project not found or not loaded.)";
            let code = Some(-2_147_209_151);
            return Some(answers::refuse(self, 500, "ERR001", message, code));
        }
        let others = self.sessions.iter().filter(|session| {
            session.alive && session.user == user && session.projects.contains(project)
        });
        let limit = self.max_project_sessions.unwrap_or(usize::MAX);
        if !self.sessions[index].projects.contains(project) && others.count() >= limit {
            return Some(answers::session_limit(self));
        }
        self.sessions[index].projects.insert(project.to_owned());
        None
    }

    /// Adds the cookies that a response sets.
    pub(super) fn decorate(
        &mut self,
        incoming: &Incoming,
        response: &mut Response<ReplyBody>,
        effects: &[Effect],
        own: bool,
    ) {
        if effects.iter().any(|effect| matches!(effect, Effect::NoCookies)) {
            response.headers_mut().remove(SET_COOKIE);
        } else {
            self.set_cookies(incoming, response, own);
        }
        for effect in effects {
            if let Effect::Cookie(line) = effect {
                response.headers_mut().append(SET_COOKIE, line.clone());
            }
        }
    }

    fn set_cookies(&mut self, incoming: &Incoming, response: &mut Response<ReplyBody>, own: bool) {
        // A gateway in front of the server does not know sessions.
        if self.rotate
            && own
            && !response.headers().contains_key(SET_COOKIE)
            && let Ok(index) = self.authenticate(incoming)
        {
            let cookie = self.new_hex();
            let line = session_cookie(&cookie, &self.base_path);
            self.sessions[index].cookie = cookie;
            append(response, &line);
        }
        // The load balancer's own cookies change with every response.
        self.balancer += 1;
        let value = format!("lb{:06}", self.balancer);
        for name in ["AWSALB", "AWSALBCORS"] {
            append(response, &format!("{name}={value}; Max-Age=604800; Path=/"));
        }
    }

    /// The cookies that open a session.
    pub(super) fn session_cookies(&self, index: usize) -> [String; 2] {
        let session = &self.sessions[index];
        [
            session_cookie(&session.cookie, &self.base_path),
            format!("iSession={}; Path={}; HttpOnly", session.token, self.base_path),
        ]
    }

    pub(super) fn newest_wire_credentials(&self) -> (String, Vec<(String, String)>) {
        let Some(session) = self.sessions.iter().rev().find(|session| session.alive) else {
            return (String::new(), Vec::new());
        };
        let cookies = vec![
            ("JSESSIONID".to_owned(), session.cookie.clone()),
            ("iSession".to_owned(), session.token.clone()),
        ];
        (session.token.clone(), cookies)
    }
}

fn session_cookie(value: &str, path: &str) -> String {
    format!("JSESSIONID={value}; Path={path}; HttpOnly")
}

pub(super) fn append(response: &mut Response<ReplyBody>, cookie: &str) {
    if let Ok(value) = HeaderValue::from_str(cookie) {
        response.headers_mut().append(SET_COOKIE, value);
    }
}
