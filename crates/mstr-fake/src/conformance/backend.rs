//! What the suite has to be told about a transport.

use std::time::Duration;

use mstr_core::blocking::BlockOn;
use mstr_core::{BoxError, BoxFuture, ProxyConfig, SharedBlockingTransport, SharedTransport};

/// A transport under test.
pub trait Backend: Send + Sync + 'static {
    /// What it is called in reports.
    fn name(&self) -> &'static str;

    /// What the stack cannot do, and why. Everything else is tested.
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
    /// [`OnThreads`](super::OnThreads) returns what is inside.
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

/// What a transport is made for.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Target {
    /// Trust what this authority has signed (PEM), and nothing else that signs for this machine.
    pub authority_pem: Option<String>,
    /// Show this certificate to servers that ask (PEM, certificate and key).
    pub identity_pem: Option<String>,
    /// Use these proxies. Without any, none.
    pub proxy: Option<ProxyConfig>,
    /// Have so many connections to a server at a time at most.
    pub max_connections_per_host: Option<usize>,
    /// Ask a server that is silent for so long whether it is there, while requests are open, and
    /// wait as long for the answer.
    pub ping_after: Option<Duration>,
}

/// What a stack may be unable to do.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
#[non_exhaustive]
pub enum Capability {
    /// Adds no header that was not given, where HTTP does not ask for it.
    BareRequests,
    /// Comes back to a thread that waits for an answer at the instant that it has named. (Others
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
    /// Nothing but what the contract asks of everybody.
    Every,
    /// Speaks HTTP/2 over TLS with servers that choose it.
    Http2,
    /// Goes through HTTP proxies, by forwarding and by tunnels.
    HttpProxy,
    /// Reads heads with folded lines, spaces before a colon and control characters.
    OddHeaders,
    /// Sends header values that are not ASCII.
    OpaqueHeaders,
    /// Asks a silent server whether it is there, and fails what waits for it.
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
    /// Tells of a request that HTTP/2 declares unprocessed that nothing was sent.
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

    /// What it is, in a few words.
    #[must_use]
    pub const fn describe(self) -> &'static str {
        match self {
            Self::BareRequests => "adds no header of its own",
            Self::BoundedWaits => {
                "keeps `total` while it opens, renews and closes, which may exceed it by one \
                 attempt otherwise"
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
            Self::Pings => "asks a silent server whether it is there",
            Self::RetiresLate => "uses no connection again on which a request was late",
            Self::SelfSigned => "a self-signed certificate that was named",
            Self::SingleReads => "never repeats a GET by itself",
            Self::PromptReuse => "notices a closed connection at once",
            Self::SilentPeerCancel => "ends a silent connection at once when dropped",
            Self::Socks5 => "SOCKS5 proxies",
            Self::TellsUnprocessed => "tells that HTTP/2 has not processed a request",
            Self::Tls => "TLS",
            Self::TlsProxy => "proxies spoken to over TLS",
            Self::VerbatimPaths => "paths letter by letter",
            Self::WholeHeads => "notices every head that is cut off",
        }
    }
}
