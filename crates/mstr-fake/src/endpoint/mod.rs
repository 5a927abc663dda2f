//! Endpoints that a test adds to the server.

mod answer;
mod error;
mod fixture;
mod pattern;
mod request;
#[cfg(test)]
mod tests;

use std::collections::VecDeque;
use std::fmt;
use std::path::Path;

use http::Method;

pub use answer::Answer;
pub use error::EndpointError;
pub(crate) use pattern::{Captures, Pattern, percent_decoded};
pub use request::EndpointRequest;

use fixture::Folder;

/// The session's own endpoints, which no endpoint of a test replaces: without them there is no
/// session to test with.
const OWN: [(Method, &str); 15] = [
    (Method::POST, "/api/auth/login"),
    (Method::POST, "/api/auth/logout"),
    (Method::POST, "/api/auth/delegate"),
    (Method::GET, "/api/auth/token"),
    (Method::POST, "/api/auth/identityToken"),
    (Method::GET, "/api/auth/identityToken"),
    (Method::POST, "/api/auth/apiTokens"),
    (Method::GET, "/api/auth/apiTokens"),
    (Method::DELETE, "/api/auth/apiTokens"),
    (Method::GET, "/api/config/authModes"),
    (Method::GET, "/api/projects"),
    (Method::GET, "/api/sessions"),
    (Method::PUT, "/api/sessions"),
    (Method::GET, "/api/sessions/userInfo"),
    (Method::GET, "/api/status"),
];

type Closure = Box<dyn FnMut(&EndpointRequest) -> Answer + Send>;

/// An endpoint that a test adds to the server.
///
/// It is asked after everything that the server does to any other request: the
/// [faults](crate::Fault), then the check of the session, then that of the project. A call to it
/// meets an expired session, a 401 and a 503 as it would in production.
///
/// A pattern is a path below the base path. `{name}` and `*` stand for one part of it, `**` at its
/// end for all the rest. A `GET` endpoint answers `HEAD` too. Where several match, the one added
/// last answers. The endpoints of the session itself (login, logout, `/api/sessions` and so on) are
/// out of reach; a [fault](crate::Fault::answer) changes their answers.
///
/// ```
/// # mod mstr { pub use mstr_fake as fake; }
/// use mstr::fake::{Answer, Endpoint, Method, Server};
///
/// # fn main() -> Result<(), mstr_fake::EndpointError> {
/// let mut server = Server::builder().user("alice", "secret").build();
/// server.add_endpoint(Endpoint::new(Method::GET, "/api/v2/cubes/{id}", |request| {
///     serde_json::json!({ "id": request.parameter("id"), "name": "Sales" })
/// })?);
/// server.add_endpoint(Endpoint::answers(Method::GET, "/api/jobs/{id}", [
///     Answer::json(&serde_json::json!({ "status": "running" })),
///     Answer::json(&serde_json::json!({ "status": "done" })),
/// ])?);
/// assert_eq!(server.calls(Method::GET, "/api/v2/cubes/{id}").answered, 0);
/// # Ok(())
/// # }
/// ```
pub struct Endpoint {
    method: Method,
    pattern: Pattern,
    answer: Closure,
    calls: EndpointCalls,
}

/// How often an endpoint has been called; see [`Server::calls`](crate::Server::calls).
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub struct EndpointCalls {
    /// The requests that reached the server.
    pub arrived: usize,
    /// Those that the endpoint answered: no fault came first, and session and project were good.
    pub answered: usize,
}

impl Endpoint {
    /// An endpoint that a closure answers.
    ///
    /// The closure runs while the server is locked: it cannot look at the server it is asked by. If
    /// it panics, so does the call in memory, and on a socket the client gets a 500 that says so.
    ///
    /// # Errors
    ///
    /// If the pattern can match nothing, or is one of the session's own endpoints.
    pub fn new<A: Into<Answer>>(
        method: Method,
        pattern: &str,
        mut answer: impl FnMut(&EndpointRequest) -> A + Send + 'static,
    ) -> Result<Self, EndpointError> {
        let refuse = |why: String| EndpointError(format!("the endpoint {method} {pattern}: {why}"));
        let parsed = Pattern::parse(pattern).map_err(refuse)?;
        let own = |(known, path): &(Method, &str)| *known == method && *path == pattern;
        if parsed.is_literal() && OWN.iter().any(own) {
            return Err(refuse(
                "this is one of the session's own, which stays the server's; a fault can change \
                 what it answers (Fault::answer)"
                    .to_owned(),
            ));
        }
        let answer: Closure = Box::new(move |request| answer(request).into());
        Ok(Self { method, pattern: parsed, answer, calls: EndpointCalls::default() })
    }

    /// An endpoint that gives these answers in turn. The last one stays.
    ///
    /// # Errors
    ///
    /// As [`new`](Self::new), or if there are no answers.
    pub fn answers<A: Into<Answer>>(
        method: Method,
        pattern: &str,
        answers: impl IntoIterator<Item = A>,
    ) -> Result<Self, EndpointError> {
        let mut answers: VecDeque<Answer> = answers.into_iter().map(Into::into).collect();
        let Some(last) = answers.pop_back() else {
            let why = "there are no answers: give at least one, which then stays";
            return Err(EndpointError(format!("the endpoint {method} {pattern}: {why}")));
        };
        Self::new(method, pattern, move |_| answers.pop_front().unwrap_or_else(|| last.clone()))
    }

    /// An endpoint that answers with the present content of a file; [`Answer::file`] documents the type.
    ///
    /// # Errors
    ///
    /// As [`new`](Self::new) and [`Answer::file`].
    pub fn file(
        method: Method,
        pattern: &str,
        path: impl AsRef<Path>,
    ) -> Result<Self, EndpointError> {
        let answer = Answer::file(path)
            .map_err(|error| EndpointError(format!("the endpoint {method} {pattern}: {error}")))?;
        Self::answers(method, pattern, [answer])
    }

    /// An endpoint that answers with the present content of the files of a folder. The text in the open
    /// parts of the pattern is the file's name, with or without its extension: with
    /// `/api/v2/cubes/{id}`, a request for `/api/v2/cubes/C1` gets `C1.json`; with several open
    /// parts, each but the last is a folder. Where there is no such file, the answer is 404.
    ///
    /// # Errors
    ///
    /// As [`new`](Self::new); if the pattern has no open part; if the folder or a file in it cannot
    /// be read; and if it has no files, or two that differ in their extension only.
    pub fn folder(
        method: Method,
        pattern: &str,
        path: impl AsRef<Path>,
    ) -> Result<Self, EndpointError> {
        let refuse = |why: String| EndpointError(format!("the endpoint {method} {pattern}: {why}"));
        if Pattern::parse(pattern).map_err(refuse)?.is_literal() {
            return Err(refuse(
                "it needs an open part, as {id} or *, that says which file of the folder is meant"
                    .to_owned(),
            ));
        }
        let folder = Folder::read(path.as_ref()).map_err(refuse)?;
        Self::new(method, pattern, move |request| folder.get(&request.captured()))
    }

    fn is(&self, method: &Method, pattern: &str) -> bool {
        self.method == *method && self.pattern.as_str() == pattern
    }
}

impl fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Endpoint")
            .field("method", &self.method)
            .field("pattern", &self.pattern.as_str())
            .field("calls", &self.calls)
            .finish_non_exhaustive()
    }
}

/// All endpoints that have been added to a server.
#[derive(Debug, Default)]
pub(crate) struct Endpoints(Vec<Endpoint>);

/// Which endpoint a request is for.
#[derive(Debug)]
pub(crate) struct Found {
    index: usize,
    pub(crate) captures: Captures,
    pub(crate) pattern: String,
    /// Which of the requests that are answered this would be, from 1.
    pub(crate) number: usize,
}

impl Endpoints {
    pub(crate) fn add(&mut self, endpoint: Endpoint) {
        self.0.push(endpoint);
    }

    /// The endpoint added last that matches.
    pub(crate) fn find(&self, method: &Method, path: &str) -> Option<Found> {
        let with = |wanted: &Method| {
            self.0.iter().enumerate().rev().find_map(|(index, endpoint)| {
                let captures =
                    (endpoint.method == *wanted).then(|| endpoint.pattern.captures(path))??;
                let pattern = endpoint.pattern.as_str().to_owned();
                Some(Found { index, captures, pattern, number: endpoint.calls.answered + 1 })
            })
        };
        with(method).or_else(|| if method == Method::HEAD { with(&Method::GET) } else { None })
    }

    /// Counts a request that has reached the server.
    pub(crate) fn arrive(&mut self, method: &Method, path: &str) {
        if let Some(found) = self.find(method, path) {
            self.0[found.index].calls.arrived += 1;
        }
    }

    pub(crate) fn answer(&mut self, found: &Found, request: &EndpointRequest) -> Answer {
        let endpoint = &mut self.0[found.index];
        endpoint.calls.answered += 1;
        (endpoint.answer)(request)
    }

    /// The calls of this endpoint; the error lists those there are.
    pub(crate) fn calls(&self, method: &Method, pattern: &str) -> Result<EndpointCalls, String> {
        let mut known = self.0.iter().filter(|endpoint| endpoint.is(method, pattern)).peekable();
        if known.peek().is_none() {
            let list: Vec<String> = self
                .0
                .iter()
                .map(|endpoint| format!("{} {}", endpoint.method, endpoint.pattern.as_str()))
                .collect();
            let list = if list.is_empty() { "none".to_owned() } else { list.join(", ") };
            return Err(format!(
                "there is no endpoint {method} {pattern}; those that were added: {list}"
            ));
        }
        Ok(known.fold(EndpointCalls::default(), |sum, endpoint| EndpointCalls {
            arrived: sum.arrived + endpoint.calls.arrived,
            answered: sum.answered + endpoint.calls.answered,
        }))
    }
}
