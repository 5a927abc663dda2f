//! Lists that are asked for page by page, and bodies and events as streams.

#![expect(clippy::unwrap_used, reason = "this is test code")]

use futures_util::{StreamExt as _, TryStreamExt as _};
use http::Method;
use mstr::{Connection, Error, ErrorKind, Event, blocking};
use mstr_fake::{Answer, EndpointRequest, FakeTransport, Server, VirtualTime};
use serde_json::{Value, json};

/// How many users the server has.
const USERS: u64 = 2_345;
/// The largest page that it sends.
const LARGEST: u64 = 400;

fn users(request: &EndpointRequest) -> Answer {
    let number = |key| request.query_parameter(key).unwrap().parse::<u64>().unwrap();
    let (offset, limit) = (number("offset"), number("limit"));
    if limit > LARGEST {
        let refusal = json!({"code": "ERR001", "message": "", "iServerCode": -2_147_206_497});
        return Answer::json(&refusal).with_status(500);
    }
    let page: Vec<Value> =
        (offset..USERS.min(offset + limit)).map(|number| json!({"id": number})).collect();
    Answer::json(&page).with_header("x-mstr-total-count", &USERS.to_string())
}

fn fake(time: &VirtualTime) -> FakeTransport {
    let server = Server::builder()
        .user("alice", "secret")
        .endpoint(Method::GET, "/api/users", users)
        .endpoint(
            Method::GET,
            "/api/mine",
            |request| json!({"result": [request.project()], "totalItems": 1}),
        )
        // Its session ends in the middle of the list, and once it is busy.
        .fault("path=/api/users:4:expire".parse().unwrap())
        .fault("path=/api/users:6:status=503".parse().unwrap());
    FakeTransport::new(server.build(), time.clone())
}

fn numbers(page: &mstr::Page) -> Vec<u64> {
    let users: Vec<Value> = page.json().unwrap();
    assert_eq!(page.total(), Some(USERS));
    users.iter().map(|user| user["id"].as_u64().unwrap()).collect()
}

/// From 1000 to 500 and 250, and ten pages of those.
fn all_came(fake: &FakeTransport, got: Vec<u64>) {
    assert_eq!(got, (0..USERS).collect::<Vec<_>>());
    let calls = fake.server(|server| server.calls(Method::GET, "/api/users"));
    assert_eq!((calls.arrived, calls.answered), (14, 12), "one was lost with its session");
}

async fn in_tasks(fake: &FakeTransport) -> Result<Vec<u64>, Error> {
    let builder = Connection::builder(fake.base_url()).standard("alice", "secret");
    let connection = builder.transport(fake.clone()).connect().await?;
    let mut pages = connection.get("/api/users").query(&[("fields", "id")]).pages(1_000);
    let mut got = Vec::new();
    while let Some(page) = pages.next().await? {
        assert_eq!(page.offset(), got.len() as u64);
        got.extend(numbers(&page));
    }
    assert!(pages.next().await?.is_none());
    connection.close().await;
    Ok(got)
}

fn on_threads(fake: &FakeTransport) -> Result<Vec<u64>, Error> {
    let builder = blocking::Connection::builder(fake.base_url()).standard("alice", "secret");
    let connection = builder.blocking_transport(fake.clone()).connect()?;
    let mut got = Vec::new();
    for page in connection.get("/api/users").query(&[("fields", "id")]).pages(1_000) {
        got.extend(numbers(&page?));
    }
    connection.close();
    Ok(got)
}

#[test]
fn pages_come_once_each_through_lost_sessions_and_smaller_limits() {
    let time = VirtualTime::new();
    let fake = fake(&time);
    let got = time.run(in_tasks(&fake)).unwrap();
    all_came(&fake, got);

    let time = VirtualTime::new();
    let fake = self::fake(&time);
    let got = on_threads(&fake).unwrap();
    all_came(&fake, got);
}

#[test]
fn pages_are_of_the_project_that_is_named_and_end_with_an_error_that_stays() {
    let time = VirtualTime::new();
    let fake = fake(&time);
    time.run(async {
        let builder = Connection::builder(fake.base_url()).standard("alice", "secret");
        let connection = builder.transport(fake.clone()).connect().await.unwrap();
        let mut mine = connection.get("/api/mine").project("Platform Analytics").pages(10);
        let page: Value = mine.next().await.unwrap().unwrap().json().unwrap();
        assert_eq!(page["result"][0], "B24EBC0E11EAFEEE5B850080EF15A7A6");
        assert!(mine.next().await.unwrap().is_none());
        for (mut pages, kind) in [
            (
                connection.get("/api/mine").project("No such").pages(10),
                ErrorKind::ProjectUnavailable,
            ),
            (connection.get("/api/no/such/list").pages(10), ErrorKind::NotFound),
            (connection.get("/api/mine?limit=3").pages(10), ErrorKind::Usage),
        ] {
            assert_eq!(pages.next().await.unwrap_err().kind(), kind);
            assert!(pages.next().await.unwrap().is_none());
        }
        let mut odd = connection.get("/api/users").pages(10);
        let error = odd.next().await.unwrap().unwrap().json::<Value>().map(|_| ()).err();
        assert!(error.is_none());
        let page = odd.next().await.unwrap().unwrap();
        let error = page.json::<Vec<String>>().unwrap_err().to_string();
        assert!(error.starts_with("GET /api/users: "), "{error}");
        connection.close().await;
    });
    let time = VirtualTime::new();
    let fake = self::fake(&time);
    let builder = blocking::Connection::builder(fake.base_url()).standard("alice", "secret");
    let connection = builder.blocking_transport(fake).connect().unwrap();
    let mut pages = connection.get("/api/mine").project("No such").pages(10);
    assert_eq!(pages.next().unwrap().unwrap_err().kind(), ErrorKind::ProjectUnavailable);
    assert!(pages.next().is_none());
    connection.close();
}

#[test]
fn stream_of_a_body_and_of_events_end_as_they_do() {
    let time = VirtualTime::new();
    let server = mstr_suite::server().fault("path=/api/blob:2:reset-mid-body".parse().unwrap());
    let fake = FakeTransport::new(server.build(), time.clone());
    time.run(async {
        let builder = Connection::builder(fake.base_url()).standard("alice", "secret");
        let connection = builder.transport(fake.clone()).build().unwrap();
        let events = connection.events();
        let whole = connection.get("/api/blob?size=100000").send().await.unwrap();
        let pieces: Vec<_> = whole.bytes_stream().try_collect().await.unwrap();
        assert_eq!(pieces.iter().map(bytes::Bytes::len).sum::<usize>(), 100_000);
        let cut = connection.get("/api/blob?size=100000").send().await.unwrap();
        let pieces: Vec<_> = cut.bytes_stream().collect().await;
        let (last, before) = pieces.split_last().unwrap();
        assert_eq!(last.as_ref().unwrap_err().kind(), ErrorKind::Interrupted);
        assert!(before.iter().all(Result::is_ok));
        connection.close().await;
        let heard: Vec<Event> = events.collect().await;
        assert!(matches!(heard.first(), Some(Event::Opened { .. })), "{heard:?}");
        assert!(matches!(heard.last(), Some(Event::Closed(_))), "{heard:?}");
    });
}
