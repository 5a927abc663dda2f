//! How many round trips connecting takes over a socket, those of TCP and TLS included.
//!
//! A relay makes each of them last. The system accepts a connection at once, so the relay holds up its
//! first byte for as long as TCP's handshake would take.

use std::cell::Cell;
use std::ops::RangeInclusive;
use std::time::{Duration, Instant};

use mstr::{Connection, SharedTransport, TlsConfig, blocking};
use mstr_fake::Purpose;
use mstr_fake::loopback::{Authority, Direction, HttpServer, Relay, ServerTls};
use mstr_hyper::HyperTransport;
use mstr_hyper::blocking::HyperBlocking;
use mstr_isahc::IsahcTransport;
use mstr_suite::{Stack, server};

/// How long one takes at first.
const ROUND_TRIP: Duration = Duration::from_millis(20);
/// Handshakes of TLS and other work on the machine take time besides. Where that counts, a round trip
/// is made twice as long, so often at most.
const TRIES: usize = 7;
const PROJECT: &str = "MicroStrategy Tutorial";

/// A server that is so far away.
struct Far {
    server: HttpServer,
    relay: Relay,
    round_trip: Cell<Duration>,
    url: String,
    tls: TlsConfig,
}

/// What one of them took.
#[derive(Clone, Copy, Debug)]
struct Taken {
    trips: f64,
    connections: usize,
}

impl Far {
    fn new(secure: bool, http2: bool) -> Self {
        let (mut listening, mut tls) = (HttpServer::builder(), TlsConfig::new());
        if secure {
            let authority = Authority::new().unwrap();
            let identity = authority.issue("127.0.0.1").unwrap();
            let of_server = ServerTls::new(&identity).unwrap();
            listening = listening.tls(if http2 { of_server } else { of_server.http1_only() });
            tls = tls.add_root_pem(authority.pem());
        }
        let server = listening.start(server().build()).unwrap();
        let relay = Relay::start(server.address()).unwrap();
        let scheme = if secure { "https" } else { "http" };
        let url = format!("{scheme}://{}/MicroStrategyLibrary", relay.address());
        let far = Self { server, relay, round_trip: Cell::default(), url, tls };
        far.keep_away(ROUND_TRIP);
        far
    }

    fn keep_away(&self, round_trip: Duration) {
        self.relay.delay(Direction::Both, round_trip / 2);
        self.relay.delay_accept(round_trip);
        self.round_trip.set(round_trip);
    }

    /// Begins to measure. What is returned says what has been taken since.
    #[expect(clippy::disallowed_methods, reason = "real time is what is measured")]
    fn begin(&self) -> impl Fn() -> Taken {
        let begun = Instant::now();
        let before = self.relay.connections();
        move || Taken {
            trips: begun.elapsed().as_secs_f64() / self.round_trip.get().as_secs_f64(),
            connections: self.relay.connections() - before,
        }
    }

    /// Connects over a transport that has no connection open.
    fn connect(&self, stack: Stack, transport: impl FnOnce() -> SharedTransport) -> Taken {
        let mut taken = None;
        stack.block_on(async {
            let builder = Connection::builder(&self.url)
                .standard("alice", "secret")
                .project_name(PROJECT)
                .transport(transport());
            let so_far = self.begin();
            let connection = builder.connect().await.unwrap();
            taken = Some(so_far());
            connection.close().await;
        });
        taken.unwrap()
    }

    /// So many round trips are taken, and fewer never.
    fn takes(
        &self,
        trips: RangeInclusive<u32>,
        connections: RangeInclusive<usize>,
        connect: impl Fn(&Self) -> Taken,
    ) {
        let (least, most) = (f64::from(*trips.start()), f64::from(*trips.end()));
        let mut all = Vec::new();
        loop {
            let taken = connect(self);
            all.push(taken);
            assert!(taken.trips > least - 0.1, "{taken:?} to {}", self.url);
            if taken.trips < most + 0.9 && connections.contains(&taken.connections) {
                break;
            }
            assert!(all.len() < TRIES, "{all:?} to {}", self.url);
            self.keep_away(self.round_trip.get() * 2);
        }
        let asked = [Purpose::Status, Purpose::Login]
            .map(|purpose| self.server.server(|server| server.journal().count(purpose)));
        assert_eq!(asked, [all.len(); 2], "once for each");
    }
}

/// Further connections may be begun for the checks, which find the first two free before those are made.
#[test]
fn round_trips_of_connecting_are_three_over_http_and_four_over_https() {
    for (secure, http2, trips) in [(false, false, 3), (true, false, 4), (true, true, 4)] {
        Far::new(secure, http2).takes(trips..=trips, 2..=4, |far| {
            let builder = HyperTransport::builder().tls(far.tls.clone());
            far.connect(Stack::Hyper, || SharedTransport::new(builder.build().unwrap()))
        });
    }
}

/// libcurl begins a third connection if the version is not there before the login is answered, and
/// waits for it.
#[test]
fn round_trips_of_connecting_over_isahc_are_as_few_or_those_of_one_connection_more() {
    for (secure, trips) in [(false, 3..=4), (true, 4..=6)] {
        Far::new(secure, false).takes(trips, 2..=4, |far| {
            let builder = IsahcTransport::builder().tls(far.tls.clone());
            far.connect(Stack::Isahc, || SharedTransport::new(builder.build().unwrap()))
        });
    }
}

#[test]
fn round_trips_of_connecting_are_one_for_each_request_on_threads() {
    for (secure, trips) in [(false, 5), (true, 6)] {
        Far::new(secure, false).takes(trips..=trips, 1..=2, |far| {
            let transport = HyperTransport::builder().tls(far.tls.clone());
            let builder = blocking::Connection::builder(&far.url)
                .standard("alice", "secret")
                .project_name(PROJECT)
                .blocking_transport(HyperBlocking::from_builder(transport).unwrap());
            let so_far = far.begin();
            let connection = builder.connect().unwrap();
            let taken = so_far();
            connection.close();
            taken
        });
    }
}
