//! Spans and events. The names are OpenTelemetry's for HTTP clients; no header value, query or
//! body is ever recorded.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use http::{Method, Request, StatusCode, Uri};
use tracing::{Span, debug, field, info, warn};

use crate::contract::{Body, TransportError};
use crate::error::Error;
use crate::session::{CloseOutcome, Event, LossReason, Purpose};

const TARGET: &str = "mstr::session";

/// Runs a future inside a span.
pub(crate) struct Traced<F> {
    span: Span,
    future: Pin<Box<F>>,
}

impl<F: Future> Traced<F> {
    pub(crate) fn new(span: Span, future: F) -> Self {
        Self { span, future: Box::pin(future) }
    }
}

impl<F: Future> Future for Traced<F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        let this = &mut *self;
        let _entered = this.span.enter();
        this.future.as_mut().poll(cx)
    }
}

/// The span of one exchange of the session's own.
pub(crate) fn exchange(purpose: Purpose, request: &Request<Body>) -> Span {
    request_span(purpose.name(), request.method(), request.uri(), 1)
}

/// The span of one attempt of an application's call.
pub(crate) fn request_span(
    operation: &'static str,
    method: &Method,
    uri: &Uri,
    attempt: u32,
) -> Span {
    tracing::debug_span!(
        target: "mstr::http",
        "http",
        "otel.kind" = "client",
        "mstr.operation" = operation,
        "http.request.method" = method.as_str(),
        "http.request.resend_count" = attempt.saturating_sub(1),
        "server.address" = uri.host().unwrap_or_default(),
        "server.port" = uri.port_u16(),
        "url.path" = uri.path(),
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

pub(crate) fn repeating(operation: &'static str, attempt: u32) {
    debug!(target: TARGET, operation, attempt, "repeating the request");
}

pub(crate) fn event(event: &Event) {
    match event {
        Event::ApplicationIdDropped => {
            warn!(target: TARGET, "the server is too old for an application id: left out");
        }
        Event::Closed(CloseOutcome::Failed(error)) => {
            warn!(target: TARGET, %error, "closed, but the server did not confirm");
        }
        Event::Closed(outcome) => info!(target: TARGET, ?outcome, "closed"),
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
        Event::Rejected(error) => rejected(error),
        Event::Renewed { generation } => {
            debug!(target: TARGET, generation = generation.number(), "session renewed");
        }
        Event::Replaced { generation } => {
            info!(target: TARGET, generation = generation.number(), "session replaced");
        }
        Event::TimeoutAssumed(timeout) => {
            warn!(target: TARGET, ?timeout, "the server does not tell its idle timeout: assumed");
        }
    }
}

/// A transport runs nothing in the background.
pub(crate) fn not_detached() {
    warn!(
        target: TARGET,
        "the transport does not implement `detach`: a session may stay open until it expires"
    );
}

fn rejected(error: &Error) {
    warn!(target: TARGET, %error, "the server refuses the credentials");
}
