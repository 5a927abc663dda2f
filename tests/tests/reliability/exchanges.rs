//! The session's own exchanges.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use mstr::core::Sent;
use mstr::{CloseOutcome, ErrorKind, TransportError, TransportErrorKind};

use crate::rig::{Driver, Setting, Way, on_both, server};

const IN_NO_TIME: Duration = Duration::ZERO;

/// Loses the first so many requests to each path before the server takes them.
fn loses(first: usize, path: &'static str, kind: TransportErrorKind) -> (Way, Arc<AtomicUsize>) {
    let seen = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&seen);
    let way = Way::new(move |request| {
        let matches = request.uri().path().ends_with(path);
        let lost = matches && counted.fetch_add(1, Ordering::Relaxed) < first;
        lost.then(|| TransportError::new(kind).with_sent(Sent::No))
    });
    (way, seen)
}

#[test]
fn exchange_that_a_kept_connection_lost_is_sent_again_at_once() {
    on_both(|driver| {
        for kind in [TransportErrorKind::Canceled, TransportErrorKind::Interrupted] {
            for path in ["/auth/login", "/sessions", "/status", "/auth/logout", "/echo"] {
                let (way, seen) = loses(1, path, kind);
                let rig = driver.with(server(), Setting { way, ..Setting::default() });
                rig.open().unwrap();
                rig.renew().unwrap();
                rig.get("/api/echo").unwrap();
                assert!(matches!(rig.close(), CloseOutcome::LoggedOut), "{path}");
                assert!(seen.load(Ordering::Relaxed) >= 2, "{path}");
                assert_eq!((rig.logins(), rig.left()), (1, 0), "{path}");
                assert_eq!(rig.elapsed(), IN_NO_TIME, "{path}: no wait is due");
            }
        }
    });
}

#[test]
fn exchange_that_never_leaves_ends_after_the_allowed_attempts() {
    on_both(|driver| {
        for (path, kind, sends) in [
            ("/auth/login", TransportErrorKind::Canceled, 6),
            ("/auth/login", TransportErrorKind::Connect, 3),
            // The one beside the login is not counted.
            ("/status", TransportErrorKind::Canceled, 8),
            ("/echo", TransportErrorKind::Canceled, 4),
            ("/echo", TransportErrorKind::Connect, 3),
        ] {
            let (way, seen) = loses(usize::MAX, path, kind);
            let rig = driver.with(server(), Setting { way, ..Setting::default() });
            let error = rig.get("/api/echo").unwrap_err();
            let expected = match kind {
                TransportErrorKind::Connect => ErrorKind::Connect,
                _ => ErrorKind::Canceled,
            };
            assert_eq!(error.kind(), expected, "{path}");
            assert_eq!(seen.load(Ordering::Relaxed), sends, "{path}: once more for each attempt");
            assert!(rig.elapsed() > IN_NO_TIME, "{path}: attempts are waited for");
            rig.close();
            assert_eq!(rig.left(), 0, "{path}");
        }
    });
}

#[test]
fn upload_that_a_kept_connection_lost_is_not_made_up() {
    on_both(|driver: Driver| {
        let (way, seen) = loses(1, "/echo", TransportErrorKind::Canceled);
        let rig = driver.with(server(), Setting { way, ..Setting::default() });
        assert_eq!(rig.upload("/api/echo").unwrap_err().kind(), ErrorKind::Canceled);
        assert_eq!(seen.load(Ordering::Relaxed), 1, "there is no second body");
        rig.close();
    });
}
