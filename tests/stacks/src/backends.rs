//! The examples, as the conformance suite takes them.

/// Each case has a runtime of its own: what is asynchronous lives on the one it was built on.
#[derive(Debug)]
pub struct Tokio(tokio::runtime::Runtime);

impl Default for Tokio {
    fn default() -> Self {
        Self::new()
    }
}

impl Tokio {
    #[expect(clippy::expect_used, reason = "this is test code")]
    pub fn new() -> Self {
        let mut builder = tokio::runtime::Builder::new_multi_thread();
        Self(builder.worker_threads(2).enable_all().build().expect("a runtime"))
    }
}

/// Over reqwest.
pub mod reqwest {
    use ::reqwest::{Certificate, Client, Identity};
    use mstr_core::{BoxError, BoxFuture, SharedTransport};
    use mstr_fake::conformance::{Backend, Capability, Target};

    use super::Tokio;
    use crate::reqwest::ReqwestTransport;

    impl Backend for Tokio {
        fn name(&self) -> &'static str {
            "reqwest"
        }

        fn lacks(&self) -> &'static [(Capability, &'static str)] {
            // `end_to_end.rs` shows that this is all.
            &[
                (Capability::BareRequests, "it adds `Accept: */*`"),
                (Capability::ConnectionLimit, "it has none"),
                (Capability::HttpProxy, "the example leaves proxies out"),
                (Capability::RetiresLate, "its pool keeps a connection over HTTP/2 that is silent"),
                (Capability::SelfSigned, "webpki refuses it"),
                (Capability::Socks5, "the example leaves proxies out"),
                (Capability::TellsUnprocessed, "the example leaves HTTP/2's own errors out"),
                (Capability::TlsProxy, "the example leaves proxies out"),
                (Capability::VerbatimPaths, "it resolves `..`"),
            ]
        }

        fn transport(&self, target: &Target) -> Result<SharedTransport, BoxError> {
            // It asks the environment for proxies otherwise.
            let mut builder = Client::builder().no_proxy();
            if let Some(authority) = &target.authority_pem {
                builder = builder.tls_certs_only([Certificate::from_pem(authority.as_bytes())?]);
            }
            if let Some(identity) = &target.identity_pem {
                builder = builder.identity(Identity::from_pem(identity.as_bytes())?);
            }
            if let Some(after) = target.ping_after {
                builder = builder.http2_keep_alive_interval(after).http2_keep_alive_timeout(after);
            }
            let runtime = self.0.handle().clone();
            Ok(SharedTransport::new(ReqwestTransport::new(builder, runtime)?))
        }

        fn run(&self, case: BoxFuture<'static, ()>) {
            self.0.block_on(case);
        }
    }
}

/// Over ureq.
pub mod ureq {
    use std::sync::Arc;

    use ::ureq::Agent;
    use ::ureq::tls::{Certificate, ClientCert, PrivateKey, RootCerts, TlsConfig};
    use mstr_core::{BoxError, BoxFuture, SharedBlockingTransport, SharedTransport};
    use mstr_fake::conformance::{Backend, Capability, OnThreads, Target};
    use rustls::crypto::aws_lc_rs;

    use crate::ureq::UreqTransport;

    #[derive(Debug)]
    pub struct Ureq;

    impl Backend for Ureq {
        fn name(&self) -> &'static str {
            "ureq"
        }

        fn lacks(&self) -> &'static [(Capability, &'static str)] {
            &[
                (Capability::BoundedWaits, "a call that blocks comes back when it has ended"),
                (Capability::ConnectionLimit, "it has none"),
                (Capability::EarlyAnswer, "it reads once it has written"),
                (Capability::Http2, "it speaks HTTP/1.1"),
                (Capability::HttpProxy, "the example leaves proxies out"),
                (Capability::OddHeaders, "it reads heads strictly"),
                (Capability::Pings, "it speaks HTTP/1.1"),
                (Capability::RetiresLate, "it speaks HTTP/1.1"),
                (Capability::TellsUnprocessed, "it speaks HTTP/1.1"),
                (Capability::SelfSigned, "webpki refuses it"),
                (Capability::SilentPeerCancel, "a call that blocks cannot be dropped"),
                (Capability::Socks5, "the example leaves proxies out"),
                (Capability::TlsProxy, "the example leaves proxies out"),
            ]
        }

        fn transport(&self, target: &Target) -> Result<SharedTransport, BoxError> {
            Ok(SharedTransport::new(OnThreads::new(self.blocking(target)?)))
        }

        fn blocking(&self, target: &Target) -> Result<SharedBlockingTransport, BoxError> {
            let mut tls = TlsConfig::builder()
                .unversioned_rustls_crypto_provider(Arc::new(aws_lc_rs::default_provider()))
                .root_certs(RootCerts::PlatformVerifier);
            if let Some(authority) = &target.authority_pem {
                let authority = Certificate::from_pem(authority.as_bytes())?;
                tls = tls.root_certs(RootCerts::new_with_certs(&[authority]));
            }
            if let Some(identity) = &target.identity_pem {
                let certificate = Certificate::from_pem(identity.as_bytes())?;
                let key = PrivateKey::from_pem(identity.as_bytes())?;
                tls = tls.client_cert(Some(ClientCert::new_with_certs(&[certificate], key)));
            }
            let config = Agent::config_builder().tls_config(tls.build());
            Ok(SharedBlockingTransport::new(UreqTransport::new(config)))
        }

        fn run(&self, case: BoxFuture<'static, ()>) {
            futures_executor::block_on(case);
        }
    }
}

/// The adapter for tower services, around a client that knows nothing of mstr.
pub mod tower {
    use super::Tokio;
    use crate::runtime::{TokioTimer, on};
    use hyper_util::client::legacy::Client;
    use hyper_util::rt::TokioExecutor;
    use mstr_core::adapter::from_service;
    use mstr_core::{
        Body, BoxError, BoxFuture, Sent, SharedTimer, SharedTransport, TransportError,
        TransportErrorKind as Kind,
    };
    use mstr_fake::conformance::{Backend, Capability, Target};

    #[derive(Debug)]
    pub struct Tower(pub Tokio);

    impl Backend for Tower {
        fn name(&self) -> &'static str {
            "a tower service"
        }

        fn lacks(&self) -> &'static [(Capability, &'static str)] {
            const TLS: &str = "this client has no TLS";
            const PROXY: &str = "this client knows no proxies";
            &[
                (Capability::ClientIdentity, TLS),
                (Capability::ConnectionLimit, "this client has none"),
                (Capability::Http2, TLS),
                (Capability::HttpProxy, PROXY),
                (Capability::OddHeaders, "this client reads heads strictly"),
                (Capability::Pings, TLS),
                (Capability::RetiresLate, TLS),
                (Capability::SelfSigned, TLS),
                (Capability::Socks5, PROXY),
                (Capability::TellsUnprocessed, TLS),
                (Capability::Tls, TLS),
                (Capability::TlsProxy, PROXY),
            ]
        }

        fn transport(&self, _: &Target) -> Result<SharedTransport, BoxError> {
            let runtime = self.0.0.handle().clone();
            let timer = SharedTimer::new(TokioTimer::new(runtime.clone()));
            let client = Client::builder(TokioExecutor::new()).build_http::<Body>();
            let service = ::tower::service_fn(move |request| {
                let (client, runtime) = (client.clone(), runtime.clone());
                async move {
                    let answer = on(&runtime, async move { client.request(request).await }).await;
                    match answer {
                        Some(answer) => answer.map_err(BoxError::from),
                        None => Err(TransportError::new(Kind::Canceled).into()),
                    }
                }
            });
            let transport = from_service(timer, service).classify(|error| {
                let legacy = error.downcast_ref::<hyper_util::client::legacy::Error>();
                if legacy.is_some_and(hyper_util::client::legacy::Error::is_connect) {
                    return Some((Kind::Connect, Sent::No));
                }
                let hyper = TransportError::find_source::<hyper::Error>(error)?;
                hyper.is_parse().then_some((Kind::Protocol, Sent::Maybe))
            });
            Ok(SharedTransport::new(transport))
        }

        fn run(&self, case: BoxFuture<'static, ()>) {
            self.0.0.block_on(case);
        }
    }
}

/// All of them.
pub fn all() -> Vec<std::sync::Arc<dyn mstr_fake::conformance::Backend>> {
    use std::sync::Arc;

    vec![Arc::new(Tokio::new()), Arc::new(ureq::Ureq), Arc::new(tower::Tower(Tokio::new()))]
}
