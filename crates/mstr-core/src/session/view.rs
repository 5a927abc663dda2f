//! Queries of the machine, which do not change it.

use std::sync::Arc;
use std::time::Instant;

use super::config::SessionConfig;
use super::held::Held;
use super::machine::Session;
use super::messages::CloseOutcome;
use super::state::{Beside, State};
use crate::generation::Generation;
use crate::protocol::{
    Credentials, ExposedToken, Grant, LoginMode, Project, Server, SessionInfo, SessionRecord,
};

impl Session {
    /// Whether only one request should be under way at a time; each [`Grant`] says so too.
    #[must_use]
    pub fn takes_turns(&self) -> bool {
        self.state.held().is_some_and(|held| held.exchanging.takes_turns())
    }

    /// Whether a renewal, a question about the session or what is to replace it is under way.
    #[must_use]
    pub const fn is_renewing(&self) -> bool {
        matches!(self.state, State::Open { renewing: Some(_), .. })
    }

    /// When an idle session should be renewed; `None` while there is none to renew.
    #[must_use]
    pub fn renew_at(&self) -> Option<Instant> {
        match &self.state {
            State::Open { held, .. } => Some(held.renew_at),
            _ => None,
        }
    }

    /// The name of the state, for diagnosis.
    #[must_use]
    pub fn describe(&self) -> &'static str {
        self.state.name()
    }

    /// The session in use or the last one; `None` before the first.
    #[must_use]
    pub fn generation(&self) -> Option<Generation> {
        (self.generation != Generation::NONE).then_some(self.generation)
    }

    /// The project the session was opened for, once it has been found.
    #[must_use]
    pub fn project(&self) -> Option<&Project> {
        self.known.project.as_deref()
    }

    /// The server, once it has been asked.
    #[must_use]
    pub fn server(&self) -> Option<&Server> {
        self.known.server.as_deref()
    }

    /// The server's description of the session when it was first opened.
    #[must_use]
    pub fn info(&self) -> Option<&SessionInfo> {
        self.known.info.as_deref()
    }

    /// How the session was closed, once it has been.
    #[must_use]
    pub const fn close_outcome(&self) -> Option<&CloseOutcome> {
        match &self.state {
            State::Closed(outcome) => Some(outcome),
            _ => None,
        }
    }

    /// The project, for what keeps it as well.
    pub(crate) const fn shared_project(&self) -> Option<&Arc<Project>> {
        self.known.project.as_ref()
    }

    /// The login mode, if it is known and the session is not borrowed.
    #[must_use]
    pub fn login_mode(&self) -> Option<LoginMode> {
        self.current_credentials().and_then(Credentials::login_mode)
    }

    /// The user name, for the modes that have one.
    #[must_use]
    pub fn username(&self) -> Option<&str> {
        self.current_credentials().and_then(Credentials::username)
    }

    /// Whether something on the server would outlive this machine if it were dropped now.
    #[must_use]
    pub fn needs_closing(&self) -> bool {
        match &self.state {
            State::LoggingIn { .. } | State::ClosingLogin(_) | State::Leaving { .. } => true,
            // One of them may still succeed.
            _ if self.has_retired_logins() => true,
            State::Open { renewing: Some(beside), .. } if beside.what == Beside::Login => true,
            state => state.held().is_some_and(Held::is_ours),
        }
    }

    /// The grant of the session in use, if there is one; nothing is opened or extended.
    #[must_use]
    pub fn current_grant(&self) -> Option<Grant> {
        match &self.state {
            State::Open { held, .. } => Some(held.grant()),
            _ => None,
        }
    }

    /// Whether a new session is being checked.
    pub(crate) const fn is_checking(&self) -> bool {
        matches!(self.state, State::Settling { .. })
    }

    /// Whether there is a session that can be used.
    #[must_use]
    pub const fn is_open(&self) -> bool {
        matches!(self.state, State::Open { .. })
    }

    /// The session in use as a value that another machine can adopt; `None` while there is none.
    #[must_use]
    pub fn record(&self) -> Option<SessionRecord> {
        let State::Open { held, .. } = &self.state else { return None };
        Some(SessionRecord {
            base: self.config.endpoint.base.clone(),
            generation: held.generation,
            token: held.token.clone(),
            jar: held.jar.clone(),
            idle_timeout: held.idle_timeout,
            borrowed: held.borrowed,
            exchanges: held.exchanging.takes_turns(),
            project: self.known.project.as_deref().cloned(),
        })
    }

    /// The token in clear; `None` while there is none.
    pub(crate) fn expose_token(&self) -> Option<ExposedToken> {
        self.state.held().map(|held| held.token.to_exposed())
    }

    /// When what is awaited next has to be there.
    pub(crate) fn next_deadline(&self) -> Option<Instant> {
        self.state.next_deadline()
    }

    pub(crate) const fn config(&self) -> &SessionConfig {
        &self.config
    }
}
