//! The ways over a socket: which transport, with TLS or without, in which version of HTTP.

use std::future::Future;
use std::sync::Arc;

use mstr::{SharedTransport, TlsConfig};
use mstr_fake::ServerBuilder;
use mstr_fake::conformance::OnThreads;
use mstr_fake::loopback::{Authority, HttpServer, ServerTls};
use mstr_hyper::HyperTransport;
use mstr_hyper::blocking::HyperBlocking;
use mstr_isahc::IsahcTransport;
use mstr_isahc::blocking::IsahcBlocking;

/// A way over a socket.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Stack {
    Hyper,
    HyperHttp2,
    /// The transport for blocking code, a thread for each request.
    HyperOnThreads,
    HyperTls,
    Isahc,
    IsahcHttp2,
    /// The same over isahc.
    IsahcOnThreads,
    IsahcTls,
}

impl Stack {
    /// All of them.
    pub const ALL: [Self; 8] = [
        Self::Hyper,
        Self::HyperTls,
        Self::HyperHttp2,
        Self::HyperOnThreads,
        Self::Isahc,
        Self::IsahcTls,
        Self::IsahcHttp2,
        Self::IsahcOnThreads,
    ];

    /// The name in reports.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Hyper => "hyper",
            Self::HyperHttp2 => "hyper, HTTP/2",
            Self::HyperOnThreads => "hyper, blocking",
            Self::HyperTls => "hyper, TLS",
            Self::Isahc => "isahc",
            Self::IsahcHttp2 => "isahc, HTTP/2",
            Self::IsahcOnThreads => "isahc, blocking",
            Self::IsahcTls => "isahc, TLS",
        }
    }

    /// Runs a test to its end, on the runtime that the transport needs, and on none where it needs
    /// none.
    pub fn block_on(self, test: impl Future<Output = ()>) {
        if self.needs_tokio() {
            let runtime = tokio::runtime::Builder::new_multi_thread()
                .worker_threads(2)
                .enable_all()
                .build()
                .unwrap();
            runtime.block_on(test);
        } else {
            futures_executor::block_on(test);
        }
    }

    fn needs_tokio(self) -> bool {
        matches!(self, Self::Hyper | Self::HyperHttp2 | Self::HyperTls)
    }

    fn is_tls(self) -> bool {
        matches!(self, Self::HyperHttp2 | Self::HyperTls | Self::IsahcHttp2 | Self::IsahcTls)
    }

    /// Starts a server and a transport that reaches it.
    pub fn start(self, server: ServerBuilder) -> (Arc<HttpServer>, SharedTransport) {
        let mut listening = HttpServer::builder();
        let mut tls = TlsConfig::new();
        if self.is_tls() {
            let authority = Authority::new().unwrap();
            let identity = authority.issue("127.0.0.1").unwrap();
            listening = listening.tls(ServerTls::new(&identity).unwrap());
            tls = tls.add_root_pem(authority.pem());
        }
        (Arc::new(listening.start(server.build()).unwrap()), self.transport(tls))
    }

    /// A transport that trusts as `tls` says.
    pub fn transport(self, tls: TlsConfig) -> SharedTransport {
        match self {
            Self::Hyper | Self::HyperTls => SharedTransport::new(
                HyperTransport::builder().tls(tls).http1_only().build().unwrap(),
            ),
            Self::HyperHttp2 => SharedTransport::new(
                HyperTransport::builder().tls(tls).http2_only().build().unwrap(),
            ),
            Self::Isahc | Self::IsahcTls => SharedTransport::new(
                IsahcTransport::builder().tls(tls).http1_only().build().unwrap(),
            ),
            Self::HyperOnThreads => SharedTransport::new(OnThreads::new(
                HyperBlocking::from_builder(HyperTransport::builder().tls(tls)).unwrap(),
            )),
            Self::IsahcOnThreads => SharedTransport::new(OnThreads::new(
                IsahcBlocking::from_builder(IsahcTransport::builder().tls(tls)).unwrap(),
            )),
            // Chosen by the server: libcurl's "HTTP/2 only" skips asking.
            Self::IsahcHttp2 => {
                SharedTransport::new(IsahcTransport::builder().tls(tls).build().unwrap())
            }
        }
    }
}
