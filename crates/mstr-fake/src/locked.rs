//! A server that several threads reach, one at a time.

use std::fmt;
use std::sync::{Mutex, PoisonError};
use std::thread::{self, ThreadId};

use crate::server::Server;

/// A [`Server`] behind a lock that says so where waiting for it would never end.
pub(crate) struct Locked {
    server: Mutex<Server>,
    holder: Mutex<Option<ThreadId>>,
}

impl Locked {
    pub(crate) fn new(server: Server) -> Self {
        Self { server: Mutex::new(server), holder: Mutex::new(None) }
    }

    /// Looks at the server, or changes it.
    ///
    /// # Panics
    ///
    /// If this thread does so already: it would wait for itself.
    pub(crate) fn with<T>(&self, look: impl FnOnce(&mut Server) -> T) -> T {
        let own = thread::current().id();
        assert!(
            *self.holder.lock().unwrap_or_else(PoisonError::into_inner) != Some(own),
            "the closure of an endpoint, or one that looks at a server, cannot look at that server \
             again: what it needs of it has to be asked for before or afterwards"
        );
        // A test that panics while it looks must not hide behind a poisoned lock.
        let mut server = self.server.lock().unwrap_or_else(PoisonError::into_inner);
        let _held = Held::new(&self.holder, own);
        look(&mut server)
    }
}

impl fmt::Debug for Locked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Locked").finish_non_exhaustive()
    }
}

struct Held<'a>(&'a Mutex<Option<ThreadId>>);

impl<'a> Held<'a> {
    fn new(holder: &'a Mutex<Option<ThreadId>>, thread: ThreadId) -> Self {
        *holder.lock().unwrap_or_else(PoisonError::into_inner) = Some(thread);
        Self(holder)
    }
}

impl Drop for Held<'_> {
    fn drop(&mut self) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[should_panic(expected = "cannot look at that server again")]
    fn lock_that_would_wait_for_itself_says_so() {
        let locked = Locked::new(Server::builder().build());
        locked.with(|_| locked.with(|server| server.open_sessions()));
    }

    #[test]
    fn a_panic_while_looking_leaves_the_server_to_others() {
        let locked = Locked::new(Server::builder().build());
        let look = std::panic::AssertUnwindSafe(|| locked.with(|_| panic!("as a test does")));
        assert!(std::panic::catch_unwind(look).is_err());
        assert_eq!(locked.with(|server| server.open_sessions()), 0);
    }
}
