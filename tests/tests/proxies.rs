//! Sessions through proxies of every kind, with nothing going past them.

#![expect(clippy::unwrap_used, reason = "this is test code")]

use std::error::Error as _;
use std::net::SocketAddr;
use std::process::Command;

use http::{Request, Version};
use mstr::hyper::blocking::HyperBlocking;
use mstr::hyper::{HyperTransport, HyperTransportBuilder};
use mstr::{
    BlockingTransport, Body, Connection, Error, ErrorKind, ProxyConfig, RetryPolicy,
    SharedTransport, TlsConfig, Transport, TransportErrorKind, blocking,
};
use mstr_fake::loopback::{Authority, HttpServer, ProxyKind, ProxyServer, ServerTls};
use mstr_fake::{Purpose, Server};
use mstr_isahc::blocking::IsahcBlocking;
use mstr_isahc::{IsahcTransport, IsahcTransportBuilder};
use mstr_suite::{Lab, Stack, server};
use serde_json::Value;

/// Names and addresses that lead nowhere, except through a proxy that was told where.
const NAME: &str = "env.example.test";
const NOWHERE: &str = "127.0.0.9";

const PASSWORD: &str = "a p@ss:word/%";
const USER: &str = "ann:a%20p%40ss%3Aword%2F%25@";

/// A server that only the proxy can find.
struct World {
    server: HttpServer,
    proxy: ProxyServer,
    authority: Authority,
    base_url: String,
}

impl World {
    /// `proxy` and `server` say whether to speak TLS; the server is known as `host`.
    fn start(proxy: bool, server: bool, host: &str) -> Self {
        let authority = Authority::new().unwrap();
        let tls = |name: &str| ServerTls::new(&authority.issue(name).unwrap()).unwrap();
        let mut running = HttpServer::builder();
        if server {
            running = running.tls(tls(host));
        }
        let running = running.start(mstr_suite::server().build()).unwrap();
        let mut builder =
            ProxyServer::builder().credentials("ann", PASSWORD).resolve(host, running.address());
        if proxy {
            builder = builder.tls(tls("127.0.0.1"));
        }
        let scheme = if server { "https" } else { "http" };
        let base_url = format!("{scheme}://{host}:8/MicroStrategyLibrary");
        Self { proxy: builder.start().unwrap(), server: running, authority, base_url }
    }

    fn settings(&self, scheme: &str) -> (TlsConfig, ProxyConfig) {
        let proxy = ProxyConfig::new().all(self.proxy.url(&format!("{scheme}://{USER}")));
        (TlsConfig::new().add_root_pem(self.authority.pem()), proxy)
    }

    fn transport(&self, scheme: &str) -> HyperTransportBuilder {
        let (tls, proxy) = self.settings(scheme);
        HyperTransport::builder().tls(tls).proxy(proxy)
    }

    fn isahc(&self, scheme: &str) -> IsahcTransportBuilder {
        let (tls, proxy) = self.settings(scheme);
        IsahcTransport::builder().tls(tls).proxy(proxy)
    }

    /// Everything the server has seen came as a whole session, all of it through the proxy.
    fn check(&self, kind: ProxyKind, host: &str) {
        let requests = self.server.server(|server| {
            assert_eq!(server.open_sessions(), 0);
            let journal = server.journal();
            assert_eq!(journal.count(Purpose::Login), 2, "one more for the session that ended");
            assert_eq!(journal.secrets_seen_outside_auth(), [""; 0]);
            journal.len()
        });
        let seen = self.proxy.seen();
        assert!(!seen.is_empty());
        for entry in &seen {
            assert!(entry.admitted && entry.kind == kind, "{entry:?}");
            assert_eq!(entry.target, format!("{host}:8"));
            assert_eq!(entry.credentials, Some(("ann".to_owned(), PASSWORD.to_owned())));
        }
        let bytes = self.proxy.bytes_seen();
        let through =
            |text: &str| bytes.windows(text.len()).filter(|at| *at == text.as_bytes()).count();
        if self.base_url.starts_with("https") {
            assert_eq!(through("MicroStrategyLibrary") + through("x-mstr-authtoken"), 0);
        } else {
            // Each request's first line, with or without the host in it.
            assert_eq!(through("/MicroStrategyLibrary/api/"), requests);
        }
    }
}

/// The transport of hyper, or of isahc.
fn with_settings(stack: Stack, tls: TlsConfig, proxy: ProxyConfig) -> SharedTransport {
    match stack {
        Stack::Isahc => {
            SharedTransport::new(IsahcTransport::builder().tls(tls).proxy(proxy).build().unwrap())
        }
        _ => SharedTransport::new(HyperTransport::builder().tls(tls).proxy(proxy).build().unwrap()),
    }
}

/// Connects, calls, loses the session, calls again and closes.
async fn lead_a_life(transport: impl Transport, server: &HttpServer, base_url: &str) {
    let connection = Connection::builder(base_url)
        .standard("alice", "secret")
        .allow_insecure_http()
        .transport(transport)
        .connect()
        .await
        .unwrap();
    server.server(Server::expire_all_sessions);
    let response = connection.post("/api/echo").body("text").send().await.unwrap();
    let echo: Value = response.json().await.unwrap();
    assert_eq!(echo["body"], "text");
    for header in ["proxy-authorization", "proxy-connection", "authorization", "via"] {
        assert!(echo["headers"][header].is_null(), "{echo}");
    }
    let blob = connection.get("/api/blob?size=1000000").send().await.unwrap();
    assert_eq!(blob.bytes().await.unwrap().len(), 1_000_000);
    connection.close().await;
}

/// The same in blocking code, without a look at what comes back.
fn lead_a_blocking_life(transport: impl BlockingTransport, world: &World) {
    let connection = blocking::Connection::builder(&world.base_url)
        .standard("alice", "secret")
        .allow_insecure_http()
        .blocking_transport(transport)
        .connect()
        .unwrap();
    world.server.server(Server::expire_all_sessions);
    connection.get("/api/echo").send().unwrap();
    connection.close();
}

/// A life through one kind of proxy over each transport, asynchronous and blocking.
fn through(scheme: &str, secure: bool, kind: ProxyKind) {
    // Names that are looked up here have to be addresses.
    let host = if scheme == "socks5" { NOWHERE } else { NAME };
    let world = || World::start(scheme == "https", secure, host);
    Lab::loopback(async |_| {
        let world = world();
        let transport = world.transport(scheme).build().unwrap();
        lead_a_life(transport, &world.server, &world.base_url).await;
        world.check(kind, host);
    });
    let blocking = world();
    let transport = HyperBlocking::from_builder(blocking.transport(scheme)).unwrap();
    lead_a_blocking_life(transport, &blocking);
    blocking.check(kind, host);

    if scheme == "https" {
        let error = world().isahc(scheme).build().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Config);
        let text = all_of(&error);
        assert!(text.contains("isahc cannot check the certificate of a proxy"), "{text}");
        return;
    }
    Lab::over(Stack::Isahc, async |_| {
        let world = world();
        let transport = world.isahc(scheme).build().unwrap();
        lead_a_life(transport, &world.server, &world.base_url).await;
        world.check(kind, host);
    });
    let blocking = world();
    let transport = IsahcBlocking::from_builder(blocking.isahc(scheme)).unwrap();
    lead_a_blocking_life(transport, &blocking);
    blocking.check(kind, host);
}

#[test]
fn a_session_with_an_http_server_through_an_http_proxy() {
    through("http", false, ProxyKind::Forward);
}

#[test]
fn a_session_with_an_https_server_through_an_http_proxy() {
    through("http", true, ProxyKind::Connect);
}

#[test]
fn a_session_with_an_http_server_through_a_proxy_over_tls() {
    through("https", false, ProxyKind::Forward);
}

#[test]
fn a_session_with_an_https_server_through_a_proxy_over_tls() {
    through("https", true, ProxyKind::Connect);
}

#[test]
fn a_session_with_an_http_server_through_a_socks_proxy() {
    through("socks5", false, ProxyKind::Socks5);
    through("socks5h", false, ProxyKind::Socks5);
}

#[test]
fn a_session_with_an_https_server_through_a_socks_proxy() {
    through("socks5", true, ProxyKind::Socks5);
    through("socks5h", true, ProxyKind::Socks5);
}

#[test]
fn http_2_is_spoken_inside_a_tunnel() {
    Lab::loopback(async |_| {
        for (scheme, secure) in [("http", true), ("https", true), ("socks5h", true)] {
            let world = World::start(scheme == "https", secure, NAME);
            let transport = world.transport(scheme).build().unwrap();
            assert_eq!(version(&transport, &world.base_url).await, Version::HTTP_2, "{scheme}");
        }
        // Without TLS as well, if nothing else is to be spoken: that cannot be forwarded.
        let world = World::start(false, false, NAME);
        let transport = world.transport("http").http2_only().build().unwrap();
        assert_eq!(version(&transport, &world.base_url).await, Version::HTTP_2);
        assert_eq!(world.proxy.seen()[0].kind, ProxyKind::Connect);
    });
}

async fn version(transport: &HyperTransport, base_url: &str) -> Version {
    let request = Request::get(format!("{base_url}/api/status")).body(Body::empty()).unwrap();
    transport.send(request).await.unwrap().version()
}

/// Everything an error says, its causes included.
fn all_of(error: &Error) -> String {
    let mut text = format!("{error} {error:?}");
    let mut cause = error.source();
    while let Some(inner) = cause {
        text += &format!(" {inner} {inner:?}");
        cause = inner.source();
    }
    text
}

#[test]
fn errors_about_a_proxy_do_not_show_its_password() {
    Lab::loopback(async |_| {
        let world = World::start(false, true, NAME);
        let place = world.proxy.address();
        for (scheme, base_url, expected) in [
            ("http", &*world.base_url, "refused: 407 Proxy Authentication Required"),
            ("http", "http://env.example.test/x", "refused: 407 Proxy Authentication Required"),
            ("socks5h", &world.base_url, "refused: wrong user or password"),
            ("https", &world.base_url, "connecting to the proxy"),
        ] {
            let proxy = ProxyConfig::new().all(world.proxy.url(&format!("{scheme}://ann:hush@")));
            let builder = HyperTransport::builder().proxy(proxy);
            let shown = format!("{builder:?}");
            assert!(shown.contains(&place.to_string()) && !shown.contains("hush"), "{shown}");
            let transport = builder.build().unwrap();
            assert!(!format!("{transport:?}").contains("hush"));
            let connecting = Connection::builder(base_url)
                .standard("alice", "secret")
                .allow_insecure_http()
                .retry(RetryPolicy::never())
                .transport(transport)
                .connect();
            let error = connecting.await.unwrap_err();
            let text = all_of(&error);
            assert!(text.contains(expected), "{text}");
            assert!(text.contains(&format!("the proxy {scheme}://{place}")), "{text}");
            assert!(!text.contains("hush") && !text.contains("secret"), "{text}");
            if expected.starts_with("refused") {
                assert_eq!(error.kind(), ErrorKind::Config, "{text}");
            }
        }
        assert_eq!(world.server.server(|server| server.journal().len()), 0);
    });
}

#[test]
fn a_proxy_that_refuses_isahc_is_named_without_its_password() {
    Lab::over(Stack::Isahc, async |_| {
        let world = World::start(false, true, NAME);
        for (scheme, base_url, expected) in [
            ("http", &*world.base_url, "refused: it said no, or cannot be reached"),
            ("http", "http://env.example.test/x", "refused: 407 Proxy Authentication Required"),
            ("socks5h", &world.base_url, "refused: it said no, or cannot be reached"),
        ] {
            let proxy = ProxyConfig::new().all(world.proxy.url(&format!("{scheme}://ann:hush@")));
            let connecting = Connection::builder(base_url)
                .standard("alice", "secret")
                .allow_insecure_http()
                .retry(RetryPolicy::never())
                .transport(IsahcTransport::builder().proxy(proxy).build().unwrap())
                .connect();
            let error = connecting.await.unwrap_err();
            let text = all_of(&error);
            let named = format!("the proxy {scheme}://{} {expected}", world.proxy.address());
            assert!(text.contains(&named), "{text}");
            assert!(!text.contains("hush") && !text.contains("secret"), "{text}");
            assert_eq!(error.kind(), ErrorKind::Config, "{text}");
        }
        assert_eq!(world.server.server(|server| server.journal().len()), 0);
    });
}

/// The default policy tries three times what can pass by itself. A wrong password cannot, and
/// locks accounts.
#[test]
fn a_password_that_a_proxy_refuses_is_submitted_once() {
    for stack in [Stack::Hyper, Stack::Isahc] {
        Lab::over(stack, async |_| {
            for (scheme, secure) in [("http", false), ("http", true), ("socks5h", true)] {
                let world = World::start(false, secure, NAME);
                let proxy = world.proxy.url(&format!("{scheme}://ann:hush@"));
                let proxy = ProxyConfig::new().all(proxy);
                let connecting = Connection::builder(&world.base_url)
                    .standard("alice", "secret")
                    .allow_insecure_http()
                    .transport(with_settings(stack, TlsConfig::new(), proxy))
                    .connect();
                assert_eq!(connecting.await.unwrap_err().kind(), ErrorKind::Config);
                let submitted = world.proxy.seen().into_iter();
                let submitted = submitted.filter(|entry| entry.credentials.is_some()).count();
                assert_eq!(submitted, 1, "{stack:?} {scheme} {secure}");
            }
        });
    }
}

#[test]
fn a_proxy_that_cannot_work_is_an_error_when_the_transport_is_built() {
    Lab::loopback(async |_| {
        let long = format!("socks5://ann:{}@proxy", "hush".repeat(100));
        for (url, expected) in [
            ("gopher://ann:hush@proxy", "ProxyConfig::all: `gopher://***@proxy`"),
            (&*long, "longer than the 255 bytes"),
        ] {
            let proxy = ProxyConfig::new().all(url);
            let error = HyperTransport::builder().proxy(proxy).build().unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Config);
            let text = all_of(&error);
            assert!(text.contains(expected) && !text.contains("hush"), "{text}");
        }
    });
}

#[test]
fn a_proxy_that_says_nothing_is_left_in_time() {
    Lab::loopback(async |_| {
        // Accepts connections in the name of the operating system, and never looks at them.
        let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let place = silent.local_addr().unwrap();
        for scheme in ["http", "https", "socks5h"] {
            let proxy = ProxyConfig::new().all(format!("{scheme}://ann:hush@{place}"));
            let limit = std::time::Duration::from_millis(100);
            let builder = HyperTransport::builder().proxy(proxy).connect_timeout(limit);
            let transport = builder.build().unwrap();
            let request = Request::get("https://env.example.test/").body(Body::empty()).unwrap();
            let error = transport.send(request).await.unwrap_err();
            assert_eq!(error.kind(), TransportErrorKind::Timeout);
            let expected = format!(
                "connecting to env.example.test:443 through the proxy {scheme}://{place}; for 100ms"
            );
            assert!(error.to_string().contains(&expected), "{error}");
        }
    });
}

/// The settings of a child process: the server's address, the authority to trust, and whether to ask the
/// environment for proxies.
const BASE_URL: &str = "MSTR_TESTS_BASE_URL";
const AUTHORITY: &str = "MSTR_TESTS_AUTHORITY";
const ASKS: &str = "MSTR_TESTS_ASKS";

/// Runs in processes of its own, see below, and does nothing in this one.
#[test]
#[expect(clippy::disallowed_methods, reason = "this is how it is told what to do")]
fn a_session_as_the_environment_says() {
    let Ok(base_url) = std::env::var(BASE_URL) else { return };
    for stack in [Stack::Hyper, Stack::Isahc] {
        Lab::over(stack, async |_| {
            let mut tls = TlsConfig::new();
            if let Ok(authority) = std::env::var(AUTHORITY) {
                tls = tls.add_root_pem(authority);
            }
            let proxy = std::env::var(ASKS).map(|_| ProxyConfig::from_env()).unwrap_or_default();
            let connection = Connection::builder(&base_url)
                .standard("alice", "secret")
                .allow_insecure_http()
                .transport(with_settings(stack, tls, proxy))
                .connect()
                .await
                .unwrap();
            connection.get("/api/echo").send().await.unwrap();
            connection.close().await;
        });
    }
}

const VARIABLES: [&str; 8] = [
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "ALL_PROXY",
    "NO_PROXY",
    "http_proxy",
    "https_proxy",
    "all_proxy",
    "no_proxy",
];

/// Leads a session over each transport in a child process with these variables and no others about
/// proxies.
fn in_a_child(base_url: &str, authority: Option<&Authority>, asks: bool, given: &[(&str, String)]) {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", "a_session_as_the_environment_says"]);
    for name in VARIABLES.iter().chain(&["REQUEST_METHOD", ASKS]) {
        command.env_remove(name);
    }
    command.env(BASE_URL, base_url);
    if let Some(authority) = authority {
        command.env(AUTHORITY, authority.pem());
    }
    if asks {
        command.env(ASKS, "yes");
    }
    command.envs(given.iter().map(|(name, value)| (name, value)));
    let output = command.output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && said.contains("1 passed"), "{given:?}: {said}");
}

#[test]
fn proxies_of_the_environment_are_used_on_request() {
    let plain = HttpServer::start(server().build()).unwrap();
    let named = |address: SocketAddr| ProxyServer::builder().resolve(NAME, address);
    let base_url = format!("http://{NAME}:8/MicroStrategyLibrary");
    for (name, scheme, kind) in [
        ("HTTP_PROXY", "http://ann:hush@", ProxyKind::Forward),
        ("http_proxy", "", ProxyKind::Forward),
        ("ALL_PROXY", "socks5h://", ProxyKind::Socks5),
    ] {
        let proxy = named(plain.address()).start().unwrap();
        in_a_child(&base_url, None, true, &[(name, proxy.url(scheme))]);
        assert!(!proxy.seen().is_empty(), "{name}");
        assert!(proxy.seen().iter().all(|entry| entry.kind == kind), "{name}");
    }

    let authority = Authority::new().unwrap();
    let tls = ServerTls::new(&authority.issue(NAME).unwrap()).unwrap();
    let secure = HttpServer::builder().tls(tls).start(server().build()).unwrap();
    let base_url = format!("https://{NAME}:8/MicroStrategyLibrary");
    let (one, other) = (named(secure.address()).start().unwrap(), ProxyServer::start().unwrap());
    let given = [("HTTPS_PROXY", one.url("http://")), ("HTTP_PROXY", other.url("http://"))];
    in_a_child(&base_url, Some(&authority), true, &given);
    assert!(one.seen().iter().all(|entry| entry.kind == ProxyKind::Connect));
    assert_eq!((one.seen().is_empty(), other.seen().len()), (false, 0));

    let proxy = ProxyServer::start().unwrap();
    let given = [("ALL_PROXY", proxy.url("http://")), ("NO_PROXY", "127.0.0.0/8".to_owned())];
    in_a_child(plain.base_url(), None, true, &given);
    assert_eq!(proxy.seen().len(), 0);
    let logins = |server: &HttpServer| server.server(|model| model.journal().count(Purpose::Login));
    assert_eq!((logins(&plain), logins(&secure)), (8, 2), "two transports each");
}

#[test]
fn proxies_of_the_environment_are_not_used_unasked() {
    let plain = HttpServer::start(server().build()).unwrap();
    let proxy = ProxyServer::start().unwrap();
    let given: Vec<(&str, String)> = VARIABLES
        .into_iter()
        .filter(|name| !name.eq_ignore_ascii_case("no_proxy"))
        .map(|name| (name, proxy.url("http://")))
        .collect();
    assert_eq!(given.len(), 6);
    in_a_child(plain.base_url(), None, false, &given);
    assert_eq!(proxy.seen().len(), 0);
    assert_eq!(plain.server(|model| model.journal().count(Purpose::Login)), 2);
    // The same variables take effect when the program asks for them.
    in_a_child(plain.base_url(), None, true, &given);
    assert!(!proxy.seen().is_empty());
}
