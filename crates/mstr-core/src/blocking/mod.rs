//! The blocking connection: the second driver over the same machine.
//!
//! No executor and no hidden runtime. The first thread that needs a session drives the machine
//! (it leads); the others wait for it and receive the same outcome. It may be used inside
//! asynchronous code, although it blocks the thread there.

mod adapter;
mod calls;
mod park;
mod response;
mod shared;

use std::fmt;
use std::sync::Arc;

use http::Method;

pub use adapter::BlockOn;
pub(crate) use park::{block_on, block_on_until};
pub use response::Response;
pub(crate) use shared::Shared;

use crate::builder::{Builder, NoTransport};
use crate::call::ProjectChoice;
use crate::connection::Events;
use crate::error::Error;
use crate::protocol::{
    ApiTokenRequest, BaseUrl, CreatedApiToken, Credentials, Generation, IdentityToken, LoginMode,
    Project, ProjectRef, Server, SessionInfo, SessionStatus, User, UserId, resolve_project,
};
use crate::request::RequestBuilder;
use crate::request::operations::Defaults;
use crate::session::{CloseOutcome, Command};
use crate::workstation::WorkstationData;

/// A session with a server, shared by its clones and by any number of threads.
///
/// The blocking counterpart of [`crate::Connection`]; every method does the same and waits.
/// Dropping the last handle logs the session out in the background where the transport can do
/// that.
#[derive(Clone)]
pub struct Connection {
    shared: Arc<Shared>,
    _guard: Arc<Guard>,
    project: Selected,
}

#[derive(Clone)]
enum Selected {
    Default,
    None,
    Project(Arc<Project>),
}

struct Guard(Arc<Shared>);

impl Drop for Guard {
    fn drop(&mut self) {
        self.0.release();
    }
}

impl Connection {
    /// Begins to describe a connection; give it a
    /// [`blocking_transport`](Builder::blocking_transport).
    pub fn builder(base_url: impl AsRef<str>) -> Builder<NoTransport> {
        Builder::new(base_url.as_ref())
    }

    /// Begins to describe a connection that borrows Workstation's session.
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

    /// Makes sure that a session is open, logging in if there is none. A thread that waits for
    /// another one's login does so for no longer than
    /// [`Timeouts::total`](crate::Timeouts::total); the one that logs in finishes its attempts.
    ///
    /// # Errors
    ///
    /// Those of [`crate::Connection::open`].
    pub fn open(&self) -> Result<(), Error> {
        self.shared.open()
    }

    /// Extends the session now, or opens one if there is none.
    ///
    /// # Errors
    ///
    /// Those of [`crate::Connection::renew`].
    pub fn renew(&self) -> Result<(), Error> {
        self.shared.command(Command::Renew)?;
        self.open()
    }

    /// Ends the session on the server and the connection with it: later calls fail with
    /// [`Closed`](crate::ErrorKind::Closed).
    pub fn close(&self) -> CloseOutcome {
        self.shared.close(false)
    }

    /// Like [`close`](Self::close), and ends a borrowed session too.
    pub fn close_borrowed(&self) -> CloseOutcome {
        self.shared.close(true)
    }

    /// Runs `body` with this connection and closes it afterwards, also if `body` panics. The
    /// outcome is that of `body`; a failing logout never hides it.
    ///
    /// # Errors
    ///
    /// Those of `body`.
    pub fn scope<T, E>(self, body: impl FnOnce(&Self) -> Result<T, E>) -> Result<T, E> {
        struct CloseOnDrop<'a>(&'a Connection);
        impl Drop for CloseOnDrop<'_> {
            fn drop(&mut self) {
                self.0.close();
            }
        }
        let _closing = CloseOnDrop(&self);
        body(&self)
    }

    /// What happens to the session from now on.
    #[must_use]
    pub fn events(&self) -> Events {
        self.shared.subscribe()
    }

    /// Replaces the credentials, or asks the provider again with `None`.
    pub fn reset_credentials(&self, credentials: Option<Credentials>) {
        self.shared.reset(credentials);
    }

    /// Begins a request; see [`crate::Connection::request`].
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

    /// Begins a GET request.
    pub fn get(&self, path: impl Into<String>) -> RequestBuilder<Self> {
        self.request(Method::GET, path)
    }

    /// Begins a POST request.
    pub fn post(&self, path: impl Into<String>) -> RequestBuilder<Self> {
        self.request(Method::POST, path)
    }

    /// Begins a PUT request.
    pub fn put(&self, path: impl Into<String>) -> RequestBuilder<Self> {
        self.request(Method::PUT, path)
    }

    /// Begins a PATCH request.
    pub fn patch(&self, path: impl Into<String>) -> RequestBuilder<Self> {
        self.request(Method::PATCH, path)
    }

    /// Begins a DELETE request.
    pub fn delete(&self, path: impl Into<String>) -> RequestBuilder<Self> {
        self.request(Method::DELETE, path)
    }

    /// Begins a HEAD request.
    pub fn head(&self, path: impl Into<String>) -> RequestBuilder<Self> {
        self.request(Method::HEAD, path)
    }

    /// The project the requests of this handle are about; no request is sent to tell.
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
    pub fn projects(&self) -> Result<Vec<Project>, Error> {
        self.shared.run(self.defaults().projects())
    }

    /// A new handle on the same session with another default project. This one keeps its own.
    ///
    /// # Errors
    ///
    /// [`ProjectUnavailable`](crate::ErrorKind::ProjectUnavailable) if it is unknown or ambiguous, and
    /// those of any request.
    pub fn select_project(&self, project: impl Into<ProjectRef>) -> Result<Self, Error> {
        let wanted = project.into();
        let project = resolve_project(&self.projects()?, &wanted)?;
        Ok(Self { project: Selected::Project(Arc::new(project)), ..self.clone() })
    }

    /// [`select_project`](Self::select_project) by id, in any case.
    ///
    /// # Errors
    ///
    /// [`Usage`](crate::ErrorKind::Usage) if it is no id, and those of
    /// [`select_project`](Self::select_project).
    pub fn project_by_id(&self, id: impl AsRef<str>) -> Result<Self, Error> {
        self.select_project(crate::ProjectId::new(id)?)
    }

    /// [`select_project`](Self::select_project) by name.
    ///
    /// # Errors
    ///
    /// Those of [`select_project`](Self::select_project).
    pub fn project_by_name(&self, name: impl Into<String>) -> Result<Self, Error> {
        self.select_project(ProjectRef::Name(name.into()))
    }

    /// A new handle without a default project.
    #[must_use]
    pub fn without_project(&self) -> Self {
        Self { project: Selected::None, ..self.clone() }
    }

    /// The user the session belongs to; asked once for each session.
    ///
    /// # Errors
    ///
    /// Those of any request.
    pub fn user(&self) -> Result<User, Error> {
        if let Some(user) = self.shared.known_user() {
            return Ok(user);
        }
        let user = self.shared.run(self.defaults().user())?;
        self.shared.remember_user(&user);
        Ok(user)
    }

    /// The server's versions; asked once.
    ///
    /// # Errors
    ///
    /// Those of any request.
    pub fn server(&self) -> Result<Server, Error> {
        if let Some(server) = self.shared.session(|session| session.server().cloned()) {
            return Ok(server);
        }
        let server = self.shared.run(self.defaults().server())?;
        self.shared.session(|session| session.set_server(server.clone()));
        Ok(server)
    }

    /// What the server knows about the session. Asking also resets its idle time.
    ///
    /// # Errors
    ///
    /// Those of any request.
    pub fn session_info(&self) -> Result<SessionInfo, Error> {
        self.shared.run(self.defaults().session_info())
    }

    /// Whether the session is alive. Never opens one.
    ///
    /// # Errors
    ///
    /// What keeps the server from answering.
    pub fn status(&self) -> Result<SessionStatus, Error> {
        let Some(grant) = self.shared.session(|session| session.current_grant()) else {
            return Ok(SessionStatus::Expired);
        };
        let status = self.shared.run(self.defaults().status())?;
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
    pub fn create_identity_token(&self) -> Result<IdentityToken, Error> {
        self.shared.run(self.defaults().create_identity_token())
    }

    /// Whose session an identity token borrows; `None` if it is not valid.
    ///
    /// # Errors
    ///
    /// Those of any request.
    pub fn validate_identity_token(&self, token: &IdentityToken) -> Result<Option<UserId>, Error> {
        self.shared.run(self.defaults().validate_identity_token(token))
    }

    /// Opens a second connection over the same transport, in the session that `token` borrows.
    ///
    /// # Errors
    ///
    /// Those of [`open`](Self::open).
    pub fn delegate(&self, token: impl Into<IdentityToken>) -> Result<Self, Error> {
        let credentials = Credentials::identity_token(token);
        let connection = Self::from_shared(self.shared.sibling(credentials)?);
        connection.open()?;
        Ok(connection)
    }

    /// Creates an API token. It replaces the user's former one.
    ///
    /// # Errors
    ///
    /// Those of [`crate::Connection::create_api_token`].
    pub fn create_api_token(&self, request: ApiTokenRequest) -> Result<CreatedApiToken, Error> {
        self.shared.run(self.defaults().create_api_token(&request))
    }

    /// Revokes the user's API token and ends the sessions opened with it.
    ///
    /// # Errors
    ///
    /// Those of any request.
    pub fn revoke_api_token(&self) -> Result<(), Error> {
        self.shared.run(self.defaults().revoke_api_token())
    }

    /// Where the server is.
    #[must_use]
    pub fn base_url(&self) -> BaseUrl {
        self.shared.session(|session| session.config().base_url().clone())
    }

    /// The user name, for the login modes that have one.
    #[must_use]
    pub fn username(&self) -> Option<String> {
        self.shared.session(|session| session.username().map(str::to_owned))
    }

    /// The login mode; `None` for a borrowed session.
    #[must_use]
    pub fn login_mode(&self) -> Option<LoginMode> {
        self.shared.session(|session| session.login_mode())
    }

    /// How many sessions this connection has opened so far; `None` before the first.
    #[must_use]
    pub fn generation(&self) -> Option<Generation> {
        self.shared.session(|session| session.generation())
    }

    /// The session's token in clear, for another tool.
    #[must_use]
    pub fn expose_token(&self) -> Option<String> {
        self.shared.session(|session| session.expose_token())
    }
}

impl RequestBuilder<Connection> {
    /// Sends the request and waits for the head of the response. A status other than success is
    /// an error.
    ///
    /// # Errors
    ///
    /// Those of [`RequestBuilder::send`] of the asynchronous connection.
    pub fn send(self) -> Result<Response, Error> {
        self.connection.shared.call(self.spec, |_| false)
    }

    /// Like [`send`](Self::send), but a response of any status is a success.
    ///
    /// # Errors
    ///
    /// Those of [`send`](Self::send) that are not about a response.
    pub fn send_raw(self) -> Result<Response, Error> {
        self.connection.shared.call(self.spec, |_| true)
    }
}

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.shared.fmt(f)
    }
}
