//! Refusals, and whose word they are.

use std::collections::VecDeque;
use std::sync::Mutex;
use std::time::Duration;

use mstr::{BoxError, CloseOutcome, CredentialProvider, Credentials, ErrorKind};
use mstr_fake::{Fault, Purpose};

use crate::rig::{Driver, Rig, Setting, Way, on_both, server};

const GATEWAYS_OWN: &str = r#"{"message":"Unauthorized"}"#;

fn wrong(driver: Driver) -> Rig {
    let credentials = Some(Credentials::standard("alice", "wrong"));
    driver.with(server(), Setting { credentials, ..Setting::default() })
}

#[test]
fn bare_401_is_delivered_where_the_server_vouches_for_the_session() {
    on_both(|driver| {
        for gateway in [
            ("text/html", "<html>sign in</html>"),
            ("application/json", GATEWAYS_OWN),
            ("text/plain", ""),
        ] {
            let rig = driver.open(server());
            rig.open().unwrap();
            let (kind, body) = gateway;
            let guarded = Fault::answer("/api/v2/guarded", 401, kind, body);
            rig.server(|server| server.add_fault(guarded));
            for _ in 0..20 {
                let error = rig.get("/api/v2/guarded").unwrap_err();
                assert_eq!((error.kind(), error.is_auth()), (ErrorKind::Gateway, false), "{body}");
                rig.pass(Duration::from_millis(1));
            }
            rig.get("/api/echo").unwrap();
            assert_eq!((rig.logins(), rig.left()), (1, 1), "{body}");
            assert_eq!(rig.count(Purpose::Inspect), 21, "each is asked about once");
            rig.close();
            assert_eq!(rig.left(), 0);
        }
    });
}

#[test]
fn bare_401_to_every_request_costs_few_questions_and_leaves_no_session() {
    on_both(|driver| {
        let rig = driver.open(server());
        rig.open().unwrap();
        let before = (rig.count(Purpose::Inspect), rig.logins());
        rig.fault("*:*:status=401");
        for _ in 0..1000 {
            assert_eq!(rig.get("/api/echo").unwrap_err().kind(), ErrorKind::Gateway);
            rig.pass(Duration::from_millis(60));
        }
        let questions = rig.count(Purpose::Inspect) - before.0;
        let logins = rig.logins() - before.1;
        assert!(questions <= 10, "{questions}");
        assert!(logins <= 2, "{logins}");
        rig.heal();
        rig.get("/api/echo").unwrap();
        assert!(matches!(rig.close(), CloseOutcome::LoggedOut));
        assert_eq!(rig.left(), 0);
    });
}

#[test]
fn session_that_is_lost_behind_a_proxy_that_strips_errors_is_replaced_within_10_seconds() {
    on_both(|driver| {
        let rig = driver.with(server(), Setting { way: Way::stripping(), ..Setting::default() });
        rig.get("/api/echo").unwrap();
        rig.server(|server| server.expire_all_sessions());
        let lost_at = rig.elapsed();
        while rig.get("/api/echo").is_err() {
            rig.pass(Duration::from_millis(500));
            assert!(rig.elapsed() - lost_at < Duration::from_secs(10));
        }
        assert_eq!(rig.logins(), 2);
        rig.get("/api/echo").unwrap();
        rig.close();
        assert_eq!(rig.left(), 0);
    });
}

#[test]
fn session_that_is_suspected_is_kept_where_the_login_that_would_replace_it_is_refused() {
    on_both(|driver| {
        for refusal in
            ["status=401", "page=403", "error=500,ERR001,-2147072486", "status=503", "refuse"]
        {
            let rig = driver.open(server());
            rig.open().unwrap();
            rig.fault("inspect:*:status=401");
            rig.fault("path=/api/v2/guarded:*:status=401");
            rig.fault(&format!("login:*:{refusal}"));
            for _ in 0..20 {
                rig.get("/api/v2/guarded").unwrap_err();
                rig.pass(Duration::from_secs(1));
            }
            assert_eq!((rig.logins(), rig.left()), (2, 1), "{refusal}");
            // A success in the session meanwhile keeps it from being replaced.
            for _ in 0..200 {
                rig.get("/api/v2/guarded").unwrap_err();
                rig.get("/api/echo").unwrap();
                rig.pass(Duration::from_secs(1));
            }
            assert_eq!((rig.logins(), rig.left()), (2, 1), "{refusal}");
            rig.heal();
            rig.get("/api/echo").unwrap();
            rig.close();
            assert_eq!(rig.left(), 0, "{refusal}");
        }
    });
}

#[test]
fn gateway_that_answers_a_login_gets_the_password_twice_and_then_rarely() {
    on_both(|driver| {
        for rule in [
            "status=401",
            "page=401",
            "page=403",
            "page=200",
            "status=502",
            "status=504",
            "reset-before",
            "reset-after",
            "stall",
            "stall-after",
        ] {
            let rig = wrong(driver);
            rig.fault(&format!("login:*:{rule}"));
            let error = rig.open().unwrap_err();
            assert!(!error.is_auth() && error.is_retryable(), "{rule}: {error:?}");
            assert_eq!(rig.logins(), 2, "{rule}");
            let mut pause = Duration::from_secs(30);
            for attempts in 3..10 {
                let error = rig.open().unwrap_err();
                assert_eq!(rig.logins(), attempts - 1, "{rule}: at once, without a request");
                let left = error.retry_after().unwrap();
                assert!(left <= pause && left + Duration::from_secs(1) > pause, "{left:?}");
                assert!(error.to_string().contains("the next attempt may be made in"), "{error}");
                rig.pass(left);
                rig.open().unwrap_err();
                assert_eq!(rig.logins(), attempts, "{rule}: one more");
                pause = (pause * 2).min(Duration::from_secs(15 * 60));
            }
            // Other credentials are not concerned.
            rig.heal();
            rig.reset(Some(Credentials::standard("alice", "secret")));
            rig.open().unwrap();
            rig.close();
            assert_eq!(rig.left(), 0, "{rule}");
        }
    });
}

#[test]
fn servers_refusal_of_a_password_is_final_also_when_it_comes_late() {
    on_both(|driver| {
        let rig = wrong(driver);
        // The gateway is heard first, then the server.
        rig.fault("login:1:status=502");
        for _ in 0..3 {
            let error = rig.open().unwrap_err();
            assert_eq!((error.kind(), error.is_auth()), (ErrorKind::Credentials, true));
        }
        assert_eq!(rig.logins(), 2);
        rig.pass(Duration::from_secs(3600));
        assert_eq!(rig.open().unwrap_err().kind(), ErrorKind::Credentials);
        assert_eq!(rig.logins(), 2);
    });
    // Too late for the first attempt, which tasks await for a while longer.
    let rig = wrong(Driver::Tasks);
    rig.fault("login:1-2:slow=65000");
    for _ in 0..3 {
        assert_eq!(rig.open().unwrap_err().kind(), ErrorKind::Credentials);
        rig.pass(Duration::from_secs(3600));
    }
    assert_eq!(rig.logins(), 2);
}

#[test]
fn overload_is_not_counted_as_a_submission_of_the_password() {
    on_both(|driver| {
        for rule in ["status=503", "status=429", "refuse"] {
            let rig = driver.open(server());
            rig.fault(&format!("login:1-8:{rule}"));
            for _ in 0..2 {
                rig.open().unwrap_err();
            }
            assert_eq!(rig.logins(), 6, "{rule}");
            rig.open().unwrap();
            rig.close();
        }
    });
}

/// Gives these passwords, one after the other, the last one for ever.
#[derive(Debug)]
struct Vault(Mutex<VecDeque<&'static str>>);

impl Vault {
    fn of(passwords: impl IntoIterator<Item = &'static str>) -> Self {
        Self(Mutex::new(passwords.into_iter().collect()))
    }
}

#[async_trait::async_trait]
impl CredentialProvider for Vault {
    async fn credentials(&self) -> Result<Credentials, BoxError> {
        let mut passwords = self.0.lock().unwrap();
        let next = passwords[0];
        if passwords.len() > 1 {
            passwords.pop_front();
        }
        Ok(Credentials::standard("alice", next))
    }
}

#[test]
fn provider_is_asked_again_after_a_refusal_and_only_other_credentials_are_submitted() {
    on_both(|driver| {
        let rig =
            driver.provided(server(), Vault::of(["old", "old", "old", "older", "old", "secret"]));
        for (opened, logins) in [(1, 1), (2, 1), (3, 1), (4, 2), (5, 2)] {
            let error = rig.open().unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Credentials, "{opened}");
            assert_eq!(rig.logins(), logins, "{opened}");
        }
        rig.open().unwrap();
        assert_eq!(rig.logins(), 3);
        rig.close();
        assert_eq!(rig.left(), 0);
    });
}

#[test]
fn refusal_of_a_provider_s_password_is_forgotten_on_reset() {
    on_both(|driver| {
        let rig = driver.provided(server(), Vault::of(["old"]));
        for resets in 1..4 {
            for _ in 0..3 {
                assert_eq!(rig.open().unwrap_err().kind(), ErrorKind::Credentials);
            }
            assert_eq!(rig.logins(), resets);
            rig.reset(None);
        }
    });
}

#[test]
fn gateway_s_refusal_of_a_logout_does_not_end_the_session() {
    on_both(|driver| {
        let rig = driver.open(server());
        rig.open().unwrap();
        rig.fault("logout:1:status=401");
        rig.fault("logout:2:page=200");
        assert!(matches!(rig.close(), CloseOutcome::LoggedOut));
        assert_eq!(rig.left(), 0);
    });
}

#[test]
fn gateway_s_refusal_of_a_check_is_waited_out() {
    on_both(|driver| {
        for rule in [
            "inspect:1:status=401",
            "inspect:1:page=500",
            "projects:1:status=401",
            "projects:1:page=403",
        ] {
            let project = Some("MicroStrategy Tutorial");
            let rig = driver.with(server(), Setting { project, ..Setting::default() });
            rig.fault(rule);
            rig.open().unwrap();
            assert_eq!(rig.logins(), 1, "{rule}");
            rig.close();
            assert_eq!(rig.left(), 0, "{rule}");
        }
    });
}

#[test]
fn bare_401_is_delivered_at_the_latest_when_its_caller_s_time_is_over() {
    on_both(|driver| {
        let rig = driver.open(server());
        rig.open().unwrap();
        rig.fault("inspect:*:stall");
        rig.fault("path=/api/v2/guarded:*:status=401");
        let error = rig.within(Duration::from_secs(3), "/api/v2/guarded").unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Gateway, "{error}");
        assert_eq!(rig.elapsed(), Duration::from_secs(3));
        rig.close();
        assert_eq!(rig.left(), 0);
    });
}

#[test]
fn retry_after_of_a_question_is_obeyed() {
    const LONG: Duration = Duration::from_secs(1_000_000);
    on_both(|driver| {
        let rig = driver.open(server().session_timeout(LONG).http_session_timeout(LONG));
        rig.open().unwrap();
        rig.fault("inspect:*:status=429,retry-after=200");
        rig.fault("path=/api/v2/guarded:*:status=401");
        let before = rig.count(Purpose::Inspect);
        for _ in 0..199 {
            rig.get("/api/v2/guarded").unwrap_err();
            rig.pass(Duration::from_secs(1));
        }
        assert_eq!(rig.count(Purpose::Inspect) - before, 1);
        // An overloaded server has answered, however long the overload lasts.
        for _ in 0..20 {
            rig.get("/api/v2/guarded").unwrap_err();
            rig.pass(Duration::from_secs(200));
        }
        assert_eq!(rig.logins(), 1);
        rig.close();
    });
}

#[test]
fn bare_401_beside_other_calls_is_sent_once() {
    // A load balancer's cookies change with every answer, and explain no refusal.
    let rig = Driver::Tasks.open(server().latency(Duration::from_millis(50)));
    rig.open().unwrap();
    rig.fault("path=/api/v2/guarded:*:status=401");
    let error = rig.in_a_crowd("/api/v2/guarded").unwrap_err();
    assert_eq!((error.kind(), error.attempts()), (ErrorKind::Gateway, 1));
    rig.close();
}

#[test]
fn upload_whose_session_turns_out_to_be_gone_says_so() {
    on_both(|driver| {
        let rig = driver.open(server());
        rig.open().unwrap();
        rig.server(|server| server.expire_all_sessions());
        rig.fault("path=/api/echo:1:status=401");
        assert_eq!(rig.upload("/api/echo").unwrap_err().kind(), ErrorKind::SessionLost);
        rig.upload("/api/echo").unwrap();
        assert_eq!(rig.logins(), 2);
        rig.close();
    });
}

#[test]
fn login_that_something_else_answers_is_submitted_twice_at_most() {
    on_both(|driver| {
        for rule in ["page=404", "status=302", "status=400", "page=405", "status=413"] {
            let rig = wrong(driver);
            rig.fault(&format!("login:*:{rule}"));
            for _ in 0..20 {
                rig.open().unwrap_err();
            }
            assert_eq!(rig.logins(), 2, "{rule}");
        }
    });
}
