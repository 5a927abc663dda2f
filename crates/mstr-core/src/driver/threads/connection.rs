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
/// ```no_run
/// # mod mstr { pub use mstr_core::*; pub mod prelude { pub use mstr_core::*; } }
/// use mstr::prelude::*;
///
/// # fn run(transport: impl mstr::BlockingTransport) -> Result<(), Error> {
/// let connection = Connection::builder("https://env.example.com/MicroStrategyLibrary")
///     .standard("username", "password")
/// #   .blocking_transport(transport).connect()?; /*
///     .connect_blocking()?;
/// # */
///
/// let tutorial = connection.select_project("MicroStrategy Tutorial")?;
/// let reports: serde_json::Value = tutorial
///     .get("/api/searches/results")
///     .query(&[("type", "3"), ("name", "sales")])
///     .send()?
///     .json()?;
/// println!("{reports}");
///
/// connection.close();
/// # Ok(())
/// # }
/// ```
///
/// This is the blocking counterpart of [`mstr::Connection`](crate::Connection): its methods have the
/// same names and block the calling thread. It needs no async runtime. Clone it into as many threads
/// as you like; they share one session and one login.
///
/// If the last handle is dropped without a [`close`](Self::close), the session is logged out in the
/// background, provided that the transport can send something there.
#[derive(Clone)]
pub struct Connection(pub(in crate::driver) Handle<Threads>);

impl Connection {
    /// Begins to describe a connection to the server at `base_url`; see
    /// [`mstr::Connection::builder`](crate::Connection::builder).
    ///
    /// To get a blocking connection, end the description with `connect_blocking`, or give it a
    /// [`blocking_transport`](ConnectionBuilder::blocking_transport).
    pub fn builder(base_url: impl AsRef<str>) -> ConnectionBuilder<NoTransport> {
        ConnectionBuilder::new(base_url.as_ref())
    }

    /// Reads the description of a connection from environment variables; see
    /// [`mstr::Connection::from_env`](crate::Connection::from_env) for their names.
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
    /// [`WorkstationData`].
    pub fn from_workstation(data: &WorkstationData) -> ConnectionBuilder<NoTransport> {
        ConnectionBuilder::from_workstation(data)
    }
}

common_methods!(Connection);

impl Connection {
    /// Makes sure that a session is open: logs in if there is none. Waits for at most
    /// [`Timeouts::total`](crate::Timeouts::total), 5 minutes by default. A login that is not finished
    /// by then is not sent again: the next thread that needs it finishes it.
    ///
    /// Two things can exceed this time: a transport that cannot wait in steps (see
    /// [`BlockingTransport::start`](crate::BlockingTransport::start)), by one attempt; and a
    /// credential provider that blocks its thread, without limit.
    ///
    /// # Errors
    ///
    /// Those of [`mstr::Connection::open`](crate::Connection::open).
    pub fn open(&self) -> Result<(), Error> {
        self.0.core.open(self.0.core.deadline())
    }

    /// Extends the session now, or opens one if there is none; see [`open`](Self::open) for how
    /// long that may take.
    ///
    /// # Errors
    ///
    /// Those of [`mstr::Connection::renew`](crate::Connection::renew).
    pub fn renew(&self) -> Result<(), Error> {
        let deadline = self.0.core.deadline();
        self.0.core.carry_out(Command::Renew, Input::Renew, deadline)?;
        self.0.core.open(deadline)
    }

    /// Ends the session on the server and the connection with it: later calls fail with
    /// [`Closed`](crate::ErrorKind::Closed). Closing again returns the same outcome.
    ///
    /// Waits for at most [`Timeouts::total`](crate::Timeouts::total), 5 minutes by default. A logout
    /// that is not finished by then is finished by the next close or, when the last handle is dropped,
    /// in the background. A failed logout is a [`CloseOutcome`], not an error.
    pub fn close(&self) -> CloseOutcome {
        self.0.core.close(false)
    }

    /// Like [`close`](Self::close), but also ends a borrowed session, which logs its owner out.
    pub fn close_borrowed(&self) -> CloseOutcome {
        self.0.core.close(true)
    }

    /// Runs `body` with this connection and closes it afterwards, also if `body` fails or panics.
    /// Returns what `body` returns, also if the logout fails.
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

    /// Asks for the projects that the user may see.
    ///
    /// # Errors
    ///
    /// Those of [`RequestBuilder::send`] and [`Response::json`](super::Response::json).
    pub fn fetch_projects(&self) -> Result<Vec<Project>, Error> {
        self.0.core.run(operations::projects())
    }

    /// Returns a new handle on the same session, whose requests are about another project: one named
    /// by its name or id, or one that [`fetch_projects`](Self::fetch_projects) has listed. `self` keeps
    /// its own project.
    ///
    /// # Errors
    ///
    /// [`ProjectUnavailable`](crate::ErrorKind::ProjectUnavailable) if the project is unknown or
    /// ambiguous, and those of [`fetch_projects`](Self::fetch_projects).
    pub fn select_project(&self, project: impl Into<ProjectRef>) -> Result<Self, Error> {
        Ok(Self(self.0.scoped(&self.fetch_projects()?, &project.into())?))
    }

    /// The user to whom the session belongs. The answer is kept: the first call in each session sends a
    /// request, and later ones send none. To learn whether the session lives, use
    /// [`fetch_status`](Self::fetch_status).
    ///
    /// # Errors
    ///
    /// Those of [`fetch_projects`](Self::fetch_projects).
    pub fn fetch_user(&self) -> Result<User, Error> {
        let core = &self.0.core;
        if let Some(user) = core.known_user() {
            return Ok(user);
        }
        let (user, generation) = core.run_in(operations::user())?;
        core.remember_user(&user, generation);
        Ok(user)
    }

    /// Asks for the server's versions. The answer is kept: one request for each connection.
    ///
    /// # Errors
    ///
    /// Those of [`fetch_projects`](Self::fetch_projects).
    pub fn fetch_server(&self) -> Result<Server, Error> {
        let core = &self.0.core;
        if let Some(server) = core.look(|session| session.server().cloned()) {
            return Ok(server);
        }
        let server = core.run(operations::server())?;
        core.session(Input::Time, |session, _| session.set_server(server.clone()));
        Ok(server)
    }

    /// Asks what the server knows about the session, such as its idle timeout. The request also resets
    /// the session's idle time.
    ///
    /// # Errors
    ///
    /// Those of [`fetch_projects`](Self::fetch_projects).
    pub fn fetch_session(&self) -> Result<SessionInfo, Error> {
        self.0.core.run(operations::session_info())
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
    /// [`SessionStatus::Expired`] and not an error.
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
    /// Those of [`fetch_projects`](Self::fetch_projects).
    pub fn create_identity_token(&self) -> Result<IdentityToken, Error> {
        self.0.core.run(operations::create_identity_token())
    }

    /// Asks which user's session an identity token borrows; `None` if the token is not valid.
    ///
    /// # Errors
    ///
    /// Those of [`fetch_projects`](Self::fetch_projects).
    pub fn validate_identity_token(&self, token: &IdentityToken) -> Result<Option<UserId>, Error> {
        self.0.core.run(operations::validate_identity_token(token))
    }

    /// Opens a second connection over the same transport, in the session that `token` borrows.
    /// Closing it leaves that session open.
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

    /// Creates an API token, which replaces the user's former one. See [`ApiTokenRequest`].
    ///
    /// # Errors
    ///
    /// Those of [`mstr::Connection::create_api_token`](crate::Connection::create_api_token).
    pub fn create_api_token(&self, request: ApiTokenRequest) -> Result<CreatedApiToken, Error> {
        self.0.core.run(operations::create_api_token(&request))
    }

    /// Revokes the user's API token and ends the sessions opened with it.
    ///
    /// # Errors
    ///
    /// Those of [`fetch_projects`](Self::fetch_projects).
    pub fn revoke_api_token(&self) -> Result<(), Error> {
        self.0.core.run(operations::revoke_api_token())
    }
}

impl ConnectionBuilder<SharedBlockingTransport> {
    /// Opens the connection: logs in, and finds the project if one is given. Its requests are sent
    /// one after another, the login first.
    ///
    /// If anything fails, the session is logged out before the error is returned.
    ///
    /// # Errors
    ///
    /// [`Config`](crate::ErrorKind::Config) for a setting that cannot work, and those of
    /// [`blocking::Connection::open`](crate::blocking::Connection::open).
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
