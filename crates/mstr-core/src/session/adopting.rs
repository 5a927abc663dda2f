//! A session that was opened elsewhere: taken over as it is, without a request.

use std::sync::Arc;
use std::time::Instant;

use super::held::Held;
use super::machine::{Session, closed};
use super::messages::Event;
use super::state::State;
use crate::error::{Error, ErrorKind};
use crate::protocol::{Exchanging, ProjectRef, SessionRecord, resolve_project};

impl Session {
    /// Uses a session that was opened elsewhere from now on, in place of the one in use or under
    /// way. Nothing is sent for it: the first answer in it confirms it. If it is the session in
    /// use, its cookies and its idle time are taken over and nothing else changes.
    ///
    /// Its generation is the record's, or the next one of this machine if that is later. Until
    /// something has succeeded in it, another machine may be its owner: it is not logged out when it turns
    /// out to have ended, when the credentials are reset or when the machine is dropped, but only
    /// by [`Command::Logout`](super::Command::Logout). What replaces it when it ends is what this
    /// machine would have done without it: a login, or the refusal that there was before. One
    /// that is [borrowed](SessionRecord::as_borrowed) is never replaced nor logged out.
    ///
    /// # Errors
    ///
    /// [`Usage`](ErrorKind::Usage) if it belongs to another server, or if a project is wanted that
    /// neither this machine nor the record knows: nothing would be asked, and requests would be
    /// about no project. [`Closed`](ErrorKind::Closed) after a logout. In both cases nothing has
    /// changed.
    pub fn adopt(&mut self, record: SessionRecord, now: Instant) -> Result<(), Error> {
        let own = &self.config.endpoint.base;
        if !own.is_same_as(&record.base) {
            let message = format!(
                "the session belongs to {} and not to {own}: adopt it in a connection to there",
                record.base
            );
            return Err(Error::new(ErrorKind::Usage, message));
        }
        if self.state.is_closing() {
            return Err(closed());
        }
        let project = match self.config.project.as_deref() {
            Some(wanted) if self.known.project.is_none() => {
                let known = record.project.as_slice();
                Some(Arc::new(resolve_project(known, wanted).map_err(|_| missing(wanted))?))
            }
            _ => None,
        };
        let same = self.state.held_mut().filter(|held| held.token.is_same_as(&record.token));
        if let Some(held) = same {
            held.jar = record.jar;
            held.jar.expire(now);
            held.cookie += 1;
            held.refresh();
            held.set_idle_timeout(record.idle_timeout, now);
            return Ok(());
        }
        let mut jar = record.jar;
        jar.expire(now);
        let Some(mut held) = Held::new(record.token, jar, now) else {
            let message = "the session's token has characters that a header cannot have";
            return Err(Error::new(ErrorKind::Usage, message));
        };
        if let State::Refused(error) = &self.state {
            held.refusal = Some(error.clone());
        }
        if let State::Leaving { held: left, .. } = &self.state {
            // Its answer is not awaited any more, and it may not even have been sent: a second
            // logout does no harm.
            let wire = Arc::clone(&left.wire);
            self.log_out_in_background(&wire, now);
        }
        self.give_up_for_another(now);
        self.forget_supplied();
        self.known.project = project.or_else(|| self.known.project.take());
        self.generation = self.generation.next_from(record.generation);
        held.generation = self.generation;
        held.borrowed = record.borrowed;
        held.adopted = true;
        held.jitter = self.backoff.fraction();
        held.exchanging = Exchanging::known(record.exchanges);
        held.set_idle_timeout(record.idle_timeout, now);
        self.state = State::open(held);
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
