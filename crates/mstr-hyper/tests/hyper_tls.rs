//! TLS against servers on loopback whose certificates are made here.
#![cfg(any(feature = "rustls-aws-lc-rs", feature = "rustls-ring"))]
#![expect(clippy::unwrap_used, clippy::disallowed_methods, reason = "a test may panic and spawn")]

mod common;

use std::convert::Infallible;
use std::error::Error as _;
use std::io::Write;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use common::{drain, get, now, read_request, serve, with_context};
use mstr_core::{Body, ErrorKind, Sent, Transport, TransportError, TransportErrorKind};
use mstr_hyper::{HyperTransport, HyperTransportBuilder, ProxyConfig, TlsConfig, TlsVersion};
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair, date_time_ymd,
};
use rustls::crypto::CryptoProvider;
use rustls::pki_types::PrivateKeyDer;
use rustls::server::WebPkiClientVerifier;
use rustls::{
    RootCertStore, ServerConfig, ServerConnection, StreamOwned, SupportedProtocolVersion,
};

const OK: &str = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";
const BOTH: &[&SupportedProtocolVersion] = &[&rustls::version::TLS13, &rustls::version::TLS12];

/// A certificate authority.
struct Authority(CertifiedIssuer<'static, KeyPair>);

/// A certificate it signed, and the key.
struct Identity {
    certificate: rcgen::Certificate,
    key: KeyPair,
}

impl Authority {
    fn new() -> Self {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(DnType::CommonName, "test authority");
        Self(CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap())
    }

    fn pem(&self) -> String {
        self.0.pem()
    }

    fn issue(&self, name: &str, change: impl FnOnce(&mut CertificateParams)) -> Identity {
        let mut params = CertificateParams::new([name.to_owned()]).unwrap();
        change(&mut params);
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.0).unwrap();
        Identity { certificate, key }
    }

    fn trusted(&self) -> TlsConfig {
        TlsConfig::new().only_given_roots().add_root_pem(self.pem())
    }
}

impl Identity {
    fn pem(&self) -> String {
        self.certificate.pem() + &self.key.serialize_pem()
    }
}

fn provider() -> Arc<CryptoProvider> {
    #[cfg(feature = "rustls-aws-lc-rs")]
    return Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    #[cfg(not(feature = "rustls-aws-lc-rs"))]
    Arc::new(rustls::crypto::ring::default_provider())
}

fn config(
    identity: &Identity,
    versions: &[&'static SupportedProtocolVersion],
    clients: Option<&Authority>,
) -> ServerConfig {
    let builder =
        ServerConfig::builder_with_provider(provider()).with_protocol_versions(versions).unwrap();
    let builder = match clients {
        None => builder.with_no_client_auth(),
        Some(authority) => {
            let mut roots = RootCertStore::empty();
            roots.add(authority.0.der().clone()).unwrap();
            let verifier = WebPkiClientVerifier::builder_with_provider(roots.into(), provider());
            builder.with_client_cert_verifier(verifier.build().unwrap())
        }
    };
    let key = PrivateKeyDer::Pkcs8(identity.key.serialize_der().into());
    builder.with_single_cert(vec![identity.certificate.der().clone()], key).unwrap()
}

fn serve_tls(config: ServerConfig) -> SocketAddr {
    let config = Arc::new(config);
    serve(move |stream, _| {
        let connection = ServerConnection::new(Arc::clone(&config)).unwrap();
        let mut stream = StreamOwned::new(connection, stream);
        while read_request(&mut stream).is_some() {
            stream.write_all(OK.as_bytes()).unwrap();
        }
    })
}

async fn ask(tls: TlsConfig, url: String) -> Result<bytes::Bytes, TransportError> {
    let transport = HyperTransport::builder().tls(tls).build().unwrap();
    transport.send(get(url)).await?.into_body().collect(100).await
}

fn build_error(tls: TlsConfig) -> String {
    let error = HyperTransport::builder().tls(tls).build().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Config);
    error.transport().unwrap().to_string()
}

#[tokio::test]
async fn a_server_of_a_given_authority_is_trusted() {
    let authority = Authority::new();
    let server = serve_tls(config(&authority.issue("localhost", |_| {}), BOTH, None));
    let url = format!("https://localhost:{}/", server.port());
    assert_eq!(ask(authority.trusted(), url.clone()).await.unwrap(), "ok");
    // Next to the other sources as well, if there is one.
    if cfg!(any(feature = "platform-roots", feature = "webpki-roots")) {
        let tls = TlsConfig::new().add_root_pem(authority.pem());
        assert_eq!(ask(tls, url).await.unwrap(), "ok");
    }
}

#[tokio::test]
async fn a_server_that_cannot_be_trusted_is_a_tls_error_and_not_sent() {
    let (authority, other) = (Authority::new(), Authority::new());
    let good = authority.issue("localhost", |_| {});
    let elsewhere = authority.issue("elsewhere.example", |_| {});
    let expired = authority.issue("localhost", |params| {
        params.not_before = date_time_ymd(2020, 1, 1);
        params.not_after = date_time_ymd(2021, 1, 1);
    });
    for (case, identity, trusted) in [
        ("unknown authority", good, &other),
        ("wrong host", elsewhere, &authority),
        ("expired", expired, &authority),
    ] {
        let server = serve_tls(config(&identity, BOTH, None));
        let url = format!("https://localhost:{}/", server.port());
        let error = ask(trusted.trusted(), url).await.unwrap_err();
        assert_eq!((error.kind(), error.sent()), (TransportErrorKind::Tls, Sent::No), "{case}");
        let text = error.to_string();
        assert!(text.contains(&format!("connecting to localhost:{}", server.port())), "{text}");
    }
}

#[tokio::test]
async fn a_server_that_speaks_plain_http_is_a_tls_error() {
    let server = serve(|mut stream, _| {
        stream.write_all(b"HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\n\r\n").unwrap();
        drain(&mut stream);
    });
    let url = format!("https://localhost:{}/", server.port());
    let error = ask(Authority::new().trusted(), url).await.unwrap_err();
    assert_eq!((error.kind(), error.sent()), (TransportErrorKind::Tls, Sent::No));
}

#[tokio::test]
async fn a_server_that_requires_a_client_identity_gets_it() {
    let authority = Authority::new();
    let identity = authority.issue("localhost", |_| {});
    let client = authority.issue("client", |_| {});
    for version in [&rustls::version::TLS12, &rustls::version::TLS13] {
        let server = serve_tls(config(&identity, &[version], Some(&authority)));
        let url = format!("https://localhost:{}/", server.port());
        let tls = authority.trusted().client_identity_pem(client.pem());
        assert_eq!(ask(tls, url.clone()).await.unwrap(), "ok");
        let error = ask(authority.trusted(), url).await.unwrap_err();
        match version.version {
            rustls::ProtocolVersion::TLSv1_2 => {
                assert_eq!((error.kind(), error.sent()), (TransportErrorKind::Tls, Sent::No));
            }
            // The client has finished before the server refuses; the refusal can be lost.
            _ => assert!(
                matches!(error.kind(), TransportErrorKind::Tls | TransportErrorKind::Interrupted),
                "{error:?}"
            ),
        }
    }
}

#[tokio::test]
async fn a_server_below_the_minimum_version_is_refused() {
    let authority = Authority::new();
    let identity = authority.issue("localhost", |_| {});
    let server = serve_tls(config(&identity, &[&rustls::version::TLS12], None));
    let url = format!("https://localhost:{}/", server.port());
    assert_eq!(ask(authority.trusted(), url.clone()).await.unwrap(), "ok");
    let tls = authority.trusted().min_tls_version(TlsVersion::Tls13);
    let error = ask(tls, url).await.unwrap_err();
    assert_eq!((error.kind(), error.sent()), (TransportErrorKind::Tls, Sent::No));
}

#[cfg(feature = "dangerous")]
#[tokio::test]
async fn the_dangerous_switch_accepts_any_certificate() {
    let identity = Authority::new().issue("elsewhere.example", |_| {});
    let server = serve_tls(config(&identity, BOTH, None));
    let url = format!("https://localhost:{}/", server.port());
    let tls = TlsConfig::new().dangerous_accept_any_certificate();
    assert_eq!(ask(tls, url).await.unwrap(), "ok");
}

#[tokio::test]
async fn the_connect_timeout_covers_a_handshake_that_hangs() {
    const LIMIT: Duration = Duration::from_millis(150);
    let server = serve(|mut stream, _| drain(&mut stream));
    let url = format!("https://localhost:{}/", server.port());
    let tls = Authority::new().trusted();

    let check = async |builder: HyperTransportBuilder, request: fn(&str) -> http::Request<Body>| {
        let transport = builder.tls(tls.clone()).build().unwrap();
        // Before the request, which may take its deadline from it.
        let start = now();
        let error = transport.send(request(&url)).await.map(drop).unwrap_err();
        assert_eq!((error.kind(), error.sent()), (TransportErrorKind::Timeout, Sent::No));
        let took = now() - start;
        assert!(took >= LIMIT && took < Duration::from_secs(5), "{took:?}");
        assert!(error.to_string().contains("connecting to localhost:"), "{error}");
    };
    // The transport's limit, the request's, and the request's deadline.
    check(HyperTransport::builder().connect_timeout(LIMIT), |url| get(url)).await;
    check(HyperTransport::builder(), |url| {
        with_context(get(url), |context| context.connect_timeout = Some(LIMIT))
    })
    .await;
    check(HyperTransport::builder(), |url| {
        with_context(get(url), |context| context.deadline = Some(now() + LIMIT))
    })
    .await;
}

#[tokio::test]
async fn a_request_that_gives_up_leaves_the_connection_being_made_to_those_who_wait() {
    const LIMIT: Duration = Duration::from_millis(450);
    let connections = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&connections);
    let server = serve(move |mut stream, _| {
        counted.fetch_add(1, Ordering::SeqCst);
        drain(&mut stream);
    });
    let url = format!("https://localhost:{}/", server.port());
    let tls = Authority::new().trusted();
    let transport =
        HyperTransport::builder().http2_only().tls(tls).connect_timeout(LIMIT).build().unwrap();
    let start = now();
    // The first one makes the connection that the second one waits for.
    let first = tokio::time::timeout(LIMIT / 3, transport.send(get(&url)));
    let (first, second) = tokio::join!(first, transport.send(get(&url)));
    first.map(drop).unwrap_err();
    let error = second.map(drop).unwrap_err();
    assert_eq!((error.kind(), error.sent()), (TransportErrorKind::Timeout, Sent::No));
    assert!(now() - start >= LIMIT, "{error}");
    assert_eq!(connections.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn http2_is_chosen_by_alpn_unless_it_is_switched_off() {
    let authority = Authority::new();
    let mut config = config(&authority.issue("localhost", |_| {}), BOTH, None);
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(config));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("https://localhost:{}/", listener.local_addr().unwrap().port());
    let server = tokio::task::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            let stream = acceptor.accept(stream).await.unwrap();
            let h2 = stream.get_ref().1.alpn_protocol() == Some(b"h2");
            let io = hyper_util::rt::TokioIo::new(stream);
            // Sends the request's body back, with the version it came by in front.
            let service = hyper::service::service_fn(async |request: http::Request<_>| {
                let version = format!("{:?} ", request.version());
                let body = Body::wrap::<hyper::body::Incoming>(request.into_body());
                let body = body.collect(1 << 20).await.unwrap();
                let text = [version.as_bytes(), &body].concat();
                Ok::<_, Infallible>(http::Response::new(Body::from(text)))
            });
            tokio::task::spawn(async move {
                let executor = hyper_util::rt::TokioExecutor::new();
                drop(match h2 {
                    true => {
                        hyper::server::conn::http2::Builder::new(executor)
                            .serve_connection(io, service)
                            .await
                    }
                    false => {
                        hyper::server::conn::http1::Builder::new()
                            .serve_connection(io, service)
                            .await
                    }
                });
            });
        }
    });
    let ask = async |builder: HyperTransportBuilder| {
        let transport = builder.tls(authority.trusted()).build().unwrap();
        let request = http::Request::post(&url).body(Body::from("hi")).unwrap();
        transport.send(request).await.unwrap().into_body().collect(100).await.unwrap()
    };
    assert_eq!(ask(HyperTransport::builder()).await, "HTTP/2.0 hi");
    assert_eq!(ask(HyperTransport::builder().http2_only()).await, "HTTP/2.0 hi");
    assert_eq!(ask(HyperTransport::builder().http1_only()).await, "HTTP/1.1 hi");
    server.abort();
}

/// One that would choose HTTP/2 is offered HTTP/1.1 only; this one could not read anything else.
#[tokio::test]
async fn a_proxy_over_tls_is_spoken_to_in_http_1() {
    let authority = Authority::new();
    let mut config = config(&authority.issue("localhost", |_| {}), BOTH, None);
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    let proxy = format!("https://localhost:{}", serve_tls(config).port());
    let builder = HyperTransport::builder().proxy(ProxyConfig::new().all(proxy));
    let transport = builder.tls(authority.trusted()).build().unwrap();
    let response = transport.send(get("http://env.example.test/")).await.unwrap();
    assert_eq!(response.into_body().collect(100).await.unwrap(), "ok");
}

#[tokio::test]
async fn settings_that_cannot_work_are_reported_when_the_transport_is_built() {
    let authority = Authority::new();
    let client = authority.issue("client", |_| {});

    let text = build_error(TlsConfig::new().add_root_pem_file("/no/such/file.pem"));
    assert!(text.contains("/no/such/file.pem: it cannot be read"), "{text}");
    let text = build_error(TlsConfig::new().add_root_pem_file("/"));
    assert!(text.contains("/: it cannot be read"), "{text}");
    let text = build_error(TlsConfig::new().add_root_pem(client.key.serialize_pem()));
    assert!(text.contains("there is no certificate in it"), "{text}");
    let text = build_error(TlsConfig::new().add_root_pem("-----BEGIN CERTIFICATE-----\n!"));
    assert!(text.contains("it is not valid PEM"), "{text}");
    let text = build_error(
        TlsConfig::new()
            .add_root_pem("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"),
    );
    assert!(text.contains("a certificate in it cannot be used"), "{text}");
    let text = build_error(TlsConfig::new().only_given_roots());
    assert!(text.contains("no certificate to trust"), "{text}");
    let text = build_error(TlsConfig::new().client_identity_pem(client.certificate.pem()));
    assert!(text.contains("no unencrypted private key"), "{text}");
    let text = build_error(TlsConfig::new().client_identity_pem(client.key.serialize_pem()));
    assert!(text.contains("there is no certificate in it"), "{text}");
    let mixed = client.certificate.pem() + &KeyPair::generate().unwrap().serialize_pem();
    let text = build_error(TlsConfig::new().client_identity_pem(mixed));
    assert!(text.contains("cannot be used together"), "{text}");
}

#[tokio::test]
async fn a_key_is_shown_nowhere() {
    let client = Authority::new().issue("client", |_| {});
    let tls = TlsConfig::new().client_identity_pem(client.pem());
    let secret = client.key.serialize_pem();
    let secret = secret.lines().nth(1).unwrap();
    let builder = HyperTransport::builder().tls(tls.clone());
    let mut shown = format!("{tls:?} {builder:?} {:?}", builder.clone().build().unwrap());
    let broken = TlsConfig::new().client_identity_pem(client.key.serialize_pem());
    let error = HyperTransport::builder().tls(broken).build().unwrap_err();
    shown += &format!("{error} {error:?} {:?}", error.source());
    assert!(!shown.contains(secret), "{shown}");
    assert!(!shown.contains(&format!("{:?}", &secret.as_bytes()[..8])), "{shown}");
}
