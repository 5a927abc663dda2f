//! A session that ended, and second steps.

use std::error::Error as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use mstr::{
    BaseUrl, BoxError, CloseOutcome, CredentialProvider, Credentials, ErrorKind, Event,
    SessionStatus, TransportError, TransportErrorKind,
};
use mstr_fake::Purpose;

use crate::rig::{on_both, server};

#[test]
fn upload_that_is_refused_gives_the_session_up_for_the_next_one() {
    on_both(|driver| {
        let rig = driver.open(server());
        for round in 0..60 {
            rig.open().unwrap();
            rig.pass(Duration::from_secs(10));
            rig.server(|server| server.expire_all_sessions());
            let error = rig.upload("/api/echo").unwrap_err();
            assert_eq!(error.kind(), ErrorKind::SessionLost, "{round}");
            rig.upload("/api/echo").unwrap();
            rig.pass(Duration::from_secs(10));
        }
        rig.close();
        assert_eq!(rig.left(), 0);
    });
}

#[test]
fn user_is_never_that_of_another_session() {
    on_both(|driver| {
        let rig = driver.open(server());
        assert_eq!(rig.user().unwrap().full_name.as_deref(), Some("alice"));
        assert_eq!(rig.user().unwrap().full_name.as_deref(), Some("alice"));
        assert_eq!(rig.count(Purpose::UserInfo), 1, "asked once for a session");
        rig.reset(Some(Credentials::standard("bob", "hidden")));
        assert_eq!(rig.user().unwrap().full_name.as_deref(), Some("bob"));
        rig.reset(Some(Credentials::standard("alice", "secret")));
        rig.get("/api/echo").unwrap();
        assert_eq!(rig.user().unwrap().full_name.as_deref(), Some("alice"));
        rig.server(|server| server.expire_all_sessions());
        assert_eq!(
            rig.user().unwrap().full_name.as_deref(),
            Some("alice"),
            "kept until it is lost"
        );
        rig.close();
    });
}

/// Gives one password after the other, and counts how often it is asked.
#[derive(Debug, Default)]
struct Vault {
    asked: Arc<AtomicUsize>,
}

#[async_trait::async_trait]
impl CredentialProvider for Vault {
    async fn credentials(&self) -> Result<Credentials, BoxError> {
        self.asked.fetch_add(1, Ordering::Relaxed);
        Ok(Credentials::standard("alice", "secret"))
    }
}

#[test]
fn reset_without_credentials_asks_the_provider_again_also_after_others_were_given() {
    on_both(|driver| {
        let vault = Vault::default();
        let asked = Arc::clone(&vault.asked);
        let rig = driver.provided(server(), vault);
        rig.open().unwrap();
        rig.reset(Some(Credentials::standard("bob", "hidden")));
        assert_eq!(rig.user().unwrap().full_name.as_deref(), Some("bob"));
        assert_eq!(asked.load(Ordering::Relaxed), 1);
        rig.reset(None);
        assert_eq!(rig.user().unwrap().full_name.as_deref(), Some("alice"));
        assert_eq!(asked.load(Ordering::Relaxed), 2);
        rig.close();
        assert_eq!(rig.left(), 0);
    });
}

/// Fails as what it asks does.
#[derive(Debug)]
struct Failing(fn() -> BoxError);

#[async_trait::async_trait]
impl CredentialProvider for Failing {
    async fn credentials(&self) -> Result<Credentials, BoxError> {
        Err((self.0)())
    }
}

#[test]
fn provider_that_fails_keeps_the_kind_of_its_cause() {
    on_both(|driver| {
        let cases: [(fn() -> BoxError, ErrorKind); 3] = [
            (|| "the vault is sealed".into(), ErrorKind::Credentials),
            (|| TransportError::new(TransportErrorKind::Connect).into(), ErrorKind::Connect),
            (|| BaseUrl::parse("").unwrap_err().into(), ErrorKind::Config),
        ];
        for (failure, kind) in cases {
            let error = driver.provided(server(), Failing(failure)).open().unwrap_err();
            assert_eq!(error.kind(), kind, "{error}");
            assert!(error.source().is_some(), "it says why");
        }
    });
}

#[test]
fn status_is_repeated_on_a_passing_failure_like_any_read() {
    on_both(|driver| {
        let rig = driver.open(server());
        rig.open().unwrap();
        rig.fault("inspect:1:status=503");
        assert!(matches!(rig.status().unwrap(), SessionStatus::Active(_)));
        rig.server(|server| server.expire_all_sessions());
        assert_eq!(rig.status().unwrap(), SessionStatus::Expired);
        assert_eq!(rig.status().unwrap(), SessionStatus::Expired);
        assert_eq!(rig.logins(), 1, "asking opens none");
        rig.get("/api/echo").unwrap();
        assert_eq!(rig.logins(), 2);
        rig.close();
    });
}

#[test]
fn status_of_the_server_that_cannot_be_read_does_not_prevent_connecting() {
    for rule in ["status:*:page=200", "status:*:status=500", "status:*:status=302"] {
        on_both(|driver| {
            let rig = driver.open(server());
            let mut events = rig.events();
            rig.fault(rule);
            rig.open().unwrap_or_else(|error| panic!("{rule}: {error}"));
            let mut seen = Vec::new();
            while let Some(event) = events.try_next() {
                seen.push(event);
            }
            assert!(seen.iter().any(|event| matches!(event, Event::VersionUnknown)), "{seen:?}");
            rig.close();
            assert_eq!(rig.left(), 0);
        });
    }
}

#[test]
fn late_logins_are_logged_out_however_many_there_are() {
    on_both(|driver| {
        let rig = driver.open(server().latency(Duration::from_secs(5)));
        for _ in 0..61 {
            // Given up while its login is under way.
            let opening = rig.within(Duration::from_millis(1), "/api/echo").unwrap_err();
            assert_eq!(opening.kind(), ErrorKind::Timeout);
            rig.reset(Some(Credentials::standard("alice", "secret")));
        }
        rig.time.run_until_idle();
        rig.close();
        assert_eq!((rig.logins(), rig.left()), (61, 0));
    });
}

#[test]
fn balancer_that_does_not_stick_costs_few_logins_and_is_named() {
    on_both(|driver| {
        for (nodes, seed) in [(2, 0), (2, 1), (3, 0), (3, 1), (4, 0), (4, 1)] {
            let rig = driver.open(server().nodes_without_stickiness(nodes).seed(seed));
            let mut events = rig.events();
            let mut named = 0;
            for _ in 0..400 {
                if let Err(error) = rig.get("/api/echo") {
                    named += usize::from(error.to_string().contains("sticky sessions"));
                }
                rig.pass(Duration::from_secs(1));
            }
            assert!(named > 350, "{nodes} servers: {named}");
            // Five, and then one in 30 seconds.
            assert!(rig.logins() <= 5 + 400 / 30, "{nodes} servers: {}", rig.logins());
            let mut told = 0;
            while let Some(event) = events.try_next() {
                told += usize::from(matches!(event, Event::NotSticky));
            }
            assert_eq!(told, 1, "{nodes} servers");
        }
    });
}

#[test]
fn balancer_that_does_not_stick_leaves_no_logout_that_says_the_session_had_ended() {
    on_both(|driver| {
        let outcomes = (0..16).map(|seed| {
            let rig = driver.open(server().nodes_without_stickiness(2).seed(seed));
            for _ in 0..150 {
                drop(rig.get("/api/echo"));
                rig.pass(Duration::from_secs(1));
            }
            rig.pass(Duration::from_secs(30));
            while rig.open().is_err() {
                rig.pass(Duration::from_secs(30));
            }
            rig.close()
        });
        let outcomes: Vec<CloseOutcome> = outcomes.collect();
        let count = |is: fn(&CloseOutcome) -> bool| outcomes.iter().filter(|it| is(it)).count();
        assert_eq!(count(|it| matches!(it, CloseOutcome::AlreadyEnded)), 0);
        let done = count(|it| matches!(it, CloseOutcome::LoggedOut));
        assert!(done > 10, "three tries each: {outcomes:?}");
    });
}
