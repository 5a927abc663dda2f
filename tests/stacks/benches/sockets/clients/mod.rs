//! The clients that are compared. Each makes a GET and reads the answer, with the headers that a call of a
//! session has.

mod bare;
mod others;
mod ours;

use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;

use mstr_core::TlsConfig;
use serde::Deserialize;
use tokio::runtime::Runtime;

use crate::answers::SMALL;

/// Makes one request and returns the length of the answer's body.
pub(crate) type Call = Rc<dyn Fn() -> Pin<Box<dyn Future<Output = usize>>>>;
/// The same for any number of threads, each of which it blocks.
pub(crate) type BlockingCall = Arc<dyn Fn() -> usize + Send + Sync>;

/// The headers of a call, beside that of the cookie.
const HEADERS: [(&str, &str); 4] = [
    ("x-mstr-authtoken", "a-token-of-the-usual-length"),
    ("accept", "application/json"),
    ("user-agent", "mstr/0.1"),
    ("x-mstr-projectid", PROJECT),
];
const COOKIE: (&str, &str) = ("cookie", "JSESSIONID=0123456789ABCDEF");
const PROJECT: &str = "B7CA92F04B9FAE8D941C3E9B7E0CD754";

/// The path that is requested, the server, and what is made of the answer.
#[derive(Clone)]
pub(crate) struct Target {
    pub(crate) base: String,
    pub(crate) path: &'static str,
    /// The authority to trust, in PEM.
    pub(crate) authority: Option<String>,
    /// Over TLS: HTTP/1.1 only.
    pub(crate) http1_only: bool,
    pub(crate) read: Read,
}

/// What a client makes of an answer, once all of it is in memory.
#[derive(Clone, Copy, Eq, PartialEq)]
pub(crate) enum Read {
    /// Nothing: its bytes are what is asked for.
    Bytes,
    /// A [`Catalogue`].
    Json,
}

impl Read {
    /// What is done with the bytes by a client that has no way of its own, and by which all are measured.
    fn finish(self, body: &[u8]) -> usize {
        match self {
            Self::Bytes => body.len(),
            Self::Json => serde_json::from_slice::<Catalogue>(body).unwrap().length(),
        }
    }
}

/// A list of reports, as the REST API gives it.
#[derive(Deserialize)]
pub(crate) struct Catalogue {
    #[serde(rename = "totalItems")]
    total: usize,
    result: Vec<Report>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
#[expect(dead_code, reason = "reading them is what is measured")]
struct Report {
    id: String,
    name: String,
    description: Option<String>,
    #[serde(rename = "type")]
    kind: u32,
    subtype: u32,
    date_created: String,
    date_modified: String,
    version: String,
    owner: Owner,
    acg: u32,
    hidden: bool,
}

#[derive(Deserialize)]
#[expect(dead_code, reason = "reading them is what is measured")]
struct Owner {
    id: String,
    name: String,
}

impl Catalogue {
    /// As many as there are bytes in the smallest answer, so that a wrong one is noticed.
    fn length(&self) -> usize {
        assert_eq!(self.result.len(), self.total);
        self.total * 200
    }
}

impl Target {
    /// The smallest answer, over plain HTTP.
    pub(crate) fn small(base: &str) -> Self {
        let (base, authority) = (base.to_owned(), None);
        Self { base, path: SMALL, authority, http1_only: true, read: Read::Bytes }
    }

    fn url(&self) -> String {
        format!("{}/MicroStrategyLibrary{}", self.base, self.path)
    }

    fn tls(&self) -> TlsConfig {
        match &self.authority {
            Some(authority) => TlsConfig::new().add_root_pem(authority.clone()),
            None => TlsConfig::new(),
        }
    }
}

pub(crate) struct Contestant {
    pub(crate) name: &'static str,
    /// Speaks TLS.
    pub(crate) tls: bool,
    /// Speaks HTTP/2 where the server offers it.
    pub(crate) http2: bool,
    /// Runs on the calling thread alone, so that what it does can be counted.
    pub(crate) alone: bool,
    /// Hands the body on, so that it can be read as JSON.
    pub(crate) json: bool,
    /// Is measured in every situation, and not with the smallest answer over plain HTTP alone.
    pub(crate) everywhere: bool,
    pub(crate) build: Build,
}

#[derive(Clone, Copy)]
pub(crate) enum Build {
    /// Requests in flight are tasks of one thread.
    Tasks(fn(&Target) -> Call),
    /// Requests in flight are threads.
    Threads(fn(&Target) -> BlockingCall),
}

impl Contestant {
    const fn new(name: &'static str, build: Build) -> Self {
        let alone = matches!(build, Build::Tasks(_));
        Self { name, tls: true, http2: true, alone, json: true, everywhere: true, build }
    }

    const fn tasks(name: &'static str, build: fn(&Target) -> Call) -> Self {
        Self::new(name, Build::Tasks(build))
    }

    const fn threads(name: &'static str, build: fn(&Target) -> BlockingCall) -> Self {
        Self::new(name, Build::Threads(build))
    }

    const fn plain(self) -> Self {
        Self { tls: false, ..self }
    }

    const fn http1_only(self) -> Self {
        Self { http2: false, ..self }
    }

    const fn with_helpers(self) -> Self {
        Self { alone: false, ..self }
    }

    const fn bytes_only(self) -> Self {
        Self { json: false, ..self }
    }

    const fn once(self) -> Self {
        Self { everywhere: false, ..self }
    }
}

impl Contestant {
    /// What makes the smallest request, by a client that runs on the calling thread alone.
    pub(crate) fn small(&self, base: &str) -> Call {
        match self.build {
            Build::Tasks(build) => build(&Target::small(base)),
            Build::Threads(_) => panic!("{} needs other threads", self.name),
        }
    }
}

/// Makes so many of the smallest requests.
pub(crate) async fn requests(call: &Call, times: u64) {
    for _ in 0..times {
        assert_eq!(call().await, 200);
    }
}

/// A runtime of one thread.
pub(crate) fn runtime() -> Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap()
}

pub(crate) const CONTESTANTS: &[Contestant] = &[
    Contestant::tasks("hyper-util", bare::legacy).plain(),
    Contestant::tasks("hyper conn", bare::by_conn).plain().bytes_only(),
    Contestant::tasks("by hand", bare::by_hand).plain().bytes_only(),
    Contestant::tasks("mstr-hyper", ours::transport).bytes_only(),
    Contestant::tasks("mstr over hyper", ours::layer),
    Contestant::threads("mstr over hyper, blocking", ours::layer_blocking),
    Contestant::tasks("reqwest", others::reqwest),
    Contestant::tasks("reqwest with middleware", others::reqwest_stacked).bytes_only(),
    Contestant::threads("ureq with timeouts", others::ureq).http1_only(),
    Contestant::tasks("isahc", others::isahc).plain().with_helpers(),
    Contestant::threads("isahc, blocking", others::isahc_blocking).once(),
    Contestant::tasks("mstr-isahc", ours::isahc_transport).with_helpers().once(),
    Contestant::tasks("mstr over isahc", ours::isahc_layer).with_helpers(),
    Contestant::threads("mstr over isahc, blocking", ours::isahc_layer_blocking),
];

/// The one of this name.
///
/// # Panics
///
/// If there is none.
pub(crate) fn named(name: &str) -> &'static Contestant {
    CONTESTANTS.iter().find(|contestant| contestant.name == name).unwrap()
}

/// What the headers of a call amount to.
fn headers(request: http::request::Builder) -> http::request::Builder {
    let with_cookie = [COOKIE].into_iter().chain(HEADERS);
    with_cookie.fold(request, |request, (name, value)| request.header(name, value))
}
