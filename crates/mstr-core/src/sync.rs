//! The synchronisation primitives of the drivers: `std`'s, loom's when the interleavings are being
//! explored, or those of the simulation of this repository.

#[cfg(mstr_simulation)]
pub(crate) use crate::simulation::{
    Condvar, Mutex, MutexGuard, Thread, current, park, park_timeout,
};
#[cfg(loom)]
pub(crate) use loom::sync::{Condvar, Mutex, MutexGuard};
#[cfg(not(any(loom, mstr_simulation)))]
pub(crate) use std::sync::{Condvar, Mutex, MutexGuard};
#[cfg(not(mstr_simulation))]
pub(crate) use std::thread::{Thread, current, park, park_timeout};

/// Locks, also after a panic elsewhere: what is behind our locks is consistent between any two
/// statements, and a panic in a user's transport must not take the connection with it.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}
