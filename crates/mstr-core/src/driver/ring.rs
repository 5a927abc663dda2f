//! Where a connection's timeline lies: the last entries, and beside them the last paths.
//!
//! Both grow to their size and no further. What is written over is gone, but for where it came from:
//! each entry has the root of its chain.

use std::time::Duration;

use crate::generation::Generation;
use crate::shown::without_secrets;
use crate::timeline::{Entry, Link, Timeline, What};

/// How much of a path is kept, in bytes.
const PATH_LIMIT: usize = 91;
/// How many paths are kept, for so many entries.
const ENTRIES_PER_PATH: usize = 2;
const FEWEST_PATHS: usize = 4;
/// How many entries there is first room for.
const FEWEST_ENTRIES: usize = 2;

#[derive(Debug, Default)]
pub(super) struct Ring {
    /// In the order of their numbers, but for those that have been written over: the one with number
    /// `n` is at `(n - 1) % limit`.
    entries: Vec<Entry>,
    limit: usize,
    written: u64,
    paths: Vec<Path>,
    named: u32,
}

#[derive(Clone, Copy, Debug)]
struct Path {
    number: u32,
    length: u8,
    text: [u8; PATH_LIMIT],
}

/// What an entry is about.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct About {
    pub(super) generation: Option<Generation>,
    pub(super) exchange: u64,
    pub(super) path: u32,
}

impl Ring {
    pub(super) fn new(limit: usize) -> Self {
        Self { limit, ..Self::default() }
    }

    pub(super) const fn limit(&self) -> usize {
        self.limit
    }

    pub(super) const fn is_on(&self) -> bool {
        self.limit > 0
    }

    /// Writes an entry; what others that it causes name.
    pub(super) fn push(&mut self, at: Duration, what: What, cause: Link, about: About) -> Link {
        if !self.is_on() {
            return Link::default();
        }
        self.written += 1;
        let root = if cause.is_none() { what.root() } else { cause.root };
        let entry = Entry {
            seq: self.written,
            micros: u64::try_from(at.as_micros()).unwrap_or(u64::MAX),
            cause: cause.seq,
            generation: about.generation.unwrap_or(Generation::NONE),
            exchange: u32::try_from(about.exchange).unwrap_or(u32::MAX),
            path: about.path,
            what,
            root,
        };
        if self.entries.len() < self.limit {
            grow(&mut self.entries, self.limit);
            self.entries.push(entry);
        } else {
            let index = self.index(self.written);
            self.entries[index] = entry;
        }
        Link { seq: self.written, root }
    }

    /// Keeps a path, in the way it may be shown; its number.
    pub(super) fn name(&mut self, method: &str, path: &str) -> u32 {
        if !self.is_on() {
            return 0;
        }
        self.put(&[method, " ", &without_secrets(path)])
    }

    /// Keeps a line that may be shown.
    pub(super) fn keep(&mut self, line: &str) -> u32 {
        if self.is_on() { self.put(&[line]) } else { 0 }
    }

    /// Keeps a line. It is put together here: mostly it is known already.
    fn put(&mut self, parts: &[&str]) -> u32 {
        let (mut text, mut length) = ([0; PATH_LIMIT], 0);
        for part in parts {
            let mut end = part.len().min(PATH_LIMIT - length);
            while !part.is_char_boundary(end) {
                end -= 1;
            }
            text[length..length + end].copy_from_slice(&part.as_bytes()[..end]);
            length += end;
            if end < part.len() {
                break;
            }
        }
        let known = |path: &&Path| path.text[..path.length.into()] == text[..length];
        if let Some(path) = self.paths.iter().find(known) {
            return path.number;
        }
        self.named = self.named.wrapping_add(1).max(1);
        let length = u8::try_from(length).unwrap_or_default();
        let path = Path { number: self.named, length, text };
        let limit = (self.limit / ENTRIES_PER_PATH).max(FEWEST_PATHS);
        if self.paths.len() < limit {
            self.paths.reserve_exact(1);
            self.paths.push(path);
        } else if let Some(oldest) = self.paths.iter_mut().min_by_key(|path| path.number) {
            *oldest = path;
        }
        self.named
    }

    pub(super) fn get(&self, link: Link) -> Option<&Entry> {
        if link.is_none() || !self.is_on() {
            return None;
        }
        self.entries.get(self.index(link.seq)).filter(|entry| entry.seq == link.seq)
    }

    pub(super) fn snapshot(&self, calls: u64) -> Timeline {
        let mut entries = self.entries.clone();
        entries.sort_unstable_by_key(|entry| entry.seq);
        let named = |path: &Path| (path.number, Box::from(path.text()));
        let shown = |path: &&Path| self.entries.iter().any(|entry| entry.path == path.number);
        let paths = self.paths.iter().filter(shown).map(named).collect();
        let kept = u64::try_from(self.entries.len()).unwrap_or_default();
        Timeline::new(entries, paths, calls, self.written - kept)
    }

    fn index(&self, seq: u64) -> usize {
        let limit = u64::try_from(self.limit).unwrap_or(u64::MAX).max(1);
        usize::try_from((seq.max(1) - 1) % limit).unwrap_or_default()
    }
}

/// Makes room for one more. Most sessions write a few entries and then nothing for hours.
fn grow(entries: &mut Vec<Entry>, limit: usize) {
    if entries.len() == entries.capacity() {
        // A timeline that is long is soon written to its end.
        let step = FEWEST_ENTRIES.max(entries.len() / 4);
        entries.reserve_exact(step.min(limit - entries.len()));
    }
}

impl Path {
    fn text(&self) -> &str {
        let text = self.text.get(..self.length.into()).unwrap_or_default();
        std::str::from_utf8(text).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::timeline::Subject;

    const AT: Duration = Duration::from_millis(1_860_112);

    fn push(ring: &mut Ring, what: What, cause: Link) -> Link {
        ring.push(AT, what, cause, About::default())
    }

    #[test]
    fn ring_keeps_the_root_of_a_cause_that_is_overwritten() {
        let mut ring = Ring::new(4);
        let refused = What::Answered { subject: Subject::Call, status: 401, code: 9 };
        let mut last = push(&mut ring, refused, Link::default());
        for _ in 0..10 {
            last = push(&mut ring, What::Sent(Subject::Login), last);
        }
        let timeline = ring.snapshot(0);
        assert_eq!((timeline.entries().count(), timeline.overwritten()), (4, 7));
        for entry in timeline.entries() {
            assert_eq!((entry.root(), entry.cause()), ("server", Some(entry.seq() - 1)));
        }
        assert_eq!(
            timeline.to_string(),
            "+1860.112 s login <- login <- login <- login <- … <- the server said 401 ERR009 to a call"
        );
    }

    #[test]
    fn ring_of_no_entries_keeps_nothing() {
        let mut ring = Ring::new(0);
        assert!(push(&mut ring, What::Wanted, Link::default()).is_none());
        assert_eq!(ring.name("GET", "/api/x"), 0);
        assert_eq!((ring.entries.capacity(), ring.paths.capacity()), (0, 0));
        assert_eq!(ring.snapshot(0).entries().count(), 0);
    }

    #[test]
    fn ring_grows_to_its_size_and_no_further() {
        let mut ring = Ring::new(16);
        let fill = |ring: &mut Ring| {
            for number in 0..40 {
                let path = ring.name("GET", &format!("/api/{number}?hush=hush"));
                let about = About { path, ..About::default() };
                ring.push(AT, What::Wanted, Link::default(), about);
            }
        };
        fill(&mut ring);
        let grown = (ring.entries.capacity(), ring.paths.capacity());
        for _ in 0..10 {
            fill(&mut ring);
        }
        assert_eq!((ring.entries.capacity(), ring.paths.capacity()), grown);
        assert_eq!((ring.entries.len(), ring.paths.len()), (16, 8));
    }

    #[test]
    fn ring_cuts_paths_and_leaves_their_queries_out() {
        let mut ring = Ring::new(4);
        let long = format!("/api/{}?token=hush", "ä".repeat(200));
        let path = ring.name("GET", &long);
        assert_eq!(ring.name("GET", &long), path, "it is kept once");
        let what = What::Answered { subject: Subject::Call, status: 503, code: 0 };
        ring.push(AT, what, Link::default(), About { path, ..About::default() });
        let shown = ring.snapshot(0).to_string();
        assert!(shown.starts_with("+1860.112 s 503 on GET /api/ä") && shown.len() < 130, "{shown}");
        assert!(!shown.contains("hush"));
    }
}
