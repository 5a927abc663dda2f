//! A thread with a runtime of its own, which works until it is told to stop.

use std::fmt;
use std::future::Future;
use std::io;
use std::net::TcpListener as StdListener;
use std::thread::JoinHandle;

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::{LocalSet, spawn_local};

use crate::tokio_time::is_paused;

const PAUSED: &str = "tokio's clock is paused, and a socket lives in real time: a client that waits \
                      for its answer would see its deadline pass at once. Use the server in memory \
                      (FakeTransport::new(server, TokioTime::current())), or a test without \
                      start_paused";

/// Dropping it ends the work, and with it all sockets and connections.
pub(super) struct Running {
    stop: watch::Sender<bool>,
    thread: Option<JoinHandle<()>>,
}

impl Running {
    /// Starts a thread that treats each connection with `serve`, all of them on a runtime there.
    pub(super) fn start<F>(
        name: &str,
        listener: StdListener,
        serve: impl Fn(TcpStream) -> F + Send + 'static,
    ) -> io::Result<Self>
    where
        F: Future<Output = ()> + 'static,
    {
        listener.set_nonblocking(true)?;
        Self::work(name, move || accept(listener, serve))
    }

    /// Starts a thread that does this. It may use `spawn_local`; what it has spawned ends with it.
    pub(super) fn work<F>(name: &str, work: impl FnOnce() -> F + Send + 'static) -> io::Result<Self>
    where
        F: Future<Output = ()>,
    {
        if is_paused() {
            return Err(io::Error::new(io::ErrorKind::Unsupported, PAUSED));
        }
        let (stop, mut stopped) = watch::channel(false);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let thread = std::thread::Builder::new().name(name.to_owned()).spawn(move || {
            // Dropping the set closes all connections.
            let local = LocalSet::new();
            local.block_on(&runtime, async {
                tokio::select! {
                    () = work() => {}
                    _ = stopped.wait_for(|stopped| *stopped) => {}
                }
            });
        })?;
        Ok(Self { stop, thread: Some(thread) })
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.stop.send_replace(true);
        if let Some(thread) = self.thread.take() {
            // A panic in there has been printed already.
            drop(thread.join());
        }
    }
}

impl fmt::Debug for Running {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Running").finish_non_exhaustive()
    }
}

async fn accept<F>(listener: StdListener, serve: impl Fn(TcpStream) -> F)
where
    F: Future<Output = ()> + 'static,
{
    let Ok(listener) = TcpListener::from_std(listener) else { return };
    loop {
        // A connection that failed before it was accepted is the client's business.
        if let Ok((stream, _)) = listener.accept().await {
            // Small answers must not wait for the client's acknowledgement.
            drop(stream.set_nodelay(true));
            spawn_local(serve(stream));
        }
    }
}
