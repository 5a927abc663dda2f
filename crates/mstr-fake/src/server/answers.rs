//! Responses in the shapes that were recorded from real servers.

use std::time::Duration;

use bytes::Bytes;
use http::header::{CACHE_CONTROL, CONTENT_TYPE, EXPIRES, HeaderValue, PRAGMA, SERVER};
use http::{Response, StatusCode};
use serde_json::{Value, json};

use super::body::ReplyBody;
use super::model::Model;
use crate::endpoint::Answer;

/// What `PUT /api/sessions` says about a session that has ended.
const EXPIRED: &str = include_str!("recorded/expired.json");

/// The type of a refusal's body.
pub(super) const ERROR_TYPE: &str = "application/json;charset=UTF-8";

pub(super) fn empty(status: StatusCode) -> Response<ReplyBody> {
    let mut response = Response::new(ReplyBody::Bytes(Bytes::new()));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    let uncached = HeaderValue::from_static("no-cache, no-store, max-age=0, must-revalidate");
    headers.insert(CACHE_CONTROL, uncached);
    headers.insert(PRAGMA, HeaderValue::from_static("no-cache"));
    headers.insert(EXPIRES, HeaderValue::from_static("0"));
    headers.insert(SERVER, HeaderValue::from_static("MicroStrategy"));
    response
}

pub(super) fn with_body(
    status: StatusCode,
    content_type: &str,
    body: impl Into<Bytes>,
) -> Response<ReplyBody> {
    let mut response = empty(status);
    if let Ok(content_type) = HeaderValue::from_str(content_type) {
        response.headers_mut().insert(CONTENT_TYPE, content_type);
    }
    *response.body_mut() = ReplyBody::Bytes(body.into());
    response
}

/// How long an answer is held back, as an extension of the response.
#[derive(Clone, Copy, Debug)]
pub(super) struct Delay(pub(super) Duration);

/// The answer of a test's endpoint, with the headers of the server's own unless it has them.
pub(super) fn of_endpoint(answer: Answer) -> Response<ReplyBody> {
    let Answer { status, headers, body, delay } = answer;
    let mut response = empty(status);
    for name in headers.keys() {
        response.headers_mut().remove(name);
    }
    for (name, value) in headers.iter() {
        response.headers_mut().append(name, value.clone());
    }
    *response.body_mut() = ReplyBody::Bytes(body);
    response.extensions_mut().insert(Delay(delay));
    response
}

pub(super) fn ok(value: &Value) -> Response<ReplyBody> {
    json_with(StatusCode::OK, value)
}

pub(super) fn json_with(status: StatusCode, value: &Value) -> Response<ReplyBody> {
    // Successful answers were recorded without a charset, errors with one.
    let content_type = if status.is_success() { "application/json" } else { ERROR_TYPE };
    with_body(status, content_type, value.to_string())
}

pub(super) fn refuse(
    model: &mut Model,
    status: u16,
    code: &str,
    message: &str,
    iserver_code: Option<i64>,
) -> Response<ReplyBody> {
    let body = error_body(code, message, &model.new_ticket(), iserver_code);
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    json_with(status, &body)
}

/// A refusal in the server's format.
pub(super) fn error_body(
    code: &str,
    message: &str,
    ticket: &str,
    iserver_code: Option<i64>,
) -> Value {
    let mut body = json!({ "code": code, "message": message, "ticketId": ticket });
    if let Some(iserver_code) = iserver_code {
        body["iServerCode"] = iserver_code.into();
    }
    body
}

pub(super) fn expired(model: &mut Model) -> Response<ReplyBody> {
    let mut body: Value = serde_json::from_str(EXPIRED).unwrap_or_default();
    body["ticketId"] = model.new_ticket().into();
    json_with(StatusCode::UNAUTHORIZED, &body)
}

pub(super) fn session_limit(model: &mut Model) -> Response<ReplyBody> {
    let message = "(Maximum number of interactive session per user for project exceeded while \
                   trying to login user.)";
    refuse(model, 500, "ERR001", message, Some(-2_147_072_486))
}

pub(super) fn no_login_mode(model: &mut Model) -> Response<ReplyBody> {
    refuse(model, 400, "ERR006", "Invalid value of loginMode: it has to be a number", None)
}

pub(super) fn not_found(model: &mut Model) -> Response<ReplyBody> {
    refuse(model, 404, "ERR004", "HTTP 404 Not Found", None)
}

/// What Tomcat says of a request whose head is too long, before it has looked at it.
pub(super) fn head_too_long() -> Response<ReplyBody> {
    let page = "<!doctype html><html><body><h1>HTTP Status 400 – Bad Request</h1></body></html>";
    with_body(StatusCode::BAD_REQUEST, "text/html;charset=utf-8", page)
}
