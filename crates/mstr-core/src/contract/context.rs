//! The limits of one request, for the transport.

use std::time::{Duration, Instant};

/// The time limits of one request and its purpose, for the transport: [`RequestContext::of`].
///
/// They travel in the request's body, because an extension would cost three allocations for each
/// request.
#[derive(Clone, Copy, Debug, Default)]
#[non_exhaustive]
pub struct RequestContext {
    /// The latest time for the response's head. Connecting is included.
    pub deadline: Option<Instant>,
    /// The longest time for making a network connection, TLS handshake included.
    pub connect_timeout: Option<Duration>,
    /// The longest wait for the next piece of the response's body.
    pub body_idle_timeout: Option<Duration>,
    /// The purpose of the request, for the log: `"login"`, `"renew"`, `"call"`.
    pub operation: &'static str,
    /// The number of the attempt, from 1.
    pub attempt: u32,
}
