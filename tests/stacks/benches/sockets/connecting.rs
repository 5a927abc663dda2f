//! How long connecting takes where the server is far away, in round trips.
//!
//! The server is that of `mstr-fake`, in this process, behind a relay that makes every round trip last as
//! long as one across a continent, that of TCP's handshake included. Beside that the work of both ends
//! is a small part.

use std::future::Future;
use std::time::{Duration, Instant};

use mstr::{Connection, SharedTransport, TlsConfig, blocking};
use mstr_core::SharedBlockingTransport;
use mstr_fake::loopback::{Authority, Direction, HttpServer, Relay, ServerTls};
use mstr_hyper::HyperTransport;
use mstr_hyper::blocking::HyperBlocking;
use mstr_isahc::IsahcTransport;
use mstr_isahc::blocking::IsahcBlocking;
use mstr_suite::figures::{Figure, Spread};

use crate::clients::runtime;
use crate::parts::Run;

pub(crate) const PART: &str = "connecting";
const TABLE: &str = "Connecting over round trips of 50 ms: login, checks, and a project by name";
const ROUND_TRIP: Duration = Duration::from_millis(50);
const PROJECT: &str = "MicroStrategy Tutorial";
const SCHEMES: [&str; 2] = ["http", "https"];

/// A server that is far away.
struct Far {
    _server: HttpServer,
    _relay: Relay,
    url: String,
    authority: Option<String>,
}

impl Far {
    fn new(secure: bool) -> Self {
        let (mut listening, mut trusted) = (HttpServer::builder(), None);
        if secure {
            let authority = Authority::new().unwrap();
            let tls = ServerTls::new(&authority.issue("127.0.0.1").unwrap()).unwrap();
            listening = listening.tls(tls.http1_only());
            trusted = Some(authority.pem().to_owned());
        }
        let server = listening.start(mstr_suite::server().build()).unwrap();
        let relay = Relay::start(server.address()).unwrap();
        relay.delay(Direction::Both, ROUND_TRIP / 2);
        relay.delay_accept(ROUND_TRIP);
        let scheme = SCHEMES[usize::from(secure)];
        let url = format!("{scheme}://{}/MicroStrategyLibrary", relay.address());
        Self { _server: server, _relay: relay, url, authority: trusted }
    }

    fn tls(&self) -> TlsConfig {
        let tls = TlsConfig::new();
        match &self.authority {
            Some(authority) => tls.add_root_pem(authority.clone()),
            None => tls,
        }
    }
}

/// A client, and what connects once and says how long it took. The transport is made before, and closing
/// comes after.
type Way = (&'static str, fn(&Far) -> Duration);

const WAYS: &[Way] = &[
    ("mstr over hyper", hyper),
    ("mstr over hyper, blocking", hyper_blocking),
    ("mstr over isahc", isahc),
    ("mstr over isahc, blocking", isahc_blocking),
    ("reqwest by hand: login, projects", by_hand),
];

pub(crate) fn print(run: &Run<'_>) {
    let chosen = run.chosen(PART, WAYS, |way| way.0);
    if chosen.is_empty() {
        return;
    }
    let far = [Far::new(false), Far::new(true)];
    println!("\n{TABLE}: round trips");
    println!("{:<34} {:>22} {:>22}", "", SCHEMES[0], SCHEMES[1]);
    // In turns, so that what else the machine does meets all of them.
    let mut trips = vec![[Vec::new(), Vec::new()]; chosen.len()];
    for _ in 0..run.pairs() {
        for (way, trips) in chosen.iter().zip(&mut trips) {
            for (far, trips) in far.iter().zip(trips) {
                trips.push(way.1(far).as_secs_f64() / ROUND_TRIP.as_secs_f64());
            }
        }
    }
    for ((row, _), trips) in chosen.iter().zip(trips) {
        let cells = trips.map(Spread::of);
        for (column, spread) in SCHEMES.into_iter().zip(cells) {
            Figure { table: TABLE, row, column, unit: "round trips", spread }.record();
        }
        println!("{row:<34} {:>22} {:>22}", cells[0].to_string(), cells[1].to_string());
    }
}

async fn timed<T>(connect: impl Future<Output = T>) -> (Duration, T) {
    let start = Instant::now();
    let connected = connect.await;
    (start.elapsed(), connected)
}

async fn connect(far: &Far, transport: SharedTransport) -> Duration {
    let builder = Connection::builder(&far.url).standard("alice", "secret").project_name(PROJECT);
    let (taken, connection) = timed(builder.transport(transport).connect()).await;
    connection.unwrap().close().await;
    taken
}

fn hyper(far: &Far) -> Duration {
    runtime().block_on(async {
        let transport = HyperTransport::builder().tls(far.tls()).build().unwrap();
        connect(far, SharedTransport::new(transport)).await
    })
}

fn isahc(far: &Far) -> Duration {
    let transport = IsahcTransport::builder().tls(far.tls()).build().unwrap();
    runtime().block_on(connect(far, SharedTransport::new(transport)))
}

fn connect_blocking(far: &Far, transport: SharedBlockingTransport) -> Duration {
    let builder = blocking::Connection::builder(&far.url);
    let builder = builder.standard("alice", "secret").project_name(PROJECT);
    let start = Instant::now();
    let connection = builder.blocking_transport(transport).connect().unwrap();
    let taken = start.elapsed();
    connection.close();
    taken
}

fn hyper_blocking(far: &Far) -> Duration {
    let builder = HyperTransport::builder().tls(far.tls());
    let transport = HyperBlocking::from_builder(builder).unwrap();
    connect_blocking(far, SharedBlockingTransport::new(transport))
}

fn isahc_blocking(far: &Far) -> Duration {
    let builder = IsahcTransport::builder().tls(far.tls());
    let transport = IsahcBlocking::from_builder(builder).unwrap();
    connect_blocking(far, SharedBlockingTransport::new(transport))
}

/// The least that a program does that has no session layer, one request after the other. It checks
/// nothing.
fn by_hand(far: &Far) -> Duration {
    runtime().block_on(async {
        let mut builder = reqwest::Client::builder().no_proxy().cookie_store(true);
        if let Some(authority) = &far.authority {
            let authority = reqwest::Certificate::from_pem(authority.as_bytes()).unwrap();
            builder = builder.tls_certs_only([authority]);
        }
        let (client, url) = (builder.build().unwrap(), &far.url);
        let chain = async {
            let login = client
                .post(format!("{url}/api/auth/login"))
                .header("content-type", "application/json")
                .body(r#"{"username":"alice","password":"secret","loginMode":1}"#);
            let answer = login.send().await.unwrap().error_for_status().unwrap();
            let token = answer.headers()["x-mstr-authtoken"].clone();
            let projects = client.get(format!("{url}/api/projects"));
            let answer = projects.header("x-mstr-authtoken", token.clone()).send().await.unwrap();
            let body = answer.error_for_status().unwrap().bytes().await.unwrap();
            let projects: Vec<serde_json::Value> = serde_json::from_slice(&body).unwrap();
            assert!(projects.iter().any(|project| project["name"] == PROJECT));
            token
        };
        let (taken, token) = timed(chain).await;
        let logout = client.post(format!("{url}/api/auth/logout"));
        let answer = logout.header("x-mstr-authtoken", token).send().await.unwrap();
        answer.error_for_status().unwrap();
        taken
    })
}
