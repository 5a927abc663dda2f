//! Over mstr-hyper.

use mstr_core::{BoxError, BoxFuture, SharedTransport};
use mstr_fake::conformance::{Backend, Target};
use mstr_hyper::{HyperTransport, TlsConfig};

/// Each case has a runtime of its own: a transport lives on the one it was built on.
struct Hyper(tokio::runtime::Runtime);

impl Hyper {
    #[expect(clippy::expect_used, reason = "this is test code")]
    fn new() -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
            .expect("a runtime");
        Self(runtime)
    }
}

impl Backend for Hyper {
    fn name(&self) -> &'static str {
        "mstr-hyper"
    }

    fn transport(&self, target: &Target) -> Result<SharedTransport, BoxError> {
        let mut tls = TlsConfig::new();
        if let Some(authority) = &target.authority_pem {
            tls = tls.only_given_roots().add_root_pem(authority.clone());
        }
        if let Some(identity) = &target.identity_pem {
            tls = tls.client_identity_pem(identity.clone());
        }
        let proxy = target.proxy.clone().unwrap_or_default();
        let builder = HyperTransport::builder().tls(tls).proxy(proxy);
        let runtime = self.0.handle().clone();
        Ok(SharedTransport::new(builder.runtime(runtime).build()?))
    }

    fn run(&self, case: BoxFuture<'static, ()>) {
        self.0.block_on(case);
    }
}

mstr_fake::conformance!(Hyper::new());
