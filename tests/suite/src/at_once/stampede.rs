//! Tasks that all meet the same dead session: each is refused, one logs in, each asks again.

use std::sync::Arc;

use mstr::Connection;
use tokio::runtime::{self, Runtime};
use tokio::task::JoinSet;

use super::AtOnce;
use super::calls::{self, Bare};

/// Tasks of one thread, over a transport that is pending once for each request.
#[derive(Debug)]
pub struct Stampede {
    runtime: Runtime,
    transport: AtOnce,
    bare: Arc<Bare>,
}

impl Default for Stampede {
    fn default() -> Self {
        Self::new()
    }
}

impl Stampede {
    #[must_use]
    pub fn new() -> Self {
        Self {
            runtime: runtime::Builder::new_current_thread().build().unwrap(),
            transport: AtOnce::new().hesitating(),
            bare: Arc::new(Bare::new(&AtOnce::new().hesitating())),
        }
    }

    /// A session that has been in use and has ended. Each stampede has its own: a connection whose
    /// sessions end again and again within seconds takes this for a fault of the server, and waits.
    #[must_use]
    pub fn dead_session(&self) -> Connection {
        let connection = calls::connection(&self.transport);
        drop(self.runtime.block_on(calls::bytes(&connection)));
        self.transport.end_session();
        connection
    }

    /// Lets so many tasks make a call each on a connection whose session has ended.
    ///
    /// # Panics
    ///
    /// If they need more than one login, or one of them has not met the dead session.
    pub fn ours(&self, connection: &Connection, number: usize) {
        let (logins, refused) = (self.transport.logins(), self.transport.refused());
        in_tasks(&self.runtime, number, || {
            let connection = connection.clone();
            async move { drop(calls::bytes(&connection).await) }
        });
        assert_eq!(self.transport.logins() - logins, 1, "one login is enough for all");
        let refused = self.transport.refused() - refused;
        assert_eq!(refused, number as u64, "each task has met the dead session");
    }

    /// Lets so many tasks make two bare requests each.
    pub fn bare(&self, number: usize) {
        in_tasks(&self.runtime, number, || {
            let bare = Arc::clone(&self.bare);
            async move {
                drop(bare.bytes().await);
                drop(bare.bytes().await);
            }
        });
    }
}

/// Lets so many tasks run to their ends.
///
/// # Panics
///
/// If one of them does.
pub fn in_tasks<F>(runtime: &Runtime, number: usize, task: impl Fn() -> F)
where
    F: Future<Output = ()> + Send + 'static,
{
    runtime.block_on(async {
        let mut tasks = JoinSet::new();
        for _ in 0..number {
            tasks.spawn(task());
        }
        while let Some(outcome) = tasks.join_next().await {
            outcome.unwrap();
        }
    });
}
