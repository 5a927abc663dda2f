//! Describing a server.

use std::path::Path;
use std::time::Duration;

use http::Method;

use super::Server;
use super::faults::Fault;
use super::model::{Model, User};
use crate::endpoint::{Answer, Endpoint, EndpointError, EndpointRequest};

/// Describes a server; see [`Server::builder`].
#[derive(Debug)]
#[must_use]
pub struct ServerBuilder {
    model: Model,
    faults: Vec<Fault>,
    latency: Duration,
}

impl ServerBuilder {
    pub(super) fn new() -> Self {
        Self { model: Model::new(), faults: Vec::new(), latency: Duration::ZERO }
    }

    /// The server.
    #[must_use]
    pub fn build(self) -> Server {
        Server::from_parts(self.model, self.faults, self.latency)
    }

    /// Adds a user that the server itself knows. One called "administrator" may create tokens
    /// for others.
    pub fn user(mut self, name: &str, password: &str) -> Self {
        self.model.users.push(User::new(name, password, false));
        self
    }

    /// Adds a user of the directory.
    pub fn ldap_user(mut self, name: &str, password: &str) -> Self {
        self.model.users.push(User::new(name, password, true));
        self
    }

    /// Adds an API token of a user.
    pub fn api_token(mut self, token: &str, user: &str) -> Self {
        self.model.api_tokens.insert(user.to_owned(), token.to_owned());
        self
    }

    /// Whether the guest user may log in. Default true.
    pub fn allow_anonymous(mut self, allowed: bool) -> Self {
        self.model.anonymous = allowed;
        self
    }

    /// The Intelligence Server's version. Default 11.6.0700.00123.
    pub fn server_version(mut self, version: &str) -> Self {
        self.model.iserver_version = version.to_owned();
        self
    }

    /// The Library server's version.
    pub fn web_version(mut self, version: &str) -> Self {
        self.model.web_version = version.to_owned();
        self
    }

    /// How long a session may be idle, as `GET /api/sessions` tells. Default 600 seconds.
    pub fn session_timeout(mut self, timeout: Duration) -> Self {
        self.model.session_timeout = timeout;
        self
    }

    /// How long the HTTP session may be idle. Default 1800 seconds.
    pub fn http_session_timeout(mut self, timeout: Duration) -> Self {
        self.model.http_timeout = timeout;
        self
    }

    /// How many sessions a user may have. Default: any number.
    pub fn max_sessions_per_user(mut self, limit: usize) -> Self {
        self.model.max_sessions = Some(limit);
        self
    }

    /// How many sessions of a user may have used the same project. Default: any number.
    pub fn max_project_sessions(mut self, limit: usize) -> Self {
        self.model.max_project_sessions = Some(limit);
        self
    }

    /// How long every reply takes. Default: no time.
    pub fn latency(mut self, latency: Duration) -> Self {
        self.latency = latency;
        self
    }

    /// The projects, as `GET /api/projects` lists them. The default are those recorded from an
    /// 11.3 server, "MicroStrategy Tutorial" among them.
    pub fn projects(mut self, projects: Vec<serde_json::Value>) -> Self {
        self.model.projects = projects;
        self
    }

    /// Restricts a user to these projects.
    pub fn project_access(mut self, user: &str, ids: &[&str]) -> Self {
        let ids = ids.iter().map(|id| (*id).to_owned()).collect();
        self.model.project_access.insert(user.to_owned(), ids);
        self
    }

    /// Whether each response replaces the session cookie, so that only the newest is valid.
    pub fn rotate_jsessionid(mut self, rotate: bool) -> Self {
        self.model.rotate = rotate;
        self
    }

    /// Refuses requests whose head has more bytes than this, whatever they ask for, as Tomcat does
    /// with 8192. Default: no limit.
    pub fn max_head_size(mut self, bytes: usize) -> Self {
        self.model.longest_head = bytes;
        self
    }

    /// Puts a load balancer that does not stick in front of so many servers: it chooses one for each
    /// request, and a server knows only the sessions that it has opened itself. Default 1.
    pub fn nodes_without_stickiness(mut self, nodes: u64) -> Self {
        self.model.nodes = nodes;
        self
    }

    /// Refuses logins as this type of application, with this message.
    pub fn reject_application_type(mut self, number: i64, message: &str) -> Self {
        self.model.rejected_type = Some((number, message.to_owned()));
        self
    }

    /// Adds a fault.
    pub fn fault(mut self, fault: Fault) -> Self {
        self.faults.push(fault);
        self
    }

    /// Adds an endpoint of your own, which a closure answers: [`Endpoint`] says which requests it
    /// gets, [`Answer`] the possible answers.
    ///
    /// # Panics
    ///
    /// If the pattern can match nothing, or is one of the session's own endpoints;
    /// [`Endpoint::new`] returns the error instead.
    #[track_caller]
    pub fn endpoint<A: Into<Answer>>(
        self,
        method: Method,
        pattern: &str,
        answer: impl FnMut(&EndpointRequest) -> A + Send + 'static,
    ) -> Self {
        self.add_endpoint(given(Endpoint::new(method, pattern, answer)))
    }

    /// Adds an endpoint of your own that gives these answers in turn. The last one stays.
    ///
    /// # Panics
    ///
    /// Where [`Endpoint::answers`] returns an error.
    #[track_caller]
    pub fn endpoint_answers<A: Into<Answer>>(
        self,
        method: Method,
        pattern: &str,
        answers: impl IntoIterator<Item = A>,
    ) -> Self {
        self.add_endpoint(given(Endpoint::answers(method, pattern, answers)))
    }

    /// Adds an endpoint that answers with the content of a file.
    ///
    /// # Panics
    ///
    /// Where [`Endpoint::file`] returns an error.
    #[track_caller]
    pub fn endpoint_file(self, method: Method, pattern: &str, path: impl AsRef<Path>) -> Self {
        self.add_endpoint(given(Endpoint::file(method, pattern, path)))
    }

    /// Adds an endpoint of your own that answers with the files of a folder: the open part of the
    /// pattern says which.
    ///
    /// # Panics
    ///
    /// Where [`Endpoint::folder`] returns an error.
    #[track_caller]
    pub fn endpoint_folder(self, method: Method, pattern: &str, path: impl AsRef<Path>) -> Self {
        self.add_endpoint(given(Endpoint::folder(method, pattern, path)))
    }

    /// Adds an endpoint of your own.
    pub fn add_endpoint(mut self, endpoint: Endpoint) -> Self {
        self.model.endpoints.add(endpoint);
        self
    }

    /// Where the Library is deployed. Default `/MicroStrategyLibrary`.
    pub fn base_path(mut self, path: &str) -> Self {
        self.model.base_path = path.trim_end_matches('/').to_owned();
        self
    }

    /// The seed of tokens. Equal seeds give equal tokens.
    pub fn seed(mut self, seed: u64) -> Self {
        self.model.seed = seed;
        self
    }
}

impl Server {
    /// Begins to describe a server.
    pub fn builder() -> ServerBuilder {
        ServerBuilder::new()
    }
}

#[track_caller]
fn given(endpoint: Result<Endpoint, EndpointError>) -> Endpoint {
    match endpoint {
        Ok(endpoint) => endpoint,
        Err(error) => panic!("{error}"),
    }
}
