//! What the connection's timeline has to know of a call.

use http::Method;

use super::Call;
use crate::timeline::{Link, Reason};

impl Call {
    /// What it is: its method, and the path that it was given.
    pub(crate) fn line(&self) -> (&Method, &str) {
        (&self.spec.method, &self.spec.path)
    }

    /// Why it is sent again.
    pub(crate) const fn reason(&self) -> Reason {
        self.reason
    }

    pub(crate) const fn noted(&self) -> Link {
        self.noted
    }

    pub(crate) const fn note(&mut self, noted: Link) {
        self.noted = noted;
    }
}
