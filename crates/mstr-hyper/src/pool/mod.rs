//! The connections of a transport, and the requests that wait for one.
//!
//! [`host`] decides which request gets which connection, when one is made and when one is let go. The
//! rest carries that out. A request is sent in its turn by the task that returns or makes a connection,
//! so a caller that is not polled holds up no other. Its exchange is polled in place, on any runtime or
//! none. Connections are made and driven by tasks on the transport's own runtime, and one more task
//! there, the [`keeper`], keeps all the times.

mod clock;
mod connection;
mod dial;
mod download;
mod exchange;
mod host;
mod keeper;
mod order;
mod servers;
mod settings;
mod shared;
mod waiter;

use std::future::poll_fn;
use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use http::Response;
use mstr_core::TransportError;

use self::clock::NEVER;
pub(crate) use self::download::Download;
use self::exchange::NoHead;
pub(crate) use self::host::Limits;
pub(crate) use self::order::Order;
pub(crate) use self::settings::{Pings, Settings, Versions};
pub(crate) use self::shared::Begun;
use self::shared::{Shared, Waiting};

/// The beginning of an answer.
pub(crate) struct Answer {
    pub(crate) head: Response<()>,
    /// A short body that was there with the head.
    pub(crate) whole: Bytes,
    /// The rest of the body.
    pub(crate) rest: Download,
}

/// The connections of a transport. Dropping it closes the unused ones.
pub(crate) struct Pool(Arc<Shared>);

impl Pool {
    pub(crate) fn new(settings: Settings) -> Self {
        let runtime = settings.runtime.clone();
        let shared = Arc::new(Shared::new(settings));
        keeper::start(&runtime, &shared);
        Self(shared)
    }

    pub(crate) fn settings(&self) -> &Settings {
        self.0.settings()
    }

    /// An instant in nanoseconds of the pool.
    pub(crate) fn nanos(&self, instant: Option<Instant>) -> u64 {
        instant.map_or(NEVER, |instant| self.0.clock().nanos(instant))
    }

    /// Sends a request that comes `now`, or lets it wait for a connection.
    pub(crate) fn begin(&self, order: Order, now: Instant) -> Result<Begun, TransportError> {
        self.0.begin(order, Some(now))
    }

    /// Waits for a connection, if there was none, and for the head of the answer.
    pub(crate) async fn answer(&self, mut begun: Begun) -> Result<Answer, TransportError> {
        let mut again = false;
        loop {
            let exchange = match begun {
                Begun::Sent(exchange) => exchange,
                Begun::Waits(host, waiter) => Waiting::new(&self.0, host, waiter).await?,
            };
            let mut download = Download::new(Arc::clone(&self.0), exchange);
            match poll_fn(|cx| download.poll_head(cx)).await {
                Ok((head, whole)) => return Ok(Answer { head, whole, rest: download }),
                Err(NoHead::Failed(error)) => return Err(error),
                // The server had closed the connection. A new one that it closes at once tells of
                // something else.
                Err(NoHead::Unsent(unsent)) if unsent.reused && !again => {
                    again = true;
                    begun = self.0.begin(unsent.order, None)?;
                }
                Err(NoHead::Unsent(unsent)) => return Err(unsent.error),
            }
        }
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        self.0.close();
    }
}
