//! Content encodings (RFC 9110, 8.4): what is asked for, and how what was asked for is undone.
//!
//! gzip alone, under the feature `gzip`. Transports pass bodies on as they come, so it is decided
//! and done here for all of them.

use http::header::{ACCEPT_ENCODING, CONTENT_ENCODING, HeaderMap, RANGE};
#[cfg(feature = "gzip")]
use http::header::{CONTENT_LENGTH, HeaderValue};
use http::response::Parts;
use http::{Method, StatusCode};

#[cfg(feature = "gzip")]
use super::gunzip::Gunzip;
use crate::contract::Body;

/// Asks for gzip among the `headers` of a request, and says whether it did. A caller who says which
/// encodings to use, among the headers that were `given`, decodes them too; a part of an encoded body
/// cannot be decoded, and a HEAD has no body.
pub(crate) fn ask(method: &Method, given: &HeaderMap, headers: &mut HeaderMap) -> bool {
    let asks = cfg!(feature = "gzip")
        && *method != Method::HEAD
        && !given.contains_key(ACCEPT_ENCODING)
        && !given.contains_key(RANGE);
    #[cfg(feature = "gzip")]
    if asks {
        headers.insert(ACCEPT_ENCODING, HeaderValue::from_static("gzip"));
    }
    #[cfg(not(feature = "gzip"))]
    let _ = headers;
    asks
}

/// The body of an answer as it was before the server encoded it, if gzip was `asked` for and is
/// what came. The head then says neither the encoding nor the length of what was encoded.
pub(crate) fn undo(asked: bool, head: &mut Parts, body: Body) -> Body {
    let bodiless = [StatusCode::NO_CONTENT, StatusCode::PARTIAL_CONTENT, StatusCode::NOT_MODIFIED];
    if !asked || bodiless.contains(&head.status) || !is_gzip(&head.headers) {
        return body;
    }
    #[cfg(feature = "gzip")]
    {
        head.headers.remove(CONTENT_ENCODING);
        head.headers.remove(CONTENT_LENGTH);
        Body::wrap(Gunzip::new(body))
    }
    #[cfg(not(feature = "gzip"))]
    body
}

fn is_gzip(headers: &HeaderMap) -> bool {
    // Most answers are not encoded.
    if !headers.contains_key(CONTENT_ENCODING) {
        return false;
    }
    let mut encodings = encodings(headers);
    // The older name means the same (RFC 9110, 8.4.1.3).
    let gzip =
        |name: &str| name.eq_ignore_ascii_case("gzip") || name.eq_ignore_ascii_case("x-gzip");
    encodings.next().is_some_and(gzip) && encodings.next().is_none()
}

/// The remaining encodings of an answer's body, for errors: two names suffice.
pub(crate) fn left(headers: &HeaderMap) -> Option<String> {
    const LONGEST: usize = 20;
    let short = |name: &str| name.chars().take(LONGEST).collect::<String>();
    let left: Vec<String> = encodings(headers).take(2).map(short).collect();
    (!left.is_empty()).then(|| left.join(", "))
}

/// The encodings that a head names, in the order in which they were applied.
fn encodings(headers: &HeaderMap) -> impl Iterator<Item = &str> {
    let values = headers.get_all(CONTENT_ENCODING).into_iter();
    let lists = values.filter_map(|value| value.to_str().ok());
    let names = lists.flat_map(|list| list.split(',')).map(str::trim);
    names.filter(|name| !name.is_empty() && !name.eq_ignore_ascii_case("identity"))
}
