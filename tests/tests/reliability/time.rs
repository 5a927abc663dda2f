//! How long things take, and what errors say about it.

use std::time::Duration;

use mstr::{CloseOutcome, ErrorKind, Timeouts};
use mstr_fake::Purpose;

use crate::rig::{Driver, Setting, on_both, server};

#[test]
fn timeout_that_is_longer_than_an_attempt_waits_for_one_slow_report() {
    on_both(|driver| {
        let rig = driver.open(server());
        rig.open().unwrap();
        rig.fault("call:*:slow=90000");
        rig.within(Duration::from_secs(600), "/api/echo").unwrap();
        assert_eq!(rig.count(Purpose::Call), 1, "the report is run once");
        rig.close();
    });
}

#[test]
fn timeout_says_which_limit_was_reached_how_long_it_is_and_what_raises_it() {
    on_both(|driver| {
        let timeouts = Timeouts::new().attempt(Duration::from_secs(20));
        let rig = driver.with(server(), Setting { timeouts, ..Setting::default() });
        rig.open().unwrap();
        rig.fault("call:*:stall");
        let error = rig.upload("/api/echo").unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Timeout);
        let text = error.to_string();
        assert!(
            text.contains("attempt timeout of 20s") && text.contains("Timeouts::attempt"),
            "{text}"
        );
        let error = rig.within(Duration::from_secs(7), "/api/echo").unwrap_err();
        let text = error.to_string();
        assert!(text.contains("total timeout of 7s") && text.contains("timeout()"), "{text}");
        rig.close();
    });
}

#[test]
fn total_bounds_opening_renewing_and_closing_of_tasks() {
    let total = Duration::from_secs(3);
    for (rule, operation) in [("login", "login"), ("renew", "renew"), ("logout", "logout")] {
        let timeouts = Timeouts::new().total(Some(total));
        let rig = Driver::Tasks.with(server(), Setting { timeouts, ..Setting::default() });
        if operation != "login" {
            rig.open().unwrap();
        }
        rig.fault(&format!("{rule}:1:stall"));
        let begun = rig.elapsed();
        let error = match operation {
            "login" => rig.open().unwrap_err(),
            "renew" => rig.renew().unwrap_err(),
            _ => match rig.close() {
                CloseOutcome::Failed(error) => error,
                other => panic!("{other:?}"),
            },
        };
        assert_eq!((error.kind(), error.operation()), (ErrorKind::Timeout, Some(operation)));
        assert!(error.to_string().contains("total timeout of 3s"), "{error}");
        if operation != "logout" {
            assert_eq!(rig.elapsed() - begun, total, "{operation}");
            rig.close();
        }
    }
}

#[test]
fn project_header_of_a_caller_is_obeyed() {
    const OTHER: &str = "00000000000000000000000000000001";
    on_both(|driver| {
        let setting = Setting { project: Some("MicroStrategy Tutorial"), ..Setting::default() };
        let rig = driver.with(server(), setting);
        let own = rig.get("/api/echo").unwrap();
        assert!(own.body.contains("x-mstr-projectid"), "{}", own.body);
        assert!(!own.body.contains(OTHER));
        let error = rig.with_header("/api/echo", "X-MSTR-ProjectID", OTHER).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ProjectUnavailable, "{error}");
        rig.close();
    });
}

#[test]
fn answer_to_a_conditional_request_is_delivered_also_where_nothing_has_changed() {
    on_both(|driver| {
        let rig = driver.open(server());
        rig.fault("call:*:status=304");
        let answered = rig.with_header("/api/echo", "If-None-Match", "\"1\"").unwrap();
        assert_eq!(answered.status, 304);
        let error = rig.get("/api/echo").unwrap_err();
        assert_eq!(error.status().map(|status| status.as_u16()), Some(304), "nobody asked for it");
        rig.close();
    });
}
