//! Answers that are compressed.

use mstr::ErrorKind;
use mstr_fake::{Answer, EndpointRequest, Fault, Method};
use serde_json::{Value, json};

use crate::{Lab, server};

/// Compresses every answer, as a gateway does.
fn compressing() -> Fault {
    "*:*:gzip".parse().unwrap()
}

pub async fn a_compressed_answer_arrives_as_it_was(lab: Lab) {
    let world = lab.start(server().fault(compressing()));
    // The session's own exchanges are compressed too.
    let connection =
        world.builder().project_name("MicroStrategy Tutorial").connect().await.unwrap();
    let response = connection.post("/api/echo").json(&json!({ "a": "ü" })).send().await.unwrap();
    for gone in ["content-encoding", "content-length"] {
        assert!(!response.headers().contains_key(gone), "{gone}: {:?}", response.headers());
    }
    let echo: Value = response.json().await.unwrap();
    assert_eq!(echo["body"], "{\"a\":\"ü\"}");
    assert_eq!(echo["headers"]["accept-encoding"], "gzip");

    let path = format!("/api/blob?size={}", 900 * 1024);
    let whole = connection.get(&path).send().await.unwrap().bytes().await.unwrap();
    assert_eq!(whole.len(), 900 * 1024);
    let mut response = connection.get(&path).send().await.unwrap();
    let mut pieces = Vec::new();
    while let Some(piece) = response.chunk().await.unwrap() {
        pieces.extend_from_slice(&piece);
    }
    assert!(pieces == whole);
    let limited = connection.get(&path).send().await.unwrap().bytes_limited(1024).await;
    assert_eq!(limited.unwrap_err().kind(), ErrorKind::Decode);

    // The server's error is understood, and a session that ended is replaced.
    let missing = connection.get("/api/no/such/thing").send().await.unwrap_err();
    assert_eq!(missing.kind(), ErrorKind::NotFound);
    assert!(missing.server().is_some());
    world.server(|server| server.expire_all_sessions());
    assert!(!connection.fetch_projects().await.unwrap().is_empty());
    connection.head("/api/echo").send().await.unwrap();
    connection.close().await;
    assert_eq!(world.open_sessions(), 0);
}

pub async fn an_encoding_that_the_caller_chose_is_left_to_the_caller(lab: Lab) {
    let world = lab.start(server().fault(compressing()));
    let connection = world.connect().await;
    let own = connection.get("/api/echo").header("accept-encoding", "gzip, br");
    let response = own.send().await.unwrap();
    assert_eq!(response.headers()["content-encoding"], "gzip");
    assert_eq!(response.bytes().await.unwrap()[..2], [0x1f, 0x8b]);
    let own = connection.get("/api/echo").header("accept-encoding", "gzip");
    let error = own.send().await.unwrap().json::<Value>().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Decode);
    assert!(error.to_string().contains("encoded as gzip"), "{error}");
    // A part of a compressed body cannot be decompressed, so a part is asked for as it is.
    let part = connection.get("/api/echo").header("range", "bytes=0-");
    let echo: Value = part.send().await.unwrap().json().await.unwrap();
    assert_eq!(echo["headers"]["accept-encoding"], Value::Null);
    connection.close().await;
}

pub async fn an_encoding_that_was_not_asked_for_is_named(lab: Lab) {
    let encoded = |encoding: &'static str, body: &'static [u8]| {
        move |_: &EndpointRequest| {
            Answer::from(body.to_vec()).with_header("content-encoding", encoding)
        }
    };
    let world = lab.start(
        server()
            .endpoint(Method::GET, "/api/brotli", encoded("br", b"\x0b\x02\x80{}\x03"))
            .endpoint(Method::GET, "/api/twice", encoded("gzip, gzip", b"\x1f\x8b\x08\xff"))
            .endpoint(Method::GET, "/api/claims", encoded("utf-8", b"{\"a\":1}"))
            .endpoint(Method::GET, "/api/broken", encoded("gzip", b"not gzip at all")),
    );
    let connection = world.connect().await;
    for (path, named) in [("/api/brotli", "br"), ("/api/twice", "gzip, gzip")] {
        let error = connection.get(path).send().await.unwrap().json::<Value>().await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Decode);
        assert!(error.to_string().contains(&format!("encoded as {named},")), "{error}");
        let error = connection.get(path).send().await.unwrap().text().await.unwrap_err();
        assert!(error.to_string().contains(&format!("encoded as {named},")), "{error}");
    }
    // Some servers give the name of a charset for an encoding; their JSON is JSON.
    let claims: Value = connection.get("/api/claims").send().await.unwrap().json().await.unwrap();
    assert_eq!(claims["a"], 1);
    let broken = connection.get("/api/broken").send().await.unwrap().bytes().await.unwrap_err();
    assert_eq!(broken.kind(), ErrorKind::Decode, "{broken}");
    connection.close().await;
}

pub async fn an_error_whose_body_cannot_be_decompressed_is_told_by_its_status(lab: Lab) {
    let page = |_: &EndpointRequest| {
        Answer::from("<html>busy</html>".to_owned())
            .with_status(404)
            .with_header("content-encoding", "gzip")
    };
    let world = lab.start(server().endpoint(Method::GET, "/api/busy", page));
    let connection = world.connect().await;
    let error = connection.get("/api/busy").send().await.unwrap_err();
    assert_eq!((error.kind(), error.status().unwrap().as_u16()), (ErrorKind::NotFound, 404));
    let raw = connection.get("/api/busy").send_raw().await.unwrap();
    assert_eq!(
        raw.bytes().await.unwrap_err().kind(),
        ErrorKind::Decode,
        "it is not cut in silence"
    );
    connection.close().await;
}

pub async fn a_compressed_answer_that_is_cut_is_interrupted(lab: Lab) {
    let cut = "path=/api/echo:*:reset-mid-body".parse().unwrap();
    let world = lab.start(server().fault(compressing()).fault(cut));
    let connection = world.connect().await;
    let error = match connection.post("/api/echo").send().await {
        Ok(response) => response.bytes().await.unwrap_err(),
        Err(error) => error,
    };
    assert_eq!(error.kind(), ErrorKind::Interrupted, "{error}");
    connection.close().await;
}
