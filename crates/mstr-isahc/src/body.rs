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
    /// How much is still to be read, if that is known.
    left: Option<u64>,
    /// What has been read already.
    first: Option<Bytes>,
    /// How reading has ended.
    end: Option<Result<(), TransportError>>,
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
            left: length,
            first: None,
            end: None,
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

    /// The whole body, if it has been read and its end is there: then nothing is left of the exchange.
    pub(crate) fn take_whole(&mut self) -> Option<Bytes> {
        if !matches!(self.end, Some(Ok(()))) {
            return None;
        }
        self.ended();
        self.first.take()
    }

    /// Reads as much as is there: a piece of the body, or nothing at its end.
    fn poll_read(&mut self, cx: &mut Context<'_>) -> Poll<Result<Bytes, TransportError>> {
        if self.buffer.is_empty() && self.left != Some(0) {
            let expected = self.left.and_then(|left| usize::try_from(left).ok());
            self.buffer = BytesMut::zeroed(expected.unwrap_or(CHUNK).min(CHUNK));
        }
        let mut filled = 0;
        while self.end.is_none() {
            // Where all has been read, the end is looked for.
            let mut more = [0];
            let over = self.left == Some(0);
            let room = if over { &mut more[..] } else { &mut self.buffer[filled..] };
            if room.is_empty() {
                break;
            }
            match Pin::new(&mut self.body).poll_read(cx, room) {
                Poll::Pending if filled == 0 => return Poll::Pending,
                Poll::Pending => break,
                Poll::Ready(Ok(0)) => self.end = Some(Ok(())),
                Poll::Ready(Ok(_)) if over => {
                    let kind = TransportErrorKind::Protocol;
                    self.end = Some(Err(self.peer.failure(kind, Stage::Reading)));
                }
                Poll::Ready(Ok(length)) => {
                    filled += length;
                    self.left = self.left.map(|left| left.saturating_sub(length as u64));
                }
                Poll::Ready(Err(error)) => {
                    let error = classify(Stage::Reading, error.into(), &self.peer, None);
                    self.end = Some(Err(error));
                }
            }
        }
        if filled > 0 {
            // A buffer that is full is handed on as it is.
            let all = filled == self.buffer.len();
            let piece =
                if all { mem::take(&mut self.buffer) } else { self.buffer.split_to(filled) };
            return Poll::Ready(Ok(piece.freeze()));
        }
        let end = self.end.replace(Ok(()));
        Poll::Ready(end.unwrap_or(Ok(())).map(|()| Bytes::new()))
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
            Ok(piece) => Some(Ok(Frame::data(piece))),
            Err(error) => Some(Err(error)),
        })
    }

    fn is_end_stream(&self) -> bool {
        self.first.is_none() && self.body.is_empty()
    }

    fn size_hint(&self) -> SizeHint {
        let read = self.first.as_ref().map_or(0, |first| first.len() as u64);
        self.left.map_or_else(SizeHint::default, |left| SizeHint::with_exact(left + read))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;

    use futures_lite::future::block_on;

    use super::*;

    /// Pieces, each of which is there or is to be waited for.
    struct Pieces(VecDeque<Option<&'static [u8]>>);

    impl AsyncRead for Pieces {
        fn poll_read(
            mut self: Pin<&mut Self>,
            cx: &mut Context<'_>,
            buffer: &mut [u8],
        ) -> Poll<io::Result<usize>> {
            match self.0.pop_front() {
                None => Poll::Ready(Ok(0)),
                Some(None) => {
                    cx.waker().wake_by_ref();
                    Poll::Pending
                }
                Some(Some(piece)) => {
                    let (now, later) = piece.split_at(piece.len().min(buffer.len()));
                    buffer[..now.len()].copy_from_slice(now);
                    if !later.is_empty() {
                        self.0.push_front(Some(later));
                    }
                    Poll::Ready(Ok(now.len()))
                }
            }
        }
    }

    fn download(pieces: &[Option<&'static [u8]>], length: Option<u64>) -> Download {
        let body = AsyncBody::from_reader(Pieces(pieces.iter().copied().collect()));
        let peer = Peer::of(&http::Uri::from_static("http://h/")).unwrap();
        Download::new(body, length, peer, None, None)
    }

    fn rest(download: &mut Download) -> Vec<Vec<u8>> {
        let mut frame = || block_on(poll_fn(|cx| Pin::new(&mut *download).poll_frame(cx)));
        let mut pieces = Vec::new();
        while let Some(frame) = frame() {
            pieces.push(frame.unwrap().into_data().unwrap().to_vec());
        }
        pieces
    }

    #[test]
    fn answer_that_is_there_is_read_whole_into_a_buffer_of_its_length() {
        let mut download = download(&[Some(b"a"), Some(b"bc")], Some(3));
        block_on(download.begin()).unwrap();
        let whole = download.take_whole().unwrap();
        assert_eq!(&whole[..], b"abc");
        assert_eq!(Vec::from(whole).capacity(), 3);
    }

    #[test]
    fn answer_that_is_there_in_part_is_given_as_it_comes() {
        let mut download = download(&[Some(b"ab"), None, Some(b"c")], Some(3));
        block_on(download.begin()).unwrap();
        assert!(download.take_whole().is_none());
        assert_eq!(download.size_hint().exact(), Some(3));
        assert_eq!(rest(&mut download), [b"ab".to_vec(), b"c".to_vec()]);
        assert_eq!(download.size_hint().exact(), Some(0));
    }

    #[test]
    fn answer_of_unknown_length_is_read_to_its_end() {
        let mut download = download(&[Some(b"ab"), Some(b"c"), None, Some(b"d")], None);
        assert_eq!(rest(&mut download), [b"abc".to_vec(), b"d".to_vec()]);
        assert!(rest(&mut download).is_empty());
    }

    #[test]
    fn answer_that_is_longer_than_announced_is_an_error() {
        let mut download = download(&[Some(b"abcd")], Some(3));
        let mut frame = || block_on(poll_fn(|cx| Pin::new(&mut download).poll_frame(cx)));
        assert_eq!(&frame().unwrap().unwrap().into_data().unwrap()[..], b"abc");
        assert_eq!(frame().unwrap().unwrap_err().kind(), TransportErrorKind::Protocol);
        assert!(frame().is_none());
    }
}
