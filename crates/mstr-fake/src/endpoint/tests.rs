//! The promises of added endpoints, tested on the model directly.

use std::fs;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::{HeaderMap, Method, Request, StatusCode};
use serde_json::{Value, json};

use crate::{Answer, Endpoint, Fault, Reply, ReplyBody, Server, ServerBuilder};

const CUBES: &str = "/api/v2/cubes/{id}";
const PROJECT: &str = "B7CA92F04B9FAE8D941C3E9B7E0CD754";

struct Client {
    server: Server,
    now: Instant,
    headers: HeaderMap,
}

impl Client {
    fn new(server: ServerBuilder) -> Self {
        #[expect(clippy::disallowed_methods, reason = "an arbitrary origin for virtual time")]
        let now = Instant::now();
        let mut client = Self { server: server.build(), now, headers: HeaderMap::new() };
        client.log_in();
        client
    }

    fn log_in(&mut self) {
        self.headers.clear();
        let login = json!({"username": "alice", "password": "secret"}).to_string();
        let reply = self.send(Method::POST, "/api/auth/login", &login);
        let headers = reply.response.headers();
        let cookie = headers["set-cookie"].to_str().unwrap().split(';').next().unwrap();
        self.headers.insert("x-mstr-authtoken", headers["x-mstr-authtoken"].clone());
        self.headers.insert("cookie", cookie.parse().unwrap());
    }

    fn send(&mut self, method: Method, path: &str, body: &str) -> Reply {
        let mut request = Request::new(Bytes::copy_from_slice(body.as_bytes()));
        *request.method_mut() = method;
        *request.uri_mut() = format!("http://x/MicroStrategyLibrary{path}").parse().unwrap();
        *request.headers_mut() = self.headers.clone();
        self.server.handle(request, self.now)
    }

    fn get(&mut self, path: &str) -> Reply {
        self.send(Method::GET, path, "")
    }

    fn status(&mut self, path: &str) -> u16 {
        self.get(path).response.status().as_u16()
    }

    fn json(&mut self, path: &str) -> Value {
        serde_json::from_str(&text(&self.get(path))).unwrap()
    }

    /// How many requests arrived, and how many were answered.
    fn calls(&self, pattern: &str) -> (usize, usize) {
        let calls = self.server.calls(Method::GET, pattern);
        (calls.arrived, calls.answered)
    }
}

fn text(reply: &Reply) -> String {
    match reply.response.body() {
        ReplyBody::Bytes(bytes) => String::from_utf8(bytes.to_vec()).unwrap(),
        other => panic!("{other:?}"),
    }
}

fn alice() -> ServerBuilder {
    Server::builder().user("alice", "secret")
}

fn rule(text: &str) -> Fault {
    text.parse().unwrap()
}

/// A folder of this test's own, gone when it is dropped.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str, files: &[(&str, &str)]) -> Self {
        let path = std::env::temp_dir().join(format!("mstr-fake-{}-{name}", std::process::id()));
        for (file, text) in files {
            let file = path.join(file);
            fs::create_dir_all(file.parent().unwrap()).unwrap();
            fs::write(file, text).unwrap();
        }
        Self(path)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        drop(fs::remove_dir_all(&self.0));
    }
}

#[test]
fn an_endpoint_is_told_everything_about_its_request() {
    let server = alice().endpoint(Method::POST, "/api/v2/cubes/{id}/*", |request| {
        json!({
            "method": request.method().as_str(),
            "path": request.path(),
            "id": request.parameter("id"),
            "what": request.parameter("*"),
            "query": request.query(),
            "limit": request.query_parameter("limit"),
            "accept": request.header("accept"),
            "headers": request.headers().len(),
            "length": request.body().len(),
            "json": request.json(),
            "user": request.user(),
            "project": request.project(),
            "session": request.session(),
            "number": request.number(),
        })
    });
    let mut client = Client::new(server);
    client.headers.insert("accept", "text/csv".parse().unwrap());
    client.headers.insert("x-mstr-projectid", PROJECT.parse().unwrap());
    client.send(Method::POST, "/api/v2/cubes/a%20b/instances", "");
    let reply =
        client.send(Method::POST, "/api/v2/cubes/a%20b/instances?limit=%33&x", r#"{"rows":1}"#);
    let told: Value = serde_json::from_str(&text(&reply)).unwrap();
    let expected = json!({
        "method": "POST",
        "path": "/api/v2/cubes/a%20b/instances",
        "id": "a b",
        "what": "instances",
        "query": "limit=%33&x",
        "limit": "3",
        "accept": "text/csv",
        "headers": 4,
        "length": 10,
        "json": {"rows": 1},
        "user": "alice",
        "project": PROJECT,
        "session": 0,
        "number": 2,
    });
    assert_eq!(told, expected);
    let headers = reply.response.headers();
    assert_eq!(headers["content-type"], "application/json");
    assert_eq!(headers["cache-control"], "no-cache, no-store, max-age=0, must-revalidate");
    assert!(headers.contains_key("set-cookie"), "the load balancer's");
    let notes = &client.server.journal().entries().last().unwrap().notes;
    assert_eq!(*notes, ["endpoint: /api/v2/cubes/{id}/*"]);
}

#[test]
fn an_endpoint_is_asked_after_faults_session_and_project() {
    let server = alice()
        .endpoint(Method::GET, CUBES, |_| "{}")
        .fault(rule("path=/api/v2/cubes/*:1:status=503"))
        .fault(rule("path=/api/v2/cubes/*:2:expire"))
        .fault(rule("path=/api/v2/cubes/*:5:error=403,ERR017"))
        .fault(rule("path=/api/v2/cubes/*:6:reset-before"));
    let mut client = Client::new(server);
    assert_eq!(client.status("/api/v2/cubes/C1"), 503);
    assert_eq!(client.status("/api/v2/cubes/C1"), 401, "its session has just ended");
    assert_eq!(client.calls(CUBES), (2, 0));
    client.log_in();
    client.headers.insert("x-mstr-projectid", "0".repeat(32).parse().unwrap());
    assert_eq!(client.status("/api/v2/cubes/C1"), 500, "no such project");
    client.headers.remove("x-mstr-projectid");
    assert_eq!(client.status("/api/v2/cubes/C1"), 200);
    assert_eq!(client.status("/api/v2/cubes/C1"), 403);
    assert!(client.get("/api/v2/cubes/C1").fault.is_some());
    assert_eq!(client.calls(CUBES), (6, 1));
    client.headers.clear();
    assert_eq!(client.status("/api/v2/cubes/C1"), 401, "no session at all");
    assert_eq!(client.calls(CUBES), (7, 1));
}

#[test]
fn a_session_that_has_been_idle_too_long_gets_no_answer() {
    let mut client = Client::new(alice().endpoint(Method::GET, CUBES, |_| "{}"));
    client.now += Duration::from_secs(601);
    assert_eq!(client.status("/api/v2/cubes/C1"), 401);
    assert_eq!(client.calls(CUBES), (1, 0));
}

#[test]
fn the_session_s_own_endpoints_stay_the_server_s() {
    let methods = [Method::GET, Method::POST, Method::PUT, Method::DELETE];
    let server = methods.iter().fold(alice(), |server, method| {
        server.endpoint(method.clone(), "/api/**", |_| StatusCode::IM_A_TEAPOT)
    });
    let mut client = Client::new(server);
    for (method, path) in super::OWN {
        let error = Endpoint::new(method.clone(), path, |_| ()).unwrap_err().to_string();
        assert!(error.contains("Fault::answer") && error.contains(path), "{error}");
        client.log_in();
        let status = client.send(method, path, "").response.status();
        assert_ne!(status, StatusCode::IM_A_TEAPOT, "{path}");
    }
    client.log_in();
    assert_eq!(client.status("/api/echo"), 418, "what else the server answers can be replaced");
    assert_eq!(client.status("/api/sessions/privileges"), 418);
}

#[test]
fn the_endpoint_added_last_answers_and_methods_are_told_apart() {
    let server = alice()
        .endpoint(Method::GET, CUBES, |_| "first")
        .endpoint(Method::PUT, CUBES, |_| ())
        .endpoint(Method::GET, "/api/v2/cubes/special", |_| "second");
    let mut client = Client::new(server);
    assert_eq!(text(&client.get("/api/v2/cubes/C1")), "first");
    assert_eq!(text(&client.get("/api/v2/cubes/special")), "second");
    assert_eq!(client.send(Method::PUT, "/api/v2/cubes/C1", "").response.status(), 204);
    assert_eq!(client.send(Method::PATCH, "/api/v2/cubes/C1", "").response.status(), 404);
    let head = client.send(Method::HEAD, "/api/v2/cubes/C1", "");
    assert_eq!(head.response.status(), 200);
    assert!(head.response.body().is_empty());
    client.server.add_endpoint(Endpoint::new(Method::GET, CUBES, |_| "third").unwrap());
    assert_eq!(text(&client.get("/api/v2/cubes/C1")), "third");
    assert_eq!(client.calls(CUBES), (3, 3), "GET twice and HEAD, over both");
}

#[test]
fn answers_are_given_in_turn_and_the_last_one_stays() {
    let answers = [Answer::new(202), Answer::from("ready")];
    let mut client = Client::new(alice().endpoint_answers(Method::GET, CUBES, answers));
    let statuses: Vec<u16> = (0..3).map(|_| client.status("/api/v2/cubes/C1")).collect();
    assert_eq!(statuses, [202, 200, 200]);
    let error = Endpoint::answers::<Answer>(Method::GET, CUBES, []).unwrap_err().to_string();
    assert!(error.contains("give at least one"), "{error}");
}

#[test]
fn an_answer_keeps_its_headers_and_its_delay() {
    let mut client =
        Client::new(alice().latency(Duration::from_millis(5)).endpoint(Method::GET, CUBES, |_| {
            Answer::from("x")
                .with_header("cache-control", "max-age=60")
                .with_header("x-mstr-total-count", "1")
                .with_delay(Duration::from_millis(37))
        }));
    let reply = client.get("/api/v2/cubes/C1");
    assert_eq!(reply.after, Duration::from_millis(42));
    let values: Vec<_> = reply.response.headers().get_all("cache-control").iter().collect();
    assert_eq!(values, ["max-age=60"]);
    assert_eq!(reply.response.headers()["x-mstr-total-count"], "1");
}

#[test]
fn files_answer_with_their_type_and_folders_by_name() {
    let files = [
        ("C1.json", r#"{"name": "one"}"#),
        ("notes.txt", "hello"),
        ("more/C2.json", r#"{"name": "two"}"#),
        ("plain", "octets"),
    ];
    let folder = Folder::new("fixtures", &files);
    let server = alice()
        .endpoint_file(Method::GET, "/api/one", folder.0.join("C1.json"))
        .endpoint_folder(Method::GET, "/api/files/**", &folder.0)
        .endpoint_folder(Method::GET, "/api/{kind}/of/{id}", &folder.0);
    let mut client = Client::new(server);
    assert_eq!(client.json("/api/one"), json!({"name": "one"}));
    assert_eq!(client.json("/api/files/C1"), json!({"name": "one"}));
    assert_eq!(client.json("/api/files/C1.json"), json!({"name": "one"}));
    assert_eq!(client.json("/api/files/more/C2"), json!({"name": "two"}));
    assert_eq!(client.json("/api/more/of/C2"), json!({"name": "two"}));
    let notes = client.get("/api/files/notes");
    assert_eq!(notes.response.headers()["content-type"], "text/plain;charset=UTF-8");
    assert_eq!(text(&client.get("/api/files/plain")), "octets");
    let missing = client.get("/api/files/..%2F..%2Fetc%2Fpasswd");
    assert_eq!(missing.response.status(), 404);
    assert!(text(&missing).contains("ERR004"));
    fs::write(folder.0.join("C1.json"), "changed").unwrap();
    assert_eq!(client.json("/api/one"), json!({"name": "one"}), "as it was at the beginning");
}

#[test]
fn a_fixture_that_is_no_good_is_named_with_what_to_do() {
    let folder = Folder::new("bad", &[("a.json", "{"), ("two/x.json", "{}"), ("two/x.txt", "")]);
    fs::create_dir(folder.0.join("empty")).unwrap();
    let path = |name: &str| folder.0.join(name).display().to_string();
    let file = |path: &str| Endpoint::file(Method::GET, CUBES, path).unwrap_err();
    let within = |pattern: &str, path: &str| {
        Endpoint::folder(Method::GET, pattern, path).unwrap_err().to_string()
    };
    let here = std::env::current_dir().unwrap().display().to_string();
    for (error, named) in [
        (file("no/such.json").to_string(), &["\"no/such.json\"", CUBES, &here][..]),
        (file(&path("a.json")).to_string(), &["is no JSON", "line 1", "another name"]),
        (within(CUBES, &path("none")), &["cannot be read", "none"]),
        (within(CUBES, &path("empty")), &["has no files"]),
        (within(CUBES, &path("two")), &["\"x.json\" and \"x.txt\"", "\"x\""]),
        (within(CUBES, &path("two/x.json")), &["cannot be read"]),
        (within("/api/v2/cubes", &path("two")), &["open part"]),
    ] {
        assert!(named.iter().all(|part| error.contains(part)), "{error}");
    }
}

#[test]
#[should_panic(expected = "the endpoint GET api/x: the path \"api/x\" must begin with /")]
fn a_builder_refuses_a_pattern_that_matches_nothing() {
    drop(alice().endpoint(Method::GET, "api/x", |_| ()));
}

#[test]
#[should_panic(expected = "there is no endpoint GET /api/v2/cube/{id}; those that were added: GET")]
fn a_count_of_an_endpoint_that_is_not_there_is_refused() {
    let client = Client::new(alice().endpoint(Method::GET, CUBES, |_| ()));
    client.calls("/api/v2/cube/{id}");
}

#[test]
#[should_panic(expected = "has no part with the name \"name\"")]
fn a_part_that_the_pattern_does_not_have_is_refused() {
    let server = alice().endpoint(Method::GET, CUBES, |request| json!(request.parameter("name")));
    Client::new(server).get("/api/v2/cubes/C1");
}

#[test]
fn what_is_printed_of_a_request_holds_no_secret() {
    let server = alice().endpoint(Method::POST, CUBES, |request| format!("{request:?}"));
    let mut client = Client::new(server);
    let shown = text(&client.send(Method::POST, "/api/v2/cubes/C1", "hidden"));
    let token = client.headers["x-mstr-authtoken"].to_str().unwrap();
    assert!(shown.contains("/api/v2/cubes/C1") && shown.contains("alice"), "{shown}");
    assert!(!shown.contains(token) && !shown.contains("hidden"), "{shown}");
}
