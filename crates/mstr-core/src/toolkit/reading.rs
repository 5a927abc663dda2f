//! Bodies for stacks that read and write instead of polling.

use std::fmt;
use std::future::poll_fn;
use std::io::{self, Read};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Instant;

use bytes::{Buf, Bytes, BytesMut};
use http_body::{Body as HttpBody, Frame, SizeHint};

use super::upload::UploadBody;
use crate::contract::TransportError;
use crate::park::{block_on, block_on_until};

/// The largest piece of a body that is read at once.
const PIECE: usize = 16 * 1024;

/// A request's body as something to read from.
///
/// Reading parks the thread until there is data. A failure of the body is an [`io::Error`] around
/// the [`TransportError`].
pub struct UploadReader {
    body: UploadBody,
    rest: Bytes,
    until: Option<(Instant, Clock)>,
}

type Clock = Box<dyn Fn() -> Instant + Send>;

impl UploadReader {
    /// Reads from `body`.
    #[must_use]
    pub fn new(body: UploadBody) -> Self {
        Self { body, rest: Bytes::new(), until: None }
    }

    /// Stops waiting for data at `deadline`, as `now` tells the time, with
    /// [`TimedOut`](io::ErrorKind::TimedOut). A body that has nothing to say would hold up its
    /// thread for ever.
    #[must_use]
    pub fn until(
        mut self,
        deadline: Option<Instant>,
        now: impl Fn() -> Instant + Send + 'static,
    ) -> Self {
        self.until = deadline.map(|deadline| (deadline, Box::new(now) as Clock));
        self
    }

    fn frame(&mut self) -> io::Result<Option<Frame<Bytes>>> {
        let frame = poll_fn(|cx| Pin::new(&mut self.body).poll_frame(cx));
        let frame = match &self.until {
            None => block_on(frame),
            Some((deadline, now)) => block_on_until(frame, Some(*deadline), now)
                .ok_or_else(|| io::Error::new(io::ErrorKind::TimedOut, "the upload is late"))?,
        };
        frame.transpose().map_err(io::Error::other)
    }
}

impl Read for UploadReader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.rest.is_empty() {
            match self.frame()? {
                None => return Ok(0),
                // Trailers have no place in what is read.
                Some(frame) => self.rest = frame.into_data().unwrap_or_default(),
            }
        }
        let length = buffer.len().min(self.rest.len());
        self.rest.copy_to_slice(&mut buffer[..length]);
        Ok(length)
    }
}

impl fmt::Debug for UploadReader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("UploadReader").field("body", &self.body).finish_non_exhaustive()
    }
}

/// A response's body that a stack offers as a reader.
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
    fn an_upload_that_has_nothing_to_say_is_late() {
        struct Silent;
        impl HttpBody for Silent {
            type Data = Bytes;
            type Error = io::Error;
            fn poll_frame(
                self: Pin<&mut Self>,
                _: &mut Context<'_>,
            ) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
                Poll::Pending
            }
        }
        #[expect(clippy::disallowed_methods, reason = "an arbitrary origin; it stands still")]
        let now = Instant::now();
        let body = UploadBody::new(Body::wrap(Silent), &HeaderMap::new());
        let mut reader = UploadReader::new(body).until(Some(now), move || now);
        let error = reader.read(&mut [0]).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
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
