//! What can go wrong.

use std::fmt;

use serde::{Serialize, Serializer};

macro_rules! error_kinds {
    ($($(#[doc = $doc:literal])+ $name:ident $text:literal => $refusal:literal,)+) => {
        /// What happened.
        ///
        /// Each variant says whether the request is repeated automatically (within the
        /// [`RetryPolicy`](crate::RetryPolicy), and only if it may be repeated) and what the
        /// caller can do.
        #[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
        #[non_exhaustive]
        pub enum ErrorKind {
            $($(#[doc = $doc])+ $name,)+
        }

        impl ErrorKind {
            /// The kind in `snake_case`, for a log or a metric: `"session_limit"`.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$name => $text,)+
                }
            }

            #[cfg(test)]
            pub(crate) const ALL: &'static [Self] = &[$(Self::$name),+];

            /// The message of an error of this kind that has nothing more specific to say.
            pub(crate) const fn refusal(self) -> &'static str {
                match self {
                    $(Self::$name => $refusal,)+
                }
            }
        }
    };
}

error_kinds! {
    /// The operation was given up by this side, for example because the runtime behind the
    /// transport has shut down. Not repeated.
    Canceled "canceled" => "the operation was canceled",
    /// The connection has been closed. Not repeated: open a new connection.
    Closed "closed" => "the connection has been closed",
    /// A setting cannot work; the message names it. Not repeated: correct the setting.
    Config "config" => "a setting cannot work",
    /// The server refuses because of the state of the object: it exists already, or it is
    /// being changed by someone else. Not repeated.
    Conflict "conflict" => "the server reports a conflict",
    /// No connection could be made. Repeated: the request cannot have left.
    Connect "connect" => "no connection could be made",
    /// The server refuses the credentials. Never repeated, because repeating a wrong password
    /// locks the account: later calls fail with the same error until
    /// [`reset_credentials`](crate::Connection::reset_credentials), or until a credential provider
    /// gives others.
    Credentials "credentials" => "the server refused the credentials",
    /// The answer is not what the REST API promises. Not repeated. Often the base URL points to
    /// something else, such as a sign-in page.
    Decode "decode" => "the answer could not be understood",
    /// The user lacks a privilege or an access right. Not repeated: ask the administrator.
    Forbidden "forbidden" => "the user is not allowed to do this",
    /// Something in front of the server answered in its place: a gateway, a proxy, a sign-in page. It
    /// says nothing about the session or the credentials. Not repeated, except by the session's own
    /// requests: it may pass by itself, or be a matter of the network's settings or the base URL.
    Gateway "gateway" => "something in front of the server answered in its place",
    /// The connection ended before the answer was complete. Repeated if the request is
    /// idempotent, because the server may have processed it.
    Interrupted "interrupted" => "the connection ended early",
    /// The server knows no such object or endpoint. Not repeated.
    NotFound "not_found" => "the server knows no such object or endpoint",
    /// The project is unknown, ambiguous or not loaded. Not repeated: the message names what
    /// was asked for and the nearest names.
    ProjectUnavailable "project_unavailable" => "the project is not available",
    /// The server asks for fewer requests. Repeated after the time it asks for.
    RateLimited "rate_limited" => "the server asks for fewer requests",
    /// The server redirects to another origin, in a circle, or without saying where. Not
    /// followed, because the session's token must not reach another host. Check the base URL.
    Redirect "redirect" => "the server redirects to where the session must not go",
    /// The server refuses the request as malformed or not supported. Not repeated.
    Request "request" => "the server refuses the request",
    /// The server failed. Repeated if the request is idempotent and the failure is one that
    /// passes (502, 503, 504).
    Server "server" => "the server failed",
    /// The server has no session left for this user or at all. Not repeated, because sessions
    /// are freed in minutes, not milliseconds: close sessions or raise the limit.
    SessionLimit "session_limit" => "the server allows no further session",
    /// The session has ended and could not be replaced, for example one borrowed with an
    /// identity token. A session that can be replaced is replaced without an error.
    SessionLost "session_lost" => "the session has ended",
    /// A deadline passed. Repeated if the request is idempotent.
    Timeout "timeout" => "the deadline passed",
    /// The TLS handshake failed. Not repeated: see the TLS settings of the transport.
    Tls "tls" => "no secure connection could be made",
    /// The server is older than this library supports. Not repeated.
    UnsupportedServer "unsupported_server" => "the server is too old",
    /// The call itself is wrong; the message says how. Nothing was sent.
    Usage "usage" => "the call is wrong",
}

impl ErrorKind {
    /// Whether an error of this kind can pass by itself.
    #[must_use]
    pub const fn is_retryable(self) -> bool {
        matches!(
            self,
            Self::Connect
                | Self::Gateway
                | Self::Interrupted
                | Self::RateLimited
                | Self::Server
                | Self::Timeout
        )
    }
}

/// As [`as_str`](ErrorKind::as_str).
impl fmt::Display for ErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// As [`as_str`](ErrorKind::as_str).
impl Serialize for ErrorKind {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}
