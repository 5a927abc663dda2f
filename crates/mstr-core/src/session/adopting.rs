//! A session that was opened elsewhere: taken over as it is, without a request.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::held::{Exchanging, Held};
use super::machine::{Session, closed};
use super::messages::Event;
use super::state::{Slot, State};
use crate::error::{Error, ErrorKind};
use crate::protocol::{ProjectRef, SessionRecord, WireCredentials, resolve_project, wire};

impl Session {
    /// Uses a session that was opened elsewhere from now on, in place of the one in use or under
    /// way. Nothing is sent: the first answer in it confirms it.
    ///
    /// Its generation is the record's, or the next one of this machine if that is later. An
    /// adopted session that turns out to have ended is replaced by a login, and not logged out:
    /// others may use it. Once something has succeeded in it, it is this machine's own.
    ///
    /// # Errors
    ///
    /// [`Usage`](ErrorKind::Usage) if it belongs to another server, or if a project is wanted that
    /// neither this machine nor the record knows: nothing would be asked, and requests would be
    /// about no project. [`Closed`](ErrorKind::Closed) after a logout. In both cases nothing has
    /// changed.
    pub fn adopt(&mut self, record: SessionRecord, now: Instant) -> Result<(), Error> {
        let own = self.config.endpoint.base.origin();
        if record.origin != own {
            let message = format!(
                "the session belongs to {} and not to {own}: adopt it in a connection to there",
                record.origin
            );
            return Err(Error::new(ErrorKind::Usage, message));
        }
        let project = match &self.config.project {
            Some(wanted) if self.known.project.is_none() => Some(
                resolve_project(record.project.as_slice(), wanted).map_err(|_| missing(wanted))?,
            ),
            _ => None,
        };
        let Some(token) = wire::token_header(&record.token) else {
            let message = "the session's token has characters no header can carry";
            return Err(Error::new(ErrorKind::Usage, message));
        };
        if self.state.is_closing() {
            return Err(closed());
        }
        if let State::Leaving { wire, slot: Slot::Waiting { .. }, .. } = &self.state {
            // Between two attempts its logout is not under way, and would be forgotten.
            let wire = Arc::clone(wire);
            self.log_out_in_background(&wire, now);
        }
        self.give_up_for_another(now);
        self.forget_supplied();
        if project.is_some() {
            self.known.project = project;
        }
        self.generation = self.generation.next_from(record.generation);
        let SessionRecord { token: auth, jar, idle_timeout, borrowed, .. } = record;
        let mut held = Held {
            generation: self.generation,
            epoch: 0,
            token: auth,
            wire: Arc::new(WireCredentials { token, cookies: jar.header() }),
            jar,
            exchanging: Exchanging::default(),
            borrowed,
            adopted: true,
            confirmed: false,
            idle_timeout: Duration::ZERO,
            idle_deadline: now,
            renew_at: now,
            jitter: self.backoff.fraction(),
        };
        held.set_idle_timeout(idle_timeout, now);
        self.state = State::open(Box::new(held));
        self.event(Event::Opened { generation: self.generation });
        Ok(())
    }
}

fn missing(wanted: &ProjectRef) -> Error {
    let message = format!(
        "the session's record does not know the project {wanted}, and nothing is asked when a \
         session is adopted: record it in a connection that was opened for this project"
    );
    Error::new(ErrorKind::Usage, message)
}
