//! Whether an answer that is an error is worth another attempt.

use http::StatusCode;
use http::response::Parts;

use super::{Call, Stage};
use crate::call::repeats::{is_error, is_passing, refusal};
use crate::error::{Error, Refused};

impl Call {
    /// Asks the policy's predicate about an answer, if it has one and the answer can be repeated. A
    /// driver does so before it takes the session's lock: the predicate is the caller's code.
    pub(crate) fn consider(&mut self, head: &Parts, refused: Option<&Refused<'_>>) {
        if self.stage == Stage::Verdict && self.worth.is_some() {
            // The same answer again, after the session was asked about it.
            return;
        }
        let asked = self.repeats.has_predicate()
            && is_error(head.status)
            && refused.is_some()
            && self.is_harmless(head.status);
        self.worth = asked.then(|| {
            let failed = || self.described(refusal(head, refused));
            self.repeats.is_worth(is_passing(head.status, refused), failed)
        });
    }

    /// The predicate's answer; without a predicate, whether the failure is a temporary one.
    pub(super) fn is_worth_repeating(
        &mut self,
        head: &Parts,
        refused: Option<&Refused<'_>>,
    ) -> bool {
        self.worth.take().unwrap_or_else(|| is_passing(head.status, refused))
    }

    /// Whether it may be sent again after such an answer: 429 says that nothing was processed, the
    /// gateways' statuses say nothing.
    pub(super) fn is_harmless(&self, status: StatusCode) -> bool {
        self.idempotent || status == StatusCode::TOO_MANY_REQUESTS
    }

    /// An error as the caller would receive it.
    pub(super) fn described(&self, error: Error) -> Error {
        let executed = self.executed || error.may_have_been_executed();
        self.spec.describe(error, self.sends).with_executed(executed)
    }
}
