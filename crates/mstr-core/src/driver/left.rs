//! What callers have left behind: work that none has begun, and flights that none drives.

use super::core::{Core, Driver};
use super::exchange::Work;

impl<D: Driver> Core<D> {
    /// Work that no caller has begun, which is begun now. It may have been left behind for long.
    pub(super) fn next_work(&self) -> Option<Work> {
        let (mut locked, now) = (self.lock(), self.now());
        while let Some(mut work) = locked.queue.pop_front() {
            if let Some(deadline) = locked.session.begin(work.id(), now) {
                work.ends_by(deadline);
                return Some(work);
            }
        }
        None
    }

    /// A flight that no caller has driven for too long, for a caller whose command is to be carried out
    /// after it: it may fail, and is not what the caller asks for.
    pub(super) fn left_behind(&self) -> Option<D::Flight> {
        self.overdue(&mut self.lock())
    }
}
