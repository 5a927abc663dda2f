//! Keeps the times of a pool, in one task: deadlines, idle limits, connections that are kept.

use std::future::pending;
use std::sync::{Arc, Weak};

use tokio::time::{Instant, sleep_until};

use super::clock::Clock;
use super::shared::Shared;
use crate::runtime::Runtime;

/// Starts the keeper of a pool. It ends with the pool.
pub(super) fn start(runtime: &Runtime, shared: &Arc<Shared>) {
    let keeper = Keeper { pool: Arc::downgrade(shared), clock: Arc::clone(shared.clock()) };
    drop(runtime.handle().spawn(keeper.keep()));
}

struct Keeper {
    pool: Weak<Shared>,
    clock: Arc<Clock>,
}

impl Keeper {
    async fn keep(self) {
        loop {
            self.clock.forget_alarm();
            let Some(pool) = self.pool.upgrade() else { return };
            let next = pool.review(Instant::now().into_std());
            drop(pool);
            let next = self.clock.instant(self.clock.set_alarm(next));
            let sleep = async {
                match next {
                    Some(next) => sleep_until(Instant::from_std(next)).await,
                    None => pending().await,
                }
            };
            tokio::select! {
                () = sleep => {}
                () = self.clock.earlier() => {}
            }
        }
    }
}

impl Drop for Keeper {
    fn drop(&mut self) {
        // The runtime has shut down, unless the pool is gone.
        if let Some(pool) = self.pool.upgrade() {
            pool.stranded();
        }
    }
}
