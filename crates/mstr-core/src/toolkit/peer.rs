//! The other side of an exchange, and how far the exchange has come.

use std::borrow::Cow;
use std::fmt;

use http::Uri;
use http::uri::{Authority, Scheme};

pub use crate::contract::Stage;
use crate::contract::{Sent, TransportError, TransportErrorKind};

/// The server an exchange is with, for error messages: host and port, never a path or a user.
#[derive(Clone, Debug)]
pub struct Peer {
    authority: Authority,
    port: u16,
    is_https: bool,
}

impl Peer {
    /// The server that a request to `uri` goes to.
    ///
    /// # Errors
    ///
    /// [`Config`](TransportErrorKind::Config) for anything but an absolute http or https URL.
    pub fn of(uri: &Uri) -> Result<Self, TransportError> {
        let default_port = match uri.scheme() {
            Some(scheme) if *scheme == Scheme::HTTP => 80,
            Some(scheme) if *scheme == Scheme::HTTPS => 443,
            Some(other) => {
                return Err(not_sent(format!("the scheme `{other}` is not http or https")));
            }
            None => return Err(not_sent("the request's URL is not absolute")),
        };
        match uri.authority() {
            Some(authority) => Ok(Self {
                is_https: uri.scheme() == Some(&Scheme::HTTPS),
                authority: authority.clone(),
                port: authority.port_u16().unwrap_or(default_port),
            }),
            None => Err(not_sent("the request's URL has no host")),
        }
    }

    /// The error of an exchange that ended at `stage`.
    #[must_use]
    pub fn failure(&self, kind: TransportErrorKind, stage: Stage) -> TransportError {
        self.locate(TransportError::new(kind).with_sent(stage.sent()), stage)
    }

    /// Says in an error with whom the exchange was and how far it had come.
    #[must_use]
    pub fn locate(&self, error: TransportError, stage: Stage) -> TransportError {
        let odd = error.kind() == TransportErrorKind::Protocol && stage == Stage::Sending;
        let error = error.with_place(stage, self.to_string());
        if odd && !self.is_https && !error.has_reason() {
            return error.with_reason("if the port speaks https, write https://");
        }
        error
    }
}

impl fmt::Display for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.authority.host(), self.port)
    }
}

fn not_sent(detail: impl Into<Cow<'static, str>>) -> TransportError {
    TransportError::new(TransportErrorKind::Config).with_sent(Sent::No).with_detail(detail)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_peer_is_named_by_host_and_port_only() {
        let peer = |uri| Peer::of(&Uri::from_static(uri)).unwrap();
        assert_eq!(peer("https://user:pw@host/path?query").to_string(), "host:443");
        assert_eq!(peer("http://[::1]/").to_string(), "[::1]:80");
        let failed = peer("http://host:81/").failure(TransportErrorKind::Timeout, Stage::Reading);
        assert_eq!(failed.to_string(), "a deadline passed (reading an answer from host:81)");
    }

    #[test]
    fn what_cannot_be_sent_anywhere_is_refused() {
        for (uri, problem) in [
            ("ftp://host/", "`ftp` is not http or https"),
            ("/path", "not absolute"),
            ("host:80", "not absolute"),
        ] {
            let error = Peer::of(&Uri::from_static(uri)).unwrap_err();
            assert_eq!((error.kind(), error.sent()), (TransportErrorKind::Config, Sent::No));
            assert!(error.to_string().contains(problem), "{uri}: {error}");
        }
    }
}
