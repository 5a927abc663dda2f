//! Carrying out one call: what its machine asks for, awaited.

use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use http::HeaderMap;
use http::response::Parts;
use tracing::{Instrument, Span};

use super::pump::{Tasks, aborted};
use super::response::Response;
use super::upload::fed;
use crate::call::{Call, Output, Spec};
use crate::contract::{Body, RequestContext};
use crate::driver::core::{Begun, Core};
use crate::driver::exchange::no_headers;
use crate::error::Error;
use crate::generation::Generation;
use crate::protocol::ProjectRef;
use crate::request::Received;
use crate::request::operations::Answer;
use crate::request::{Described, Operation, operations};
use crate::toolkit::before;
use crate::trace;

/// Where a call stands when no other call waits for it.
enum Step {
    Deliver,
    TakeTurn,
    Wait(Instant),
}

/// A call, and what it was answered with, if it was. It is large, and stays where it is.
struct Underway {
    call: Call,
    answer: Option<(Parts, Body)>,
    /// Other calls wait for it, so an upload that stands still ends.
    awaited: bool,
}

/// What the machine asks for only after an answer.
fn no_answer() -> (Parts, Body) {
    http::Response::new(Body::empty()).into_parts()
}

impl Core<Tasks> {
    /// Sends a request as its machine says, and returns the response that is for the caller.
    pub(super) async fn call(self: &Arc<Self>, spec: Box<Spec>) -> Result<Response, Error> {
        let Tasks { timer, line, .. } = &self.driver;
        let now = self.now();
        let mut underway = Underway { call: self.begin(spec, now), answer: None, awaited: false };
        let output = underway.call.proceed(now);
        let mut step = self.carry_on(&mut underway, output, now).await?;
        loop {
            step = match step {
                Step::TakeTurn => {
                    let turn = Arc::clone(self).take_turn(underway).instrument(Span::current());
                    let (returned, step) = line.join(turn).await.ok_or_else(aborted)?;
                    underway = returned;
                    step?
                }
                Step::Wait(until) => {
                    trace::repeating(&underway.call);
                    if until > self.now() {
                        timer.sleep_until(until).await;
                    }
                    let now = self.now();
                    let output = underway.call.proceed(now);
                    self.carry_on(&mut underway, output, now).await?
                }
                Step::Deliver => {
                    let Underway { call, answer, .. } = &mut underway;
                    let (head, body) = answer.take().unwrap_or_else(no_answer);
                    return Ok(Response::new(Received::new(head, body, call), timer.clone()));
                }
            }
        }
    }

    /// The part for which other calls wait: from taking a turn to giving it back. It owns its
    /// data, so that any of them can drive it.
    async fn take_turn(self: Arc<Self>, mut underway: Underway) -> (Underway, Result<Step, Error>) {
        let call = &mut underway.call;
        let turn = before(call.deadline(), &*self.driver.timer, self.turns().turn()).await;
        let now = self.now();
        let output = if turn.is_some() { call.proceed(now) } else { call.handle_late() };
        underway.awaited = true;
        let step = self.carry_on(&mut underway, output, now).await;
        underway.awaited = false;
        drop(turn);
        (underway, step)
    }

    /// Does what the machine asks for, until that is a turn or a wait, or the call is over.
    async fn carry_on(
        self: &Arc<Self>,
        underway: &mut Underway,
        mut output: Output,
        mut now: Instant,
    ) -> Result<Step, Error> {
        let Tasks { transport, timer, .. } = &self.driver;
        let Underway { call, answer, awaited } = underway;
        let (mut span, mut beginning) = (Span::none(), Bytes::new());
        loop {
            output = match output {
                // There is no limit, and the session is not shared.
                Output::TakePlace | Output::ConsultStore => call.proceed(now),
                Output::FrontHeaders => {
                    let supplied = match &self.front {
                        None => Some(Ok(HeaderMap::new())),
                        Some(front) => {
                            let until = Some(self.front_deadline(call));
                            // Set aside: few have one, and every call would keep room for it.
                            let asking = Box::pin(front.ask(no_headers));
                            before(until, &**timer, asking).await
                        }
                    };
                    now = self.now();
                    self.fronted(call, supplied, now)
                }
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
                    if *awaited {
                        let hold = |body| fed(body, call.timeouts(), timer);
                        request = RequestContext::map_body(request, hold);
                    }
                    span = trace::attempt(call, &request);
                    match transport.send(request).instrument(span.clone()).await {
                        Ok(response) => {
                            trace::answered(&span, response.status());
                            let (head, _) = answer.insert(call.receive(response));
                            self.answered(call, head, None)
                        }
                        Err(error) => self.failed(call, &span, &error),
                    }
                }
                Output::ReadError { limit } => {
                    let (head, body) = answer.get_or_insert_with(no_answer);
                    let late = || call.deadline().is_some_and(|deadline| self.now() >= deadline);
                    let reading = body.peek(limit, late);
                    match before(call.deadline(), &**timer, reading).await {
                        Some(Ok(read)) => {
                            beginning = read;
                            self.answered(call, head, Some(&beginning))
                        }
                        Some(Err(error)) => self.failed(call, &span, &error),
                        None => call.handle_late(),
                    }
                }
                Output::AwaitVerdict => {
                    let waiting = self.verdict().wait(Err(aborted()));
                    drop(before(call.deadline(), &**timer, waiting).await);
                    let (head, _) = answer.get_or_insert_with(no_answer);
                    self.answered(call, head, Some(&beginning))
                }
                Output::Wait(until) => return Ok(Step::Wait(until)),
                Output::Deliver => return Ok(Step::Deliver),
                Output::Fail(error) => return Err(self.explained(call, error)),
            }
        }
    }

    /// Looks up the project that a request names.
    pub(super) async fn find_project(
        self: &Arc<Self>,
        described: &mut Described,
        wanted: &ProjectRef,
    ) -> Result<(), Error> {
        let listing = operations::projects_for(&described.spec);
        let (projects, _) = self.run_as_it_is(listing).await?;
        described.choose(&projects, wanted)
    }

    /// Runs one of the session's endpoints.
    pub(super) async fn run<T>(self: &Arc<Self>, operation: Operation<T>) -> Result<T, Error> {
        self.run_in(operation).await.map(|(value, _)| value)
    }

    /// The same, and in which session it was answered.
    pub(super) async fn run_in<T>(
        self: &Arc<Self>,
        mut operation: Operation<T>,
    ) -> Result<(T, Option<Generation>), Error> {
        self.set_defaults(&mut operation.spec);
        self.run_as_it_is(operation).await
    }

    /// The same with settings that are not the connection's.
    pub(super) async fn run_as_it_is<T>(
        self: &Arc<Self>,
        operation: Operation<T>,
    ) -> Result<(T, Option<Generation>), Error> {
        let Operation { spec, decode, limit } = operation;
        let name = spec.operation;
        let response = self.call(spec).await?;
        let generation = response.generation();
        let (status, headers) = (response.status(), response.headers().clone());
        let body = response.bytes_limited(limit).await?;
        let value = decode(&Answer { status, headers, body });
        Ok((value.map_err(|error| error.with_operation(name).with_executed(true))?, generation))
    }
}
