//! A driver: carries out the machine's outputs, and lets callers ask and send.

use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use mstr_core::session::{Access, Event, Output, Purpose, Verdict};
use mstr_core::{Error, Grant};

use super::{Answer, BASE, Caller, Ended, Refusal, Simulation, What};

/// More outputs at once than this mean that the machine never stops.
const OUTPUTS: usize = 1_000;
/// So often is one call sent, as a driver limits it too.
const SENDS: u32 = 6;
/// So often a refusal that may pass is waited out.
const PATIENCE: u32 = 2;

impl Simulation {
    /// An answer reaches us.
    pub(super) fn deliver(&mut self, what: What, answer: Answer) {
        match what {
            What::Own { id, password, purpose, .. } => {
                let awaited = self.session.awaits(id);
                if purpose == Purpose::Renew && self.rotating && says(&answer, "ERR009") {
                    // It is asked again before it is believed.
                    self.renewal_refused = Some(self.now);
                }
                if let Some(password) = password {
                    let refused = answer
                        .as_ref()
                        .is_ok_and(|response| response.status() == StatusCode::UNAUTHORIZED);
                    self.note_login(&password, &answer);
                    if awaited && refused && says(&answer, "ERR003") {
                        self.refused.insert(password);
                    }
                }
                self.session.handle_response(id, answer, self.now);
            }
            What::Call { caller, grant, sent_at } => {
                let Caller::Sent(sends) = self.callers[caller] else { return };
                self.callers[caller] = match answer {
                    Ok(response) => {
                        let refusal = Refusal { grant, response, sent_at, sends };
                        self.answered(refusal, false)
                    }
                    Err(_) => self.ended(Ended::Interrupted),
                };
            }
        }
    }

    /// A call has been answered, or its refusal is judged `again`.
    fn answered(&mut self, answered: Refusal, again: bool) -> Caller {
        let Refusal { grant, response, sent_at, sends } = answered;
        let (head, body) = response.into_parts();
        let whole = body.clone();
        let status = head.status;
        let failed = status.is_client_error() || status.is_server_error();
        let body = failed.then_some(&*body);
        let verdict = self.session.observe(&grant, &head, body, sent_at, self.now);
        if verdict == Verdict::Suspected
            && !again
            && self.session.question(grant.generation(), sent_at, self.now)
        {
            let response = Response::from_parts(head, whole);
            return Caller::Asks(Box::new(Refusal { grant, response, sent_at, sends }));
        }
        if verdict == Verdict::Gone {
            self.excuse_renewals();
        }
        match verdict {
            Verdict::Sound | Verdict::Suspected => {
                if status.is_success() && self.used.is_none_or(|used| used.1 < sent_at) {
                    self.used = Some((grant.generation(), sent_at));
                }
                self.ended(Ended::Answered(status))
            }
            _ if sends >= SENDS => self.ended(Ended::Answered(status)),
            Verdict::Outdated => Caller::Wants(sends),
            Verdict::Gone | Verdict::Uncertain => {
                let at = self.now + Duration::from_millis(self.chance.below(800));
                let doubtful = verdict == Verdict::Uncertain && sends > PATIENCE;
                let revoke = doubtful.then(|| grant.generation());
                Caller::Pauses { revoke, at, sends }
            }
        }
    }

    pub(super) fn ended(&mut self, how: Ended) -> Caller {
        self.outcomes.push(how);
        Caller::Ended
    }

    /// Takes all outputs and lets callers ask, until nothing changes any more.
    pub(super) fn settle(&mut self) {
        for _ in 0..OUTPUTS {
            self.take_outputs();
            let failure =
                if self.session.is_settled() { self.session.take_failure() } else { None };
            if !self.let_callers_ask(failure.as_ref()) {
                self.take_outputs();
                self.check();
                return;
            }
        }
        panic!("callers and machine never agree: {}", self.session.describe());
    }

    fn let_callers_ask(&mut self, failure: Option<&Error>) -> bool {
        let mut changed = false;
        for index in 0..self.callers.len() {
            if matches!(self.callers[index], Caller::Asks(_)) && self.session.is_settled() {
                let asked = std::mem::replace(&mut self.callers[index], Caller::Ended);
                if let Caller::Asks(refusal) = asked {
                    self.callers[index] = self.answered(*refusal, true);
                    changed = true;
                }
            }
            let Caller::Wants(sends) = self.callers[index] else { continue };
            if let Some(error) = failure {
                self.callers[index] = self.ended(Ended::Failed(error.kind()));
                changed = true;
                continue;
            }
            match self.session.request_access(self.now) {
                Access::Granted(grant) => {
                    self.callers[index] = Caller::Sent(sends + 1);
                    self.send_call(index, grant);
                    changed = true;
                }
                Access::Denied(error) => {
                    self.callers[index] = self.ended(Ended::Failed(error.kind()));
                    changed = true;
                }
                Access::Pending => {}
            }
        }
        changed
    }

    fn send_call(&mut self, caller: usize, grant: Grant) {
        let mut request = Request::new(Bytes::new());
        *request.uri_mut() = format!("{BASE}/api/echo").parse().unwrap();
        grant.apply(request.headers_mut(), None);
        let sent_at = self.now;
        self.depart(What::Call { caller, grant, sent_at }, request);
    }

    fn take_outputs(&mut self) {
        for _ in 0..OUTPUTS {
            match self.session.poll_output() {
                Output::Event(event) => self.on_event(&event),
                Output::NeedCredentials(id) => {
                    // Some are so slow that the machine no longer waits.
                    let late = self.loss > 0 && self.chance.below(10) == 0;
                    let longest = if late { 200_000 } else { 3_000 };
                    let wait = Duration::from_millis(self.chance.below(longest));
                    self.asking = Some((id, self.now + wait));
                }
                Output::Send(exchange) => {
                    let closed = self.session.close_outcome().is_some();
                    assert!(!closed || exchange.detached, "{:?} after closing", exchange.purpose);
                    let fields: serde_json::Value =
                        serde_json::from_slice(exchange.request.body()).unwrap_or_default();
                    let password = fields["password"].as_str().map(str::to_owned);
                    let sends = self.sends.entry(exchange.id).or_default();
                    *sends += 1;
                    assert!(*sends <= 2, "{:?} is put back more than once", exchange.purpose);
                    let again = *sends == 2;
                    if exchange.purpose == Purpose::Login
                        || (exchange.purpose == Purpose::Renew && !again)
                    {
                        self.check_establishing(exchange.purpose, password.as_deref());
                    }
                    let token = exchange.request.headers().get("x-mstr-authtoken");
                    let token = token.and_then(|value| value.to_str().ok()).unwrap_or_default();
                    let what = What::Own {
                        id: exchange.id,
                        purpose: exchange.purpose,
                        deadline: exchange.deadline,
                        excused: false,
                        token: token.to_owned(),
                        password,
                    };
                    self.depart(what, exchange.request);
                }
                Output::FrontHeaders(_) | Output::Store(_) => panic!("not asked for here"),
                Output::Wait(_) => return,
            }
        }
        panic!("the outputs never end: {}", self.session.describe());
    }

    fn on_event(&mut self, event: &Event) {
        if let Event::Opened { generation } = event {
            assert!(generation.number() > self.generation, "generations only grow");
            self.generation = generation.number();
        }
    }
}

/// Whether an answer has this code.
pub(super) fn says(answer: &Answer, code: &str) -> bool {
    let whole = answer.as_ref().map(|response| String::from_utf8_lossy(response.body()));
    whole.is_ok_and(|body| body.contains(code))
}
