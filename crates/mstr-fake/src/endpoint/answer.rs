//! The answer of an endpoint.

use std::path::Path;
use std::time::Duration;

use bytes::Bytes;
use http::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use http::{Response, StatusCode};
use serde::Serialize;
use serde_json::{Value, json};

use super::error::EndpointError;
use super::fixture::{Fixture, JSON};

/// The type of a refusal's body.
const ERROR_TYPE: &str = "application/json;charset=UTF-8";
const TEXT: &str = "text/plain;charset=UTF-8";

/// What the ticket of a refusal is here: the server's own are numbers of 32 digits.
const TICKET: &str = "00000000000000000000000000000000";

/// The answer of an [`Endpoint`](super::Endpoint).
///
/// A closure may return it, or anything that becomes one:
///
/// | value | answer |
/// |---|---|
/// | [`serde_json::Value`] | 200 and this JSON |
/// | `&'static str`, `String` | 200; JSON if it is an object or an array, otherwise text |
/// | [`Bytes`], `Vec<u8>` | 200 and these bytes |
/// | `()` | 204 |
/// | [`StatusCode`] | this status and no body |
/// | `(404, value)`, `(StatusCode, value)` | the value's answer with this status |
/// | `Option` | the value's answer, or 404 in the server's format |
/// | `Result` | the answer of either |
/// | [`http::Response`] of bytes or text | as it is |
///
/// The server adds the headers that its own answers have, unless they are given, and its cookies.
///
/// ```
/// # mod mstr { pub use mstr_fake as fake; }
/// use mstr::fake::{Answer, Method, Server, StatusCode};
///
/// let server = Server::builder()
///     .endpoint(Method::GET, "/api/cubes/{id}", |_| serde_json::json!({ "name": "Sales" }))
///     .endpoint(Method::DELETE, "/api/cubes/{id}", |_| StatusCode::NO_CONTENT)
///     .endpoint(Method::POST, "/api/cubes", |_| (201, serde_json::json!({ "id": "C1" })))
///     .endpoint(Method::PUT, "/api/cubes/{id}", |request| match request.user() {
///         "alice" => Answer::new(204),
///         _ => Answer::error(403, "ERR017", "(The user is not allowed to write this cube.)"),
///     });
/// # server.build();
/// ```
#[derive(Clone, Debug)]
#[must_use]
pub struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
    pub(crate) delay: Duration,
}

impl Answer {
    /// An answer without a body. The status is a number or a [`StatusCode`].
    ///
    /// # Panics
    ///
    /// If the number is not a status from 200 to 999.
    #[track_caller]
    pub fn new(status: impl TryInto<StatusCode>) -> Self {
        Self {
            status: valid(status),
            headers: HeaderMap::new(),
            body: Bytes::new(),
            delay: Duration::ZERO,
        }
    }

    /// 200, with this as JSON.
    ///
    /// # Panics
    ///
    /// If it cannot be written as JSON, such as a map whose keys are not strings.
    #[track_caller]
    pub fn json(value: &impl Serialize) -> Self {
        match serde_json::to_vec(value) {
            Ok(text) => Self::with_body(JSON, text),
            Err(error) => panic!("an answer cannot be written as JSON: {error}"),
        }
    }

    /// A refusal in the server's own format, with a code as in its documentation
    /// (`ERR004`: not found, `ERR017`: not allowed).
    ///
    /// # Panics
    ///
    /// As [`new`](Self::new) does.
    #[track_caller]
    pub fn error(status: impl TryInto<StatusCode>, code: &str, message: &str) -> Self {
        let body = json!({ "code": code, "message": message, "ticketId": TICKET });
        Self::with_body(ERROR_TYPE, body.to_string()).with_status(status)
    }

    /// 200, with the present content of this file. Its name says the type: `.json`, `.txt`, `.html`,
    /// `.xml`, `.csv`; others are bytes. Paths are relative to the folder that the test runs in,
    /// which for `cargo test` is that of the package.
    ///
    /// # Errors
    ///
    /// If it cannot be read, or if a `.json` is none.
    pub fn file(path: impl AsRef<Path>) -> Result<Self, EndpointError> {
        Fixture::read(path.as_ref()).map(Into::into).map_err(EndpointError)
    }

    /// The same answer with another status.
    ///
    /// # Panics
    ///
    /// As [`new`](Self::new) does.
    #[track_caller]
    pub fn with_status(mut self, status: impl TryInto<StatusCode>) -> Self {
        self.status = valid(status);
        self
    }

    /// The same answer with one more header; one of this name that is there already stays.
    ///
    /// # Panics
    ///
    /// If name or value is not valid in a header.
    #[track_caller]
    pub fn with_header(mut self, name: &str, value: &str) -> Self {
        let header = HeaderName::try_from(name).ok().zip(HeaderValue::from_str(value).ok());
        match header {
            Some((name, value)) => self.headers.append(name, value),
            None => panic!("\"{name}: {value}\" is not a header"),
        };
        self
    }

    /// The same answer so much later, in the server's time.
    pub const fn with_delay(mut self, delay: Duration) -> Self {
        self.delay = delay;
        self
    }

    fn with_body(content_type: &'static str, body: impl Into<Bytes>) -> Self {
        let mut answer = Self::new(StatusCode::OK);
        answer.headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
        answer.body = body.into();
        answer
    }

    /// The server's answer to an unknown path.
    pub(super) fn not_found() -> Self {
        Self::error(StatusCode::NOT_FOUND, "ERR004", "HTTP 404 Not Found")
    }
}

#[track_caller]
fn valid(status: impl TryInto<StatusCode>) -> StatusCode {
    match status.try_into() {
        // Informational answers are not final.
        Ok(status) if !status.is_informational() => status,
        _ => panic!("the status of an answer is a number from 200 to 999"),
    }
}

impl From<Fixture> for Answer {
    fn from(fixture: Fixture) -> Self {
        Self::with_body(fixture.content_type, fixture.body)
    }
}

impl From<Value> for Answer {
    fn from(value: Value) -> Self {
        Self::with_body(JSON, value.to_string())
    }
}

impl From<&'static str> for Answer {
    fn from(text: &'static str) -> Self {
        Self::with_body(type_of(text), text)
    }
}

impl From<String> for Answer {
    fn from(text: String) -> Self {
        Self::with_body(type_of(&text), text)
    }
}

fn type_of(text: &str) -> &'static str {
    let value = serde_json::from_str::<Value>(text).unwrap_or_default();
    if value.is_object() || value.is_array() { JSON } else { TEXT }
}

impl From<Bytes> for Answer {
    fn from(bytes: Bytes) -> Self {
        Self::with_body("application/octet-stream", bytes)
    }
}

impl From<Vec<u8>> for Answer {
    fn from(bytes: Vec<u8>) -> Self {
        Bytes::from(bytes).into()
    }
}

impl From<()> for Answer {
    fn from((): ()) -> Self {
        Self::new(StatusCode::NO_CONTENT)
    }
}

impl From<StatusCode> for Answer {
    fn from(status: StatusCode) -> Self {
        Self::new(status)
    }
}

/// # Panics
///
/// If the number is not a status from 200 to 999.
impl<T: Into<Self>> From<(u16, T)> for Answer {
    #[track_caller]
    fn from((status, value): (u16, T)) -> Self {
        value.into().with_status(status)
    }
}

impl<T: Into<Self>> From<(StatusCode, T)> for Answer {
    fn from((status, value): (StatusCode, T)) -> Self {
        value.into().with_status(status)
    }
}

impl<T: Into<Self>> From<Option<T>> for Answer {
    fn from(value: Option<T>) -> Self {
        value.map_or_else(Self::not_found, Into::into)
    }
}

impl<T: Into<Self>, E: Into<Self>> From<Result<T, E>> for Answer {
    fn from(value: Result<T, E>) -> Self {
        value.map_or_else(Into::into, Into::into)
    }
}

impl<B: Into<Bytes>> From<Response<B>> for Answer {
    fn from(response: Response<B>) -> Self {
        let (parts, body) = response.into_parts();
        let (status, headers) = (parts.status, parts.headers);
        Self { status, headers, body: body.into(), delay: Duration::ZERO }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whatever_a_closure_returns_becomes_an_answer() {
        let found: Result<Value, StatusCode> = Ok(json!([1]));
        let given = Response::builder().status(418).header("x-tea", "green").body("{}");
        let octets = "application/octet-stream";
        for (answer, status, content_type, body) in [
            (Answer::from(json!({"a": 1})), 200, JSON, r#"{"a":1}"#),
            (r#"{"a": 1}"#.into(), 200, JSON, r#"{"a": 1}"#),
            ("[]".into(), 200, JSON, "[]"),
            ("42".into(), 200, TEXT, "42"),
            ("hello".to_owned().into(), 200, TEXT, "hello"),
            (Bytes::from_static(b"{}").into(), 200, octets, "{}"),
            (b"x".to_vec().into(), 200, octets, "x"),
            (().into(), 204, "", ""),
            (StatusCode::CONFLICT.into(), 409, "", ""),
            ((404, "no").into(), 404, TEXT, "no"),
            ((StatusCode::CREATED, json!({})).into(), 201, JSON, "{}"),
            (Some("yes").into(), 200, TEXT, "yes"),
            (found.into(), 200, JSON, "[1]"),
            (Err::<Value, StatusCode>(StatusCode::GONE).into(), 410, "", ""),
            (given.unwrap().into(), 418, "", "{}"),
            (Answer::json(&["a"]), 200, JSON, r#"["a"]"#),
        ] {
            assert_eq!(answer.status, status, "{answer:?}");
            let shown = answer.headers.get(CONTENT_TYPE).map_or("", |text| text.to_str().unwrap());
            assert_eq!(shown, content_type, "{answer:?}");
            assert_eq!(answer.body, body, "{answer:?}");
        }
        let none = Answer::from(None::<Value>);
        assert_eq!(none.status, 404);
        assert!(String::from_utf8_lossy(&none.body).contains("ERR004"));
    }

    #[test]
    #[should_panic(expected = "a number from 200 to 999")]
    fn a_status_that_is_none_is_refused() {
        drop(Answer::new(99));
    }

    #[test]
    #[should_panic(expected = "\"a b: c\" is not a header")]
    fn a_header_that_is_none_is_refused() {
        drop(Answer::new(200).with_header("a b", "c"));
    }
}
