//! The proxy over sockets, as clients of every kind meet it.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::Duration;

use super::*;
use crate::loopback::RawServer;

/// Answers every request with its own body.
fn mirror() -> RawServer {
    RawServer::start(|mut connection| {
        while let Some(request) = connection.read_request()? {
            connection.answer("200 OK", request.body())?;
        }
        Ok(())
    })
    .unwrap()
}

fn connect(proxy: &ProxyServer) -> TcpStream {
    let stream = TcpStream::connect(proxy.address()).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    stream
}

/// Writes, and reads until the answer ends with `end`.
fn exchange(stream: &mut (impl Read + Write), sent: impl AsRef<[u8]>, end: &str) -> String {
    stream.write_all(sent.as_ref()).unwrap();
    let mut answer = Vec::new();
    let mut byte = [0];
    while !answer.ends_with(end.as_bytes()) {
        match stream.read(&mut byte) {
            Ok(1) => answer.push(byte[0]),
            other => panic!("{other:?} after {:?}", String::from_utf8_lossy(&answer)),
        }
    }
    String::from_utf8(answer).unwrap()
}

/// Writes, and reads so many bytes.
fn answer(stream: &mut TcpStream, sent: impl AsRef<[u8]>, size: usize) -> Vec<u8> {
    stream.write_all(sent.as_ref()).unwrap();
    let mut answer = vec![0; size];
    stream.read_exact(&mut answer).unwrap();
    answer
}

fn is_at_its_end(stream: &mut TcpStream) -> bool {
    let ended = [io::ErrorKind::ConnectionReset, io::ErrorKind::ConnectionAborted];
    match stream.read(&mut [0; 16]) {
        Ok(size) => size == 0,
        Err(error) => ended.contains(&error.kind()),
    }
}

fn targets(proxy: &ProxyServer) -> Vec<(ProxyKind, String)> {
    proxy.seen().into_iter().map(|entry| (entry.kind, entry.target)).collect()
}

#[test]
fn requests_are_forwarded_as_they_are_and_one_after_the_other_to_several_servers() {
    let (one, two) = (mirror(), mirror());
    let proxy = ProxyServer::builder().resolve("one.test", one.address()).start().unwrap();
    let mut client = connect(&proxy);
    let head = "Host: one.test\r\nX-Name: a: b\r\nProxy-Authorization: Basic YW5uOng=\r\n";
    for (target, framed, body) in [
        ("http://one.test/a/../b?c=%2f", "Content-Length: 5\r\n\r\nfirst", "first"),
        ("http://one.test", "Content-Length: 0\r\n\r\n", ""),
    ] {
        let sent = format!("POST {target} HTTP/1.1\r\n{head}{framed}");
        let answer = exchange(&mut client, sent, &format!("\r\n\r\n{body}"));
        assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
    }
    let chunked = "Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2;x\r\nde\r\n0\r\n\r\n";
    let sent = format!("PUT http://{}/?q HTTP/1.1\r\n{head}{chunked}", two.address());
    exchange(&mut client, sent, "\r\n\r\nabcde");

    let seen: Vec<String> =
        one.requests().iter().chain(&two.requests()).map(|request| request.line()).collect();
    assert_eq!(seen, ["POST /a/../b?c=%2f HTTP/1.1", "POST / HTTP/1.1", "PUT /?q HTTP/1.1"]);
    for request in one.requests().iter().chain(&two.requests()) {
        assert_eq!(request.text("x-name").as_deref(), Some("a: b"));
        assert!(request.values("proxy-authorization").is_empty());
        assert!(request.headers().len() == 3, "nothing is added: {:?}", request.headers());
    }
    let two = two.address().to_string();
    let forward = |target: &str| (ProxyKind::Forward, target.to_owned());
    assert_eq!(targets(&proxy), [forward("one.test:80"), forward("one.test:80"), forward(&two)]);
    let entry = proxy.seen().remove(0);
    assert_eq!(entry.credentials, Some(("ann".to_owned(), "x".to_owned())));
    let request = entry.request.unwrap();
    assert_eq!(request.target(), "POST http://one.test/a/../b?c=%2f");
    assert_eq!(request.values("x-name"), [b"a: b"]);
}

#[test]
fn a_tunnel_carries_bytes_both_ways_and_ends_with_either_side() {
    let server = mirror();
    let proxy = ProxyServer::builder().resolve("one.test", server.address()).start().unwrap();
    let mut client = connect(&proxy);
    let opened = exchange(&mut client, "CONNECT one.test:443 HTTP/1.1\r\n\r\n", "\r\n\r\n");
    assert!(opened.starts_with("HTTP/1.1 200 "), "{opened}");
    exchange(&mut client, "POST /in HTTP/1.1\r\ncontent-length: 3\r\n\r\nabc", "\r\n\r\nabc");
    assert_eq!(targets(&proxy), [(ProxyKind::Connect, "one.test:443".to_owned())]);
    let bytes = String::from_utf8(proxy.bytes_seen()).unwrap();
    assert!(bytes.contains("POST /in") && bytes.contains("HTTP/1.1 200 OK"), "{bytes}");
    drop(server);
    assert!(is_at_its_end(&mut client));
}

#[test]
fn proxy_refuses_clients_without_the_password() {
    let server = mirror();
    let proxy = ProxyServer::builder().credentials("ann", "a:b").start().unwrap();
    let connecting = format!("CONNECT {} HTTP/1.1\r\n", server.address());
    let forward = format!("GET http://{}/ HTTP/1.1\r\n", server.address());
    for request in [&connecting, &forward] {
        for header in ["", "Proxy-Authorization: Basic YW5uOng=\r\n", "Proxy-Authorization: x\r\n"]
        {
            let mut client = connect(&proxy);
            let answer = exchange(&mut client, format!("{request}{header}\r\n"), "\r\n\r\n");
            assert!(
                answer.starts_with("HTTP/1.1 407 Proxy Authentication Required\r\n"),
                "{answer}"
            );
            assert!(answer.contains("proxy-authenticate: Basic"), "{answer}");
            assert!(is_at_its_end(&mut client));
        }
        let mut client = connect(&proxy);
        let header = "proxy-authorization: basic YW5uOmE6Yg==\r\n";
        let answer = exchange(&mut client, format!("{request}{header}\r\n"), "\r\n\r\n");
        assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    }
    let admitted: Vec<bool> = proxy.seen().iter().map(|entry| entry.admitted).collect();
    assert_eq!(admitted, [false, false, false, true].repeat(2));
    let credentials = proxy.seen().remove(7).credentials;
    assert_eq!(credentials, Some(("ann".to_owned(), "a:b".to_owned())));
    assert_eq!(server.requests().len(), 1);
}

#[test]
fn what_is_not_on_this_machine_cannot_be_reached() {
    let proxy = ProxyServer::start().unwrap();
    let closed = {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        listener.local_addr().unwrap()
    };
    let closed = format!("CONNECT {closed} HTTP/1.1\r\n\r\n");
    for (request, status) in [
        ("CONNECT 192.0.2.1:443 HTTP/1.1\r\n\r\n", "502"),
        ("CONNECT one.test:443 HTTP/1.1\r\n\r\n", "502"),
        ("GET http://one.test/ HTTP/1.1\r\n\r\n", "502"),
        (&*closed, "502"),
        ("CONNECT one.test HTTP/1.1\r\n\r\n", "400"),
        ("CONNECT one.test:x HTTP/1.1\r\n\r\n", "400"),
        ("GET / HTTP/1.1\r\n\r\n", "400"),
        ("GET https://one.test/ HTTP/1.1\r\n\r\n", "400"),
        ("nonsense\r\n\r\n", "400"),
        ("\u{16}\u{3}\u{1}", "400"),
    ] {
        let answer = exchange(&mut connect(&proxy), request, "\r\n\r\n");
        assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{request}: {answer}");
    }
}

#[test]
fn socks_connects_to_names_and_addresses() {
    let server = mirror();
    let address = server.address();
    let builder = ProxyServer::builder().resolve("one.test", address).resolve("::1", address);
    let proxy = builder.start().unwrap();
    let port = address.port().to_be_bytes();
    let v4 = [&[1, 127, 0, 0, 1][..], &port].concat();
    let name = [&[3, 8][..], b"one.test", &[0, 80]].concat();
    let v6 = [&[4][..], &[0; 15], &[1, 1, 187]].concat();
    for target in [v4, name, v6] {
        let mut client = connect(&proxy);
        assert_eq!(answer(&mut client, [5, 2, 0, 2], 2), [5, 0]);
        let request = [&[5, 1, 0][..], &target].concat();
        assert_eq!(answer(&mut client, request, 10)[..2], [5, 0]);
        exchange(&mut client, "POST / HTTP/1.1\r\ncontent-length: 3\r\n\r\nabc", "\r\n\r\nabc");
    }
    let socks = |target: &str| (ProxyKind::Socks5, target.to_owned());
    let v4 = address.to_string();
    assert_eq!(targets(&proxy), [socks(&v4), socks("one.test:80"), socks("[::1]:443")]);
}

#[test]
fn socks_refuses_with_the_code_that_says_why() {
    let proxy = ProxyServer::start().unwrap();
    let closed = {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        listener.local_addr().unwrap().port().to_be_bytes()
    };
    let closed = [&[5, 1, 0, 1, 127, 0, 0, 1][..], &closed].concat();
    for (request, code) in [
        (&closed[..], 5),
        (&[5, 1, 0, 1, 192, 0, 2, 1, 0, 80], 4),
        (&[5, 1, 0, 3, 1, b'x', 0, 80], 4),
        (&[5, 2, 0, 3, 1, b'x', 0, 80], 7),
        (&[5, 1, 0, 9], 8),
    ] {
        let mut client = connect(&proxy);
        assert_eq!(answer(&mut client, [5, 1, 0], 2), [5, 0]);
        assert_eq!(answer(&mut client, request, 10)[..2], [5, code], "{request:?}");
        assert!(is_at_its_end(&mut client));
    }
    // And where there is no password, there is no asking for one.
    assert_eq!(answer(&mut connect(&proxy), [5, 1, 2], 2), [5, 0xff]);
}

#[test]
fn socks_asks_for_a_password_where_there_is_one() {
    let server = mirror();
    let proxy = ProxyServer::builder().credentials("ann", "hush").start().unwrap();
    let port = server.address().port().to_be_bytes();
    let request = [&[5, 1, 0, 1, 127, 0, 0, 1][..], &port].concat();

    assert_eq!(answer(&mut connect(&proxy), [5, 1, 0], 2), [5, 0xff]);
    let mut client = connect(&proxy);
    assert_eq!(answer(&mut client, [5, 1, 2], 2), [5, 2]);
    assert_eq!(answer(&mut client, b"\x01\x03ann\x05wrong", 2), [1, 1]);
    assert!(is_at_its_end(&mut client));
    let mut client = connect(&proxy);
    assert_eq!(answer(&mut client, [5, 2, 0, 2], 2), [5, 2]);
    assert_eq!(answer(&mut client, b"\x01\x03ann\x04hush", 2), [1, 0]);
    assert_eq!(answer(&mut client, request, 10)[..2], [5, 0]);
    let seen: Vec<_> =
        proxy.seen().into_iter().map(|entry| (entry.admitted, entry.credentials)).collect();
    let ann = |password: &str| Some(("ann".to_owned(), password.to_owned()));
    assert_eq!(seen, [(false, None), (false, ann("wrong")), (true, ann("hush"))]);
}

#[test]
fn over_tls_it_is_the_same_proxy() {
    use rustls::pki_types::CertificateDer;
    use rustls::pki_types::pem::PemObject as _;

    let server = mirror();
    let authority = crate::loopback::Authority::new().unwrap();
    let tls = ServerTls::new(&authority.issue("127.0.0.1").unwrap()).unwrap();
    let proxy = ProxyServer::builder().tls(tls).start().unwrap();

    let mut roots = rustls::RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(authority.pem().as_bytes()).unwrap()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let name = "127.0.0.1".try_into().unwrap();
    let session = rustls::ClientConnection::new(Arc::new(config), name).unwrap();
    let mut client = rustls::StreamOwned::new(session, connect(&proxy));
    let opening = format!("CONNECT {} HTTP/1.1\r\n\r\n", server.address());
    exchange(&mut client, opening, "\r\n\r\n");
    exchange(&mut client, "POST / HTTP/1.1\r\ncontent-length: 3\r\n\r\nabc", "\r\n\r\nabc");
    assert_eq!(targets(&proxy), [(ProxyKind::Connect, server.address().to_string())]);
}

#[test]
fn dropping_it_ends_every_connection() {
    let server = RawServer::start(|mut connection| {
        connection.hang(Duration::from_secs(20));
        Ok(())
    });
    let server = server.unwrap();
    let proxy = ProxyServer::start().unwrap();
    let address: SocketAddr = server.address();
    let mut idle = connect(&proxy);
    let mut tunnel = connect(&proxy);
    exchange(&mut tunnel, format!("CONNECT {address} HTTP/1.1\r\n\r\n"), "\r\n\r\n");
    let mut waiting = connect(&proxy);
    waiting.write_all(format!("GET http://{address}/ HTTP/1.1\r\n\r\n").as_bytes()).unwrap();
    drop(proxy);
    for client in [&mut idle, &mut tunnel, &mut waiting] {
        assert!(is_at_its_end(client));
    }
}
