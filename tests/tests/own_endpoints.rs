//! Tests as users of this library write them: of a function that calls an endpoint of its own, on
//! every clock and every face of the fake server.

#![expect(clippy::unwrap_used, reason = "this is test code")]
#![expect(clippy::disallowed_methods, reason = "users' tests start tasks")]

use std::time::Duration;

use mstr::fake::loopback::HttpServer;
use mstr::fake::{
    Answer, Clock, FakeTransport, Fault, Method, Purpose, Server, ServerBuilder, TokioTime,
    VirtualTime,
};
use mstr::prelude::*;

/// The example in `docs/testing.md`, letter by letter.
mod documented {
    // example: begin
    use mstr::fake::{FakeTransport, Method, Purpose, Server, TokioTime};
    use mstr::prelude::*;

    /// The function under test.
    async fn name_of_cube(connection: &Connection, id: &str) -> Result<String, Error> {
        let response = connection.get(format!("/api/v2/cubes/{id}")).send().await?;
        let cube: serde_json::Value = response.json().await?;
        Ok(cube["name"].as_str().unwrap_or_default().to_owned())
    }

    #[tokio::test]
    async fn the_name_of_a_cube_survives_a_lost_session() -> Result<(), Error> {
        let server = Server::builder()
            .user("alice", "secret")
            .endpoint(Method::GET, "/api/v2/cubes/{id}", |request| {
                let id = request.parameter("id");
                serde_json::json!({ "id": id, "name": "Sales" })
            })
            // When the second request for a cube arrives, its session has just ended.
            .fault("path=/api/v2/cubes/*:2:expire".parse().unwrap());
        let fake = FakeTransport::new(server.build(), TokioTime::current());
        let connection = Connection::builder(fake.base_url())
            .standard("alice", "secret")
            .transport(fake.clone())
            .connect()
            .await?;

        assert_eq!(name_of_cube(&connection, "C1").await?, "Sales");
        assert_eq!(name_of_cube(&connection, "C2").await?, "Sales");

        fake.server(|server| {
            let calls = server.calls(Method::GET, "/api/v2/cubes/{id}");
            assert_eq!((calls.arrived, calls.answered), (3, 2));
            assert_eq!(server.journal().count(Purpose::Login), 2);
        });
        connection.close().await;
        assert_eq!(fake.server(|server| server.open_sessions()), 0);
        Ok(())
    }
    // example: end
}

#[test]
fn the_example_in_the_documents_is_this_test() {
    let own = include_str!("own_endpoints.rs");
    let example = own.split("    // example: begin\n").nth(1).unwrap();
    let example = example.split("    // example: end\n").next().unwrap();
    let lines = example.lines().map(|line| line.strip_prefix("    ").unwrap_or(line));
    let example = lines.collect::<Vec<_>>().join("\n");
    let document = include_str!("../../docs/testing.md");
    assert!(document.contains(&example), "docs/testing.md does not have this example:\n{example}");
}

const CUBES: &str = "/api/v2/cubes/{id}";

fn server() -> ServerBuilder {
    Server::builder().user("alice", "secret").endpoint(
        Method::GET,
        CUBES,
        |request| serde_json::json!({ "id": request.parameter("id"), "login": request.session() }),
    )
}

fn rule(text: &str) -> Fault {
    text.parse().unwrap()
}

/// The function under test: the cube's id, and the session that answered.
async fn cube(connection: &Connection, id: &str) -> Result<(String, u64), Error> {
    let response = connection.get(format!("/api/v2/cubes/{id}")).send().await?;
    let cube: serde_json::Value = response.json().await?;
    Ok((cube["id"].as_str().unwrap().to_owned(), cube["login"].as_u64().unwrap()))
}

async fn connect(base_url: &str, transport: impl Transport) -> Connection {
    let builder = Connection::builder(base_url).standard("alice", "secret");
    builder.transport(transport).connect().await.unwrap()
}

/// The session ends in the middle of many tasks' calls, and on the way the server has trouble and
/// takes its time: everything waits, and one login is enough.
async fn lost_session(
    connection: &Connection,
    look: impl Fn(&mut dyn FnMut(&mut Server)),
    spawned: bool,
) {
    assert_eq!(cube(connection, "C1").await.unwrap(), ("C1".to_owned(), 0));
    look(&mut |server| {
        server.set_latency(Duration::from_millis(2));
        server.add_fault(rule("path=/api/v2/cubes/*:1:expire"));
        server.add_fault(rule("path=/api/v2/cubes/*:1:status=503,retry-after=0"));
        server.add_fault(rule("path=/api/v2/cubes/*:3-4:slow=5"));
    });
    let tasks = (0..20).map(|_| {
        let connection = connection.clone();
        async move { cube(&connection, "C2").await }
    });
    let results = if spawned {
        let tasks: Vec<_> = tasks.map(tokio::spawn).collect();
        let joined = futures_util::future::join_all(tasks).await;
        joined.into_iter().map(|result| result.unwrap()).collect()
    } else {
        futures_util::future::join_all(tasks).await
    };
    for result in results {
        assert_eq!(result.unwrap(), ("C2".to_owned(), 1));
    }
    connection.close().await;
    look(&mut |server| {
        let calls = server.calls(Method::GET, CUBES);
        assert_eq!(calls.answered, 21);
        assert!(calls.arrived > 22, "the 503, and at least one 401: {calls:?}");
        assert_eq!(server.journal().count(Purpose::Login), 2);
        assert_eq!(server.open_sessions(), 0);
    });
}

async fn in_memory(time: impl Into<Clock>, spawned: bool) {
    let fake = FakeTransport::new(server().build(), time);
    let connection = connect(fake.base_url(), fake.clone()).await;
    lost_session(&connection, |look| fake.server(look), spawned).await;
}

async fn over_loopback() {
    let running = HttpServer::start(server().build()).unwrap();
    let transport = mstr::hyper::HyperTransport::new().unwrap();
    let connection = connect(running.base_url(), transport).await;
    lost_session(&connection, |look| running.server(look), true).await;
}

#[test]
fn a_lost_session_costs_one_login_in_virtual_time() {
    let time = VirtualTime::new();
    time.run(in_memory(time.clone(), false));
}

#[tokio::test]
async fn a_lost_session_costs_one_login_on_tokio_s_clock() {
    in_memory(TokioTime::current(), true).await;
}

#[tokio::test(start_paused = true)]
async fn a_lost_session_costs_one_login_on_tokio_s_clock_when_it_is_paused() {
    in_memory(TokioTime::current(), true).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lost_session_costs_one_login_on_several_threads() {
    in_memory(TokioTime::current(), true).await;
}

#[tokio::test]
async fn a_lost_session_costs_one_login_over_loopback() {
    over_loopback().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lost_session_costs_one_login_over_loopback_on_several_threads() {
    over_loopback().await;
}

#[tokio::test(start_paused = true)]
async fn hours_pass_at_once_where_tokio_s_clock_is_paused() {
    let server = server().latency(Duration::from_secs(1)).fault(rule("call:2:stall"));
    let fake = FakeTransport::new(server.build(), TokioTime::current());
    let connection = connect(fake.base_url(), fake.clone()).await;
    assert_eq!(cube(&connection, "C1").await.unwrap().1, 0);
    tokio::time::advance(Duration::from_secs(3_600)).await;
    // The second call stalls until its deadline, and is repeated.
    let begun = tokio::time::Instant::now();
    assert_eq!(cube(&connection, "C2").await.unwrap().1, 1, "its session had ended");
    assert!(begun.elapsed() > Duration::from_secs(10), "{:?}", begun.elapsed());
    let keeping = tokio::spawn(connection.keepalive());
    tokio::time::sleep(Duration::from_secs(36_000)).await;
    assert_eq!(cube(&connection, "C4").await.unwrap().1, 1, "it has been kept alive");
    assert!(fake.server(|server| server.journal().count(Purpose::Renew)) > 10);
    keeping.abort();
    // The session that was given up is logged out in the background.
    drop(connection);
    tokio::time::sleep(Duration::from_secs(5)).await;
    assert_eq!(fake.server(|server| server.open_sessions()), 0);
}

#[tokio::test]
async fn an_answer_takes_its_time_on_the_clock_that_it_is_asked_on() {
    let slow = |_: &_| Answer::from("{}").with_delay(Duration::from_millis(30));
    let server = server().endpoint(Method::GET, "/api/slow", slow);
    let fake = FakeTransport::new(server.build(), TokioTime::current());
    let connection = connect(fake.base_url(), fake.clone()).await;
    let begun = tokio::time::Instant::now();
    connection.get("/api/slow").send().await.unwrap();
    assert!(begun.elapsed() >= Duration::from_millis(30));
}

#[tokio::test(start_paused = true)]
async fn answer_that_never_comes_is_given_up_in_time() {
    let never = |_: &_| Answer::from("{}").with_delay(Duration::MAX);
    let server = server().latency(Duration::from_millis(1)).fault(rule("call:1:slow=1000"));
    let server = server.endpoint(Method::GET, "/api/never", never);
    let fake = FakeTransport::new(server.build(), TokioTime::current());
    let connection = connect(fake.base_url(), fake.clone()).await;
    let asked = connection.get("/api/never").timeout(Duration::from_secs(9)).send().await;
    assert!(asked.unwrap_err().is_timeout());
}

#[tokio::test]
#[should_panic(expected = "FakeTransport::new(server, TokioTime::current())")]
async fn virtual_time_under_another_executor_says_what_to_use() {
    let server = server().latency(Duration::from_millis(1));
    let fake = FakeTransport::new(server.build(), VirtualTime::new());
    connect(fake.base_url(), fake.clone()).await;
}

#[tokio::test(start_paused = true)]
async fn a_socket_on_a_paused_clock_is_refused_with_what_to_use() {
    let error = HttpServer::start(server().build()).unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::Unsupported);
    assert!(error.to_string().contains("FakeTransport"), "{error}");
}

#[tokio::test]
async fn blocking_on_tokio_s_clock_is_refused_with_what_to_use() {
    let fake = FakeTransport::new(server().build(), TokioTime::current());
    let builder = Connection::builder(fake.base_url()).standard("alice", "secret");
    let error = builder.blocking_transport(fake.clone()).connect().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Config);
    let cause = std::error::Error::source(&error).map(ToString::to_string).unwrap_or_default();
    assert!(format!("{error} {cause}").contains("VirtualTime"), "{error}: {cause}");
}

#[test]
fn blocking_code_calls_an_endpoint_too() {
    let server = server().fault(rule("path=/api/v2/cubes/*:1:expire"));
    let fake = FakeTransport::new(server.build(), VirtualTime::new());
    let builder = Connection::builder(fake.base_url()).standard("alice", "secret");
    let connection = builder.blocking_transport(fake.clone()).connect().unwrap();
    let cube: serde_json::Value =
        connection.get("/api/v2/cubes/C1").send().unwrap().json().unwrap();
    assert_eq!(cube["login"], 1);
}

#[tokio::test]
async fn a_closure_that_panics_is_told_to_the_client_on_a_socket() {
    let broken = |_: &_| -> Answer { panic!("the query was wrong") };
    let server = server().endpoint(Method::GET, "/api/broken", broken);
    let running = HttpServer::start(server.build()).unwrap();
    let transport = mstr::hyper::HyperTransport::new().unwrap();
    let connection = connect(running.base_url(), transport).await;
    let error = connection.get("/api/broken").send().await.unwrap_err();
    assert!(error.to_string().contains("the query was wrong"), "{error}");
    assert_eq!(cube(&connection, "C1").await.unwrap().1, 0, "the server goes on");
    connection.close().await;
}

#[test]
#[should_panic(expected = "cannot look at that server again")]
fn a_closure_that_looks_at_its_own_server_is_told_so() {
    let time = VirtualTime::new();
    let fake = FakeTransport::new(server().build(), time.clone());
    let own = fake.clone();
    let look = move |_: &_| serde_json::json!(own.server(|server| server.open_sessions()));
    fake.server(|server| {
        server.add_endpoint(mstr::fake::Endpoint::new(Method::GET, "/api/x", look).unwrap());
    });
    time.run(async {
        let connection = connect(fake.base_url(), fake.clone()).await;
        drop(connection.get("/api/x").send().await);
    });
}
