//! A connection, whatever lies between here and the server.

use std::future::{Ready, ready};
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll};

use http::Uri;
use hyper::rt::{Read, ReadBufCursor, Write};
use hyper_rustls::MaybeHttpsStream;
use hyper_util::client::legacy::connect::{Connected, Connection};
use hyper_util::rt::TokioIo;
use mstr_core::BoxError;
use tokio::net::TcpStream;
use tower_service::Service;

/// A connection to the server or to a proxy, with TLS or without.
pub(super) type Hop = MaybeHttpsStream<TokioIo<TcpStream>>;

/// A connection for requests.
pub(crate) struct Stream {
    /// The second layer of TLS is that with a server behind a proxy.
    io: MaybeHttpsStream<Hop>,
    forwards: bool,
}

impl Stream {
    /// To the server itself.
    pub(super) fn direct(hop: Hop) -> Self {
        Self { io: MaybeHttpsStream::Http(hop), forwards: false }
    }

    /// To a proxy that passes requests on.
    pub(super) fn forwarding(hop: Hop) -> Self {
        Self { io: MaybeHttpsStream::Http(hop), forwards: true }
    }

    /// To the server, through a proxy that carries bytes.
    pub(super) fn through(io: MaybeHttpsStream<Hop>) -> Self {
        Self { io, forwards: false }
    }
}

impl Connection for Stream {
    fn connected(&self) -> Connected {
        // A proxy that passes on is told the whole address in the first line of a request.
        self.io.connected().proxy(self.forwards)
    }
}

impl Read for Stream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_read(cx, buffer)
    }
}

impl Write for Stream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(cx)
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write_vectored(cx, slices)
    }
}

/// A connector for a connection that stands already.
pub(super) struct Standing(pub(super) Option<Hop>);

impl Service<Uri> for Standing {
    type Response = Hop;
    type Error = BoxError;
    type Future = Ready<Result<Hop, BoxError>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Uri) -> Self::Future {
        ready(self.0.take().ok_or_else(|| "the connection has been given away".into()))
    }
}
