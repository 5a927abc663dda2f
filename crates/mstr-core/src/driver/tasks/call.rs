//! Carrying out one call: what its machine asks for, awaited.

use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use http::HeaderMap;
use tracing::{Instrument, Span};

use super::pump::{Tasks, aborted};
use super::response::Response;
use super::upload::fed;
use crate::call::{Call, Output, Spec};
use crate::contract::Body;
use crate::driver::core::{Begun, Core};
use crate::error::Error;
use crate::generation::Generation;
use crate::request::Operation;
use crate::request::Received;
use crate::request::operations::Answer;
use crate::toolkit::before;
use crate::trace;

/// Where a call stands when it holds up nobody.
#[expect(clippy::large_enum_variant, reason = "a box would cost every call an allocation")]
enum Step {
    Deliver(Response),
    TakeTurn,
    Wait(Instant),
}

impl Core<Tasks> {
    /// Sends a request as its machine says, and returns the response that is for the caller.
    pub(super) async fn call(self: &Arc<Self>, spec: Spec) -> Result<Response, Error> {
        let Tasks { timer, line, .. } = &self.driver;
        let now = self.now();
        let mut call = self.begin(spec, now);
        let output = call.proceed(now);
        let mut step = self.carry_on(&mut call, output, now, false).await?;
        loop {
            step = match step {
                Step::TakeTurn => {
                    let turn = Arc::clone(self).take_turn(call).instrument(Span::current());
                    let (returned, step) = line.join(turn).await.ok_or_else(aborted)?;
                    call = returned;
                    step?
                }
                Step::Wait(until) => {
                    trace::repeating(&call);
                    if until > self.now() {
                        timer.sleep_until(until).await;
                    }
                    let now = self.now();
                    let output = call.proceed(now);
                    self.carry_on(&mut call, output, now, false).await?
                }
                Step::Deliver(response) => return Ok(response),
            }
        }
    }

    /// What others wait for: from taking a turn to giving it back. It owns what it needs, so that
    /// any of them can drive it.
    async fn take_turn(self: Arc<Self>, mut call: Call) -> (Call, Result<Step, Error>) {
        let turn = before(call.deadline(), &*self.driver.timer, self.turns.turn()).await;
        let now = self.now();
        let output = if turn.is_some() { call.proceed(now) } else { call.handle_late() };
        let step = self.carry_on(&mut call, output, now, true).await;
        drop(turn);
        (call, step)
    }

    /// Does what the machine asks for, until that is a turn or a wait, or the call is over.
    /// `awaited` if others wait for it.
    async fn carry_on(
        self: &Arc<Self>,
        call: &mut Call,
        mut output: Output,
        mut now: Instant,
        awaited: bool,
    ) -> Result<Step, Error> {
        let Tasks { transport, timer, .. } = &self.driver;
        let (mut head, mut body) = http::Response::new(Body::empty()).into_parts();
        let (mut span, mut beginning) = (Span::none(), Bytes::new());
        loop {
            output = match output {
                // There is no limit, and nobody shares the session.
                Output::TakePlace | Output::ConsultStore => call.proceed(now),
                Output::FrontHeaders => call.handle_front_headers(Ok(HeaderMap::new()), now),
                Output::TakeTurn => return Ok(Step::TakeTurn),
                Output::NeedGrant => match self.access(|session| call.ask(session, now)) {
                    Begun::Done(access) => call.handle_access(access, self.header(), now),
                    Begun::Flight(flight) => {
                        let waiting = flight.wait(Err(aborted()));
                        let landed = before(call.deadline(), &**timer, waiting).await;
                        now = self.now();
                        match landed.map(|landed| self.told(landed)) {
                            Some(Ok(())) => Output::NeedGrant,
                            Some(Err(error)) => call.handle_access(Err(error), None, now),
                            None => call.handle_late(),
                        }
                    }
                },
                Output::Send => {
                    let mut request = call.request()?;
                    if awaited {
                        request = request.map(|body| fed(body, call.timeouts(), timer));
                    }
                    span = trace::attempt(call, &request);
                    match transport.send(request).instrument(span.clone()).await {
                        Ok(response) => {
                            trace::answered(&span, response.status());
                            (head, body) = response.into_parts();
                            self.answered(call, &head, None)
                        }
                        Err(error) => self.failed(call, &span, &error),
                    }
                }
                Output::ReadError { limit } => {
                    let late = || call.deadline().is_some_and(|deadline| self.now() >= deadline);
                    let reading = body.peek(limit, late);
                    match before(call.deadline(), &**timer, reading).await {
                        Some(Ok(read)) => {
                            beginning = read;
                            self.answered(call, &head, Some(&beginning))
                        }
                        Some(Err(error)) => self.failed(call, &span, &error),
                        None => call.handle_late(),
                    }
                }
                Output::AwaitVerdict => {
                    let waiting = self.verdict().wait(Err(aborted()));
                    drop(before(call.deadline(), &**timer, waiting).await);
                    self.answered(call, &head, Some(&beginning))
                }
                Output::Wait(until) => return Ok(Step::Wait(until)),
                Output::Deliver => {
                    let received = Received::new(head, body, call);
                    return Ok(Step::Deliver(Response::new(received, timer.clone())));
                }
                Output::Fail(error) => return Err(error),
            }
        }
    }

    /// Runs one of the session's endpoints.
    pub(super) async fn run<T>(self: &Arc<Self>, operation: Operation<T>) -> Result<T, Error> {
        self.run_in(operation).await.map(|(value, _)| value)
    }

    /// The same, and in which session it was answered.
    pub(super) async fn run_in<T>(
        self: &Arc<Self>,
        operation: Operation<T>,
    ) -> Result<(T, Option<Generation>), Error> {
        let Operation { spec, decode } = operation;
        let name = spec.operation;
        let response = self.call(self.with_defaults(spec)).await?;
        let generation = response.generation();
        let (status, headers) = (response.status(), response.headers().clone());
        let body = response.bytes().await?;
        let value = decode(&Answer { status, headers, body });
        Ok((value.map_err(|error| error.with_operation(name))?, generation))
    }
}
