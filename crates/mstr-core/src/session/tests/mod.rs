//! The machine without a transport, in virtual time.

mod adopting;
mod beside_login;
mod closing;
mod cookies;
mod doubting;
mod front;
mod generations;
mod logins;
mod random;
mod settling;
mod time;
mod transitions;

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::Response;

use super::*;
use crate::contract::{TransportError, TransportErrorKind};
use crate::error::{Error, ErrorKind};
use crate::generation::Generation;
use crate::protocol::{BaseUrl, Credentials, Grant};

const LOGIN_FAILED: &str = r#"{"code":"ERR003","message":"Login failed"}"#;
const EXPIRED: &str = r#"{"code":"ERR009","message":"The user's session has expired"}"#;
const INTERNAL: &str = r#"{"code":"ERR001","message":"failed"}"#;
const FORBIDDEN: &str = r#"{"code":"ERR014","message":"no"}"#;
const NEW_SERVER: &str = r#"{"iServerVersion":"11.5.0600.0001","webVersion":"11.5.0600.0001J"}"#;

type Answer = Result<Response<Bytes>, TransportError>;

/// A machine, what it has asked for and not been given, and a clock.
struct Rig {
    session: Session,
    start: Instant,
    now: Instant,
    sent: VecDeque<Exchange>,
    asked: VecDeque<ExchangeId>,
    fronting: VecDeque<ExchangeId>,
    stored: Vec<SessionRecord>,
    events: Vec<String>,
}

fn config() -> SessionConfig {
    let base = "https://env.example.com/MicroStrategyLibrary";
    SessionConfig::new(BaseUrl::parse(base).expect("a URL")).checks(false).seed(7)
}

fn alice() -> Credentials {
    Credentials::standard("alice", "secret")
}

fn borrowed() -> Credentials {
    Credentials::identity_token("identity")
}

impl Rig {
    fn new(config: SessionConfig, credentials: Option<Credentials>) -> Self {
        #[expect(clippy::disallowed_methods, reason = "an arbitrary origin for virtual time")]
        let start = Instant::now();
        Self {
            session: Session::new(config, credentials).expect("settings that work"),
            start,
            now: start,
            sent: VecDeque::new(),
            asked: VecDeque::new(),
            fronting: VecDeque::new(),
            stored: Vec::new(),
            events: Vec::new(),
        }
    }

    fn standard() -> Self {
        Self::new(config(), Some(alice()))
    }

    /// A machine whose first session is open, with an idle timeout of 600 seconds.
    fn open() -> Self {
        let mut rig = Self::new(config().checks(true), Some(alice()));
        rig.settle(r#"{"timeout":600}"#, NEW_SERVER);
        rig.granted();
        rig
    }

    /// Logs in and answers the checks.
    fn settle(&mut self, info: &str, status: &str) {
        self.pending();
        self.answer(Purpose::Login, opened("t1"));
        self.answer(Purpose::Inspect, ok(200, info));
        self.answer(Purpose::Status, ok(200, status));
    }

    fn pass(&mut self, time: Duration) {
        self.now += time;
    }

    fn seconds(&mut self, seconds: u64) {
        self.pass(Duration::from_secs(seconds));
    }

    fn access(&mut self) -> Access {
        let access = self.session.request_access(self.now);
        self.drain();
        access
    }

    fn pending(&mut self) {
        let access = self.access();
        assert!(matches!(access, Access::Pending), "{access:?}");
    }

    fn granted(&mut self) -> Grant {
        match self.access() {
            Access::Granted(grant) => grant,
            other => panic!("{other:?} in state {}", self.session.describe()),
        }
    }

    fn denied(&mut self) -> Error {
        match self.access() {
            Access::Denied(error) => error,
            other => panic!("{other:?} in state {}", self.session.describe()),
        }
    }

    fn command(&mut self, command: Command) {
        self.session.handle(command, self.now);
        self.drain();
    }

    fn log_out(&mut self) {
        self.command(Command::Logout { even_if_borrowed: false });
    }

    fn drain(&mut self) -> Option<Instant> {
        loop {
            match self.session.poll_output() {
                Output::Event(event) => self.events.push(name(&event)),
                Output::FrontHeaders(id) => self.fronting.push_back(id),
                Output::Store(record) => self.stored.push(*record),
                Output::NeedCredentials(id) => self.asked.push_back(id),
                Output::Send(exchange) => self.sent.push_back(*exchange),
                Output::Wait(until) => return until,
            }
        }
    }

    /// The next exchange for this purpose, whatever else has been sent.
    fn take(&mut self, purpose: Purpose) -> Exchange {
        self.drain();
        let found = self.sent.iter().position(|exchange| exchange.purpose == purpose);
        let sent: Vec<_> = self.sent.iter().map(|exchange| exchange.purpose).collect();
        let index = found.unwrap_or_else(|| panic!("no {purpose:?} among {sent:?}"));
        self.sent.remove(index).expect("just found")
    }

    fn report(&mut self, exchange: &Exchange, answer: Answer) {
        self.session.handle_response(exchange.id, answer, self.now);
        self.drain();
    }

    fn answer(&mut self, purpose: Purpose, answer: Answer) -> Exchange {
        let exchange = self.take(purpose);
        self.report(&exchange, answer);
        exchange
    }

    fn supply(&mut self, credentials: Credentials) {
        self.drain();
        let id = self.asked.pop_front().expect("credentials are asked for");
        self.session.supply_credentials(id, Ok(credentials), self.now);
        self.drain();
    }

    /// Lets the time of the next deadline come.
    fn wait(&mut self) -> Duration {
        let until = self.drain().expect("something to wait for");
        let wait = until.saturating_duration_since(self.now);
        self.now = self.now.max(until);
        self.session.handle_timeout(self.now);
        self.drain();
        wait
    }

    fn failure(&mut self) -> Error {
        self.session.take_failure().expect("a failure")
    }

    fn nothing_sent(&mut self) {
        self.drain();
        let sent: Vec<_> = self.sent.iter().map(|exchange| exchange.purpose).collect();
        assert!(sent.is_empty(), "{sent:?}");
    }

    /// What an application's request would be observed to be answered with.
    fn observe(&mut self, grant: &Grant, status: u16, cookies: &[&str], body: &str) -> Verdict {
        let mut response = Response::builder().status(status);
        for cookie in cookies {
            response = response.header("Set-Cookie", *cookie);
        }
        let (head, ()) = response.body(()).expect("a response").into_parts();
        let body = Some(body.as_bytes());
        let verdict = self.session.observe(grant, &head, body, self.now, self.now);
        self.drain();
        verdict
    }

    fn events(&mut self) -> String {
        self.drain();
        std::mem::take(&mut self.events).join(" ")
    }
}

fn name(event: &Event) -> String {
    match event {
        Event::ApplicationIdDropped => "application-id-dropped".into(),
        Event::Closed(outcome) => format!("closed:{outcome:?}"),
        Event::CookieIgnored { name } => format!("ignored:{name}"),
        Event::Lost { generation, reason } => format!("lost{generation}:{reason:?}"),
        Event::Opened { generation } => format!("opened{generation}"),
        Event::NotSticky => "not-sticky".into(),
        Event::Rejected(_) => "rejected".into(),
        Event::Renewed { generation } => format!("renewed{generation}"),
        Event::Replaced { generation } => format!("replaced{generation}"),
        Event::VersionUnknown => "version-unknown".into(),
        Event::TimeoutAssumed { timeout } => format!("assumed:{}", timeout.as_secs()),
    }
}

/// A login's success: a token, and cookies that belong to it.
fn opened(token: &str) -> Answer {
    let response = Response::builder()
        .status(204)
        .header("X-MSTR-AuthToken", token)
        .header("Set-Cookie", format!("JSESSIONID=j-{token}; Path=/; HttpOnly"))
        .header("Set-Cookie", format!("iSession={token}; Path=/"));
    Ok(response.body(Bytes::new()).expect("a response"))
}

fn ok(status: u16, body: &str) -> Answer {
    let response = Response::builder().status(status);
    Ok(response.body(Bytes::copy_from_slice(body.as_bytes())).expect("a response"))
}

fn busy(retry_after: &str) -> Answer {
    let response = Response::builder().status(503).header("Retry-After", retry_after);
    Ok(response.body(Bytes::new()).expect("a response"))
}

fn broken(kind: TransportErrorKind) -> Answer {
    Err(TransportError::new(kind))
}

/// A request as it would be written: line, headers in the order of their names, body.
fn written(exchange: &Exchange) -> String {
    let request = &exchange.request;
    let mut headers: Vec<String> = request
        .headers()
        .iter()
        .map(|(name, value)| format!("{name}: {}", value.to_str().expect("text")))
        .collect();
    headers.sort();
    let body = std::str::from_utf8(request.body()).expect("text");
    format!("{} {}\n{}\n\n{body}", request.method(), request.uri(), headers.join("\n"))
}

fn header<'e>(exchange: &'e Exchange, name: &str) -> Option<&'e str> {
    exchange.request.headers().get(name).map(|value| value.to_str().expect("text"))
}

fn token_and_cookies(grant: &Grant) -> (String, String) {
    let mut headers = http::HeaderMap::new();
    grant.apply(&mut headers, None);
    let text = |name| headers.get(name).map_or("", |value| value.to_str().expect("text"));
    (text("x-mstr-authtoken").to_owned(), text("cookie").to_owned())
}
