//! The kinds of failures.

use std::fmt;

use serde::{Serialize, Serializer};

macro_rules! error_kinds {
    ($($(#[doc = $doc:literal])+ $name:ident $text:literal => $refusal:literal,)+) => {
        /// The kind of a failure, to branch on.
        ///
        /// Each variant says whether the request is repeated automatically, and what the caller can
        /// do. Repetitions are limited by the [`RetryPolicy`](crate::RetryPolicy). A request that is not
        /// idempotent is repeated only if it cannot have reached the server.
        ///
        /// ```
        /// # use mstr_core as mstr;
        /// use mstr::{Error, ErrorKind};
        ///
        /// /// The exit code of a program that creates an object.
        /// fn exit_code(error: &Error) -> u8 {
        ///     match error.kind() {
        ///         ErrorKind::Config | ErrorKind::Usage => 64,
        ///         ErrorKind::Credentials | ErrorKind::Forbidden => 77,
        ///         // It may be there. A program that only reads leaves this line out.
        ///         _ if error.may_have_been_executed() => 70,
        ///         _ if error.is_retryable() => 75, // try again later
        ///         _ => 1,
        ///     }
        /// }
        /// ```
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
    /// The operation was canceled on this side, for example because the runtime behind the
    /// transport has shut down. Not repeated.
    Canceled "canceled" => "the operation was canceled",
    /// The connection has been closed. Not repeated: open a new connection.
    Closed "closed" => "the connection has been closed",
    /// A setting cannot work; the message names it. Not repeated: correct the setting.
    Config "config" => "a setting cannot work",
    /// The server refuses because of the state of the object: it exists already, or another user is
    /// changing it. Not repeated.
    Conflict "conflict" => "the server reports a conflict",
    /// No connection could be made. Repeated: the request cannot have left.
    Connect "connect" => "no connection could be made",
    /// The server refuses the credentials. Never repeated, because repeating a wrong password
    /// locks the account. Later calls fail with the same error until
    /// [`reset_credentials`](crate::Connection::reset_credentials) is called, or until a credential
    /// provider returns other credentials.
    Credentials "credentials" => "the server refused the credentials",
    /// The response is not the one that the REST API documents, or not the type that the caller asked
    /// for. Not repeated. Often the base URL points to something else, such as a sign-in page.
    Decode "decode" => "the answer could not be understood",
    /// The user lacks a privilege or an access right. Not repeated: ask the administrator.
    Forbidden "forbidden" => "the user is not allowed to do this",
    /// A gateway, a proxy or a sign-in page in front of the server answered in its place, and says
    /// nothing about its state: with 401, 403 or 407, for example. Its 408, 429, 502, 503 and 504 are
    /// [`Timeout`](Self::Timeout), [`RateLimited`](Self::RateLimited) and [`Server`](Self::Server), and
    /// its page with 200 is [`Decode`](Self::Decode) when it is read as JSON. The session
    /// and the credentials may be fine. Only logins and renewals are repeated, because the reason may be
    /// temporary. If it stays, check the base URL and the network's settings.
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
    /// The server allows no further session for this user, or in total. Not repeated, because it takes
    /// minutes until sessions end: close sessions or raise the limit.
    SessionLimit "session_limit" => "the server allows no further session",
    /// The session has ended and cannot be replaced, for example because it was borrowed with an
    /// identity token. A session that can be replaced is replaced without an error.
    SessionLost "session_lost" => "the session has ended",
    /// A time limit has passed; see [`Timeouts`](crate::Timeouts). Repeated if the request is
    /// idempotent.
    Timeout "timeout" => "the deadline passed",
    /// The TLS handshake failed. Not repeated: check [`TlsConfig`](crate::TlsConfig).
    Tls "tls" => "no secure connection could be made",
    /// The server is older than this library supports. Not repeated.
    UnsupportedServer "unsupported_server" => "the server is too old",
    /// The call itself is wrong; the message says how. Nothing was sent.
    Usage "usage" => "the call is wrong",
}

impl ErrorKind {
    /// Whether an error of this kind can go away without a change of the program or its settings.
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
