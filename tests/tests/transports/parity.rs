//! The same program sends the same bytes, whichever transport it uses.

use std::collections::BTreeSet;
use std::io;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::Request;
use mstr::{ApiTokenRequest, Body, Connection, Credentials, SharedTransport, TlsConfig, Transport};
use mstr_fake::loopback::{RawConnection, RawRequest, RawServer};
use mstr_fake::{ReplyBody, Server};
use mstr_hyper::HyperTransport;
use mstr_suite::Stack;

/// Every call of the main job and of the session's own operations, on every way into a session.
async fn program(base_url: &str, transport: SharedTransport) -> Result<(), mstr::Error> {
    let connect = |credentials: Credentials| {
        Connection::builder(base_url).credentials(credentials).seed(7).transport(transport.clone())
    };
    let alice = connect(Credentials::standard("alice", "sécret \"+&%"))
        .project_name("MicroStrategy Tutorial")
        .connect()
        .await?;
    for method in ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"] {
        let method: http::Method = method.parse().unwrap();
        alice.request(method, "/api/echo").query(&[("a", "x y/ä&=")]).send_raw().await?;
    }
    let json = serde_json::json!({ "name": "Umsätze", "values": [1, 2.5, null] });
    alice.post("/api/echo").json(&json).send().await?;
    alice.put("/api/echo").body("plain text").header("content-type", "text/plain").send().await?;
    alice.post("/api/echo").body("no type at all").send().await?;
    alice.patch("/api/echo").form(&[("a", "1"), ("b", "x y")]).send().await?;
    alice.delete("/api/echo").json(&json).send_raw().await?;
    let piece = || Body::wrap(http_body_util::Full::new(Bytes::from_static(b"streamed")));
    alice.post("/api/echo").body(Body::replayable(piece)).send().await?;
    alice.get("/api/echo").header("x-own", "one").header("x-own", "two").send().await?;
    alice.get("/api/nothing/here").send_raw().await?;
    let scope = alice.select_project("Platform Analytics").await?;
    scope.get("/api/echo").send().await?;
    alice.fetch_user().await?;
    alice.fetch_server().await?;
    alice.fetch_session().await?;
    alice.fetch_status().await?;
    alice.renew().await?;
    alice.close().await;

    let bob = connect(Credentials::ldap("bob", "hidden")).connect().await?;
    let identity = bob.create_identity_token().await?;
    bob.validate_identity_token(&identity).await?;
    let borrowed = bob.delegate(identity).await?;
    borrowed.get("/api/echo").send().await?;
    borrowed.close().await;
    let created = bob.create_api_token(ApiTokenRequest::new()).await;
    drop(created);
    bob.close().await;

    connect(Credentials::anonymous()).connect().await?.close().await;
    connect(Credentials::api_token("APITOKEN-0001")).connect().await?.close().await;
    let refused = connect(Credentials::standard("alice", "wrong")).connect().await;
    assert!(refused.is_err());
    Ok(())
}

/// Answers like the model, so that a request can be read byte by byte and still be understood.
fn answer_like(server: &Mutex<Server>, mut connection: RawConnection) -> io::Result<()> {
    while let Some(seen) = connection.read_request()? {
        let target = seen.target();
        let (method, path) = target.split_once(' ').unwrap_or_default();
        let mut request = Request::builder().method(method).uri(path);
        for (name, value) in seen.headers() {
            request = request.header(name, value);
        }
        let body = Bytes::copy_from_slice(seen.body());
        let request = request.body(body).map_err(io::Error::other)?;
        #[expect(clippy::disallowed_methods, reason = "a socket's server lives in real time")]
        let now = Instant::now();
        let response =
            server.lock().map_err(|_| io::ErrorKind::Other)?.handle(request, now).response;
        let mut head = format!("HTTP/1.1 {}\r\n", response.status());
        for (name, value) in response.headers() {
            head.push_str(&format!("{name}: {}\r\n", String::from_utf8_lossy(value.as_bytes())));
        }
        let ReplyBody::Bytes(body) = response.body() else {
            return Err(io::ErrorKind::Other.into());
        };
        let bare = method == "HEAD" || response.status() == 204;
        if !bare {
            head.push_str(&format!("content-length: {}\r\n", body.len()));
        }
        connection.write(head + "\r\n")?;
        if !bare {
            connection.write(body)?;
        }
    }
    Ok(())
}

/// Runs the program against a server of its own and returns what has arrived there.
fn arrived(run: fn(&str)) -> Vec<String> {
    let model = Server::builder()
        .user("alice", "sécret \"+&%")
        .ldap_user("bob", "hidden")
        .api_token("APITOKEN-0001", "alice")
        .build();
    let model = Arc::new(Mutex::new(model));
    let shared = Arc::clone(&model);
    let server = RawServer::start(move |connection| answer_like(&shared, connection)).unwrap();
    run(&server.url("/MicroStrategyLibrary"));
    assert_eq!(model.lock().unwrap().open_sessions(), 0);
    let port = format!(":{}", server.address().port());
    let alike = |text: String| {
        // The user agent names the transport, for bug reports.
        let text = without_numbers(&text).replace(&port, ":PORT");
        text.replace("mstr-hyper/", "TRANSPORT/").replace("mstr-isahc/", "TRANSPORT/")
    };
    server.requests().iter().map(|request| alike(shown(request))).collect()
}

/// Everything of a request, names in small letters and in order.
fn shown(request: &RawRequest) -> String {
    let headers: BTreeSet<String> = request
        .headers()
        .into_iter()
        .map(|(name, value)| {
            format!("{}: {}", name.to_lowercase(), String::from_utf8_lossy(&value))
        })
        .collect();
    let headers: Vec<String> = headers.into_iter().collect();
    let body = String::from_utf8_lossy(request.body());
    format!("{}\n{}\n\n{body}", request.target(), headers.join("\n"))
}

/// The load balancer numbers its answers, and those to requests sent side by side overtake each
/// other.
fn without_numbers(text: &str) -> String {
    let mut parts = text.split("=lb");
    let first = parts.next().unwrap_or_default().to_owned();
    let digits = |letter: char| letter.is_ascii_digit();
    parts.fold(first, |text, part| text + "=lb" + part.trim_start_matches(digits))
}

fn over(stack: Stack, base_url: &str) {
    stack.block_on(async {
        program(base_url, stack.transport(TlsConfig::new())).await.unwrap();
    });
}

#[test]
fn both_transports_send_the_same_bytes() {
    let hyper = arrived(|base_url| over(Stack::Hyper, base_url));
    let isahc = arrived(|base_url| over(Stack::Isahc, base_url));
    assert!(hyper.len() > 40, "{}", hyper.len());
    // The checks of a new session are sent side by side and arrive in any order.
    let sorted = |mut requests: Vec<String>| {
        requests.sort();
        requests
    };
    let (hyper, isahc) = (sorted(hyper), sorted(isahc));
    for (left, right) in hyper.iter().zip(&isahc) {
        assert_eq!(left, right);
    }
    assert_eq!(hyper.len(), isahc.len());
}

#[test]
fn a_pool_that_keeps_for_ever_panics_nowhere() {
    use std::sync::atomic::{AtomicBool, Ordering};

    static PANICKED: AtomicBool = AtomicBool::new(false);
    const NAME: &str = "keeps for ever";

    let server = RawServer::start(|mut connection| {
        while connection.read_request()?.is_some() {
            connection.answer("200 OK", "fine")?;
        }
        Ok(())
    })
    .unwrap();
    // hyper's tasks are its own: a panic in one is not reported elsewhere.
    let before = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |info| {
        if std::thread::current().name() == Some(NAME) {
            PANICKED.store(true, Ordering::SeqCst);
        }
        before(info);
    }));
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .thread_name(NAME)
        .enable_all()
        .build()
        .unwrap();
    let transport = HyperTransport::builder()
        .connect_timeout(Duration::MAX)
        .pool_idle_timeout(Duration::MAX)
        .tcp_keepalive(Duration::MAX)
        .runtime(runtime.handle().clone())
        .build()
        .unwrap();
    for _ in 0..2 {
        let request = Request::get(server.url("/")).body(Body::empty()).unwrap();
        let answer = runtime.block_on(transport.send(request)).unwrap();
        runtime.block_on(answer.into_body().collect(100)).unwrap();
        let pause = Duration::from_millis(50);
        runtime.block_on(async { tokio::time::sleep(pause).await });
    }
    assert!(!PANICKED.load(Ordering::SeqCst));
}
