//! Closing, and what is left behind.

use mstr::{CloseOutcome, Connection, ErrorKind, WorkstationData};
use mstr_fake::{Fault, Purpose};

use crate::{Lab, server};

pub async fn a_connection_that_is_closed_stays_closed(lab: Lab) {
    let world = lab.start(server());
    let connection = world.connect().await;
    let other_handle = connection.clone();
    assert!(matches!(connection.close().await, CloseOutcome::LoggedOut));
    assert!(matches!(other_handle.close().await, CloseOutcome::LoggedOut));
    let error = other_handle.get("/api/echo").send().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Closed);
    assert_eq!(other_handle.renew().await.unwrap_err().kind(), ErrorKind::Closed);
    assert_eq!(world.logins(), 1);
    assert_eq!(world.count(Purpose::Logout), 1);
    assert_eq!(world.open_sessions(), 0);

    let never_opened = world.builder().build().unwrap();
    assert!(matches!(never_opened.close().await, CloseOutcome::NotOpen));
    assert_eq!(never_opened.open().await.unwrap_err().kind(), ErrorKind::Closed);

    let ended = world.connect().await;
    world.server(|server| server.expire_all_sessions());
    assert!(matches!(ended.close().await, CloseOutcome::AlreadyEnded));
}

pub async fn a_failing_logout_is_told_and_hides_nothing(lab: Lab) {
    let rule: Fault = "logout:*:status=500".parse().unwrap();
    let world = lab.start(server().fault(rule));
    let connection = world.connect().await;
    let outcome: Result<(), &str> = connection.clone().scope(async |_| Err("the body's own")).await;
    assert_eq!(outcome, Err("the body's own"));
    assert!(matches!(connection.close().await, CloseOutcome::Failed(_)));
    assert_eq!(connection.open().await.unwrap_err().kind(), ErrorKind::Closed);
}

pub async fn a_scope_closes_on_every_path(lab: Lab) {
    let world = lab.start(server());
    let connection = world.connect().await;
    let value = connection
        .scope(async |connection| {
            connection.get("/api/echo").send().await?;
            Ok::<_, mstr::Error>(42)
        })
        .await;
    assert_eq!(value.unwrap(), 42);
    assert_eq!(world.open_sessions(), 0);

    let failed = world.connect().await.scope(async |_| Err::<(), _>("no")).await;
    assert_eq!(failed, Err("no"));
    assert_eq!(world.open_sessions(), 0);
}

pub async fn dropping_the_last_handle_logs_out(lab: Lab) {
    let world = lab.start(server());
    let connection = world.connect().await;
    let second = connection.clone();
    drop(connection);
    second.get("/api/echo").send().await.unwrap();
    drop(second);
    settle(&world).await;
    assert_eq!(world.open_sessions(), 0);
}

/// Waits until the background has logged everything out.
pub(super) async fn settle(world: &crate::World) {
    let timer = world.transport.timer();
    for _ in 0..200 {
        if world.open_sessions() == 0 {
            return;
        }
        timer.sleep_until(timer.now() + std::time::Duration::from_millis(10)).await;
    }
}

pub async fn a_session_borrowed_from_workstation_is_left_alone(lab: Lab) {
    // A failure while it is borrowed is not a refusal of credentials.
    let world = lab.start(server().fault("identity-token:1:status=503".parse().unwrap()));
    let workstation = world.connect().await;
    let (token, cookies) = world.server(|server| server.wire_credentials_of_newest_session());
    let cookies: Vec<_> = cookies
        .iter()
        .map(|(name, value)| serde_json::json!({ "name": name, "value": value }))
        .collect();
    let document = serde_json::json!({ "defaultEnvironment": {
        "url": world.base_url, "headers": { "X-MSTR-AuthToken": token }, "cookies": cookies,
    }});
    let data = WorkstationData::from_json(&document.to_string()).unwrap();
    let connect =
        || Connection::from_workstation(&data).transport(world.transport.clone()).connect();
    assert_eq!(connect().await.unwrap_err().kind(), ErrorKind::Server);
    let borrowed = connect().await.unwrap();
    borrowed.get("/api/echo").send().await.unwrap();
    assert!(matches!(borrowed.close().await, CloseOutcome::Kept));
    workstation.get("/api/echo").send().await.unwrap();
    assert_eq!(world.logins(), 1);
    workstation.close().await;
}
