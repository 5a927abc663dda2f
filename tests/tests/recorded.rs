//! Answers of real servers, and the shapes of other versions, read through the client.
//!
//! The origin of the fixtures is described beside them.

#![expect(clippy::unwrap_used, reason = "this is test code")]

use std::collections::BTreeMap;
use std::time::Duration;

use http::HeaderName;
use mstr::adapter::from_fn;
use mstr::{CloseOutcome, ErrorKind, SessionStatus, Transport as _, Version};
use mstr_fake::Fault;
use mstr_suite::{Lab, World, server};
use serde_json::Value;

const STATUS_11_3: &str = include_str!("../fixtures/recorded/status-11.3.json");
const PROJECTS_11_3: &str = include_str!("../fixtures/recorded/projects-11.3.json");
const PROJECTS_HEADERS: &str = include_str!("../fixtures/recorded/projects-headers-11.2.json");
const USER_11_3: &str = include_str!("../fixtures/recorded/sessions-userInfo-11.3.json");
const EXPIRED_11_3: &str = include_str!("../fixtures/recorded/sessions-PUT-401-expired-11.3.json");

const JSON: &str = "application/json";

/// A server that answers `path` with this, asked without the checks of a new session.
fn answering(lab: &Lab, path: &str, body: &str) -> World {
    lab.start(server().fault(Fault::answer(path, 200, JSON, body)))
}

async fn connect(world: &World) -> mstr::Connection {
    world.builder().checks(false).connect().await.unwrap()
}

#[test]
fn the_status_of_every_version_is_understood() {
    let v11_1 = r#"{"upSince":1573625148864,"upTime":37250313,
        "upTimeText":"10 Hours 20 Minutes 50 seconds","webVersion":"11.1.0400.23840J",
        "baseUri":"https://env.example.com/MicroStrategyLibrary/api/",
        "iServerVersion":"11.1.0400.26937"}"#;
    let v11_6 = r#"{"webVersion":"11.6.0700.00001","iServerVersion":"11.6.0700.00002",
        "deploymentType":"cloud","somethingNew":{"nested":[1,2]}}"#;
    let table = [
        (v11_1, Some("11.1.0400.26937"), Some("11.1.0400.23840J"), None),
        (STATUS_11_3, Some("11.3.0000.15868"), Some("11.3.0000.14308J"), None),
        (v11_6, Some("11.6.0700.00002"), Some("11.6.0700.00001"), Some("cloud")),
        ("{}", None, None, None),
        (r#"{"iServerVersion":null,"webVersion":7}"#, None, None, None),
        (r#"{"iServerVersion":"","webVersion":"unknown"}"#, None, None, None),
    ];
    for (body, iserver, web, deployment) in table {
        Lab::in_memory(async move |lab| {
            let world = answering(&lab, "/api/status", body);
            let connection = connect(&world).await;
            let told = connection.fetch_server().await.unwrap();
            let version = |text: Option<&str>| text.map(|text| text.parse::<Version>().unwrap());
            assert_eq!(told.iserver_version, version(iserver), "{body}");
            assert_eq!(told.web_version, version(web), "{body}");
            assert_eq!(told.deployment.as_deref(), deployment, "{body}");
            connection.close().await;
        });
    }
}

/// The letter behind a build number names its customer, not its age.
#[test]
fn a_letter_behind_a_version_does_not_matter() {
    let [with, without, newer]: [Version; 3] =
        ["11.1.0400.23840J", "11.1.0400.23840", "11.1.0400.23841"]
            .map(|text| text.parse().unwrap());
    assert!(with < newer && without < newer);
    assert!(with >= "11.1.0400".parse().unwrap());
}

#[test]
fn recorded_projects_are_read_with_everything_in_them() {
    Lab::in_memory(async |lab| {
        let world = answering(&lab, "/api/projects", PROJECTS_11_3);
        let connection = connect(&world).await;
        let recorded: Vec<Value> = serde_json::from_str(PROJECTS_11_3).unwrap();
        let projects = connection.fetch_projects().await.unwrap();
        assert_eq!(projects.len(), recorded.len());
        for (project, recorded) in projects.iter().zip(&recorded) {
            assert_eq!(project.id.as_str(), recorded["id"]);
            assert_eq!(project.name, recorded["name"].as_str().unwrap());
        }
        let scope = connection.select_project("consolidated education project").await.unwrap();
        assert_eq!(scope.project().unwrap().id.as_str(), "CE52831411E696C8BD2F0080EFD5AF44");
        connection.close().await;
    });
}

#[test]
fn projects_of_other_shapes_are_read_as_far_as_they_go() {
    let id = "B7CA92F04B9FAE8D941C3E9B7E0CD754";
    let oldest =
        format!(r#"[{{"id":"{id}","name":"Tutorial","alias":"","description":"","status":0}}]"#);
    let newer = format!(
        r#"[{{"id":"{}","name":"Tutorial","status":0,"platformAnalytics":true,"new":[]}}]"#,
        id.to_lowercase()
    );
    for body in [oldest, newer] {
        Lab::in_memory(async move |lab| {
            let world = answering(&lab, "/api/projects", &body);
            let connection = connect(&world).await;
            let scope = connection.select_project("Tutorial").await.unwrap();
            assert_eq!(scope.project().unwrap().id.as_str(), id, "{body}");
            connection.close().await;
        });
    }
}

/// All of them but that the answer was compressed, which the recorded body is not, and its length.
#[test]
fn recorded_headers_are_accepted() {
    let headers: BTreeMap<String, String> = serde_json::from_str(PROJECTS_HEADERS).unwrap();
    assert_eq!(headers["Content-Encoding"], "gzip");
    Lab::in_memory(async move |lab| {
        let world = answering(&lab, "/api/projects", PROJECTS_11_3);
        let capture = mstr_fake::CaptureTransport::new(world.transport.clone());
        let inner = capture.clone();
        let with_headers = from_fn(world.transport.timer(), move |request| {
            let (inner, headers) = (inner.clone(), headers.clone());
            async move {
                let mut response = inner.send(request).await?;
                for (name, value) in &headers {
                    if !["Content-Encoding", "Content-Length"].contains(&&**name) {
                        let name: HeaderName = name.parse().unwrap();
                        response.headers_mut().insert(name, value.parse().unwrap());
                    }
                }
                Ok(response)
            }
        });
        let builder = mstr::Connection::builder(&world.base_url).standard("alice", "secret");
        let connection = builder.checks(false).transport(with_headers).connect().await.unwrap();
        let projects = connection.fetch_projects().await.unwrap();
        assert_eq!(
            projects.len(),
            serde_json::from_str::<Vec<Value>>(PROJECTS_11_3).unwrap().len()
        );
        let raw = connection.get("/api/projects").send().await.unwrap();
        assert_eq!(raw.headers()["x-mstr-total-count"], "13");
        assert!(matches!(connection.close().await, CloseOutcome::LoggedOut));
        assert_eq!(world.open_sessions(), 0);
        let asked = capture.captured();
        // The servers that these were recorded from compress what they send to clients like this one.
        assert!(asked.iter().all(|request| request.headers["accept-encoding"] == "gzip"));
    });
}

#[test]
fn users_of_every_version_are_read() {
    let newer = r#"{"metadataUser":true,"id":"7FC0","fullName":"MSTR User","initials":"MU",
        "username":"mstr","extra":1}"#;
    let without_id = r#"{"fullName":"MSTR User","initials":"MU"}"#;
    let table = [
        (USER_11_3, Some("7FC05A65473CE2FD845CE6A1D3F13233"), None),
        (newer, Some("7FC0"), Some("mstr")),
        (without_id, None, None),
    ];
    for (body, id, username) in table {
        Lab::in_memory(async move |lab| {
            let world = answering(&lab, "/api/sessions/userInfo", body);
            let connection = connect(&world).await;
            let user = connection.fetch_user().await.unwrap();
            assert_eq!(user.id.as_ref().map(mstr::UserId::as_str), id, "{body}");
            assert_eq!(user.full_name.as_deref(), Some("MSTR User"));
            assert_eq!(user.initials.as_deref(), Some("MU"));
            assert_eq!(user.username.as_deref(), username);
            connection.close().await;
        });
    }
}

#[test]
fn session_info_is_read_as_far_as_it_is_valid() {
    let full = r#"{"locale":1033,"maxSearch":3,"workingSet":10,"timeout":1800,"id":"7FC0",
        "fullName":"MSTR User","initials":"MU"}"#;
    let table = [
        (full, Some(1800), Some(10), Some(3)),
        (r#"{"timeout":"600"}"#, Some(600), None, None),
        (r#"{"timeout":-1,"workingSet":"many"}"#, None, None, None),
        ("{}", None, None, None),
    ];
    for (body, timeout, working_set, max_search) in table {
        Lab::in_memory(async move |lab| {
            let world = answering(&lab, "/api/sessions", body);
            let connection = connect(&world).await;
            let SessionStatus::Active(info) = connection.fetch_status().await.unwrap() else {
                panic!("it is alive");
            };
            assert_eq!(info.timeout, timeout.map(Duration::from_secs), "{body}");
            assert_eq!((info.working_set, info.max_search), (working_set, max_search), "{body}");
            connection.close().await;
        });
    }
}

/// With a charset in its type, as it was recorded, without one, and as something else altogether.
#[test]
fn the_recorded_end_of_a_session_is_recognised_whatever_its_type() {
    let recorded: Value = serde_json::from_str(EXPIRED_11_3).unwrap();
    for content_type in [
        "application/json;charset=UTF-8",
        "application/json; charset=utf-8",
        "application/json",
        "text/plain",
        "",
    ] {
        let recorded = recorded.clone();
        Lab::in_memory(async move |lab| {
            let world = lab.start(server());
            let connection = connect(&world).await;
            let expired = Fault::answer("/api/echo", 401, content_type, EXPIRED_11_3);
            world.server(|server| {
                server.expire_all_sessions();
                server.add_fault(expired.once());
            });
            let echo = connection.get("/api/echo").send().await;
            assert!(echo.is_ok(), "{content_type}: {echo:?}");
            assert_eq!(world.logins(), 2, "{content_type}: one new login");

            let always = Fault::answer("/api/echo", 401, content_type, EXPIRED_11_3);
            world.server(|server| server.add_fault(always));
            let error = connection.get("/api/echo").send().await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::SessionLost);
            let said = error.server().unwrap();
            assert_eq!(said.code, *"ERR009");
            assert_eq!(said.message, recorded["message"].as_str().unwrap());
            assert_eq!(said.ticket.as_ref().unwrap().as_str(), recorded["ticketId"]);
            connection.close().await;
        });
    }
}

/// The vendor's documents spell the number in two ways.
#[test]
fn both_spellings_of_the_intelligence_server_s_number_are_read() {
    for name in ["iServerCode", "IserverCode"] {
        let body = format!(r#"{{"code":"ERR001","{name}":-2147072486,"message":"too many"}}"#);
        Lab::in_memory(async move |lab| {
            let fault = Fault::answer("/api/auth/login", 500, JSON, &body);
            let world = lab.start(server().fault(fault));
            let error = world.builder().connect().await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::SessionLimit, "{name}");
            assert_eq!(error.server().unwrap().iserver_code, Some(-2_147_072_486));
            assert_eq!(world.logins(), 1, "a limit does not pass by itself");
        });
    }
}
