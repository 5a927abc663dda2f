//! Servers that replace the session's cookie with their answers.

/// So many answers in a row that each replace the session's cookie mean that the server always
/// does. One is a failover, and passes.
const EXCHANGES_WITH_EACH_ANSWER: u32 = 2;
/// So many answers in a row that leave it alone mean that it does not any more.
const KEEPS_THE_COOKIE: u32 = 3;

/// Whether the server replaces the session's own cookie with its answers. Then only the newest is
/// valid, and requests that cross an answer are refused.
#[derive(Debug, Default)]
pub(crate) struct Exchanging {
    replaced: u32,
    kept: u32,
}

impl Exchanging {
    pub(crate) const fn note(&mut self, replaced: bool) {
        if replaced {
            self.replaced = self.replaced.saturating_add(1);
            self.kept = 0;
        } else if self.replaced > 0 {
            self.kept += 1;
            if self.kept >= KEEPS_THE_COOKIE {
                self.replaced = 0;
            }
        }
    }

    /// A refusal may be owed to an answer that is still on its way.
    pub(crate) const fn is_suspected(&self) -> bool {
        self.replaced > 0
    }

    /// It is known from elsewhere.
    pub(crate) const fn known(exchanges: bool) -> Self {
        Self { replaced: if exchanges { EXCHANGES_WITH_EACH_ANSWER } else { 0 }, kept: 0 }
    }

    /// Only one request may be under way at a time.
    pub(crate) const fn takes_turns(&self) -> bool {
        self.replaced >= EXCHANGES_WITH_EACH_ANSWER
    }
}
