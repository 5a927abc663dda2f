//! Headers for a gateway in front of the server.

use std::error::Error as _;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use http::{HeaderMap, HeaderValue, Method};
use mstr::{BoxError, Connection, Credentials, Error, ErrorKind, HeaderProvider, Timeouts};
use mstr_fake::Purpose;

use crate::rig::{Described, Driver, Rig, Setting, Way, on_both, server};

/// A request as it left.
#[derive(Debug)]
struct Sent {
    method: Method,
    path: String,
    headers: HeaderMap,
}

impl Sent {
    fn is(&self, method: &str, path: &str) -> bool {
        self.method == method && self.path.ends_with(path)
    }

    fn text(&self, name: &str) -> Vec<&str> {
        let values = self.headers.get_all(name).into_iter();
        values.map(|value| value.to_str().unwrap()).collect()
    }
}

type Record = Arc<Mutex<Vec<Sent>>>;

/// A connection that is `described`, and what it sends.
fn recorded(driver: Driver, timeouts: Timeouts, described: Described) -> (Rig, Record) {
    let record = Record::default();
    let recording = Arc::clone(&record);
    let way = Way::new(move |request| {
        recording.lock().unwrap().push(Sent {
            method: request.method().clone(),
            path: request.uri().path().to_owned(),
            headers: request.headers().clone(),
        });
        None
    });
    let setting = Setting { way, timeouts, described: Some(described), ..Setting::default() };
    (driver.with(server(), setting), record)
}

/// Gives another token for each request; fails or hangs on demand.
#[derive(Clone, Debug, Default)]
struct Tokens {
    given: Arc<AtomicUsize>,
    fails: Arc<AtomicUsize>,
    hangs: Arc<AtomicUsize>,
}

/// Whether one of so many is due.
fn take(left: &AtomicUsize) -> bool {
    left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1)).is_ok()
}

#[async_trait]
impl HeaderProvider for Tokens {
    async fn headers(&self) -> Result<HeaderMap, BoxError> {
        if take(&self.fails) {
            return Err("the vault is sealed".into());
        }
        if take(&self.hangs) {
            std::future::pending::<()>().await;
        }
        let number = self.given.fetch_add(1, Ordering::SeqCst);
        let mut headers = HeaderMap::new();
        headers.insert("x-front", HeaderValue::from_str(&format!("token-{number}"))?);
        Ok(headers)
    }
}

fn provided(driver: Driver, timeouts: Timeouts) -> (Rig, Record, Tokens) {
    let tokens = Tokens::default();
    let provider = tokens.clone();
    let described =
        Box::new(move |builder: mstr::ConnectionBuilder| builder.header_provider(provider.clone()));
    let (rig, record) = recorded(driver, timeouts, described);
    (rig, record, tokens)
}

#[test]
fn headers_of_the_connection_are_on_every_request_the_session_s_own_included() {
    on_both(|driver| {
        let described = |builder: mstr::ConnectionBuilder| {
            let builder = builder.header("cf-access-client-id", "planted-id").header("x-two", "1");
            builder.header("x-two", "2").header("cookie", "gate=open").header("accept", "text/html")
        };
        let (rig, record) = recorded(driver, Timeouts::new(), Box::new(described));
        rig.open().unwrap();
        rig.get("/api/echo").unwrap();
        rig.with_header("/api/echo", "X-Two", "3").unwrap();
        rig.renew().unwrap();
        rig.close();
        let record = record.lock().unwrap();
        assert!(record.len() >= 7, "{record:?}");
        for sent in &*record {
            assert_eq!(sent.text("cf-access-client-id"), ["planted-id"], "{sent:?}");
            assert!(sent.headers["cf-access-client-id"].is_sensitive());
            let own = sent.is("GET", "/api/echo") && sent.text("x-two") == ["3"];
            assert!(own || sent.text("x-two") == ["1", "2"], "{sent:?}");
            assert_ne!(sent.text("accept"), ["text/html"], "the request's own stays");
            let cookies = sent.text("cookie");
            assert!(cookies.len() == 1 && cookies[0].ends_with("gate=open"), "{cookies:?}");
            // The server's version is asked for beside the login.
            let before = sent.is("POST", "/api/auth/login") || sent.is("GET", "/api/status");
            assert_eq!(cookies[0].contains("JSESSIONID="), !before, "{cookies:?}");
        }
        assert!(!rig.describe().contains("planted-id"));
        assert_eq!(rig.left(), 0);
    });
}

#[test]
fn header_provider_is_asked_before_each_request() {
    on_both(|driver| {
        let (rig, record, tokens) = provided(driver, Timeouts::new());
        rig.open().unwrap();
        rig.get("/api/echo").unwrap();
        rig.server(|server| server.expire_all_sessions());
        rig.get("/api/echo").unwrap();
        rig.close();
        let record = record.lock().unwrap();
        let mut seen: Vec<&str> = record.iter().flat_map(|sent| sent.text("x-front")).collect();
        assert_eq!((seen.len(), tokens.given.load(Ordering::SeqCst)), (record.len(), record.len()));
        seen.sort_unstable();
        seen.dedup();
        assert_eq!(seen.len(), record.len(), "each has its own");
        assert_eq!(rig.left(), 0);
    });
}

/// Never answers the second question, which is for what is asked beside the login.
#[derive(Debug, Default)]
struct SecondHangs(AtomicUsize);

#[async_trait]
impl HeaderProvider for SecondHangs {
    async fn headers(&self) -> Result<HeaderMap, BoxError> {
        if self.0.fetch_add(1, Ordering::SeqCst) == 1 {
            std::future::pending::<()>().await;
        }
        Ok(HeaderMap::new())
    }
}

#[test]
fn header_provider_that_hangs_for_the_version_does_not_keep_the_login() {
    on_both(|driver| {
        let described = |it: mstr::ConnectionBuilder| it.header_provider(SecondHangs::default());
        let (rig, record) = recorded(driver, Timeouts::new(), Box::new(described));
        rig.open().unwrap();
        let timeline = rig.timeline();
        let opened = timeline.entries().find(|entry| entry.kind() == "opened").unwrap();
        assert!(opened.at() < seconds(1), "{timeline}");
        assert_eq!(
            record.lock().unwrap().iter().filter(|it| it.path.ends_with("/login")).count(),
            1
        );
        // The version is asked for again in the session. On threads the other check has waited too.
        assert!((seconds(60)..seconds(61)).contains(&rig.elapsed()), "{:?}", rig.elapsed());
        rig.close();
        assert_eq!(rig.left(), 0);
    });
}

#[test]
fn header_provider_is_for_this_server_and_no_other() {
    on_both(|driver| {
        let (rig, record, tokens) = provided(driver, Timeouts::new());
        rig.open().unwrap();
        let before = tokens.given.load(Ordering::SeqCst);
        drop(rig.unauthenticated("https://elsewhere.example/api/echo"));
        assert_eq!(tokens.given.load(Ordering::SeqCst), before);
        let elsewhere = record.lock().unwrap().pop().unwrap();
        assert!(elsewhere.text("x-front").is_empty(), "{elsewhere:?}");
        rig.unauthenticated("/api/status").unwrap();
        let here = record.lock().unwrap().pop().unwrap();
        assert_eq!(here.text("x-front").len(), 1, "{here:?}");
        rig.close();
    });
}

#[test]
fn header_provider_that_fails_fails_the_call_before_anything_is_sent() {
    on_both(|driver| {
        let (rig, record, tokens) = provided(driver, Timeouts::new());
        rig.open().unwrap();
        let before = record.lock().unwrap().len();
        tokens.fails.store(1, Ordering::SeqCst);
        let error = rig.get("/api/echo").unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Credentials);
        assert_eq!(error.source().unwrap().to_string(), "the vault is sealed");
        assert_eq!(record.lock().unwrap().len(), before);
        rig.get("/api/echo").unwrap();
        // A login is tried again, and ends as it should when the provider goes on failing.
        rig.server(|server| server.expire_all_sessions());
        tokens.fails.store(1, Ordering::SeqCst);
        rig.renew().unwrap_err();
        rig.get("/api/echo").unwrap();
        rig.close();
        assert_eq!(rig.left(), 0);
    });
}

#[test]
fn header_provider_that_hangs_is_late() {
    on_both(|driver| {
        let timeouts = Timeouts::new().total(None).attempt(Duration::from_secs(7));
        let (rig, record, tokens) = provided(driver, timeouts);
        rig.open().unwrap();
        let (sent, begun) = (record.lock().unwrap().len(), rig.elapsed());
        tokens.hangs.store(1, Ordering::SeqCst);
        let error = rig.get("/api/echo").unwrap_err();
        assert_eq!((error.kind(), rig.elapsed() - begun), (ErrorKind::Timeout, seconds(7)));
        assert!(error.to_string().contains("header provider"), "{error}");
        tokens.hangs.store(1, Ordering::SeqCst);
        let error = rig.within(Duration::from_secs(2), "/api/echo").unwrap_err();
        assert_eq!((error.kind(), rig.elapsed() - begun), (ErrorKind::Timeout, seconds(9)));
        assert_eq!(record.lock().unwrap().len(), sent);
        // One that hangs before a login costs that attempt.
        rig.server(|server| server.expire_all_sessions());
        rig.reset(None);
        tokens.hangs.store(1, Ordering::SeqCst);
        rig.get("/api/echo").unwrap();
        rig.close();
        assert_eq!(rig.left(), 0);
    });
}

const fn seconds(number: u64) -> Duration {
    Duration::from_secs(number)
}

#[test]
fn headers_of_a_logout_in_the_background_are_those_of_the_request_before() {
    on_both(|driver| {
        let (rig, record, tokens) = provided(driver, Timeouts::new());
        rig.open().unwrap();
        rig.get("/api/echo").unwrap();
        let last = format!("token-{}", tokens.given.load(Ordering::SeqCst) - 1);
        rig.reset(Some(Credentials::standard("bob", "hidden")));
        rig.time.run_until_idle();
        let logout = record.lock().unwrap().pop().unwrap();
        assert!(logout.is("POST", "/api/auth/logout"), "{logout:?}");
        assert_eq!(logout.text("x-front"), [last]);
        assert_eq!((rig.left(), rig.count(Purpose::Logout)), (0, 1));
        rig.close();
    });
}

#[test]
fn header_that_cannot_be_set_is_refused_when_the_connection_is_built() {
    let build = |name: &str, value: &str| -> Result<(), Error> {
        let time = mstr_fake::VirtualTime::new();
        let fake = mstr_fake::FakeTransport::new(server().build(), time);
        let builder = Connection::builder(fake.base_url()).standard("alice", "secret");
        builder.header(name, value).transport(fake).build().map(drop)
    };
    build("x-fine", "fine").unwrap();
    for (name, value, named) in [
        ("x-mstr-authtoken", "planted", "x-mstr-authtoken"),
        ("Host", "planted", "host"),
        ("Accept-Encoding", "planted", "accept-encoding"),
        ("x y", "planted", "name"),
        ("x-line", "planted\nsecond", "x-line"),
    ] {
        let error = build(name, value).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Config);
        let text = error.to_string();
        assert!(text.contains(named) && !text.contains("planted"), "{text}");
    }
}
