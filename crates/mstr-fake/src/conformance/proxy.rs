//! Requests go through the proxy they are meant for, and nothing goes past it.

use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::sync::Arc;
use std::time::Duration;

use http::header::HeaderValue;
use http::{Method, Request};
use mstr_core::settings::ProxyConfig;
use mstr_core::{Body, RequestContext, Sent, TransportError, TransportErrorKind as Kind};

use super::context::{PATIENCE, limited, pattern, request};
use super::tls::given;
use super::{Context, Target};
use crate::loopback::{
    Authority, HttpServer, ProxyEntry, ProxyKind, ProxyServer, ProxyServerBuilder, RawServer,
    ServerTls,
};
use crate::server::Server;

/// A name that only a proxy that was told it can look up (RFC 6761).
const NAME: &str = "env.example.test";

fn start(builder: ProxyServerBuilder) -> ProxyServer {
    given(builder.start())
}

/// Aims the context through `proxy` at servers that `authority` has signed.
fn aim(context: &mut Context, proxy: ProxyConfig, authority: Option<&Authority>) {
    context.aim(&Target {
        authority_pem: authority.map(Authority::pem),
        proxy: Some(proxy),
        ..Target::default()
    });
}

fn through(url: String) -> ProxyConfig {
    ProxyConfig::new().all(url)
}

/// An https server with this name in its certificate.
fn https_server(name: &str) -> (Authority, HttpServer) {
    let authority = given(Authority::new());
    let tls = given(ServerTls::new(&given(authority.issue(name))));
    let model = Server::builder().user("alice", "secret").build();
    let server = given(HttpServer::builder().tls(tls).start(model));
    (authority, server)
}

/// A server that answers with what it gets.
fn mirror(context: &mut Context) -> Arc<RawServer> {
    context.serve(|mut connection| {
        while let Some(request) = connection.read_request()? {
            connection.answer("200 OK", request.body())?;
        }
        Ok(())
    })
}

/// Sends a body there and back.
async fn there_and_back(context: &Context, url: &str) {
    for size in [0, 5, 300_000] {
        let body = pattern(size);
        let response = context.exchange(request(Method::POST, url, Body::from(body.clone()))).await;
        assert_eq!(response.status(), 200, "{url}");
        assert!(response.body() == &body, "{url}: {} of {size} bytes", response.body().len());
    }
}

async fn failure_of(context: &Context, sent: Request<Body>) -> TransportError {
    let url = sent.uri().to_string();
    match context.send(sent).await {
        Ok(response) => panic!("{url} was answered: {response:?}"),
        Err(error) => error,
    }
}

/// The error of a request that cannot have reached any server.
async fn refusal(context: &Context, url: &str) -> TransportError {
    let error = not_sent(context, url).await;
    assert_eq!(error.kind(), Kind::Connect, "{url}: {error:?}");
    error
}

async fn not_sent(context: &Context, url: &str) -> TransportError {
    let sent = request(Method::POST, url, Body::from("once"));
    let error = failure_of(context, limited(context, sent, PATIENCE, PATIENCE)).await;
    assert_eq!(error.sent(), Sent::No, "{url}: {error:?}");
    error
}

/// A port that was free a moment ago.
fn unreachable() -> SocketAddr {
    let listener = given(TcpListener::bind((Ipv4Addr::LOCALHOST, 0)));
    given(listener.local_addr())
}

fn targets(proxy: &ProxyServer) -> Vec<(ProxyKind, String)> {
    proxy.seen().into_iter().map(|entry| (entry.kind, entry.target)).collect()
}

fn all_are(proxy: &ProxyServer, kind: ProxyKind, target: &str) -> bool {
    let seen = targets(proxy);
    !seen.is_empty() && seen.iter().all(|entry| *entry == (kind, target.to_owned()))
}

fn contains(haystack: &[u8], needle: &str) -> bool {
    haystack.windows(needle.len()).any(|window| window == needle.as_bytes())
}

pub(super) async fn a_forwarded_request_arrives_whole_and_with_nothing_added(mut context: Context) {
    let server = mirror(&mut context);
    let url = server.url("/a//b%2F?c=%20d&e");
    let sent = || {
        let mut sent = request(Method::PUT, &url, Body::from("text"));
        for value in ["one", "two"] {
            sent.headers_mut().append("x-several", HeaderValue::from_static(value));
        }
        sent
    };
    context.exchange(sent()).await;
    let proxy = start(ProxyServer::builder());
    aim(&mut context, through(proxy.url("http://")), None);
    let response = context.exchange(sent()).await;
    assert_eq!(&response.body()[..], b"text");
    let [direct, forwarded] = &server.requests()[..] else { panic!("two requests") };
    let headers = |request: &crate::loopback::RawRequest| {
        let mut headers = request.headers();
        headers.sort();
        headers
    };
    assert_eq!(headers(direct), headers(forwarded));
    assert_eq!((direct.line(), direct.body()), (forwarded.line(), forwarded.body()));

    let seen = proxy.seen();
    let [ProxyEntry { kind, target, credentials: None, request: Some(seen), .. }] = &seen[..]
    else {
        panic!("one request without a password: {seen:?}");
    };
    assert_eq!((*kind, target), (ProxyKind::Forward, &server.address().to_string()));
    assert_eq!(seen.target(), format!("PUT {url}"));
    there_and_back(&context, &server.url("/")).await;
}

pub(super) async fn a_tunnel_shows_the_proxy_host_and_port_only(mut context: Context) {
    let (authority, server) = https_server(NAME);
    let proxy = start(ProxyServer::builder().resolve(NAME, server.address()));
    aim(&mut context, through(proxy.url("http://")), Some(&authority));
    let url = format!("https://{NAME}/MicroStrategyLibrary/api/status?a-query-to-be-found");
    let mut sent = request(Method::POST, &url, Body::from("a-body-to-be-found"));
    sent.headers_mut().insert("x-mstr-authtoken", HeaderValue::from_static("a-token-to-be-found"));
    context.exchange(sent).await;
    assert_eq!(server.server(|server| server.journal().len()), 1);

    let seen = proxy.seen();
    let [ProxyEntry { kind: ProxyKind::Connect, target, request: Some(seen), .. }] = &seen[..]
    else {
        panic!("one tunnel: {seen:?}");
    };
    assert_eq!(target, &format!("{NAME}:443"));
    for (name, value) in seen.headers() {
        let usual = ["host", "proxy-connection", "user-agent"].contains(&&*name);
        assert!(usual && !contains(&value, "to-be-found"), "{name}");
    }
    let bytes = proxy.bytes_seen();
    assert!(contains(&bytes, NAME) && bytes.len() > 500, "{} bytes", bytes.len());
    for hidden in ["to-be-found", "MicroStrategyLibrary", "x-mstr-authtoken"] {
        assert!(!contains(&bytes, hidden), "{hidden}");
    }
}

pub(super) async fn a_whole_session_goes_through_a_tunnel(mut context: Context) {
    let proxy = start(ProxyServer::builder());
    let (authority, tls) = super::tls::trusted();
    aim(&mut context, through(proxy.url("http://")), Some(&authority));
    super::session::live(&context, HttpServer::builder().tls(tls)).await;
    let seen = proxy.seen();
    assert!(!seen.is_empty() && seen.iter().all(|entry| entry.kind == ProxyKind::Connect));
}

pub(super) async fn the_password_is_for_the_proxy_and_not_for_the_server(mut context: Context) {
    let plain = mirror(&mut context);
    let (authority, secure) = https_server(NAME);
    let builder = ProxyServer::builder().credentials("corp\\ann", "p@ss:wörd/%");
    let proxy = start(builder.resolve(NAME, secure.address()));
    let url = proxy.url("http://corp%5Cann:p%40ss%3Aw%C3%B6rd%2F%25@");
    aim(&mut context, through(url), Some(&authority));
    context.get(&plain.url("/")).await;
    context.get(&format!("https://{NAME}/MicroStrategyLibrary/api/status")).await;
    let expected = Some(("corp\\ann".to_owned(), "p@ss:wörd/%".to_owned()));
    let seen = proxy.seen();
    assert!(seen.iter().any(|entry| entry.kind == ProxyKind::Forward));
    assert!(seen.iter().any(|entry| entry.kind == ProxyKind::Connect));
    let admitted: Vec<_> = seen.iter().filter(|entry| entry.admitted).collect();
    assert_eq!(admitted.len(), 2);
    assert!(admitted.iter().all(|entry| entry.credentials == expected), "{seen:?}");
    // A proxy that takes nothing away would show what else stands in the request.
    let raw = context.answer("200 OK", "");
    aim(&mut context, through(format!("http://ann:hush@{}", raw.address())), None);
    context.get(&plain.url("/")).await;
    assert_eq!(raw.requests().remove(0).values("authorization"), [b""; 0]);
    let shown = format!("{:?}", context.transport);
    assert!(!shown.contains("hush"), "{shown}");
}

pub(super) async fn a_wrong_password_is_a_refusal_and_nothing_was_sent(mut context: Context) {
    let plain = mirror(&mut context);
    let (authority, secure) = https_server("127.0.0.1");
    let proxy = start(ProxyServer::builder().credentials("ann", "right"));
    for user in ["", "ann:hush@", "bob:right@"] {
        let url = proxy.url(&format!("http://{user}"));
        aim(&mut context, through(url), Some(&authority));
        for url in [plain.url("/"), secure.base_url().to_owned()] {
            let error = not_sent(&context, &url).await;
            // A wrong password is a wrong setting, which is not tried again: repetitions lock accounts.
            // Without one, some stacks cannot tell this refusal from another.
            let wrong = error.kind() == Kind::Config;
            assert!(wrong || user.is_empty() && error.kind() == Kind::Connect, "{error:?}");
            let shown = format!("{error} {error:?}");
            assert!(shown.contains(&proxy.address().to_string()), "{shown}");
            assert!(!shown.contains("hush"), "{shown}");
        }
    }
    assert!(proxy.seen().iter().all(|entry| !entry.admitted));
    assert_eq!(plain.connections(), 0);
    assert_eq!(secure.server(|server| server.journal().len()), 0);
}

pub(super) async fn a_proxy_that_wants_another_authentication_says_which(mut context: Context) {
    let head = "407 Proxy Authentication Required\r\nproxy-authenticate: NTLM\r\n\
                proxy-authenticate: Negotiate";
    let proxy = context.answer(head, "no");
    aim(&mut context, through(format!("http://ann:hush@{}", proxy.address())), None);
    let error = not_sent(&context, "http://nowhere.example.test/").await;
    assert_eq!(error.kind(), Kind::Config, "{error:?}");
    let shown = error.to_string();
    assert!(shown.contains("NTLM, Negotiate") && !shown.contains("hush"), "{shown}");
}

pub(super) async fn a_proxy_that_is_not_there_is_no_connection(mut context: Context) {
    let server = context.answer("200 OK", "");
    let proxy = unreachable();
    for user in ["", "ann:hush@"] {
        aim(&mut context, through(format!("http://{user}{proxy}")), None);
        for scheme in ["http", "https"] {
            let url = format!("{scheme}://{}/", server.address());
            let error = if user.is_empty() {
                refusal(&context, &url).await
            } else {
                not_sent(&context, &url).await
            };
            let shown = format!("{error} {error:?}");
            assert!(shown.contains(&proxy.to_string()) && !shown.contains("hush"), "{shown}");
        }
    }
    assert_eq!(server.connections(), 0);
}

pub(super) async fn hosts_that_are_excepted_are_reached_directly(mut context: Context) {
    let server = context.answer("200 OK", "");
    let proxy = start(ProxyServer::builder());
    let config = through(proxy.url("http://")).no_proxy("localhost, elsewhere.example.test");
    aim(&mut context, config, None);
    context.get(&format!("http://localhost:{}/", server.address().port())).await;
    assert_eq!((targets(&proxy), server.requests().len()), (Vec::new(), 1));
    context.get(&server.url("/")).await;
    assert_eq!(targets(&proxy), [(ProxyKind::Forward, server.address().to_string())]);
}

pub(super) async fn a_proxy_for_a_host_beats_the_one_for_all(mut context: Context) {
    let server = context.answer("200 OK", "");
    let special = start(ProxyServer::builder().resolve(NAME, server.address()));
    let general = start(ProxyServer::builder());
    let config = through(general.url("http://"));
    aim(&mut context, config.host("example.test", special.url("http://")), None);
    context.get(&format!("http://{NAME}/")).await;
    assert_eq!(general.seen().len(), 0);
    assert!(all_are(&special, ProxyKind::Forward, "env.example.test:80"));
    context.get(&server.url("/")).await;
    assert_eq!((general.seen().len(), special.seen().len()), (1, 1));
}

pub(super) async fn a_server_that_a_proxy_cannot_reach_was_sent_nothing(mut context: Context) {
    let proxy = start(ProxyServer::builder());
    aim(&mut context, through(proxy.url("http://")), None);
    let unreachable = unreachable();
    refusal(&context, &format!("https://{unreachable}/")).await;
    refusal(&context, "https://nowhere.example.test/").await;
    let connect = |target: &str| (ProxyKind::Connect, target.to_owned());
    let expected = [connect(&unreachable.to_string()), connect("nowhere.example.test:443")];
    assert_eq!(targets(&proxy), expected);
    // A request that is to be passed on has been answered, by the proxy or by the server.
    assert_eq!(context.get(&format!("http://{unreachable}/")).await.status(), 502);

    for answer in ["403 Forbidden", "404 Not Found", "302 Found\r\nlocation: http://localhost/"] {
        let proxy = context.answer(answer, "no");
        aim(&mut context, through(proxy.url("")), None);
        let error = not_sent(&context, "https://nowhere.example.test/").await;
        // `Config` where the transport knows that it will be the same the next time.
        let kinds = [Kind::Config, Kind::Connect];
        assert!(kinds.contains(&error.kind()), "{answer}: {error:?}");
        assert_eq!(proxy.requests().len(), 1, "{answer}: asked once");
    }
    let proxy = context.serve(|mut connection| connection.read_request().map(drop));
    aim(&mut context, through(proxy.url("")), None);
    refusal(&context, "https://nowhere.example.test/").await;
}

/// A proxy that says nothing, for a server that is not there either.
async fn silence(mut context: Context, scheme: &str) {
    let limit = Duration::from_millis(150);
    let proxy = context.serve(|mut connection| {
        connection.hang(PATIENCE);
        Ok(())
    });
    aim(&mut context, through(format!("{scheme}://{}", proxy.address())), None);
    let mut sent = request(Method::POST, "https://127.0.0.1:9/", Body::from("once"));
    let mut limits = RequestContext::default();
    limits.connect_timeout = Some(limit);
    limits.deadline = Some(context.transport.timer().now() + PATIENCE);
    limits.attach(&mut sent);
    let (error, took) = context.timed(failure_of(&context, sent)).await;
    assert_eq!((error.kind(), error.sent()), (Kind::Timeout, Sent::No), "{error:?}");
    assert!(took >= limit && took < PATIENCE / 2, "{took:?}");
    assert_eq!(proxy.connections(), 1);
}

pub(super) async fn a_silent_proxy_is_late_and_nothing_was_sent(context: Context) {
    silence(context, "http").await;
}

pub(super) async fn a_silent_socks_proxy_is_late_and_nothing_was_sent(context: Context) {
    silence(context, "socks5h").await;
}

pub(super) async fn a_silent_proxy_over_tls_is_late_and_nothing_was_sent(context: Context) {
    silence(context, "https").await;
}

pub(super) async fn names_are_looked_up_by_a_socks5h_proxy_and_here_for_a_socks5_one(
    mut context: Context,
) {
    let plain = mirror(&mut context);
    let (authority, secure) = https_server(NAME);
    let builder = ProxyServer::builder().resolve(NAME, secure.address());
    let proxy = start(builder.resolve("plain.example.test", plain.address()));
    aim(&mut context, through(proxy.url("socks5h://")), Some(&authority));
    context.get(&format!("https://{NAME}/MicroStrategyLibrary/api/status")).await;
    there_and_back(&context, "http://plain.example.test/").await;
    let seen = targets(&proxy);
    let socks = |target: &str| (ProxyKind::Socks5, target.to_owned());
    let [secured, plain_ones @ ..] = &seen[..] else { panic!("nothing went through") };
    assert_eq!(secured, &socks("env.example.test:443"));
    assert!(plain_ones.iter().all(|seen| *seen == socks("plain.example.test:80")), "{seen:?}");
    assert!(!contains(&proxy.bytes_seen(), "MicroStrategyLibrary"));

    // `localhost` is an address here before it gets to the proxy, in either version.
    let proxy = start(ProxyServer::builder().resolve("::1", plain.address()));
    aim(&mut context, through(proxy.url("socks5://")), None);
    let port = plain.address().port();
    context.get(&format!("http://localhost:{port}/")).await;
    context.get(&plain.url("/")).await;
    let seen = targets(&proxy);
    let (v4, v6) = (socks(&format!("127.0.0.1:{port}")), socks(&format!("[::1]:{port}")));
    assert!(seen.len() == 2 && seen.iter().all(|seen| *seen == v4 || *seen == v6), "{seen:?}");
    let error = refusal(&context, "http://no-such-host.invalid/").await;
    assert_eq!(proxy.seen().len(), 2, "{error:?}");
}

pub(super) async fn a_socks_proxy_gets_its_password(mut context: Context) {
    let server = mirror(&mut context);
    let proxy = start(ProxyServer::builder().credentials("ann", "p@ss:w"));
    aim(&mut context, through(proxy.url("socks5://ann:p%40ss%3Aw@")), None);
    there_and_back(&context, &server.url("/")).await;
    let expected = Some(("ann".to_owned(), "p@ss:w".to_owned()));
    assert!(all_are(&proxy, ProxyKind::Socks5, &server.address().to_string()));
    assert!(proxy.seen().iter().all(|entry| entry.credentials == expected && entry.admitted));
    let seen = server.requests();
    assert!(seen.iter().all(|request| request.values("proxy-authorization").is_empty()));

    let connections = server.connections();
    for user in ["", "ann:hush@", "bob:p%40ss%3Aw@"] {
        aim(&mut context, through(proxy.url(&format!("socks5h://{user}"))), None);
        let error = not_sent(&context, &server.url("/")).await;
        let wrong = error.kind() == Kind::Config;
        assert!(wrong || user.is_empty() && error.kind() == Kind::Connect, "{error:?}");
        assert!(!format!("{error} {error:?}").contains("hush"), "{error:?}");
    }
    assert_eq!(server.connections(), connections);
    // A proxy that asks for no password accepts a client that has one.
    let proxy = start(ProxyServer::builder());
    aim(&mut context, through(proxy.url("socks5://ann:hush@")), None);
    there_and_back(&context, &server.url("/")).await;
}

pub(super) async fn a_server_that_a_socks_proxy_cannot_reach_was_sent_nothing(
    mut context: Context,
) {
    let proxy = start(ProxyServer::builder());
    aim(&mut context, through(proxy.url("socks5h://")), None);
    let unreachable = unreachable();
    for url in [format!("http://{unreachable}/"), format!("https://{unreachable}/")] {
        refusal(&context, &url).await;
    }
    refusal(&context, "http://nowhere.example.test/").await;
    assert_eq!(proxy.seen().len(), 3);
    aim(&mut context, through(format!("socks5h://{unreachable}")), None);
    refusal(&context, "http://nowhere.example.test/").await;
}

pub(super) async fn a_proxy_is_spoken_to_over_tls(mut context: Context) {
    let plain = mirror(&mut context);
    let (authority, secure) = https_server(NAME);
    let tls = given(ServerTls::new(&given(authority.issue("127.0.0.1"))));
    let builder = ProxyServer::builder().tls(tls).credentials("ann", "p@ss");
    let proxy = start(builder.resolve(NAME, secure.address()));
    aim(&mut context, through(proxy.url("https://ann:p%40ss@")), Some(&authority));
    there_and_back(&context, &plain.url("/")).await;
    let url = format!("https://{NAME}/MicroStrategyLibrary/api/status");
    assert_eq!(context.get(&url).await.status(), 200);
    let admitted: Vec<_> = proxy.seen().into_iter().filter(|entry| entry.admitted).collect();
    let plain_target = plain.address().to_string();
    for entry in &admitted {
        let tunnel = entry.kind == ProxyKind::Connect;
        let target = if tunnel { "env.example.test:443" } else { &plain_target };
        assert_eq!(entry.target, target);
        assert_eq!(entry.credentials, Some(("ann".to_owned(), "p@ss".to_owned())));
    }
    assert!(admitted.iter().any(|entry| entry.kind == ProxyKind::Connect));
    let seen = plain.requests();
    assert!(seen.iter().all(|request| request.values("proxy-authorization").is_empty()));
    assert!(!contains(&proxy.bytes_seen(), "MicroStrategyLibrary"));
}

pub(super) async fn a_proxy_that_cannot_be_trusted_is_told_nothing(mut context: Context) {
    let plain = mirror(&mut context);
    let (authority, stranger) = (given(Authority::new()), given(Authority::new()));
    for identity in [stranger.issue("127.0.0.1"), authority.issue("elsewhere.example.test")] {
        let tls = given(ServerTls::new(&given(identity)));
        let proxy = start(ProxyServer::builder().tls(tls));
        aim(&mut context, through(proxy.url("https://ann:hush@")), Some(&authority));
        for url in [plain.url("/"), "https://127.0.0.1:9/".to_owned()] {
            let sent = request(Method::GET, &url, Body::empty());
            let error = failure_of(&context, limited(&context, sent, PATIENCE, PATIENCE)).await;
            assert_eq!((error.kind(), error.sent()), (Kind::Tls, Sent::No), "{error:?}");
        }
        assert_eq!((proxy.bytes_seen().len(), plain.connections()), (0, 0));
    }
}
