//! Writes down what goes into the machines and what comes out of them, and which of it led to which.
//!
//! Nothing is decided here. An output is caused by the input before it, an answer by the exchange that
//! it answers; and what the session's life says: a login that follows a loss is caused by the loss,
//! one that follows a reset by the reset, a repetition by the answer before it.

use std::time::Instant;

use super::exchange::Answer;
use super::ring::{About, Ring};
use crate::call::{self, Call};
use crate::contract::TransportError;
use crate::error::{Error, ServerError, parse_error_body};
use crate::generation::Generation;
use crate::session::{
    CloseOutcome, Event, Exchange, ExchangeId, LossReason, Purpose, Session, Why,
};
use crate::timeline::{Closing, Link, Reason, Subject, Timeline, What, code_of};

/// So many exchanges are remembered that are not answered yet. A login that was given up stays until
/// it is answered, which a driver that goes away may never tell.
const AWAITED: usize = 64;

#[derive(Debug)]
pub(super) struct Recorder {
    ring: Ring,
    made: Instant,
    /// What the outputs that come now are caused by.
    input: Cause,
    /// What others are to be said to have come of, if there is anything.
    open: Option<Box<Open>>,
    callers: u32,
    dropped: bool,
    calls: u64,
}

/// What is not over, so that what comes of it can be told.
#[derive(Debug, Default)]
struct Open {
    awaited: Vec<Awaited>,
    /// What was last told to an exchange in vain, for what follows when a pause is over.
    failed: [Link; Subject::COUNT],
    /// The last of those, or the refusal or the close that came of it.
    trouble: Link,
    /// A loss, a replacement or a reset that no session has followed yet.
    ended: Link,
    /// The idle time that is being asked about, and its limit, in seconds.
    idle: Option<(u32, u32)>,
    /// The session that the flight under way has opened.
    opened: Link,
}

impl Open {
    /// Whether nothing can come of it any more.
    fn is_over(&self) -> bool {
        let Self { awaited, failed: _, trouble, ended, idle, opened } = self;
        let links = [trouble, ended, opened];
        awaited.is_empty() && idle.is_none() && links.into_iter().all(|link| link.is_none())
    }
}

/// An input that nothing is written of before something comes of it.
#[derive(Clone, Copy, Debug)]
pub(super) enum Input {
    Close,
    Dropped,
    Renew,
    RenewDue,
    /// Nothing but time has passed, or the machine is looked at.
    Time,
    Wanted,
}

#[derive(Clone, Copy, Debug)]
enum Cause {
    Input(Input),
    Written(Link),
}

/// An exchange or a question to a provider that is not answered yet.
#[derive(Clone, Copy, Debug)]
struct Awaited {
    id: ExchangeId,
    subject: Subject,
    link: Link,
    deadline: Option<Instant>,
    /// Its headers are asked for, and this is its cause.
    unsent: bool,
    beside_login: bool,
}

impl Recorder {
    pub(super) fn new(limit: usize, made: Instant) -> Self {
        Self {
            ring: Ring::new(limit),
            made,
            input: Cause::Input(Input::Time),
            open: None,
            callers: 0,
            dropped: false,
            calls: 0,
        }
    }

    pub(super) const fn limit(&self) -> usize {
        self.ring.limit()
    }

    pub(super) fn snapshot(&self) -> Timeline {
        self.ring.snapshot(self.calls)
    }

    /// An input is about to be given to the session's machine.
    pub(super) const fn begin(&mut self, input: Input) {
        self.input = Cause::Input(match input {
            Input::Close if self.dropped => Input::Dropped,
            input => input,
        });
    }

    /// A caller waits for what is under way.
    pub(super) const fn waits(&mut self) {
        self.callers = self.callers.saturating_add(1);
    }

    /// The last handle is gone.
    pub(super) const fn let_go(&mut self) {
        self.dropped = true;
    }

    fn open(&mut self) -> &mut Open {
        self.open.get_or_insert_with(Box::default)
    }

    fn trouble(&self) -> Link {
        self.open.as_ref().map(|open| open.trouble).unwrap_or_default()
    }

    fn ended(&self) -> Link {
        self.open.as_ref().map(|open| open.ended).unwrap_or_default()
    }

    fn push(&mut self, now: Instant, what: What, cause: Link, about: About) -> Link {
        let at = now.saturating_duration_since(self.made);
        self.ring.push(at, what, cause, about)
    }

    fn plain(&mut self, now: Instant, what: What, cause: Link) -> Link {
        self.push(now, what, cause, About::default())
    }

    /// What an output that comes now is caused by.
    fn cause(&mut self, now: Instant) -> Link {
        let input = match self.input {
            Cause::Written(link) => return link,
            Cause::Input(input) => input,
        };
        let (what, cause) = match input {
            Input::Close => (What::CloseAsked, Link::default()),
            Input::Dropped => (What::Dropped, Link::default()),
            Input::Renew => (What::RenewAsked, Link::default()),
            Input::RenewDue => (What::RenewDue, Link::default()),
            Input::Time => (What::PauseOver, self.trouble()),
            Input::Wanted => (What::Wanted, self.ended()),
        };
        let link = self.plain(now, what, cause);
        self.input = Cause::Written(link);
        link
    }

    /// Other credentials are to be used. What is opened next is opened for that.
    pub(super) fn reset(&mut self, now: Instant) {
        let link = self.plain(now, What::ResetAsked, Link::default());
        if self.ring.is_on() && link.seq > 1 {
            self.open().ended = link;
        }
        self.input = Cause::Written(link);
    }

    /// Whether an exchange may have been given up.
    pub(super) fn is_awaiting(&self) -> bool {
        self.open.as_ref().is_some_and(|open| !open.awaited.is_empty())
    }

    /// Notes what the machine does not await any more since time has passed.
    pub(super) fn overdue(&mut self, session: &Session, now: Instant) {
        let passed = matches!(self.input, Cause::Input(Input::Time));
        let mut index = 0;
        while let Some(&awaited) = self.open().awaited.get(index) {
            if awaited.deadline.is_none() || session.awaits(awaited.id) {
                index += 1;
                continue;
            }
            // What was asked beside a login is given up with it, and not the reason for anything.
            let given_up = awaited.beside_login && !session.is_checking();
            let late = passed || awaited.deadline.is_some_and(|deadline| now >= deadline);
            let late = late && !given_up;
            let mut link = awaited.link;
            if late {
                let about = self.about(session, awaited.subject, awaited.id);
                link = self.push(now, What::Late(awaited.subject), awaited.link, about);
                self.fail(awaited.subject, link);
                self.input = Cause::Written(link);
            }
            if awaited.subject.opens_session() {
                // It may be answered yet, and is logged out then.
                self.open().awaited[index] = Awaited { link, deadline: None, ..awaited };
                index += 1;
            } else {
                self.open().awaited.remove(index);
            }
        }
    }

    fn fail(&mut self, subject: Subject, link: Link) {
        let open = self.open();
        open.failed[subject as usize] = link;
        open.trouble = link;
    }

    fn about(&self, session: &Session, subject: Subject, id: ExchangeId) -> About {
        // A login is in no session.
        let generation = session.generation().filter(|_| !subject.opens_session());
        About { generation, exchange: id.number(), path: 0 }
    }

    fn await_answer(&mut self, awaited: Awaited) {
        if !self.ring.is_on() {
            return;
        }
        let all = &mut self.open().awaited;
        all.retain(|other| other.id != awaited.id);
        if all.len() >= AWAITED {
            all.remove(0);
        }
        all.push(awaited);
    }

    /// Headers are asked for, for an exchange that is sent once they are there.
    pub(super) fn fronting(&mut self, id: ExchangeId, now: Instant) {
        let link = self.cause(now);
        let subject = Subject::Credentials;
        let (unsent, beside_login) = (true, false);
        self.await_answer(Awaited { id, subject, link, deadline: None, unsent, beside_login });
    }

    /// The provider is asked.
    pub(super) fn asked(&mut self, id: ExchangeId, session: &Session, now: Instant) {
        let cause = self.cause(now);
        let subject = Subject::Credentials;
        let about = About { exchange: id.number(), ..About::default() };
        let link = self.push(now, What::Asked, cause, about);
        let deadline = session.next_deadline();
        let (unsent, beside_login) = (false, false);
        self.await_answer(Awaited { id, subject, link, deadline, unsent, beside_login });
    }

    /// An exchange is sent.
    pub(super) fn sent(&mut self, exchange: &Exchange, session: &Session, now: Instant) {
        let subject = Subject::from(exchange.purpose);
        let open = self.open.as_ref().map_or(&[][..], |open| &open.awaited);
        let fronted = open.iter().find(|it| it.id == exchange.id && it.unsent).copied();
        let cause = match exchange.why {
            Why::Idle { idle, limit } => {
                self.open().idle = Some((idle, limit));
                self.plain(now, What::Idle { idle, limit }, Link::default())
            }
            Why::Due => {
                let failed = self.open.as_ref().map(|open| open.failed[subject as usize]);
                self.plain(now, What::PauseOver, failed.unwrap_or_default())
            }
            Why::Input | Why::BesideLogin => fronted.map_or_else(|| self.cause(now), |it| it.link),
        };
        let about = self.about(session, subject, exchange.id);
        let link = self.push(now, What::Sent(subject), cause, about);
        if exchange.detached {
            self.open().awaited.retain(|it| it.id != exchange.id);
        } else {
            let (id, deadline, unsent) = (exchange.id, Some(exchange.deadline), false);
            let beside_login = exchange.why == Why::BesideLogin;
            self.await_answer(Awaited { id, subject, link, deadline, unsent, beside_login });
        }
    }

    /// What was asked for is answered, which the machine is about to be told.
    pub(super) fn answered(
        &mut self,
        id: ExchangeId,
        answer: &Answer,
        session: &Session,
        now: Instant,
    ) {
        self.begin(Input::Time);
        let Some(open) = &mut self.open else { return };
        let Some(index) = open.awaited.iter().position(|it| it.id == id) else { return };
        let awaited = open.awaited[index];
        if matches!(answer, Answer::FrontHeaders(_)) {
            self.input = Cause::Written(awaited.link);
            return;
        }
        open.awaited.remove(index);
        let subject = awaited.subject;
        let (what, good) = match answer {
            Answer::Credentials(supplied) => {
                (What::Supplied { given: supplied.is_ok() }, supplied.is_ok())
            }
            Answer::FrontHeaders(_) => return,
            Answer::Response(Ok(response)) => {
                let status = response.status();
                let body = (!status.is_success()).then(|| parse_error_body(response.body()));
                let code = body.flatten().and_then(|error| error.code.number());
                let (status, code) = (status.as_u16(), code_of(code));
                (What::Answered { subject, status, code }, response.status().is_success())
            }
            Answer::Response(Err(error)) => (What::Failed { subject, kind: error.kind() }, false),
        };
        let about = self.about(session, subject, id);
        let link = self.push(now, what, awaited.link, about);
        if !good {
            self.fail(subject, link);
        }
        self.input = Cause::Written(link);
    }

    /// Something has happened to the session.
    pub(super) fn event(&mut self, event: &Event, now: Instant) {
        let (what, generation) = match event {
            Event::Opened { generation } => (What::Opened, Some(*generation)),
            Event::Lost { generation, reason } => {
                let expired = *reason == LossReason::Expired;
                let idle = self.open.as_ref().and_then(|open| open.idle);
                let known = idle.filter(|_| expired);
                let (idle, limit) = known.unwrap_or_default();
                (What::Lost { expired, idle, limit }, Some(*generation))
            }
            Event::Replaced { generation } => (What::Replaced, Some(*generation)),
            Event::Renewed { generation } => (What::Renewed, Some(*generation)),
            Event::Rejected(_) => (What::Rejected, None),
            Event::Closed(outcome) => (What::Closed(Closing::from(outcome)), None),
            _ => return,
        };
        let cause = self.cause(now);
        let link = self.push(now, what, cause, About { generation, ..About::default() });
        let open = self.open.get_or_insert_with(Box::default);
        match event {
            Event::Opened { .. } => {
                (open.ended, open.opened, open.idle) = (Link::default(), link, None);
            }
            Event::Renewed { .. } => open.idle = None,
            // What follows is for that.
            Event::Lost { .. } | Event::Replaced { .. } => {
                (open.ended, self.input, open.idle) = (link, Cause::Written(link), None);
            }
            _ => open.trouble = link,
        }
    }

    /// The flight has landed.
    pub(super) fn landed(&mut self, now: Instant) {
        let callers = std::mem::take(&mut self.callers);
        let Some(open) = &mut self.open else { return };
        let opened = std::mem::take(&mut open.opened);
        if open.is_over() {
            // Nothing may come for hours.
            self.open = None;
        }
        if callers > 1
            && let Some(&entry) = self.ring.get(opened)
        {
            let about = About { generation: Some(entry.generation), ..About::default() };
            self.push(now, What::Shared { callers }, opened, about);
        }
    }

    /// The call's machine has been told an answer, and perhaps the session's with it: if anything came
    /// of it, this is its cause.
    pub(super) fn called(
        &mut self,
        call: &mut Call,
        said: (u16, Option<&ServerError>),
        output: &call::Output,
        session: &Session,
        now: Instant,
    ) {
        if !self.ring.is_on() {
            return;
        }
        match output {
            call::Output::Wait(_) if call.reason() == Reason::Redirect => {}
            call::Output::Wait(_) | call::Output::AwaitVerdict => {
                let cause = call.noted();
                // Judged again: it is the same answer.
                if !self.is_judged(cause) {
                    let noted = self.answer(call, said, output, now);
                    call.note(noted);
                }
            }
            call::Output::Fail(_) if session.has_outputs() || !call.noted().is_none() => {
                if !self.is_judged(call.noted()) {
                    let noted = self.answer(call, said, output, now);
                    call.note(noted);
                }
            }
            call::Output::Deliver => {
                self.calls += 1;
                if session.has_outputs() {
                    let noted = self.answer(call, said, output, now);
                    call.note(noted);
                }
            }
            _ => return,
        }
        self.input = Cause::Written(call.noted());
    }

    /// Whether what was noted last of a call is its answer, so that this is another look at it.
    fn is_judged(&self, noted: Link) -> bool {
        let what = self.ring.get(noted).map(|entry| entry.what);
        matches!(what, Some(What::Answered { subject: Subject::Call, .. }))
    }

    fn answer(
        &mut self,
        call: &Call,
        (status, server): (u16, Option<&ServerError>),
        output: &call::Output,
        now: Instant,
    ) -> Link {
        let code = server.and_then(|error| error.code.number());
        let what = What::Answered { subject: Subject::Call, status, code: code_of(code) };
        let about = self.about_call(call, call.generation(), output);
        self.push(now, what, call.noted(), about)
    }

    fn about_call(
        &mut self,
        call: &Call,
        generation: Option<Generation>,
        output: &call::Output,
    ) -> About {
        let path = match output {
            // The call is over, and the error has its line.
            call::Output::Fail(error) => error.request().map_or(0, |line| self.ring.keep(line)),
            _ => {
                let (method, path) = call.line();
                self.ring.name(method.as_str(), path)
            }
        };
        About { generation, exchange: 0, path }
    }

    /// The call is sent again, if it is.
    pub(super) fn repeats(&mut self, call: &mut Call, output: &call::Output, now: Instant) {
        let call::Output::Wait(at) = output else { return };
        let (reason, noted) = (call.reason(), call.noted());
        if reason == Reason::Redirect || noted.is_none() {
            return;
        }
        // Where a session has been lost for it, that is why there is to be a new one.
        let lost = reason == Reason::NewSession && !self.ended().is_none();
        let cause = if lost { self.ended() } else { noted };
        let about = self.about_call(call, call.generation(), output);
        let millis = at.saturating_duration_since(now).as_millis();
        let what = match u32::try_from(millis).unwrap_or(u32::MAX) {
            0 => What::Repeats(reason),
            millis => What::Waits { reason, millis },
        };
        let link = self.push(now, what, cause, about);
        call.note(link);
    }

    /// An attempt of a call has failed below HTTP.
    pub(super) fn call_failed(
        &mut self,
        call: &mut Call,
        error: &TransportError,
        output: &call::Output,
        now: Instant,
    ) {
        let what = What::Failed { subject: Subject::Call, kind: error.kind() };
        let about = self.about_call(call, None, output);
        let link = self.push(now, what, call.noted(), about);
        call.note(link);
        self.repeats(call, output, now);
    }

    /// An error with what led to it, if that is here.
    pub(super) fn explain(&self, error: Error, last: Link) -> Error {
        if error.timeline().is_some() || self.ring.get(last).is_none() {
            return error;
        }
        let chain = self.snapshot().chain(last.seq);
        error.with_timeline(Some(chain))
    }

    /// The same, of an error about the session.
    pub(super) fn explain_trouble(&self, error: Error) -> Error {
        self.explain(error, self.trouble())
    }
}

impl From<Purpose> for Subject {
    fn from(purpose: Purpose) -> Self {
        match purpose {
            Purpose::Delegate => Self::Delegate,
            Purpose::Inspect => Self::Inspect,
            Purpose::ListProjects => Self::Projects,
            Purpose::Login => Self::Login,
            Purpose::Logout => Self::Logout,
            Purpose::Renew => Self::Renew,
            Purpose::Status => Self::Status,
        }
    }
}

impl From<&CloseOutcome> for Closing {
    fn from(outcome: &CloseOutcome) -> Self {
        match outcome {
            CloseOutcome::AlreadyEnded => Self::AlreadyEnded,
            CloseOutcome::Failed(_) => Self::Failed,
            CloseOutcome::Kept => Self::Kept,
            CloseOutcome::LoggedOut => Self::LoggedOut,
            CloseOutcome::NotOpen => Self::NotOpen,
        }
    }
}
