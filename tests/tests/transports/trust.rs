//! The trust of the transports, and their errors for settings that cannot work.

use std::error::Error as _;
use std::process::Command;

use http::Request;
use mstr::{Body, ErrorKind, SharedTransport, TlsConfig, Transport, TransportErrorKind};
use mstr_fake::loopback::{Authority, HttpServer, ServerTls};
use mstr_hyper::HyperTransport;
use mstr_isahc::IsahcTransport;
use mstr_suite::Stack;

/// Where the server is, and an authority that has signed nothing, for the child process.
const URL: &str = "MSTR_TESTS_URL";
const STRANGER: &str = "MSTR_TESTS_STRANGER";

async fn ask(transport: &dyn Transport) -> Result<u16, TransportErrorKind> {
    #[expect(clippy::disallowed_methods, reason = "this is how it is told what to do")]
    let url = std::env::var(URL).unwrap();
    let request = Request::get(url).body(Body::empty()).unwrap();
    transport.send(request).await.map(|answer| answer.status().as_u16()).map_err(|it| it.kind())
}

/// Runs in a process of its own, see below, and does nothing in this one.
#[test]
#[expect(clippy::disallowed_methods, reason = "this is how it is told what to do")]
fn with_other_certificates_on_the_platform() {
    let Ok(stranger) = std::env::var(STRANGER) else { return };
    let platform = TlsConfig::new();
    let more = TlsConfig::new().add_root_pem(stranger.clone());
    let less = more.clone().only_given_roots();
    for stack in [Stack::HyperTls, Stack::IsahcTls] {
        stack.block_on(async {
            let answer = |tls| async move { ask(&stack.transport(tls)).await };
            assert_eq!(answer(platform.clone()).await, Ok(200), "{stack:?}");
            assert_eq!(answer(more.clone()).await, Ok(200), "given ones come besides, {stack:?}");
        });
    }
    Stack::Hyper.block_on(async {
        let transport = HyperTransport::builder().tls(less.clone()).build().unwrap();
        assert_eq!(ask(&transport).await, Err(TransportErrorKind::Tls));
    });
    let isahc = IsahcTransport::builder().tls(less).build();
    if cfg!(feature = "isahc-rustls-tls") {
        let transport = isahc.unwrap();
        let answer = futures_executor::block_on(ask(&transport));
        assert_eq!(answer, Err(TransportErrorKind::Tls));
    } else {
        // With OpenSSL libcurl would trust the platform all the same.
        assert_eq!(isahc.unwrap_err().kind(), ErrorKind::Config);
    }
}

#[test]
fn given_certificates_come_besides_the_platform_s_unless_they_are_to_be_the_only_ones() {
    let authority = Authority::new().unwrap();
    let tls = ServerTls::new(&authority.issue("127.0.0.1").unwrap()).unwrap();
    let server = HttpServer::builder().tls(tls).start(mstr_suite::server().build()).unwrap();
    // On Linux this variable sets the authorities of the platform.
    let bundle = std::env::temp_dir().join(format!("mstr-tests-{}.pem", std::process::id()));
    std::fs::write(&bundle, authority.pem()).unwrap();
    let output = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "trust::with_other_certificates_on_the_platform"])
        .env(URL, format!("{}/api/status", server.base_url()))
        .env(STRANGER, Authority::new().unwrap().pem())
        .env("SSL_CERT_FILE", &bundle)
        .output()
        .unwrap();
    std::fs::remove_file(&bundle).unwrap();
    let said = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && said.contains("1 passed"), "{said}");
}

/// The error of each transport when it is built.
fn refusals(tls: &TlsConfig) -> [(&'static str, String); 2] {
    let mut hyper = None;
    Stack::Hyper.block_on(async {
        hyper = HyperTransport::builder().tls(tls.clone()).build().err();
    });
    let isahc = IsahcTransport::builder().tls(tls.clone()).build().err();
    [("hyper", hyper), ("isahc", isahc)].map(|(name, error)| {
        let error = error.unwrap_or_else(|| panic!("{name} takes {tls:?}"));
        assert_eq!(error.kind(), ErrorKind::Config, "{name}: {error}");
        let mut text = error.to_string();
        let mut cause = error.source();
        while let Some(inner) = cause {
            text.push_str(&format!(": {inner}"));
            cause = inner.source();
        }
        (name, text)
    })
}

#[test]
fn a_mistake_in_the_settings_is_named_by_both_transports_when_they_are_built() {
    let not_a_certificate = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    let certificate = Authority::new().unwrap().pem();
    let table = [
        (
            TlsConfig::new().add_root_pem("no PEM"),
            "add_root_pem: the given PEM: there is no certificate in it",
        ),
        (
            TlsConfig::new().add_root_pem(not_a_certificate),
            "add_root_pem: the given PEM: a certificate in it cannot be used",
        ),
        (
            TlsConfig::new().add_root_pem_file("/no/such.pem"),
            "add_root_pem_file: /no/such.pem: it cannot be read",
        ),
        (
            TlsConfig::new().client_identity_pem(certificate),
            "client_identity_pem: the given PEM: there is no unencrypted private key in it",
        ),
        (
            TlsConfig::new().only_given_roots(),
            "only_given_roots: no certificate to trust was given",
        ),
    ];
    for (tls, expected) in table {
        for (name, text) in refusals(&tls) {
            assert!(text.contains(&format!("TlsConfig::{expected}")), "{name}: {text}");
        }
    }
}

#[test]
fn a_client_s_certificate_may_be_in_a_file() {
    let authority = Authority::new().unwrap();
    let own = authority.issue("127.0.0.1").unwrap();
    let tls = ServerTls::for_clients_of(&own, &authority).unwrap();
    let server = HttpServer::builder().tls(tls).start(mstr_suite::server().build()).unwrap();
    let file = std::env::temp_dir().join(format!("mstr-tests-{}-id.pem", std::process::id()));
    std::fs::write(&file, authority.issue("client.example").unwrap().pem()).unwrap();
    for stack in [Stack::HyperTls, Stack::IsahcTls] {
        stack.block_on(async {
            let tls =
                TlsConfig::new().add_root_pem(authority.pem()).client_identity_pem_file(&file);
            let url = format!("{}/api/status", server.base_url());
            let request = Request::get(url).body(Body::empty()).unwrap();
            let answer = stack.transport(tls).send(request).await;
            assert_eq!(answer.unwrap().status(), 200, "{stack:?}");
        });
    }
    std::fs::remove_file(&file).unwrap();
}

#[test]
#[cfg_attr(feature = "isahc-rustls-tls", ignore = "isahc takes it from a file only")]
fn a_client_s_key_that_is_not_its_certificate_s_is_an_error() {
    let authority = Authority::new().unwrap();
    let [own, other] = ["one.test", "two.test"].map(|name| authority.issue(name).unwrap().pem());
    let certificate = own.split("-----BEGIN PRIVATE").next().unwrap();
    let key = &other[other.find("-----BEGIN PRIVATE").unwrap()..];
    let tls = TlsConfig::new().client_identity_pem(format!("{certificate}{key}"));
    Stack::Hyper.block_on(async {
        let error = HyperTransport::builder().tls(tls.clone()).build().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Config);
    });
    // OpenSSL looks when it is used, which is before anything is sent.
    let server_tls = ServerTls::new(&authority.issue("127.0.0.1").unwrap()).unwrap();
    let server = HttpServer::builder().tls(server_tls).start(mstr_suite::server().build()).unwrap();
    Stack::Isahc.block_on(async {
        let tls = tls.add_root_pem(authority.pem());
        let transport = SharedTransport::new(IsahcTransport::builder().tls(tls).build().unwrap());
        let url = format!("{}/api/status", server.base_url());
        let request = Request::get(url).body(Body::empty()).unwrap();
        let error = transport.send(request).await.unwrap_err();
        assert_eq!(
            (error.kind(), error.sent()),
            (TransportErrorKind::Config, mstr::core::Sent::No),
            "{error:?}"
        );
    });
}
