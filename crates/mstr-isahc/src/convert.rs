//! Between the types of `http` here and those that isahc was built with.
//!
//! isahc takes any `http` from 0.2 on, and the program's lock file decides which one it gets. So the
//! two are never assumed to be the same: everything crosses as bytes.

#![allow(unused_qualifications, reason = "with another `http` these are other types")]

use std::borrow::Cow;
use std::time::Duration;

use http::header::{
    ACCEPT, CONTENT_LENGTH, CONTENT_TYPE, COOKIE, HeaderMap, HeaderName, HeaderValue,
    TRANSFER_ENCODING, USER_AGENT,
};
use http::{Method, Request, Response, StatusCode, Uri, Version};
use isahc::auth::{Authentication, Credentials};
use isahc::config::Configurable;
use isahc::{AsyncBody, http as theirs};
use mstr_core::settings::Proxy;
use mstr_core::toolkit::{BodyFailure, UploadBody};
use mstr_core::{Body, Sent, TransportError, TransportErrorKind};

use crate::body::{self, Cord};

/// A value for "no limit" that fits into all of libcurl's limits.
const LONGEST: Duration = Duration::from_secs(20 * 24 * 60 * 60);

/// The longest silence that libcurl accepts, 18 hours.
const LONGEST_SILENCE: Duration = Duration::from_secs(u16::MAX as u64);

/// The limits of one request, for libcurl.
pub(crate) struct Limits {
    pub(crate) connect: Option<Duration>,
    /// How long nothing at all may happen.
    pub(crate) silence: Option<Duration>,
}

/// A request as isahc takes it.
pub(crate) struct Outgoing {
    pub(crate) request: theirs::Request<AsyncBody>,
    /// Why its body ended before its end, if it does.
    pub(crate) failure: BodyFailure,
    /// Ends the body when it is dropped.
    pub(crate) upload: Option<Cord>,
    /// Whether libcurl could send it twice on its own, and the server would notice.
    pub(crate) delicate: bool,
}

/// # Errors
///
/// [`Config`](TransportErrorKind::Config) for what isahc cannot send as it is.
pub(crate) fn outgoing(
    request: Request<Body>,
    limits: &Limits,
    proxy: Option<&Proxy>,
) -> Result<Outgoing, TransportError> {
    let (parts, payload) = request.into_parts();
    let payload = UploadBody::new(payload, &parts.headers);
    let failure = payload.failure();
    // A body of no bytes that was declared as such needs no reader.
    let empty = http_body::Body::is_end_stream(&payload) && payload.remaining() == Some(0);
    let safe = matches!(parts.method, Method::GET | Method::HEAD | Method::OPTIONS | Method::TRACE);

    let mut builder = theirs::Request::builder()
        .method(parts.method.as_str())
        .uri(address(&parts.uri)?)
        .expect_continue(false)
        .automatic_decompression(false)
        // Otherwise libcurl looks for `no_proxy` in the environment, whatever is said here.
        .proxy_blacklist([""]);
    builder = match proxy {
        None => builder.proxy(None),
        Some(proxy) => {
            let uri: theirs::Uri = proxy.to_string().parse().map_err(unspeakable("proxy"))?;
            let builder = builder.proxy(Some(uri));
            match proxy.credentials() {
                Some((username, password)) => builder
                    .proxy_authentication(Authentication::basic())
                    .proxy_credentials(Credentials::new(username, password)),
                None => builder,
            }
        }
    };
    if let Some(limit) = limits.connect {
        // Zero would mean libcurl's own limit, and what does not fit into its number is refused.
        let fitting = limit.clamp(Duration::from_millis(1), LONGEST);
        builder = builder.connect_timeout(fitting);
    }
    // Beyond its largest number libcurl would use that, and end a request that is in time.
    if let Some(limit) = limits.silence.map(in_whole_seconds).filter(|it| *it <= LONGEST_SILENCE) {
        builder = builder.low_speed_timeout(1, limit);
    }
    for (name, value) in &parts.headers {
        // libcurl makes the length of a body a header of its own.
        if name == CONTENT_LENGTH && !empty {
            continue;
        }
        if name == COOKIE && value.to_str().is_err() {
            builder = builder.header(name.as_str(), cookies_in_ascii(value));
            continue;
        }
        builder = builder.header(name.as_str(), in_ascii(name, value)?);
    }
    for (name, value) in instead_of_theirs(&parts.method, &parts.headers, empty) {
        builder = builder.header(name.as_str(), value);
    }
    let (payload, upload) = match empty {
        true => (AsyncBody::empty(), None),
        false => {
            let (payload, upload) = body::upload(payload);
            (payload, Some(upload))
        }
    };
    let request = builder.body(payload).map_err(unspeakable("request"))?;
    Ok(Outgoing { request, failure, upload, delicate: empty && !safe })
}

/// Headers that isahc or libcurl would add if they were not there, each with the value that means
/// what its absence means (RFC 9110): there is no way to send none.
fn instead_of_theirs(
    method: &Method,
    headers: &HeaderMap,
    empty: bool,
) -> impl Iterator<Item = (HeaderName, &'static str)> {
    let form = *method == Method::POST && !empty;
    [
        (ACCEPT, "*/*", true),
        (CONTENT_TYPE, "application/octet-stream", form),
        (USER_AGENT, concat!("mstr-isahc/", env!("CARGO_PKG_VERSION")), true),
    ]
    .into_iter()
    .filter(|(name, _, added)| *added && !headers.contains_key(name))
    .map(|(name, value, _)| (name, value))
}

/// A URL that libcurl leaves as it is.
fn address(uri: &Uri) -> Result<String, TransportError> {
    let (Some(scheme), Some(authority)) = (uri.scheme_str(), uri.authority()) else {
        return Err(refused("the request's URL is not absolute"));
    };
    if let Some(segment) = uri.path().split('/').find(|segment| is_dots(segment)) {
        return Err(refused(format!(
            "libcurl would resolve the `{segment}` in the path instead of sending it; resolve it \
             yourself, or use mstr-hyper"
        )));
    }
    // Without a user before the host: libcurl would make an `Authorization` header of it.
    let place = authority.as_str().rsplit_once('@').map_or(authority.as_str(), |(_, place)| place);
    let path = uri.path_and_query().map_or("/", |path| path.as_str());
    Ok(format!("{scheme}://{place}{path}"))
}

/// Whether a segment of a path stands for itself or its parent (RFC 3986, 5.2.4), in plain
/// letters or percent-encoded.
fn is_dots(segment: &str) -> bool {
    let segment = segment.to_ascii_lowercase().replace("%2e", ".");
    segment == "." || segment == ".."
}

/// isahc panics at a value that it cannot read as text.
fn in_ascii<'a>(name: &HeaderName, value: &'a HeaderValue) -> Result<&'a str, TransportError> {
    value.to_str().map_err(|error| {
        refused(format!("isahc sends only visible ASCII, and the header `{name}` has more"))
            .with_source(error)
    })
}

/// The cookies that isahc can send: without the other ones a session still works.
fn cookies_in_ascii(value: &HeaderValue) -> String {
    let pairs = value.as_bytes().split(|byte| *byte == b';').filter(|pair| pair.is_ascii());
    let pairs: Vec<_> = pairs.map(|pair| String::from_utf8_lossy(pair.trim_ascii())).collect();
    pairs.join("; ")
}

fn in_whole_seconds(limit: Duration) -> Duration {
    let up = u64::from(limit.subsec_nanos() > 0);
    Duration::from_secs(limit.as_secs().saturating_add(up).max(1))
}

fn refused(detail: impl Into<Cow<'static, str>>) -> TransportError {
    TransportError::new(TransportErrorKind::Config).with_sent(Sent::No).with_detail(detail)
}

fn unspeakable<E: std::error::Error + Send + Sync + 'static>(
    what: &'static str,
) -> impl Fn(E) -> TransportError {
    move |error| refused(format!("isahc does not take this {what}")).with_source(error)
}

/// An answer's head as it is here.
///
/// # Errors
///
/// [`Protocol`](TransportErrorKind::Protocol) for one that HTTP does not allow.
pub(crate) fn incoming(
    response: theirs::Response<AsyncBody>,
) -> Result<(Response<()>, AsyncBody), TransportError> {
    let broken = |error: http::Error| {
        TransportError::new(TransportErrorKind::Protocol)
            .with_detail("the answer's head")
            .with_source(error)
    };
    let (parts, payload) = response.into_parts();
    let status =
        StatusCode::from_u16(parts.status.as_u16()).map_err(|error| broken(error.into()))?;
    let mut head = Response::new(());
    *head.status_mut() = status;
    *head.version_mut() = match parts.version {
        theirs::Version::HTTP_10 => Version::HTTP_10,
        theirs::Version::HTTP_2 => Version::HTTP_2,
        theirs::Version::HTTP_3 => Version::HTTP_3,
        _ => Version::HTTP_11,
    };
    head.headers_mut().reserve(parts.headers.len());
    for (name, value) in &parts.headers {
        let name = HeaderName::from_bytes(name.as_str().as_bytes())
            .map_err(|error| broken(error.into()))?;
        let value =
            HeaderValue::from_bytes(value.as_bytes()).map_err(|error| broken(error.into()))?;
        head.headers_mut().append(name, value);
    }
    Ok((head, payload))
}

/// How long an answer's body has to be, if that is known.
///
/// # Errors
///
/// [`Protocol`](TransportErrorKind::Protocol) for a length that libcurl cannot count, which it
/// ignores: the body would not be held to it.
pub(crate) fn length(head: &HeaderMap) -> Result<Option<u64>, TransportError> {
    // Counts for more than a length (RFC 9112, 6.3).
    if head.contains_key(TRANSFER_ENCODING) {
        return Ok(None);
    }
    let Some(value) = head.get(CONTENT_LENGTH) else { return Ok(None) };
    match value.to_str().ok().and_then(|value| value.parse::<i64>().ok()) {
        Some(length) => Ok(u64::try_from(length).ok()),
        None => Err(TransportError::new(TransportErrorKind::Protocol)
            .with_detail("the answer's length is invalid")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NO_LIMITS: Limits = Limits { connect: None, silence: None };

    fn request(method: Method, uri: &str, body: Body) -> Request<Body> {
        Request::builder().method(method).uri(uri).body(body).unwrap()
    }

    fn address_of(uri: &str) -> Result<String, String> {
        address(&uri.parse().unwrap()).map_err(|error| error.to_string())
    }

    #[test]
    fn addresses_are_left_as_they_are_or_refused() {
        for uri in ["http://h/", "https://h:8443/a%2Fb?q=%2F+x", "http://h/a...b/.c/..d?x=../y"] {
            assert_eq!(address_of(uri).as_deref(), Ok(uri));
        }
        assert_eq!(address_of("http://ann:pw@h/x").as_deref(), Ok("http://h/x"));
        for uri in ["http://h/a/../b", "http://h/./b", "http://h/a/%2E%2e/b", "http://h/a/.%2E"] {
            assert!(address_of(uri).unwrap_err().contains("libcurl would resolve"), "{uri}");
        }
    }

    #[test]
    fn what_isahc_would_panic_at_is_refused() {
        let mut sent = request(Method::GET, "http://h/", Body::empty());
        sent.headers_mut().insert("x-name", HeaderValue::from_bytes("Jörg".as_bytes()).unwrap());
        let error = outgoing(sent, &NO_LIMITS, None).err().expect("it cannot be sent");
        assert_eq!((error.kind(), error.sent()), (TransportErrorKind::Config, Sent::No));
        assert!(error.to_string().contains("`x-name`"), "{error}");
    }

    #[test]
    fn requests_that_libcurl_might_repeat_to_harm_are_known() {
        let table = [
            (Method::GET, "", false),
            (Method::HEAD, "", false),
            (Method::POST, "", true),
            (Method::PUT, "", true),
            (Method::DELETE, "", true),
            // A body that has been read in part cannot be begun anew.
            (Method::POST, "x", false),
            (Method::DELETE, "x", false),
        ];
        for (method, body, delicate) in table {
            let sent = request(method.clone(), "http://h/", Body::from(body));
            let outgoing = outgoing(sent, &NO_LIMITS, None).unwrap();
            assert_eq!(outgoing.delicate, delicate, "{method} {body:?}");
        }
    }

    #[test]
    fn silence_is_counted_in_whole_seconds() {
        let seconds = |limit: Duration| in_whole_seconds(limit).as_secs();
        assert_eq!(seconds(Duration::ZERO), 1);
        assert_eq!(seconds(Duration::from_millis(1)), 1);
        assert_eq!(seconds(Duration::from_millis(1001)), 2);
        assert_eq!(seconds(Duration::MAX), u64::MAX);
    }
}
