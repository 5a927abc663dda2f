//! The other side of an exchange, and how far the exchange has come.

use std::borrow::Cow;
use std::fmt;

use http::Uri;
use http::uri::{Authority, Scheme};

use crate::contract::{Sent, TransportError, TransportErrorKind};

/// How far an exchange had come when it failed.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[expect(clippy::exhaustive_enums, reason = "an exchange has no fourth stage")]
pub enum Stage {
    /// No connection had been assigned to the request: the server has seen nothing of it.
    Connecting,
    /// A connection had the request, and there was no response yet.
    Sending,
    /// The response's body was being read.
    Reading,
}

impl Stage {
    /// Whether the request can have reached the server by now.
    #[must_use]
    pub const fn sent(self) -> Sent {
        match self {
            Self::Connecting => Sent::No,
            Self::Sending | Self::Reading => Sent::Maybe,
        }
    }
}

/// The server an exchange is with, for error messages: host and port, never a path or a user.
#[derive(Clone, Debug)]
pub struct Peer {
    authority: Authority,
    port: u16,
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
                authority: authority.clone(),
                port: authority.port_u16().unwrap_or(default_port),
            }),
            None => Err(not_sent("the request's URL has no host")),
        }
    }

    /// What was being done at `stage`, as a detail for an error.
    #[must_use]
    pub fn doing(&self, stage: Stage) -> String {
        match stage {
            Stage::Connecting => format!("connecting to {self}"),
            Stage::Sending => format!("waiting for an answer from {self}"),
            Stage::Reading => format!("reading an answer from {self}"),
        }
    }

    /// The error of an exchange that ended at `stage`.
    #[must_use]
    pub fn failure(&self, kind: TransportErrorKind, stage: Stage) -> TransportError {
        TransportError::new(kind).with_sent(stage.sent()).with_detail(self.doing(stage))
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
        assert_eq!(peer("http://[::1]/").doing(Stage::Connecting), "connecting to [::1]:80");
        assert_eq!(peer("http://host:81/").doing(Stage::Reading), "reading an answer from host:81");
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
