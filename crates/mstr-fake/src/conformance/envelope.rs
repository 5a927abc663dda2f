//! Method, address, headers and status arrive as they were sent.

use http::header::{HeaderName, HeaderValue, SET_COOKIE};
use http::{Method, StatusCode};
use mstr_core::Body;

use super::Context;
use super::context::request;

pub(super) async fn every_method_arrives(mut context: Context) {
    let server = context.answer("200 OK", "");
    let methods = [
        Method::GET,
        Method::HEAD,
        Method::POST,
        Method::PUT,
        Method::PATCH,
        Method::DELETE,
        Method::OPTIONS,
    ];
    for method in methods.clone() {
        context.exchange(request(method, &server.url("/m"), Body::empty())).await;
    }
    let seen: Vec<String> = server.requests().iter().map(|request| request.target()).collect();
    let sent: Vec<String> = methods.iter().map(|method| format!("{method} /m")).collect();
    assert_eq!(seen, sent);
}

pub(super) async fn the_address_is_sent_as_it_is(mut context: Context) {
    let server = context.answer("200 OK", "");
    let addresses = [
        "/",
        "/a/b/",
        "/a%2Fb",
        "/a%2Fb?q=%2f+x",
        "/a;v=1?b=c&b=d&e",
        "/a?",
        "/a?x=%C3%A4&y=+",
        "/a//b",
        "/~tilde/*'()!",
    ];
    for address in addresses {
        context.get(&server.url(address)).await;
    }
    let seen: Vec<String> = server.requests().iter().map(|request| request.target()).collect();
    let sent: Vec<String> = addresses.iter().map(|address| format!("GET {address}")).collect();
    assert_eq!(seen, sent);
}

pub(super) async fn paths_are_sent_letter_by_letter(mut context: Context) {
    let server = context.answer("200 OK", "");
    for path in ["/a/../b", "/a/./b", "/%2E%2E/b", "/a%2fb?q=%c3%a4"] {
        context.get(&server.url(path)).await;
        let seen = server.requests().pop().map(|request| request.target());
        assert_eq!(seen, Some(format!("GET {path}")));
    }
}

pub(super) async fn headers_keep_their_order_and_their_duplicates(mut context: Context) {
    let server = context.answer(
        "200 OK\r\nset-cookie: b=2; Path=/\r\nX-Other: x\r\nSet-Cookie: a=1\r\nset-cookie: b=3",
        "",
    );
    let mut sent = request(Method::GET, &server.url("/"), Body::empty());
    for value in ["one", "two", "three, four", "two"] {
        sent.headers_mut().append("x-several", HeaderValue::from_static(value));
    }
    let response = context.exchange(sent).await;
    let cookies: Vec<&[u8]> =
        response.headers().get_all(SET_COOKIE).iter().map(|value| value.as_bytes()).collect();
    assert_eq!(cookies, [&b"b=2; Path=/"[..], b"a=1", b"b=3"]);
    assert_eq!(response.headers()["X-OTHER"], "x", "names are compared without their case");
    let seen = server.requests().remove(0).values("x-several");
    assert_eq!(seen, [&b"one"[..], b"two", b"three, four", b"two"]);
}

/// Names that people and things have; the last one is not even UTF-8.
const BEYOND_ASCII: [&[u8]; 3] = ["Jörg".as_bytes(), "日本".as_bytes(), b"J\xf6rg"];

pub(super) async fn values_beyond_ascii_arrive(mut context: Context) {
    let server = context.serve(|mut connection| {
        while let Some(request) = connection.read_request()? {
            let index = request.text("x-index").and_then(|index| index.parse().ok()).unwrap_or(0);
            connection.write(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\nx-name: ")?;
            connection.write(BEYOND_ASCII[index])?;
            connection.write(b"\r\n\r\n")?;
        }
        Ok(())
    });
    for (index, value) in BEYOND_ASCII.into_iter().enumerate() {
        let mut sent = request(Method::GET, &server.url("/"), Body::empty());
        sent.headers_mut().insert("x-index", HeaderValue::from(index));
        let response = context.exchange(sent).await;
        assert_eq!(response.headers()["x-name"].as_bytes(), value);
    }
}

pub(super) async fn values_beyond_ascii_are_sent(mut context: Context) {
    let server = context.answer("200 OK", "");
    for value in BEYOND_ASCII {
        let mut sent = request(Method::GET, &server.url("/"), Body::empty());
        let Ok(header) = HeaderValue::from_bytes(value) else {
            panic!("{value:?} is a header value");
        };
        sent.headers_mut().insert("x-name", header);
        context.exchange(sent).await;
        let seen = server.requests().pop().map(|request| request.values("x-name"));
        assert_eq!(seen, Some(vec![value.to_vec()]));
    }
}

pub(super) async fn large_headers_arrive_both_ways(mut context: Context) {
    let server = context.serve(|mut connection| {
        while let Some(request) = connection.read_request()? {
            let value = request.text("x-large").unwrap_or_default();
            connection.answer(&format!("200 OK\r\nx-large: {value}"), "")?;
        }
        Ok(())
    });
    let large = "x".repeat(32 * 1024);
    let mut sent = request(Method::GET, &server.url("/"), Body::empty());
    let Ok(value) = HeaderValue::from_str(&large) else { panic!("a header value") };
    sent.headers_mut().insert("x-large", value);
    let response = context.exchange(sent).await;
    assert!(response.headers()["x-large"] == *large);
}

pub(super) async fn an_answer_to_head_has_no_body(mut context: Context) {
    let server = context.serve(|mut connection| {
        while connection.read_request()?.is_some() {
            connection.write("HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\n")?;
        }
        Ok(())
    });
    for _ in 0..2 {
        let response = context.exchange(request(Method::HEAD, &server.url("/"), Body::empty()));
        let response = response.await;
        assert!(response.body().is_empty());
        assert_eq!(response.headers()["content-length"], "5");
    }
}

pub(super) async fn statuses_without_a_body_end_with_their_head(mut context: Context) {
    for head in ["204 No Content", "304 Not Modified\r\ncontent-length: 7"] {
        let server = context.serve(move |mut connection| {
            while connection.read_request()?.is_some() {
                connection.write(format!("HTTP/1.1 {head}\r\n\r\n"))?;
            }
            Ok(())
        });
        for _ in 0..2 {
            let response = context.get(&server.url("/")).await;
            assert!(response.body().is_empty(), "{head}");
        }
    }
}

pub(super) async fn every_status_is_an_answer(mut context: Context) {
    let server = context.serve(|mut connection| {
        while let Some(request) = connection.read_request()? {
            let target = request.target();
            let status = target.rsplit('/').next().unwrap_or_default().to_owned();
            connection.answer(&format!("{status} Reason"), "why")?;
        }
        Ok(())
    });
    for status in [200, 201, 202, 206, 300, 400, 401, 403, 404, 407, 409, 429, 500, 502, 503, 599] {
        let response = context.get(&server.url(&format!("/{status}"))).await;
        assert_eq!(response.status().as_u16(), status);
        assert_eq!(&response.body()[..], b"why", "{status}");
    }
}

pub(super) async fn informational_answers_are_passed_over(mut context: Context) {
    let server = context.serve(|mut connection| {
        while connection.read_request()?.is_some() {
            connection.write("HTTP/1.1 100 Continue\r\n\r\n")?;
            connection.write("HTTP/1.1 103 Early Hints\r\nlink: </a>; rel=preload\r\n\r\n")?;
            connection.answer("200 OK\r\nx-last: yes", "done")?;
        }
        Ok(())
    });
    let response = context.get(&server.url("/")).await;
    assert_eq!(response.status(), StatusCode::OK);
    assert_eq!(&response.body()[..], b"done");
    assert!(!response.headers().contains_key(HeaderName::from_static("link")));
    assert_eq!(response.headers()["x-last"], "yes");
}

pub(super) async fn the_host_header_names_host_and_port(mut context: Context) {
    let server = context.answer("200 OK", "");
    context.get(&server.url("/")).await;
    let by_name = format!("http://localhost:{}/", server.address().port());
    context.get(&by_name).await;
    let seen: Vec<_> = server.requests().iter().map(|request| request.values("host")).collect();
    let port = server.address().port();
    let expected = |host: &str| vec![format!("{host}:{port}").into_bytes()];
    assert_eq!(seen, [expected("127.0.0.1"), expected("localhost")]);
}

pub(super) async fn odd_header_lines_fail_no_answer(mut context: Context) {
    let server = context.serve(|mut connection| {
        while connection.read_request()?.is_some() {
            connection.write(
                "HTTP/1.1 200 OK\r\nx-folded: one\r\n two\r\nx-space : three\r\nx-control: a\x01b\r\n\
                 x-plain: four\r\ncontent-length: 4\r\n\r\nfine",
            )?;
        }
        Ok(())
    });
    for _ in 0..2 {
        let response = context.get(&server.url("/")).await;
        let value = |name: &str| {
            let value = response.headers().get(name).and_then(|value| value.to_str().ok());
            value.map(|value| value.split_whitespace().collect::<Vec<_>>().join(" "))
        };
        assert_eq!(value("x-folded").as_deref(), Some("one two"));
        assert_eq!(value("x-space").as_deref(), Some("three"));
        assert_eq!(value("x-plain").as_deref(), Some("four"));
        assert_eq!(&response.body()[..], b"fine");
    }
}
