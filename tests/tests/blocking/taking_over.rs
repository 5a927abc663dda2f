//! Threads that wait for one another over a socket, each within its own time.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use mstr::blocking::Connection;
use mstr::{BoxError, CloseOutcome, CredentialProvider, Credentials, ErrorKind, Timeouts};
use mstr_fake::{Fault, Purpose};
use mstr_suite::server;

use crate::World;

#[test]
fn a_thread_that_waits_for_another_one_s_login_does_so_within_its_own_time() {
    let slow = "login:1:slow=600".parse::<Fault>().unwrap();
    let world = World::loopback(server().fault(slow));
    let connection = world.builder().build().unwrap();
    thread::scope(|scope| {
        let leading = scope.spawn(|| connection.get("/api/echo").send().map(drop));
        while world.server(|server| server.journal().is_empty()) {
            thread::yield_now();
        }
        let hasty = connection.get("/api/echo").timeout(Duration::from_millis(50)).send();
        assert_eq!(hasty.unwrap_err().kind(), ErrorKind::Timeout);
        assert!(!leading.is_finished(), "the login goes on");
        leading.join().unwrap().unwrap();
    });
    assert_eq!(world.server(|server| server.journal().count(Purpose::Login)), 1);
    connection.close();
}

#[test]
fn a_thread_that_waits_takes_over_from_one_whose_time_is_over() {
    let slow = "login:1:slow=900".parse::<Fault>().unwrap();
    let world = World::loopback(server().fault(slow));
    let connection = world.builder().build().unwrap();
    thread::scope(|scope| {
        let leading = scope.spawn(|| {
            let begun = world.transport.now();
            let call = connection.get("/api/echo").timeout(Duration::from_millis(200)).send();
            (call.map(drop), world.transport.now() - begun)
        });
        while world.server(|server| server.journal().is_empty()) {
            thread::yield_now();
        }
        // These wait for the login of the other, and then for each other.
        let waiting: Vec<_> =
            (0..4).map(|_| scope.spawn(|| connection.get("/api/echo").send().map(drop))).collect();
        let (hasty, took) = leading.join().unwrap();
        assert_eq!(hasty.unwrap_err().kind(), ErrorKind::Timeout);
        assert!(took < Duration::from_millis(800), "it has led within its own time: {took:?}");
        for thread in waiting {
            thread.join().unwrap().unwrap();
        }
    });
    assert_eq!(world.logins(), 1);
    connection.close();
    assert_eq!(world.open_sessions(), 0);
}

/// Says when it is asked, and never answers.
#[derive(Debug)]
struct Never(Arc<AtomicBool>);

#[async_trait::async_trait]
impl CredentialProvider for Never {
    async fn credentials(&self) -> Result<Credentials, BoxError> {
        self.0.store(true, Ordering::SeqCst);
        std::future::pending().await
    }
}

#[test]
fn closing_ends_another_thread_s_wait_for_a_provider() {
    let world = World::loopback(server());
    let asked = Arc::new(AtomicBool::new(false));
    let connection = Connection::builder(&world.base_url)
        .credential_provider(Never(Arc::clone(&asked)))
        .timeouts(Timeouts::new().total(None))
        .blocking_transport(world.transport.clone())
        .build()
        .unwrap();
    let begun = world.transport.now();
    thread::scope(|scope| {
        let opening = scope.spawn(|| connection.open());
        while !asked.load(Ordering::SeqCst) {
            thread::yield_now();
        }
        assert!(matches!(connection.close(), CloseOutcome::NotOpen));
        assert_eq!(opening.join().unwrap().unwrap_err().kind(), ErrorKind::Closed);
    });
    let took = world.transport.now() - begun;
    assert!(took < Duration::from_secs(10), "{took:?}");
}

#[test]
fn closing_does_not_wait_for_the_pause_of_another_thread_s_login() {
    let away = "login:1:status=503,retry-after=2".parse::<Fault>().unwrap();
    let world = World::loopback(server().fault(away));
    let connection = world.builder().build().unwrap();
    thread::scope(|scope| {
        let opening = scope.spawn(|| connection.open());
        while !format!("{connection:?}").contains("backing off") {
            assert!(!opening.is_finished(), "it was to be repeated");
            thread::yield_now();
        }
        let begun = world.transport.now();
        assert!(matches!(connection.close(), CloseOutcome::NotOpen));
        let took = world.transport.now() - begun;
        assert!(took < Duration::from_secs(1), "{took:?}");
        assert_eq!(opening.join().unwrap().unwrap_err().kind(), ErrorKind::Closed);
    });
    assert_eq!((world.logins(), world.open_sessions()), (1, 0));
}

#[test]
fn dropping_the_last_handle_while_a_login_is_under_way_leaves_no_session() {
    let slow = "login:1:slow=300".parse::<Fault>().unwrap();
    let world = World::loopback(server().fault(slow));
    let connection = world.builder().build().unwrap();
    let hasty = connection.get("/api/echo").timeout(Duration::from_millis(100)).send();
    assert_eq!(hasty.unwrap_err().kind(), ErrorKind::Timeout);
    drop(connection);
    for _ in 0..500 {
        if world.count(Purpose::Logout) == 1 {
            break;
        }
        world.transport.sleep_until(world.transport.now() + Duration::from_millis(10));
    }
    world.wait_until_closed();
    assert_eq!((world.logins(), world.count(Purpose::Logout)), (1, 1));
}

#[test]
fn closing_waits_for_no_other_thread_s_renewal() {
    let slow = "renew:1:slow=8000".parse::<Fault>().unwrap();
    let world = World::loopback(server().fault(slow));
    let connection = world.builder().connect().unwrap();
    thread::scope(|scope| {
        let renewing = scope.spawn(|| connection.renew());
        while world.server(|server| server.journal().count(Purpose::Renew)) == 0 {
            thread::yield_now();
        }
        let begun = world.transport.now();
        assert!(matches!(connection.close(), CloseOutcome::LoggedOut));
        let took = world.transport.now() - begun;
        assert!(took < Duration::from_secs(4), "{took:?}");
        renewing.join().unwrap().unwrap_err();
    });
    assert_eq!(world.open_sessions(), 0);
}
