//! The server, and the relay in front of it.

use std::io;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use mstr_fake::loopback::{HttpServer, Relay};
use mstr_fake::{Answer, EndpointRequest, Method, Server};

#[derive(Debug)]
pub(crate) struct World {
    pub(crate) server: HttpServer,
    pub(crate) relay: Relay,
    /// How long the journal was each time when the server lost its sessions.
    expiries: Mutex<Vec<usize>>,
}

impl World {
    pub(crate) fn start(seed: u64) -> io::Result<Self> {
        let server = Server::builder()
            .seed(seed)
            .user("alice", "secret")
            .latency(Duration::from_millis(1))
            .endpoint(Method::GET, "/api/chaos/{number}", answer)
            .endpoint(Method::POST, "/api/chaos/{number}", answer);
        let server = HttpServer::start(server.build())?;
        let relay = Relay::start(server.address())?;
        Ok(Self { server, relay, expiries: Mutex::default() })
    }

    /// Where the Library is, through the relay.
    pub(crate) fn base_url(&self) -> String {
        self.relay.url(&self.server.server(|server| server.base_path().to_owned()))
    }

    /// Ends all sessions, as a restart of the server does.
    pub(crate) fn expire(&self) {
        self.server.server(|server| {
            server.expire_all_sessions();
            self.expiries().push(server.journal().len());
        });
    }

    pub(crate) fn expiries(&self) -> MutexGuard<'_, Vec<usize>> {
        self.expiries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn answer(request: &EndpointRequest) -> Answer {
    let number = |name: &str| request.query_parameter(name)?.parse::<u32>().ok();
    let size = number("size").map_or(0, |size| size as usize);
    let delay = Duration::from_micros(number("delay").unwrap_or(0).into());
    let padding = "d".repeat(size);
    let answer = serde_json::json!({ "number": request.parameter("number"), "padding": padding });
    Answer::json(&answer).with_delay(delay)
}
