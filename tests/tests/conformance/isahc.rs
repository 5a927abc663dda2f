//! Over mstr-isahc, under an executor that is not tokio's.

use mstr_core::{BoxError, BoxFuture, SharedTransport};
use mstr_fake::conformance::{Backend, Capability, Target};
use mstr_isahc::{IsahcTransport, TlsConfig};

struct Isahc;

impl Backend for Isahc {
    fn name(&self) -> &'static str {
        "mstr-isahc"
    }

    fn lacks(&self) -> &'static [(Capability, &'static str)] {
        &[
            (
                Capability::BareRequests,
                "libcurl adds Accept, User-Agent and a POST's Content-Type where none is given",
            ),
            (Capability::EarlyHead, "isahc delivers it with the first byte of the body"),
            (Capability::OpaqueHeaders, "isahc takes ASCII only; others are refused"),
            (Capability::PromptReuse, "libcurl looks once a second"),
            (
                Capability::SilentPeerCancel,
                "isahc looks when something arrives, or when the request's limits have passed",
            ),
            (Capability::SingleReads, "libcurl repeats a GET if a kept connection breaks"),
            (
                Capability::TlsProxy,
                "isahc 2.0 does not check the certificate of a proxy, so they are refused",
            ),
            (
                Capability::VerbatimPaths,
                "libcurl writes `%2f` as `%2F` and would resolve `..`, which is refused",
            ),
        ]
    }

    fn transport(&self, target: &Target) -> Result<SharedTransport, BoxError> {
        let mut tls = TlsConfig::new();
        if let Some(authority) = &target.authority_pem {
            tls = tls.add_root_pem(authority.clone());
        }
        if let Some(identity) = &target.identity_pem {
            tls = tls.client_identity_pem(identity.clone());
        }
        let proxy = target.proxy.clone().unwrap_or_default();
        Ok(SharedTransport::new(IsahcTransport::builder().tls(tls).proxy(proxy).build()?))
    }

    fn run(&self, case: BoxFuture<'static, ()>) {
        futures_executor::block_on(case);
    }
}

mstr_fake::conformance!(Isahc);
