//! Bodies of tokio's files and readers.

use std::io::{self, Seek as _};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http_body::{Body as HttpBody, Frame, SizeHint};
use mstr_core::{Body, TransportError, TransportErrorKind};
use tokio::fs::File;
use tokio::io::{AsyncRead, AsyncSeekExt as _};
use tokio::runtime::Handle;
use tokio::task::JoinHandle;
use tokio_util::io::ReaderStream;

/// How much is read at once.
const PIECE: usize = 64 * 1024;

/// Streams a file from its current position to its present end.
///
/// It is read in tokio's threads for blocking work. The length is known, and the request can be
/// repeated. [`Body::from_file`] is the same without tokio: it reads in the thread that sends the
/// request.
///
/// ```no_run
/// # mod mstr { pub use mstr_core::*; pub mod hyper { pub use mstr_hyper::*; } }
/// # async fn upload(connection: &mstr_core::Connection) -> Result<(), Box<dyn std::error::Error>> {
/// let file = tokio::fs::File::open("sales.csv").await?;
/// let body = mstr::hyper::file_body(file).await?;
/// let request = connection.post("/api/datasets/upload").body(body);
/// request.header("Content-Type", "text/csv").send().await?;
/// # Ok(())
/// # }
/// ```
///
/// # Errors
///
/// Those of [`Body::from_file`].
///
/// # Panics
///
/// Outside a tokio runtime.
///
/// # Cancel safety
///
/// Dropping the future drops the file.
pub async fn file_body(mut file: File) -> io::Result<Body> {
    // tokio reads ahead: the position that counts is the caller's. A pipe has none.
    let position = file.stream_position().await.ok();
    let mut file = file.into_std().await;
    let runtime = Handle::current();
    let opening = runtime.spawn_blocking(move || {
        if let Some(position) = position {
            file.seek(io::SeekFrom::Start(position))?;
        }
        Body::from_file(file)
    });
    let body = opening.await.map_err(io::Error::other)??;
    if !body.is_replayable() {
        return Ok(Body::wrap(Elsewhere::new(body, runtime)));
    }
    let body = Arc::new(body);
    Ok(Body::replayable(move || {
        // A replayable body can be cloned.
        let again = body.try_clone().unwrap_or_default();
        Body::wrap(Elsewhere::new(again, runtime.clone()))
    }))
}

/// Streams the bytes of a tokio reader.
///
/// There is no `Content-Length`, and the body can be sent only once: the request is not repeated after
/// it has begun.
///
/// ```no_run
/// # mod mstr { pub use mstr_core::*; pub mod hyper { pub use mstr_hyper::*; } }
/// # async fn forward(
/// #     connection: &mstr_core::Connection,
/// #     socket: tokio::net::TcpStream,
/// # ) -> Result<(), mstr_core::Error> {
/// let body = mstr::hyper::read_body(socket);
/// connection.post("/api/datasets/upload").body(body).send().await?;
/// # Ok(())
/// # }
/// ```
#[must_use]
pub fn read_body(reader: impl AsyncRead + Send + 'static) -> Body {
    Body::wrap(Reader(Box::pin(ReaderStream::with_capacity(reader, PIECE))))
}

struct Reader<R>(Pin<Box<ReaderStream<R>>>);

impl<R: AsyncRead> HttpBody for Reader<R> {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        use futures_core::Stream;
        let piece = ready!(self.0.as_mut().poll_next(cx));
        Poll::Ready(piece.map(|piece| piece.map(Frame::data)))
    }
}

/// A body that is read in a thread for blocking work, one piece at a time.
struct Elsewhere {
    runtime: Handle,
    state: State,
    hint: SizeHint,
    ended: bool,
}

type Piece = Result<Option<Bytes>, TransportError>;

enum State {
    Here(Body),
    There(JoinHandle<(Body, Piece)>),
    Over,
}

impl Elsewhere {
    fn new(body: Body, runtime: Handle) -> Self {
        let (hint, ended) = (body.size_hint(), body.is_end_stream());
        Self { runtime, state: State::Here(body), hint, ended }
    }
}

impl HttpBody for Elsewhere {
    type Data = Bytes;
    type Error = TransportError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, TransportError>>> {
        loop {
            match &mut self.state {
                State::Here(_) => {
                    let State::Here(mut body) = std::mem::replace(&mut self.state, State::Over)
                    else {
                        return Poll::Ready(None);
                    };
                    let runtime = self.runtime.clone();
                    let reading = self.runtime.spawn_blocking(move || {
                        let piece = runtime.block_on(body.chunk());
                        (body, piece)
                    });
                    self.state = State::There(reading);
                }
                State::There(reading) => {
                    let Ok((body, piece)) = ready!(Pin::new(reading).poll(cx)) else {
                        self.state = State::Over;
                        let gone = TransportError::new(TransportErrorKind::Canceled);
                        return Poll::Ready(Some(Err(gone)));
                    };
                    (self.hint, self.ended) = (body.size_hint(), body.is_end_stream());
                    self.state = match &piece {
                        Ok(Some(_)) => State::Here(body),
                        Ok(None) | Err(_) => State::Over,
                    };
                    return Poll::Ready(piece.transpose().map(|piece| piece.map(Frame::data)));
                }
                State::Over => return Poll::Ready(None),
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.ended
    }

    fn size_hint(&self) -> SizeHint {
        self.hint
    }
}
