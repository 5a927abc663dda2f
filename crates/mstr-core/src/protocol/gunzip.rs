//! A body that is decompressed as it arrives.

use std::io::{self, BufRead, Read};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Buf, Bytes, BytesMut};
use flate2::bufread::MultiGzDecoder;
use http_body::{Body as HttpBody, Frame};

use crate::contract::{Body, TransportError, TransportErrorKind};

/// The largest piece that is put out at once.
const LARGEST_PIECE: usize = 32 * 1024;
const SMALLEST_PIECE: usize = 1024;
/// How much texts shrink at most, roughly: for the size of a piece.
const USUAL_RATIO: usize = 8;

/// Up to this many bytes a body may be compressed as well as gzip can (1,032 to 1).
const UNWATCHED: u64 = 1024 * 1024;
/// Beyond, no honest answer shrinks to a hundredth: it is made to fill memory.
const LARGEST_RATIO: u64 = 100;

/// Each byte may take so many, which those of the shortest members do (RFC 1952, 2.2).
const SMALLEST_RATIO: u64 = 32;
/// A body that produces nothing for longer than this is made to keep its reader busy.
const UNPRODUCTIVE: u64 = 64 * 1024;

/// The rest of a gzip body, decompressed. Ends with
/// [`Interrupted`](TransportErrorKind::Interrupted) if the body does before its compressed stream
/// does, with [`Protocol`](TransportErrorKind::Protocol) if it is not gzip, and with
/// [`TooLarge`](TransportErrorKind::TooLarge) if it grows beyond measure.
pub(super) struct Gunzip {
    body: Body,
    /// Of the first piece on: a decoder takes 40 KiB, and an empty body needs none.
    decoder: Option<Box<MultiGzDecoder<Input>>>,
    put_out: u64,
    ended: bool,
}

/// Bytes that have arrived and are not yet decompressed.
struct Input {
    piece: Bytes,
    taken: u64,
    ended: bool,
}

impl Gunzip {
    pub(super) const fn new(body: Body) -> Self {
        Self { body, decoder: None, put_out: 0, ended: false }
    }

    /// Takes in the next piece, or that there is none; whether there is anything to decompress.
    fn take_in(&mut self, piece: Option<Bytes>) -> bool {
        let ended = piece.is_none();
        let piece = piece.unwrap_or_default();
        match &mut self.decoder {
            Some(decoder) => {
                let input = decoder.get_mut();
                (input.piece, input.ended) = (piece, ended);
            }
            None if ended => return false,
            None => {
                let input = Input { piece, taken: 0, ended };
                self.decoder = Some(Box::new(MultiGzDecoder::new(input)));
            }
        }
        true
    }

    /// The next piece, decompressed; nothing if more has to arrive for one.
    fn decompress(&mut self) -> Result<Option<Bytes>, TransportError> {
        let Some(decoder) = &mut self.decoder else { return Ok(None) };
        let waiting = decoder.get_ref().piece.len();
        let size = waiting.saturating_mul(USUAL_RATIO).clamp(SMALLEST_PIECE, LARGEST_PIECE);
        let mut piece = BytesMut::zeroed(size);
        match decoder.read(&mut piece) {
            Ok(length) => {
                piece.truncate(length);
                self.put_out += length as u64;
                let taken = decoder.get_ref().taken;
                if self.put_out > UNWATCHED && self.put_out / LARGEST_RATIO > taken {
                    return Err(bomb());
                }
                self.ended = length == 0;
                // A piece that is kept keeps its whole room: members of one byte would fill memory.
                let full = piece.len() >= size / 2;
                Ok(Some(if full { piece.freeze() } else { Bytes::copy_from_slice(&piece) }))
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                let said = self.put_out.saturating_mul(SMALLEST_RATIO).saturating_add(UNPRODUCTIVE);
                if decoder.get_ref().taken > said { Err(says_nothing()) } else { Ok(None) }
            }
            Err(error) => Err(explain(error)),
        }
    }
}

impl HttpBody for Gunzip {
    type Data = Bytes;
    type Error = TransportError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, TransportError>>> {
        let this = &mut *self;
        while !this.ended {
            match this.decompress() {
                Ok(Some(piece)) if piece.is_empty() => break,
                Ok(Some(piece)) => return Poll::Ready(Some(Ok(Frame::data(piece)))),
                Ok(None) => match ready!(this.body.poll_chunk(cx)) {
                    Ok(piece) => this.ended = !this.take_in(piece),
                    Err(error) => {
                        this.ended = true;
                        return Poll::Ready(Some(Err(error.of_an_answer())));
                    }
                },
                Err(error) => {
                    this.ended = true;
                    return Poll::Ready(Some(Err(error)));
                }
            }
        }
        Poll::Ready(None)
    }

    fn is_end_stream(&self) -> bool {
        self.ended || (self.decoder.is_none() && self.body.is_end_stream())
    }
}

impl Read for Input {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let length = self.fill_buf()?.len().min(buffer.len());
        buffer[..length].copy_from_slice(&self.piece[..length]);
        self.consume(length);
        Ok(length)
    }
}

impl BufRead for Input {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        if self.piece.is_empty() && !self.ended {
            // The decoder keeps its state and goes on when it is asked again.
            return Err(io::ErrorKind::WouldBlock.into());
        }
        Ok(&self.piece)
    }

    fn consume(&mut self, length: usize) {
        self.piece.advance(length);
        self.taken += length as u64;
    }
}

fn explain(error: io::Error) -> TransportError {
    let (kind, detail) = match error.kind() {
        io::ErrorKind::UnexpectedEof => {
            (TransportErrorKind::Interrupted, "the gzip body ends in its middle")
        }
        _ => (TransportErrorKind::Protocol, "the body is said to be gzip and is not"),
    };
    TransportError::new(kind).with_detail(detail).with_source(error)
}

fn bomb() -> TransportError {
    let detail =
        format!("a gzip body of more than {UNWATCHED} bytes and more than {LARGEST_RATIO} to 1");
    TransportError::new(TransportErrorKind::TooLarge).with_detail(detail)
}

fn says_nothing() -> TransportError {
    TransportError::new(TransportErrorKind::Protocol)
        .with_detail("the gzip body goes on and has almost no data")
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use flate2::Compression;
    use flate2::write::GzEncoder;

    use super::*;
    use crate::park::block_on;

    fn compressed(plain: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
        encoder.write_all(plain).expect("memory");
        encoder.finish().expect("memory")
    }

    /// A body that arrives in pieces of `size`.
    struct Pieces(Vec<u8>, usize);

    impl HttpBody for Pieces {
        type Data = Bytes;
        type Error = TransportError;

        fn poll_frame(
            mut self: Pin<&mut Self>,
            _: &mut Context<'_>,
        ) -> Poll<Option<Result<Frame<Bytes>, TransportError>>> {
            let length = self.1.min(self.0.len());
            let piece: Vec<u8> = self.0.drain(..length).collect();
            Poll::Ready((length > 0).then(|| Ok(Frame::data(piece.into()))))
        }
    }

    fn read(bytes: Vec<u8>, size: usize) -> Result<Bytes, TransportError> {
        let body = Body::wrap(Gunzip::new(Body::wrap(Pieces(bytes, size))));
        block_on(body.collect(usize::MAX))
    }

    /// Neither repetitive nor random, like JSON.
    fn text(length: usize) -> Vec<u8> {
        let mut all = String::new();
        for number in 0_u64.. {
            if all.len() >= length {
                break;
            }
            let mixed = number.wrapping_mul(0x9E37_79B9_7F4A_7C15);
            all.push_str(&format!("{{\"id\":\"{mixed:016X}\",\"name\":\"Report {number}\"}},"));
        }
        all.truncate(length);
        all.into_bytes()
    }

    #[test]
    fn gzip_arrives_whole_in_pieces_of_any_size() {
        for length in [0, 1, 1_000, 300_000] {
            let plain = text(length);
            for size in [1, 7, 4_096, usize::MAX] {
                assert!(read(compressed(&plain), size).unwrap() == plain, "{length} by {size}");
            }
        }
        // A body may consist of several members (RFC 1952, 2.2).
        let two = [compressed(b"one "), compressed(b"two")].concat();
        assert_eq!(read(two, 5).unwrap(), "one two");
    }

    #[test]
    fn gzip_that_is_cut_anywhere_is_interrupted() {
        let whole = compressed(&text(500));
        for length in 1..whole.len() {
            let error = read(whole[..length].to_vec(), 64).unwrap_err();
            assert_eq!(error.kind(), TransportErrorKind::Interrupted, "after {length}: {error}");
        }
        // A server that has nothing to send compresses nothing either.
        assert!(read(Vec::new(), 64).unwrap().is_empty());
    }

    #[test]
    fn gzip_that_is_none_or_damaged_breaks_the_protocol() {
        let mut damaged = compressed(&text(500));
        let last = damaged.len() - 6;
        damaged[last] ^= 1;
        for bytes in [b"{\"id\":1}, and more".to_vec(), damaged] {
            let error = read(bytes, 64).unwrap_err();
            assert_eq!(error.kind(), TransportErrorKind::Protocol, "{error}");
        }
    }

    #[test]
    fn gzip_bomb_is_too_large_after_a_megabyte() {
        let bomb = compressed(&vec![0; 64 * 1024 * 1024]);
        let mut body = Body::wrap(Gunzip::new(Body::wrap(Pieces(bomb, 1_000))));
        let mut read = 0;
        let error = loop {
            match block_on(body.chunk()) {
                Ok(piece) => read += piece.expect("it does not end").len() as u64,
                Err(error) => break error,
            }
        };
        assert_eq!(error.kind(), TransportErrorKind::TooLarge, "{error}");
        assert!(read <= UNWATCHED, "{read}");
        // A megabyte of the same is a short body.
        let short = vec![b' '; 1024 * 1024];
        assert!(self::read(compressed(&short), 1_000).unwrap() == short);
    }
    #[test]
    fn gzip_that_says_nothing_breaks_the_protocol() {
        // Of one byte each, as a server may write what it has at once.
        let short = compressed(b"x").repeat(10_000);
        assert_eq!(read(short, 1_000).unwrap().len(), 10_000);
        let empty = compressed(b"").repeat(4_000);
        assert!(read(empty[..empty.len() / 2].to_vec(), 1_000).unwrap().is_empty());
        // A member of nothing but empty blocks (RFC 1951, 3.2.4).
        let mut blocks = vec![0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3];
        blocks.extend([0, 0, 0, 0xff, 0xff].repeat(20_000));
        for endless in [empty, blocks] {
            let error = read(endless, 1_000).unwrap_err();
            assert_eq!(error.kind(), TransportErrorKind::Protocol, "{error}");
        }
    }
}
