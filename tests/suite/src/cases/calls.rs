//! Requests and responses.

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method};
use mstr::{Body, ErrorKind, RetryPolicy};
use mstr_fake::Fault;
use serde_json::{Value, json};

use crate::{Lab, server};

pub async fn every_method_reaches_the_server_as_described(lab: Lab) {
    let world = lab.start(server());
    let connection = world.connect().await;
    for method in [Method::GET, Method::POST, Method::PUT, Method::PATCH, Method::DELETE] {
        let response =
            connection.request(method.clone(), "/api/echo").query(&[("a", "1 2")]).send().await;
        let echo: Value = response.unwrap().json().await.unwrap();
        assert_eq!(echo["method"], method.as_str());
        assert_eq!(echo["query"], "a=1+2");
    }
    let head = connection.head("/api/echo").send().await.unwrap();
    assert!(head.bytes().await.unwrap().is_empty());

    let posted = connection
        .post("api/echo?first=1")
        .query(&[("list", vec!["x", "y"])])
        .header("x-custom", "kept")
        .json(&json!({ "name": "Büro" }))
        .send()
        .await
        .unwrap();
    let echo: Value = posted.json().await.unwrap();
    assert_eq!(echo["query"], "first=1&list=x&list=y");
    assert_eq!(echo["headers"]["x-custom"], "kept");
    assert_eq!(echo["headers"]["content-type"], "application/json");
    assert_eq!(echo["body"], "{\"name\":\"Büro\"}");

    let own = connection.post("/api/echo").header("content-type", "application/vnd.mstr+json");
    let echo: Value = own.json(&json!(1)).send().await.unwrap().json().await.unwrap();
    assert_eq!(echo["headers"]["content-type"], "application/vnd.mstr+json");

    let form = connection.put("/api/echo").form(&[("a", "ä&b")]).send().await.unwrap();
    assert_eq!(form.json::<Value>().await.unwrap()["body"], "a=%C3%A4%26b");
    let text = connection.get("/api/echo").send().await.unwrap().text().await.unwrap();
    assert!(text.starts_with('{'), "{text}");
    connection.close().await;
}

pub async fn a_response_says_where_it_comes_from_and_how_long_it_is(lab: Lab) {
    let world = lab.start(server());
    let connection = world.connect().await;
    let mut headers = HeaderMap::new();
    headers.append("x-many", HeaderValue::from_static("1"));
    headers.append("x-many", HeaderValue::from_static("2"));
    headers.insert("content-type", HeaderValue::from_static("text/plain"));
    let request = connection.post("/api/echo").body("text").headers(headers).query(&[("a", "b")]);
    let response = request.await.unwrap();
    assert_eq!(response.url().to_string(), format!("{}/api/echo?a=b", connection.base_url()));
    let (version, length) = (response.version(), response.content_length());
    let whole = http::Response::<Body>::from(response);
    assert_eq!((whole.status().as_u16(), whole.version()), (200, version));
    let body = whole.into_body().collect(usize::MAX).await.unwrap();
    assert_eq!(length, Some(body.len() as u64));
    let echo: Value = serde_json::from_slice(&body).unwrap();
    assert_eq!(echo["headers"]["content-type"], "text/plain");
    assert_eq!(echo["headers"]["x-many"], "1, 2");
    connection.close().await;
}

pub async fn any_status_can_be_had_raw(lab: Lab) {
    let world = lab.start(server());
    let connection = world.connect().await;
    let raw = connection.get("/api/status-code?code=418").send_raw().await.unwrap();
    assert_eq!(raw.status(), 418);
    assert!(!raw.bytes().await.unwrap().is_empty(), "the body is all there");
    let error = connection.get("/api/status-code?code=418").send().await.unwrap_err();
    assert_eq!(error.status().unwrap(), 418);
    let missing = connection.get("/api/no/such/thing").send().await.unwrap_err();
    assert_eq!(missing.kind(), ErrorKind::NotFound);
    connection.close().await;
}

pub async fn an_error_keeps_everything_the_server_said(lab: Lab) {
    let body = r#"{"code":"ERR001","iServerCode":-2147214568,"message":"denied","ticketId":"t1"}"#;
    let fault = Fault::answer("/api/echo", 500, "application/json;charset=UTF-8", body);
    let world = lab.start(server().fault(fault));
    let connection = world.connect().await;
    let error = connection.get("/api/echo").send().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Forbidden, "the code says more than the status");
    let said = error.server().unwrap();
    assert_eq!(said.iserver_code, Some(-2_147_214_568));
    assert_eq!(said.ticket.as_ref().unwrap().as_str(), "t1");
    assert_eq!(error.operation(), Some("call"));
    connection.close().await;
}

pub async fn a_body_is_streamed_both_ways(lab: Lab) {
    let world = lab.start(server());
    let connection = world.connect().await;
    let size = 3 * 1024 * 1024 + 17;
    let path = format!("/api/blob?size={size}");
    let whole = connection.get(&path).send().await.unwrap().bytes().await.unwrap();
    assert_eq!(whole.len(), size);
    let mut response = connection.get(&path).send().await.unwrap();
    let mut pieces = Vec::new();
    while let Some(chunk) = response.chunk().await.unwrap() {
        pieces.extend_from_slice(&chunk);
    }
    assert!(pieces == whole);
    let limited = connection.get(&path).send().await.unwrap().bytes_limited(1024).await;
    assert_eq!(limited.unwrap_err().kind(), ErrorKind::Decode);
    let limited = connection.get(&path).send().await.unwrap().text_limited(1024).await;
    assert_eq!(limited.unwrap_err().kind(), ErrorKind::Decode);
    let limited = connection.get("/api/echo").send().await.unwrap().json_limited::<Value>(1 << 20);
    assert!(limited.await.unwrap().is_object());

    // One-shot and replayable uploads; the second survives a lost session.
    let upload = Body::wrap(Pieces(vec![Bytes::from_static(b"one "), Bytes::from_static(b"two")]));
    let echo = connection.post("/api/echo").body(upload).send().await.unwrap();
    assert_eq!(echo.json::<Value>().await.unwrap()["body"], "one two");
    world.server(|server| server.expire_all_sessions());
    let make = || Body::wrap(Pieces(vec![Bytes::from_static(b"again")]));
    let echo = connection.post("/api/echo").body(Body::replayable(make)).send().await.unwrap();
    assert_eq!(echo.json::<Value>().await.unwrap()["body"], "again");
    // A stream that is spent cannot be sent again: the caller gets an error, and the next call works.
    world.server(|server| server.expire_all_sessions());
    let error = connection.post("/api/echo").body(make()).send().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::SessionLost);
    connection.post("/api/echo").body("more").send().await.unwrap();
    connection.close().await;
}

/// A body in pieces, of unknown length.
struct Pieces(Vec<Bytes>);

impl http_body::Body for Pieces {
    type Data = Bytes;
    type Error = std::convert::Infallible;

    fn poll_frame(
        mut self: std::pin::Pin<&mut Self>,
        _: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<Result<http_body::Frame<Bytes>, Self::Error>>> {
        let next = (!self.0.is_empty()).then(|| self.0.remove(0));
        std::task::Poll::Ready(next.map(|piece| Ok(http_body::Frame::data(piece))))
    }
}

pub async fn a_redirect_within_the_origin_is_followed(lab: Lab) {
    let world = lab.start(server());
    let connection = world.connect().await;
    for (status, method) in [(301, "GET"), (302, "GET"), (303, "GET"), (307, "POST"), (308, "POST")]
    {
        let response = connection
            .post("/api/redirect")
            .query(&[("to", "/MicroStrategyLibrary/api/echo"), ("status", &status.to_string())])
            .json(&json!(1))
            .send()
            .await
            .unwrap();
        let echo: Value = response.json().await.unwrap();
        assert_eq!(echo["method"], method, "{status}");
    }
    let to = "/MicroStrategyLibrary/api/redirect?status=302&to=/MicroStrategyLibrary/api/redirect";
    let loop_back = connection.get("/api/redirect").query(&[("to", to), ("status", "302")]);
    assert!(loop_back.send().await.is_err(), "a redirect that leads nowhere ends");
    connection.close().await;
}

pub async fn a_redirect_to_another_origin_is_an_error_that_carries_nothing(lab: Lab) {
    let world = lab.start(server());
    let other = lab.start(server());
    let connection = world.connect().await;
    let target = format!("{}/api/echo", other.base_url);
    for status in ["301", "302", "303", "307", "308"] {
        let request =
            connection.post("/api/redirect").query(&[("to", &*target), ("status", status)]);
        let error = request.json(&json!({"secret": 1})).send().await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Redirect);
    }
    assert_eq!(other.server(|server| server.journal().len()), 0);
    connection.close().await;
}

pub async fn an_absolute_url_elsewhere_is_refused(lab: Lab) {
    let world = lab.start(server());
    let other = lab.start(server());
    let connection = world.connect().await;
    let elsewhere = format!("{}/api/status", other.base_url);
    let error = connection.get(&elsewhere).send().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Usage);
    assert_eq!(other.server(|server| server.journal().len()), 0);

    let own = format!("{}/api/echo", world.base_url);
    connection.get(own).send().await.unwrap();
    connection.close().await;
}

pub async fn mistakes_are_reported_before_anything_is_sent(lab: Lab) {
    let world = lab.start(server());
    let connection = world.builder().build().unwrap();
    let bad = std::collections::BTreeMap::from([(vec![1_u8], 1)]);
    for request in [
        connection.get("/api/echo").header("no spaces", "x"),
        connection.get("/api/echo").header("x", "a\nb"),
        connection.get("/api/echo").json(&bad),
        connection.get("//evil.example/"),
        connection.get("/api/../../elsewhere"),
        connection.get("/api/%2e%2E/x"),
        connection.post("/api/echo").header("transfer-encoding", "chunked"),
        connection.get("https://user:pass@evil.example/"),
    ] {
        assert_eq!(request.send().await.unwrap_err().kind(), ErrorKind::Usage);
    }
    assert_eq!(world.server(|server| server.journal().len()), 0);
}

pub async fn the_session_s_headers_cannot_be_replaced(lab: Lab) {
    let world = lab.start(server());
    let connection = world.connect().await;
    for name in ["X-MSTR-AuthToken", "Cookie", "Host"] {
        let error = connection.get("/api/echo").header(name, "x").send().await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Usage, "{name}");
    }
    let without = connection.get("/api/status").without_auth().send().await.unwrap();
    assert!(without.status().is_success());
    let refused = connection.get("/api/echo").without_auth().send().await.unwrap_err();
    assert_eq!(refused.status().unwrap(), 401);
    assert_eq!(world.logins(), 1, "a request without the session says nothing about it");
    connection.close().await;
}

pub async fn a_post_is_not_repeated_after_a_gateway_s_complaint(lab: Lab) {
    let rule = "path=/api/echo:1:status=503,retry-after=1".parse::<Fault>().unwrap();
    let world = lab.start(server().fault(rule));
    let connection = world.connect().await;
    let error = connection.post("/api/echo").send().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Server);
    connection.post("/api/echo").send().await.unwrap();

    let rule = "path=/api/echo:1:status=503,retry-after=1".parse::<Fault>().unwrap();
    world.server(|server| {
        server.clear_faults();
        server.add_fault(rule);
    });
    connection.get("/api/echo").send().await.unwrap();
    let rule = "path=/api/echo:1:status=503".parse::<Fault>().unwrap();
    world.server(|server| {
        server.clear_faults();
        server.add_fault(rule);
    });
    let never = connection.get("/api/echo").retry(RetryPolicy::never()).send().await;
    assert_eq!(never.unwrap_err().attempts(), 1);
    connection.close().await;
}

pub async fn a_head_request_recovers_too(lab: Lab) {
    let world = lab.start(server());
    let connection = world.connect().await;
    world.server(|server| server.expire_all_sessions());
    connection.head("/api/echo").send().await.unwrap();
    assert_eq!(world.logins(), 2);
    connection.close().await;
}
