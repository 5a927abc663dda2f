//! The description of a transport that the suite needs.

use std::time::Duration;

use mstr_core::blocking::BlockOn;
use mstr_core::{BoxError, BoxFuture, ProxyConfig, SharedBlockingTransport, SharedTransport};

/// A transport under test.
pub trait Backend: Send + Sync + 'static {
    /// The name in reports.
    fn name(&self) -> &'static str;

    /// The capabilities that the stack lacks, and why. All others are tested.
    fn lacks(&self) -> &'static [(Capability, &'static str)] {
        &[]
    }

    /// A transport with default settings, for `target`.
    ///
    /// # Errors
    ///
    /// Any; the case fails with it.
    fn transport(&self, target: &Target) -> Result<SharedTransport, BoxError>;

    /// The same for threads, to be waited for in steps
    /// ([`start`](mstr_core::BlockingTransport::start)).
    ///
    /// The default is [`transport`](Self::transport) with the calling thread parked. A backend over
    /// [`OnThreads`](super::OnThreads) returns the transport inside.
    ///
    /// # Errors
    ///
    /// Any; the case fails with it.
    fn blocking(&self, target: &Target) -> Result<SharedBlockingTransport, BoxError> {
        Ok(SharedBlockingTransport::new(BlockOn::new(self.transport(target)?)))
    }

    /// Runs `case` to its end, on whatever runtime the transport needs.
    fn run(&self, case: BoxFuture<'static, ()>);
}

/// The settings of the transport for a case.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Target {
    /// Trust this authority (PEM), and no other that signs for this machine.
    pub authority_pem: Option<String>,
    /// Show this certificate to servers that ask (PEM, certificate and key).
    pub identity_pem: Option<String>,
    /// Use these proxies. Without any, none.
    pub proxy: Option<ProxyConfig>,
    /// Keep at most this number of connections to a server at a time.
    pub max_connections_per_host: Option<usize>,
    /// Ping a server that is silent for this long while requests are open, and wait as long for the
    /// answer.
    pub ping_after: Option<Duration>,
}

/// A capability that a stack may lack.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
#[non_exhaustive]
pub enum Capability {
    /// Adds no header that was not given, where HTTP does not ask for it.
    BareRequests,
    /// Returns to a waiting thread at the instant that the thread has named. (Others
    /// finish the attempt, and [`Timeouts::total`](mstr_core::Timeouts::total) is exceeded by it.)
    BoundedWaits,
    /// Shows a certificate of its own.
    ClientIdentity,
    /// Keeps to a limit of connections.
    ConnectionLimit,
    /// Delivers an answer that comes before the request's body has been sent.
    EarlyAnswer,
    /// Delivers the head of an answer before the first byte of its body has come.
    EarlyHead,
    /// Nothing beyond the contract.
    Every,
    /// Speaks HTTP/2 over TLS with servers that choose it.
    Http2,
    /// Goes through HTTP proxies, by forwarding and by tunnels.
    HttpProxy,
    /// Reads heads with folded lines, spaces before a colon and control characters.
    OddHeaders,
    /// Sends header values that are not ASCII.
    OpaqueHeaders,
    /// Pings a silent server, and fails the requests that wait for it.
    Pings,
    /// Notices at once that the server has closed a kept connection. (Others within a second.)
    PromptReuse,
    /// Uses no connection again on which a request was late, over HTTP/2 too.
    RetiresLate,
    /// Trusts a certificate that says it is an authority (as `openssl req -x509` makes it) where a
    /// server shows it that was named to be trusted.
    SelfSigned,
    /// Ends the connection at once when a request is dropped whose server is silent.
    SilentPeerCancel,
    /// Repeats no safe request by itself when a kept connection breaks. (Others never.)
    SingleReads,
    /// Goes through SOCKS 5 proxies.
    Socks5,
    /// Reports a request that HTTP/2 declares unprocessed as not sent.
    TellsUnprocessed,
    /// Speaks TLS.
    Tls,
    /// Speaks TLS with proxies.
    TlsProxy,
    /// Sends paths letter by letter: `..` is not resolved, `%2f` not written `%2F`.
    VerbatimPaths,
    /// Notices a head that is cut off after it has announced a body in chunks, or none.
    WholeHeads,
}

impl Capability {
    pub(super) const ALL: [Self; 23] = [
        Self::Every,
        Self::Tls,
        Self::SelfSigned,
        Self::ClientIdentity,
        Self::Http2,
        Self::BareRequests,
        Self::VerbatimPaths,
        Self::OpaqueHeaders,
        Self::OddHeaders,
        Self::EarlyHead,
        Self::EarlyAnswer,
        Self::SilentPeerCancel,
        Self::BoundedWaits,
        Self::SingleReads,
        Self::PromptReuse,
        Self::RetiresLate,
        Self::Pings,
        Self::TellsUnprocessed,
        Self::WholeHeads,
        Self::ConnectionLimit,
        Self::HttpProxy,
        Self::Socks5,
        Self::TlsProxy,
    ];

    /// A short description.
    #[must_use]
    pub const fn describe(self) -> &'static str {
        match self {
            Self::BareRequests => "adds no header of its own",
            Self::BoundedWaits => {
                "keeps `total` while it opens, renews and closes (otherwise these may exceed it by \
                 one attempt)"
            }
            Self::ClientIdentity => "a client certificate",
            Self::ConnectionLimit => "a limit of connections",
            Self::EarlyAnswer => "an answer before the upload has ended",
            Self::EarlyHead => "an answer's head before its body begins",
            Self::Every => "the contract",
            Self::Http2 => "HTTP/2",
            Self::HttpProxy => "HTTP proxies",
            Self::OddHeaders => "heads with odd lines",
            Self::OpaqueHeaders => "header values beyond ASCII",
            Self::Pings => "pings a silent server",
            Self::RetiresLate => "uses no connection again on which a request was late",
            Self::SelfSigned => "a self-signed certificate that was named",
            Self::SingleReads => "never repeats a GET by itself",
            Self::PromptReuse => "notices a closed connection at once",
            Self::SilentPeerCancel => "ends a silent connection at once when dropped",
            Self::Socks5 => "SOCKS5 proxies",
            Self::TellsUnprocessed => "reports that HTTP/2 has not processed a request",
            Self::Tls => "TLS",
            Self::TlsProxy => "proxies over TLS",
            Self::VerbatimPaths => "paths letter by letter",
            Self::WholeHeads => "notices every head that is cut off",
        }
    }
}
