//! C: describing a connection and opening it.

use std::time::Duration;

use mstr::{Connection, Credentials, ErrorKind, RetryPolicy, WorkstationData};
use mstr_fake::{Fault, Purpose, VirtualTime};
use mstr_suite::{Lab, World, server};

/// 26: Each of these logins succeeds on the server, after the client has stopped waiting.
#[test]
fn logins_that_are_given_up_leave_no_session() {
    for attempts in [1, 2, 3] {
        let time = VirtualTime::new();
        let rule: Fault = "login:*:slow=70000".parse().unwrap();
        let world = Lab::Memory(time.clone()).start(server().fault(rule));
        time.run(async {
            let retry = RetryPolicy::new().max_attempts(attempts);
            let error = world.builder().retry(retry).connect().await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Timeout);
            assert_eq!(error.attempts(), attempts);
        });
        time.run_until_idle();
        assert_eq!(world.logins(), attempts as usize);
        assert_eq!(world.open_sessions(), 0, "after {attempts} attempts");
    }
}

/// 27: Nothing is only warned about.
#[test]
fn project_that_does_not_exist_is_an_error_before_the_first_call() {
    Lab::in_memory(async |lab| {
        for checks in [true, false] {
            let world = lab.start(server());
            let builder = world.builder().checks(checks);
            let error = builder.project_id("0".repeat(32)).connect().await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::ProjectUnavailable);
            assert_eq!(world.count(Purpose::Projects), 1, "asked for once");
            assert_eq!(world.open_sessions(), 0);
        }
        let builder = lab.start(server()).builder().project_id("not an id");
        assert_eq!(builder.connect().await.unwrap_err().kind(), ErrorKind::Usage);
    });
}

/// 29.
#[test]
fn a_refused_identity_token_is_an_error_and_nothing_else_is_tried() {
    Lab::in_memory(async |lab| {
        let Lab::Memory(time) = &lab else { unreachable!("in memory") };
        let world = lab.start(server());
        let credentials = Credentials::identity_token("no such token");
        let error = world.builder_for(credentials).connect().await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Credentials);
        assert_eq!((world.count(Purpose::Delegate), world.logins()), (1, 0));
        assert_eq!(time.elapsed(), Duration::ZERO, "the terminal was not read");
    });
}

/// 30.
#[test]
fn connections_to_two_servers_know_nothing_of_each_other() {
    Lab::in_memory(async |lab| {
        let old = lab.start(server().server_version("11.5.0900.00001"));
        let new = lab.start(server().server_version("11.6.0100.00002"));
        let (first, second) = (old.connect().await, new.connect().await);
        let version = async |connection: &Connection| {
            connection.fetch_server().await.unwrap().iserver_version.unwrap().to_string()
        };
        assert_eq!(version(&first).await, "11.5.0900.00001");
        assert_eq!(version(&second).await, "11.6.0100.00002");
        let too_old = lab.start(server().server_version("11.1.0300.00003"));
        let error = too_old.builder().connect().await.unwrap_err().to_string();
        assert!(error.contains("11.1.0300.00003") && !error.contains("11.6"), "{error}");
        // Subscribers of one get no events of the other.
        let (mut events, mut others) = (first.events(), second.events());
        first.renew().await.unwrap();
        assert!(events.try_next().is_some());
        assert!(others.try_next().is_none());
        first.close().await;
        second.close().await;
    });
}

/// 31.
#[test]
fn reading_the_project_sends_nothing() {
    Lab::in_memory(async |lab| {
        let world = lab.start(server());
        let builder = world.builder().project_id("B7CA92F04B9FAE8D941C3E9B7E0CD754");
        let connection = builder.connect().await.unwrap();
        let before = world.server(|server| server.journal().len());
        for _ in 0..100 {
            assert_eq!(connection.project().unwrap().name, "MicroStrategy Tutorial");
        }
        assert_eq!(world.server(|server| server.journal().len()), before);
        connection.close().await;
    });
}

/// 32.
#[test]
fn a_version_is_kept_whole_and_one_that_cannot_be_read_does_no_harm() {
    Lab::in_memory(async |lab| {
        for (told, read) in [
            ("11.10.0100", Some("11.10.0100")),
            ("11.10.0100.00012J", Some("11.10.0100.00012J")),
            ("eleven", None),
            ("", None),
        ] {
            let world = lab.start(server().server_version(told));
            let connection = world.connect().await;
            let version = connection.fetch_server().await.unwrap().iserver_version;
            assert_eq!(version.as_ref().map(ToString::to_string).as_deref(), read);
            if let Some(version) = version {
                assert!(version.is_at_least(&[11, 9, 9999]), "{version}");
            }
            assert_eq!(world.logins(), 1, "{told}");
            connection.close().await;
            assert_eq!(world.open_sessions(), 0);
        }
    });
}

/// The document that Workstation hands to a script.
async fn document(world: &World) -> (Connection, WorkstationData) {
    let workstation = world.connect().await;
    let (token, cookies) = world.server(|server| server.wire_credentials_of_newest_session());
    let cookies: Vec<_> = cookies
        .iter()
        .map(|(name, value)| serde_json::json!({ "name": name, "value": value }))
        .collect();
    let document = serde_json::json!({
        "url": world.base_url, "headers": { "X-MSTR-AuthToken": token }, "cookies": cookies,
    });
    (workstation, WorkstationData::from_json(&document.to_string()).unwrap())
}

/// 33.
#[test]
fn borrowing_from_workstation_has_a_timeout_and_leaves_nothing_when_it_fails() {
    for (rule, kind) in [
        ("identity-token:*:stall", None),
        ("identity-token:*:status=401", None),
        ("delegate:*:status=500", Some(ErrorKind::Server)),
        ("delegate:*:status=401", Some(ErrorKind::Gateway)),
        ("delegate:*:error=401,ERR003", Some(ErrorKind::Credentials)),
        ("status:*:status=503", Some(ErrorKind::Server)),
    ] {
        Lab::in_memory(async move |lab| {
            let Lab::Memory(time) = &lab else { unreachable!("in memory") };
            let world = lab.start(server());
            let (workstation, data) = document(&world).await;
            world.server(|server| server.add_fault(rule.parse().unwrap()));
            let begun = time.elapsed();
            let borrowing = Connection::from_workstation(&data).transport(world.transport.clone());
            let error = borrowing.connect().await.unwrap_err();
            if let Some(kind) = kind {
                assert_eq!(error.kind(), kind, "{rule}");
            }
            assert!(time.elapsed() - begun <= Duration::from_secs(120), "{rule}");
            // Workstation itself has not noticed.
            world.server(|server| server.clear_faults());
            workstation.get("/api/echo").send().await.unwrap();
            assert_eq!((world.logins(), world.open_sessions()), (1, 1), "{rule}");
            workstation.close().await;
        });
    }
}
