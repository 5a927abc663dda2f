//! The address of a proxy, with user and password.

use std::fmt;

use http::StatusCode;
use http::header::{HeaderMap, PROXY_AUTHENTICATE};
use http::uri::Authority;
use percent_encoding::percent_decode_str;
use zeroize::Zeroizing;

use crate::contract::{Sent, TransportError, TransportErrorKind};

/// How to speak with a proxy.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum ProxyScheme {
    /// HTTP: forwarding for http servers, a tunnel for https servers.
    Http,
    /// The same over TLS.
    Https,
    /// SOCKS 5, names looked up here.
    Socks5,
    /// SOCKS 5, names looked up by the proxy.
    Socks5h,
}

impl ProxyScheme {
    /// As it stands in an address.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Https => "https",
            Self::Socks5 => "socks5",
            Self::Socks5h => "socks5h",
        }
    }

    const fn default_port(self) -> u16 {
        match self {
            Self::Http => 80,
            Self::Https => 443,
            Self::Socks5 | Self::Socks5h => 1080,
        }
    }

    /// Whether it is one of the two SOCKS schemes.
    #[must_use]
    pub const fn is_socks(self) -> bool {
        matches!(self, Self::Socks5 | Self::Socks5h)
    }
}

/// One proxy. [`Display`](fmt::Display) and `Debug` show its scheme, host and port.
#[derive(Clone)]
pub struct Proxy {
    scheme: ProxyScheme,
    host: String,
    port: u16,
    credentials: Option<Credentials>,
}

#[derive(Clone)]
struct Credentials {
    username: Zeroizing<String>,
    password: Zeroizing<String>,
}

impl Proxy {
    pub(super) fn parse(url: &str) -> Result<Self, &'static str> {
        let (scheme, rest) = url.trim().split_once("://").unwrap_or_else(|| ("http", url.trim()));
        let scheme = match &*scheme.to_ascii_lowercase() {
            "http" => ProxyScheme::Http,
            "https" => ProxyScheme::Https,
            "socks5" => ProxyScheme::Socks5,
            "socks5h" => ProxyScheme::Socks5h,
            _ => return Err("has a scheme no proxy speaks; write http, https, socks5 or socks5h"),
        };
        let rest = rest.strip_suffix('/').unwrap_or(rest);
        let (user, place) = match rest.rsplit_once('@') {
            Some((user, place)) => (Some(user), place),
            None => (None, rest),
        };
        let malformed = "is not the address of a proxy; write scheme://user:password@host:port";
        let authority: Authority = place.parse().map_err(|_| malformed)?;
        if authority.host().is_empty() {
            return Err(malformed);
        }
        // `Authority` takes anything after the colon, and reads a wrong port as none.
        let port = match authority.as_str().strip_prefix(authority.host()).unwrap_or_default() {
            "" => scheme.default_port(),
            port => match port.strip_prefix(':').and_then(|port| port.parse().ok()) {
                Some(0) | None => {
                    return Err("has an invalid port; write a number from 1 to 65535");
                }
                Some(port) => port,
            },
        };
        let credentials = user.map(Credentials::parse).transpose()?;
        Ok(Self { scheme, host: authority.host().to_owned(), port, credentials })
    }

    /// How to speak with it.
    #[must_use]
    pub fn scheme(&self) -> ProxyScheme {
        self.scheme
    }

    /// Its name or address; an IPv6 address stands in brackets.
    #[must_use]
    pub fn host(&self) -> &str {
        &self.host
    }

    /// Its port.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The error of a request that this proxy did not pass on; whatever passes by itself is tried
    /// again.
    #[must_use]
    pub fn refused(&self, why: impl fmt::Display) -> TransportError {
        TransportError::new(TransportErrorKind::Connect)
            .with_sent(Sent::No)
            .with_reason(format!("the proxy {self} refused: {why}"))
    }

    /// The same for a refusal that will be the same the next time: because of user and password,
    /// which locks accounts when it is repeated, or because the proxy does not allow it.
    #[must_use]
    pub fn refused_for_good(&self, why: impl fmt::Display) -> TransportError {
        TransportError::new(TransportErrorKind::Config)
            .with_sent(Sent::No)
            .with_reason(format!("the proxy {self} refused: {why}"))
    }

    /// The error for a request that this proxy has answered itself instead of forwarding it. With 407
    /// it names the kinds of authentication that the proxy asks for, if `Basic` is not among them.
    #[must_use]
    pub fn answered(&self, status: StatusCode, headers: &HeaderMap) -> TransportError {
        // Statuses that ask the client to try later or again.
        let passes = matches!(status.as_u16(), 408 | 421 | 425 | 429);
        if !status.is_client_error() || passes {
            return self.refused(status);
        }
        if status != StatusCode::PROXY_AUTHENTICATION_REQUIRED {
            return self.refused_for_good(status);
        }
        self.refused_for_good(match unspoken(headers) {
            Some(schemes) => {
                format!("{status} (it asks for {schemes}, and only Basic is supported)")
            }
            None => format!("{status} (check its user and password)"),
        })
    }

    /// User and password, decoded. A secret: never to be logged, nor put into a URL.
    #[must_use]
    pub fn credentials(&self) -> Option<(&str, &str)> {
        self.credentials.as_ref().map(|found| (found.username.as_str(), found.password.as_str()))
    }
}

/// The schemes of authentication that a 407 names, if `Basic` is none of them.
fn unspoken(headers: &HeaderMap) -> Option<String> {
    const MOST: usize = 4;
    let lines = headers.get_all(PROXY_AUTHENTICATE).into_iter();
    let challenges = lines.filter_map(|line| line.to_str().ok()).flat_map(|line| line.split(','));
    // A further parameter of the same challenge stands behind a comma, too.
    let schemes = challenges.filter_map(|challenge| {
        let word = challenge.split_whitespace().next()?;
        word.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-').then_some(word)
    });
    let schemes: Vec<&str> = schemes.collect();
    let basic = schemes.iter().any(|scheme| scheme.eq_ignore_ascii_case("basic"));
    let named = schemes.len().min(MOST);
    (named > 0 && !basic).then(|| schemes[..named].join(", "))
}

impl fmt::Display for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}:{}", self.scheme.as_str(), self.host, self.port)
    }
}

impl fmt::Debug for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Proxy({self})")
    }
}

impl Credentials {
    fn parse(user: &str) -> Result<Self, &'static str> {
        let (username, password) = user.split_once(':').unwrap_or((user, ""));
        let decode = |text: &str| match percent_decode_str(text).decode_utf8() {
            // A line break would end the header that carries it.
            Ok(text) if text.contains(char::is_control) => {
                Err("has control characters in its user or password")
            }
            Ok(text) => Ok(Zeroizing::new(text.into_owned())),
            Err(_) => Err("has a user or password that is not UTF-8"),
        };
        let credentials = Self { username: decode(username)?, password: decode(password)? };
        if credentials.username.contains(':') {
            return Err("has a colon in its user, which no proxy can tell from the password's");
        }
        Ok(credentials)
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    #[test]
    fn an_address_is_read_with_everything_in_it() {
        let proxy = |url| Proxy::parse(url).unwrap();
        let table = [
            ("http://host", "http://host:80", None),
            ("HTTPS://host", "https://host:443", None),
            ("host:3128", "http://host:3128", None),
            ("socks5://[::1]:1081/", "socks5://[::1]:1081", None),
            ("socks5h://host", "socks5h://host:1080", None),
            ("http://ann:secret@host:1", "http://host:1", Some(("ann", "secret"))),
            ("http://ann@host:1", "http://host:1", Some(("ann", ""))),
            ("http://d%5Cann:p%40ss%3Aw@host:1", "http://host:1", Some(("d\\ann", "p@ss:w"))),
            ("ann:p@ss@host:1", "http://host:1", Some(("ann", "p@ss"))),
        ];
        for (url, shown, credentials) in table {
            assert_eq!(proxy(url).to_string(), shown, "{url}");
            assert_eq!(proxy(url).credentials(), credentials, "{url}");
        }
    }

    #[test]
    fn proxy_that_wants_another_authentication_is_named_by_it() {
        let proxy = Proxy::parse("http://ann:secret@host:1").unwrap();
        let said = |lines: &[&'static str]| {
            let lines = lines.iter().map(|line| HeaderValue::from_static(line));
            let headers = lines.map(|line| (PROXY_AUTHENTICATE, line)).collect();
            proxy.answered(StatusCode::PROXY_AUTHENTICATION_REQUIRED, &headers).to_string()
        };
        for (lines, named) in [
            (&["NTLM", "Negotiate"][..], "it asks for NTLM, Negotiate, and only Basic"),
            (&["Negotiate TlRMTVNTUA=="], "it asks for Negotiate, and"),
            (&["Digest realm=\"a\", nonce=\"b\", qop=auth"], "it asks for Digest, and"),
            (&["NTLM", "basic realm=\"a\""], "check its user and password"),
            (&["NTLM, Basic"], "check its user and password"),
            (&[], "check its user and password"),
        ] {
            let shown = said(lines);
            assert!(shown.contains(named) && !shown.contains("secret"), "{shown}");
        }
        let kind = |status: u16| {
            let status = StatusCode::from_u16(status).unwrap();
            proxy.answered(status, &HeaderMap::new()).kind()
        };
        // What passes by itself is tried again.
        assert_eq!([kind(403), kind(407)], [TransportErrorKind::Config; 2]);
        assert_eq!([kind(429), kind(503)], [TransportErrorKind::Connect; 2]);
    }
}
