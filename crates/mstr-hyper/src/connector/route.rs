//! Which way requests go, decided by their address alone.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::header::PROXY_AUTHORIZATION;
use http::uri::{Authority, Scheme};
use http::{HeaderValue, Request, Uri};
use mstr_core::settings::{Proxies, Proxy};
use mstr_core::{BoxError, ProxyConfig, Sent, TransportError, TransportErrorKind};
use zeroize::Zeroizing;

/// Longer texts do not fit before the byte that holds their length.
const SOCKS_LIMIT: usize = 255;

/// The proxies of a transport, and how they are used.
#[derive(Clone, Debug)]
pub(crate) struct Routes {
    proxies: Proxies,
    http2_only: bool,
}

/// The service that a proxy is asked for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Way {
    /// To pass on the request.
    Forward,
    /// A tunnel, by HTTP.
    Connect,
    /// A connection, by SOCKS.
    Socks,
}

impl Routes {
    /// # Errors
    ///
    /// `Config` for what cannot work.
    pub(crate) fn new(config: &ProxyConfig, http2_only: bool) -> Result<Self, TransportError> {
        let proxies = config.resolve()?;
        for proxy in proxies.iter().filter(|proxy| proxy.scheme().is_socks()) {
            let Some((user, password)) = proxy.credentials() else { continue };
            if user.len().max(password.len()) > SOCKS_LIMIT {
                return Err(TransportError::new(TransportErrorKind::Config)
                    .with_sent(Sent::No)
                    .with_detail(format!(
                        "the user or the password for the proxy {proxy} is longer than the \
                         {SOCKS_LIMIT} bytes that SOCKS has room for"
                    )));
            }
        }
        Ok(Self { proxies, http2_only })
    }

    /// Whether connections show a password to a proxy.
    pub(crate) fn show_password(&self) -> bool {
        self.proxies.have_password()
    }

    /// The proxy for requests to this address, and what it is asked for.
    pub(crate) fn of(&self, to: &Uri) -> Option<(&Proxy, Way)> {
        let proxy = self.proxies.of(to)?;
        let way = if proxy.scheme().is_socks() {
            Way::Socks
        } else if to.scheme() == Some(&Scheme::HTTPS) || self.http2_only {
            // Proxies forward HTTP/1.1. HTTP/2 without TLS needs a tunnel as well.
            Way::Connect
        } else {
            Way::Forward
        };
        Some((proxy, way))
    }

    /// The proxy that passes on requests to this address, and so sees and answers them itself.
    pub(crate) fn forwarder(&self, to: &Uri) -> Option<&Proxy> {
        match self.of(to)? {
            (proxy, Way::Forward) => Some(proxy),
            _ => None,
        }
    }
}

/// Makes a request one for a proxy that passes it on.
pub(crate) fn hand_over<B>(request: &mut Request<B>, proxy: &Proxy) {
    if let Some(value) = authorization(proxy) {
        request.headers_mut().insert(PROXY_AUTHORIZATION, value);
    }
}

/// Takes user and password out of the address of a request. HTTP/2 and a proxy would be sent all of
/// it, which the caller has not asked for.
///
/// # Errors
///
/// `Config` for an address that is invalid without them.
pub(crate) fn leave_user_out<B>(request: &mut Request<B>) -> Result<(), TransportError> {
    let authority = request.uri().authority().map_or("", Authority::as_str);
    // Quicker than to look for where it ends, and all for most.
    if !authority.as_bytes().contains(&b'@') {
        return Ok(());
    }
    let (_, place) = authority.rsplit_once('@').unwrap_or_default();
    let uri = with_authority(request.uri(), place).map_err(|error| {
        TransportError::new(TransportErrorKind::Config)
            .with_sent(Sent::No)
            .with_detail("the request's URL is invalid without its user")
            .with_source(error)
    })?;
    *request.uri_mut() = uri;
    Ok(())
}

fn with_authority(uri: &Uri, authority: &str) -> Result<Uri, BoxError> {
    let mut parts = uri.clone().into_parts();
    parts.authority = Some(authority.parse::<Authority>()?);
    Ok(Uri::from_parts(parts)?)
}

/// The value of the header with user and password, if the proxy is to be shown any.
pub(crate) fn authorization(proxy: &Proxy) -> Option<HeaderValue> {
    let (user, password) = proxy.credentials()?;
    // Each with room for all of it, so that no copy is left behind where one has grown.
    let mut plain = Zeroizing::new(String::with_capacity(user.len() + 1 + password.len()));
    plain.extend([user, ":", password]);
    let length = base64::encoded_len(plain.len(), true)?;
    let mut text = Zeroizing::new(String::with_capacity("Basic ".len() + length));
    text.push_str("Basic ");
    STANDARD.encode_string(plain.as_bytes(), &mut text);
    // Letters, digits and `+/=`: always a value. It copies the text, and is not wiped: hyper copies
    // it again.
    let mut value = HeaderValue::from_str(&text).ok()?;
    value.set_sensitive(true);
    Some(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn routes(config: ProxyConfig, http2_only: bool) -> Routes {
        Routes::new(&config, http2_only).unwrap()
    }

    #[test]
    fn what_is_asked_for_depends_on_server_and_proxy() {
        let table = [
            ("http://proxy", "http://host/", false, Way::Forward),
            ("https://proxy", "http://host/", false, Way::Forward),
            ("http://proxy", "https://host/", false, Way::Connect),
            ("https://proxy", "https://host/", false, Way::Connect),
            ("http://proxy", "http://host/", true, Way::Connect),
            ("socks5://proxy", "http://host/", false, Way::Socks),
            ("socks5h://proxy", "https://host/", true, Way::Socks),
        ];
        for (proxy, to, http2_only, expected) in table {
            let routes = routes(ProxyConfig::new().all(proxy), http2_only);
            let to = to.parse().unwrap();
            assert_eq!(routes.of(&to).unwrap().1, expected, "{proxy} {to}");
            let forwards = expected == Way::Forward;
            assert_eq!(routes.forwarder(&to).is_some(), forwards, "{proxy} {to}");
        }
        let direct = routes(ProxyConfig::new(), false);
        assert!(direct.of(&"http://host/".parse().unwrap()).is_none());
    }

    #[test]
    fn a_proxy_gets_its_own_password_and_not_the_one_in_the_address() {
        let routes = routes(ProxyConfig::new().all("http://ann:a%3Ab@proxy"), false);
        let mut request = Request::new(());
        *request.uri_mut() = "http://bob:hush@host:81/path?query".parse().unwrap();
        leave_user_out(&mut request).unwrap();
        let proxy = routes.forwarder(request.uri()).unwrap();
        hand_over(&mut request, proxy);
        assert_eq!(request.uri().to_string(), "http://host:81/path?query");
        let value = &request.headers()[PROXY_AUTHORIZATION];
        assert_eq!(value.as_bytes(), b"Basic YW5uOmE6Yg==");
        assert!(value.is_sensitive());
        assert!(!format!("{routes:?} {request:?}").contains("YW5u"));
    }

    #[test]
    fn a_password_that_socks_has_no_room_for_is_refused() {
        let of = |scheme: &str, length: usize| {
            let url = format!("{scheme}://ann:{}@proxy", "x".repeat(length));
            Routes::new(&ProxyConfig::new().http(url), false)
        };
        assert!(of("http", 300).is_ok() && of("socks5", 255).is_ok());
        let error = of("socks5h", 256).unwrap_err();
        assert_eq!((error.kind(), error.sent()), (TransportErrorKind::Config, Sent::No));
        let shown = format!("{error} {error:?}");
        assert!(shown.contains("socks5h://proxy:1080") && !shown.contains("xx"), "{shown}");
    }
}
