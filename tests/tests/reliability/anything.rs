//! Anything in any order, with both drivers: what must hold whatever happened before.
//!
//! Gateways answer in the server's place, answers are lost, sessions end, credentials are reset,
//! and futures are alive and not polled. The user is asked after each step.

use std::time::Duration;

use mstr::{CloseOutcome, Credentials, ErrorKind};
use mstr_fake::{Fault, Purpose};
use proptest::prelude::*;

use crate::rig::{Driver, Rig, Setting, server};

const GATEWAYS_OWN: &str = r#"{"message":"Unauthorized"}"#;
/// None of them keeps a logout from reaching the server.
const FAULTS: &[&str] = &[
    "call:1:status=401",
    "call:1-5:page=401",
    "call:1:page=403",
    "call:1:status=503",
    "call:1:reset-before",
    "call:1:expire",
    "inspect:1:status=401",
    "inspect:1-4:page=200",
    "inspect:1:status=503,retry-after=90",
    "renew:1:status=401",
    "renew:1:expire",
    "user-info:1:status=401",
    "user-info:1:expire",
    "login:1:status=401",
    "login:1-3:page=403",
    "login:1:page=200",
    "login:1:status=503,retry-after=90",
    "login:1-2:status=502",
    "login:1:reset-before",
    "login:1:slow=20000",
];
/// The answer to a login that has opened a session is lost: no client can log that one out.
const LOST: &str = "login:1:reset-after";

#[derive(Clone, Debug)]
enum Step {
    Call,
    Expire,
    Fault(usize),
    GatewaysOwn,
    Heal,
    Lost,
    Pass(Duration),
    Renew,
    Reset,
    Status,
    /// Begins a call and does not poll it any more. Of tasks.
    Unpolled,
    Upload,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        6 => Just(Step::Call),
        2 => Just(Step::Expire),
        5 => (0..FAULTS.len()).prop_map(Step::Fault),
        1 => Just(Step::GatewaysOwn),
        1 => Just(Step::Heal),
        1 => Just(Step::Lost),
        3 => (1_u64..3_000).prop_map(|ms| Step::Pass(Duration::from_millis(ms))),
        2 => (3_u64..900).prop_map(|seconds| Step::Pass(Duration::from_secs(seconds))),
        1 => Just(Step::Renew),
        2 => Just(Step::Reset),
        1 => Just(Step::Status),
        1 => Just(Step::Unpolled),
        2 => Just(Step::Upload),
    ];
    prop::collection::vec(step, 1..25)
}

/// How many scenarios are tried, by `PROPTEST_CASES` if that is set.
fn scenarios() -> u32 {
    match std::env::var_os("PROPTEST_CASES") {
        Some(_) => ProptestConfig::default().cases,
        None => 150,
    }
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: scenarios(),
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn sequences_of_faults_end_with_the_right_user_and_no_session_left(
        steps in steps(),
        tasks in any::<bool>(),
        rotates in prop::bool::weighted(0.3),
    ) {
        let driver = if tasks { Driver::Tasks } else { Driver::Threads };
        run(driver, rotates, &steps);
    }
}

fn run(driver: Driver, rotates: bool, steps: &[Step]) {
    // No session ends by itself: what is left is left.
    let server = server().session_timeout(Duration::from_secs(1_000_000));
    let server = server.http_session_timeout(Duration::from_secs(1_000_000));
    let server = server.rotate_jsessionid(rotates).latency(Duration::from_millis(5));
    let described = Some(Box::new(|it: mstr::ConnectionBuilder| it.timeline(256)) as _);
    let rig = driver.with(server, Setting { described, ..Setting::default() });
    let (mut user, mut lost) = ("alice", 0);
    let mut unpolled = Vec::new();
    for step in steps {
        match step {
            Step::Call => drop(rig.get("/api/echo")),
            Step::Expire => rig.server(|server| server.expire_all_sessions()),
            Step::Fault(index) => rig.fault(FAULTS[*index]),
            Step::GatewaysOwn => {
                let json = Fault::answer("/api/echo", 401, "application/json", GATEWAYS_OWN);
                rig.server(|server| server.add_fault(json.once()));
            }
            Step::Heal => rig.heal(),
            Step::Lost => {
                rig.fault(LOST);
                lost += 1;
            }
            Step::Pass(time) => rig.pass(*time),
            Step::Renew => drop(rig.renew()),
            Step::Reset => {
                user = if user == "alice" { "bob" } else { "alice" };
                let password = if user == "alice" { "secret" } else { "hidden" };
                rig.reset(Some(Credentials::standard(user, password)));
            }
            Step::Status => drop(rig.status()),
            Step::Unpolled => {
                unpolled.extend(rig.begin("/api/echo"));
                // Its answer has the only cookie that is valid then, and may never be read.
                lost += usize::from(rotates);
            }
            Step::Upload => drop(rig.upload("/api/echo")),
        }
        match rig.user() {
            Ok(told) => assert_eq!(told.full_name.as_deref(), Some(user)),
            // Nothing here refuses the credentials.
            Err(error) => assert_ne!(error.kind(), ErrorKind::Credentials, "{error:?}"),
        }
    }
    crate::timeline::assert_every_chain_has_a_root(&rig.timeline());
    // The faults end, and everything works again, at the latest when the longest pause is over.
    rig.heal();
    rig.pass(Duration::from_secs(15 * 60));
    rig.get("/api/echo").unwrap();
    assert_eq!(rig.user().unwrap().full_name.as_deref(), Some(user));
    drop(unpolled);
    let resets = steps.iter().any(|step| matches!(step, Step::Reset));
    check(&rig, resets);
    assert!(matches!(rig.close(), CloseOutcome::LoggedOut));
    assert!(rig.left() <= lost, "{} sessions are left, and {lost} were lost", rig.left());
}

fn check(rig: &Rig, resets: bool) {
    rig.server(|server| {
        let journal = server.journal();
        assert_eq!(journal.mismatched_cookie_and_token(), 0);
        assert!(journal.secrets_seen_outside_auth().is_empty());
        // The exchange that a reset gives up may still be under way.
        let establishing = [Purpose::Login, Purpose::Renew];
        assert!(resets || journal.max_concurrent(&establishing) <= 1);
    });
}
