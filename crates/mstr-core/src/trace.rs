//! Spans and events. The names are OpenTelemetry's for HTTP clients; no header value, query or
//! body is ever recorded.

use http::{Request, StatusCode};
use tracing::{Span, debug, field, info, warn};

use crate::call::Call;
use crate::contract::{Body, TransportError};
use crate::error::Error;
use crate::session::{CloseOutcome, Event, LossReason};
use crate::shown::without_secrets;

const TARGET: &str = "mstr::session";

/// The span of one exchange of the session's own.
pub(crate) fn exchange(operation: &'static str, request: &Request<Body>) -> Span {
    span(operation, request, 1)
}

/// The span of one attempt of an application's call.
pub(crate) fn attempt(call: &Call, request: &Request<Body>) -> Span {
    span(call.operation(), request, call.sends())
}

fn span(operation: &'static str, request: &Request<Body>, attempt: u32) -> Span {
    let uri = request.uri();
    tracing::debug_span!(
        target: "mstr::http",
        "http",
        "otel.kind" = "client",
        "mstr.operation" = operation,
        "http.request.method" = request.method().as_str(),
        "http.request.resend_count" = attempt.saturating_sub(1),
        "server.address" = uri.host().unwrap_or_default(),
        "server.port" = uri.port_u16(),
        "url.path" = &*without_secrets(uri.path()),
        "http.response.status_code" = field::Empty,
        "error.type" = field::Empty,
    )
}

pub(crate) fn answered(span: &Span, status: StatusCode) {
    span.record("http.response.status_code", status.as_u16());
    debug!(target: "mstr::http", parent: span, "answered");
}

pub(crate) fn failed(span: &Span, error: &TransportError) {
    span.record("error.type", field::debug(error.kind()));
    debug!(target: "mstr::http", parent: span, %error, "failed");
}

pub(crate) fn repeating(call: &Call) {
    let (operation, attempt) = (call.operation(), call.sends());
    debug!(target: TARGET, operation, attempt, "repeating the request");
}

pub(crate) fn event(event: &Event) {
    match event {
        Event::ApplicationIdDropped => {
            warn!(target: TARGET, "the server is too old for an application id: it is left out");
        }
        Event::Closed(CloseOutcome::Failed(error)) => {
            warn!(target: TARGET, %error, "closed, but the server did not confirm");
        }
        Event::Closed(outcome) => info!(target: TARGET, ?outcome, "closed"),
        Event::CookieIgnored { name } => {
            warn!(target: TARGET, name, "a cookie is ignored: it is too large, or there are too many");
        }
        Event::Lost { generation, reason } => {
            let reason = match reason {
                LossReason::Expired => "expired",
                LossReason::Refused => "refused",
            };
            info!(target: TARGET, generation = generation.number(), reason, "session lost");
        }
        Event::Opened { generation } => {
            info!(target: TARGET, generation = generation.number(), "session opened");
        }
        Event::NotSticky => {
            warn!(target: TARGET, "sessions end at once: the load balancer needs sticky sessions");
        }
        Event::Rejected(error) => rejected(error),
        Event::Renewed { generation } => {
            debug!(target: TARGET, generation = generation.number(), "session renewed");
        }
        Event::Replaced { generation } => {
            info!(target: TARGET, generation = generation.number(), "session replaced");
        }
        Event::VersionUnknown => {
            warn!(target: TARGET, "the server's version is not known: assuming a current one");
        }
        Event::TimeoutAssumed { timeout } => {
            warn!(target: TARGET, ?timeout, "the server does not report its idle timeout: assuming one");
        }
    }
}

fn rejected(error: &Error) {
    warn!(target: TARGET, %error, "the server refuses the credentials");
}
