//! The actions of each call, decided by the seed and the call's number.

use std::time::Duration;

use mstr_core::{RetryPolicy, Timeouts};

use crate::chance::Chance;

/// The longest that a call may take, opening and closing included.
pub(crate) const TOTAL: Duration = Duration::from_secs(2);
/// How often a call is tried.
pub(crate) const ATTEMPTS: u32 = 4;

/// Short, so that silence costs a run little.
pub(crate) fn timeouts() -> Timeouts {
    Timeouts::new()
        .connect(Duration::from_millis(400))
        .attempt(Duration::from_millis(600))
        .idle_body(Duration::from_millis(400))
        .total(Some(TOTAL))
}

pub(crate) fn retry() -> RetryPolicy {
    let policy = RetryPolicy::new().max_attempts(ATTEMPTS);
    policy.base(Duration::from_millis(10)).cap(Duration::from_millis(100))
}

#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(crate) enum Kind {
    Get,
    Post,
}

/// One call, whose number stands in its path.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Plan {
    pub(crate) number: u64,
    pub(crate) kind: Kind,
    /// When the caller drops its future, if it still waits.
    pub(crate) cancel_after: Option<Duration>,
    /// How many bytes are sent, and asked for.
    pub(crate) upload: usize,
    pub(crate) download: usize,
    /// How long the server takes.
    pub(crate) delay: Duration,
}

impl Plan {
    pub(crate) fn new(seed: u64, number: u64) -> Self {
        let mut chance = Chance::new(seed, number);
        // A quarter breaks off in the body, if at all, and not in the head.
        let size = |chance: &mut Chance, large: u64| {
            let limit = if chance.one_in(4) { large } else { 100 };
            usize::try_from(chance.below(limit)).unwrap_or(0)
        };
        let kind = if chance.one_in(2) { Kind::Get } else { Kind::Post };
        let cancel_after = chance.one_in(6).then(|| chance.between(0, 80));
        // The server looks through what is sent for the secrets of every session there has been.
        let (upload, download) = (size(&mut chance, 3_000), size(&mut chance, 60_000));
        let slow = if chance.one_in(20) { 150 } else { 12 };
        let delay = chance.between(0, slow);
        Self { number, kind, cancel_after, upload, download, delay }
    }

    /// Where it is sent.
    pub(crate) fn path(&self) -> String {
        let Self { number, download, .. } = self;
        format!("/api/chaos/{number}?size={download}&delay={}", self.delay.as_micros())
    }

    /// What it sends.
    pub(crate) fn body(&self) -> serde_json::Value {
        serde_json::json!({ "number": self.number, "padding": "u".repeat(self.upload) })
    }

    /// What is wrong with the answer, if anything is.
    pub(crate) fn complaint(&self, answer: &[u8]) -> Option<String> {
        let parsed: Option<serde_json::Value> = serde_json::from_slice(answer).ok();
        let number = parsed.as_ref().and_then(|parsed| parsed["number"].as_str()?.parse().ok());
        let padding = parsed.as_ref().and_then(|parsed| parsed["padding"].as_str());
        let size = padding.map(str::len);
        (number != Some(self.number) || size != Some(self.download)).then(|| {
            let begin = String::from_utf8_lossy(&answer[..answer.len().min(60)]);
            format!("its answer is {} bytes that begin with {begin:?}", answer.len())
        })
    }
}
