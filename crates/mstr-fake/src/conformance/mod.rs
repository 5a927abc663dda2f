//! The transport contract, sentence by sentence, as tests that any transport can run.
//!
//! Implement [`Backend`] for a transport and write one line:
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
//! the stack lacks a [`Capability`], with the reason; [`table`] shows which backend lacks what.
//!
//! A [`BlockingTransport`](mstr_core::BlockingTransport) runs the same cases in [`OnThreads`], and
//! those about waiting in steps directly ([`Backend::blocking`]).
//!
//! The servers are real sockets on this machine, some of them written byte by byte
//! ([`RawServer`]), because most of the contract is about servers that misbehave.

mod backend;
mod bodies;
mod cancel;
mod case;
mod concurrency;
mod connections;
mod context;
mod envelope;
mod errors;
mod extras;
mod frames;
mod http2;
mod macros;
mod policy;
mod proxy;
mod session;
mod threads;
mod tls;
mod waiting;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

pub use self::backend::{Backend, Capability, Target};
pub use self::case::Case;
pub use self::context::Context;
pub use self::macros::cases;
pub use self::threads::OnThreads;

use self::context::report;
#[cfg(doc)]
use crate::loopback::RawServer;

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

/// Runs the case of this name against a backend, for [`conformance!`](crate::conformance!).
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

/// The capabilities of these backends, as a table in Markdown.
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
