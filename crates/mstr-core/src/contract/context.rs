//! What a transport is told about one request besides what is sent.

use std::time::{Duration, Instant};

/// What the session layer tells a transport about one request: [`RequestContext::of`].
///
/// It travels in the request's body and not as an extension, which would be three allocations for
/// each request.
#[derive(Clone, Copy, Debug, Default)]
#[non_exhaustive]
pub struct RequestContext {
    /// When to give up waiting for the response's head, connecting included.
    pub deadline: Option<Instant>,
    /// How long to wait for a connection, TLS handshake included.
    pub connect_timeout: Option<Duration>,
    /// How long to wait for the next piece of the response's body.
    pub body_idle_timeout: Option<Duration>,
    /// What the request is for, in log events: `"login"`, `"renew"`, `"call"`.
    pub operation: &'static str,
    /// Which attempt this is, from 1.
    pub attempt: u32,
}
