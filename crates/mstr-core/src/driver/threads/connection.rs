//! The blocking connection.

use std::fmt;

use http::Method;

use super::pump::Threads;
use super::request::RequestBuilder;
use crate::builder::{ConnectionBuilder, NoTransport};
use crate::contract::SharedBlockingTransport;
use crate::driver::core::Core;
use crate::driver::events::Events;
use crate::driver::handle::{Handle, common_methods};
use crate::driver::recorder::Input;
use crate::error::Error;
use crate::generation::Generation;
use crate::protocol::{
    ApiTokenRequest, BaseUrl, CreatedApiToken, Credentials, ExposedToken, IdentityToken, LoginMode,
    Project, ProjectRef, Server, SessionInfo, SessionStatus, User, UserId,
};
use crate::request::operations;
use crate::session::{CloseOutcome, Command, Session};
use crate::timeline::Timeline;
use crate::workstation::WorkstationData;

/// A session with a server, shared by its clones and by any number of threads.
///
/// The blocking counterpart of [`crate::Connection`]; every method does the same and waits.
/// Dropping the last handle logs the session out in the background where the transport can do
/// that.
#[derive(Clone)]
pub struct Connection(pub(in crate::driver) Handle<Threads>);

common_methods!(Connection);

impl Connection {
    /// Begins to describe a connection; give it a
    /// [`blocking_transport`](ConnectionBuilder::blocking_transport).
    pub fn builder(base_url: impl AsRef<str>) -> ConnectionBuilder<NoTransport> {
        ConnectionBuilder::new(base_url.as_ref())
    }

    /// Begins to describe the connection that the environment describes:
    ///
    /// | variable | |
    /// |---|---|
    /// | `MSTR_BASE_URL` | where the server is |
    /// | `MSTR_USERNAME` and `MSTR_PASSWORD`, or `MSTR_API_TOKEN`, or `MSTR_IDENTITY_TOKEN`; `MSTR_LOGIN_MODE` | see [`Credentials::from_env`] |
    /// | `MSTR_PROJECT_NAME` or `MSTR_PROJECT_ID` | the project, if one is wanted |
    /// | `MSTR_CA_FILE` | a PEM file with certificates to trust as well |
    /// | `HTTPS_PROXY`, `HTTP_PROXY`, `ALL_PROXY`, `NO_PROXY` | see [`ProxyConfig::from_env`](crate::ProxyConfig::from_env) |
    ///
    /// The last two are for the default transport. One that is given takes them from
    /// [`TlsConfig::from_env`](crate::TlsConfig::from_env) and
    /// [`ProxyConfig::from_env`](crate::ProxyConfig::from_env).
    ///
    /// # Errors
    ///
    /// [`Config`](crate::ErrorKind::Config), naming the variable that is missing, empty or contradicts
    /// another.
    pub fn from_env() -> Result<ConnectionBuilder<NoTransport>, Error> {
        ConnectionBuilder::from_env()
    }

    /// Begins to describe a connection that borrows Workstation's session.
    pub fn from_workstation(data: &WorkstationData) -> ConnectionBuilder<NoTransport> {
        ConnectionBuilder::from_workstation(data)
    }

    /// Makes sure that a session is open, logging in if there is none. Waits for no longer than
    /// [`Timeouts::total`](crate::Timeouts::total): a login that is not over by then is finished by
    /// the thread that needs it next, and is not sent again.
    ///
    /// A transport that cannot wait in steps (see
    /// [`BlockingTransport::start`](crate::BlockingTransport::start)) may exceed that by one
    /// attempt. A credential provider that blocks its thread cannot be limited at all.
    ///
    /// # Errors
    ///
    /// Those of [`crate::Connection::open`].
    pub fn open(&self) -> Result<(), Error> {
        self.0.core.open(self.0.core.deadline())
    }

    /// Extends the session now, or opens one if there is none; see [`open`](Self::open) for how
    /// long that may take.
    ///
    /// # Errors
    ///
    /// Those of [`crate::Connection::renew`].
    pub fn renew(&self) -> Result<(), Error> {
        let deadline = self.0.core.deadline();
        self.0.core.carry_out(Command::Renew, Input::Renew, deadline)?;
        self.0.core.open(deadline)
    }

    /// Ends the session on the server and the connection with it: later calls fail with
    /// [`Closed`](crate::ErrorKind::Closed). Waits for no longer than
    /// [`Timeouts::total`](crate::Timeouts::total): what is not over by then is finished by closing
    /// again or, in the background, with the last handle.
    pub fn close(&self) -> CloseOutcome {
        self.0.core.close(false)
    }

    /// Like [`close`](Self::close), and ends a borrowed session too.
    pub fn close_borrowed(&self) -> CloseOutcome {
        self.0.core.close(true)
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

    /// The projects the user may see.
    ///
    /// # Errors
    ///
    /// Those of any request.
    pub fn fetch_projects(&self) -> Result<Vec<Project>, Error> {
        self.0.core.run(operations::projects())
    }

    /// A new handle on the same session, whose requests are about this project: by name, by id, or
    /// one that [`fetch_projects`](Self::fetch_projects) has listed. This one keeps its own.
    ///
    /// # Errors
    ///
    /// [`ProjectUnavailable`](crate::ErrorKind::ProjectUnavailable) if it is unknown or ambiguous, and
    /// those of any request.
    pub fn select_project(&self, project: impl Into<ProjectRef>) -> Result<Self, Error> {
        Ok(Self(self.0.scoped(&self.fetch_projects()?, &project.into())?))
    }

    /// The user the session belongs to; asked once for each session.
    ///
    /// # Errors
    ///
    /// Those of any request.
    pub fn fetch_user(&self) -> Result<User, Error> {
        let core = &self.0.core;
        if let Some(user) = core.known_user() {
            return Ok(user);
        }
        let (user, generation) = core.run_in(operations::user())?;
        core.remember_user(&user, generation);
        Ok(user)
    }

    /// The server's versions; asked once.
    ///
    /// # Errors
    ///
    /// Those of any request.
    pub fn fetch_server(&self) -> Result<Server, Error> {
        let core = &self.0.core;
        if let Some(server) = core.look(|session| session.server().cloned()) {
            return Ok(server);
        }
        let server = core.run(operations::server())?;
        core.session(Input::Time, |session, _| session.set_server(server.clone()));
        Ok(server)
    }

    /// What the server knows about the session. Asking also resets its idle time.
    ///
    /// # Errors
    ///
    /// Those of any request.
    pub fn fetch_session(&self) -> Result<SessionInfo, Error> {
        self.0.core.run(operations::session_info())
    }

    /// Whether the session is alive. Never opens one.
    ///
    /// # Errors
    ///
    /// What keeps the server from answering.
    pub fn fetch_status(&self) -> Result<SessionStatus, Error> {
        let core = &self.0.core;
        if !core.look(Session::is_open) {
            return Ok(SessionStatus::Expired);
        }
        operations::status_told(core.run(operations::status()))
    }

    /// Creates a token with which another client can borrow this session for a short while.
    ///
    /// # Errors
    ///
    /// Those of any request.
    pub fn create_identity_token(&self) -> Result<IdentityToken, Error> {
        self.0.core.run(operations::create_identity_token())
    }

    /// Whose session an identity token borrows; `None` if it is not valid.
    ///
    /// # Errors
    ///
    /// Those of any request.
    pub fn validate_identity_token(&self, token: &IdentityToken) -> Result<Option<UserId>, Error> {
        self.0.core.run(operations::validate_identity_token(token))
    }

    /// Opens a second connection over the same transport, in the session that `token` borrows.
    ///
    /// # Errors
    ///
    /// Those of [`open`](Self::open).
    pub fn delegate(&self, token: impl Into<IdentityToken>) -> Result<Self, Error> {
        let credentials = Credentials::identity_token(token);
        let connection = Self(Handle::new(self.0.core.sibling(credentials)?));
        connection.open()?;
        Ok(connection)
    }

    /// Creates an API token. It replaces the user's former one.
    ///
    /// # Errors
    ///
    /// Those of [`crate::Connection::create_api_token`].
    pub fn create_api_token(&self, request: ApiTokenRequest) -> Result<CreatedApiToken, Error> {
        self.0.core.run(operations::create_api_token(&request))
    }

    /// Revokes the user's API token and ends the sessions opened with it.
    ///
    /// # Errors
    ///
    /// Those of any request.
    pub fn revoke_api_token(&self) -> Result<(), Error> {
        self.0.core.run(operations::revoke_api_token())
    }
}

impl ConnectionBuilder<SharedBlockingTransport> {
    /// Opens the connection: logs in, and finds the project if one is given.
    ///
    /// If anything fails, the session is logged out before the error is returned.
    ///
    /// # Errors
    ///
    /// [`Config`](crate::ErrorKind::Config) for a setting that cannot work,
    /// [`ProjectUnavailable`](crate::ErrorKind::ProjectUnavailable), and those of
    /// [`crate::blocking::Connection::open`].
    pub fn connect(self) -> Result<Connection, Error> {
        let connection = self.build()?;
        connection.open()?;
        Ok(connection)
    }

    /// Builds the connection without opening it: the first request logs in.
    ///
    /// # Errors
    ///
    /// [`Config`](crate::ErrorKind::Config) for a setting that cannot work.
    pub fn build(self) -> Result<Connection, Error> {
        let (info, now) = (self.transport.info(), self.transport.now());
        Ok(Connection(Handle::new(Core::new(self.prepare(info, now)?))))
    }
}
