//! Sessions over hours of virtual time.

use std::time::Duration;

use mstr_fake::{Fault, Purpose};
use mstr_suite::{Lab, server};

const HOUR: Duration = Duration::from_secs(3_600);

#[test]
fn a_busy_hour_needs_no_renewal() {
    Lab::in_memory(async |lab| {
        let Lab::Memory(time) = &lab else { unreachable!("in memory") };
        let world = lab.start(server().session_timeout(Duration::from_secs(600)));
        let connection = world.connect().await;
        // Kept alive as well, to see that it does nothing while there is traffic.
        drop(time.spawn(connection.keepalive()));
        for _ in 0..3_600 {
            time.sleep(Duration::from_secs(1)).await;
            connection.get("/api/echo").send().await.unwrap();
        }
        assert!(time.elapsed() >= HOUR);
        assert_eq!(world.count(Purpose::Renew), 0);
        assert_eq!(world.logins(), 1);
        connection.close().await;
    });
}

#[test]
fn an_idle_hour_with_keepalive_keeps_the_session() {
    Lab::in_memory(async |lab| {
        let Lab::Memory(time) = &lab else { unreachable!("in memory") };
        let world = lab.start(server());
        let connection = world.connect().await;
        let keeping = time.spawn(connection.keepalive());
        time.sleep(HOUR).await;
        assert_eq!(world.open_sessions(), 1);
        let renewals = world.count(Purpose::Renew);
        assert!((6..=8).contains(&renewals), "{renewals} renewals in an hour of 10 minutes each");
        connection.get("/api/echo").send().await.unwrap();
        assert_eq!(world.logins(), 1);
        connection.close().await;
        assert_eq!(keeping.await, Some(()), "closing ends it");
    });
}

#[test]
fn an_idle_hour_without_keepalive_costs_one_login() {
    Lab::in_memory(async |lab| {
        let Lab::Memory(time) = &lab else { unreachable!("in memory") };
        let world = lab.start(server());
        let connection = world.connect().await;
        time.sleep(HOUR).await;
        assert_eq!(world.open_sessions(), 0, "the server has ended it");
        connection.get("/api/echo").send().await.unwrap();
        assert_eq!(world.logins(), 2);
        connection.close().await;
    });
}

#[test]
fn an_idle_session_that_still_lives_is_extended_not_replaced() {
    Lab::in_memory(async |lab| {
        let Lab::Memory(time) = &lab else { unreachable!("in memory") };
        // The server is more patient than it says.
        let body = r#"{"timeout": 60}"#;
        let fault = Fault::answer("/api/sessions", 200, "application/json", body);
        let world = lab.start(server().fault(fault.once()));
        let connection = world.connect().await;
        for _ in 0..3 {
            time.sleep(Duration::from_secs(120)).await;
            connection.get("/api/echo").send().await.unwrap();
        }
        assert_eq!(world.logins(), 1);
        assert_eq!(world.count(Purpose::Renew), 3);
        connection.close().await;
    });
}

#[test]
fn days_of_idling_are_counted_as_days() {
    // A clock that wraps after a day takes 24 hours and 5 seconds for 5 seconds.
    for idle in [86_400 + 5, 86_400 + 599, 3 * 86_400 + 60] {
        Lab::in_memory(async move |lab| {
            let Lab::Memory(time) = &lab else { unreachable!("in memory") };
            let world = lab.start(server());
            let connection = world.connect().await;
            time.sleep(Duration::from_secs(idle)).await;
            connection.get("/api/echo").send().await.unwrap();
            assert_eq!(world.logins(), 2);
            // Known to be too old before the call is sent, so it is sent once.
            assert_eq!(world.count(Purpose::Call), 1);
            connection.close().await;
        });
    }
}

#[test]
fn a_renewal_that_fails_for_a_passing_reason_keeps_the_session() {
    for rule in ["renew:*:status=503", "renew:*:status=500", "renew:*:reset-after", "renew:*:stall"]
    {
        Lab::in_memory(async move |lab| {
            let Lab::Memory(time) = &lab else { unreachable!("in memory") };
            let body = r#"{"timeout": 60}"#;
            let patient = Fault::answer("/api/sessions", 200, "application/json", body).once();
            let world = lab.start(server().fault(patient));
            let connection = world.connect().await;
            world.server(|server| server.add_fault(rule.parse().unwrap()));
            time.sleep(Duration::from_secs(120)).await;
            connection.get("/api/echo").send().await.unwrap();
            assert_eq!(world.logins(), 1, "{rule}");
            let error = connection.renew().await.unwrap_err();
            assert!(error.is_retryable() || rule.contains("500"), "{rule}: {error}");
            connection.get("/api/echo").send().await.unwrap();
            assert_eq!(world.logins(), 1, "{rule}");
            assert_eq!(world.open_sessions(), 1);
            connection.close().await;
        });
    }
}

#[test]
fn a_server_that_does_not_tell_its_timeout_is_usable() {
    for answer in [r#"{"timeout": null}"#, r#"{"timeout": "soon"}"#, "[]", "not json", ""] {
        Lab::in_memory(async move |lab| {
            let Lab::Memory(time) = &lab else { unreachable!("in memory") };
            let fault = Fault::answer("/api/sessions", 200, "application/json", answer).once();
            let world = lab.start(server().fault(fault));
            let connection = world.connect().await;
            connection.get("/api/echo").send().await.unwrap();
            time.sleep(Duration::from_secs(400)).await;
            connection.get("/api/echo").send().await.unwrap();
            assert_eq!(world.logins(), 1, "{answer}");
            connection.close().await;
        });
    }
}

#[test]
fn keeping_alive_ends_with_the_last_handle() {
    Lab::in_memory(async |lab| {
        let Lab::Memory(time) = &lab else { unreachable!("in memory") };
        let world = lab.start(server());
        let connection = world.connect().await;
        let keeping = time.spawn(connection.keepalive());
        time.sleep(Duration::from_secs(60)).await;
        drop(connection);
        assert_eq!(keeping.await, Some(()));
        assert_eq!(world.open_sessions(), 0);
        assert!(time.elapsed() < Duration::from_secs(120));
    });
}

#[test]
fn keeping_alive_survives_an_outage() {
    Lab::in_memory(async |lab| {
        let Lab::Memory(time) = &lab else { unreachable!("in memory") };
        let world = lab.start(server());
        let connection = world.connect().await;
        drop(time.spawn(connection.keepalive()));
        world.server(|server| server.add_fault("renew:1-2:reset-before".parse().unwrap()));
        time.sleep(HOUR).await;
        assert_eq!(world.open_sessions(), 1);
        assert_eq!(world.logins(), 1);
        assert!(world.count(Purpose::Renew) < 20, "no hammering");
        connection.close().await;
    });
}
