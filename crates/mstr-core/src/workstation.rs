//! Borrow the session of Strategy Workstation in a script that Workstation starts.
//!
//! Workstation passes its scripts a document with the address, headers and cookies of its own
//! session. A connection from it borrows that session with an identity token: closing the connection
//! never logs Workstation out. See [`WorkstationData`].

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use http::header::{COOKIE, HeaderMap, HeaderName, HeaderValue};
use http::{Method, Request, Response};
use serde::Deserialize;

use crate::environment;
use crate::error::{Error, ErrorKind};
use crate::protocol::wire::{self, Endpoint};
use crate::protocol::{Cookie, CookieJar, Credentials};

/// The environment variable in which a program started from Workstation finds its document. It
/// is a convention of this library: Workstation itself only knows scripts.
const VARIABLE: &str = "MSTR_WORKSTATION_DATA";

/// Whether this program was started with a Workstation document.
///
/// It was if the environment variable `MSTR_WORKSTATION_DATA` is set.
#[must_use]
pub fn is_present() -> bool {
    std::env::var_os(VARIABLE).is_some()
}

/// The document that Workstation passes to a script: the address, headers and cookies of its session.
///
/// ```no_run
/// # mod mstr { pub use mstr_core::*; pub mod prelude { pub use mstr_core::*; } }
/// use mstr::prelude::*;
/// use mstr::{WorkstationData, workstation};
///
/// # async fn run(transport: impl Transport) -> Result<(), Error> {
/// // In Workstation the session is borrowed, elsewhere the script logs in itself.
/// let builder = match workstation::is_present() {
///     true => Connection::from_workstation(&WorkstationData::from_env()?),
///     false => Connection::from_env()?,
/// };
/// let connection = builder
///     .project_name("MicroStrategy Tutorial")
/// #   .transport(transport)
///     .connect()
///     .await?;
/// connection.close().await; // Workstation stays logged in
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Deserialize)]
#[serde(from = "Document")]
pub struct WorkstationData {
    environment: Environment,
}

/// The fields stand in `defaultEnvironment`, or on their own.
#[derive(Deserialize)]
#[serde(untagged)]
enum Document {
    Whole {
        #[serde(rename = "defaultEnvironment")]
        environment: Environment,
    },
    Part(Environment),
}

#[derive(Clone, Deserialize)]
struct Environment {
    url: String,
    #[serde(default)]
    headers: BTreeMap<String, String>,
    #[serde(default)]
    cookies: Vec<DocumentCookie>,
}

#[derive(Clone, Deserialize)]
struct DocumentCookie {
    name: String,
    value: String,
}

impl From<Document> for WorkstationData {
    fn from(document: Document) -> Self {
        match document {
            Document::Part(environment) | Document::Whole { environment } => Self { environment },
        }
    }
}

impl WorkstationData {
    /// Reads the document.
    ///
    /// # Errors
    ///
    /// [`Config`](ErrorKind::Config); the message names the field that is missing or wrong.
    pub fn from_json(json: &str) -> Result<Self, Error> {
        let refuse = |what: String| {
            Error::new(ErrorKind::Config, format!("the Workstation document is wrong: {what}"))
        };
        let value: serde_json::Value = serde_json::from_str(json)
            .map_err(|error| refuse("it is not JSON".into()).with_source(error))?;
        let (part, place) = match value.get("defaultEnvironment") {
            Some(part) => (part, "defaultEnvironment."),
            None => (&value, ""),
        };
        // Field by field, because serde says only that no form of the document matches.
        let text = |value: &serde_json::Value, field: String| match value.as_str() {
            Some(text) => Ok(text.to_owned()),
            None => Err(refuse(format!("\"{field}\" is missing or not a string"))),
        };
        let field = |name: &str| part.get(name).unwrap_or(&serde_json::Value::Null);
        let url = text(field("url"), format!("{place}url"))?;
        let mut headers = BTreeMap::new();
        match field("headers") {
            serde_json::Value::Null => {}
            serde_json::Value::Object(given) => {
                for (name, value) in given {
                    headers.insert(name.clone(), text(value, format!("{place}headers.{name}"))?);
                }
            }
            _ => return Err(refuse(format!("\"{place}headers\" is not an object"))),
        }
        let mut cookies = Vec::new();
        match field("cookies") {
            serde_json::Value::Null => {}
            serde_json::Value::Array(given) => {
                for (index, cookie) in given.iter().enumerate() {
                    let part = |name: &str| cookie.get(name).unwrap_or(&serde_json::Value::Null);
                    cookies.push(DocumentCookie {
                        name: text(part("name"), format!("{place}cookies[{index}].name"))?,
                        value: text(part("value"), format!("{place}cookies[{index}].value"))?,
                    });
                }
            }
            _ => return Err(refuse(format!("\"{place}cookies\" is not an array"))),
        }
        Ok(Self { environment: Environment { url, headers, cookies } })
    }

    /// Reads the document from the environment variable `MSTR_WORKSTATION_DATA`.
    ///
    /// # Errors
    ///
    /// [`Config`](ErrorKind::Config) if the variable is not set, and those of
    /// [`from_json`](Self::from_json).
    pub fn from_env() -> Result<Self, Error> {
        let json = environment::filled(VARIABLE, environment::variable)?.ok_or_else(|| {
            environment::config(format!("the environment variable {VARIABLE} is not set"))
        })?;
        Self::from_json(&json)
    }

    pub(crate) fn url(&self) -> &str {
        &self.environment.url
    }

    /// The request that asks for an identity token in Workstation's own session.
    fn request(&self, endpoint: &Endpoint) -> Result<Request<Bytes>, Error> {
        let mut headers = HeaderMap::new();
        endpoint.apply(&mut headers);
        for (name, value) in &self.environment.headers {
            let refuse = || {
                let message = format!("the Workstation document has an unusable header \"{name}\"");
                Error::new(ErrorKind::Config, message)
            };
            let name: HeaderName = name.parse().map_err(|_| refuse())?;
            let mut value = HeaderValue::from_str(value).map_err(|_| refuse())?;
            value.set_sensitive(true);
            headers.insert(name, value);
        }
        let mut jar = CookieJar::default();
        for cookie in &self.environment.cookies {
            jar.insert(Cookie::new(cookie.name.as_bytes(), cookie.value.as_bytes()));
        }
        if let Some(cookies) = jar.header() {
            headers.insert(COOKIE, cookies);
        }
        wire::declare_empty_body(&Method::POST, &mut headers);
        let mut request = Request::new(Bytes::new());
        *request.method_mut() = Method::POST;
        *request.uri_mut() = endpoint.base.target("/api/auth/identityToken", "")?.uri;
        *request.headers_mut() = headers;
        Ok(request)
    }
}

impl fmt::Debug for WorkstationData {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WorkstationData").finish_non_exhaustive()
    }
}

/// The request for an identity token, which Workstation's session answers at each login.
pub(crate) struct Borrowing {
    data: WorkstationData,
    endpoint: Arc<Endpoint>,
}

impl Borrowing {
    /// The name in log events and errors.
    pub(crate) const NAME: &str = "create identity token";

    pub(crate) const fn new(data: WorkstationData, endpoint: Arc<Endpoint>) -> Self {
        Self { data, endpoint }
    }

    /// The request.
    pub(crate) fn request(&self) -> Result<Request<Bytes>, Error> {
        self.data.request(&self.endpoint)
    }

    /// Reads the answer.
    pub(crate) fn read(response: &Response<Bytes>) -> Result<Credentials, Error> {
        if !response.status().is_success() {
            return Err(wire::refusal(response).with_operation(Self::NAME));
        }
        wire::identity_token(response.headers(), response.body())
            .map(Credentials::identity_token)
            .ok_or_else(|| wire::unexpected(response, "X-MSTR-IdentityToken header"))
    }
}

impl fmt::Debug for Borrowing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Borrowing").field("base", &self.endpoint.base).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_document_is_read_in_both_forms() {
        for json in [
            r#"{"defaultEnvironment":{"url":"https://x.com/L","headers":{"X-MSTR-AuthToken":"t"},
                "cookies":[{"name":"JSESSIONID","value":"j","path":"/"}]}}"#,
            r#"{"url":"https://x.com/L","headers":{},"cookies":[{"name":"a","value":"b"}]}"#,
        ] {
            let data = WorkstationData::from_json(json).expect("complete");
            assert_eq!(data.url(), "https://x.com/L");
            let data: WorkstationData = serde_json::from_str(json).expect("complete");
            assert_eq!(data.environment.cookies.len(), 1);
        }
    }

    #[test]
    fn a_bad_document_is_an_error_that_names_the_field() {
        for (json, field) in [
            ("nonsense", "not JSON"),
            ("{}", "\"url\""),
            (r#"{"defaultEnvironment":{}}"#, "\"defaultEnvironment.url\""),
            (r#"{"url":"https://x.com","headers":[]}"#, "\"headers\""),
            (r#"{"url":"https://x.com","headers":{"a":1}}"#, "\"headers.a\""),
            (r#"{"url":"https://x.com","cookies":[{"name":"a"}]}"#, "\"cookies[0].value\""),
        ] {
            let error = WorkstationData::from_json(json).expect_err(json);
            assert_eq!(error.kind(), ErrorKind::Config);
            assert!(error.to_string().contains(field), "{error}");
        }
    }

    #[test]
    fn debug_shows_no_secret() {
        let json = r#"{"url":"https://x.com/L","headers":{"X-MSTR-AuthToken":"hunter2"}}"#;
        let data = WorkstationData::from_json(json).expect("complete");
        assert!(!format!("{data:?}").contains("hunter2"));
    }
}
