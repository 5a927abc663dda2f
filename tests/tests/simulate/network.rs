//! The network between the machine and the server, and what it sees.

use std::time::Duration;

use bytes::Bytes;
use http::{Method, Request, Response};
use mstr_core::session::Purpose;
use mstr_core::{Sent, TransportError, TransportErrorKind};
use mstr_fake::{ReplyBody, SocketFault};

use super::callers::says;
use super::{Answer, BASE, Flight, Leg, Simulation, What};

impl Simulation {
    /// A request reaches the server.
    pub(super) fn arrive(&mut self, what: What, request: Request<Bytes>) {
        let header = |name: &str| {
            request.headers().get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
        };
        let token = header("x-mstr-authtoken").to_owned();
        let cookie = cookie(header("cookie"), "JSESSIONID").map(str::to_owned);
        if let Some(seen) = self.seen.get_mut(&token)
            && let Some(cookie) = &cookie
        {
            assert!(seen.cookies.contains(cookie), "cookies of another session");
            if *cookie != seen.current {
                seen.excuse = Some("a cookie that has been replaced");
            }
        }
        if self.chance.below(100) < self.loss {
            let kept = self.chance.below(2) == 0;
            if kept {
                // Lost on the way there.
                let sent = if self.chance.below(2) == 0 { Sent::No } else { Sent::Maybe };
                let error = TransportError::new(TransportErrorKind::Interrupted).with_sent(sent);
                return self.return_later(what, Duration::ZERO, Err(error));
            }
        }
        let reply = self.server.handle(request, self.now);
        let lost = self.chance.below(100) < self.loss / 2;
        let (parts, body) = reply.response.into_parts();
        let bytes = match body {
            ReplyBody::Bytes(bytes) => bytes,
            _ => Bytes::new(),
        };
        let response = Response::from_parts(parts, bytes);
        let undelivered = lost || reply.fault.is_some();
        self.note(&token, &response, undelivered);
        let answer = match reply.fault {
            Some(SocketFault::Stall | SocketFault::StallMidBody) => {
                // Never answered; the machine has to notice by itself. Callers are as patient.
                let error = TransportError::new(TransportErrorKind::Timeout);
                return match what {
                    What::Own { purpose, .. } => {
                        if purpose == Purpose::Logout
                            && let Some(seen) = self.seen.get_mut(&token)
                        {
                            seen.excuse = Some("its logout failed");
                        }
                    }
                    What::Call { .. } => {
                        self.return_later(what, Duration::from_secs(60), Err(error));
                    }
                };
            }
            Some(SocketFault::Refuse) => {
                Err(TransportError::new(TransportErrorKind::Connect).with_sent(Sent::No))
            }
            Some(_) => Err(TransportError::new(TransportErrorKind::Interrupted)),
            None if lost => Err(TransportError::new(TransportErrorKind::Interrupted)),
            None => Ok(response),
        };
        self.return_later(what, reply.after, answer);
    }

    /// What the wire sees of sessions, whether or not a client gets the answer.
    fn note(&mut self, token: &str, response: &Response<Bytes>, undelivered: bool) {
        let cookies = response.headers().get_all("set-cookie").iter();
        let session_cookie = cookies
            .filter_map(|value| value.to_str().ok())
            .find_map(|line| cookie(line, "JSESSIONID").map(str::to_owned));
        let opened = response.headers().get("x-mstr-authtoken");
        let opened = opened.and_then(|value| value.to_str().ok()).filter(|_| token.is_empty());
        let seen = match opened {
            Some(opened) => {
                let seen = self.seen.entry(opened.to_owned()).or_default();
                if undelivered {
                    seen.excuse = Some("the answer to its opening was lost");
                } else if session_cookie.is_none() {
                    seen.excuse = Some("its cookies were dropped");
                }
                seen
            }
            None => match self.seen.get_mut(token) {
                Some(seen) => seen,
                None => return,
            },
        };
        if let Some(cookie) = session_cookie {
            seen.cookies.insert(cookie.clone());
            seen.current = cookie;
        }
    }

    fn return_later(&mut self, what: What, after: Duration, answer: Answer) {
        if let What::Own { purpose: Purpose::Logout, token, .. } = &what {
            let done = |response: &Response<Bytes>| {
                response.status().is_success() && response.body().is_empty()
            };
            let ended = answer.as_ref().is_ok_and(done);
            let gone = says(&answer, "ERR009");
            if !ended
                && !gone
                && let Some(seen) = self.seen.get_mut(token)
            {
                seen.excuse = Some("its logout failed");
            }
        }
        let due = Some(self.now + after + self.delay());
        self.flights.push(Flight { what, due, leg: Leg::Back(answer) });
    }

    fn delay(&mut self) -> Duration {
        let milliseconds = match self.chance.below(40) {
            0 if self.loss > 0 => self.chance.below(90_000),
            1..=5 => 0,
            _ => self.chance.below(200),
        };
        Duration::from_millis(milliseconds)
    }

    pub(super) fn depart(&mut self, what: What, request: Request<Bytes>) {
        let due = Some(self.now + self.delay());
        self.flights.push(Flight { what, due, leg: Leg::There(request) });
    }

    /// How many sessions are open with an excuse, and how many without.
    pub(super) fn ask_for_sessions(&mut self) -> (usize, usize) {
        let now = self.now;
        let (mut blameless, mut others) = (0, 0);
        for (token, seen) in &self.seen {
            let probe = Request::builder()
                .method(Method::GET)
                .uri(format!("{BASE}/api/sessions"))
                .header("x-mstr-authtoken", token)
                .header("cookie", format!("JSESSIONID={}; iSession={token}", seen.current));
            let reply = self.server.handle(probe.body(Bytes::new()).unwrap(), now);
            if reply.response.status().is_success() {
                match seen.excuse {
                    Some(_) => blameless += 1,
                    None => others += 1,
                }
            }
        }
        (blameless, others)
    }
}

fn cookie<'a>(line: &'a str, name: &str) -> Option<&'a str> {
    line.split(';').find_map(|pair| pair.trim().strip_prefix(name)?.strip_prefix('='))
}
