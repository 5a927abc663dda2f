//! The asynchronous connection.

use std::fmt;
use std::future::Future;

use http::Method;

use super::keepalive::keepalive;
use super::pump::Tasks;
use super::request::RequestBuilder;
use crate::builder::{ConnectionBuilder, NoTransport};
use crate::contract::SharedTransport;
use crate::driver::core::Core;
use crate::driver::events::Events;
use crate::driver::handle::{Handle, common_methods};
use crate::driver::recorder::Input;
use crate::error::Error;
#[cfg(doc)]
use crate::error::ErrorKind;
use crate::generation::Generation;
use crate::protocol::{
    ApiTokenRequest, BaseUrl, CreatedApiToken, Credentials, ExposedToken, IdentityToken, LoginMode,
    Project, ProjectRef, Server, SessionInfo, SessionStatus, User, UserId,
};
use crate::request::operations;
use crate::session::{CloseOutcome, Command, Session};
use crate::timeline::Timeline;
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
pub struct Connection(pub(in crate::driver) Handle<Tasks>);

common_methods!(Connection);

impl Connection {
    /// Begins to describe a connection to the server at `base_url`, as a browser shows it: with
    /// `/MicroStrategyLibrary` or what the server calls it, and with or without what follows that.
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

    /// Begins to describe a connection that borrows Workstation's session. Certificates are
    /// verified like for any other connection, and closing it does not log Workstation out.
    pub fn from_workstation(data: &WorkstationData) -> ConnectionBuilder<NoTransport> {
        ConnectionBuilder::from_workstation(data)
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
        self.0.core.open(self.0.core.deadline()).await
    }

    /// Extends the session now, or opens one if there is none. However many callers ask, one
    /// request is sent. Waits for no longer than [`Timeouts::total`](crate::Timeouts::total).
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
        let deadline = self.0.core.deadline();
        self.0.core.carry_out(Command::Renew, Input::Renew, deadline).await?;
        self.0.core.open(deadline).await
    }

    /// Ends the session on the server and the connection with it: later calls fail with
    /// [`Closed`](ErrorKind::Closed). Closing again returns the same outcome. Waits for no longer
    /// than [`Timeouts::total`](crate::Timeouts::total): what is not over by then is finished by
    /// closing again or, in the background, with the last handle.
    ///
    /// A session borrowed with an identity token is left to its owner; see
    /// [`close_borrowed`](Self::close_borrowed).
    ///
    /// # Cancel safety
    ///
    /// Dropping the future pauses the logout; closing again resumes it, and dropping the last
    /// handle finishes it in the background.
    pub async fn close(&self) -> CloseOutcome {
        self.0.core.close(false, self.0.core.deadline()).await
    }

    /// Like [`close`](Self::close), and ends a borrowed session too. Its owner is logged out
    /// with it.
    ///
    /// # Cancel safety
    ///
    /// That of [`close`](Self::close).
    pub async fn close_borrowed(&self) -> CloseOutcome {
        self.0.core.close(true, self.0.core.deadline()).await
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
        keepalive(&self.0.core)
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
    pub async fn fetch_projects(&self) -> Result<Vec<Project>, Error> {
        self.0.core.run(operations::projects()).await
    }

    /// A new handle on the same session, whose requests are about this project: by name, by id, or
    /// one that [`fetch_projects`](Self::fetch_projects) has listed. This one keeps its own, so that tasks which
    /// share it never send each other's project.
    ///
    /// # Errors
    ///
    /// [`ProjectUnavailable`](ErrorKind::ProjectUnavailable) if it is unknown or ambiguous, and
    /// those of any request.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future ends the request.
    pub async fn select_project(&self, project: impl Into<ProjectRef>) -> Result<Self, Error> {
        let wanted = project.into();
        Ok(Self(self.0.scoped(&self.fetch_projects().await?, &wanted)?))
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
    pub async fn fetch_user(&self) -> Result<User, Error> {
        let core = &self.0.core;
        if let Some(user) = core.known_user() {
            return Ok(user);
        }
        let (user, generation) = core.run_in(operations::user()).await?;
        core.remember_user(&user, generation);
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
    pub async fn fetch_server(&self) -> Result<Server, Error> {
        let core = &self.0.core;
        if let Some(server) = core.look(|session| session.server().cloned()) {
            return Ok(server);
        }
        let server = core.run(operations::server()).await?;
        core.session(Input::Time, |session, _| session.set_server(server.clone()));
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
    pub async fn fetch_session(&self) -> Result<SessionInfo, Error> {
        self.0.core.run(operations::session_info()).await
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
    pub async fn fetch_status(&self) -> Result<SessionStatus, Error> {
        let core = &self.0.core;
        if !core.look(Session::is_open) {
            return Ok(SessionStatus::Expired);
        }
        operations::status_told(core.run(operations::status()).await)
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
        self.0.core.run(operations::create_identity_token()).await
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
        self.0.core.run(operations::validate_identity_token(token)).await
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
        let connection = Self(Handle::new(self.0.core.sibling(credentials)?));
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
        self.0.core.run(operations::create_api_token(&request)).await
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
        self.0.core.run(operations::revoke_api_token()).await
    }
}

impl ConnectionBuilder<SharedTransport> {
    /// Opens the connection: logs in, and finds the project if one is given. Everything is asked
    /// side by side after the login, so this takes two round trips.
    ///
    /// If anything fails, the session is logged out before the error is returned.
    ///
    /// # Errors
    ///
    /// [`Config`](ErrorKind::Config) for a setting that cannot work,
    /// [`ProjectUnavailable`](ErrorKind::ProjectUnavailable), and those of
    /// [`Connection::open`].
    ///
    /// # Cancel safety
    ///
    /// Dropping the future logs out, in the background, what it has opened.
    pub async fn connect(self) -> Result<Connection, Error> {
        let connection = self.build()?;
        connection.open().await?;
        Ok(connection)
    }

    /// Builds the connection without opening it: the first request logs in.
    ///
    /// # Errors
    ///
    /// [`Config`](ErrorKind::Config) for a setting that cannot work.
    pub fn build(self) -> Result<Connection, Error> {
        let (info, now) = (self.transport.info(), self.transport.timer().now());
        Ok(Connection(Handle::new(Core::new(self.prepare(info, now)?))))
    }
}
