//! What a server is told of a request's address.
#![expect(clippy::unwrap_used, clippy::disallowed_methods, reason = "a test may panic and spawn")]

mod common;

use std::io::Write;
use std::sync::mpsc;

use common::{get, read_request, serve};
use http::{Request, StatusCode};
use mstr_core::{Body, Transport};
use mstr_hyper::HyperTransport;

// The server closes after it, and says so: a close without a word may cross the next request.
const OK: &str = "HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 2\r\n\r\nok";

#[tokio::test]
async fn user_info_of_an_address_is_sent_to_no_server() {
    let (seen, requests) = mpsc::channel();
    let server = serve(move |mut stream, _| {
        seen.send(read_request(&mut stream).unwrap().0).unwrap();
        stream.write_all(OK.as_bytes()).unwrap();
    });
    let transport = HyperTransport::new().unwrap();
    // To a server that is not known yet, and to one that is.
    for user in ["ann:hush@", "", "ann:hush@"] {
        let answer = transport.send(get(format!("http://{user}{server}/path"))).await.unwrap();
        assert_eq!(answer.status(), StatusCode::OK);
        let head = requests.recv().unwrap();
        assert!(head.contains(&format!("host: {server}\r\n")), "{head}");
        assert!(!head.contains("hush") && !head.contains("ann"), "{head}");
    }

    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let server = listener.local_addr().unwrap();
    tokio::task::spawn(async move {
        let io = hyper_util::rt::TokioIo::new(listener.accept().await.unwrap().0);
        let service =
            hyper::service::service_fn(async |request: Request<hyper::body::Incoming>| {
                Ok::<_, std::convert::Infallible>(http::Response::new(Body::from(
                    request.uri().to_string(),
                )))
            });
        let executor = hyper_util::rt::TokioExecutor::new();
        let builder = hyper::server::conn::http2::Builder::new(executor);
        drop(builder.serve_connection(io, service).await);
    });
    let transport = HyperTransport::builder().http2_only().build().unwrap();
    let answer = transport.send(get(format!("http://ann:hush@{server}/path"))).await.unwrap();
    let seen = answer.into_body().collect(100).await.unwrap();
    assert_eq!(seen, format!("http://{server}/path"));
}
