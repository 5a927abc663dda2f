//! Sending one application request from a thread.

use super::park::block_on_until;
use super::response::Response;
use super::shared::Shared;
use crate::call::{ERROR_BODY_LIMIT, Next, Plan, Spec};
use crate::connection::not_open;
use crate::error::Error;
use crate::request::Operation;
use crate::request::operations::Answer;
use crate::session::Verdict;
use crate::trace;

impl Shared {
    pub(super) fn call(
        &self,
        spec: Spec,
        accepts: impl Fn(http::StatusCode) -> bool,
    ) -> Result<Response, Error> {
        let seed = self.next_seed();
        let (fixed, base) = self.session(|session| {
            (session.config().fixed().clone(), session.config().base_url().clone())
        });
        let mut plan = Plan::new(spec, &base, self.transport.now(), seed)?;
        loop {
            let takes_turns = self.session(|session| session.takes_turns());
            let turn = if takes_turns && plan.is_authenticated() {
                let turn = self.gate.turn();
                match block_on_until(turn, plan.deadline(), || self.transport.now()) {
                    Some(turn) => Some(turn),
                    None => return Err(plan.late()),
                }
            } else {
                None
            };
            let grant = if plan.is_about_existing_session() {
                let grant = self.session(|session| session.current_grant());
                Some(grant.ok_or_else(|| plan.describe(not_open()))?)
            } else if plan.is_authenticated() {
                let grant = self.access(plan.deadline()).map_err(|error| plan.describe(error))?;
                Some(grant.ok_or_else(|| plan.late())?)
            } else {
                None
            };
            plan.set_default_project(self.default_project());
            let sent_at = self.transport.now();
            let request = plan.prepare(grant.as_ref(), &fixed, sent_at)?;
            let span =
                trace::request_span(plan.operation(), plan.method(), plan.uri(), plan.sends());
            let _entered = span.enter();
            let next = match self.transport.send(request) {
                Err(error) => {
                    trace::failed(&span, &error);
                    plan.on_failure(&error, self.transport.now())
                }
                Ok(response) => {
                    trace::answered(&span, response.status());
                    let (parts, mut body) = response.into_parts();
                    let status = parts.status;
                    let failed = status.is_client_error() || status.is_server_error();
                    let beginning = if failed {
                        let deadline = plan.deadline();
                        let late =
                            || deadline.is_some_and(|deadline| self.transport.now() >= deadline);
                        let reading = body.peek(ERROR_BODY_LIMIT, late);
                        match block_on_until(reading, deadline, || self.transport.now()) {
                            Some(beginning) => beginning,
                            None => return Err(plan.late()),
                        }
                    } else {
                        Ok(bytes::Bytes::new())
                    };
                    match beginning {
                        Err(error) => {
                            trace::failed(&span, &error);
                            plan.on_failure(&error, self.transport.now())
                        }
                        Ok(beginning) => {
                            let verdict = grant.as_ref().map_or(Verdict::Deliver, |grant| {
                                let body = failed.then_some(&*beginning);
                                self.session(|session| {
                                    session.observe(grant, status, &parts.headers, body, sent_at)
                                })
                            });
                            let now = self.transport.now();
                            match plan.on_response(status, &parts.headers, verdict, &base, now) {
                                Next::Deliver if status.is_success() || accepts(status) => {
                                    return Ok(Response::new(
                                        parts,
                                        body,
                                        plan.deadline(),
                                        self.transport.clone(),
                                        plan.operation(),
                                    ));
                                }
                                Next::Deliver => {
                                    let headers = &parts.headers;
                                    let grant = grant.as_ref();
                                    return Err(plan.refused(status, headers, &beginning, grant));
                                }
                                next => next,
                            }
                        }
                    }
                }
            };
            // Others need not wait while this one does.
            drop(turn);
            match next {
                Next::Deliver => {}
                Next::Fail(error) => return Err(error),
                Next::Reauthenticate => {
                    trace::repeating(plan.operation(), plan.sends());
                    if let Some(grant) = &grant {
                        self.revoke(grant.generation);
                    }
                }
                Next::Resend(at) => {
                    trace::repeating(plan.operation(), plan.sends());
                    self.transport.sleep_until(at);
                }
            }
        }
    }

    pub(super) fn run<T>(&self, operation: Operation<T>) -> Result<T, Error> {
        let Operation { spec, accepts, decode } = operation;
        let name = spec.operation;
        let response = self.call(spec, accepts)?;
        let (status, headers) = (response.status(), response.headers().clone());
        let body = response.bytes()?;
        decode(&Answer { status, headers, body }).map_err(|error| error.with_operation(name))
    }
}
