//! The record of a server's requests, and the questions of tests about it.

use std::time::{Duration, Instant};

use http::{Method, StatusCode};
use serde_json::{Value, json};

use super::faults::Effect;
use super::incoming::Incoming;
use super::model::Model;
use super::purpose::Purpose;

/// How much of a body is searched for secrets.
const SEARCHED: usize = 64 * 1024;
/// Shorter values would be found by chance.
const SHORTEST_SECRET: usize = 6;

/// One request and what became of it. Holds no secret.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Entry {
    /// When it arrived.
    pub at: Instant,
    /// How long the server took to answer.
    pub took: Duration,
    /// Its method.
    pub method: Method,
    /// Its path below the base path, or the whole path if it is elsewhere.
    pub path: String,
    /// Its purpose.
    pub purpose: Purpose,
    /// The status of the answer; `None` if there was none.
    pub status: Option<StatusCode>,
    /// The number of the session it belonged to or opened, from 0.
    pub session: Option<usize>,
    /// Whether it opened that session.
    pub opened: bool,
    /// The user a login was for, once accepted.
    pub user: Option<String>,
    /// The project header.
    pub project: Option<String>,
    /// The login mode of a login.
    pub login_mode: Option<i64>,
    /// The application type of a login.
    pub application_type: Option<i64>,
    /// Whether it carried a session token.
    pub has_token: bool,
    /// Whether its token and its cookies belonged to different sessions.
    pub mixed: bool,
    /// The places of secrets that must not be there.
    pub leaks: Vec<String>,
    /// Notes: faults that applied, fields that were ignored.
    pub notes: Vec<String>,
}

impl Entry {
    /// The entry as one line of JSON, without secrets. Times are milliseconds since `start`.
    #[must_use]
    pub fn to_json(&self, start: Instant) -> String {
        let milliseconds = |time: Duration| time.as_micros() as f64 / 1_000.0;
        let mut line = json!({
            "at": milliseconds(self.at.saturating_duration_since(start)),
            "took": milliseconds(self.took),
            "method": self.method.as_str(),
            "path": self.path,
            "purpose": self.purpose.name(),
            "status": self.status.map(|status| status.as_u16()),
        });
        let optional: [(&str, Value); 8] = [
            ("session", self.session.into()),
            ("opened", self.opened.then_some(true).into()),
            ("user", self.user.clone().into()),
            ("project", self.project.clone().into()),
            ("loginMode", self.login_mode.into()),
            ("applicationType", self.application_type.into()),
            ("mixed", self.mixed.then_some(true).into()),
            ("notes", (!self.notes.is_empty()).then(|| self.notes.clone()).into()),
        ];
        for (name, value) in optional {
            if !value.is_null() {
                line[name] = value;
            }
        }
        line.to_string()
    }
}

/// Every request a server has received, in order.
#[derive(Debug, Default)]
pub struct Journal {
    entries: Vec<Entry>,
}

impl Journal {
    pub(super) fn push(&mut self, entry: Entry) -> u64 {
        self.entries.push(entry);
        self.entries.len() as u64 - 1
    }

    /// The requests.
    #[must_use]
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// How many requests there were.
    #[must_use]
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether there was none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// How many requests there were for this.
    #[must_use]
    pub fn count(&self, purpose: Purpose) -> usize {
        self.entries.iter().filter(|entry| entry.purpose == purpose).count()
    }

    /// The most requests for any of these that were being answered at one time.
    #[must_use]
    pub fn max_concurrent(&self, purposes: &[Purpose]) -> usize {
        let mut changes: Vec<(Instant, i32)> = Vec::new();
        for entry in self.entries.iter().filter(|entry| purposes.contains(&entry.purpose)) {
            // An answer that takes no time is over before the next request begins.
            if !entry.took.is_zero() {
                changes.push((entry.at, 1));
                changes.push((entry.at + entry.took, -1));
            }
        }
        // At one instant, ends come before beginnings.
        changes.sort_unstable();
        let mut current = 0;
        let highest = changes.into_iter().map(|(_, change)| {
            current += change;
            current
        });
        usize::try_from(highest.max().unwrap_or(0)).unwrap_or(0)
    }

    /// How many requests had to wait for each other: the longest chain in which each began after
    /// the one before had been answered. Needs a server with some latency.
    #[must_use]
    pub fn sequential_round_trips(&self) -> usize {
        let mut intervals: Vec<(Instant, Instant)> =
            self.entries.iter().map(|entry| (entry.at + entry.took, entry.at)).collect();
        intervals.sort_unstable();
        let mut chain = 0;
        let mut free_at = None;
        for (end, begin) in intervals {
            if free_at.is_none_or(|free| begin >= free) {
                chain += 1;
                free_at = Some(end);
            }
        }
        chain
    }

    /// Requests that carried the token of one session with the cookies of another.
    #[must_use]
    pub fn mismatched_cookie_and_token(&self) -> usize {
        self.entries.iter().filter(|entry| entry.mixed).count()
    }

    /// Where secrets stood that belong into the body of a login or into the session's headers.
    #[must_use]
    pub fn secrets_seen_outside_auth(&self) -> Vec<String> {
        self.entries.iter().flat_map(|entry| entry.leaks.iter().cloned()).collect()
    }

    /// Requests to the session's own endpoints that named a project.
    #[must_use]
    pub fn projects_on_session_endpoints(&self) -> usize {
        let own = [Purpose::Inspect, Purpose::Login, Purpose::Logout, Purpose::Renew];
        let named = |entry: &&Entry| entry.project.is_some() && own.contains(&entry.purpose);
        self.entries.iter().filter(named).count()
    }
}

/// An entry while its request is being answered.
#[derive(Debug)]
pub(super) struct Recorded {
    at: Instant,
    method: Method,
    path: String,
    purpose: Purpose,
    project: Option<String>,
    has_token: bool,
    leaks: Vec<String>,
    notes: Vec<String>,
    pub(super) session: Option<usize>,
    pub(super) opened: bool,
    pub(super) user: Option<String>,
    pub(super) login_mode: Option<i64>,
    pub(super) application_type: Option<i64>,
    pub(super) mixed: bool,
}

impl Recorded {
    pub(super) fn new(incoming: &Incoming, model: &Model, now: Instant) -> Self {
        Self {
            at: now,
            method: incoming.method.clone(),
            path: incoming.path.clone().unwrap_or_else(|| incoming.full_path.clone()),
            purpose: incoming.purpose,
            project: incoming.project().map(str::to_owned),
            has_token: incoming.token().is_some(),
            leaks: leaks(incoming, model),
            notes: Vec::new(),
            session: None,
            opened: false,
            user: None,
            login_mode: None,
            application_type: None,
            mixed: false,
        }
    }

    pub(super) fn note(&mut self, note: &str) {
        self.notes.push(note.to_owned());
    }

    pub(super) fn finish(
        self,
        status: Option<StatusCode>,
        took: Duration,
        effects: &[Effect],
    ) -> Entry {
        let mut notes = self.notes;
        notes.extend(effects.iter().map(|effect| format!("fault: {}", effect.name())));
        Entry {
            at: self.at,
            took,
            method: self.method,
            path: self.path,
            purpose: self.purpose,
            status,
            session: self.session,
            opened: self.opened,
            user: self.user,
            project: self.project,
            login_mode: self.login_mode,
            application_type: self.application_type,
            has_token: self.has_token,
            mixed: self.mixed,
            leaks: self.leaks,
            notes,
        }
    }
}

/// The places of secrets of this server that must not be there. The secret itself is not
/// repeated.
fn leaks(incoming: &Incoming, model: &Model) -> Vec<String> {
    let secrets = model.secrets();
    let carries = |text: &[u8]| {
        secrets.iter().any(|secret| {
            secret.len() >= SHORTEST_SECRET
                && text.windows(secret.len()).any(|window| window == secret.as_bytes())
        })
    };
    let mut leaks = Vec::new();
    let place = format!("{} {}", incoming.method, incoming.full_path);
    if carries(incoming.full_path.as_bytes()) || carries(incoming.query.as_bytes()) {
        leaks.push("the address of a request".to_owned());
    }
    let own = ["x-mstr-authtoken", "x-mstr-identitytoken", "cookie"];
    let establishing = matches!(incoming.purpose, Purpose::Login | Purpose::Delegate);
    for (name, value) in &incoming.headers {
        let expected = own.contains(&name.as_str()) && !establishing;
        if !expected && carries(value.as_bytes()) {
            leaks.push(format!("the header {name} of {place}"));
        }
    }
    let body = &incoming.body[..incoming.body.len().min(SEARCHED)];
    if !establishing && carries(body) {
        leaks.push(format!("the body of {place}"));
    }
    leaks
}
