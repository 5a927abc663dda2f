//! The transport contract, sentence by sentence, as tests that any transport can run.
//!
//! Implement [`Backend`] for yours and write one line:
//!
//! ```
//! use mstr_core::{BoxError, BoxFuture, SharedTransport};
//! use mstr_fake::conformance::{Backend, Target};
//! # use mstr_fake::{NeverTransport, VirtualTime};
//! # struct MyTransport;
//! # impl MyTransport {
//! #     fn new(_: &Target) -> Result<NeverTransport, BoxError> {
//! #         Ok(NeverTransport::new(VirtualTime::new()))
//! #     }
//! # }
//!
//! struct MyBackend;
//!
//! impl Backend for MyBackend {
//!     fn name(&self) -> &'static str {
//!         "mine"
//!     }
//!
//!     fn transport(&self, target: &Target) -> Result<SharedTransport, BoxError> {
//!         Ok(SharedTransport::new(MyTransport::new(target)?))
//!     }
//!
//!     fn run(&self, case: BoxFuture<'static, ()>) {
//!         futures_executor::block_on(case);
//!     }
//! }
//!
//! mstr_fake::conformance!(MyBackend);
//! ```
//!
//! That makes one `#[test]` of each case, so that a test runner lists, filters and repeats them
//! singly. [`run_all`] does the same without macros. A case can only be skipped by declaring that
//! the stack lacks a [`Capability`], with the reason; [`table`] shows who lacks what.
//!
//! A [`BlockingTransport`](mstr_core::BlockingTransport) runs the same cases as [`OnThreads`].
//!
//! The servers are real sockets on this machine, some of them written byte by byte
//! ([`RawServer`]), because most of the contract is about servers that misbehave.

mod bodies;
mod cancel;
mod concurrency;
mod context;
mod envelope;
mod errors;
mod extras;
mod macros;
mod policy;
mod proxy;
mod session;
mod threads;
mod tls;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use mstr_core::{BoxError, BoxFuture, ProxyConfig, SharedTransport};

pub use self::context::Context;
pub use self::macros::cases;
pub use self::threads::OnThreads;
#[cfg(doc)]
use crate::loopback::RawServer;

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
}

/// What a stack may be unable to do.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
#[non_exhaustive]
pub enum Capability {
    /// Adds no header that was not given, where HTTP does not ask for it.
    BareRequests,
    /// Shows a certificate of its own.
    ClientIdentity,
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
    /// Sends header values that are not ASCII.
    OpaqueHeaders,
    /// Notices at once that the server has closed a kept connection. (Others within a second.)
    PromptReuse,
    /// Ends the connection at once when a request is dropped whose server is silent.
    SilentPeerCancel,
    /// Repeats no safe request by itself when a kept connection breaks. (Others never.)
    SingleReads,
    /// Goes through SOCKS 5 proxies.
    Socks5,
    /// Speaks TLS.
    Tls,
    /// Speaks TLS with proxies.
    TlsProxy,
    /// Sends paths letter by letter: `..` is not resolved, `%2f` not written `%2F`.
    VerbatimPaths,
}

impl Capability {
    const ALL: [Self; 15] = [
        Self::Every,
        Self::Tls,
        Self::ClientIdentity,
        Self::Http2,
        Self::BareRequests,
        Self::VerbatimPaths,
        Self::OpaqueHeaders,
        Self::EarlyHead,
        Self::EarlyAnswer,
        Self::SilentPeerCancel,
        Self::SingleReads,
        Self::PromptReuse,
        Self::HttpProxy,
        Self::Socks5,
        Self::TlsProxy,
    ];

    /// What it is, in a few words.
    #[must_use]
    pub const fn describe(self) -> &'static str {
        match self {
            Self::BareRequests => "adds no header of its own",
            Self::ClientIdentity => "a client certificate",
            Self::EarlyAnswer => "an answer before the upload has ended",
            Self::EarlyHead => "an answer's head before its body begins",
            Self::Every => "the contract",
            Self::Http2 => "HTTP/2",
            Self::HttpProxy => "HTTP proxies",
            Self::OpaqueHeaders => "header values beyond ASCII",
            Self::SingleReads => "never repeats a GET by itself",
            Self::PromptReuse => "notices a closed connection at once",
            Self::SilentPeerCancel => "ends a silent connection at once when dropped",
            Self::Socks5 => "SOCKS5 proxies",
            Self::Tls => "TLS",
            Self::TlsProxy => "proxies spoken to over TLS",
            Self::VerbatimPaths => "paths letter by letter",
        }
    }
}

/// One sentence of the contract.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Case {
    /// Group and name, for example `policy::a_redirect_is_not_followed`.
    pub name: &'static str,
    /// What a stack has to be able to do for it.
    pub needs: Capability,
    run: fn(Context) -> BoxFuture<'static, ()>,
}

/// How one case went.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Outcome {
    /// It does not hold; the reason has been printed.
    Failed,
    /// It holds.
    Passed,
    /// The backend says it cannot, and why.
    Skipped(&'static str),
}

/// Runs one case against a backend.
///
/// # Panics
///
/// If it does not hold.
pub fn run(backend: &Arc<dyn Backend>, case: &Case) -> Outcome {
    if let Some((_, why)) = backend.lacks().iter().find(|(lacking, _)| *lacking == case.needs) {
        return Outcome::Skipped(why);
    }
    let context = Context::new(Arc::clone(backend));
    backend.run((case.run)(context));
    Outcome::Passed
}

/// Runs the case of this name against a backend; what [`conformance!`](crate::conformance!) calls.
///
/// # Panics
///
/// If it does not hold, or if there is no such case.
pub fn run_named(backend: impl Backend, name: &str) {
    let Some(case) = cases().iter().find(|case| case.name == name) else {
        panic!("there is no case {name}");
    };
    let backend: Arc<dyn Backend> = Arc::new(backend);
    if let Outcome::Skipped(why) = run(&backend, case) {
        report(&format!("skipped: {} cannot: {why}", backend.name()));
    }
}

#[expect(clippy::print_stderr, reason = "a test runner shows it beside the test")]
pub(crate) fn report(text: &str) {
    eprintln!("{text}");
}

/// Runs every case against a backend and returns how each went.
pub fn run_all(backend: impl Backend) -> Vec<(&'static str, Outcome)> {
    let backend: Arc<dyn Backend> = Arc::new(backend);
    let one = |case: &Case| {
        // The panic has been printed; the next case starts with a new transport.
        let outcome = catch_unwind(AssertUnwindSafe(|| run(&backend, case)));
        (case.name, outcome.unwrap_or(Outcome::Failed))
    };
    cases().iter().map(one).collect()
}

/// What these backends can and cannot do, as a table in Markdown.
#[must_use]
pub fn table(backends: &[&dyn Backend]) -> String {
    let mut text = String::from("| |");
    for backend in backends {
        text.push_str(&format!(" {} |", backend.name()));
    }
    text.push_str("\n|---|");
    text.push_str(&"---|".repeat(backends.len()));
    text.push('\n');
    for capability in Capability::ALL {
        text.push_str(&format!("| {} |", capability.describe()));
        for backend in backends {
            let lacking = backend.lacks().iter().find(|(lacking, _)| *lacking == capability);
            match lacking {
                Some((_, why)) => text.push_str(&format!(" no: {why} |")),
                None => text.push_str(" yes |"),
            }
        }
        text.push('\n');
    }
    text
}
