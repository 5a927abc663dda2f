//! Every way in which the server, or what stands before it, says no.
//!
//! The codes and numbers are those of the vendor's table of exceptions and of its list of
//! Intelligence Server codes.

#![expect(clippy::unwrap_used, reason = "this is test code")]

use http::Request;
use mstr::{Body, Connection, Credentials, Error, ErrorKind, RetryPolicy};
use mstr_fake::{FakeTransport, Fault, Server, VirtualTime};
use mstr_suite::{Lab, World, server};

use ErrorKind::{
    Conflict, Credentials as Refused, Forbidden, Gateway, NotFound, ProjectUnavailable,
    RateLimited, Request as Wrong, Server as Broken, SessionLimit, SessionLost, Timeout,
};

async fn connect(world: &World) -> Connection {
    world.builder().retry(RetryPolicy::never()).connect().await.unwrap()
}

/// The error of a call that the server refuses like this.
async fn refusal(world: &World, rule: &str) -> Error {
    let connection = connect(world).await;
    world.server(|server| server.add_fault(rule.parse().unwrap()));
    let error = connection.get("/api/echo").send().await.unwrap_err();
    connection.close().await;
    error
}

#[test]
fn every_code_of_the_table_has_its_kind_in_both_spellings() {
    // Number, the status it comes with, what it means.
    let table = [
        ("1", 500, Broken),
        ("2", 500, Broken),
        ("3", 401, Refused),
        ("4", 404, NotFound),
        ("5", 400, Wrong),
        ("6", 400, Wrong),
        ("7", 400, Wrong),
        ("8", 500, Broken),
        ("9", 401, SessionLost),
        ("10", 400, Wrong),
        ("13", 503, Broken),
        ("14", 403, Forbidden),
        ("15", 409, Conflict),
        ("16", 503, Broken),
        ("17", 403, Forbidden),
        ("20", 400, Wrong),
        ("21", 400, Wrong),
        ("22", 500, Broken),
        ("23", 500, Broken),
        ("24", 500, Broken),
    ];
    for (number, status, kind) in table {
        for code in [format!("ERR{number:0>3}"), format!("ERR00{number}")] {
            Lab::in_memory(async move |lab| {
                let world = lab.start(server());
                let error = refusal(&world, &format!("call:*:error={status},{code}")).await;
                assert_eq!(error.kind(), kind, "{code}: {error}");
                assert_eq!(error.status().unwrap().as_u16(), status);
                let said = error.server().unwrap();
                assert_eq!(said.code.as_str(), code);
                assert_eq!(said.code.number(), number.parse().ok());
                assert_eq!(said.message, "as asked for");
                assert!(said.ticket.is_some(), "{code}");
                // A session that the server calls gone is not logged out.
                let left = u64::from(kind == SessionLost);
                assert!(world.open_sessions() as u64 <= left * 2, "{code}");
            });
        }
    }
}

/// The table has one with a letter in it, and the Modeling service uses bare results.
#[test]
fn codes_of_another_form_are_kept_and_judged_by_their_status() {
    for (code, status, kind) in [
        ("0R22", 500, Broken),
        ("8004ccc7", 400, Wrong),
        ("8004cb0a", 500, SessionLimit),
        ("ERR", 403, Forbidden),
        ("ERRX", 404, NotFound),
    ] {
        Lab::in_memory(async move |lab| {
            let error =
                refusal(&lab.start(server()), &format!("call:*:error={status},{code}")).await;
            assert_eq!(error.kind(), kind, "{code}");
            assert_eq!(error.server().unwrap().code.as_str(), code);
        });
    }
}

#[test]
fn the_intelligence_server_s_number_says_more_than_the_code() {
    let table = [
        (-2_147_216_959, Refused),
        (-2_147_216_960, Refused),
        (-2_147_216_963, Refused),
        (-2_147_216_964, Refused),
        (-2_147_216_965, Refused),
        (-2_147_216_967, Refused),
        (-2_147_202_287, Refused),
        (-2_147_072_513, Refused),
        (-2_147_213_792, Refused),
        (-2_147_213_789, Refused),
        (-2_147_202_292, Refused),
        (-2_147_205_409, Refused),
        (-2_147_468_991, Refused),
        (-2_147_025_421, Refused),
        (-2_147_025_420, Refused),
        (-2_147_025_428, Refused),
        (-2_147_025_427, Refused),
        (-2_147_213_784, Forbidden),
        (-2_147_214_568, Forbidden),
        (-2_147_206_924, SessionLost),
        (-2_147_025_402, SessionLost),
        (-2_147_468_901, SessionLost),
        (-2_147_207_306, SessionLost),
        (-2_147_072_486, SessionLimit),
        (-2_147_209_052, SessionLimit),
        (-2_147_209_056, SessionLimit),
        (-2_147_468_648, SessionLimit),
        (-2_147_073_423, SessionLimit),
        (-2_147_209_151, ProjectUnavailable),
        (-2_147_206_497, Timeout),
        // Not in the list, or without a meaning of its own.
        (-2_147_205_069, Broken),
        (-2_147_212_489, Broken),
        (-2_147_216_373, Broken),
        (0, Broken),
    ];
    for (number, kind) in table {
        Lab::in_memory(async move |lab| {
            let rule = format!("call:*:error=500,ERR001,{number}");
            let error = refusal(&lab.start(server()), &rule).await;
            assert_eq!(error.kind(), kind, "{number}: {error}");
            assert_eq!(error.server().unwrap().iserver_code, Some(number));
            assert!(error.to_string().contains(&number.to_string()), "{error}");
        });
    }
}

/// Answers of load balancers and sign-on proxies in the server's place.
#[test]
fn answer_that_is_not_the_server_s_is_judged_by_its_status() {
    let html = "<html><body>Bad Gateway</body></html>";
    let json = "application/json;charset=UTF-8";
    let table = [
        (502, "text/html", html, Broken),
        (503, "", "", Broken),
        (504, "text/plain", "upstream timed out", Broken),
        (429, "text/plain", "slow down", RateLimited),
        (408, "", "", Timeout),
        (405, "text/html", "<html>Method Not Allowed</html>", Wrong),
        (404, "text/html", "<html>HTTP Status 404</html>", NotFound),
        (403, "text/html", "<html>blocked by policy</html>", Gateway),
        (400, json, "{\"message\":", Wrong),
        (500, json, "[]", Broken),
        (409, json, "{}", Conflict),
    ];
    for (status, content_type, body, kind) in table {
        Lab::in_memory(async move |lab| {
            let world = lab.start(server());
            let connection = connect(&world).await;
            world.server(|server| {
                server.add_fault(Fault::answer("/api/echo", status, content_type, body));
            });
            let error = connection.get("/api/echo").send().await.unwrap_err();
            assert_eq!(error.kind(), kind, "{status} {body}: {error}");
            assert_eq!(error.status().unwrap().as_u16(), status);
            assert!(error.server().is_none_or(|said| said.message.is_empty()), "{error}");
            connection.close().await;
            assert_eq!(world.open_sessions(), 0);
        });
    }
}

/// A sign-on proxy answers with its page and status 200, which any other client takes for a success.
#[test]
fn a_sign_in_page_instead_of_a_login_is_recognised() {
    Lab::in_memory(async |lab| {
        let world = lab.start(server().fault("login:*:page=200".parse().unwrap()));
        let error = world.builder().connect().await.unwrap_err();
        assert_eq!(error.kind(), Gateway, "{error}");
        assert_eq!(error.status().unwrap(), 200);
        assert!(error.to_string().contains("the answer is a web page"), "{error}");
    });
}

#[test]
fn refusals_of_the_server_keep_kind_status_and_code() {
    Lab::in_memory(async |lab| {
        let world = lab.start(server().max_sessions_per_user(1));
        let wrong = world.builder_for(Credentials::standard("alice", "wrong")).connect().await;
        let error = wrong.unwrap_err();
        assert_eq!((error.kind(), error.server().unwrap().code.number()), (Refused, Some(3)));

        let connection = connect(&world).await;
        let error = connect_again(&world).await;
        assert_eq!((error.kind(), error.status().unwrap().as_u16()), (SessionLimit, 500));
        let said = error.server().unwrap();
        assert_eq!((said.code.number(), said.iserver_code), (Some(1), Some(-2_147_072_486)));

        let error = connection.get("/api/no/such/thing").send().await.unwrap_err();
        assert_eq!((error.kind(), error.server().unwrap().code.number()), (NotFound, Some(4)));
        connection.close().await;
        assert_eq!(world.open_sessions(), 0);
    });
}

async fn connect_again(world: &World) -> Error {
    world.builder().retry(RetryPolicy::never()).connect().await.unwrap_err()
}

/// 401 ERR009 has four reasons; the server gives the same answer for each.
#[test]
fn a_session_is_known_by_its_token_and_its_cookies_together() {
    let time = VirtualTime::new();
    let model = Server::builder().user("alice", "secret").user("bob", "hidden").build();
    let fake = FakeTransport::new(model, time.clone());
    time.run(async {
        let [alice, bob] = [("alice", "secret"), ("bob", "hidden")].map(|(user, password)| {
            let fields = serde_json::json!({ "username": user, "password": password });
            Request::post(format!("{}/api/auth/login", fake.base_url()))
                .header("content-type", "application/json")
                .body(Body::from(fields.to_string()))
                .unwrap()
        });
        let (alice, bob) = (keys(&fake, alice).await, keys(&fake, bob).await);
        let unknown = ("nosuchtoken".to_owned(), alice.1.clone());
        let mixed = (alice.0.clone(), bob.1.clone());
        let bare = (alice.0.clone(), String::new());
        assert_eq!(ask(&fake, &alice).await, (200, None));
        for keys in [&unknown, &mixed, &bare] {
            assert_eq!(ask(&fake, keys).await, (401, Some("ERR009".to_owned())), "{keys:?}");
        }
        fake.server(Server::expire_all_sessions);
        assert_eq!(ask(&fake, &bob).await, (401, Some("ERR009".to_owned())));

        let broken = Request::post(format!("{}/api/auth/login", fake.base_url()))
            .header("content-type", "application/json")
            .body(Body::from("{\"username\":"))
            .unwrap();
        assert_eq!(answer(&fake, broken).await, (400, Some("ERR006".to_owned())));
    });
}

/// Token and cookies, as any client gets them.
async fn keys(fake: &FakeTransport, login: Request<Body>) -> (String, String) {
    let response = mstr::Transport::send(fake, login).await.unwrap();
    let text = |value: &http::HeaderValue| value.to_str().unwrap().to_owned();
    let token = text(&response.headers()["x-mstr-authtoken"]);
    let cookies = response.headers().get_all("set-cookie").iter().map(text);
    let pairs = cookies.map(|cookie| cookie.split(';').next().unwrap().to_owned());
    (token, pairs.collect::<Vec<_>>().join("; "))
}

async fn ask(fake: &FakeTransport, (token, cookies): &(String, String)) -> (u16, Option<String>) {
    let mut request = Request::get(format!("{}/api/sessions/userInfo", fake.base_url()))
        .header("x-mstr-authtoken", token);
    if !cookies.is_empty() {
        request = request.header("cookie", cookies);
    }
    answer(fake, request.body(Body::empty()).unwrap()).await
}

async fn answer(fake: &FakeTransport, request: Request<Body>) -> (u16, Option<String>) {
    let response = mstr::Transport::send(fake, request).await.unwrap();
    let status = response.status().as_u16();
    let body = response.into_body().collect(usize::MAX).await.unwrap();
    let value: serde_json::Value = serde_json::from_slice(&body).unwrap_or_default();
    (status, value["code"].as_str().map(str::to_owned))
}

#[test]
fn answer_that_cannot_be_read_is_told_by_call_type_and_place_and_without_values() {
    Lab::in_memory(async |lab| {
        let world = lab.start(server());
        let connection = connect(&world).await;
        let body = r#"{"rows":[{"id":1},{"id":"hush"}]}"#;
        let fault = Fault::answer("/api/echo", 200, "application/json", body);
        world.server(|server| server.add_fault(fault));
        type Rows = std::collections::BTreeMap<String, Vec<std::collections::BTreeMap<String, u8>>>;
        let response = connection.post("/api/echo?a=b").send().await.unwrap();
        let error = response.json::<Rows>().await.unwrap_err();
        let text = error.to_string();
        assert!(
            text.starts_with("POST /api/echo: the response cannot be read as alloc::"),
            "{text}"
        );
        assert!(
            text.ends_with("at rows[1].id, line 1, column 30: found string, expected u8"),
            "{text}"
        );
        assert!(!format!("{error:?} {}", error.report()).contains("hush"));
        assert!(error.may_have_been_executed());
        connection.close().await;
    });
}

#[test]
fn answers_of_the_sessions_own_endpoints_are_bounded() {
    Lab::in_memory(async |lab| {
        let world = lab.start(server());
        let connection = connect(&world).await;
        let huge = format!(r#"{{"fullName":"{}"}}"#, "x".repeat(17 * 1024 * 1024));
        let fault = Fault::answer("/api/sessions/userInfo", 200, "application/json", &huge);
        world.server(|server| server.add_fault(fault));
        let error = connection.fetch_user().await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Decode, "{error}");
        connection.close().await;
    });
}
