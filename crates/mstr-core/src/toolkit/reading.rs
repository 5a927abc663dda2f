//! Bodies for stacks that read and write instead of polling.

use std::fmt;
use std::io::{self, Read};
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::{Buf, Bytes, BytesMut};
use http_body::{Body as HttpBody, Frame, SizeHint};

use super::upload::UploadBody;
use crate::blocking::block_on;
use crate::contract::TransportError;

/// The largest piece of a body that is read at once.
const PIECE: usize = 16 * 1024;

/// A request's body as something to read from.
///
/// Reading parks the thread until there is data. A failure of the body is an [`io::Error`] around
/// the [`TransportError`].
#[derive(Debug)]
pub struct UploadReader {
    body: UploadBody,
    rest: Bytes,
}

impl UploadReader {
    /// Reads from `body`.
    #[must_use]
    pub fn new(body: UploadBody) -> Self {
        Self { body, rest: Bytes::new() }
    }
}

impl Read for UploadReader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.rest.is_empty() {
            let frame = std::future::poll_fn(|cx| Pin::new(&mut self.body).poll_frame(cx));
            match block_on(frame) {
                None => return Ok(0),
                // Trailers have no place in what is read.
                Some(Ok(frame)) => self.rest = frame.into_data().unwrap_or_default(),
                Some(Err(error)) => return Err(io::Error::other(error)),
            }
        }
        let length = buffer.len().min(self.rest.len());
        self.rest.copy_to_slice(&mut buffer[..length]);
        Ok(length)
    }
}

/// What a stack lets read of a response, as its body.
///
/// **Polling it blocks**, so it is for a [`BlockingTransport`](crate::BlockingTransport) only, and
/// the reader has to keep the body idle timeout itself. The reader is dropped as soon as it has
/// ended or failed.
pub struct ReadBody<R> {
    reader: Option<R>,
    remaining: Option<u64>,
    explain: Box<dyn Fn(io::Error) -> TransportError + Send>,
}

impl<R: Read + Unpin> ReadBody<R> {
    /// The body that `reader` reads, of `length` bytes if that is known. `explain` says what the
    /// reader's errors mean.
    pub fn new(
        reader: R,
        length: Option<u64>,
        explain: impl Fn(io::Error) -> TransportError + Send + 'static,
    ) -> Self {
        Self { reader: Some(reader), remaining: length, explain: Box::new(explain) }
    }
}

impl<R: Read + Unpin> HttpBody for ReadBody<R> {
    type Data = Bytes;
    type Error = TransportError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, TransportError>>> {
        let this = &mut *self;
        let Some(reader) = &mut this.reader else { return Poll::Ready(None) };
        let mut piece = BytesMut::zeroed(PIECE);
        let read = loop {
            match reader.read(&mut piece) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                other => break other,
            }
        };
        Poll::Ready(match read {
            Ok(0) => {
                this.reader = None;
                None
            }
            Ok(length) => {
                piece.truncate(length);
                this.remaining = this.remaining.map(|left| left.saturating_sub(length as u64));
                Some(Ok(Frame::data(piece.freeze())))
            }
            Err(error) => {
                this.reader = None;
                Some(Err((this.explain)(error)))
            }
        })
    }

    fn is_end_stream(&self) -> bool {
        self.reader.is_none()
    }

    fn size_hint(&self) -> SizeHint {
        match (&self.reader, self.remaining) {
            (None, _) => SizeHint::with_exact(0),
            (Some(_), Some(remaining)) => SizeHint::with_exact(remaining),
            (Some(_), None) => SizeHint::default(),
        }
    }
}

impl<R> fmt::Debug for ReadBody<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ReadBody").field("remaining", &self.remaining).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderMap;
    use http::header::{CONTENT_LENGTH, HeaderValue};

    use super::*;
    use crate::contract::{Body, TransportErrorKind};

    fn broken(error: io::Error) -> TransportError {
        TransportError::new(TransportErrorKind::Interrupted).with_source(error)
    }

    #[test]
    fn what_is_read_arrives_with_its_length() {
        let bytes = vec![7_u8; PIECE * 2 + 1];
        let length = bytes.len() as u64;
        let body = ReadBody::new(io::Cursor::new(bytes.clone()), Some(length), broken);
        let body = Body::wrap(body);
        assert_eq!(body.len_hint(), Some(length));
        assert!(block_on(body.collect(usize::MAX)).unwrap() == bytes);
    }

    #[test]
    fn a_reader_that_fails_is_explained_and_dropped() {
        struct Failing;
        impl Read for Failing {
            fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
                Err(io::ErrorKind::ConnectionReset.into())
            }
        }
        let mut body = Body::wrap(ReadBody::new(Failing, None, broken));
        let error = block_on(body.chunk()).unwrap_err();
        assert_eq!(error.kind(), TransportErrorKind::Interrupted);
        assert!(block_on(body.chunk()).unwrap().is_none());
    }

    #[test]
    fn an_upload_is_read_piece_by_piece() {
        let body = Body::replayable(|| Body::from("hello"));
        let mut reader = UploadReader::new(UploadBody::new(body, &HeaderMap::new()));
        let mut buffer = [0; 3];
        assert_eq!(reader.read(&mut buffer).unwrap(), 3);
        assert_eq!(&buffer, b"hel");
        assert_eq!(reader.read(&mut buffer).unwrap(), 2);
        assert_eq!(reader.read(&mut buffer).unwrap(), 0);
    }

    #[test]
    fn an_upload_that_is_too_short_fails_to_be_read() {
        let headers = HeaderMap::from_iter([(CONTENT_LENGTH, HeaderValue::from_static("9"))]);
        let body = UploadBody::new(Body::from("hello"), &headers);
        let failure = body.failure();
        let error = io::read_to_string(UploadReader::new(body)).unwrap_err();
        let found = TransportError::find_source::<TransportError>(&error).unwrap();
        assert_eq!(found.kind(), TransportErrorKind::Body);
        assert!(failure.get().is_some());
    }
}
