//! The synchronisation primitives of the drivers: `std`'s, or loom's when the interleavings are
//! being explored.

#[cfg(loom)]
pub(crate) use loom::sync::{Condvar, Mutex, MutexGuard};
#[cfg(not(loom))]
pub(crate) use std::sync::{Condvar, Mutex, MutexGuard};

/// Locks, also after a panic elsewhere: what is behind our locks is consistent between any two
/// statements, and a panic in a user's transport must not take the connection with it.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}
