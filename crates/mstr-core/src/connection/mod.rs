//! The asynchronous connection.
//!
//! Needs no runtime of its own: whoever awaits drives, and the only hook is the
//! [`Timer`](crate::Timer) of the transport. See [`flight`] for how callers share one login.

mod calls;
mod events;
mod flight;
mod gate;
mod keepalive;
mod pump;
mod response;
mod scope;
mod shared;
#[cfg(test)]
mod tests;

use std::fmt;
use std::future::Future;
use std::sync::Arc;

use http::Method;

pub use events::Events;
pub(crate) use events::Subscribers;
pub(crate) use gate::Gate;
pub use response::Response;
pub use scope::ProjectScope;
pub(crate) use shared::{Shared, answer_limit, answer_read, open_late, outgoing};

use crate::builder::{Builder, NoTransport};
use crate::call::ProjectChoice;
use crate::error::{Error, ErrorKind};
use crate::protocol::{
    ApiTokenRequest, BaseUrl, CreatedApiToken, Credentials, Generation, IdentityToken, LoginMode,
    Project, ProjectRef, Server, SessionInfo, SessionStatus, User, UserId, resolve_project,
};
use crate::request::RequestBuilder;
use crate::request::operations::Defaults;
use crate::session::{CloseOutcome, Command};
use crate::workstation::WorkstationData;

/// A session with a server, shared by its clones.
///
/// Cheap to clone and safe to use from any number of tasks: they share one login, one renewal
/// and one set of cookies. A session that the server has ended is replaced by the next call
/// without the caller noticing.
///
/// [`close`](Self::close) it when done. If the last clone is dropped without, the session is
/// logged out in the background where the transport can do that (mstr-hyper can); dropping never
/// blocks.
#[derive(Clone)]
pub struct Connection {
    shared: Arc<Shared>,
    _guard: Arc<Guard>,
    project: Selected,
}

/// Which project a handle's requests are about.
#[derive(Clone)]
enum Selected {
    /// The one the connection was opened for.
    Default,
    None,
    Project(Arc<Project>),
}

/// Closes what the last handle leaves behind.
struct Guard(Arc<Shared>);

impl Drop for Guard {
    fn drop(&mut self) {
        self.0.release();
    }
}

impl Connection {
    /// Begins to describe a connection to the server at `base_url`.
    ///
    /// Nothing can be opened before a transport is given:
    ///
    /// ```compile_fail,E0599
    /// # async {
    /// let builder = mstr_core::Connection::builder("https://env.example.com/MicroStrategyLibrary");
    /// builder.standard("user", "password").connect().await;
    /// # };
    /// ```
    pub fn builder(base_url: impl AsRef<str>) -> Builder<NoTransport> {
        Builder::new(base_url.as_ref())
    }

    /// Begins to describe a connection that borrows Workstation's session. Certificates are
    /// verified like for any other connection, and closing it does not log Workstation out.
    pub fn from_workstation(data: &WorkstationData) -> Builder<NoTransport> {
        Builder::from_workstation(data)
    }

    pub(crate) fn from_shared(shared: Shared) -> Self {
        let shared = Arc::new(shared);
        Self { _guard: Arc::new(Guard(Arc::clone(&shared))), shared, project: Selected::Default }
    }

    fn defaults(&self) -> Defaults {
        Defaults { timeouts: self.shared.timeouts.clone(), retry: self.shared.retry.clone() }
    }

    /// Makes sure that a session is open, logging in if there is none. Waits for no longer than
    /// [`Timeouts::total`](crate::Timeouts::total).
    ///
    /// # Errors
    ///
    /// Those of a login: [`Credentials`](ErrorKind::Credentials),
    /// [`SessionLimit`](ErrorKind::SessionLimit),
    /// [`UnsupportedServer`](ErrorKind::UnsupportedServer), or what keeps the server from being
    /// reached. [`Closed`](ErrorKind::Closed) after a close.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future pauses the login; the next call resumes the same one.
    pub async fn open(&self) -> Result<(), Error> {
        self.shared.open().await
    }

    /// Extends the session now, or opens one if there is none. However many callers ask, one
    /// request is sent.
    ///
    /// # Errors
    ///
    /// Those of [`open`](Self::open). After an error that
    /// [can pass](Error::is_retryable) the session stays in use.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future pauses the renewal; the next call resumes it.
    pub async fn renew(&self) -> Result<(), Error> {
        self.shared.command(Command::Renew).await?;
        self.open().await
    }

    /// Ends the session on the server and the connection with it: later calls fail with
    /// [`Closed`](ErrorKind::Closed). Closing again returns the same outcome.
    ///
    /// A session borrowed with an identity token is left to its owner; see
    /// [`close_borrowed`](Self::close_borrowed).
    ///
    /// # Cancel safety
    ///
    /// Dropping the future pauses the logout; closing again resumes it, and dropping the last
    /// handle finishes it in the background.
    pub async fn close(&self) -> CloseOutcome {
        self.shared.close(false).await
    }

    /// Like [`close`](Self::close), and ends a borrowed session too. Its owner is logged out
    /// with it.
    ///
    /// # Cancel safety
    ///
    /// That of [`close`](Self::close).
    pub async fn close_borrowed(&self) -> CloseOutcome {
        self.shared.close(true).await
    }

    /// Runs `body` with this connection and closes it afterwards, whether `body` succeeds or
    /// fails. The outcome is that of `body`; a failing logout never hides it.
    ///
    /// # Errors
    ///
    /// Those of `body`.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future drops `body`; the session is closed with the last handle.
    pub async fn scope<T, E, F>(self, body: F) -> Result<T, E>
    where
        F: AsyncFnOnce(&Self) -> Result<T, E>,
    {
        let outcome = body(&self).await;
        self.close().await;
        outcome
    }

    /// A future that keeps an idle session alive until the connection is closed or dropped. Run
    /// it wherever tasks are run; nothing is sent while other calls keep the session alive.
    ///
    /// A session that is lost is not replaced by this, but by the next call.
    #[must_use = "nothing is kept alive unless the future is run"]
    pub fn keepalive(&self) -> impl Future<Output = ()> + Send + use<> {
        keepalive::keepalive(&self.shared)
    }

    /// What happens to the session from now on.
    #[must_use]
    pub fn events(&self) -> Events {
        self.shared.subscribe()
    }

    /// Replaces the credentials, or asks the provider again with `None`. Lifts a refusal; a
    /// session that is open is logged out in the background.
    pub fn reset_credentials(&self, credentials: Option<Credentials>) {
        self.shared.reset(credentials);
    }

    /// Begins a request. `path` is relative to the base URL; an absolute URL has to lead to the
    /// same origin, unless the request is sent
    /// [without the session](RequestBuilder::without_auth).
    pub fn request(&self, method: Method, path: impl Into<String>) -> RequestBuilder<Self> {
        let project = match &self.project {
            Selected::Default => ProjectChoice::Default,
            Selected::None => ProjectChoice::None,
            Selected::Project(project) => ProjectChoice::Id(project.id.clone()),
        };
        RequestBuilder::new(
            self.clone(),
            method,
            path.into(),
            self.shared.timeouts.clone(),
            self.shared.retry.clone(),
            project,
        )
    }

    /// Begins a GET request; see [`request`](Self::request).
    pub fn get(&self, path: impl Into<String>) -> RequestBuilder<Self> {
        self.request(Method::GET, path)
    }

    /// Begins a POST request; see [`request`](Self::request).
    pub fn post(&self, path: impl Into<String>) -> RequestBuilder<Self> {
        self.request(Method::POST, path)
    }

    /// Begins a PUT request; see [`request`](Self::request).
    pub fn put(&self, path: impl Into<String>) -> RequestBuilder<Self> {
        self.request(Method::PUT, path)
    }

    /// Begins a PATCH request; see [`request`](Self::request).
    pub fn patch(&self, path: impl Into<String>) -> RequestBuilder<Self> {
        self.request(Method::PATCH, path)
    }

    /// Begins a DELETE request; see [`request`](Self::request).
    pub fn delete(&self, path: impl Into<String>) -> RequestBuilder<Self> {
        self.request(Method::DELETE, path)
    }

    /// Begins a HEAD request; see [`request`](Self::request).
    pub fn head(&self, path: impl Into<String>) -> RequestBuilder<Self> {
        self.request(Method::HEAD, path)
    }

    /// The project the requests of this handle are about; no request is sent to tell. The one
    /// the connection is opened for is known once it has been opened.
    #[must_use]
    pub fn project(&self) -> Option<&Project> {
        match &self.project {
            Selected::Default => self.shared.default_project(),
            Selected::None => None,
            Selected::Project(project) => Some(project),
        }
    }

    /// The projects the user may see.
    ///
    /// # Errors
    ///
    /// Those of any request.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future ends the request.
    pub async fn projects(&self) -> Result<Vec<Project>, Error> {
        self.shared.run(self.defaults().projects()).await
    }

    /// A handle on the same session whose requests are about this project.
    ///
    /// # Errors
    ///
    /// [`ProjectUnavailable`](ErrorKind::ProjectUnavailable) if it is unknown or ambiguous, and
    /// those of any request.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future ends the request.
    pub async fn project_scope(
        &self,
        project: impl Into<ProjectRef>,
    ) -> Result<ProjectScope, Error> {
        let wanted = project.into();
        let projects = self.projects().await?;
        let project = resolve_project(&projects, &wanted)?;
        Ok(ProjectScope::new(self.with_project(Selected::Project(Arc::new(project)))))
    }

    /// [`project_scope`](Self::project_scope) by id, in any case.
    ///
    /// # Errors
    ///
    /// [`Usage`](ErrorKind::Usage) if it is no id, and those of
    /// [`project_scope`](Self::project_scope).
    ///
    /// # Cancel safety
    ///
    /// Dropping the future ends the request.
    pub async fn project_by_id(&self, id: impl AsRef<str>) -> Result<ProjectScope, Error> {
        self.project_scope(crate::ProjectId::new(id)?).await
    }

    /// [`project_scope`](Self::project_scope) by name.
    ///
    /// # Errors
    ///
    /// Those of [`project_scope`](Self::project_scope).
    ///
    /// # Cancel safety
    ///
    /// Dropping the future ends the request.
    pub async fn project_by_name(&self, name: impl Into<String>) -> Result<ProjectScope, Error> {
        self.project_scope(ProjectRef::Name(name.into())).await
    }

    /// A new handle with another default project. This one keeps its own, so that tasks which
    /// share it never send each other's project.
    ///
    /// # Errors
    ///
    /// Those of [`project_scope`](Self::project_scope).
    ///
    /// # Cancel safety
    ///
    /// Dropping the future ends the request.
    pub async fn select_project(&self, project: impl Into<ProjectRef>) -> Result<Self, Error> {
        Ok(self.project_scope(project).await?.into_connection())
    }

    /// A new handle without a default project.
    #[must_use]
    pub fn without_project(&self) -> Self {
        self.with_project(Selected::None)
    }

    fn with_project(&self, project: Selected) -> Self {
        Self { project, ..self.clone() }
    }

    /// The user the session belongs to; asked once for each session.
    ///
    /// # Errors
    ///
    /// Those of any request.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future ends the request.
    pub async fn user(&self) -> Result<User, Error> {
        if let Some(user) = self.shared.lock().known_user() {
            return Ok(user);
        }
        let user = self.shared.run(self.defaults().user()).await?;
        self.shared.lock().remember_user(&user);
        Ok(user)
    }

    /// The server's versions; asked once.
    ///
    /// # Errors
    ///
    /// Those of any request.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future ends the request.
    pub async fn server(&self) -> Result<Server, Error> {
        if let Some(server) = self.shared.lock().session.server() {
            return Ok(server.clone());
        }
        let server = self.shared.run(self.defaults().server()).await?;
        self.shared.lock().session.set_server(server.clone());
        Ok(server)
    }

    /// What the server knows about the session. Asking also resets its idle time.
    ///
    /// # Errors
    ///
    /// Those of any request.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future ends the request.
    pub async fn session_info(&self) -> Result<SessionInfo, Error> {
        self.shared.run(self.defaults().session_info()).await
    }

    /// Whether the session is alive. Never opens one.
    ///
    /// # Errors
    ///
    /// What keeps the server from answering: a server in trouble is an error, not "expired".
    ///
    /// # Cancel safety
    ///
    /// Dropping the future ends the request.
    pub async fn status(&self) -> Result<SessionStatus, Error> {
        let Some(grant) = self.shared.lock().session.current_grant() else {
            return Ok(SessionStatus::Expired);
        };
        let status = self.shared.run(self.defaults().status()).await?;
        if status == SessionStatus::Expired {
            self.shared.revoke(grant.generation());
        }
        Ok(status)
    }

    /// Creates a token with which another client can borrow this session for a short while.
    ///
    /// # Errors
    ///
    /// Those of any request.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future ends the request; the token may have been created.
    pub async fn create_identity_token(&self) -> Result<IdentityToken, Error> {
        self.shared.run(self.defaults().create_identity_token()).await
    }

    /// Whose session an identity token borrows; `None` if it is not valid.
    ///
    /// # Errors
    ///
    /// Those of any request.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future ends the request.
    pub async fn validate_identity_token(
        &self,
        token: &IdentityToken,
    ) -> Result<Option<UserId>, Error> {
        self.shared.run(self.defaults().validate_identity_token(token)).await
    }

    /// Opens a second connection over the same transport, in the session that `token` borrows.
    ///
    /// # Errors
    ///
    /// Those of [`open`](Self::open).
    ///
    /// # Cancel safety
    ///
    /// Dropping the future gives the borrowed session up.
    pub async fn delegate(&self, token: impl Into<IdentityToken>) -> Result<Self, Error> {
        let credentials = Credentials::identity_token(token);
        let connection = Self::from_shared(self.shared.sibling(credentials)?);
        connection.open().await?;
        Ok(connection)
    }

    /// Creates an API token. It replaces the user's former one.
    ///
    /// # Errors
    ///
    /// [`Forbidden`](ErrorKind::Forbidden) for another user without the privileges, and those of
    /// any request. It is repeated only if the server cannot have carried it out: each attempt
    /// would create a token.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future ends the request; the token may have been created.
    pub async fn create_api_token(
        &self,
        request: ApiTokenRequest,
    ) -> Result<CreatedApiToken, Error> {
        self.shared.run(self.defaults().create_api_token(&request)).await
    }

    /// Revokes the user's API token and ends the sessions opened with it.
    ///
    /// # Errors
    ///
    /// Those of any request.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future ends the request; the token may have been revoked.
    pub async fn revoke_api_token(&self) -> Result<(), Error> {
        self.shared.run(self.defaults().revoke_api_token()).await
    }

    /// Where the server is.
    #[must_use]
    pub fn base_url(&self) -> BaseUrl {
        self.shared.lock().session.config().base_url().clone()
    }

    /// The user name, for the login modes that have one. With a credential provider, only while
    /// a login is under way.
    #[must_use]
    pub fn username(&self) -> Option<String> {
        self.shared.lock().session.username().map(str::to_owned)
    }

    /// The login mode; `None` for a borrowed session.
    #[must_use]
    pub fn login_mode(&self) -> Option<LoginMode> {
        self.shared.lock().session.login_mode()
    }

    /// How many sessions this connection has opened so far; `None` before the first.
    #[must_use]
    pub fn generation(&self) -> Option<Generation> {
        self.shared.lock().session.generation()
    }

    /// The session's token in clear, for another tool. Whoever has it and the cookies is this
    /// user. `None` while no session is open.
    #[must_use]
    pub fn expose_token(&self) -> Option<String> {
        self.shared.lock().session.expose_token()
    }
}

impl RequestBuilder<Connection> {
    /// Sends the request and waits for the head of the response. A status other than success is
    /// an error.
    ///
    /// # Errors
    ///
    /// [`Usage`](ErrorKind::Usage) for a mistake in describing the request; what the server
    /// refuses, by its code; what keeps it from being reached; those of
    /// [`Connection::open`].
    ///
    /// # Cancel safety
    ///
    /// Dropping the future ends the request, which the server may have processed. The session is
    /// not affected, and a login that was under way is resumed by the next call.
    pub async fn send(self) -> Result<Response, Error> {
        self.connection.shared.call(self.spec, |_| false).await
    }

    /// Like [`send`](Self::send), but a response of any status is a success.
    ///
    /// # Errors
    ///
    /// Those of [`send`](Self::send) that are not about a response.
    ///
    /// # Cancel safety
    ///
    /// That of [`send`](Self::send).
    pub async fn send_raw(self) -> Result<Response, Error> {
        self.connection.shared.call(self.spec, |_| true).await
    }
}

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.shared.fmt(f)
    }
}

/// What a handle without a session says about a call that needs one.
pub(crate) fn not_open() -> Error {
    Error::new(ErrorKind::SessionLost, "no session is open")
}
