//! Between the types of `http` here and those that isahc was built with.
//!
//! isahc takes any `http` from 0.2 on, and the program's lock file decides which one it gets. So the
//! two are never assumed to be the same: what is of the same type is handed over, and everything else
//! crosses as bytes.

#![allow(unused_qualifications, reason = "with another `http` these are other types")]

use std::any::Any;
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
    let (mut parts, payload) = request.into_parts();
    let payload = UploadBody::new(payload, &parts.headers);
    let failure = payload.failure();
    // A body of no bytes that was declared as such needs no reader.
    let empty = http_body::Body::is_end_stream(&payload) && payload.remaining() == Some(0);
    let safe = matches!(parts.method, Method::GET | Method::HEAD | Method::OPTIONS | Method::TRACE);

    let mut builder = theirs::Request::builder();
    if let Some(proxy) = proxy {
        let uri: theirs::Uri = proxy.to_string().parse().map_err(unspeakable("proxy"))?;
        // Otherwise libcurl looks for `no_proxy` in the environment, whatever is said here.
        builder = builder.proxy(Some(uri)).proxy_blacklist([""]);
        if let Some((username, password)) = proxy.credentials() {
            builder = builder
                .proxy_authentication(Authentication::basic())
                .proxy_credentials(Credentials::new(username, password));
        }
    }
    if let Some(limit) = limits.connect {
        // Zero would mean libcurl's own limit, and what does not fit into its number is refused.
        let fitting = limit.clamp(Duration::from_millis(1), LONGEST);
        builder = builder.connect_timeout(fitting);
    }
    // Beyond its largest number libcurl would use that, and end a request that is in time.
    if let Some(limit) = limits.silence.map(in_whole_seconds).filter(|it| *it <= LONGEST_SILENCE) {
        builder = builder.low_speed_timeout(1, limit);
    }
    for (name, value) in instead_of_theirs(&parts.method, &parts.headers, empty) {
        parts.headers.insert(name, value);
    }
    if !empty {
        // libcurl makes the length of a body a header of its own.
        parts.headers.remove(CONTENT_LENGTH);
    }
    for (name, value) in &mut parts.headers {
        if name == COOKIE && value.to_str().is_err() {
            *value = cookies_in_ascii(value);
        }
        in_ascii(name, value)?;
    }
    let mut address = address(parts.uri)?;
    let (payload, upload) = match empty {
        true => (AsyncBody::empty(), None),
        false => {
            // libcurl asks for leave to send none but a body.
            builder = builder.expect_continue(false);
            let (payload, upload) = body::upload(payload);
            (payload, Some(upload))
        }
    };
    let mut request = builder.body(payload).map_err(unspeakable("request"))?;
    *request.method_mut() = match take_same(&mut parts.method) {
        Some(method) => method,
        None => parts.method.as_str().parse().map_err(unspeakable("method"))?,
    };
    *request.uri_mut() = match take_same(&mut address) {
        Some(uri) => uri,
        None => address.to_string().parse().map_err(unspeakable("address"))?,
    };
    *request.headers_mut() = match take_same(&mut parts.headers) {
        Some(headers) => headers,
        None => their_headers(&parts.headers)?,
    };
    Ok(Outgoing { request, failure, upload, delicate: empty && !safe })
}

/// Takes the value as one of another type, if that turns out to be its own.
fn take_same<T: 'static, U: Default + 'static>(value: &mut T) -> Option<U> {
    let value: &mut dyn Any = value;
    value.downcast_mut().map(std::mem::take)
}

fn their_headers(headers: &HeaderMap) -> Result<theirs::HeaderMap, TransportError> {
    let mut all = theirs::HeaderMap::with_capacity(headers.len());
    for (name, value) in headers {
        let name = theirs::header::HeaderName::from_bytes(name.as_str().as_bytes())
            .map_err(unspeakable("header"))?;
        let value = theirs::header::HeaderValue::from_bytes(value.as_bytes())
            .map_err(unspeakable("header"))?;
        all.append(name, value);
    }
    Ok(all)
}

/// Headers that isahc or libcurl would add if they were not there, each with the value that means
/// what its absence means (RFC 9110): there is no way to send none.
fn instead_of_theirs(
    method: &Method,
    headers: &HeaderMap,
    empty: bool,
) -> Vec<(HeaderName, HeaderValue)> {
    let form = *method == Method::POST && !empty;
    let name = concat!("mstr-isahc/", env!("CARGO_PKG_VERSION"));
    [
        (ACCEPT, "*/*", true),
        (CONTENT_TYPE, "application/octet-stream", form),
        (USER_AGENT, name, true),
    ]
    .into_iter()
    .filter(|(name, _, added)| *added && !headers.contains_key(name))
    .map(|(name, value, _)| (name, HeaderValue::from_static(value)))
    .collect()
}

/// A URL that libcurl leaves as it is.
fn address(uri: Uri) -> Result<Uri, TransportError> {
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
    let Some((_, place)) = authority.as_str().rsplit_once('@') else { return Ok(uri) };
    let path = uri.path_and_query().map_or("/", |path| path.as_str());
    format!("{scheme}://{place}{path}").parse().map_err(unspeakable("address"))
}

/// Whether a segment of a path stands for itself or its parent (RFC 3986, 5.2.4), in plain
/// letters or percent-encoded.
fn is_dots(segment: &str) -> bool {
    let dot = |text: &'_ str| match text.as_bytes() {
        [b'.', ..] => Some(1),
        [b'%', b'2', b'e' | b'E', ..] => Some(3),
        _ => None,
    };
    let Some(first) = dot(segment) else { return false };
    let rest = &segment[first..];
    rest.is_empty() || dot(rest) == Some(rest.len())
}

/// isahc panics at a value that it cannot read as text.
fn in_ascii(name: &HeaderName, value: &HeaderValue) -> Result<(), TransportError> {
    value.to_str().map(drop).map_err(|error| {
        refused(format!("isahc sends only visible ASCII, and the header `{name}` has more"))
            .with_source(error)
    })
}

/// The cookies that isahc can send: without the other ones a session still works.
fn cookies_in_ascii(value: &HeaderValue) -> HeaderValue {
    let pairs = value.as_bytes().split(|byte| *byte == b';').filter(|pair| pair.is_ascii());
    let pairs: Vec<_> = pairs.map(<[u8]>::trim_ascii).collect();
    let mut kept = HeaderValue::from_bytes(&pairs.join(&b"; "[..]))
        .unwrap_or_else(|_| HeaderValue::from_static(""));
    kept.set_sensitive(value.is_sensitive());
    kept
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
    let (mut parts, payload) = response.into_parts();
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
    *head.headers_mut() = match take_same(&mut parts.headers) {
        Some(headers) => headers,
        None => {
            let mut headers = HeaderMap::with_capacity(parts.headers.len());
            for (name, value) in &parts.headers {
                let name = HeaderName::from_bytes(name.as_str().as_bytes())
                    .map_err(|error| broken(error.into()))?;
                let value = HeaderValue::from_bytes(value.as_bytes())
                    .map_err(|error| broken(error.into()))?;
                headers.append(name, value);
            }
            headers
        }
    };
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
        let address = address(uri.parse().unwrap());
        address.map(|uri| uri.to_string()).map_err(|error| error.to_string())
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
    fn head_is_handed_over_without_a_copy() {
        let value = |headers: &HeaderMap| headers["x-name"].as_bytes().as_ptr();
        let mut sent = request(Method::GET, "http://h/path", Body::empty());
        sent.headers_mut().insert("x-name", HeaderValue::from_str("a value").unwrap());
        let (header, path) = (value(sent.headers()), sent.uri().path().as_ptr());
        let taken = outgoing(sent, &NO_LIMITS, None).unwrap().request;
        assert_eq!((value(taken.headers()), taken.uri().path().as_ptr()), (header, path));
        let mut answer = theirs::Response::new(AsyncBody::empty());
        *answer.headers_mut() = taken.headers().clone();
        let (head, _) = incoming(answer).unwrap();
        assert_eq!(value(head.headers()), header);
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
