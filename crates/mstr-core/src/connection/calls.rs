//! Sending one application request: attempts, a lost session, redirects, deadlines.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Instant;

use super::not_open;
use super::response::Response;
use super::shared::Shared;
use crate::call::{ERROR_BODY_LIMIT, Next, Plan, Spec};
use crate::contract::{SharedTimer, Sleep};
use crate::error::Error;
use crate::protocol::Grant;
use crate::request::Operation;
use crate::request::operations::Answer;
use crate::session::Verdict;
use crate::trace;

impl Shared {
    /// Sends a request and returns its response, whatever its status if `accepts` says so.
    pub(super) async fn call(
        self: &Arc<Self>,
        spec: Spec,
        accepts: impl Fn(http::StatusCode) -> bool,
    ) -> Result<Response, Error> {
        let (mut plan, fixed, base) = {
            let seed = self.next_seed();
            let locked = self.lock();
            let config = locked.session.config();
            let plan = Plan::new(spec, config.base_url(), self.timer.now(), seed)?;
            (plan, config.fixed().clone(), config.base_url().clone())
        };
        loop {
            let turn = if self.lock().session.takes_turns() && plan.is_authenticated() {
                match Timed::new(self.gate.turn(), plan.deadline(), &self.timer).await {
                    Some(turn) => Some(turn),
                    None => return Err(plan.late()),
                }
            } else {
                None
            };
            let grant = if plan.is_about_existing_session() {
                let grant = self.lock().session.current_grant();
                Some(grant.ok_or_else(|| plan.describe(not_open()))?)
            } else if plan.is_authenticated() {
                let access = Timed::new(self.access(), plan.deadline(), &self.timer);
                match access.await {
                    Some(grant) => Some(grant.map_err(|error| plan.describe(error))?),
                    None => return Err(plan.late()),
                }
            } else {
                None
            };
            plan.set_default_project(self.default_project());
            let sent_at = self.timer.now();
            let request = plan.prepare(grant.as_ref(), &fixed, sent_at)?;
            let span =
                trace::request_span(plan.operation(), plan.method(), plan.uri(), plan.sends());
            let answer = trace::Traced::new(span.clone(), self.transport.send(request)).await;
            let next = match answer {
                Err(error) => {
                    trace::failed(&span, &error);
                    plan.on_failure(&error, self.timer.now())
                }
                Ok(response) => {
                    trace::answered(&span, response.status());
                    let (parts, mut body) = response.into_parts();
                    let status = parts.status;
                    let failed = status.is_client_error() || status.is_server_error();
                    let beginning = if failed {
                        let (deadline, timer) = (plan.deadline(), &self.timer);
                        let late = || deadline.is_some_and(|deadline| timer.now() >= deadline);
                        let reading = body.peek(ERROR_BODY_LIMIT, late);
                        match Timed::new(reading, deadline, timer).await {
                            None => return Err(plan.late()),
                            Some(Ok(beginning)) => beginning,
                            Some(Err(error)) => {
                                drop(turn);
                                trace::failed(&span, &error);
                                let next = plan.on_failure(&error, self.timer.now());
                                self.follow(next, &plan, grant.as_ref()).await?;
                                continue;
                            }
                        }
                    } else {
                        bytes::Bytes::new()
                    };
                    let verdict = grant.as_ref().map_or(Verdict::Deliver, |grant| {
                        let mut locked = self.lock();
                        let body = failed.then_some(&*beginning);
                        locked.session.observe(grant, status, &parts.headers, body, sent_at)
                    });
                    let now = self.timer.now();
                    match plan.on_response(status, &parts.headers, verdict, &base, now) {
                        Next::Deliver => {
                            if !status.is_success() && !accepts(status) {
                                let error = plan.refused(
                                    status,
                                    &parts.headers,
                                    &beginning,
                                    grant.as_ref(),
                                );
                                return Err(error);
                            }
                            let deadline = plan.deadline();
                            return Ok(Response::new(
                                parts,
                                body,
                                deadline,
                                self.timer.clone(),
                                plan.operation(),
                            ));
                        }
                        next => next,
                    }
                }
            };
            // Others need not wait while this one does.
            drop(turn);
            self.follow(next, &plan, grant.as_ref()).await?;
        }
    }

    /// Does what has to be done before the next attempt.
    async fn follow(
        self: &Arc<Self>,
        next: Next,
        plan: &Plan,
        grant: Option<&Grant>,
    ) -> Result<(), Error> {
        match next {
            Next::Deliver => Ok(()),
            Next::Fail(error) => Err(error),
            Next::Reauthenticate => {
                if let Some(grant) = grant {
                    self.revoke(grant.generation);
                }
                trace::repeating(plan.operation(), plan.sends());
                Ok(())
            }
            Next::Resend(at) => {
                trace::repeating(plan.operation(), plan.sends());
                if at > self.timer.now() {
                    self.timer.sleep_until(at).await;
                }
                Ok(())
            }
        }
    }

    /// Runs one of the session's endpoints.
    pub(super) async fn run<T>(self: &Arc<Self>, operation: Operation<T>) -> Result<T, Error> {
        let Operation { spec, accepts, decode } = operation;
        let name = spec.operation;
        let response = self.call(spec, accepts).await?;
        let (status, headers) = (response.status(), response.headers().clone());
        let body = response.bytes().await?;
        decode(&Answer { status, headers, body }).map_err(|error| error.with_operation(name))
    }
}

/// A future with a deadline. The timer is only asked when the future is not ready at once.
pub(super) struct Timed<'a, F> {
    future: Pin<Box<F>>,
    deadline: Option<Instant>,
    timer: &'a SharedTimer,
    sleep: Option<Sleep>,
}

impl<'a, F: Future> Timed<'a, F> {
    pub(super) fn new(future: F, deadline: Option<Instant>, timer: &'a SharedTimer) -> Self {
        Self { future: Box::pin(future), deadline, timer, sleep: None }
    }
}

impl<F: Future> Future for Timed<'_, F> {
    type Output = Option<F::Output>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<F::Output>> {
        let this = &mut *self;
        if let Poll::Ready(output) = this.future.as_mut().poll(cx) {
            return Poll::Ready(Some(output));
        }
        let Some(deadline) = this.deadline else {
            return Poll::Pending;
        };
        let timer = this.timer;
        let sleep = this.sleep.get_or_insert_with(|| timer.sleep_until(deadline));
        sleep.as_mut().poll(cx).map(|()| None)
    }
}
