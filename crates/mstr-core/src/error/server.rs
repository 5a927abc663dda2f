//! The server's own error format.
//!
//! `{"code", "message", "ticketId"?, "iServerCode"?}`, or `{"errors": [..]}` with such objects.
//! Codes are spelled two ways (`ERR0014` in the vendor's table, `ERR014` in its samples), and
//! `iServerCode` also appears as `IserverCode`; both forms are read.

use std::fmt;

use http::StatusCode;

use super::kind::ErrorKind;
use crate::shown::Plain;

/// The server's reason for refusing a request, from [`Error::server`](crate::Error::server).
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct ServerError {
    /// The REST server's code.
    pub code: ServerCode,
    /// The Intelligence Server's code, if it was the one that refused.
    pub iserver_code: Option<i64>,
    /// The message, in the language of the session.
    pub message: String,
    /// The ticket the vendor's support asks for: it finds the failure in the server's log.
    pub ticket: Option<TicketId>,
    /// The remaining errors of an answer that carries several.
    pub further: Vec<Self>,
}

impl ServerError {
    /// The kind the codes imply, `None` if they do not say and the status has to.
    pub(super) fn classify(&self) -> Option<ErrorKind> {
        self.iserver_code
            .and_then(kind_of_i_server_code)
            .or_else(|| self.code.classify())
            .or_else(|| self.further.iter().find_map(Self::classify))
    }

    /// Whether the server itself says so: gateways have JSON of their own, such as
    /// `{"message":"Unauthorized"}`.
    pub(crate) fn is_servers_own(&self) -> bool {
        self.code.is_servers_own()
            || self.iserver_code.is_some()
            || self.ticket.is_some()
            || self.further.iter().any(Self::is_servers_own)
    }

    /// Whether the session this was about no longer exists.
    pub(crate) fn is_session_gone(&self) -> bool {
        self.classify() == Some(ErrorKind::SessionLost)
    }

    /// Whether a login was refused because of its application type.
    pub(crate) fn is_application_type_refused(&self) -> bool {
        // The server has no code of its own for this; mstrio-py looks for the same words.
        self.message.to_ascii_lowercase().contains("constraint violations")
            || self.further.iter().any(Self::is_application_type_refused)
    }
}

impl fmt::Display for ServerError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.code)?;
        if let Some(code) = self.iserver_code {
            write!(f, " (iServerCode {code})")?;
        }
        let message = self.message.trim_end_matches(['.', ' ', '\n']);
        if !message.is_empty() {
            write!(f, " \"{}\"", Plain(message))?;
        }
        if let Some(ticket) = &self.ticket {
            write!(f, ", ticket {ticket}")?;
        }
        Ok(())
    }
}

/// The REST server's error code, compared without regard to its two spellings: `ERR0014` and
/// `ERR014` are equal.
#[derive(Clone, Debug)]
pub struct ServerCode(pub(super) String);

impl ServerCode {
    /// The code as the server spelled it.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The number behind `ERR`, if it has that form.
    #[must_use]
    pub fn number(&self) -> Option<u32> {
        let digits = self.0.get(..3).filter(|prefix| prefix.eq_ignore_ascii_case("ERR"))?.len();
        self.0.get(digits..)?.parse().ok()
    }

    /// Whether it has a form of the server's: a number after `ERR`, the one entry of the vendor's
    /// table with a letter in it, or an Intelligence Server's result in hexadecimal.
    fn is_servers_own(&self) -> bool {
        let result = self.0.len() == 8 && u32::from_str_radix(&self.0, 16).is_ok();
        self.number().is_some() || self.0 == "0R22" || result
    }

    /// Whether it says that a part of the server is away: the Intelligence Server cannot be
    /// reached (13), or the service is unavailable (16).
    pub(crate) fn is_passing(&self) -> bool {
        matches!(self.number(), Some(13 | 16))
    }

    fn classify(&self) -> Option<ErrorKind> {
        // The Modeling service reports the session limit as a bare hexadecimal result.
        if self.0.eq_ignore_ascii_case("8004cb0a") {
            return Some(ErrorKind::SessionLimit);
        }
        Some(match self.number()? {
            3 => ErrorKind::Credentials,
            4 => ErrorKind::NotFound,
            5..=7 | 10 => ErrorKind::Request,
            9 => ErrorKind::SessionLost,
            13 | 16 => ErrorKind::Server,
            14 | 17 => ErrorKind::Forbidden,
            15 => ErrorKind::Conflict,
            _ => return None,
        })
    }
}

impl fmt::Display for ServerCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", Plain(if self.0.is_empty() { "no code" } else { &self.0 }))
    }
}

impl PartialEq for ServerCode {
    fn eq(&self, other: &Self) -> bool {
        match (self.number(), other.number()) {
            (Some(own), Some(others)) => own == others,
            _ => self.0 == other.0,
        }
    }
}

impl Eq for ServerCode {}

impl PartialEq<str> for ServerCode {
    fn eq(&self, other: &str) -> bool {
        *self == Self(other.to_owned())
    }
}

impl PartialEq<&str> for ServerCode {
    fn eq(&self, other: &&str) -> bool {
        *self == **other
    }
}

impl AsRef<str> for ServerCode {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

/// The ticket under which the server logged a failure.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub struct TicketId(pub(super) String);

impl TicketId {
    /// The ticket as text, 32 hexadecimal digits on the servers seen.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl AsRef<str> for TicketId {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for TicketId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", Plain(&self.0))
    }
}

/// Names and numbers from the vendor's table of Web API error codes.
fn kind_of_i_server_code(code: i64) -> Option<ErrorKind> {
    Some(match code {
        // Login failed, password required, expired or wrong, account disabled, unknown user,
        // locked (two codes), mode not allowed, bad token, second factor, LDAP not configured,
        // invalid mode, JWT (two), OIDC (two).
        -2_147_216_959 | -2_147_216_960 | -2_147_216_963 | -2_147_216_964 | -2_147_216_965
        | -2_147_216_967 | -2_147_202_287 | -2_147_072_513 | -2_147_213_792 | -2_147_213_789
        | -2_147_202_292 | -2_147_205_409 | -2_147_468_991 | -2_147_025_421 | -2_147_025_420
        | -2_147_025_428 | -2_147_025_427 => ErrorKind::Credentials,
        // Invalid session id (two codes), session closed, already logged out.
        -2_147_206_924 | -2_147_025_402 | -2_147_468_901 | -2_147_207_306 => ErrorKind::SessionLost,
        // Per project and user, per project, all users (two codes), sessions.
        -2_147_072_486 | -2_147_209_052 | -2_147_209_056 | -2_147_468_648 | -2_147_073_423 => {
            ErrorKind::SessionLimit
        }
        // No privilege, access denied.
        -2_147_213_784 | -2_147_214_568 => ErrorKind::Forbidden,
        // Project not loaded.
        -2_147_209_151 => ErrorKind::ProjectUnavailable,
        // The Intelligence Server's own request timeout.
        -2_147_206_497 => ErrorKind::Timeout,
        _ => return None,
    })
}

/// Server codes come before the status: a session limit answers 500 and must not be repeated.
pub(super) fn classify(status: StatusCode, body: Option<&ServerError>) -> ErrorKind {
    if let Some(kind) = body.and_then(ServerError::classify) {
        return kind;
    }
    let own = body.is_some_and(ServerError::is_servers_own);
    match status {
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN if !own => ErrorKind::Gateway,
        StatusCode::PROXY_AUTHENTICATION_REQUIRED => ErrorKind::Gateway,
        StatusCode::UNAUTHORIZED => ErrorKind::Credentials,
        StatusCode::FORBIDDEN => ErrorKind::Forbidden,
        StatusCode::NOT_FOUND | StatusCode::GONE => ErrorKind::NotFound,
        StatusCode::REQUEST_TIMEOUT => ErrorKind::Timeout,
        StatusCode::CONFLICT | StatusCode::PRECONDITION_FAILED | StatusCode::LOCKED => {
            ErrorKind::Conflict
        }
        StatusCode::TOO_MANY_REQUESTS => ErrorKind::RateLimited,
        _ if status.is_redirection() => ErrorKind::Redirect,
        _ if status.is_server_error() => ErrorKind::Server,
        _ => ErrorKind::Request,
    }
}

#[cfg(test)]
mod tests {
    use http::StatusCode;

    use super::*;
    use crate::error::parse_error_body;
    use crate::error::refused::MESSAGE_LIMIT;

    fn kind(status: u16, body: &str) -> ErrorKind {
        let status = StatusCode::from_u16(status).expect("a status");
        classify(status, parse_error_body(body.as_bytes()).as_ref())
    }

    #[test]
    fn codes_come_before_the_status() {
        let table: &[(u16, &str, ErrorKind)] = &[
            (401, r#"{"code":"ERR003","message":"Login failed"}"#, ErrorKind::Credentials),
            (401, r#"{"code":"ERR009","message":"expired"}"#, ErrorKind::SessionLost),
            (401, r#"{"code":"ERR0009"}"#, ErrorKind::SessionLost),
            (500, r#"{"code":"ERR001","iServerCode":-2147072486}"#, ErrorKind::SessionLimit),
            (500, r#"{"code":"ERR001","IserverCode":-2147072486}"#, ErrorKind::SessionLimit),
            (500, r#"{"code":"ERR001","iServerCode":"-2147209052"}"#, ErrorKind::SessionLimit),
            (500, r#"{"code":"8004cb0a"}"#, ErrorKind::SessionLimit),
            (403, r#"{"code":"ERR014"}"#, ErrorKind::Forbidden),
            (500, r#"{"code":"ERR0014"}"#, ErrorKind::Forbidden),
            (500, r#"{"code":"ERR0017"}"#, ErrorKind::Forbidden),
            (500, r#"{"code":"ERR001","iServerCode":-2147209151}"#, ErrorKind::ProjectUnavailable),
            (500, r#"{"errors":[{"code":"ERR001"},{"code":"ERR009"}]}"#, ErrorKind::SessionLost),
            (500, r#"{"errors":[]}"#, ErrorKind::Server),
            (401, r#"{"code":"ERR001","message":"no"}"#, ErrorKind::Credentials),
            (403, r#"{"code":"ERR001","message":"no"}"#, ErrorKind::Forbidden),
            (401, "<html>sign in</html>", ErrorKind::Gateway),
            (401, "", ErrorKind::Gateway),
            (401, r#"{"message":"Unauthorized"}"#, ErrorKind::Gateway),
            (403, r#"{"message":"Forbidden"}"#, ErrorKind::Gateway),
            (403, r#"{"code":"ACCESS_DENIED"}"#, ErrorKind::Gateway),
            (403, r#"{"code":"0R22"}"#, ErrorKind::Forbidden),
            (403, r#"{"iServerCode":1,"message":"no"}"#, ErrorKind::Forbidden),
            (407, "", ErrorKind::Gateway),
            (502, "<html>bad gateway</html>", ErrorKind::Server),
            (404, "", ErrorKind::NotFound),
            (429, "null", ErrorKind::RateLimited),
            (400, "[]", ErrorKind::Request),
            (418, "{}", ErrorKind::Request),
            (409, "{}", ErrorKind::Conflict),
        ];
        for (status, body, expected) in table {
            assert_eq!(kind(*status, body), *expected, "{status} {body}");
        }
    }

    #[test]
    fn both_spellings_of_a_code_are_equal() {
        let long = ServerCode("ERR0014".into());
        assert_eq!(long, ServerCode("ERR014".into()));
        assert_eq!(long, *"ERR14");
        assert_ne!(long, ServerCode("ERR0017".into()));
        // The vendor's table has one code with a letter in it.
        assert_eq!(ServerCode("0R22".into()).number(), None);
    }

    #[test]
    fn everything_the_server_says_is_kept() {
        let body = r#"{"errors":[{"code":"ERR001","iServerCode":-2147216963,"message":"(expired.)",
            "ticketId":"f39db2e12d5b4cb9b4d32fc6e439045e"},{"code":"ERR006","message":"x"}]}"#;
        let error = parse_error_body(body.as_bytes()).expect("an error body");
        assert_eq!(error.iserver_code, Some(-2_147_216_963));
        assert_eq!(error.further.len(), 1);
        let text = error.to_string();
        assert!(text.contains("f39db2e12d5b4cb9b4d32fc6e439045e"), "{text}");
    }

    #[test]
    fn a_long_message_is_cut_between_characters() {
        let body = format!(r#"{{"code":"ERR001","message":"{}"}}"#, "ä".repeat(MESSAGE_LIMIT));
        let error = parse_error_body(body.as_bytes()).expect("an error body");
        assert!(error.message.len() <= MESSAGE_LIMIT);
    }

    #[test]
    fn words_of_a_server_write_no_lines_and_are_bounded() {
        let long = "x".repeat(10_000);
        let body = format!(
            r#"{{"code":"E\nR{long}","message":"no\r\n2026 INFO all is well\u001b[2J","ticketId":"t\n{long}"}}"#
        );
        let shown = parse_error_body(body.as_bytes()).expect("an error body").to_string();
        assert!(!shown.contains(char::is_control), "{shown:?}");
        assert!(shown.contains(r"no\r\n2026 INFO") && shown.len() < 1_000, "{shown:?}");
    }
}
