//! The rules of the simulation.

use std::time::Duration;

use http::StatusCode;
use mstr_core::session::{Access, Purpose};
use mstr_core::{ErrorKind, Sent};
use mstr_fake::Purpose as Asked;

use super::callers::says;
use super::{Answer, Ended, Simulation, Step, What};

/// So soon a refused renewal is sent again.
const AGAIN: Duration = Duration::from_millis(40);
/// How long a password is not submitted that was submitted twice without an answer.
const PAUSE: Duration = Duration::from_secs(30);

impl Simulation {
    /// About to open or extend a session.
    pub(super) fn check_establishing(&mut self, purpose: Purpose, password: Option<&str>) {
        for flight in &self.flights {
            if let What::Own { purpose: other, deadline, excused, .. } = &flight.what
                && matches!(other, Purpose::Login | Purpose::Renew)
            {
                let over = *excused || *deadline <= self.now;
                assert!(over, "{purpose:?} beside {other:?}");
            }
        }
        if purpose == Purpose::Login {
            let password = password.expect("every login of this user has one");
            assert!(
                !self.refused.contains(password),
                "a password is submitted again after it was refused"
            );
            self.check_submission(password);
        } else if !std::mem::take(&mut self.renewal_asked_for)
            && self.renewal_refused.is_none_or(|at| self.now - at > AGAIN)
            && let Some((generation, at)) = self.used
            && Some(generation) == self.session.generation()
        {
            let idle = self.now - at;
            assert!(idle >= self.idle_timeout, "renewed after {idle:?} without a request");
        }
    }

    /// Without the server's answer a password is submitted once more, and then not for a while.
    fn check_submission(&mut self, password: &str) {
        let unanswered = self.unanswered.entry(password.to_owned()).or_default();
        if let [.., _, last] = unanswered[..] {
            let since = self.now - last;
            assert!(since >= PAUSE, "submitted {} times, again after {since:?}", unanswered.len());
        }
        unanswered.push(self.now);
    }

    /// An answer to a login has come, awaited or not.
    pub(super) fn note_login(&mut self, password: &str, answer: &Answer) {
        let Some(unanswered) = self.unanswered.get_mut(password) else { return };
        match answer {
            Ok(response) if response.status().is_success() && response.body().is_empty() => {
                unanswered.clear();
            }
            Ok(_) if says(answer, "ERR") => unanswered.clear(),
            Ok(response) if response.status() == StatusCode::SERVICE_UNAVAILABLE => {
                unanswered.pop();
            }
            Err(error) if error.sent() == Sent::No => drop(unanswered.pop()),
            _ => {}
        }
    }

    /// The rules that hold at any moment.
    pub(super) fn check(&mut self) {
        let journal = self.server.journal();
        assert_eq!(journal.mismatched_cookie_and_token(), 0);
        let leaks = journal.secrets_seen_outside_auth();
        assert!(leaks.is_empty(), "{leaks:?}");
        if self.session.close_outcome().is_some() {
            match self.session.request_access(self.now) {
                Access::Denied(error) => assert_eq!(error.kind(), ErrorKind::Closed),
                other => panic!("{other:?} after closing"),
            }
            assert!(self.session.current_grant().is_none());
        }
    }

    /// The faults end, and everything has to work again; then the connection is closed.
    pub(super) fn finish(&mut self) {
        self.drain();
        if self.session.close_outcome().is_none() {
            self.server.clear_faults();
            self.loss = 0;
            if !self.rotating {
                // To ask is to change the cookies of a server that rotates them.
                let (blameless, others) = self.ask_for_sessions();
                let current = usize::from(self.session.current_grant().is_some());
                assert!(others <= current, "{others} sessions open beside {blameless}");
            }
            // Longer than the machine pauses after fruitless logins.
            self.pass(Duration::from_secs(61));
            self.server.expire_all_sessions();
            self.reset();
            self.renewal_asked_for = false;
            self.drain();
            assert_eq!(self.calls_now(1), [Ended::Answered(StatusCode::OK)]);
            self.server.expire_all_sessions();
            let before = self.server.journal().count(Asked::Login);
            // A cookie that changes with every answer makes requests side by side impossible.
            let callers = if self.rotating { 1 } else { 5 };
            for outcome in self.calls_now(callers) {
                assert_eq!(outcome, Ended::Answered(StatusCode::OK));
            }
            for _ in 0..3 {
                assert_eq!(self.calls_now(1), [Ended::Answered(StatusCode::OK)]);
            }
            assert_eq!(self.server.journal().count(Asked::Login), before + 1);
        }
        self.close();
        let (left, open) = (self.left_open(), self.server.open_sessions());
        // A session whose cookies were never sent cannot be asked about.
        let unknown = self.seen.values().filter(|seen| seen.current.is_empty()).count();
        assert!(
            (left..=left + unknown).contains(&open),
            "{left} to {} expected: {open}",
            left + unknown
        );
    }

    fn calls_now(&mut self, number: u8) -> Vec<Ended> {
        let before = self.outcomes.len();
        self.step(&Step::Calls(number));
        self.drain();
        self.outcomes.split_off(before)
    }

    pub(super) fn close(&mut self) {
        self.step(&Step::Logout);
        self.drain();
        assert!(self.session.close_outcome().is_some(), "{}", self.session.describe());
        assert!(self.flights.is_empty());
        let journal = self.server.journal().len();
        self.step(&Step::Calls(2));
        self.step(&Step::Renew);
        self.drain();
        assert_eq!(self.server.journal().len(), journal, "nothing is sent after closing");
    }

    /// How many sessions are open for a good reason. Any other that is open is a failure.
    pub(super) fn left_open(&mut self) -> usize {
        self.server.clear_faults();
        let (blameless, others) = self.ask_for_sessions();
        assert_eq!(others, 0, "a session was left open");
        blameless
    }
}
