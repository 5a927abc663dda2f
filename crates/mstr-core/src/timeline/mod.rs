//! What a connection has done and why: a snapshot of the ring that the driver keeps.
//!
//! [`entry`] is what lies in the ring, [`text`] how it is printed, [`written`] how it is serialised,
//! [`html`] how it is drawn.

mod entry;
mod html;
mod text;
mod written;

use std::time::Duration;

pub(crate) use entry::{Closing, Entry, Link, Reason, Subject, What, code_of};

use crate::generation::Generation;

/// What a connection has done lately, and what each thing came of.
///
/// It answers *why did it log in (renew, repeat, wait) just now?* Each entry names the one that caused
/// it, down to what began it: a caller asked, a deadline passed, the server said something to a call,
/// a renewal, a reset or a close was asked for, the last handle was dropped.
///
/// Printed, each line is one thing and the chain of its causes, after the time since the connection
/// was made:
///
/// ```text
/// +1860.112 s login (session 4) <- session 3 lost <- 401 ERR009 on GET /api/reports (session 3)
/// ```
///
/// Entries whose causes are all later ones' are not printed by themselves. What has been overwritten is
/// shown as `…`, before what the chain began with. Paths are shown without their queries and cut; there
/// is no secret in it. Calls that simply went through are [counted](Self::calls) and no more.
#[derive(Clone, Debug, Default)]
pub struct Timeline {
    /// By their numbers.
    entries: Vec<Entry>,
    /// By their numbers too, each of which some entry has.
    paths: Vec<(u32, Box<str>)>,
    calls: u64,
    overwritten: u64,
}

/// One entry of a [`Timeline`]. Printed, it is what happened, without its causes.
#[derive(Clone, Copy, Debug)]
pub struct TimelineEntry<'a> {
    timeline: &'a Timeline,
    entry: &'a Entry,
}

impl Timeline {
    /// How many entries are kept if the builder does not say.
    pub(crate) const DEFAULT: usize = 16;
    /// How many can be kept.
    pub(crate) const LIMIT: usize = 256;

    pub(crate) const fn new(
        entries: Vec<Entry>,
        paths: Vec<(u32, Box<str>)>,
        calls: u64,
        overwritten: u64,
    ) -> Self {
        Self { entries, paths, calls, overwritten }
    }

    /// The entries, the oldest first.
    pub fn entries(&self) -> impl DoubleEndedIterator<Item = TimelineEntry<'_>> {
        self.entries.iter().map(|entry| TimelineEntry { timeline: self, entry })
    }

    /// How many calls were answered without anything worth an entry.
    #[must_use]
    pub const fn calls(&self) -> u64 {
        self.calls
    }

    /// How many entries there were that are not kept any more.
    #[must_use]
    pub const fn overwritten(&self) -> u64 {
        self.overwritten
    }

    /// Why this session was opened: the chain of causes, and nothing else. `None` if that is not, or
    /// not any more, in this timeline.
    #[must_use]
    pub fn explain(&self, generation: Generation) -> Option<Self> {
        let mut entries = self.entries.iter().rev();
        let opened =
            entries.find(|entry| entry.what == What::Opened && entry.generation == generation)?;
        Some(self.chain(opened.seq))
    }

    /// An entry and all it came of, as far as they are here.
    pub(crate) fn chain(&self, seq: u64) -> Self {
        let mut entries: Vec<Entry> = self.causes(seq).copied().collect();
        entries.reverse();
        let wanted = |number: u32| entries.iter().any(|entry| entry.path == number);
        let paths = self.paths.iter().filter(|(number, _)| wanted(*number)).cloned().collect();
        Self { entries, paths, calls: 0, overwritten: 0 }
    }

    /// An entry, what it came of, and so on.
    fn causes(&self, seq: u64) -> impl Iterator<Item = &Entry> {
        // A cause is older than what it leads to, so this ends.
        std::iter::successors(self.find(seq), |entry| self.find(entry.cause))
    }

    fn find(&self, seq: u64) -> Option<&Entry> {
        let index = self.entries.binary_search_by_key(&seq, |entry| entry.seq).ok()?;
        self.entries.get(index)
    }

    fn path(&self, entry: &Entry) -> Option<&str> {
        let (_, path) = self.paths.iter().find(|(number, _)| *number == entry.path)?;
        Some(path)
    }
}

impl TimelineEntry<'_> {
    /// Its number, from 1 for a connection's first.
    #[must_use]
    pub const fn seq(&self) -> u64 {
        self.entry.seq
    }

    /// When it happened, since the connection was made.
    #[must_use]
    pub const fn at(&self) -> Duration {
        self.entry.at()
    }

    /// What it is, in one word in `snake_case`: `"sent"`, `"opened"`, `"repeated"`. There can be others
    /// in later versions.
    #[must_use]
    pub const fn kind(&self) -> &'static str {
        self.entry.what.name()
    }

    /// The exchange it is about: `"login"`, `"renew"`, `"call"`.
    #[must_use]
    pub fn exchange(&self) -> Option<&'static str> {
        self.entry.what.subject().map(Subject::name)
    }

    /// The session it is about.
    #[must_use]
    pub fn generation(&self) -> Option<Generation> {
        (self.entry.generation != Generation::NONE).then_some(self.entry.generation)
    }

    /// The number of the entry that caused it. That one may have been overwritten.
    #[must_use]
    pub fn cause(&self) -> Option<u64> {
        (self.entry.cause != 0).then_some(self.entry.cause)
    }

    /// Where the chain of its causes ends, in one word in `snake_case`: `"caller"`, `"server"`,
    /// `"deadline"`. It is known even where the causes have been overwritten.
    #[must_use]
    pub const fn root(&self) -> &'static str {
        self.entry.root.name()
    }

    /// Whether a chain ends here: what began it came from outside.
    #[must_use]
    pub const fn is_root(&self) -> bool {
        self.entry.cause == 0 && self.entry.what.is_root()
    }
}
