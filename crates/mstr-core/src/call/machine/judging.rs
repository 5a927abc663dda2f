//! Whether an answer that is an error is worth another attempt.

use http::response::Parts;

use super::Call;
use crate::call::repeats::{is_error, is_passing, refusal};

impl Call {
    /// Asks the policy's predicate about an answer, if it has one. A driver does so before it takes
    /// the session's lock: the predicate is the caller's code.
    pub(crate) fn consider(&mut self, head: &Parts, error_body: Option<&[u8]>) {
        let is_known = error_body.is_some() && is_error(head.status);
        self.worth = (is_known && self.repeats.has_predicate()).then(|| {
            let failed = || refusal(head, error_body).with_attempts(self.sends);
            self.repeats.is_worth(false, failed)
        });
    }

    /// The predicate's answer; without a predicate, whether the failure is a temporary one.
    pub(super) fn is_worth_repeating(&mut self, head: &Parts, error_body: Option<&[u8]>) -> bool {
        self.worth.take().unwrap_or_else(|| is_passing(head.status, error_body))
    }
}
