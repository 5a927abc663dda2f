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
/// ```no_run
/// # mod mstr { pub use mstr_core::*; pub mod prelude { pub use mstr_core::*; } }
/// use mstr::prelude::*;
///
/// # async fn run(transport: impl Transport) -> Result<(), Error> {
/// let connection = Connection::builder("https://env.example.com/MicroStrategyLibrary")
///     .standard("username", "password")
///     .project_name("MicroStrategy Tutorial")
/// #   .transport(transport)
///     .connect()
///     .await?;
///
/// let response = connection.get("/api/sessions/userInfo").send().await?;
/// let user: serde_json::Value = response.json().await?;
/// println!("{user}");
///
/// // Another project, in the same session.
/// let sales = connection.select_project("Sales").await?;
/// let cube = sales.post("/api/v2/cubes/8CCD8D9D4051A4C533C719A6590DEED8/instances");
/// let instance: serde_json::Value = cube.send().await?.json().await?;
/// println!("{instance}");
///
/// connection.close().await;
/// # Ok(())
/// # }
/// ```
///
/// A connection is cheap to clone and can be used from any number of tasks. All clones share one
/// login, one renewal and one set of cookies. If the server has ended the session, the next call
/// opens a new one and is sent in it; its caller sees no error.
///
/// [`close`](Self::close) the connection when it is no longer needed. If the last clone is dropped
/// without a close, the session is logged out in the background, provided that the transport can run
/// something there (mstr-hyper and mstr-isahc can). Dropping never blocks.
///
/// | to | use |
/// |---|---|
/// | log in | [`ConnectionBuilder::connect`], or [`open`](Self::open) |
/// | call an endpoint | [`get`](Self::get), [`post`](Self::post), [`request`](Self::request), then [`RequestBuilder::send`] |
/// | read a long list | [`RequestBuilder::pages`] |
/// | work in another project | [`select_project`](Self::select_project), or [`RequestBuilder::project`] for one call |
/// | keep an idle session | [`keepalive`](Self::keepalive) |
/// | watch the session | [`events`](Self::events), [`fetch_status`](Self::fetch_status) |
/// | log out | [`close`](Self::close), [`scope`](Self::scope) |
#[derive(Clone)]
pub struct Connection(pub(in crate::driver) Handle<Tasks>);

impl Connection {
    /// Begins to describe a connection to the server at `base_url`.
    ///
    /// This is the address of the Library, usually `https://<host>/MicroStrategyLibrary`. It can be
    /// copied from a browser: a trailing `/app`, `/api`, `#/home` or `?…` is ignored. A mistake in the
    /// address is reported by `connect` or `build`.
    pub fn builder(base_url: impl AsRef<str>) -> ConnectionBuilder<NoTransport> {
        ConnectionBuilder::new(base_url.as_ref())
    }

    /// Reads the description of a connection from environment variables:
    ///
    /// | variable | meaning |
    /// |---|---|
    /// | `MSTR_BASE_URL` | the server's address, required |
    /// | `MSTR_USERNAME` and `MSTR_PASSWORD`, or `MSTR_API_TOKEN`, or `MSTR_IDENTITY_TOKEN`; `MSTR_LOGIN_MODE` | see [`Credentials::from_env`] |
    /// | `MSTR_PROJECT_NAME` or `MSTR_PROJECT_ID` | the project, optional |
    /// | `MSTR_CA_FILE` | a PEM file with additional certificates to trust, optional |
    /// | `HTTPS_PROXY`, `HTTP_PROXY`, `ALL_PROXY`, `NO_PROXY` | see [`ProxyConfig::from_env`](crate::ProxyConfig::from_env) |
    ///
    /// The last two rows are for the default transport. A transport of your own gets them from
    /// [`TlsConfig::from_env`](crate::TlsConfig::from_env) and
    /// [`ProxyConfig::from_env`](crate::ProxyConfig::from_env).
    ///
    /// ```no_run
    /// # mod mstr { pub use mstr_core::*; pub mod prelude { pub use mstr_core::*; } }
    /// use mstr::prelude::*;
    ///
    /// # async fn run(transport: impl Transport) -> Result<(), Error> {
    /// let connection = Connection::from_env()?
    ///     .user_agent("nightly-export/2.1")
    /// #   .transport(transport)
    ///     .connect()
    ///     .await?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// [`Config`](crate::ErrorKind::Config), naming the variable that is missing, empty or contradicts
    /// another. Credentials that are missing or contradict each other are an error of `connect` or
    /// `build`, so that the builder can be given others; so is a file that cannot be read.
    pub fn from_env() -> Result<ConnectionBuilder<NoTransport>, Error> {
        ConnectionBuilder::from_env()
    }

    /// Begins to describe a connection that borrows the session of Strategy Workstation; see
    /// [`WorkstationData`]. Certificates are verified as for any other connection. Closing the
    /// connection does not log Workstation out.
    pub fn from_workstation(data: &WorkstationData) -> ConnectionBuilder<NoTransport> {
        ConnectionBuilder::from_workstation(data)
    }
}

common_methods!(Connection);

impl Connection {
    /// Makes sure that a session is open: logs in if there is none. Waits for at most
    /// [`Timeouts::total`](crate::Timeouts::total), 5 minutes by default.
    ///
    /// Calling this is optional: the first request logs in as well.
    ///
    /// # Errors
    ///
    /// | kind | when |
    /// |---|---|
    /// | [`Credentials`](crate::ErrorKind::Credentials) | the server refuses the credentials, or the provider has failed |
    /// | [`SessionLimit`](crate::ErrorKind::SessionLimit) | the server allows no further session |
    /// | [`ProjectUnavailable`](crate::ErrorKind::ProjectUnavailable) | the connection's project is unknown, ambiguous or not loaded |
    /// | [`UnsupportedServer`](crate::ErrorKind::UnsupportedServer) | the server is too old |
    /// | [`Connect`](crate::ErrorKind::Connect), [`Tls`](crate::ErrorKind::Tls), [`Timeout`](crate::ErrorKind::Timeout), [`Interrupted`](crate::ErrorKind::Interrupted) | the server cannot be reached |
    /// | [`Gateway`](crate::ErrorKind::Gateway), [`Decode`](crate::ErrorKind::Decode), [`Redirect`](crate::ErrorKind::Redirect) | something else answers at this address |
    /// | [`Server`](crate::ErrorKind::Server), [`RateLimited`](crate::ErrorKind::RateLimited) | the server is in trouble |
    /// | [`SessionLost`](crate::ErrorKind::SessionLost) | a borrowed session has ended |
    /// | [`Closed`](crate::ErrorKind::Closed) | the connection has been closed |
    ///
    /// # Cancel safety
    ///
    /// Dropping the future pauses the login; the next call resumes the same one.
    pub async fn open(&self) -> Result<(), Error> {
        self.0.core.open(self.0.core.deadline()).await
    }

    /// Extends the session now, or opens one if there is none. Callers that ask at the same time
    /// share one request. Waits for at most [`Timeouts::total`](crate::Timeouts::total), 5 minutes by
    /// default.
    ///
    /// # Errors
    ///
    /// Those of [`open`](Self::open). After an error that
    /// [is retryable](Error::is_retryable) the session stays in use.
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
    /// [`Closed`](crate::ErrorKind::Closed). Closing again returns the same outcome.
    ///
    /// Waits for at most [`Timeouts::total`](crate::Timeouts::total), 5 minutes by default. A logout
    /// that is not finished by then is finished by the next close or, when the last handle is dropped,
    /// in the background. A failed logout is a [`CloseOutcome`], not an error.
    ///
    /// A session borrowed with an identity token stays open for its owner; see
    /// [`close_borrowed`](Self::close_borrowed).
    ///
    /// # Cancel safety
    ///
    /// Dropping the future pauses the logout; closing again resumes it, and dropping the last
    /// handle finishes it in the background.
    pub async fn close(&self) -> CloseOutcome {
        self.0.core.close(false, self.0.core.deadline()).await
    }

    /// Like [`close`](Self::close), but also ends a borrowed session, which logs its owner out.
    ///
    /// # Cancel safety
    ///
    /// That of [`close`](Self::close).
    pub async fn close_borrowed(&self) -> CloseOutcome {
        self.0.core.close(true, self.0.core.deadline()).await
    }

    /// Runs `body` with this connection and closes it afterwards, whether `body` succeeds or
    /// fails. Returns what `body` returns, also if the logout fails.
    ///
    /// ```no_run
    /// # use mstr_core as mstr;
    /// # async fn run(connection: mstr::Connection) -> Result<(), mstr::Error> {
    /// let user = connection.scope(async |connection| connection.fetch_user().await).await?;
    /// println!("{:?}", user.full_name);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// Those of `body`.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future drops `body`. The session is logged out in the background if this was the
    /// last handle.
    pub async fn scope<T, E, F>(self, body: F) -> Result<T, E>
    where
        F: AsyncFnOnce(&Self) -> Result<T, E>,
    {
        let outcome = body(&self).await;
        self.close().await;
        outcome
    }

    /// Returns a future that keeps an idle session alive, for the caller to spawn. It ends when the
    /// connection is closed or its last handle is dropped. It sends nothing while other calls keep the
    /// session alive.
    ///
    /// This future does not replace a lost session; the next call does.
    ///
    /// ```no_run
    /// # mod tokio { pub fn spawn(_: impl Future<Output = ()> + Send + 'static) {} }
    /// # use mstr_core as mstr;
    /// # fn run(connection: &mstr::Connection) {
    /// tokio::spawn(connection.keepalive());
    /// # }
    /// ```
    #[must_use = "nothing is kept alive unless the future is run"]
    pub fn keepalive(&self) -> impl Future<Output = ()> + Send + use<> {
        keepalive(&self.0.core)
    }

    /// Asks for the projects that the user may see.
    ///
    /// # Errors
    ///
    /// Those of [`RequestBuilder::send`] and [`Response::json`](super::Response::json).
    ///
    /// # Cancel safety
    ///
    /// Dropping the future ends the request.
    pub async fn fetch_projects(&self) -> Result<Vec<Project>, Error> {
        self.0.core.run(operations::projects()).await
    }

    /// Returns a new handle on the same session, whose requests are about another project: one named
    /// by its name or id, or one that [`fetch_projects`](Self::fetch_projects) has listed. `self` keeps
    /// its own project, so tasks that share a connection cannot change each other's project.
    ///
    /// ```no_run
    /// # use mstr_core as mstr;
    /// # async fn run(connection: mstr::Connection) -> Result<(), mstr::Error> {
    /// let tutorial = connection.select_project("MicroStrategy Tutorial").await?;
    /// let by_id = connection.select_project("B7CA92F04B9FAE8D941C3E9B7E0CD754").await?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// [`ProjectUnavailable`](crate::ErrorKind::ProjectUnavailable) if the project is unknown or ambiguous,
    /// and those of [`fetch_projects`](Self::fetch_projects).
    ///
    /// # Cancel safety
    ///
    /// Dropping the future ends the request.
    pub async fn select_project(&self, project: impl Into<ProjectRef>) -> Result<Self, Error> {
        let wanted = project.into();
        Ok(Self(self.0.scoped(&self.fetch_projects().await?, &wanted)?))
    }

    /// The user to whom the session belongs. The answer is kept: the first call in each session sends a
    /// request, and later ones send none. To learn whether the session lives, use
    /// [`fetch_status`](Self::fetch_status).
    ///
    /// # Errors
    ///
    /// Those of [`fetch_projects`](Self::fetch_projects).
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

    /// Asks for the server's versions. The answer is kept: one request for each connection.
    ///
    /// # Errors
    ///
    /// Those of [`fetch_projects`](Self::fetch_projects).
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

    /// Asks what the server knows about the session, such as its idle timeout. The request also resets
    /// the session's idle time.
    ///
    /// # Errors
    ///
    /// Those of [`fetch_projects`](Self::fetch_projects).
    ///
    /// # Cancel safety
    ///
    /// Dropping the future ends the request.
    pub async fn fetch_session(&self) -> Result<SessionInfo, Error> {
        self.0.core.run(operations::session_info()).await
    }

    /// Asks whether the session is alive. Never opens one.
    ///
    /// If no session is open, the answer is [`Expired`](SessionStatus::Expired) and nothing is sent, so
    /// this does not tell whether the server is there. Asking resets the session's idle time. For a
    /// health check, `get("/api/status")` [without the session](super::RequestBuilder::without_auth)
    /// needs no login and extends nothing.
    ///
    /// # Errors
    ///
    /// Those of [`fetch_projects`](Self::fetch_projects), except that an ended session is
    /// [`SessionStatus::Expired`] and not an error. A server that cannot answer is an error and not
    /// "expired".
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

    /// Creates a token with which another client can borrow this session for a short while. The other
    /// client uses it with [`ConnectionBuilder::identity_token`] or [`delegate`](Self::delegate).
    ///
    /// # Errors
    ///
    /// Those of [`fetch_projects`](Self::fetch_projects).
    ///
    /// # Cancel safety
    ///
    /// Dropping the future ends the request; the token may have been created.
    pub async fn create_identity_token(&self) -> Result<IdentityToken, Error> {
        self.0.core.run(operations::create_identity_token()).await
    }

    /// Asks which user's session an identity token borrows; `None` if the token is not valid.
    ///
    /// # Errors
    ///
    /// Those of [`fetch_projects`](Self::fetch_projects).
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
    /// Closing it leaves that session open.
    ///
    /// # Errors
    ///
    /// Those of [`open`](Self::open).
    ///
    /// # Cancel safety
    ///
    /// Dropping the future gives the borrowed session up. The token may have been used by then.
    pub async fn delegate(&self, token: impl Into<IdentityToken>) -> Result<Self, Error> {
        let credentials = Credentials::identity_token(token);
        let connection = Self(Handle::new(self.0.core.sibling(credentials)?));
        connection.open().await?;
        Ok(connection)
    }

    /// Creates an API token, which replaces the user's former one. See [`ApiTokenRequest`].
    ///
    /// The request is repeated only if the server cannot have carried it out, because each attempt
    /// creates a token.
    ///
    /// # Errors
    ///
    /// [`Forbidden`](crate::ErrorKind::Forbidden) if the user lacks the privilege, and those of
    /// [`fetch_projects`](Self::fetch_projects).
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
    /// Those of [`fetch_projects`](Self::fetch_projects).
    ///
    /// # Cancel safety
    ///
    /// Dropping the future ends the request; the token may have been revoked.
    pub async fn revoke_api_token(&self) -> Result<(), Error> {
        self.0.core.run(operations::revoke_api_token()).await
    }
}

impl ConnectionBuilder<SharedTransport> {
    /// Opens the connection: logs in, checks the server's version, learns the idle timeout and finds
    /// the project if one is given. The version is asked for beside the login, and all that follows
    /// the login is sent at once, so the requests take two round trips.
    ///
    /// If anything fails, the session is logged out before the error is returned.
    ///
    /// # Errors
    ///
    /// [`Config`](crate::ErrorKind::Config) for a setting that cannot work, and those of
    /// [`Connection::open`].
    ///
    /// # Cancel safety
    ///
    /// Dropping the future logs out, in the background, the session that it has opened. A program that
    /// ends then, on a signal for example, calls [`build`](Self::build), [`open`](Connection::open) and
    /// [`close`](Connection::close) instead, so that it can wait for the logout.
    pub async fn connect(self) -> Result<Connection, Error> {
        let connection = self.build()?;
        connection.open().await?;
        Ok(connection)
    }

    /// Builds the connection without opening it: the first request logs in.
    ///
    /// # Errors
    ///
    /// [`Config`](crate::ErrorKind::Config) for a setting that cannot work.
    pub fn build(self) -> Result<Connection, Error> {
        let (info, now) = (self.transport.info(), self.transport.timer().now());
        Ok(Connection(Handle::new(Core::new(self.prepare(info, now)?))))
    }
}
