//! Sessions that end, and what their users notice.

use futures_util::future::join_all;
use mstr::{Credentials, ErrorKind, Event};
use mstr_core::SessionStatus;
use mstr_fake::{EndpointRequest, Fault, Method, Purpose};

use crate::{Lab, server};

pub async fn a_dead_session_costs_one_login_however_many_tasks_meet_it(lab: Lab) {
    let world = lab.start(server());
    let connection = world.connect().await;
    for round in 2..5 {
        world.server(|server| server.expire_all_sessions());
        let calls = (0..50).map(|_| connection.get("/api/echo").send());
        for response in join_all(calls).await {
            response.unwrap();
        }
        assert_eq!(world.logins(), round);
    }
    assert_eq!(world.server(|server| server.journal().mismatched_cookie_and_token()), 0);
    connection.close().await;
    assert_eq!(world.open_sessions(), 0);
}

pub async fn an_endpoint_of_one_s_own_survives_a_lost_session(lab: Lab) {
    let pattern = "/api/v2/cubes/{id}";
    let server = server()
        .endpoint(Method::GET, pattern, |request| request.parameter("id").to_owned())
        .fault("path=/api/v2/cubes/*:2:expire".parse().unwrap());
    let world = lab.start(server);
    let connection = world.connect().await;
    for id in ["C1", "C2", "C3"] {
        let response = connection.get(format!("/api/v2/cubes/{id}")).send().await.unwrap();
        assert_eq!(response.text().await.unwrap(), id);
    }
    let calls = world.server(|server| server.calls(Method::GET, pattern));
    assert_eq!((calls.arrived, calls.answered), (4, 3), "one was refused");
    assert_eq!(world.logins(), 2);
    connection.close().await;
    assert_eq!(world.open_sessions(), 0);
}

pub async fn a_lost_loan_is_reported_as_what_it_is(lab: Lab) {
    let world = lab.start(server());
    let owner = world.connect().await;
    let token = owner.create_identity_token().await.unwrap();
    let borrowed = world
        .builder_for(Credentials::identity_token(token.expose_token()))
        .connect()
        .await
        .unwrap();
    owner.close().await;
    for _ in 0..2 {
        let error = borrowed.get("/api/echo").send().await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::SessionLost);
        assert!(error.to_string().contains("borrow"), "{error}");
    }
    assert_eq!(world.count(Purpose::Delegate), 1);
}

pub async fn the_status_of_a_session_is_told_without_opening_one(lab: Lab) {
    let world = lab.start(server());
    let connection = world.builder().build().unwrap();
    assert_eq!(connection.fetch_status().await.unwrap(), SessionStatus::Expired);
    assert_eq!(world.logins(), 0);
    connection.open().await.unwrap();
    let SessionStatus::Active(info) = connection.fetch_status().await.unwrap() else {
        panic!("the session has just been opened");
    };
    assert_eq!(info.timeout.unwrap().as_secs(), 600);
    world.server(|server| server.expire_all_sessions());
    assert_eq!(connection.fetch_status().await.unwrap(), SessionStatus::Expired);
    assert_eq!(world.logins(), 1);
    connection.get("/api/echo").send().await.unwrap();
    assert_eq!(world.logins(), 2);
    connection.close().await;
}

pub async fn a_server_in_trouble_is_an_error_not_expired(lab: Lab) {
    let world = lab.start(server());
    let connection = world.connect().await;
    let rule = "inspect:*:status=500".parse::<Fault>().unwrap();
    world.server(|server| server.add_fault(rule));
    assert_eq!(connection.fetch_status().await.unwrap_err().kind(), ErrorKind::Server);
    connection.close().await;
}

pub async fn events_tell_the_story(lab: Lab) {
    let world = lab.start(server());
    let connection = world.builder().build().unwrap();
    let mut events = connection.events();
    connection.open().await.unwrap();
    connection.renew().await.unwrap();
    world.server(|server| server.expire_all_sessions());
    connection.get("/api/echo").send().await.unwrap();
    connection.close().await;
    let mut story = Vec::new();
    while let Some(event) = events.next().await {
        story.push(match event {
            Event::Opened { generation } => format!("opened {generation}"),
            Event::Renewed { generation } => format!("renewed {generation}"),
            Event::Lost { generation, .. } => format!("lost {generation}"),
            Event::Closed(_) => "closed".to_owned(),
            other => format!("{other:?}"),
        });
    }
    assert_eq!(story, ["opened 1", "renewed 1", "lost 1", "opened 2", "closed"]);
}

pub async fn rotating_cookies_cost_no_login(lab: Lab) {
    let world = lab.start(server().rotate_jsessionid(true));
    let connection = world.connect().await;
    for _ in 0..20 {
        let calls = (0..8).map(|_| connection.get("/api/echo").send());
        for response in join_all(calls).await {
            response.unwrap();
        }
    }
    connection.close().await;
    assert_eq!(world.open_sessions(), 0);
}

pub async fn cookies_of_one_name_and_those_that_are_not_ascii_travel_as_they_came(lab: Lab) {
    let shown = |request: &EndpointRequest| request.headers()["cookie"].as_bytes().to_vec();
    let server = server()
        .endpoint(Method::GET, "/api/v2/cookies", shown)
        .fault(Fault::set_cookie(Purpose::Login, b"JSESSIONID=portal; Path=/"))
        .fault(Fault::set_cookie(Purpose::Login, b"name=\xe9; Path=/"));
    let world = lab.start(server);
    let connection = world.connect().await;
    let response = connection.get("/api/v2/cookies").send().await.unwrap();
    let cookies = response.bytes().await.unwrap();
    let all: Vec<&[u8]> = cookies.split(|byte| *byte == b';').map(<[u8]>::trim_ascii).collect();
    let sessions = all.iter().filter(|pair| pair.starts_with(b"JSESSIONID=")).count();
    assert_eq!(sessions, 2, "the library's and the portal's");
    assert!(all[0].starts_with(b"JSESSIONID=") && all.contains(&&b"JSESSIONID=portal"[..]));
    // isahc can send none that is not ASCII, and leaves it out.
    assert!(all.iter().all(|pair| !pair.starts_with(b"name=") || *pair == b"name=\xe9"));
    assert_eq!(world.logins(), 1);
    connection.close().await;
    assert_eq!(world.open_sessions(), 0);
}
