//! The codec of the session's own exchanges: what is sent, and what an answer means.
//!
//! The only module that reads secrets in clear (`cargo xtask tidy` checks). Bodies that carry
//! one are built in a buffer that is wiped when the transport drops its last reference.

use std::borrow::Cow;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::{
    ACCEPT, ACCEPT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, COOKIE, DATE, HOST, HeaderMap,
    HeaderName, HeaderValue, LOCATION, RANGE, RETRY_AFTER, TRANSFER_ENCODING, USER_AGENT,
};
use http::{Method, Request, Response, StatusCode};
use serde::Serialize;
use zeroize::Zeroizing;

use super::credentials::{Credentials, Kind};
pub(crate) use super::grant::{AUTH_TOKEN, IDENTITY_TOKEN, PROJECT_ID, project_header};
use super::page;
use super::{
    ApiToken, AuthToken, BaseUrl, CreatedApiToken, Fingerprint, IdentityToken, Locale, LoginMode,
    Project, Projects, WireCredentials,
};
use crate::contract::TransportInfo;
use crate::error::{Error, ErrorKind, ServerError, parse_error_body, read_json};
use crate::shown::without_secrets;

/// The longest `Retry-After` that is believed. A server that asks for more is down, and the
/// caller should know.
const RETRY_AFTER_LIMIT: Duration = Duration::from_secs(300);

/// JSON first, but whatever a download is made of too.
const ACCEPTED: HeaderValue = HeaderValue::from_static("application/json, */*;q=0.8");
pub(crate) const JSON: HeaderValue = HeaderValue::from_static("application/json");
const NO_LENGTH: HeaderValue = HeaderValue::from_static("0");
/// The name of this library in the `User-Agent` header.
const OWN_NAME: &str = concat!("mstr/", env!("CARGO_PKG_VERSION"));
/// How much of an error's body is read to understand it.
pub(crate) const ERROR_BODY_LIMIT: usize = 64 * 1024;

/// The part of a login that does not depend on the credentials.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(crate) struct LoginOptions {
    pub(crate) application_id: Option<String>,
    pub(crate) working_set: Option<u32>,
    pub(crate) max_search: Option<u32>,
    pub(crate) locale: Locale,
}

impl LoginOptions {
    pub(crate) const NONE: Self =
        Self { application_id: None, working_set: None, max_search: None, locale: Locale::NONE };
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct LoginBody<'a> {
    login_mode: u32,
    application_type: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    working_set: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    max_search: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    application_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    metadata_locale: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    warehouse_data_locale: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    display_locale: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    messages_locale: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    number_locale: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    time_zone: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    username: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    password: Option<&'a str>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct DelegateBody<'a> {
    login_mode: i32,
    identity_token: &'a str,
}

/// Where a connection's requests go, and what each of them carries: worked out once, shared by all.
#[derive(Clone, Debug)]
pub(crate) struct Endpoint {
    pub(crate) base: BaseUrl,
    user_agent: HeaderValue,
}

impl Endpoint {
    pub(crate) fn new(base: BaseUrl) -> Self {
        Self { base, user_agent: HeaderValue::from_static(OWN_NAME) }
    }

    /// Says `mstr/0.1.0 (mstr-hyper/0.1.0)`, after what the application calls itself.
    pub(crate) fn named(self, info: TransportInfo, application: Option<&HeaderValue>) -> Self {
        let mut text = match application.and_then(|name| name.to_str().ok()) {
            Some(application) => format!("{application} {OWN_NAME}"),
            None => OWN_NAME.to_owned(),
        };
        if !info.name.is_empty() {
            text.push_str(&format!(" ({}/{})", info.name, info.version));
        }
        let user_agent =
            HeaderValue::from_str(&text).unwrap_or_else(|_| HeaderValue::from_static(OWN_NAME));
        Self { user_agent, ..self }
    }

    /// Adds the headers that every request carries.
    pub(crate) fn apply(&self, headers: &mut HeaderMap) {
        headers.insert(ACCEPT, ACCEPTED);
        headers.insert(USER_AGENT, self.user_agent.clone());
    }

    /// The request that opens a session with `credentials`: a login, or a delegation.
    pub(crate) fn open(
        &self,
        credentials: &Credentials,
        application_type: u32,
        options: &LoginOptions,
    ) -> Request<Bytes> {
        let (path, body) = match &credentials.0 {
            Kind::IdentityToken(token) => {
                let body = DelegateBody { login_mode: -1, identity_token: token.expose() };
                ("/api/auth/delegate", secret_json(&body))
            }
            Kind::Anonymous => {
                let body = login_body(LoginMode::Anonymous, application_type, options, None, None);
                ("/api/auth/login", secret_json(&body))
            }
            Kind::ApiToken(token) => {
                // The token travels as the user name; there is no password.
                let token = token.expose();
                let body =
                    login_body(LoginMode::ApiToken, application_type, options, Some(token), None);
                ("/api/auth/login", secret_json(&body))
            }
            Kind::User { mode, username, password } => {
                let password = password.expose();
                let body =
                    login_body(*mode, application_type, options, Some(username), Some(password));
                ("/api/auth/login", secret_json(&body))
            }
        };
        let mut request = self.request(Method::POST, path, None);
        request.headers_mut().insert(CONTENT_TYPE, JSON);
        request.headers_mut().remove(CONTENT_LENGTH);
        *request.body_mut() = body;
        request
    }

    /// A fingerprint that differs for other credentials. `key` is the connection's own.
    pub(crate) fn fingerprint(&self, credentials: &Credentials, key: u64) -> Fingerprint {
        let login = self.open(credentials, 0, &LoginOptions::default());
        Fingerprint::of(login.body(), key)
    }

    pub(crate) fn inspect(&self, wire: &WireCredentials) -> Request<Bytes> {
        self.request(Method::GET, "/api/sessions", Some(wire))
    }

    /// Asks the server for its version, in a session or in none: the server answers either.
    pub(crate) fn server_status(&self, wire: Option<&WireCredentials>) -> Request<Bytes> {
        self.request(Method::GET, "/api/status", wire)
    }

    pub(crate) fn list_projects(&self, wire: &WireCredentials) -> Request<Bytes> {
        self.request(Method::GET, "/api/projects", Some(wire))
    }

    pub(crate) fn renew(&self, wire: &WireCredentials) -> Request<Bytes> {
        self.request(Method::PUT, "/api/sessions", Some(wire))
    }

    pub(crate) fn logout(&self, wire: &WireCredentials) -> Request<Bytes> {
        self.request(Method::POST, "/api/auth/logout", Some(wire))
    }

    fn request(
        &self,
        method: Method,
        path: &str,
        wire: Option<&WireCredentials>,
    ) -> Request<Bytes> {
        // A base URL leaves room for each of these paths: `BaseUrl::parse` has seen to that.
        let uri = self.base.target(path, "").map(|target| target.uri).unwrap_or_default();
        let mut headers = HeaderMap::with_capacity(8);
        self.apply(&mut headers);
        if let Some(wire) = wire {
            wire.apply(&mut headers);
        }
        declare_empty_body(&method, &mut headers);
        let mut request = Request::new(Bytes::new());
        *request.method_mut() = method;
        *request.uri_mut() = uri;
        *request.headers_mut() = headers;
        request
    }
}

/// HTTP stacks differ in whether an empty POST has a `Content-Length`, and proxies answer 411
/// without one.
pub(crate) fn declare_empty_body(method: &Method, headers: &mut HeaderMap) {
    if matches!(*method, Method::POST | Method::PUT | Method::PATCH) {
        headers.insert(CONTENT_LENGTH, NO_LENGTH);
    }
}

fn login_body<'a>(
    mode: LoginMode,
    application_type: u32,
    options: &'a LoginOptions,
    username: Option<&'a str>,
    password: Option<&'a str>,
) -> LoginBody<'a> {
    let locale = &options.locale;
    LoginBody {
        login_mode: mode.into(),
        application_type,
        working_set: options.working_set,
        max_search: options.max_search,
        application_id: options.application_id.as_deref(),
        metadata_locale: locale.metadata.as_deref(),
        warehouse_data_locale: locale.warehouse_data.as_deref(),
        display_locale: locale.display.as_deref(),
        messages_locale: locale.messages.as_deref(),
        number_locale: locale.number.as_deref(),
        time_zone: locale.time_zone.as_deref(),
        username,
        password,
    }
}

/// Serialises into a buffer that is wiped.
fn secret_json(body: &impl Serialize) -> Bytes {
    Bytes::from_owner(secret_buffer(body))
}

/// JSON in a buffer of its length, which is known before the first secret is written: one that
/// grows leaves copies behind.
fn secret_buffer(body: &impl Serialize) -> Zeroizing<Vec<u8>> {
    let mut length = Length(0);
    // Texts and numbers in memory: there is nothing that could fail, here or below.
    drop(serde_json::to_writer(&mut length, body));
    let mut buffer = Zeroizing::new(Vec::with_capacity(length.0));
    drop(serde_json::to_writer(&mut *buffer, body));
    buffer
}

/// Counts what is written.
struct Length(usize);

impl io::Write for Length {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0 += bytes.len();
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The token of a session that an answer opens.
pub(crate) fn auth_token(response: &Response<Bytes>) -> Option<AuthToken> {
    let value = response.headers().get(AUTH_TOKEN)?.to_str().ok()?;
    (!value.is_empty()).then(|| AuthToken::new(value))
}

/// The token as a header value, marked sensitive.
pub(crate) fn token_header(token: &AuthToken) -> Option<HeaderValue> {
    let mut value = HeaderValue::from_str(token.expose()).ok()?;
    value.set_sensitive(true);
    Some(value)
}

/// The identity token as a header, marked sensitive.
pub(crate) fn identity_token_header(token: &IdentityToken) -> Result<HeaderValue, Error> {
    let mut value = HeaderValue::from_str(token.expose()).map_err(|_| {
        Error::new(ErrorKind::Usage, "the identity token has characters that a header cannot have")
    })?;
    value.set_sensitive(true);
    Ok(value)
}

/// The identity token an answer carries, in its header or (the PKCE variant) in its body.
pub(crate) fn identity_token(headers: &HeaderMap, body: &[u8]) -> Option<IdentityToken> {
    let header = headers.get(IDENTITY_TOKEN).and_then(|value| value.to_str().ok());
    let in_body = || {
        let value: serde_json::Value = serde_json::from_slice(body).ok()?;
        Some(value.get("identityToken")?.as_str()?.to_owned())
    };
    let token = header.map(str::to_owned).or_else(in_body)?;
    (!token.is_empty()).then(|| IdentityToken::new(token))
}

/// The API token an answer carries.
pub(crate) fn created_api_token(body: &[u8]) -> Option<CreatedApiToken> {
    let value: serde_json::Value = serde_json::from_slice(body).ok()?;
    let text = |name| match value.get(name) {
        Some(serde_json::Value::String(text)) => Some(text.clone()),
        Some(serde_json::Value::Number(number)) => Some(number.to_string()),
        _ => None,
    };
    let token = text("apiToken").filter(|token| !token.is_empty())?;
    Some(CreatedApiToken {
        token: ApiToken::new(token),
        created: text("createTime"),
        expires: text("expireTime"),
    })
}

/// How long the server asks to wait, in seconds or until a date. A date is measured against the
/// answer's own: the clocks of two machines differ.
pub(crate) fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let text = |name| Some(headers.get(name)?.to_str().ok()?.trim());
    let asked = text(RETRY_AFTER)?;
    let wait = match asked.parse() {
        Ok(seconds) => Duration::from_secs(seconds),
        Err(_) => {
            let until = httpdate::parse_http_date(asked).ok()?;
            let now = httpdate::parse_http_date(text(DATE)?).ok()?;
            // One that has passed asks for no wait.
            until.duration_since(now).unwrap_or_default()
        }
    };
    Some(wait.min(RETRY_AFTER_LIMIT))
}

/// An answer that is not a success, as an error.
pub(crate) fn refusal(response: &Response<Bytes>) -> Error {
    let status = response.status();
    if status.is_redirection() {
        return redirected(status, response.headers());
    }
    if status.is_success() {
        return unexpected(response, "confirmation");
    }
    let body: Option<ServerError> = parse_error_body(response.body());
    let error = Error::from_response(status, body.as_ref(), retry_after(response.headers()));
    match page::hint(status, response.body()) {
        Some(hint) => error.with_message(hint),
        None => error,
    }
}

/// Adds the headers for a gateway in front of the server. A header that the request has already
/// stays, those of the session and the transport are left out, and none may be shown. Cookies are put
/// behind the session's own.
pub(crate) fn add_front_headers(headers: &mut HeaderMap, front: HeaderMap) {
    let mut name = None;
    for (next, mut value) in front {
        // Further values of a name come without it.
        if next == Some(COOKIE) || (next.is_none() && name == Some(COOKIE)) {
            name = Some(COOKIE);
            if let Some(both) = headers.get(COOKIE).and_then(|own| joined_cookies(own, &value)) {
                value = both;
            }
            value.set_sensitive(true);
            headers.insert(COOKIE, value);
            continue;
        }
        if next.is_some() {
            name = next.filter(|name| !headers.contains_key(name) && !is_own(name));
        }
        if let Some(name) = &name {
            value.set_sensitive(true);
            headers.append(name, value);
        }
    }
}

/// Whether a header belongs to the session or the transport, or would change what is read here.
pub(crate) fn is_own(name: &HeaderName) -> bool {
    const OWN: [HeaderName; 8] = [
        AUTH_TOKEN,
        IDENTITY_TOKEN,
        PROJECT_ID,
        ACCEPT_ENCODING,
        CONTENT_LENGTH,
        HOST,
        RANGE,
        TRANSFER_ENCODING,
    ];
    OWN.contains(name)
}

/// Two values of `Cookie` in one: a request has one line of it (RFC 6265, 5.4).
fn joined_cookies(own: &HeaderValue, more: &HeaderValue) -> Option<HeaderValue> {
    let both = Zeroizing::new([own.as_bytes(), b"; ", more.as_bytes()].concat());
    HeaderValue::from_bytes(&both).ok()
}

/// A redirect where none may be followed.
pub(crate) fn redirected(status: StatusCode, headers: &HeaderMap) -> Error {
    let location = headers.get(LOCATION).and_then(|value| value.to_str().ok()).unwrap_or("nowhere");
    let shown = without_secrets(location);
    Error::from_response(status, None, None)
        .with_message(format!("redirected to {shown}, which is not followed: check the base URL"))
}

/// Whether the server itself has done what was asked of it. A sign-in page in front of it comes
/// with a status of success as well.
pub(crate) fn is_done(response: &Response<Bytes>) -> bool {
    response.status().is_success() && !page::is_html(response.body())
}

/// The projects of an answer, read before the session's lock is taken: they may be megabytes.
#[derive(Clone)]
struct ReadProjects(Arc<Result<Projects, String>>);

/// Reads the projects of an answer ahead. The answer keeps them for [`projects`].
pub(crate) fn read_projects_ahead(response: &mut Response<Bytes>) {
    let read = read_json(response.body());
    response.extensions_mut().insert(ReadProjects(Arc::new(read)));
}

/// The projects of an answer, read ahead or now.
pub(crate) fn projects(response: &Response<Bytes>) -> Result<Cow<'_, [Project]>, Error> {
    let failed =
        |problem: &String| unexpected(response, "list of projects").with_source(problem.clone());
    match response.extensions().get::<ReadProjects>().map(|read| &*read.0) {
        Some(Ok(Projects(projects))) => Ok(Cow::Borrowed(projects)),
        Some(Err(problem)) => Err(failed(problem)),
        None => match read_json(response.body()) {
            Ok(Projects(projects)) => Ok(Cow::Owned(projects)),
            Err(problem) => Err(failed(&problem)),
        },
    }
}

/// A successful answer that is not what the API promises.
pub(crate) fn unexpected(response: &Response<Bytes>, missing: &str) -> Error {
    let hint = if page::is_html(response.body()) {
        ": the answer is a web page, so check the base URL and whether a sign-in page stands in \
         front of the server"
    } else {
        ""
    };
    let kind = if hint.is_empty() { ErrorKind::Decode } else { ErrorKind::Gateway };
    Error::from_response(response.status(), None, None)
        .with_kind(kind)
        .with_message(format!("the answer has no {missing}{hint}"))
}

/// Whether the server itself has refused, so that its word counts. What stands in front of it
/// refuses too.
pub(crate) fn is_servers_word(response: &Response<Bytes>) -> bool {
    parse_error_body(response.body()).is_some_and(|error| error.is_servers_own())
}

/// Whether a gateway has failed or refused in the server's place, which may be temporary.
pub(crate) fn is_gateways(response: &Response<Bytes>) -> bool {
    match response.status().as_u16() {
        401 | 403 | 407 | 500 => !is_servers_word(response),
        _ => false,
    }
}

/// Whether an answer to a renewal or a logout says that the session is gone. A 401 of the server's
/// counts: nothing but the session was asked about.
pub(crate) fn is_gone(response: &Response<Bytes>) -> bool {
    parse_error_body(response.body()).is_some_and(|error| {
        error.is_session_gone()
            || (response.status() == StatusCode::UNAUTHORIZED && error.is_servers_own())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buffer_of_a_login_is_as_long_as_the_login_whatever_stands_in_it() {
        let long = "\u{1}\"ä".repeat(400);
        let locale = Locale { display: Some(long.clone()), ..Locale::default() };
        let options =
            LoginOptions { application_id: Some(long.clone()), locale, ..LoginOptions::default() };
        for (name, password) in [("alice", "hush"), ("", ""), (&*long, &*long)] {
            let body = login_body(LoginMode::Standard, 76, &options, Some(name), Some(password));
            let buffer = secret_buffer(&body);
            assert_eq!(buffer.capacity(), buffer.len(), "it has grown");
            let read: serde_json::Value = serde_json::from_slice(&buffer).expect("JSON");
            assert_eq!(read["password"], password);
        }
    }

    #[test]
    fn redirect_that_is_refused_is_shown_without_secrets() {
        for location in [
            "https://ann:hush@x.com/a",
            "https:///ann:hush@x.com",
            "/a;jsessionid=hush/b?c=hush#hush",
            "https://ann:12/hush@x.com",
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(LOCATION, HeaderValue::from_str(location).expect("a value"));
            let error = redirected(StatusCode::FOUND, &headers);
            let shown = format!("{error} {error:?}");
            assert!(!shown.contains("hush") && shown.contains("redirected to"), "{shown}");
        }
    }

    #[test]
    fn retry_after_comes_in_seconds_or_as_a_date_beside_the_answers_own() {
        const DAY: &str = "Fri, 27 Nov 2026 04:00:00 GMT";
        let of = |asked: &str, now: Option<&str>| {
            let mut headers = HeaderMap::new();
            headers.insert(RETRY_AFTER, asked.parse().expect("a value"));
            if let Some(now) = now {
                headers.insert(DATE, now.parse().expect("a value"));
            }
            retry_after(&headers).map(|wait| wait.as_secs())
        };
        for (asked, now, wait) in [
            ("7", None, Some(7)),
            (" 7 ", Some(DAY), Some(7)),
            ("86400", None, Some(300)),
            ("Fri, 27 Nov 2026 04:00:30 GMT", Some(DAY), Some(30)),
            // The older forms of a date (RFC 9110, 5.6.7).
            ("Friday, 27-Nov-26 04:00:30 GMT", Some(DAY), Some(30)),
            ("Sat, 28 Nov 2026 04:00:00 GMT", Some(DAY), Some(300)),
            ("Fri, 27 Nov 2026 03:59:00 GMT", Some(DAY), Some(0)),
            ("Fri, 27 Nov 2026 04:00:30 GMT", None, None),
            ("Fri, 27 Nov 2026 04:00:30 GMT", Some("today"), None),
            ("soon", Some(DAY), None),
            ("-1", Some(DAY), None),
        ] {
            assert_eq!(of(asked, now), wait, "{asked} at {now:?}");
        }
    }
}
