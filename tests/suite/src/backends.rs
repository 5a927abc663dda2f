//! The transports of this library, as the conformance suite takes them.

use std::sync::Arc;

use mstr::TlsConfig;
use mstr_core::{BoxError, BoxFuture, SharedBlockingTransport, SharedTransport};
use mstr_fake::conformance::{Backend, Capability, OnThreads, Target};
use mstr_hyper::blocking::HyperBlocking;
use mstr_hyper::{HyperTransport, HyperTransportBuilder};
use mstr_isahc::blocking::IsahcBlocking;
use mstr_isahc::{IsahcTransport, IsahcTransportBuilder};

type Lacks = &'static [(Capability, &'static str)];

/// mstr-hyper. Each case has a runtime of its own: a transport lives on the one it was built on.
#[derive(Debug)]
pub struct Hyper(tokio::runtime::Runtime);

impl Hyper {
    pub fn new() -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
            .unwrap();
        Self(runtime)
    }

    fn settings(target: &Target) -> HyperTransportBuilder {
        let mut builder = HyperTransport::builder()
            .tls(tls(target))
            .proxy(target.proxy.clone().unwrap_or_default());
        if let Some(limit) = target.max_connections_per_host {
            builder = builder.max_connections_per_host(limit);
        }
        if let Some(after) = target.ping_after {
            builder = builder.http2_ping((after, after));
        }
        builder
    }
}

impl Default for Hyper {
    fn default() -> Self {
        Self::new()
    }
}

impl Backend for Hyper {
    fn name(&self) -> &'static str {
        "mstr-hyper"
    }

    fn transport(&self, target: &Target) -> Result<SharedTransport, BoxError> {
        let builder = Self::settings(target).runtime(self.0.handle().clone());
        Ok(SharedTransport::new(builder.build()?))
    }

    fn run(&self, case: BoxFuture<'static, ()>) {
        self.0.block_on(case);
    }
}

/// mstr-hyper for blocking code, which brings its own runtime.
#[derive(Debug, Default)]
pub struct HyperOnThreads;

impl Backend for HyperOnThreads {
    fn name(&self) -> &'static str {
        "mstr-hyper, blocking"
    }

    fn lacks(&self) -> Lacks {
        &[(Capability::SilentPeerCancel, "a call that blocks cannot be dropped")]
    }

    fn transport(&self, target: &Target) -> Result<SharedTransport, BoxError> {
        Ok(SharedTransport::new(OnThreads::new(self.blocking(target)?)))
    }

    fn blocking(&self, target: &Target) -> Result<SharedBlockingTransport, BoxError> {
        Ok(SharedBlockingTransport::new(HyperBlocking::from_builder(Hyper::settings(target))?))
    }

    fn run(&self, case: BoxFuture<'static, ()>) {
        futures_executor::block_on(case);
    }
}

/// mstr-isahc, under an executor that is not tokio's.
#[derive(Debug, Default)]
pub struct Isahc;

impl Isahc {
    fn settings(target: &Target) -> IsahcTransportBuilder {
        IsahcTransport::builder()
            .tls(tls(target))
            .proxy(target.proxy.clone().unwrap_or_default())
            .max_connections_per_host(target.max_connections_per_host)
    }
}

impl Backend for Isahc {
    fn name(&self) -> &'static str {
        "mstr-isahc"
    }

    fn lacks(&self) -> Lacks {
        &[
            #[cfg(feature = "isahc-rustls-tls")]
            (Capability::ClientIdentity, "with rustls from a file only"),
            (
                Capability::BareRequests,
                "libcurl adds `Accept`, `User-Agent` and a POST's `Content-Type` where none is given",
            ),
            (Capability::EarlyHead, "isahc delivers it with the first byte of the body"),
            (Capability::OddHeaders, "isahc refuses a head with a line that it cannot read"),
            (Capability::OpaqueHeaders, "isahc takes ASCII only; others are refused"),
            (Capability::Pings, "libcurl does not ask"),
            (Capability::PromptReuse, "libcurl looks once a second"),
            (Capability::RetiresLate, "libcurl keeps a connection over HTTP/2 that is silent"),
            #[cfg(feature = "isahc-rustls-tls")]
            (Capability::SelfSigned, "webpki refuses it"),
            (
                Capability::SilentPeerCancel,
                "isahc looks when something arrives, or when the request's limits have passed",
            ),
            (Capability::SingleReads, "libcurl repeats a GET if a kept connection breaks"),
            (
                Capability::TellsUnprocessed,
                "libcurl repeats by itself what it can, or does not tell",
            ),
            (
                Capability::TlsProxy,
                "isahc 2.0 does not check the certificate of a proxy, so they are refused",
            ),
            (
                Capability::VerbatimPaths,
                "libcurl writes `%2f` as `%2F` and would resolve `..`, which is refused",
            ),
            (
                Capability::WholeHeads,
                "libcurl takes a head that is cut off for a whole one; what follows has to tell",
            ),
        ]
    }

    fn transport(&self, target: &Target) -> Result<SharedTransport, BoxError> {
        Ok(SharedTransport::new(Self::settings(target).build()?))
    }

    fn run(&self, case: BoxFuture<'static, ()>) {
        futures_executor::block_on(case);
    }
}

/// mstr-isahc for blocking code.
#[derive(Debug, Default)]
pub struct IsahcOnThreads;

impl Backend for IsahcOnThreads {
    fn name(&self) -> &'static str {
        "mstr-isahc, blocking"
    }

    fn lacks(&self) -> Lacks {
        Isahc.lacks()
    }

    fn transport(&self, target: &Target) -> Result<SharedTransport, BoxError> {
        Ok(SharedTransport::new(OnThreads::new(self.blocking(target)?)))
    }

    fn blocking(&self, target: &Target) -> Result<SharedBlockingTransport, BoxError> {
        Ok(SharedBlockingTransport::new(IsahcBlocking::from_builder(Isahc::settings(target))?))
    }

    fn run(&self, case: BoxFuture<'static, ()>) {
        futures_executor::block_on(case);
    }
}

/// All of them.
pub fn all() -> Vec<Arc<dyn Backend>> {
    vec![
        Arc::new(Hyper::new()),
        Arc::new(HyperOnThreads),
        Arc::new(Isahc),
        Arc::new(IsahcOnThreads),
    ]
}

fn tls(target: &Target) -> TlsConfig {
    let mut tls = TlsConfig::new();
    if let Some(authority) = &target.authority_pem {
        tls = tls.add_root_pem(authority.clone());
    }
    if let Some(identity) = &target.identity_pem {
        tls = tls.client_identity_pem(identity.clone());
    }
    tls
}
