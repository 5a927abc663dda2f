//! Bodies on their way through isahc.

use std::future::poll_fn;
use std::io;
use std::mem;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Waker, ready};

use bytes::{Buf, Bytes, BytesMut};
use futures_lite::AsyncRead;
use http_body::{Body as HttpBody, Frame, SizeHint};
use isahc::AsyncBody;
use mstr_core::toolkit::{Peer, Stage, UploadBody};
use mstr_core::{TransportError, TransportErrorKind};

use crate::client::{self, Client};
use crate::error::classify;

/// How much is read at a time; libcurl's own buffer has this size.
const CHUNK: usize = 16 * 1024;

/// A request's body as libcurl wants to read it.
///
/// Always a reader, never bytes: libcurl repeats a request by itself whose kept connection broke
/// before an answer, and this is a body that it cannot begin anew.
pub(crate) fn upload(body: UploadBody) -> (AsyncBody, Cord) {
    let length = body.remaining();
    let cord = Cord::default();
    let reader = Upload { body, current: Bytes::new(), end: Arc::clone(&cord.0) };
    let body = match length {
        Some(length) => AsyncBody::from_reader_sized(reader, length),
        None => AsyncBody::from_reader(reader),
    };
    (body, cord)
}

/// Ends an upload when it is dropped.
///
/// libcurl does not notice by itself that the answer is no longer awaited while it waits for
/// the body's next piece.
#[derive(Default)]
pub(crate) struct Cord(Arc<Mutex<End>>);

#[derive(Default)]
struct End {
    cut: bool,
    reader: Option<Waker>,
}

impl Drop for Cord {
    fn drop(&mut self) {
        let reader = {
            let mut end = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            end.cut = true;
            end.reader.take()
        };
        if let Some(reader) = reader {
            reader.wake();
        }
    }
}

struct Upload {
    body: UploadBody,
    current: Bytes,
    end: Arc<Mutex<End>>,
}

impl Upload {
    /// Whether the answer is no longer awaited; the task that asks is woken when that changes.
    fn is_cut(&self, cx: &Context<'_>) -> bool {
        let mut end = self.end.lock().unwrap_or_else(PoisonError::into_inner);
        end.reader = Some(cx.waker().clone());
        end.cut
    }
}

impl AsyncRead for Upload {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        let this = &mut *self;
        if this.is_cut(cx) {
            return Poll::Ready(Err(io::ErrorKind::ConnectionAborted.into()));
        }
        while this.current.is_empty() {
            // A panic would end libcurl's thread, and every other request with it.
            let polled = AssertUnwindSafe(|| Pin::new(&mut this.body).poll_frame(cx));
            let frame = catch_unwind(polled).unwrap_or_else(|_| Poll::Ready(Some(Err(panicked()))));
            match ready!(frame) {
                // Trailers are not sent: libcurl has no way to take them here.
                Some(Ok(frame)) => this.current = frame.into_data().unwrap_or_default(),
                Some(Err(error)) => return Poll::Ready(Err(io::Error::other(error))),
                None => return Poll::Ready(Ok(0)),
            }
        }
        let length = this.current.len().min(buffer.len());
        this.current.copy_to_slice(&mut buffer[..length]);
        Poll::Ready(Ok(length))
    }
}

fn panicked() -> TransportError {
    TransportError::new(TransportErrorKind::Body).with_detail("the request's body panicked")
}

/// A response's body, as isahc delivers it.
pub(crate) struct Download {
    body: AsyncBody,
    length: Option<u64>,
    /// Bytes that have been read already.
    first: Option<Bytes>,
    buffer: BytesMut,
    peer: Peer,
    /// The server may answer before it has the whole request.
    _upload: Option<Cord>,
    /// Serves no other request until this has ended.
    client: Option<Client>,
}

impl Download {
    /// `length` is how long the body has to be, if that is known.
    pub(crate) fn new(
        body: AsyncBody,
        length: Option<u64>,
        peer: Peer,
        upload: Option<Cord>,
        client: Option<Client>,
    ) -> Self {
        let mut download = Self {
            body,
            length,
            first: None,
            buffer: BytesMut::new(),
            peer,
            _upload: upload,
            client,
        };
        // isahc has given out the head at the end of the exchange.
        if length == Some(0) {
            download.ended();
        }
        download
    }

    /// Reads the first piece of a body that there has to be.
    ///
    /// A head that ends with its connection is a whole one to libcurl, and the body one of no bytes.
    /// isahc gives out the head with the first byte of the body, so this waits for nothing.
    ///
    /// # Errors
    ///
    /// [`Interrupted`](TransportErrorKind::Interrupted) if there is no byte.
    pub(crate) async fn begin(&mut self) -> Result<(), TransportError> {
        let read = poll_fn(|cx| self.poll_read(cx)).await?;
        if read.is_empty() {
            let cut = self.peer.failure(TransportErrorKind::Interrupted, Stage::Sending);
            return Err(cut.with_source(io::Error::from(io::ErrorKind::UnexpectedEof)));
        }
        self.first = Some(read);
        Ok(())
    }

    fn poll_read(&mut self, cx: &mut Context<'_>) -> Poll<Result<Bytes, TransportError>> {
        if self.buffer.is_empty() {
            self.buffer.resize(CHUNK, 0);
        }
        let read = ready!(Pin::new(&mut self.body).poll_read(cx, &mut self.buffer));
        Poll::Ready(match read {
            Ok(length) => Ok(self.buffer.split_to(length).freeze()),
            Err(error) => Err(classify(Stage::Reading, error.into(), &self.peer, None)),
        })
    }

    fn ended(&mut self) {
        if let Some(client) = self.client.take() {
            client.give_back();
        }
    }
}

impl Drop for Download {
    fn drop(&mut self) {
        // It holds a client, and can be part of another request's body.
        client::end(mem::replace(&mut self.body, AsyncBody::empty()));
    }
}

impl HttpBody for Download {
    type Data = Bytes;
    type Error = TransportError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, TransportError>>> {
        let this = &mut *self;
        let read = match this.first.take() {
            Some(first) => Ok(first),
            None => ready!(this.poll_read(cx)),
        };
        Poll::Ready(match read {
            Ok(piece) if piece.is_empty() => {
                this.ended();
                None
            }
            Ok(piece) => {
                if let Some(left) = &mut this.length {
                    *left = left.saturating_sub(piece.len() as u64);
                }
                Some(Ok(Frame::data(piece)))
            }
            Err(error) => Some(Err(error)),
        })
    }

    fn is_end_stream(&self) -> bool {
        self.first.is_none() && self.body.is_empty()
    }

    fn size_hint(&self) -> SizeHint {
        self.length.map_or_else(SizeHint::default, SizeHint::with_exact)
    }
}
