//! A server that closes the connections it seems to keep.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use mstr::core::Sent;
use mstr::{CloseOutcome, Connection, Error, RetryPolicy};
use mstr_fake::loopback::{RawConnection, RawServer};
use mstr_hyper::HyperTransport;

/// The requests that the server has received.
#[derive(Default)]
struct Seen {
    logins: AtomicUsize,
    logouts: AtomicUsize,
    calls: AtomicUsize,
}

/// Answers one or two requests on each connection, and closes it within half a millisecond.
fn serve(mut connection: RawConnection, seen: &Seen) -> std::io::Result<()> {
    for _ in 0..1 + connection.number() % 2 {
        let Some(request) = connection.read_request()? else { return Ok(()) };
        let target = request.target();
        if target.ends_with("/auth/login") {
            seen.logins.fetch_add(1, Ordering::SeqCst);
            let head = "204 No Content\r\nx-mstr-authtoken: a-token\r\nset-cookie: JSESSIONID=1";
            connection.write(format!("HTTP/1.1 {head}\r\n\r\n"))?;
        } else if target.ends_with("/auth/logout") {
            seen.logouts.fetch_add(1, Ordering::SeqCst);
            connection.write("HTTP/1.1 204 No Content\r\n\r\n")?;
        } else {
            seen.calls.fetch_add(1, Ordering::SeqCst);
            connection.answer("200 OK", "fine")?;
        }
    }
    let wait = Duration::from_micros((connection.number() as u64 * 37) % 500);
    #[expect(clippy::disallowed_methods, reason = "a socket lives in real time")]
    std::thread::sleep(wait);
    Ok(())
}

/// Whether nothing of the request had left.
fn unsent(error: &Error) -> bool {
    error.transport().is_some_and(|error| error.sent() == Sent::No)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn connections_that_close_within_half_a_millisecond_lose_nothing_that_was_not_sent() {
    let seen = Arc::new(Seen::default());
    let counts = Arc::clone(&seen);
    let server = RawServer::start(move |connection| serve(connection, &counts)).unwrap();
    let transport = HyperTransport::new().unwrap();
    let mut unknown = 0;
    for _ in 0..300 {
        let opened = Connection::builder(server.url("/MicroStrategyLibrary"))
            .standard("alice", "secret")
            .checks(false)
            // A request that was written into a closing connection is repeated after a wait.
            .retry(RetryPolicy::new().base(Duration::from_millis(1)))
            .transport(transport.clone())
            .connect()
            .await;
        let connection = match opened {
            Ok(connection) => connection,
            Err(error) => {
                assert!(!unsent(&error), "{error:?}");
                unknown += 1;
                continue;
            }
        };
        if let Err(error) = connection.post("/api/x").json(&1).send().await {
            assert!(!unsent(&error), "{error:?}");
            unknown += 1;
        }
        match connection.close().await {
            CloseOutcome::LoggedOut => {}
            CloseOutcome::Failed(error) => {
                assert!(!unsent(&error), "{error:?}");
                unknown += 1;
            }
            other => panic!("{other:?}"),
        }
    }
    let count = |number: &AtomicUsize| number.load(Ordering::SeqCst);
    assert_eq!(count(&seen.logins), count(&seen.logouts), "a session is left");
    // A connection may close just when a request has been written.
    assert!(unknown <= 30, "{unknown} of 900");
    assert!(count(&seen.calls) + unknown >= 300);
}
