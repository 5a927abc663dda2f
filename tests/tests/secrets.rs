//! Nothing secret is seen: not in events and spans, not in errors, not in `Debug`, not in
//! addresses.
//!
//! A connection's whole life is led with planted secrets, everything that can be read afterwards
//! is collected, and each secret is looked for in it.

#![expect(clippy::unwrap_used, reason = "this is test code")]

use std::error::Error as StdError;
use std::fmt::{Debug, Write};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::Response;
use mstr::core::session::{Access, Command, Output, Session, SessionConfig};
use mstr::{
    ApiToken, ApiTokenRequest, BaseUrl, CloseOutcome, Connection, Credentials, ErrorKind,
    IdentityToken, Password, ProxyConfig, RetryPolicy, SharedTransport, TransportError,
    TransportErrorKind, WorkstationData,
};
use mstr_fake::{CaptureTransport, Fault, Server};
use mstr_suite::{Lab, Stack, World, assert_every_login_mode};
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Metadata, Subscriber};
use tracing_subscriber::layer::{Context, Layer, SubscriberExt};
use tracing_subscriber::registry::LookupSpan;

const PASSWORD: &str = "correct-horse \"battery\" staple";
const WRONG_PASSWORD: &str = "wrong-horse/battery+staple";
const API_TOKEN: &str = "API-planted-for-bob-0001";
const CLIENT_KEY: &str = "planted-private-key-of-a-client";
const SERVER_TOKEN: &str = "t0k3n-planted-by-hand";
const SERVER_COOKIE: &str = "c00k1e-planted-by-hand";
const FRONT_HEADER: &str = "front-header-planted-by-hand";
const FRONT_COOKIE: &str = "front=cookie-planted-by-hand";

/// Log records of HTTP stacks are not examined.
const STACKS: [&str; 6] = ["h2", "hyper", "hyper_util", "mio", "rustls", "tokio"];

#[test]
fn a_whole_life_in_memory_shows_no_secret() {
    let log = Log::global();
    Lab::in_memory(async move |lab| {
        let findings = live(&lab).await;
        findings.check(&log.text());
    });
}

#[test]
fn a_whole_life_over_sockets_shows_no_secret() {
    let log = Log::global();
    for stack in Stack::ALL {
        Lab::over(stack, async |lab| {
            let findings = live(&lab).await;
            findings.check(&log.text());
        });
    }
}

/// What the silence around isahc is good for. In a process of its own, see below, because there the
/// log is shared by all tests; does nothing in this one.
#[test]
#[expect(clippy::disallowed_methods, reason = "this is how it is told what to do")]
fn a_life_over_a_talkative_isahc() {
    let Ok(talkative) = std::env::var(TALKATIVE) else { return };
    let log = Log::global();
    Lab::over(Stack::Isahc, async |lab| {
        let world = lab.start(Server::builder().user("alice", "planted-and-found"));
        let isahc = mstr_isahc::IsahcTransport::builder().wire_log(talkative == "true");
        let builder = Connection::builder(&world.base_url).standard("alice", "planted-and-found");
        let connection = builder.transport(isahc.build().unwrap()).connect().await.unwrap();
        connection.close().await;
    });
    let text = log.text();
    assert_eq!(text.contains("isahc::wire"), talkative == "true");
    assert_eq!(text.contains("planted-and-found"), talkative == "true");
}

/// Whether isahc may write its log in the child process.
const TALKATIVE: &str = "MSTR_TESTS_TALKATIVE";

#[test]
fn isahc_would_write_secrets_into_its_log_if_it_were_let() {
    for talkative in ["true", "false"] {
        let output = std::process::Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "a_life_over_a_talkative_isahc"])
            .env(TALKATIVE, talkative)
            .output()
            .unwrap();
        let said =
            String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success() && said.contains("1 passed"), "{talkative}: {said}");
    }
}

#[test]
fn a_secret_that_is_recorded_is_found() {
    let secrets = [PASSWORD.to_owned(), WRONG_PASSWORD.to_owned(), API_TOKEN.to_owned()];
    let log = Log::default();
    tracing::subscriber::with_default(tracing_subscriber::registry().with(log.clone()), || {
        tracing::debug!(target: "mstr::canary", "the password is {PASSWORD}");
        let span = tracing::debug_span!(target: "mstr::canary", "http", "url.path" = tracing::field::Empty);
        span.record("url.path", "/api?secret=wrong-horse%2Fbattery%2Bstaple");
        tracing::debug!(target: "mstr::canary", token = ?Some(API_TOKEN));
        tracing::trace!(target: "hyper::canary", "ignored");
    });
    let text = log.text();
    assert_eq!(found(&secrets, &text), secrets.to_vec(), "{text}");
    assert!(!text.contains("ignored"));
    assert!(found(&secrets, "nothing to see").is_empty());
    // As a derived `Debug` would show a body.
    let body = Bytes::from(serde_json::json!({ "password": PASSWORD }).to_string());
    assert_eq!(found(&secrets, &format!("{body:?}")), [PASSWORD]);
}

#[test]
fn the_machine_shows_no_secret_at_any_step() {
    let mut shown = Shown::default();
    #[expect(clippy::disallowed_methods, reason = "an arbitrary origin; it never moves")]
    let now = Instant::now();
    let base = BaseUrl::parse("https://env.example.com/MicroStrategyLibrary").unwrap();
    let config = SessionConfig::new(base).checks(false);
    let credentials = Credentials::standard("alice", PASSWORD);
    shown.debug("SessionConfig", &config);
    let mut session = Session::new(config, Some(credentials)).unwrap();
    for command in [Command::Renew, Command::Logout { even_if_borrowed: false }] {
        let access = session.request_access(now);
        shown.debug("Access", &access);
        if let Access::Granted(grant) = &access {
            shown.debug("Grant", grant);
            let mut headers = http::HeaderMap::new();
            grant.apply(&mut headers, None);
            shown.debug("headers", &headers);
        }
        shown.debug("Command", &command);
        session.handle(command, now);
        take_outputs(&mut session, now, &mut shown);
    }
    let reset = Command::Reset(Some(Credentials::api_token(API_TOKEN)));
    shown.debug("Command::Reset", &reset);
    assert!(session.close_outcome().is_some());
    let secrets = [PASSWORD, API_TOKEN, SERVER_TOKEN, SERVER_COOKIE].map(str::to_owned);
    shown.check(&secrets);
    assert!(shown.0.iter().any(|(what, _)| what == "Output"));
}

fn take_outputs(session: &mut Session, now: Instant, shown: &mut Shown) {
    loop {
        shown.debug("Session", session);
        let output = session.poll_output();
        shown.debug("Output", &output);
        match output {
            Output::Send(exchange) => {
                shown.debug("Exchange", &exchange);
                let answer = Response::builder()
                    .status(204)
                    .header("x-mstr-authtoken", SERVER_TOKEN)
                    .header("set-cookie", format!("JSESSIONID={SERVER_COOKIE}; Path=/"));
                let answer = answer.body(Bytes::new()).unwrap();
                session.handle_response(exchange.id, Ok(answer), now);
            }
            Output::Wait(_) => return,
            Output::Event(_)
            | Output::FrontHeaders(_)
            | Output::NeedCredentials(_)
            | Output::Store(_) => {}
        }
    }
}

#[test]
fn spans_have_the_names_of_opentelemetry() {
    let log = Log::default();
    let subscriber = tracing_subscriber::registry().with(log.clone());
    // Of a single subscriber tracing asks the thread that is the first to meet an event, and the thread
    // of another test has none.
    let second = tracing::Dispatch::new(tracing_subscriber::registry());
    tracing::subscriber::with_default(subscriber, || {
        Lab::in_memory(async |lab| {
            let fault = "call:2:reset-before".parse::<Fault>().unwrap();
            let world = lab.start(mstr_suite::server().fault(fault));
            let connection = world.connect().await;
            connection.get("/api/echo?q=hidden-query").send().await.unwrap();
            connection.get("/api/echo").send().await.unwrap();
            connection.close().await;
        });
    });
    drop(second);
    let text = log.text();
    let spans: Vec<&str> =
        text.lines().filter(|line| line.starts_with("span mstr::http ")).collect();
    assert!(spans.len() >= 6, "{text}");
    for span in spans {
        for field in [
            "otel.kind=\"client\"",
            "http.request.method=",
            "http.request.resend_count=",
            "server.address=",
            "url.path=\"/MicroStrategyLibrary/api/",
        ] {
            assert!(span.contains(field), "{field} in {span}");
        }
        for field in span.split_whitespace().filter_map(|word| Some(word.split_once('=')?.0)) {
            let known = ["otel.", "http.", "server.", "url.", "error.type", "mstr."];
            assert!(known.iter().any(|prefix| field.starts_with(prefix)), "{field}");
        }
    }
    assert!(text.contains("http.response.status_code=204"), "{text}");
    assert!(text.contains("http.response.status_code=200"), "{text}");
    assert!(text.contains("error.type=Interrupted"), "{text}");
    assert!(text.contains("http.request.resend_count=1"), "{text}");
    assert!(!text.contains("hidden-query"), "a query may hold anything");
}

/// Leads a connection's life from login to close, with everything that goes wrong in between.
async fn live(lab: &Lab) -> Findings {
    let server = Server::builder()
        .user("alice", PASSWORD)
        .user("bob", "unused-but-planted")
        .api_token(API_TOKEN, "bob");
    let world = lab.start(server);
    let capture = CaptureTransport::new(world.transport.clone());
    let mut life = Life { world, capture, shown: Shown::default(), secrets: Vec::new() };
    life.well().await;
    life.ill().await;
    life.values();
    life.end().await
}

struct Life {
    world: World,
    capture: CaptureTransport,
    shown: Shown,
    secrets: Vec<String>,
}

impl Life {
    fn builder(&self, credentials: Credentials) -> mstr::ConnectionBuilder<SharedTransport> {
        Connection::builder(&self.world.base_url)
            .credentials(credentials)
            .seed(7)
            .header("x-front", FRONT_HEADER)
            .header("cookie", FRONT_COOKIE)
            .transport(self.capture.clone())
    }

    fn alice(&self) -> mstr::ConnectionBuilder<SharedTransport> {
        self.builder(Credentials::standard("alice", PASSWORD))
    }

    /// Operations that succeed.
    async fn well(&mut self) {
        let builder = self.alice().project_name("MicroStrategy Tutorial");
        self.shown.debug("ConnectionBuilder", &builder);
        let connection = builder.connect().await.unwrap();
        let mut events = connection.events();
        self.shown.debug("Connection", &connection);
        self.shown.debug("User", &connection.fetch_user().await.unwrap());
        self.shown.debug("Server", &connection.fetch_server().await.unwrap());
        self.shown.debug("SessionInfo", &connection.fetch_session().await.unwrap());
        self.shown.debug("status", &connection.fetch_status().await.unwrap());
        let scope = connection.select_project("Platform Analytics").await.unwrap();
        self.shown.debug("Connection with a project", &scope);
        let request = connection.post("/api/echo").json(&"x");
        self.shown.debug("RequestBuilder", &request);
        let response = request.send().await.unwrap();
        self.shown.debug("Response", &response);
        self.shown.debug("Body", &response.into_body());
        self.remember_session();

        let identity = connection.create_identity_token().await.unwrap();
        self.secrets.push(identity.expose_token().to_owned());
        self.shown.debug("IdentityToken", &identity);
        connection.validate_identity_token(&identity).await.unwrap();
        let borrowed = connection.delegate(identity).await.unwrap();
        borrowed.get("/api/echo").send().await.unwrap();
        self.shown.debug("Connection, borrowed", &borrowed);
        self.remember_session();
        let created = connection.create_api_token(ApiTokenRequest::new()).await.unwrap();
        self.secrets.push(created.token.expose_token().to_owned());
        self.shown.debug("CreatedApiToken", &created);
        let by_token = self.builder(Credentials::api_token(created.token)).connect().await.unwrap();
        self.remember_session();
        by_token.close().await;
        self.builder(Credentials::api_token(API_TOKEN)).connect().await.unwrap().close().await;

        connection.renew().await.unwrap();
        self.world.server(|server| server.expire_all_sessions());
        connection.get("/api/echo").send().await.unwrap();
        self.remember_session();
        let lost = borrowed.get("/api/echo").send().await.unwrap_err();
        assert_eq!(lost.kind(), ErrorKind::SessionLost);
        self.shown.error(&lost);
        self.shown.debug("CloseOutcome", &connection.close().await);
        self.timeline(&connection);
        self.shown.error(&connection.open().await.unwrap_err());
        while let Some(event) = events.try_next() {
            self.shown.debug("Event", &event);
        }
    }

    /// Operations that fail.
    async fn ill(&mut self) {
        let wrong = self.builder(Credentials::standard("alice", WRONG_PASSWORD));
        let refused = wrong.connect().await.unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::Credentials);
        self.shown.error(&refused);
        let spent = self.secrets[0].clone();
        let spent = self.builder(Credentials::identity_token(spent)).connect().await;
        self.shown.error(&spent.unwrap_err());
        for rule in ["reset-before", "reset-after", "refuse", "page=200", "status=500"] {
            self.fault(&format!("login:*:{rule}"));
            let failed = self.alice().retry(RetryPolicy::never()).connect().await;
            self.shown.error(&failed.unwrap_err());
            self.remember_session();
        }
        self.fault("login:99:stall");
        self.shown.error(&self.alice().project_name("none").connect().await.unwrap_err());

        let connection = self.alice().connect().await.unwrap();
        self.remember_session();
        let failures = [
            connection.get("/api/status-code?code=500").send().await,
            connection.get("/api/no/such").send().await,
            connection.get("/api/redirect?to=https://elsewhere.example/").send().await,
            connection.get("https://elsewhere.example/api/echo").send().await,
            connection.get("/api/echo").header("x-mstr-authtoken", "own").send().await,
        ];
        for failure in failures {
            self.shown.error(&failure.unwrap_err());
        }
        for rule in ["call:*:reset-before", "call:*:page=503", "call:*:stall"] {
            self.fault(rule);
            let hasty = connection.get("/api/echo").retry(RetryPolicy::never());
            let hasty = hasty.timeout(Duration::from_millis(100));
            self.shown.error(&hasty.send().await.unwrap_err());
        }
        self.fault("call:*:reset-mid-body");
        let response = connection.get("/api/blob?size=3000000").send().await.unwrap();
        self.shown.debug("Response that breaks", &response);
        self.shown.error(&response.bytes().await.unwrap_err());
        self.fault("logout:*:status=500");
        let outcome = connection.close().await;
        assert!(matches!(outcome, CloseOutcome::Failed(_)));
        self.shown.debug("CloseOutcome", &outcome);
        self.timeline(&connection);
        self.fault("login:99:stall");
    }

    /// What a connection says of its life, in each way.
    fn timeline(&mut self, connection: &Connection) {
        let timeline = connection.timeline();
        let json = serde_json::to_string(&timeline).unwrap();
        self.shown.debug("Timeline", &timeline);
        for text in [timeline.to_string(), json, timeline.to_html()] {
            assert!(text.contains("logout"), "{text}");
            self.shown.0.push(("a timeline".to_owned(), text));
        }
    }

    /// Values that only have to be printed.
    fn values(&mut self) {
        let shown = &mut self.shown;
        shown.debug("Password", &Password::from(PASSWORD));
        shown.debug("ApiToken", &ApiToken::from(API_TOKEN));
        let every = [
            Credentials::standard("alice", PASSWORD),
            Credentials::ldap("alice", PASSWORD),
            Credentials::anonymous(),
            Credentials::api_token(API_TOKEN),
            Credentials::identity_token(IdentityToken::new(self.secrets[0].clone())),
        ];
        assert_every_login_mode(&every);
        for credentials in every {
            shown.debug("Credentials", &credentials);
        }
        let document = serde_json::json!({ "defaultEnvironment": {
            "url": self.world.base_url,
            "headers": { "X-MSTR-AuthToken": SERVER_TOKEN },
            "cookies": [{ "name": "JSESSIONID", "value": SERVER_COOKIE }],
        }});
        let document = document.to_string();
        let data = WorkstationData::from_json(&document).unwrap();
        shown.debug("WorkstationData", &data);
        shown.debug("ConnectionBuilder, from Workstation", &Connection::from_workstation(&data));
        shown.error(&WorkstationData::from_json(&document[..document.len() - 3]).unwrap_err());
        let tls = mstr_hyper::TlsConfig::new()
            .client_identity_pem(format!("-----BEGIN PRIVATE KEY-----\n{CLIENT_KEY}\n"));
        shown.debug("TlsConfig", &tls);
        let hyper = mstr_hyper::HyperTransport::builder().tls(tls);
        shown.debug("HyperTransportBuilder", &hyper);
        let proxy = ProxyConfig::new().all(format!("http://ann:{CLIENT_KEY}@proxy.test"));
        shown.debug("ProxyConfig", &proxy);
        let isahc = mstr_isahc::IsahcTransport::builder().proxy(proxy);
        shown.debug("IsahcTransportBuilder", &isahc);
        shown.debug("IsahcTransport", &isahc.build().unwrap());
        shown.debug("SharedTransport", &self.world.transport);
        shown.debug("World", &self.world);
        let error = TransportError::new(TransportErrorKind::Interrupted);
        shown.debug("TransportError", &error);
        self.secrets.extend(
            [PASSWORD, WRONG_PASSWORD, API_TOKEN, CLIENT_KEY, SERVER_TOKEN, SERVER_COOKIE]
                .map(str::to_owned),
        );
        self.secrets.extend([FRONT_HEADER, FRONT_COOKIE].map(str::to_owned));
    }

    /// Collects what has been on the wire.
    async fn end(mut self) -> Findings {
        for captured in self.capture.captured() {
            self.shown.0.push(("an address".to_owned(), captured.uri.to_string()));
            for name in ["x-mstr-authtoken", "x-mstr-identitytoken"] {
                let value = captured.headers.get(name).and_then(|value| value.to_str().ok());
                self.secrets.extend(value.map(str::to_owned));
            }
            let cookies = captured.headers.get("cookie").and_then(|value| value.to_str().ok());
            let pairs = cookies.unwrap_or_default().split("; ");
            let pairs = pairs.filter_map(|pair| pair.split_once('='));
            let sessions = pairs.filter(|(name, _)| ["JSESSIONID", "iSession"].contains(name));
            self.secrets.extend(sessions.map(|(_, value)| value.to_owned()));
        }
        self.secrets.sort_unstable();
        self.secrets.dedup();
        self.world.server(|server| {
            for entry in server.journal().entries() {
                self.shown.debug("Entry", entry);
            }
            assert_eq!(server.journal().secrets_seen_outside_auth(), Vec::<String>::new());
        });
        Findings { secrets: self.secrets, shown: self.shown }
    }

    /// Replaces the faults.
    fn fault(&self, rule: &str) {
        self.world.server(|server| {
            server.clear_faults();
            server.add_fault(rule.parse().unwrap());
        });
    }

    fn remember_session(&mut self) {
        let (token, cookies) =
            self.world.server(|server| server.wire_credentials_of_newest_session());
        self.secrets.extend(cookies.into_iter().map(|(_, value)| value));
        self.secrets.push(token);
        self.secrets.retain(|secret| !secret.is_empty());
    }
}

/// Everything that could be read, and what must not be in it.
struct Findings {
    secrets: Vec<String>,
    shown: Shown,
}

impl Findings {
    fn check(&self, log: &str) {
        // Passwords, tokens of several sessions with two cookies each: it was not a dull life.
        assert!(self.secrets.len() >= 15, "{}", self.secrets.len());
        assert!(self.shown.0.len() >= 80, "{}", self.shown.0.len());
        self.shown.check(&self.secrets);
        for expected in ["session opened", "session lost", "refuses the credentials", "error.type"]
        {
            assert!(log.contains(expected), "{expected} is not in the log");
        }
        assert_eq!(found(&self.secrets, log), Vec::<String>::new(), "in the log");
    }
}

/// Texts, each with what it is the text of.
#[derive(Default)]
struct Shown(Vec<(String, String)>);

impl Shown {
    fn debug(&mut self, what: &str, value: &dyn Debug) {
        self.0.push((what.to_owned(), format!("{value:?}\n{value:#?}")));
    }

    fn error(&mut self, error: &mstr::Error) {
        let mut text = format!("{error}\n{error:?}\n{error:#?}\n{}", error.report());
        let mut source = error.source();
        while let Some(cause) = source {
            write!(text, "\n{cause}\n{cause:?}").unwrap();
            source = cause.source();
        }
        self.0.push((format!("the error \"{error}\""), text));
    }

    fn check(&self, secrets: &[String]) {
        for (what, text) in &self.0 {
            let found = found(secrets, text);
            assert!(found.is_empty(), "{what} shows {found:?}: {text}");
        }
    }
}

/// The secrets that stand in `text`, in clear or as a quoted text, JSON or an address shows them.
fn found(secrets: &[String], text: &str) -> Vec<String> {
    let shows = |secret: &&String| {
        let quoted = format!("{secret:?}");
        let twice = format!("{quoted:?}");
        let encoded: String = secret
            .bytes()
            .map(|byte| match byte {
                b'-' | b'_' | b'.' => char::from(byte).to_string(),
                byte if byte.is_ascii_alphanumeric() => char::from(byte).to_string(),
                byte => format!("%{byte:02X}"),
            })
            .collect();
        [secret.as_str(), &quoted[1..quoted.len() - 1], &twice[3..twice.len() - 3], &encoded]
            .iter()
            .any(|form| text.contains(form))
    };
    secrets.iter().filter(shows).cloned().collect()
}

/// Writes down every span and event of the library.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<String>>);

impl Log {
    /// One for the process: sockets are served on other threads.
    fn global() -> Self {
        static GLOBAL: OnceLock<Log> = OnceLock::new();
        let log = GLOBAL.get_or_init(|| {
            let log = Self::default();
            let subscriber = tracing_subscriber::registry().with(log.clone());
            tracing::subscriber::set_global_default(subscriber).unwrap();
            log
        });
        log.clone()
    }

    fn text(&self) -> String {
        self.0.lock().unwrap().clone()
    }

    fn line(&self, kind: &str, metadata: &Metadata<'_>, record: impl FnOnce(&mut Fields<'_>)) {
        let crate_name = metadata.target().split("::").next().unwrap_or_default();
        if STACKS.contains(&crate_name) {
            return;
        }
        let mut log = self.0.lock().unwrap();
        write!(log, "{kind} {} {}", metadata.target(), metadata.name()).unwrap();
        record(&mut Fields(&mut log));
        log.push('\n');
    }
}

impl<S: Subscriber + for<'a> LookupSpan<'a>> Layer<S> for Log {
    fn on_new_span(&self, attributes: &Attributes<'_>, _: &Id, _: Context<'_, S>) {
        self.line("span", attributes.metadata(), |fields| attributes.record(fields));
    }

    fn on_record(&self, id: &Id, values: &Record<'_>, context: Context<'_, S>) {
        let Some(span) = context.span(id) else { return };
        self.line("record", span.metadata(), |fields| values.record(fields));
    }

    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        self.line("event", event.metadata(), |fields| event.record(fields));
    }
}

struct Fields<'a>(&'a mut String);

impl Visit for Fields<'_> {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        write!(self.0, " {}={value:?}", field.name()).unwrap();
    }
}
