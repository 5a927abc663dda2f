//! Carrying out one call: what its machine asks for, waited for.

use std::sync::Arc;

use bytes::Bytes;
use http::HeaderMap;
use tracing::Span;

use super::pump::Threads;
use super::response::Response;
use crate::call::{Output, Spec};
use crate::contract::Body;
use crate::driver::core::{Begun, Core};
use crate::driver::exchange::no_headers;
use crate::error::Error;
use crate::generation::Generation;
use crate::park::{block_on_until, block_on_while};
use crate::protocol::ProjectRef;
use crate::request::Received;
use crate::request::operations::Answer;
use crate::request::{Described, Operation, operations};
use crate::trace;

impl Core<Threads> {
    /// Sends a request as its machine says, and returns the response that is for the caller.
    pub(super) fn call(self: &Arc<Self>, spec: Box<Spec>) -> Result<Response, Error> {
        let transport = &self.driver.transport;
        let mut now = self.now();
        let mut call = self.begin(spec, now);
        let mut output = call.proceed(now);
        let (mut head, mut body) = http::Response::new(Body::empty()).into_parts();
        let (mut turn, mut span, mut beginning) = (None, Span::none(), Bytes::new());
        loop {
            output = match output {
                // There is no limit, and the session is not shared.
                Output::TakePlace | Output::ConsultStore => call.proceed(now),
                Output::FrontHeaders => {
                    let supplied = match &self.front {
                        None => Some(Ok(HeaderMap::new())),
                        Some(front) => {
                            let until = self.front_deadline(&call);
                            block_on_while(front.ask(no_headers), || {
                                let waits = self.now() < until;
                                if waits {
                                    transport.park_until(until);
                                }
                                waits
                            })
                        }
                    };
                    now = self.now();
                    self.fronted(&mut call, supplied, now)
                }
                Output::TakeTurn => {
                    turn = block_on_until(self.turns().turn(), call.deadline(), || self.now());
                    now = self.now();
                    if turn.is_some() { call.proceed(now) } else { call.handle_late() }
                }
                Output::NeedGrant => match self.access(|session| call.ask(session, now)) {
                    Begun::Done(access) => call.handle_access(access, self.header(), now),
                    Begun::Flight(flight) => {
                        let landed = self.wait_for(&flight, call.deadline());
                        now = self.now();
                        match landed.map(|landed| self.told(landed)) {
                            Some(Ok(())) => Output::NeedGrant,
                            Some(Err(error)) => call.handle_access(Err(error), None, now),
                            None => call.handle_late(),
                        }
                    }
                },
                Output::Send => {
                    let request = call.request()?;
                    span = trace::attempt(&call, &request);
                    match span.in_scope(|| transport.send(request)) {
                        Ok(response) => {
                            trace::answered(&span, response.status());
                            (head, body) = call.receive(response);
                            self.answered(&mut call, &head, None)
                        }
                        Err(error) => self.failed(&mut call, &span, &error),
                    }
                }
                Output::ReadError { limit } => {
                    let late = || call.deadline().is_some_and(|deadline| self.now() >= deadline);
                    let reading = body.peek(limit, late);
                    match block_on_until(reading, call.deadline(), || self.now()) {
                        Some(Ok(read)) => {
                            beginning = read;
                            self.answered(&mut call, &head, Some(&beginning))
                        }
                        Some(Err(error)) => self.failed(&mut call, &span, &error),
                        None => call.handle_late(),
                    }
                }
                Output::AwaitVerdict => {
                    drop(self.wait_for(&self.verdict(), call.deadline()));
                    self.answered(&mut call, &head, Some(&beginning))
                }
                Output::Wait(until) => {
                    drop(turn.take());
                    trace::repeating(&call);
                    if until > self.now() {
                        transport.sleep_until(until);
                    }
                    now = self.now();
                    call.proceed(now)
                }
                Output::Deliver => {
                    let received = Received::new(head, body, &mut call);
                    return Ok(Response::new(received, transport.clone()));
                }
                Output::Fail(error) => return Err(self.explained(&call, error)),
            }
        }
    }

    /// Looks up the project that a request names.
    pub(super) fn find_project(
        self: &Arc<Self>,
        described: &mut Described,
        wanted: &ProjectRef,
    ) -> Result<(), Error> {
        let listing = operations::projects_for(&described.spec);
        let (projects, _) = self.run_as_it_is(listing)?;
        described.choose(&projects, wanted)
    }

    /// Runs one of the session's endpoints.
    pub(super) fn run<T>(self: &Arc<Self>, operation: Operation<T>) -> Result<T, Error> {
        self.run_in(operation).map(|(value, _)| value)
    }

    /// The same, and in which session it was answered.
    pub(super) fn run_in<T>(
        self: &Arc<Self>,
        mut operation: Operation<T>,
    ) -> Result<(T, Option<Generation>), Error> {
        self.set_defaults(&mut operation.spec);
        self.run_as_it_is(operation)
    }

    /// The same with settings that are not the connection's.
    pub(super) fn run_as_it_is<T>(
        self: &Arc<Self>,
        operation: Operation<T>,
    ) -> Result<(T, Option<Generation>), Error> {
        let Operation { spec, decode, limit } = operation;
        let name = spec.operation;
        let response = self.call(spec)?;
        let generation = response.generation();
        let (status, headers) = (response.status(), response.headers().clone());
        let body = response.bytes_limited(limit)?;
        let value = decode(&Answer { status, headers, body });
        Ok((value.map_err(|error| error.with_operation(name).with_executed(true))?, generation))
    }
}
