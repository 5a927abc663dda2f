//! The model's promises, tested directly.

use std::time::{Duration, Instant};

use bytes::Bytes;
use http::header::{COOKIE, SET_COOKIE};
use http::{HeaderMap, Method, Request, StatusCode};
use serde_json::{Value, json};

use super::{Fault, Purpose, Reply, ReplyBody, Server, SocketFault};

/// A client that keeps a token and cookies, in a time of its own.
struct Client {
    server: Server,
    now: Instant,
    headers: HeaderMap,
}

fn origin() -> Instant {
    #[expect(clippy::disallowed_methods, reason = "an arbitrary origin for virtual time")]
    Instant::now()
}

impl Client {
    fn new(builder: super::ServerBuilder) -> Self {
        Self { server: builder.build(), now: origin(), headers: HeaderMap::new() }
    }

    fn send(&mut self, method: Method, path: &str, body: &Value) -> Reply {
        let body = if body.is_null() { String::new() } else { body.to_string() };
        let mut request = Request::new(Bytes::from(body));
        *request.method_mut() = method;
        *request.uri_mut() =
            format!("http://127.0.0.1/MicroStrategyLibrary{path}").parse().unwrap();
        *request.headers_mut() = self.headers.clone();
        request.headers_mut().insert("content-type", "application/json".parse().unwrap());
        self.server.handle(request, self.now)
    }

    fn get(&mut self, path: &str) -> Reply {
        self.send(Method::GET, path, &Value::Null)
    }

    fn status(&mut self, path: &str) -> u16 {
        self.get(path).response.status().as_u16()
    }

    fn log_in(&mut self, body: &Value) -> Reply {
        let reply = self.send(Method::POST, "/api/auth/login", body);
        self.take(&reply);
        reply
    }

    fn as_alice(&mut self) {
        let reply = self.log_in(&json!({"username": "alice", "password": "secret"}));
        assert_eq!(reply.response.status(), StatusCode::NO_CONTENT);
    }

    fn take(&mut self, reply: &Reply) {
        let headers = reply.response.headers();
        if let Some(token) = headers.get("x-mstr-authtoken") {
            self.headers.clear();
            self.headers.insert("x-mstr-authtoken", token.clone());
            let pairs: Vec<String> = headers
                .get_all(SET_COOKIE)
                .iter()
                .map(|line| line.to_str().unwrap().split(';').next().unwrap().to_owned())
                .collect();
            self.headers.insert(COOKIE, pairs.join("; ").parse().unwrap());
        }
    }

    fn pass(&mut self, seconds: u64) {
        self.now += Duration::from_secs(seconds);
    }
}

fn alice() -> super::ServerBuilder {
    Server::builder().user("alice", "secret")
}

fn body(reply: &Reply) -> Value {
    match reply.response.body() {
        ReplyBody::Bytes(bytes) => serde_json::from_slice(bytes).unwrap_or_default(),
        other => panic!("{other:?}"),
    }
}

fn names(value: &Value) -> Vec<String> {
    let mut names: Vec<String> = value.as_object().unwrap().keys().cloned().collect();
    names.sort();
    names
}

#[test]
fn a_login_sets_a_token_and_the_cookies_that_go_with_it() {
    let mut client = Client::new(alice());
    let reply = client.log_in(&json!({"username": "alice", "password": "secret"}));
    let token = reply.response.headers()["x-mstr-authtoken"].to_str().unwrap();
    assert_eq!(token.len(), 26);
    let cookies: Vec<&str> = reply
        .response
        .headers()
        .get_all(SET_COOKIE)
        .iter()
        .map(|line| line.to_str().unwrap())
        .collect();
    assert!(cookies[0].starts_with("JSESSIONID="), "{cookies:?}");
    assert!(cookies[1].starts_with(&format!("iSession={token};")), "{cookies:?}");
    assert!(cookies.iter().any(|line| line.starts_with("AWSALB=")), "{cookies:?}");
    let first = client.get("/api/sessions").response.headers().clone();
    let second = client.get("/api/sessions").response.headers().clone();
    assert_ne!(first[SET_COOKIE], second[SET_COOKIE], "the load balancer's cookie changes");
}

#[test]
fn a_token_without_its_cookies_is_refused() {
    let mut client = Client::new(alice());
    client.as_alice();
    let cookies = client.headers.remove(COOKIE).unwrap();
    let reply = client.get("/api/sessions");
    assert_eq!(reply.response.status(), 401);
    assert_eq!(body(&reply)["code"], "ERR009");

    // The token of one session with the cookies of another is noticed as such.
    client.as_alice();
    client.headers.insert(COOKIE, cookies);
    assert_eq!(client.status("/api/sessions"), 401);
    assert_eq!(client.server.journal().mismatched_cookie_and_token(), 1);
}

/// As the vendor's tutorial for curl does it.
#[test]
fn the_session_s_own_cookie_is_enough_beside_the_token() {
    let mut client = Client::new(alice());
    client.as_alice();
    let pair = |client: &Client, name: &str| {
        let line = client.headers[COOKIE].to_str().unwrap().to_owned();
        let pair = line.split("; ").find(|pair| pair.starts_with(name)).unwrap().to_owned();
        http::HeaderValue::try_from(pair).unwrap()
    };
    let (first, marker) = (pair(&client, "JSESSIONID="), pair(&client, "iSession="));
    client.headers.insert(COOKIE, first.clone());
    assert_eq!(client.status("/api/sessions"), 200);
    client.headers.insert(COOKIE, marker);
    assert_eq!(client.status("/api/sessions"), 401, "the other one is not");
    assert_eq!(client.server.journal().mismatched_cookie_and_token(), 0);
    client.as_alice();
    client.headers.insert(COOKIE, first);
    assert_eq!(client.status("/api/sessions"), 401);
    assert_eq!(client.server.journal().mismatched_cookie_and_token(), 1, "another session's");
}

#[test]
fn a_login_mode_that_is_no_number_is_a_mistake_of_the_client() {
    let mut client = Client::new(alice());
    for path in ["/api/auth/login", "/api/auth/delegate"] {
        for mode in [json!("standard"), json!(1.5), json!({"a": 1}), json!(true), json!("")] {
            let login = json!({"loginMode": mode, "username": "alice", "password": "secret"});
            let reply = client.send(Method::POST, path, &login);
            assert_eq!(reply.response.status(), 400, "{login}");
            assert_eq!(body(&reply)["code"], "ERR006", "{login}");
        }
    }
    assert_eq!(client.server.open_sessions(), 0);
}

#[test]
fn the_modes_that_are_listed_are_those_that_are_allowed() {
    for (allowed, modes) in [(true, json!([1, 8, 16, 4096])), (false, json!([1, 16, 4096]))] {
        let mut client = Client::new(alice().allow_anonymous(allowed));
        assert_eq!(body(&client.get("/api/config/authModes"))["modes"], modes);
        let login = client.log_in(&json!({"loginMode": 8})).response.status();
        assert_eq!(login.is_success(), allowed);
    }
}

#[test]
fn an_identity_token_is_validated_without_a_session() {
    let mut client = Client::new(alice());
    for login in [json!({"username": "alice", "password": "secret"}), json!({"loginMode": 8})] {
        client.log_in(&login);
        let id = body(&client.get("/api/sessions/userInfo"))["id"].clone();
        let reply = client.send(Method::POST, "/api/auth/identityToken", &Value::Null);
        let token = reply.response.headers()["x-mstr-identitytoken"].clone();
        client.headers.clear();
        client.headers.insert("x-mstr-identitytoken", token);
        assert_eq!(body(&client.get("/api/auth/identityToken"))["userId"], id, "{login}");
        client.headers.insert("x-mstr-identitytoken", "ID-unknown".parse().unwrap());
        let reply = client.get("/api/auth/identityToken");
        assert_eq!(reply.response.status(), 401);
        assert_eq!(body(&reply)["code"], "ERR003");
    }
    client.headers.clear();
    assert_eq!(client.status("/api/auth/identityToken"), 401, "no token at all");
}

#[test]
fn a_user_s_privileges_are_listed_and_asked_for_one_by_one() {
    let id = "B7CA92F04B9FAE8D941C3E9B7E0CD754";
    let mut client = Client::new(alice().project_access("alice", &[id]));
    assert_eq!(client.status("/api/sessions/privileges"), 401);
    client.as_alice();
    let all = body(&client.get("/api/sessions/privileges"));
    let one = body(&client.get("/api/sessions/privileges/273"));
    assert!(all.as_array().unwrap().contains(&one), "{all}");
    assert_eq!(
        names(&one),
        ["description", "id", "isUserLevelAllowed", "name", "projects"],
        "{one}"
    );
    assert_eq!(one["projects"][0]["id"], id);
    assert_eq!(one["projects"].as_array().unwrap().len(), 1, "those that the user may see");
    assert_eq!(client.status("/api/sessions/privileges/0"), 404);
}

#[test]
fn the_login_modes_have_users_of_their_own() {
    let server = alice().ldap_user("bob", "hidden").api_token("TOKEN-1", "alice");
    let mut client = Client::new(server);
    for (login, accepted) in [
        (json!({"loginMode": 1, "username": "alice", "password": "secret"}), true),
        (json!({"loginMode": "1", "username": "alice", "password": "secret"}), true),
        (json!({"loginMode": 16, "username": "bob", "password": "hidden"}), true),
        (json!({"loginMode": 8}), true),
        (json!({"loginMode": 4096, "username": "TOKEN-1"}), true),
        (json!({"loginMode": 16, "username": "alice", "password": "secret"}), false),
        (json!({"loginMode": 1, "username": "bob", "password": "hidden"}), false),
        (json!({"loginMode": 4096, "username": "TOKEN-2"}), false),
        (json!({"loginMode": 64, "username": "alice", "password": "secret"}), false),
        (json!({"username": "alice"}), false),
        (json!([]), false),
    ] {
        let status = client.log_in(&login).response.status().as_u16();
        assert_eq!(status, if accepted { 204 } else { 401 }, "{login}");
    }
    let again = json!({"username": "alice"});
    client.log_in(&again);
    assert_eq!(client.server.logins_after_rejection(), 1, "the same wrong password again");
}

#[test]
fn a_session_ends_after_the_shorter_of_its_two_idle_times() {
    for (session, http) in [(600, 1_800), (1_800, 600)] {
        let server = alice()
            .session_timeout(Duration::from_secs(session))
            .http_session_timeout(Duration::from_secs(http));
        let mut client = Client::new(server);
        client.as_alice();
        for _ in 0..5 {
            client.pass(599);
            assert_eq!(client.status("/api/echo"), 200, "any request begins the time anew");
        }
        client.pass(601);
        assert_eq!(client.status("/api/echo"), 401);
        assert_eq!(client.server.open_sessions(), 0);
    }
}

#[test]
fn answers_have_the_recorded_shapes() {
    let recorded = |text: &str| serde_json::from_str::<Value>(text).unwrap();
    let mut client = Client::new(alice().server_version("11.3.0000.15868"));
    let status = body(&client.get("/api/status"));
    assert_eq!(names(&status), names(&recorded(include_str!("recorded/status.json"))));
    client.as_alice();
    let projects = body(&client.get("/api/projects"));
    assert_eq!(projects, recorded(include_str!("recorded/projects.json")));
    let user = body(&client.get("/api/sessions/userInfo"));
    assert_eq!(names(&user), names(&recorded(include_str!("recorded/user-info.json"))));
    client.server.expire_all_sessions();
    let reply = client.send(Method::PUT, "/api/sessions", &Value::Null);
    assert_eq!(reply.response.headers()["content-type"], "application/json;charset=UTF-8");
    let expired = body(&reply);
    let expected = recorded(include_str!("recorded/expired.json"));
    assert_eq!(names(&expired), names(&expected));
    assert_eq!(expired["message"], expected["message"]);
}

#[test]
fn a_user_has_a_limited_number_of_sessions() {
    let mut client = Client::new(alice().max_sessions_per_user(1));
    client.as_alice();
    let reply = client.log_in(&json!({"username": "alice", "password": "secret"}));
    assert_eq!(reply.response.status(), 500);
    assert_eq!(body(&reply)["iServerCode"], -2_147_072_486_i64);
    client.send(Method::POST, "/api/auth/logout", &Value::Null);
    client.as_alice();
}

#[test]
fn an_identity_token_works_once_and_shares_the_session() {
    let mut client = Client::new(alice());
    client.as_alice();
    let reply = client.send(Method::POST, "/api/auth/identityToken", &Value::Null);
    assert_eq!(reply.response.status(), 201);
    let token = reply.response.headers()["x-mstr-identitytoken"].clone();
    let owner = client.headers.clone();
    client.headers.insert("x-mstr-identitytoken", token.clone());
    assert!(body(&client.get("/api/auth/identityToken"))["userId"].is_string());
    client.headers.clear();
    let delegate = json!({"loginMode": -1, "identityToken": token.to_str().unwrap()});
    let reply = client.send(Method::POST, "/api/auth/delegate", &delegate);
    assert_eq!(reply.response.status(), 204);
    client.take(&reply);
    assert_eq!(client.server.open_sessions(), 1, "both share one session");
    let again = client.send(Method::POST, "/api/auth/delegate", &delegate);
    assert_eq!(body(&again)["code"], "ERR003");
    client.send(Method::POST, "/api/auth/logout", &Value::Null);
    client.headers = owner;
    assert_eq!(client.status("/api/echo"), 401, "the owner is logged out too");
}

#[test]
fn a_new_api_token_replaces_the_old_one() {
    let mut client = Client::new(alice());
    client.as_alice();
    let mut create = || {
        let reply = client.send(Method::POST, "/api/auth/apiTokens", &Value::Null);
        body(&reply)["apiToken"].as_str().unwrap().to_owned()
    };
    let (first, second) = (create(), create());
    let log_in = |token: &str| json!({"loginMode": 4096, "username": token});
    assert_eq!(client.log_in(&log_in(&first)).response.status(), 401);
    assert_eq!(client.log_in(&log_in(&second)).response.status(), 204);
    // Revoking ends the sessions that the token opened, this one among them.
    assert!(
        client
            .send(Method::DELETE, "/api/auth/apiTokens", &Value::Null)
            .response
            .status()
            .is_success()
    );
    assert_eq!(client.status("/api/echo"), 401);
}

#[test]
fn what_the_vendor_s_client_asks_for_is_answered() {
    let mut client = Client::new(alice());
    client.as_alice();
    let id = "B7CA92F04B9FAE8D941C3E9B7E0CD754";
    let object = body(&client.get(&format!("/api/objects/{id}?type=32&comments=True")));
    assert_eq!(object["name"], "MicroStrategy Tutorial");
    assert_eq!(client.status("/api/objects/00000000000000000000000000000000?type=32"), 500);
    assert_eq!(client.status(&format!("/api/monitors/iServer/nodes?projects.id={id}")), 200);
    assert_eq!(client.status("/api/projects/MicroStrategy%20Tutorial"), 200);
    client.headers.insert("x-mstr-projectid", id.parse().unwrap());
    assert_eq!(client.status("/api/echo"), 200);
    client.headers.insert("x-mstr-projectid", "0".repeat(32).parse().unwrap());
    assert_eq!(body(&client.get("/api/echo"))["iServerCode"], -2_147_209_151_i64);
}

#[test]
fn nothing_a_client_sends_makes_it_panic() {
    let mut client = Client::new(alice());
    for path in ["", "/", "/api", "/api/auth/login", "/api/blob", "/api/redirect", "/api/x?%zz"] {
        for method in [Method::GET, Method::POST, Method::HEAD, Method::OPTIONS] {
            for logged_in in [false, true] {
                if logged_in {
                    client.as_alice();
                } else {
                    client.headers.clear();
                }
                client.send(method.clone(), path, &json!({"loginMode": {"a": []}}));
            }
        }
    }
    let mut elsewhere = Request::new(Bytes::from_static(b"\xff\xfe"));
    *elsewhere.uri_mut() = "*".parse().unwrap();
    assert_eq!(client.server.handle(elsewhere, client.now).response.status(), 404);
}

#[test]
fn faults_happen_to_the_requests_they_are_meant_for() {
    let rule = |text: &str| text.parse::<Fault>().unwrap();
    let mut client = Client::new(
        alice()
            .fault(rule("inspect:2:status=503,retry-after=7"))
            .fault(rule("path=/api/echo:2+:reset-before"))
            .fault(rule("user-info:1:expire")),
    );
    client.as_alice();
    assert_eq!(client.status("/api/sessions"), 200);
    let reply = client.get("/api/sessions");
    assert_eq!(reply.response.status(), 503);
    assert_eq!(reply.response.headers()["retry-after"], "7");
    assert_eq!(client.status("/api/sessions"), 200);
    assert_eq!(client.get("/api/echo").fault, None);
    assert_eq!(client.get("/api/echo").fault, Some(SocketFault::Reset));
    assert_eq!(client.status("/api/sessions/userInfo"), 401);
    assert_eq!(client.server.open_sessions(), 0);
    let notes = &client.server.journal().entries().last().unwrap().notes;
    assert_eq!(*notes, ["fault: expire"]);
}

#[test]
fn two_faults_on_one_request_both_happen_to_it() {
    let both = |first: &str, second: &str| {
        let rule = |effect: &str| format!("path=/api/echo:1:{effect}").parse::<Fault>().unwrap();
        let mut client = Client::new(alice().fault(rule(first)).fault(rule(second)));
        client.as_alice();
        (client.get("/api/echo"), client)
    };
    let (reply, client) = both("expire", "status=503");
    assert_eq!(reply.response.status(), 503);
    assert_eq!(client.server.open_sessions(), 0);
    let (reply, client) = both("reset-before", "expire");
    assert_eq!(reply.fault, Some(SocketFault::Reset));
    assert_eq!(client.server.open_sessions(), 0);
    let (reply, _) = both("slow=40", "slow=2");
    assert_eq!(reply.after, Duration::from_millis(42));
    let (reply, _) = both("stall-mid-body", "error=403,ERR017");
    assert_eq!(reply.fault, Some(SocketFault::StallMidBody));
    assert_eq!(body(&reply)["code"], "ERR017");
    let (reply, client) = both("drop-cookies", "reset-mid-body");
    assert!(!reply.response.headers().contains_key(SET_COOKIE));
    assert_eq!(reply.fault, Some(SocketFault::ResetMidBody));
    let notes = &client.server.journal().entries().last().unwrap().notes;
    assert_eq!(*notes, ["fault: drop-cookies", "fault: reset-mid-body"]);
}

#[test]
fn a_fault_whose_place_is_taken_happens_to_the_next_request() {
    /// What became of five calls.
    fn story(rules: &[&str]) -> Vec<String> {
        let faults = rules.iter().map(|rule| rule.parse::<Fault>().unwrap());
        let mut client = Client::new(faults.fold(alice(), |server, fault| server.fault(fault)));
        client.as_alice();
        let call = |_| match client.get("/api/echo") {
            Reply { fault: Some(fault), .. } => format!("{fault:?}"),
            Reply { response, .. } => response.status().as_u16().to_string(),
        };
        (0..5).map(call).collect()
    }
    for (rules, expected) in [
        (&["call:1:status=503", "call:1:error=403,E"][..], ["503", "403", "200", "200", "200"]),
        (&["call:1-2:status=503", "call:1:stall"], ["503", "503", "Stall", "200", "200"]),
        (&["call:1:stall", "call:1-2:status=503"], ["Stall", "503", "503", "200", "200"]),
        (
            &["call:2:reset-after", "call:2:reset-mid-body", "call:2:refuse"],
            ["200", "Reset", "ResetMidBody", "Refuse", "200"],
        ),
        // A fault without an end yields to one with an end.
        (&["call:*:status=503", "call:1-2:stall"], ["Stall", "Stall", "503", "503", "503"]),
        (&["call:2+:refuse", "call:3:status=500"], ["200", "Refuse", "500", "Refuse", "Refuse"]),
    ] {
        assert_eq!(story(rules), expected, "{rules:?}");
    }
}

#[test]
fn a_broken_login_has_been_processed_only_if_it_was_broken_afterwards() {
    for (rule, sessions) in [
        ("login:*:reset-before", 0),
        ("login:*:stall", 0),
        ("login:*:reset-after", 1),
        ("login:*:stall-after", 1),
    ] {
        let mut client = Client::new(alice().fault(rule.parse().unwrap()));
        client.log_in(&json!({"username": "alice", "password": "secret"}));
        assert_eq!(client.server.open_sessions(), sessions, "{rule}");
    }
}

#[test]
fn the_journal_notices_secrets_where_they_do_not_belong() {
    let mut client = Client::new(alice());
    client.as_alice();
    assert!(client.server.journal().secrets_seen_outside_auth().is_empty());
    client.get("/api/echo?password=secret");
    client.headers.insert("x-note", "my secret".parse().unwrap());
    client.get("/api/echo");
    client.headers.remove("x-note");
    client.send(Method::POST, "/api/echo", &json!({"password": "secret"}));
    // A login does not carry the token of the session before it.
    let login = json!({"username": "alice", "password": "secret"});
    client.send(Method::POST, "/api/auth/login", &login);
    let leaks = client.server.journal().secrets_seen_outside_auth();
    assert_eq!(leaks.len(), 5, "{leaks:?}");
    assert!(leaks.iter().all(|leak| !leak.contains("secret")), "{leaks:?}");
}

#[test]
fn the_journal_counts_what_waited_for_what() {
    let mut client = Client::new(alice().latency(Duration::from_millis(50)));
    client.as_alice();
    client.now += Duration::from_millis(50);
    client.get("/api/sessions");
    client.get("/api/status");
    client.get("/api/projects");
    let journal = client.server.journal();
    assert_eq!(journal.sequential_round_trips(), 2);
    assert_eq!(journal.max_concurrent(&[Purpose::Inspect, Purpose::Status]), 2);
    assert_eq!(journal.max_concurrent(&[Purpose::Login]), 1);
    assert_eq!(journal.projects_on_session_endpoints(), 0);
    let line = journal.entries()[0].to_json(client.now);
    assert!(line.contains("\"purpose\":\"login\"") && !line.contains("secret"), "{line}");
}

#[test]
fn nodes_without_stickiness_know_their_own_sessions_only() {
    let mut client = Client::new(alice().nodes_without_stickiness(2));
    client.as_alice();
    let statuses: Vec<u16> = (0..100).map(|_| client.status("/api/sessions")).collect();
    let known = statuses.iter().filter(|status| **status == 200).count();
    let unknown = statuses.iter().filter(|status| **status == 401).count();
    assert_eq!(known + unknown, 100);
    assert!(known > 20 && unknown > 20, "{known} and {unknown}");
    assert_eq!(client.server.open_sessions(), 1);
}

#[test]
fn cookie_faults_are_in_the_answer_and_a_head_that_is_too_long_is_refused() {
    let portal = Fault::set_cookie(Purpose::Login, b"JSESSIONID=portal; Path=/");
    let mut client = Client::new(alice().fault(portal).max_head_size(8_192));
    client.as_alice();
    assert_eq!(client.status("/api/sessions"), 200, "of two by one name, one is valid");
    client.headers.insert("x-long", "x".repeat(8_192).parse().unwrap());
    assert_eq!(client.status("/api/sessions"), 400);
}
