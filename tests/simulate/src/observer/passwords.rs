//! How often a password is submitted, and what the server has said of it.

use std::time::{Duration, Instant};

use mstr_core::Sent;

use super::Observer;
use crate::laws::Law;
use crate::sending::Sending;
use crate::world::{Answer, Breaks, is_success, says, status, token};

/// How long a password is not submitted that was submitted twice without an answer.
const PAUSE: Duration = Duration::from_secs(30);
const LONGEST_PAUSE: Duration = Duration::from_secs(15 * 60);

impl Observer {
    /// Without the server's answer a password is submitted once more, and then not for a while.
    pub(super) fn check_submission(&mut self, sending: &Sending, now: Instant) {
        let Some(password) = &sending.password else { return };
        if self.refused.contains(password) {
            self.broken(Law::Refused, "a refused password is submitted again");
        }
        if let Some(until) = self.lenient.filter(|until| now >= *until) {
            // Its success may have been told by then, and forgets all that was submitted before.
            self.unanswered.values_mut().for_each(|times| times.retain(|at| *at > until));
        }
        let unanswered = self.unanswered.entry(password.clone()).or_default();
        let since = match unanswered[..] {
            [.., _, last] => Some(now - last),
            _ => None,
        };
        // Doubled each time, to a quarter of an hour.
        let doubled = u32::try_from(unanswered.len()).unwrap_or(9).saturating_sub(2).min(9);
        let pause = (PAUSE * 2_u32.pow(doubled)).min(LONGEST_PAUSE);
        unanswered.push(now);
        let times = unanswered.len();
        let lenient = self.lenient.is_some_and(|until| now < until);
        if let Some(since) = since.filter(|since| *since < pause && !lenient) {
            let said = format!("submitted {times} times, the last time after {since:?}");
            self.broken(Law::Submissions, said);
        }
    }

    /// An answer to a login has come, awaited or not.
    pub(super) fn note_login(&mut self, password: &str, answer: &Answer) {
        let Some(unanswered) = self.unanswered.get_mut(password) else { return };
        if is_success(answer)
            && answer.as_ref().is_ok_and(|(parts, ..)| token(&parts.headers).is_some())
        {
            // A success forgets all that was submitted before.
            self.unanswered.clear();
            self.refused.clear();
        } else if says(answer, "\"ERR") {
            unanswered.clear();
            // What breaks off cannot be read.
            let whole = answer.as_ref().is_ok_and(|(_, _, breaks)| *breaks == Breaks::Never);
            if whole && says(answer, "ERR003") {
                self.refused.insert(password.to_owned());
            }
        } else if status(answer).is_some_and(|status| matches!(status.as_u16(), 429 | 503))
            || answer.as_ref().is_err_and(|error| error.sent() == Sent::No)
        {
            unanswered.pop();
        }
    }
}
