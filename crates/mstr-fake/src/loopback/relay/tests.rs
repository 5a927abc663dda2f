//! The relay over sockets, between a plain client and servers written byte by byte.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Instant;

use super::*;
use crate::loopback::RawServer;

const REQUEST: &[u8] = b"GET / HTTP/1.1\r\n\r\n";
const ANSWER: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nfine";
/// Longer than anything takes here that is not held up.
const LONG: Duration = Duration::from_millis(150);

/// Answers every request.
fn server() -> RawServer {
    RawServer::start(|mut connection| {
        while connection.read_request()?.is_some() {
            connection.answer("200 OK", "fine")?;
        }
        Ok(())
    })
    .unwrap()
}

fn start() -> (RawServer, Relay) {
    let server = server();
    let relay = Relay::start(server.address()).unwrap();
    (server, relay)
}

fn connect(relay: &Relay) -> TcpStream {
    let client = TcpStream::connect(relay.address()).unwrap();
    client.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    client
}

/// Sends a request and reads its answer.
fn exchange(client: &mut TcpStream) -> io::Result<()> {
    client.write_all(REQUEST)?;
    let mut answer = vec![0; ANSWER.len()];
    client.read_exact(&mut answer)?;
    assert_eq!(answer, ANSWER);
    Ok(())
}

/// Everything that comes, and what it ended with.
fn rest(client: &mut TcpStream) -> (Vec<u8>, io::Result<()>) {
    let mut all = Vec::new();
    let outcome = client.read_to_end(&mut all);
    (all, outcome.map(drop))
}

fn kind(outcome: io::Result<()>) -> io::ErrorKind {
    outcome.unwrap_err().kind()
}

/// Whether nothing comes for a while, neither a byte nor an end.
fn is_silent(client: &mut TcpStream) -> bool {
    client.set_read_timeout(Some(LONG)).unwrap();
    let read = client.read(&mut [0; 16]);
    client.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    let late = [io::ErrorKind::WouldBlock, io::ErrorKind::TimedOut];
    read.is_err_and(|error| late.contains(&error.kind()))
}

#[expect(clippy::disallowed_methods, reason = "a socket lives in real time")]
fn timed<T>(work: impl FnOnce() -> T) -> (T, Duration) {
    let begun = Instant::now();
    let done = work();
    (done, begun.elapsed())
}

#[expect(clippy::disallowed_methods, reason = "a socket lives in real time")]
fn eventually(what: &str, holds: impl Fn() -> bool) {
    for _ in 0..2000 {
        if holds() {
            return;
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    panic!("still not: {what}");
}

#[test]
fn connections_are_counted() {
    let (_server, relay) = start();
    let mut clients = [connect(&relay), connect(&relay), connect(&relay)];
    for client in &mut clients {
        exchange(client).unwrap();
        exchange(client).unwrap();
    }
    assert_eq!((relay.connections(), relay.open_connections()), (3, 3));
    drop(clients);
    eventually("they have ended", || relay.open_connections() == 0);
    exchange(&mut connect(&relay)).unwrap();
    assert_eq!((relay.connections(), relay.max_open_connections()), (4, 3));
}

#[test]
fn each_way_has_its_own_latency() {
    let (server, relay) = start();
    let mut client = connect(&relay);
    exchange(&mut client).unwrap();
    relay.delay(Direction::Upstream, LONG);
    relay.delay(Direction::Downstream, 2 * LONG);
    let (outcome, took) = timed(|| exchange(&mut client));
    outcome.unwrap();
    assert!(took >= 3 * LONG, "{took:?}");
    // It is latency, not a lower rate: what is sent together arrives together.
    let (outcome, took) = timed(|| -> io::Result<()> {
        client.write_all(&REQUEST.repeat(8))?;
        client.read_exact(&mut vec![0; 8 * ANSWER.len()])
    });
    outcome.unwrap();
    assert!(took < 6 * LONG, "{took:?}");
    assert_eq!(server.requests().len(), 10);
    relay.heal();
    let (outcome, took) = timed(|| exchange(&mut client));
    outcome.unwrap();
    assert!(took < 3 * LONG, "{took:?}");
}

#[test]
fn new_connections_can_be_served_late() {
    let (server, relay) = start();
    let mut before = connect(&relay);
    exchange(&mut before).unwrap();
    relay.delay_accept(LONG);
    exchange(&mut before).unwrap();
    let mut client = connect(&relay);
    assert_eq!(server.connections(), 1);
    let (outcome, took) = timed(|| exchange(&mut client));
    outcome.unwrap();
    assert!(took > LONG / 2, "{took:?}");
}

#[test]
fn what_was_held_up_goes_on() {
    for direction in [Direction::Upstream, Direction::Downstream, Direction::Both] {
        let (server, relay) = start();
        let mut client = connect(&relay);
        exchange(&mut client).unwrap();
        relay.stall(direction);
        client.write_all(REQUEST).unwrap();
        assert!(is_silent(&mut client));
        let arrived = if direction == Direction::Downstream { 2 } else { 1 };
        assert_eq!(server.requests().len(), arrived);
        relay.resume(direction);
        let mut answer = vec![0; ANSWER.len()];
        client.read_exact(&mut answer).unwrap();
        assert_eq!(answer, ANSWER);
        exchange(&mut client).unwrap();
        drop(client);
        eventually("its end passes", || relay.open_connections() == 0);
    }
}

#[test]
fn a_silent_connection_stays_open_and_silent() {
    for direction in [Direction::Upstream, Direction::Downstream, Direction::Both] {
        let (server, relay) = start();
        let mut client = connect(&relay);
        exchange(&mut client).unwrap();
        relay.silence(direction);
        client.write_all(REQUEST).unwrap();
        assert!(is_silent(&mut client));
        relay.heal();
        // What comes after a gap is not delivered.
        client.write_all(REQUEST).unwrap();
        assert!(is_silent(&mut client));
        let arrived = if direction == Direction::Downstream { 3 } else { 1 };
        assert_eq!(server.requests().len(), arrived, "{direction:?}");
        exchange(&mut connect(&relay)).unwrap();
        drop(client);
        eventually("it ends with its client", || relay.open_connections() == 0);
    }
}

#[test]
fn a_silent_connection_hides_that_the_server_is_gone() {
    let (server, relay) = start();
    let mut client = connect(&relay);
    exchange(&mut client).unwrap();
    relay.silence(Direction::Downstream);
    drop(server);
    assert!(is_silent(&mut client));
    client.write_all(REQUEST).unwrap();
    assert!(is_silent(&mut client));
    client.write_all(REQUEST).unwrap();
    assert_eq!(relay.open_connections(), 1);
    drop(client);
    eventually("it ends with its client", || relay.open_connections() == 0);
}

#[test]
fn connections_are_cut_in_order_or_reset() {
    for cut in [Cut::Close, Cut::Reset] {
        let (server, relay) = start();
        let mut clients = [connect(&relay), connect(&relay)];
        for client in &mut clients {
            exchange(client).unwrap();
        }
        relay.cut(cut);
        for client in &mut clients {
            let (bytes, outcome) = rest(client);
            assert_eq!(bytes, b"");
            match cut {
                Cut::Close => outcome.unwrap(),
                Cut::Reset => assert_eq!(kind(outcome), io::ErrorKind::ConnectionReset),
            }
        }
        // A client that has not hung up still has a socket, unless it was reset.
        let open = if cut == Cut::Close { 2 } else { 0 };
        assert_eq!(relay.open_connections(), open);
        drop(clients);
        eventually("they have hung up", || relay.open_connections() == 0);
        exchange(&mut connect(&relay)).unwrap();
        assert_eq!(server.connections(), 3);
    }
}

#[test]
fn a_closed_connection_can_be_reset() {
    let (_server, relay) = start();
    let mut client = connect(&relay);
    exchange(&mut client).unwrap();
    relay.cut(Cut::Close);
    relay.cut(Cut::Close);
    relay.cut(Cut::Reset);
    assert_eq!(relay.open_connections(), 0);
    drop(client);
}

#[test]
fn an_answer_breaks_off_at_every_byte() {
    let (server, relay) = start();
    for length in 0..=ANSWER.len() {
        let mut client = connect(&relay);
        relay.cut_after(Direction::Downstream, length as u64, Cut::Close);
        client.write_all(REQUEST).unwrap();
        let (bytes, outcome) = rest(&mut client);
        outcome.unwrap();
        assert_eq!(bytes, &ANSWER[..length]);
        assert_eq!(server.requests().len(), length + 1);
    }
    relay.heal();
    exchange(&mut connect(&relay)).unwrap();
}

#[test]
fn a_request_breaks_off_at_every_byte() {
    let arrived = Arc::new(Mutex::new(Vec::new()));
    let arriving = Arc::clone(&arrived);
    let server = RawServer::start(move |mut connection| {
        let mut all = Vec::new();
        loop {
            let some = connection.read_some(64)?;
            if some.is_empty() {
                arriving.lock().unwrap().push(all);
                return Ok(());
            }
            all.extend(some);
        }
    });
    let server = server.unwrap();
    let relay = Relay::start(server.address()).unwrap();
    for length in 0..=REQUEST.len() {
        let mut client = connect(&relay);
        relay.cut_after(Direction::Upstream, length as u64, Cut::Close);
        client.write_all(REQUEST).unwrap();
        assert_eq!(rest(&mut client).0, b"");
        eventually("the server has seen the end", || arrived.lock().unwrap().len() > length);
        assert_eq!(arrived.lock().unwrap()[length], &REQUEST[..length]);
    }
}

#[test]
fn a_limit_counts_from_when_it_is_set() {
    let (_server, relay) = start();
    let mut client = connect(&relay);
    let size = ANSWER.len() as u64;
    relay.cut_after(Direction::Downstream, 2 * size, Cut::Reset);
    exchange(&mut client).unwrap();
    relay.heal();
    relay.cut_after(Direction::Downstream, 2 * size, Cut::Reset);
    exchange(&mut client).unwrap();
    relay.cut_after(Direction::Downstream, size + 3, Cut::Reset);
    exchange(&mut client).unwrap();
    let outcome = exchange(&mut client);
    assert_eq!(kind(outcome), io::ErrorKind::ConnectionReset);
}

#[test]
fn a_relay_that_refuses_keeps_its_connections_and_its_port() {
    let (_server, relay) = start();
    let mut client = connect(&relay);
    exchange(&mut client).unwrap();
    relay.refuse();
    relay.refuse();
    for _ in 0..3 {
        let refused = TcpStream::connect(relay.address()).map(drop);
        assert_eq!(kind(refused), io::ErrorKind::ConnectionRefused);
    }
    exchange(&mut client).unwrap();
    relay.restart().unwrap();
    relay.restart().unwrap();
    exchange(&mut connect(&relay)).unwrap();
    exchange(&mut client).unwrap();
    assert_eq!(relay.connections(), 2);
}

#[test]
fn a_relay_comes_back_on_its_port_again_and_again() {
    let (_server, relay) = start();
    for round in 1..=20 {
        let mut client = connect(&relay);
        exchange(&mut client).unwrap();
        relay.stop();
        let (bytes, outcome) = rest(&mut client);
        outcome.unwrap();
        assert_eq!(bytes, b"");
        let refused = TcpStream::connect(relay.address()).map(drop);
        assert_eq!(kind(refused), io::ErrorKind::ConnectionRefused);
        relay.restart().unwrap();
        assert_eq!(relay.connections(), round);
    }
}

#[test]
fn a_server_that_refuses_or_resets_does_so_through_the_relay() {
    let server = RawServer::start(|mut connection| {
        connection.read_request()?;
        connection.reset();
        Ok(())
    });
    let server = server.unwrap();
    let relay = Relay::start(server.address()).unwrap();
    let mut client = connect(&relay);
    assert_eq!(kind(exchange(&mut client)), io::ErrorKind::ConnectionReset);
    drop(server);
    let mut client = connect(&relay);
    let (bytes, outcome) = rest(&mut client);
    assert_eq!((bytes, kind(outcome)), (Vec::new(), io::ErrorKind::ConnectionReset));
}

#[test]
fn half_a_connection_goes_on() {
    let server = RawServer::start(|mut connection| {
        assert!(connection.wait_for_end(Duration::from_secs(10)));
        connection.write("late")
    });
    let server = server.unwrap();
    let relay = Relay::start(server.address()).unwrap();
    let mut client = connect(&relay);
    client.write_all(b"request").unwrap();
    client.shutdown(std::net::Shutdown::Write).unwrap();
    let (bytes, outcome) = rest(&mut client);
    outcome.unwrap();
    assert_eq!(bytes, b"late");
}

#[test]
fn much_passes_unharmed_and_slow_readers_hold_up() {
    let body = vec![b'x'; 3 * 1024 * 1024];
    let mirror = RawServer::start(|mut connection| {
        while let Some(request) = connection.read_request()? {
            connection.answer("200 OK", request.body())?;
        }
        Ok(())
    });
    let mirror = mirror.unwrap();
    let relay = Relay::start(mirror.address()).unwrap();
    let mut client = connect(&relay);
    let head = format!("POST / HTTP/1.1\r\ncontent-length: {}\r\n\r\n", body.len());
    client.write_all(head.as_bytes()).unwrap();
    client.write_all(&body).unwrap();
    assert!(!is_silent(&mut client));
    client.shutdown(std::net::Shutdown::Write).unwrap();
    let (bytes, outcome) = rest(&mut client);
    outcome.unwrap();
    assert!(bytes.ends_with(&body));
}

#[test]
fn dropping_it_ends_every_connection() {
    let (_server, relay) = start();
    let mut client = connect(&relay);
    exchange(&mut client).unwrap();
    relay.silence(Direction::Both);
    drop(relay);
    let (bytes, outcome) = rest(&mut client);
    assert_eq!(bytes, b"");
    drop(outcome);
}

#[test]
fn only_servers_of_this_machine_are_relayed_to() {
    let elsewhere = ([192, 0, 2, 1], 80).into();
    assert_eq!(Relay::start(elsewhere).unwrap_err().kind(), io::ErrorKind::InvalidInput);
}

#[tokio::test]
async fn it_works_beside_a_runtime_that_is_busy() {
    let (_server, relay) = start();
    relay.refuse();
    relay.restart().unwrap();
    relay.cut(Cut::Reset);
    exchange(&mut connect(&relay)).unwrap();
}
