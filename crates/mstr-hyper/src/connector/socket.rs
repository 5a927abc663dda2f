//! A TCP connection that can be looked at from outside while hyper reads from it.

use std::future::Future;
use std::io::{self, IoSlice, Read as _};
use std::mem::MaybeUninit;
use std::pin::{Pin, pin};
use std::sync::{Arc, Mutex, Weak};
use std::task::{Context, Poll, Waker};

use hyper::rt::{Read, ReadBufCursor, Write};
use hyper_util::client::legacy::connect::{Connected, Connection};
use hyper_util::rt::TokioIo;
use socket2::SockRef;
use tokio::net::TcpStream;
use tokio::task::yield_now;

use crate::sync::lock;

/// How often in a row there may be something to read before others get their turn. hyper passes over
/// interim answers (1xx) for as long as there are any.
const STREAK: u32 = 16;

/// The largest piece that is read at once past the runtime's own readiness.
const PIECE: usize = 4 * 1024;

/// A TCP connection as hyper reads and writes it.
pub(crate) struct Socket(Arc<Mutex<Shared>>);

struct Shared {
    tcp: TokioIo<TcpStream>,
    /// Something has arrived of which the runtime may not know yet.
    arrived: bool,
    reader: Option<Waker>,
    streak: u32,
    /// The other side takes no more. What it has said may still have to be read.
    deaf: bool,
}

/// The same connection, seen from outside. It does not keep the connection open.
#[derive(Clone)]
pub(crate) struct Lookout(Weak<Mutex<Shared>>);

/// What has arrived on a connection that ought to be quiet.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Arrived {
    /// Nothing: it is as it was left.
    Nothing,
    /// Bytes, which its reader has been woken to read: a part of TLS or HTTP/2, or an answer that
    /// was not asked for.
    Bytes,
    /// Its end.
    End,
}

impl Socket {
    pub(crate) fn new(tcp: TokioIo<TcpStream>) -> Self {
        Self(Arc::new(Mutex::new(Shared {
            tcp,
            arrived: false,
            reader: None,
            streak: 0,
            deaf: false,
        })))
    }

    pub(crate) fn lookout(&self) -> Lookout {
        Lookout(Arc::downgrade(&self.0))
    }
}

impl Lookout {
    /// Asks the system what has arrived, without waiting.
    ///
    /// The runtime learns of it when it next looks at its sockets. On a busy runtime that is later
    /// than the request that is about to be sent. So the reader reads past the runtime's readiness.
    pub(crate) fn look(&self) -> Arrived {
        let Some(shared) = self.0.upgrade() else { return Arrived::End };
        let mut shared = lock(&shared);
        let mut byte = [MaybeUninit::uninit()];
        let peeked = SockRef::from(shared.tcp.inner()).peek(&mut byte);
        match peeked {
            Ok(1..) => {
                shared.arrived = true;
                if let Some(reader) = shared.reader.take() {
                    reader.wake();
                }
                Arrived::Bytes
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Arrived::Nothing,
            Ok(0) | Err(_) => Arrived::End,
        }
    }
}

impl Shared {
    /// Writes. A server that answers before it has everything, with 413 say, may close at once:
    /// then the answer counts, and the reader finds it, or else the connection's end.
    fn written(
        &mut self,
        write: impl FnOnce(Pin<&mut TokioIo<TcpStream>>) -> Poll<io::Result<usize>>,
    ) -> Poll<io::Result<usize>> {
        if !self.deaf {
            let written = write(Pin::new(&mut self.tcp));
            match &written {
                Poll::Ready(Err(error)) if is_deaf(error) => self.deaf = true,
                _ => return written,
            }
            self.arrived = true;
            if let Some(reader) = self.reader.take() {
                reader.wake();
            }
        }
        Poll::Pending
    }

    /// Reads what the system has, whether the runtime knows of it or not. `None` if that is nothing.
    fn read_arrived(&mut self, buffer: &mut ReadBufCursor<'_>) -> Option<io::Result<()>> {
        let mut piece = [0; PIECE];
        let room = buffer.remaining().min(PIECE);
        match (&*SockRef::from(self.tcp.inner())).read(&mut piece[..room]) {
            Ok(length) => {
                buffer.put_slice(&piece[..length]);
                Some(Ok(()))
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                self.arrived = false;
                None
            }
            Err(error) => Some(Err(error)),
        }
    }
}

fn is_deaf(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::BrokenPipe | io::ErrorKind::ConnectionReset)
}

impl Read for Socket {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        mut buffer: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        let mut shared = lock(&self.0);
        shared.streak += 1;
        if shared.streak > STREAK {
            shared.streak = 0;
            // Woken after the runtime has looked at its timers and sockets, and not before.
            let yielded = pin!(yield_now()).poll(cx);
            return yielded.map(Ok);
        }
        if shared.arrived
            && let Some(read) = shared.read_arrived(&mut buffer)
        {
            return Poll::Ready(read);
        }
        let read = Pin::new(&mut shared.tcp).poll_read(cx, buffer);
        if read.is_pending() {
            shared.streak = 0;
            match &mut shared.reader {
                Some(reader) => reader.clone_from(cx.waker()),
                none => *none = Some(cx.waker().clone()),
            }
        }
        read
    }
}

impl Write for Socket {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        lock(&self.0).written(|tcp| tcp.poll_write(cx, bytes))
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut lock(&self.0).tcp).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut lock(&self.0).tcp).poll_shutdown(cx)
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        lock(&self.0).written(|tcp| tcp.poll_write_vectored(cx, slices))
    }
}

impl Connection for Socket {
    fn connected(&self) -> Connected {
        Connected::new()
    }
}
