//! The outcomes of the calls of one run.

use std::collections::BTreeMap;

use http::{Method, StatusCode};
use mstr::{Error, ErrorKind};

use crate::outcome::chain;

/// Calls and what became of them.
#[derive(Default)]
pub(crate) struct Tally {
    pub(crate) gets: usize,
    /// The marks of the POSTs that were answered.
    pub(crate) posted: Vec<String>,
    pub(crate) failures: Vec<Failure>,
    /// Answers that are not those to the question.
    pub(crate) wrong: Vec<String>,
    /// Further differences.
    pub(crate) complaints: Vec<String>,
}

/// A call that failed.
pub(crate) struct Failure {
    pub(crate) method: Method,
    /// Which one it was, for a POST.
    pub(crate) mark: String,
    pub(crate) kind: ErrorKind,
    pub(crate) status: Option<StatusCode>,
    /// With all its causes.
    pub(crate) text: String,
}

impl Failure {
    pub(crate) fn new(method: Method, mark: &str, error: &Error) -> Self {
        let (kind, status) = (error.kind(), error.status());
        Self { method, mark: mark.to_owned(), kind, status, text: chain(error) }
    }

    /// For counting: `POST Interrupted`, `GET Server 503`.
    fn label(&self) -> String {
        let status = self.status.map(|status| format!(" {}", status.as_u16()));
        format!("{} {:?}{}", self.method, self.kind, status.unwrap_or_default())
    }
}

impl Tally {
    /// Takes what another one has counted.
    pub(crate) fn add(&mut self, other: Self) {
        self.gets += other.gets;
        self.posted.extend(other.posted);
        self.failures.extend(other.failures);
        self.wrong.extend(other.wrong);
        self.complaints.extend(other.complaints);
    }

    /// How many calls there were.
    pub(crate) fn calls(&self) -> usize {
        self.gets + self.posted.len() + self.failures.len()
    }

    pub(crate) fn complain(&mut self, what: impl Into<String>) {
        self.complaints.push(what.into());
    }

    /// Further conditions.
    pub(crate) fn expect(&mut self, holds: bool, what: &str) {
        if !holds {
            self.complain(format!("it does not hold that {what}"));
        }
    }

    /// The failures of each label, with the words of the first.
    pub(crate) fn by_label(&self) -> BTreeMap<String, (usize, &str)> {
        let mut labels = BTreeMap::new();
        for failure in &self.failures {
            labels.entry(failure.label()).or_insert((0, &*failure.text)).0 += 1;
        }
        labels
    }
}
