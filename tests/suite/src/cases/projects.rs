//! Projects: a property of the handle.

use futures_util::future::join_all;
use mstr::{Connection, ErrorKind, ProjectRef};

use crate::{Lab, server};

const TUTORIAL: &str = "B7CA92F04B9FAE8D941C3E9B7E0CD754";
const EDUCATION: &str = "CE52831411E696C8BD2F0080EFD5AF44";

async fn project_of(connection: &Connection) -> serde_json::Value {
    let echo = connection.get("/api/echo").send().await.unwrap();
    echo.json::<serde_json::Value>().await.unwrap()["project"].clone()
}

pub async fn a_project_belongs_to_the_handle(lab: Lab) {
    let world = lab.start(server());
    let connection = world.builder().project_id(TUTORIAL.to_lowercase()).connect().await.unwrap();
    assert_eq!(project_of(&connection).await, TUTORIAL);

    let education = connection.select_project("Consolidated Education Project").await.unwrap();
    assert_eq!(education.project().unwrap().id.as_str(), EDUCATION);
    assert_eq!(project_of(&education).await, EDUCATION);
    assert_eq!(project_of(&connection).await, TUTORIAL);

    let other = connection.select_project(EDUCATION).await.unwrap();
    assert_eq!(project_of(&other).await, EDUCATION);
    assert_eq!(project_of(&connection.without_project()).await, serde_json::Value::Null);
    assert!(connection.without_project().project().is_none());

    let id = education.project().unwrap().id.clone();
    let once = connection.get("/api/echo").project(id).send().await.unwrap();
    assert_eq!(once.json::<serde_json::Value>().await.unwrap()["project"], EDUCATION);
    let request = connection.get("/api/echo").project("consolidated education project");
    let named = request.await.unwrap().json::<serde_json::Value>().await.unwrap();
    assert_eq!(named["project"], EDUCATION);
    let request = connection.get("/api/echo").project("Consolidated Education Project");
    let last = request.project(education.project().unwrap()).send().await.unwrap();
    assert_eq!(last.json::<serde_json::Value>().await.unwrap()["project"], EDUCATION);
    // The last word counts.
    let header = |request: mstr::RequestBuilder| request.header("X-MSTR-ProjectID", TUTORIAL);
    for (request, expected) in [
        (header(connection.get("/api/echo")).project(EDUCATION), EDUCATION.into()),
        (header(connection.get("/api/echo").project("No such project")), TUTORIAL.into()),
        (header(connection.get("/api/echo")).without_project(), serde_json::Value::Null),
    ] {
        let echo = request.send().await.unwrap().json::<serde_json::Value>().await.unwrap();
        assert_eq!(echo["project"], expected);
    }
    let none = connection.get("/api/echo").without_project().send().await.unwrap();
    assert!(none.json::<serde_json::Value>().await.unwrap()["project"].is_null());
    connection.close().await;
}

pub async fn concurrent_tasks_never_send_each_other_s_project(lab: Lab) {
    let world = lab.start(server());
    let connection = world.connect().await;
    let tutorial = connection.select_project(TUTORIAL).await.unwrap();
    let education = connection.select_project(EDUCATION).await.unwrap();
    let calls = (0..100).map(|index| {
        let (scope, id) =
            if index % 2 == 0 { (&tutorial, TUTORIAL) } else { (&education, EDUCATION) };
        async move { assert_eq!(project_of(scope).await, id) }
    });
    join_all(calls).await;
    connection.close().await;
}

pub async fn unknown_and_ambiguous_projects_are_reported(lab: Lab) {
    let world = lab.start(server());
    let connection = world.connect().await;
    for wanted in [
        ProjectRef::from("MicroStrategy Tutorail"),
        ProjectRef::from("00000000000000000000000000000000"),
        ProjectRef::from(""),
    ] {
        let error = connection.select_project(wanted).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ProjectUnavailable);
    }
    let error = connection.select_project("MicroStrategy Tutorail").await.unwrap_err();
    assert!(error.to_string().contains("nearest: \"MicroStrategy Tutorial\""), "{error}");
    let error = connection.get("/api/echo").project("nonsense").send().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ProjectUnavailable);
    connection.close().await;
}
