//! The first lines of errors: what failed, where and why.

use std::io;
use std::net::TcpListener;

use mstr::{Connection, Error, ProxyConfig, SharedTransport, TlsConfig};
use mstr_fake::loopback::{Authority, HttpServer, RawServer, ServerTls};
use mstr_hyper::HyperTransport;
use mstr_isahc::IsahcTransport;
use mstr_suite::{Stack, server};

/// The other end of the connection.
enum Situation {
    /// Nothing listens there.
    ClosedPort,
    /// A name that is too long to be one: no server of names is asked.
    UnknownName,
    /// The certificate of an authority that was not named.
    UnknownAuthority,
    /// A certificate for another host.
    OtherName,
    /// `https://` to a port that speaks plain http.
    HttpsToHttp,
    /// `http://` to a port that speaks https, which complains in TLS.
    HttpToHttps,
    /// The same, and a gateway there complains in HTTP.
    HttpToHttpsOfGateway,
    /// The connection is closed when the request has been read.
    CutOff,
    /// A proxy that asks for a password.
    ProxyRefuses,
}

fn login(stack: Stack, url: &str, tls: TlsConfig, proxy: ProxyConfig) -> Error {
    let mut error = None;
    stack.block_on(async {
        let transport = match stack {
            Stack::Hyper => SharedTransport::new(
                HyperTransport::builder().tls(tls).proxy(proxy).build().unwrap(),
            ),
            _ => SharedTransport::new(
                IsahcTransport::builder().tls(tls).proxy(proxy).build().unwrap(),
            ),
        };
        let builder = Connection::builder(url).standard("alice", "secret").transport(transport);
        error =
            builder.retry(mstr::RetryPolicy::never()).allow_insecure_http().connect().await.err();
    });
    error.unwrap()
}

fn raw(answer: &'static str) -> RawServer {
    RawServer::start(move |mut connection| {
        if connection.read_request()?.is_some() && !answer.is_empty() {
            connection.write(answer)?;
        }
        Ok::<(), io::Error>(())
    })
    .unwrap()
}

/// The error of a login there, and where that is.
fn fail(stack: Stack, situation: &Situation) -> (Error, String) {
    let trusting = TlsConfig::new();
    let direct = ProxyConfig::new();
    let secured = |name: &str| {
        let authority = Authority::new().unwrap();
        let tls = ServerTls::new(&authority.issue(name).unwrap()).unwrap();
        let running = HttpServer::builder().tls(tls).start(server().build()).unwrap();
        (running, TlsConfig::new().add_root_pem(authority.pem()))
    };
    let place = |url: &str| {
        url.split("://").nth(1).unwrap_or_default().split('/').next().unwrap_or_default().to_owned()
    };
    let ask = |url: &str, tls, proxy| (login(stack, url, tls, proxy), place(url));
    match situation {
        Situation::ClosedPort => {
            let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
            ask(&format!("http://127.0.0.1:{port}/L"), trusting, direct)
        }
        Situation::UnknownName => {
            ask(&format!("https://{}.test:443/L", "a".repeat(70)), trusting, direct)
        }
        Situation::UnknownAuthority => ask(secured("127.0.0.1").0.base_url(), trusting, direct),
        Situation::OtherName => {
            let (running, tls) = secured("env.example.test");
            ask(running.base_url(), tls, direct)
        }
        Situation::HttpsToHttp => {
            let running = HttpServer::start(server().build()).unwrap();
            ask(&running.base_url().replace("http://", "https://"), trusting, direct)
        }
        Situation::HttpToHttps => {
            let (running, _) = secured("127.0.0.1");
            ask(&running.base_url().replace("https://", "http://"), trusting, direct)
        }
        Situation::HttpToHttpsOfGateway => {
            let gateway =
                raw("HTTP/1.1 400 Bad Request\r\ncontent-length: 63\r\nconnection: close\r\n\r\n\
                 <center>The plain HTTP request was sent to HTTPS port</center>\n");
            ask(&gateway.url("/L"), trusting, direct)
        }
        Situation::CutOff => ask(&raw("").url("/L"), trusting, direct),
        Situation::ProxyRefuses => {
            let proxy =
                raw("HTTP/1.1 407 Proxy Authentication Required\r\ncontent-length: 0\r\n\r\n");
            let (error, _) = ask(
                "https://env.example.test/L",
                trusting,
                ProxyConfig::new().all(proxy.url("").trim_end_matches('/')),
            );
            (error, place(&proxy.url("")))
        }
    }
}

#[test]
fn texts_of_failures_below_http_say_what_failed_where_and_why() {
    use Situation as On;

    let same = |text: &'static str| [text, text];
    let not_told = "login: no secure connection to HOST: its certificate comes from an authority \
                    that is not trusted (name it by TlsConfig::add_root_pem_file), is for another \
                    name or has expired; libcurl does not tell which";
    // The situation, what mstr-hyper says, what mstr-isahc says.
    let table = [
        (
            On::ClosedPort,
            [
                "login: no connection to HOST: connection refused",
                "login: no connection to HOST: its port is closed, or it cannot be reached",
            ],
        ),
        (
            On::UnknownName,
            same("login: no connection to HOST: its name is not known: check its spelling"),
        ),
        (
            On::UnknownAuthority,
            [
                "login: no secure connection to HOST: its certificate comes from an authority that \
                 is not trusted: name it by TlsConfig::add_root_pem_file",
                not_told,
            ],
        ),
        (
            On::OtherName,
            ["login: no secure connection to HOST: its certificate is for another name", not_told],
        ),
        (
            On::HttpsToHttp,
            [
                "login: no secure connection to HOST: it does not speak TLS: if the port speaks \
                 plain http, write http://",
                "login: no secure connection to HOST: both sides do not agree on TLS; if the port \
                 speaks plain http, write http://",
            ],
        ),
        (
            On::HttpToHttps,
            same(
                "login: the answer from HOST is not HTTP as it should be: if the port speaks https, \
                 write https://",
            ),
        ),
        (
            On::HttpToHttpsOfGateway,
            same(
                "login: plain http was sent to a port that speaks https: write https:// in the base \
                 URL (HTTP 400)",
            ),
        ),
        (On::CutOff, same("login: the connection to HOST was cut off before an answer")),
        (
            On::ProxyRefuses,
            [
                "login: the transport's settings cannot work: the proxy http://HOST refused: 407 \
                 Proxy Authentication Required (check its user and password)",
                "login: no connection could be made: the proxy http://HOST refused: it said no, or \
                 cannot be reached; libcurl does not tell which",
            ],
        ),
    ];
    let mut wrong = String::new();
    for (situation, expected) in table {
        for (stack, expected) in [Stack::Hyper, Stack::Isahc].into_iter().zip(expected) {
            let (error, place) = fail(stack, &situation);
            let shown = error.to_string().replace(&place, "HOST");
            if shown != expected {
                wrong += &format!("{stack:?}: {shown}\n   {}\n", error.report());
            }
        }
    }
    assert!(wrong.is_empty(), "\n{wrong}");
}
