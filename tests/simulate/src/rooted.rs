//! Whether each entry of a timeline has a cause that leads to a root.

use mstr_core::Timeline;

/// The first entry that has none.
pub(crate) fn unrooted(timeline: &Timeline) -> Option<String> {
    let entries: Vec<_> = timeline.entries().collect();
    let place = |seq: u64| entries.binary_search_by_key(&seq, |entry| entry.seq()).ok();
    for entry in &entries {
        let fault = match entry.cause() {
            None if entry.is_root() => continue,
            None => "has no cause",
            Some(cause) if cause >= entry.seq() => "is caused by a later one",
            Some(cause) => match place(cause) {
                None if cause <= timeline.overwritten() => continue,
                None => "is caused by none that there is",
                Some(found) if entries[found].root() == entry.root() => continue,
                Some(_) => "has another root than its cause",
            },
        };
        return Some(format!("{} ({}) {fault}", entry.kind(), entry.seq()));
    }
    None
}
