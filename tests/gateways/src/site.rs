//! The servers behind a gateway, and what they have seen.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use http::{Method, StatusCode};
use mstr::fake::loopback::{Authority, HttpServer, ServerTls};
use mstr::fake::{EndpointRequest, Entry, Purpose, Server};
use serde_json::{Value, json};

use crate::outcome::{Outcome, Told};
use crate::tally::Tally;

/// Where the Library is on every server.
pub(crate) const LIBRARY: &str = "/MicroStrategyLibrary";
/// The user.
pub(crate) const USER: (&str, &str) = ("alice", "a secret of alice");
/// The path of the calls: each call has a mark of its own.
pub(crate) const MARKS: &str = "/api/marks";
/// The header in which a gateway says which version of HTTP it was spoken to.
pub(crate) const FRONT: &str = "X-Front";

const ENDPOINT: &str = "/api/marks/{id}";
/// Long enough that calls are under way side by side.
const LATENCY: Duration = Duration::from_millis(4);

/// The servers of one run.
pub(crate) struct Site {
    servers: Vec<Option<HttpServer>>,
    addresses: Vec<SocketAddr>,
    seen: Arc<Mutex<Vec<Entry>>>,
}

/// The servers' record of a run.
#[derive(Debug, Default)]
pub(crate) struct Evidence {
    /// POSTs that were carried out more than once.
    pub(crate) doubled: Vec<String>,
    /// POSTs that were answered and never carried out.
    pub(crate) invented: Vec<String>,
    /// POSTs that failed and were carried out.
    pub(crate) unanswered: usize,
    /// Sessions that are open on servers that live.
    pub(crate) left: usize,
    /// Whatever no client may do.
    pub(crate) offences: Vec<String>,
}

impl Site {
    /// Starts so many servers.
    pub(crate) fn start(count: usize) -> Outcome<Self> {
        Self::with(count, None)
    }

    /// Starts one that speaks TLS, and returns who is to be trusted.
    pub(crate) fn with_tls() -> Outcome<(Self, String)> {
        let authority = Authority::new().told("an authority")?;
        let identity = authority.issue("127.0.0.1").told("a certificate")?;
        let tls = ServerTls::new(&identity).told("a server's certificate")?;
        Ok((Self::with(1, Some(&tls))?, authority.pem()))
    }

    fn with(count: usize, tls: Option<&ServerTls>) -> Outcome<Self> {
        let seen = Arc::new(Mutex::new(Vec::new()));
        let mut servers = Vec::new();
        for number in 0..count {
            let seen = Arc::clone(&seen);
            let mut builder = HttpServer::builder().observe(move |entry, _| {
                seen.lock().unwrap_or_else(PoisonError::into_inner).push(entry.clone());
            });
            if let Some(tls) = tls {
                builder = builder.tls(tls.clone());
            }
            // Servers with the same seed give the same tokens.
            let server = server(number as u64).build();
            servers.push(Some(builder.start(server).told("the fake server")?));
        }
        let addresses = servers.iter().flatten().map(HttpServer::address).collect();
        Ok(Self { servers, addresses, seen })
    }

    pub(crate) fn addresses(&self) -> &[SocketAddr] {
        &self.addresses
    }

    /// Ends a server with all its connections.
    pub(crate) fn kill(&mut self, number: usize) {
        self.servers[number] = None;
    }

    /// How many requests there were for this.
    pub(crate) fn count(&self, purpose: Purpose) -> usize {
        self.look(|entries| entries.iter().filter(|entry| entry.purpose == purpose).count())
    }

    /// How many requests have arrived.
    pub(crate) fn seen(&self) -> usize {
        self.look(<[Entry]>::len)
    }

    /// How many requests were refused for want of a session.
    pub(crate) fn refused(&self) -> usize {
        let refused = |entry: &&Entry| entry.status == Some(StatusCode::UNAUTHORIZED);
        self.look(|entries| entries.iter().filter(refused).count())
    }

    /// What was asked about sessions, and what was refused for want of one; with the milliseconds.
    pub(crate) fn story_of_sessions(&self) -> String {
        self.look(|entries| {
            let begun = entries.first().map(|entry| entry.at);
            let told = entries.iter().filter(|entry| {
                entry.purpose != Purpose::Call || entry.status == Some(StatusCode::UNAUTHORIZED)
            });
            let told = told.map(|entry| {
                let after = begun.map(|begun| entry.at.duration_since(begun).as_millis());
                let status = entry.status.map_or(0, |status| status.as_u16());
                let session = entry.session.map(|number| format!(" in {number}"));
                let (path, session) = (&entry.path, session.unwrap_or_default());
                format!("{} {} {path}{session}: {status}", after.unwrap_or(0), entry.method)
            });
            told.collect::<Vec<_>>().join(", ")
        })
    }

    pub(crate) fn evidence(&self, tally: &Tally) -> Evidence {
        let mut carried_out: BTreeMap<String, usize> = BTreeMap::new();
        let mut offences = Vec::new();
        self.look(|entries| {
            for entry in entries {
                if let Some(mark) = mark(entry) {
                    *carried_out.entry(mark.to_owned()).or_default() += 1;
                }
                if entry.mixed {
                    offences.push(format!("{} mixed two sessions", entry.path));
                }
                offences.extend(entry.leaks.iter().map(|leak| format!("a secret in {leak}")));
            }
        });
        let failed = tally.failures.iter().filter(|failure| failure.method == Method::POST);
        let unanswered = failed.filter(|failure| carried_out.contains_key(&failure.mark)).count();
        let invented = tally.posted.iter().filter(|mark| !carried_out.contains_key(*mark));
        let invented = invented.cloned().collect();
        let living = self.servers.iter().flatten();
        let left = living.map(|server| server.server(|server| server.open_sessions())).sum();
        carried_out.retain(|_, count| *count > 1);
        let doubled = carried_out.into_keys().collect();
        Evidence { doubled, invented, unanswered, left, offences }
    }

    fn look<T>(&self, look: impl FnOnce(&[Entry]) -> T) -> T {
        look(&self.seen.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

fn server(seed: u64) -> mstr::fake::ServerBuilder {
    let (name, password) = USER;
    Server::builder()
        .user(name, password)
        .seed(seed)
        .latency(LATENCY)
        .endpoint(Method::GET, ENDPOINT, answer)
        .endpoint(Method::POST, ENDPOINT, answer)
}

/// Which call it was, what it carried, and what the gateway says of it.
fn answer(request: &EndpointRequest) -> Value {
    let body = request.json();
    json!({ "mark": request.parameter("id"), "body": body, "front": request.header(FRONT) })
}

/// The mark of a POST that reached its endpoint: it had a session and was carried out.
fn mark(entry: &Entry) -> Option<&str> {
    let reached = entry.notes.iter().any(|note| note.starts_with("endpoint:"));
    if !reached || entry.method != Method::POST {
        return None;
    }
    entry.path.strip_prefix(MARKS)?.strip_prefix('/')
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::way::{Settings, Way};

    /// Writes the same mark twice, as a client does that repeats what it must not, and one that it
    /// then takes for failed, and does not log out.
    #[test]
    fn a_post_that_is_carried_out_twice_and_a_session_that_is_left_are_seen() {
        let site = Site::start(1).unwrap();
        let url = format!("http://{}{LIBRARY}", site.addresses()[0]);
        let connection = Way::HyperThreads.blocking(&url, &Settings::default()).unwrap();
        for mark in ["twice", "twice", "failed"] {
            connection.post(format!("{MARKS}/{mark}")).json(&json!({})).send().unwrap();
        }
        let mut tally = Tally::default();
        tally.posted.extend(["twice", "never"].map(str::to_owned));
        let error = connection.get("/nowhere").send().unwrap_err();
        tally.failures.push(crate::tally::Failure::new(Method::POST, "failed", &error));
        let evidence = site.evidence(&tally);
        assert_eq!(
            (evidence.doubled, evidence.invented),
            (vec!["twice".into()], vec!["never".into()])
        );
        assert_eq!((evidence.unanswered, evidence.left), (1, 1));
        connection.close();
        assert_eq!(site.evidence(&Tally::default()).left, 0);
    }
}
