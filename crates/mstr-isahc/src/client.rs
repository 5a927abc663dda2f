//! isahc's clients, each of which is a thread, and where they end.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use isahc::HttpClient;
use mstr_core::{Sent, TransportError, TransportErrorKind};

use crate::background;

/// The name of a thread on which a client ends.
const ENDING: &str = "mstr-isahc-end";

/// How many unused clients are kept.
const IDLE_LIMIT: usize = 8;

/// A client of isahc. Dropping the last handle on one waits for its thread.
pub(crate) struct Client {
    client: Option<HttpClient>,
    /// Where it goes when its request is done, if it serves one at a time.
    home: Option<Idle>,
}

type Idle = Arc<Mutex<Vec<Client>>>;

impl Client {
    pub(crate) fn new(client: HttpClient) -> Self {
        Self { client: Some(client), home: None }
    }

    pub(crate) fn get(&self) -> Result<&HttpClient, TransportError> {
        self.client
            .as_ref()
            .ok_or_else(|| TransportError::new(TransportErrorKind::Canceled).with_sent(Sent::No))
    }

    /// Its request has ended, and libcurl has closed the connection.
    pub(crate) fn give_back(mut self) {
        if let Some(home) = self.home.take() {
            let mut idle = locked(&home);
            if idle.len() < IDLE_LIMIT {
                idle.push(Self { client: self.client.take(), home: None });
            }
        }
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        let Some(client) = self.client.take() else { return };
        // A thread cannot wait for itself: an upload's body may own the last handle, and libcurl's
        // thread drops it. And a caller that gives up a request must not wait.
        if self.home.is_some() || background::is_on_isahc() {
            elsewhere(client);
        }
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client").finish_non_exhaustive()
    }
}

/// Drops `thing`, which may hold the last handle on a client, and waits for nothing if this is a
/// thread of isahc.
pub(crate) fn end<T: Send + 'static>(thing: T) {
    if background::is_on_isahc() {
        elsewhere(thing);
    }
}

fn elsewhere<T: Send + 'static>(thing: T) {
    drop(background::run(ENDING, move || drop(thing)));
}

type Make = Box<dyn Fn() -> Result<HttpClient, TransportError> + Send + Sync>;

/// Clients that make a connection for each request.
///
/// On a kept connection that breaks before the first byte of an answer, libcurl sends the request
/// again by itself, whatever its method. It cannot where a body has been read, and does not where
/// the connection is new. A connection of HTTP/2 that two requests share is new to neither, so no
/// two of them are given to one client at once.
pub(crate) struct Once {
    make: Make,
    idle: Idle,
    /// Whether a client may serve several at a time, because it does not speak HTTP/2.
    shared: bool,
}

impl Once {
    pub(crate) fn new(
        shared: bool,
        make: impl Fn() -> Result<HttpClient, TransportError> + Send + Sync + 'static,
    ) -> Self {
        Self { make: Box::new(make), idle: Idle::default(), shared }
    }

    /// # Errors
    ///
    /// Those of making one, which are not kept: the next may have more luck.
    pub(crate) fn take(&self) -> Result<Client, TransportError> {
        if self.shared {
            let mut idle = locked(&self.idle);
            if let Some(first) = idle.first() {
                return Ok(Client::new(first.get()?.clone()));
            }
            let made = (self.make)()?;
            idle.push(Client::new(made.clone()));
            return Ok(Client::new(made));
        }
        let found = locked(&self.idle).pop();
        let client = match found {
            Some(found) => found.get()?.clone(),
            None => (self.make)()?,
        };
        Ok(Client { client: Some(client), home: Some(Arc::clone(&self.idle)) })
    }
}

fn locked(idle: &Idle) -> MutexGuard<'_, Vec<Client>> {
    idle.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    fn counted(made: &Arc<AtomicUsize>, shared: bool) -> Once {
        let made = Arc::clone(made);
        Once::new(shared, move || {
            // The first time there is no thread to be had.
            match made.fetch_add(1, Ordering::SeqCst) {
                0 => Err(TransportError::new(TransportErrorKind::Config)),
                _ => Ok(HttpClient::new().unwrap()),
            }
        })
    }

    #[test]
    fn what_failed_once_is_tried_again() {
        for shared in [true, false] {
            let once = counted(&Arc::default(), shared);
            assert!(once.take().is_err());
            assert!(once.take().is_ok());
        }
    }

    #[test]
    fn no_two_requests_have_one_client_unless_they_may() {
        for (shared, expected) in [(true, 2), (false, 3)] {
            let made = Arc::default();
            let once = counted(&made, shared);
            drop(once.take());
            let (first, second) = (once.take().unwrap(), once.take().unwrap());
            first.give_back();
            once.take().unwrap().give_back();
            // One that was given up is not given to another.
            drop(second);
            once.take().unwrap().give_back();
            assert_eq!(made.load(Ordering::SeqCst), expected, "{shared}");
        }
    }
}
