//! Bodies that are read from a file or from any other reader, where they are sent.

use std::fs::File;
use std::io::{self, Read, Seek};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Body as HttpBody, Frame, SizeHint};

use super::body::Body;

/// How much is read at once.
const PIECE: usize = 64 * 1024;

impl Body {
    /// Streams the bytes of `reader`, without a `Content-Length`. It can be sent only once: a request
    /// with such a body is not repeated after it has begun.
    ///
    /// The thread that sends the request reads it, in pieces of 64 KiB, and blocks meanwhile. For a
    /// pipe or a socket in asynchronous code, use a reader of the runtime (`mstr::hyper::read_body` for
    /// tokio's).
    #[must_use]
    pub fn from_reader(reader: impl Read + Send + 'static) -> Self {
        Self::wrap(Reading { from: reader, left: None })
    }

    /// Streams a file from its current position to its present end. The length is known, and the
    /// request can be repeated.
    ///
    /// The file must not change until the request has ended: each attempt reads it again. A file that
    /// has become shorter is an error; bytes that were added are not sent. The files of `/proc` say that
    /// they are empty, and are sent so. A pipe or a device is
    /// streamed as by [`from_reader`](Self::from_reader).
    ///
    /// The thread that sends the request reads the file, in pieces of 64 KiB. `mstr::hyper::file_body`
    /// reads in tokio's threads for blocking work instead.
    ///
    /// ```
    /// # use mstr_core as mstr;
    /// use std::error::Error;
    ///
    /// use mstr::{Body, blocking};
    ///
    /// fn upload(connection: &blocking::Connection, path: &str) -> Result<(), Box<dyn Error>> {
    ///     let body = Body::from_file(std::fs::File::open(path)?)?;
    ///     connection
    ///         .post("/api/datasets/upload")
    ///         .header("Content-Type", "text/csv")
    ///         .body(body)
    ///         .send()?;
    ///     Ok(())
    /// }
    /// ```
    ///
    /// # Errors
    ///
    /// The I/O errors of reading the file's type, length and position, and
    /// [`IsADirectory`](io::ErrorKind::IsADirectory).
    pub fn from_file(mut file: File) -> io::Result<Self> {
        let metadata = file.metadata()?;
        if metadata.is_dir() {
            return Err(io::ErrorKind::IsADirectory.into());
        }
        if !metadata.is_file() {
            return Ok(Self::from_reader(file));
        }
        let start = file.stream_position()?;
        let length = metadata.len().saturating_sub(start);
        let file = Arc::new(file);
        Ok(Self::replayable(move || {
            let from = At { file: Arc::clone(&file), offset: start };
            Self::wrap(Reading { from, left: Some(length) })
        }))
    }
}

/// The bytes of a reader, as a body.
struct Reading<R> {
    from: R,
    /// How much is to come, if that is known.
    left: Option<u64>,
}

/// The reader is never pinned.
impl<R> Unpin for Reading<R> {}

impl<R: Read> HttpBody for Reading<R> {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        Poll::Ready(self.next_piece().transpose().map(|piece| piece.map(Frame::data)))
    }

    fn is_end_stream(&self) -> bool {
        self.left == Some(0)
    }

    fn size_hint(&self) -> SizeHint {
        self.left.map_or_else(SizeHint::default, SizeHint::with_exact)
    }
}

impl<R: Read> Reading<R> {
    fn next_piece(&mut self) -> io::Result<Option<Bytes>> {
        let wanted =
            self.left.map_or(PIECE, |left| PIECE.min(usize::try_from(left).unwrap_or(PIECE)));
        if wanted == 0 {
            return Ok(None);
        }
        let mut piece = vec![0; wanted];
        let length = read(&mut self.from, &mut piece)?;
        piece.truncate(length);
        match &mut self.left {
            Some(left) if length == 0 => Err(shortened(*left)),
            Some(left) => {
                *left -= length as u64;
                Ok(Some(piece.into()))
            }
            None => Ok((length > 0).then(|| piece.into())),
        }
    }
}

fn read(from: &mut impl Read, buffer: &mut [u8]) -> io::Result<usize> {
    loop {
        match from.read(buffer) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            outcome => return outcome,
        }
    }
}

/// The file ends before the length that it had.
fn shortened(left: u64) -> io::Error {
    let message =
        format!("the file has become shorter while it was sent: {left} bytes are missing");
    io::Error::new(io::ErrorKind::UnexpectedEof, message)
}

/// A file at a position of its own, which others that read the same file do not move.
struct At {
    file: Arc<File>,
    offset: u64,
}

impl Read for At {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let length = read_at(&self.file, buffer, self.offset)?;
        self.offset += length as u64;
        Ok(length)
    }
}

#[cfg(unix)]
fn read_at(file: &File, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
    std::os::unix::fs::FileExt::read_at(file, buffer, offset)
}

#[cfg(windows)]
fn read_at(file: &File, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
    std::os::windows::fs::FileExt::seek_read(file, buffer, offset)
}

/// Attempts follow each other, so that the position belongs to one of them.
#[cfg(not(any(unix, windows)))]
fn read_at(mut file: &File, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
    file.seek(io::SeekFrom::Start(offset))?;
    file.read(buffer)
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;
    use crate::park::block_on;

    fn file(content: &[u8]) -> File {
        let mut file = tempfile::tempfile().expect("a file");
        file.write_all(content).expect("written");
        file.rewind().expect("a position");
        file
    }

    fn read(body: Body) -> Result<Bytes, String> {
        let told = |error| crate::error::Error::from_transport(error).report();
        block_on(body.collect(usize::MAX)).map_err(told)
    }

    #[test]
    fn body_of_a_file_has_its_length_and_can_be_sent_again() {
        let content: Vec<u8> = (0..200_000_u32).map(|number| number as u8).collect();
        let mut file = file(&content);
        file.seek(io::SeekFrom::Start(7)).expect("a position");
        let body = Body::from_file(file).expect("a file");
        assert_eq!(body.len_hint(), Some(199_993));
        let mut first = body.try_clone().expect("it is there again");
        // An attempt that breaks off moves nothing for the next one.
        assert!(block_on(first.chunk()).expect("read").is_some());
        let again = body.try_clone().expect("it is there again");
        assert_eq!(read(again).expect("read"), content[7..]);
        assert_eq!(read(body).expect("read"), content[7..]);
        assert_eq!(Body::from_file(self::file(b"")).expect("a file").len_hint(), Some(0));
    }

    #[test]
    fn body_of_a_file_that_changes_is_an_error_or_what_it_was() {
        let file = file(b"0123456789");
        let handle = file.try_clone().expect("a handle");
        let body = Body::from_file(file).expect("a file");
        handle.set_len(4).expect("cut");
        let error = read(body.try_clone().expect("again")).expect_err("6 bytes are missing");
        assert!(error.contains("shorter") && error.contains("6 bytes"), "{error}");
        (&handle).seek(io::SeekFrom::End(0)).expect("a position");
        (&handle).write_all(b"456789 and more").expect("written");
        assert_eq!(read(body).expect("read"), "0123456789");
        let folder = File::open(std::env::temp_dir()).expect("a folder");
        let error = Body::from_file(folder).expect_err("no file");
        assert_eq!(error.kind(), io::ErrorKind::IsADirectory);
    }

    #[test]
    fn body_of_a_reader_is_sent_once_and_fails_as_the_reader_does() {
        let body = Body::from_reader(io::Cursor::new(b"abc").chain(io::Cursor::new(b"def")));
        assert!(!body.is_replayable() && body.len_hint().is_none());
        assert_eq!(read(body).expect("read"), "abcdef");

        struct Failing(Vec<io::ErrorKind>);
        impl Read for Failing {
            fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
                self.0.pop().map_or(Ok(0), |kind| Err(kind.into()))
            }
        }
        let interrupted = Failing(vec![io::ErrorKind::Interrupted]);
        assert_eq!(read(Body::from_reader(interrupted)).expect("read"), "");
        let error = read(Body::from_reader(Failing(vec![io::ErrorKind::BrokenPipe])));
        assert!(error.expect_err("no more").contains("broken pipe"));
    }
}
