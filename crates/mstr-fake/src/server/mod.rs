//! The sans-IO server.
//!
//! Deterministic: no clock, no entropy. [`Server::handle`] takes a request and the current
//! instant and returns a reply and when it is due.

mod answers;
mod auth;
mod body;
mod builder;
mod calls;
mod faults;
mod incoming;
mod journal;
mod model;
mod purpose;
mod routes;
mod sessions;
#[cfg(test)]
mod tests;

use std::time::{Duration, Instant};

use bytes::Bytes;
use http::{Method, Request, Response};

pub use body::ReplyBody;
pub use builder::ServerBuilder;
pub use faults::{Fault, ParseFaultError, SocketFault};
pub use journal::{Entry, Journal};
pub use purpose::Purpose;

use crate::endpoint::{Endpoint, EndpointCalls};
use faults::Effect;
use incoming::Incoming;
use journal::Recorded;
use model::Model;

/// A server and everything it knows.
#[derive(Debug)]
pub struct Server {
    model: Model,
    faults: Vec<Fault>,
    journal: Journal,
    latency: Duration,
}

/// The server's reaction to a request.
#[derive(Debug)]
#[non_exhaustive]
pub struct Reply {
    /// How long after the request's arrival the reply is sent.
    pub after: Duration,
    /// The reply.
    pub response: Response<ReplyBody>,
    /// A fault of the connection, instead of the reply or after it.
    pub fault: Option<SocketFault>,
    /// The number of the request in the journal.
    pub ordinal: u64,
}

/// A century, which every platform's clock can hold. `Duration::MAX` is a common way to say that an
/// answer never comes, and adding it to an instant panics.
const FOR_EVER: Duration = Duration::from_secs(100 * 365 * 24 * 60 * 60);

fn together(one: Duration, other: Duration) -> Duration {
    one.saturating_add(other).min(FOR_EVER)
}

impl Server {
    pub(crate) fn from_parts(model: Model, faults: Vec<Fault>, latency: Duration) -> Self {
        Self { model, faults, journal: Journal::default(), latency }
    }

    /// Answers a request that arrives at `now`. Any request: none panics, unless the closure of an
    /// [`Endpoint`] does.
    pub fn handle(&mut self, request: Request<Bytes>, now: Instant) -> Reply {
        self.model.pass_time(now);
        self.model.balance();
        let incoming = Incoming::new(request, &self.model);
        if let Some(path) = &incoming.path {
            self.model.endpoints.arrive(&incoming.method, path);
        }
        let mut recorded = Recorded::new(&incoming, &self.model, now);
        // Their order is in the documentation of `Fault`.
        let effects = faults::decide(&mut self.faults, &incoming);
        let slower = effects.iter().map(|effect| match effect {
            Effect::Slow(extra) => *extra,
            _ => Duration::ZERO,
        });
        let mut after = slower.fold(together(self.latency, Duration::ZERO), together);
        if effects.iter().any(|effect| matches!(effect, Effect::Expire)) {
            self.model.expire_session(incoming.token());
        }
        if let Some(fault) = effects.iter().find_map(Effect::instead) {
            let ordinal = self.journal.push(recorded.finish(None, after, &effects));
            let response = answers::empty(http::StatusCode::SERVICE_UNAVAILABLE);
            return Reply { after, response, fault: Some(fault), ordinal };
        }
        let too_long =
            (incoming.head_size() > self.model.longest_head).then(answers::head_too_long);
        let answer = too_long.or_else(|| effects.iter().find_map(Effect::answer));
        let own = answer.is_none();
        let mut response = match answer {
            Some(response) => response,
            None => self.model.respond(&incoming, &mut recorded),
        };
        if let Some(answers::Delay(delay)) = response.extensions_mut().remove() {
            after = together(after, delay);
        }
        let fault = effects.iter().find_map(Effect::afterwards);
        self.model.decorate(&incoming, &mut response, &effects, own);
        if effects.iter().any(|effect| matches!(effect, Effect::Gzip)) {
            body::compress(&incoming, &mut response);
        }
        if incoming.method == Method::HEAD {
            *response.body_mut() = ReplyBody::Bytes(Bytes::new());
        }
        let answered = (fault != Some(SocketFault::Reset) && fault != Some(SocketFault::Stall))
            .then_some(response.status());
        let ordinal = self.journal.push(recorded.finish(answered, after, &effects));
        Reply { after, response, fault, ordinal }
    }

    /// The path the Library is deployed under.
    #[must_use]
    pub fn base_path(&self) -> &str {
        &self.model.base_path
    }

    /// When the next session ends by itself.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.model.next_expiry()
    }

    /// Lets time pass: sessions that have been idle too long end.
    pub fn handle_timeout(&mut self, now: Instant) {
        self.model.pass_time(now);
    }

    /// Ends every session, as a restart of the server does.
    pub fn expire_all_sessions(&mut self) {
        self.model.expire_all();
    }

    /// How many sessions are alive. A borrowed session counts with the one it is borrowed from.
    #[must_use]
    pub fn open_sessions(&self) -> usize {
        self.model.open_sessions()
    }

    /// The tokens of the sessions that are alive, to find out which one was left open.
    #[must_use]
    pub fn open_tokens(&self) -> Vec<String> {
        self.model.open_tokens()
    }

    /// Sessions that are alive beside a newer one of the same user: no client will log them out.
    #[must_use]
    pub fn orphan_sessions(&self) -> usize {
        self.model.orphan_sessions()
    }

    /// Logins that submitted credentials the server had refused before: what locks an account.
    #[must_use]
    pub fn logins_after_rejection(&self) -> usize {
        self.model.logins_after_rejection
    }

    /// Changes a user's password.
    pub fn set_password(&mut self, user: &str, password: &str) {
        self.model.set_password(user, password);
    }

    /// Adds a fault.
    pub fn add_fault(&mut self, fault: Fault) {
        self.faults.push(fault);
    }

    /// Removes all faults.
    pub fn clear_faults(&mut self) {
        self.faults.clear();
    }

    /// Adds an endpoint of your own. Where several match a request, the one added last answers.
    pub fn add_endpoint(&mut self, endpoint: Endpoint) {
        self.model.endpoints.add(endpoint);
    }

    /// How often an endpoint of your own has been called. Method and pattern are those it was added
    /// with.
    ///
    /// # Panics
    ///
    /// If there is no such endpoint: a wrong pattern must not pass for one that was never called.
    #[must_use]
    #[track_caller]
    pub fn calls(&self, method: Method, pattern: &str) -> EndpointCalls {
        match self.model.endpoints.calls(&method, pattern) {
            Ok(calls) => calls,
            Err(why) => panic!("{why}"),
        }
    }

    /// Changes how long every reply takes.
    pub fn set_latency(&mut self, latency: Duration) {
        self.latency = latency;
    }

    /// The record of requests so far.
    #[must_use]
    pub fn journal(&self) -> &Journal {
        &self.journal
    }

    /// Token and cookies of the session opened last, as another program on the user's machine
    /// would know them. Empty if there is none.
    #[must_use]
    pub fn wire_credentials_of_newest_session(&self) -> (String, Vec<(String, String)>) {
        self.model.newest_wire_credentials()
    }
}
