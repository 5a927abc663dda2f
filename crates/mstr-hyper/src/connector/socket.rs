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
use tokio::io::{AsyncReadExt as _, AsyncWrite, Take};
use tokio::net::TcpStream;
use tokio::task::yield_now;

use crate::sync::lock;

/// How often in a row there may be something to read before other tasks get their turn. hyper passes over
/// interim answers (1xx) for as long as there are any.
const STREAK: u32 = 16;

/// The largest piece that is read at once past the runtime's own readiness.
const PIECE: usize = 4 * 1024;

/// How much is read at once. A large body is copied from here to the caller, and what was read should still
/// be in the processor's cache then: in pieces of 64 KiB a mebibyte takes two thirds of the time that it
/// takes in pieces of 256 KiB.
const AT_ONCE: u64 = 64 * 1024;

/// A TCP connection as hyper reads and writes it.
pub(crate) struct Socket(Arc<Mutex<Shared>>);

struct Shared {
    /// Takes [`AT_ONCE`] anew for each read.
    tcp: TokioIo<Take<TcpStream>>,
    /// Something has arrived of which the runtime may not know yet.
    arrived: bool,
    reader: Option<Waker>,
    streak: u32,
    side: Side,
}

/// The other side of a connection.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Side {
    /// A connection is still being made with it.
    Unknown,
    Listens,
    /// It takes no more. What it has said may still have to be read.
    Deaf,
    /// That has been read.
    Gone,
}

/// The same connection, seen from outside. It does not keep the connection open.
#[derive(Clone)]
pub(crate) struct Lookout(Weak<Mutex<Shared>>);

/// The state of a connection that ought to be quiet.
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
            tcp: TokioIo::new(tcp.into_inner().take(AT_ONCE)),
            arrived: false,
            reader: None,
            streak: 0,
            side: Side::Unknown,
        })))
    }

    pub(crate) fn lookout(&self) -> Lookout {
        Lookout(Arc::downgrade(&self.0))
    }
}

impl Lookout {
    /// Requests are sent over it now. Until then a write that fails tells of the other side.
    pub(crate) fn serve(&self) {
        if let Some(shared) = self.0.upgrade() {
            lock(&shared).side = Side::Listens;
        }
    }

    /// Asks the system what has arrived, without waiting.
    ///
    /// The runtime learns of it when it next looks at its sockets. On a busy runtime that is later
    /// than the request that is about to be sent. So the reader reads past the runtime's readiness.
    pub(crate) fn look(&self) -> Arrived {
        let Some(shared) = self.0.upgrade() else { return Arrived::End };
        let mut shared = lock(&shared);
        let mut byte = [MaybeUninit::uninit()];
        let peeked = SockRef::from(shared.tcp.inner().get_ref()).peek(&mut byte);
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
    fn stream(&mut self) -> Pin<&mut TcpStream> {
        Pin::new(self.tcp.inner_mut().get_mut())
    }

    /// Writes. A server that answers before it has everything, with 413 say, may close at once:
    /// then the answer counts, and the reader finds it, or else the connection's end.
    fn written(
        &mut self,
        write: impl FnOnce(Pin<&mut TcpStream>) -> Poll<io::Result<usize>>,
    ) -> Poll<io::Result<usize>> {
        match self.side {
            Side::Unknown => return write(self.stream()),
            Side::Listens => {
                let written = write(self.stream());
                if !matches!(&written, Poll::Ready(Err(error)) if is_deaf(error)) {
                    return written;
                }
                self.side = Side::Deaf;
                if let Some(reader) = self.reader.take() {
                    reader.wake();
                }
            }
            Side::Deaf => {}
            Side::Gone => return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into())),
        }
        Poll::Pending
    }

    /// Reads what the system has, whether the runtime knows of it or not. `None` if that is nothing.
    // Its buffer stays out of the way of every other read.
    #[inline(never)]
    fn read_arrived(&mut self, buffer: &mut ReadBufCursor<'_>) -> Option<io::Result<()>> {
        let mut piece = [0; PIECE];
        let room = buffer.remaining().min(PIECE);
        let read = (&*SockRef::from(self.tcp.inner().get_ref())).read(&mut piece[..room]);
        match &read {
            Ok(1..) => {}
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                self.arrived = false;
                return None;
            }
            // A write that waits for this fails now: nothing is left that could count for more.
            Ok(0) | Err(_) if self.side == Side::Deaf => self.side = Side::Gone,
            Ok(0) | Err(_) => {}
        }
        Some(read.map(|length| buffer.put_slice(&piece[..length])))
    }
}

/// Lets others have their turn. Its task is woken after the runtime has looked at its timers and
/// sockets, and not before.
#[inline(never)]
fn give_way(cx: &mut Context<'_>) -> Poll<io::Result<()>> {
    pin!(yield_now()).poll(cx).map(Ok)
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
            return give_way(cx);
        }
        if (shared.arrived || shared.side == Side::Deaf)
            && let Some(read) = shared.read_arrived(&mut buffer)
        {
            return Poll::Ready(read);
        }
        shared.tcp.inner_mut().set_limit(AT_ONCE);
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

    /// What has been written to a TCP connection is with the system already.
    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        lock(&self.0).stream().poll_shutdown(cx)
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

#[cfg(test)]
mod tests {
    use std::future::poll_fn;
    use std::time::Duration;

    use hyper::rt::ReadBuf;
    use tokio::net::TcpListener;

    use super::*;

    /// A connection whose other side has said `what` and has reset it.
    async fn reset(what: &[u8]) -> Socket {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (here, there) = tokio::join!(TcpStream::connect(address), listener.accept());
        let there = there.unwrap().0;
        there.writable().await.unwrap();
        there.try_write(what).unwrap();
        SockRef::from(&there).set_linger(Some(Duration::ZERO)).unwrap();
        drop(there);
        Socket::new(TokioIo::new(here.unwrap()))
    }

    async fn write_until_it_fails(socket: &mut Socket) -> io::Error {
        loop {
            let written = poll_fn(|cx| Pin::new(&mut *socket).poll_write(cx, b"x")).await;
            if let Err(error) = written {
                return error;
            }
        }
    }

    async fn read_until_the_end(socket: &mut Socket) {
        loop {
            let mut room = [0; 64];
            let mut buffer = ReadBuf::new(&mut room);
            let read = poll_fn(|cx| Pin::new(&mut *socket).poll_read(cx, buffer.unfilled())).await;
            if read.is_err() || buffer.filled().is_empty() {
                return;
            }
        }
    }

    #[tokio::test]
    async fn a_write_fails_at_once_while_the_connection_is_being_made() {
        let mut socket = reset(b"").await;
        write_until_it_fails(&mut socket).await;
    }

    #[tokio::test]
    async fn a_write_of_a_request_fails_after_the_last_words_have_been_read() {
        let mut socket = reset(b"413").await;
        socket.lookout().serve();
        let waits = async { write_until_it_fails(&mut socket).await };
        tokio::time::timeout(Duration::from_millis(100), waits).await.unwrap_err();
        read_until_the_end(&mut socket).await;
        let error = write_until_it_fails(&mut socket).await;
        assert_eq!(error.kind(), io::ErrorKind::BrokenPipe);
    }
}
