//! As much of HTTP/2 (RFC 9113) as a server needs that is written frame by frame.

use std::io;

use crate::loopback::RawConnection;

/// What a client's connection begins with.
const PREFACE: usize = 24;
const HEADER: usize = 9;

/// Kinds of frames.
pub(super) const DATA: u8 = 0;
pub(super) const HEADERS: u8 = 1;
pub(super) const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const GOAWAY: u8 = 7;

const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;
const ACK: u8 = 1;

/// Reasons.
const NO_ERROR: u32 = 0;
pub(super) const REFUSED_STREAM: u32 = 7;

/// A frame of a client.
pub(super) struct Frame {
    pub(super) kind: u8,
    pub(super) stream: u32,
    flags: u8,
}

impl Frame {
    /// Whether a request is whole with this.
    pub(super) fn ends_a_request(&self) -> bool {
        (self.kind == HEADERS || self.kind == DATA) && self.flags & END_STREAM != 0
    }
}

/// A server's side of a connection over HTTP/2.
pub(super) struct Frames(RawConnection);

impl Frames {
    /// Greets a client. The server takes so many requests at a time, if it says how many.
    pub(super) fn greet(mut connection: RawConnection, streams: Option<u32>) -> io::Result<Self> {
        connection.read_exactly(PREFACE)?;
        let mut frames = Self(connection);
        let mut settings = Vec::new();
        if let Some(streams) = streams {
            settings.extend_from_slice(&[0, 3]);
            settings.extend_from_slice(&streams.to_be_bytes());
        }
        frames.write(SETTINGS, 0, 0, &settings)?;
        Ok(frames)
    }

    pub(super) fn number(&self) -> usize {
        self.0.number()
    }

    pub(super) fn connection(&mut self) -> &mut RawConnection {
        &mut self.0
    }

    /// The next frame. Settings are acknowledged; pings are not.
    pub(super) fn read(&mut self) -> io::Result<Frame> {
        let header = self.0.read_exactly(HEADER)?;
        let &[a, b, c, kind, flags, d, e, f, g] = &*header else {
            return Err(io::ErrorKind::InvalidData.into());
        };
        let length = u32::from_be_bytes([0, a, b, c]);
        self.0.read_exactly(usize::try_from(length).map_err(io::Error::other)?)?;
        if kind == SETTINGS && flags & ACK == 0 {
            self.write(SETTINGS, ACK, 0, &[])?;
        }
        let stream = u32::from_be_bytes([d, e, f, g]);
        Ok(Frame { kind, stream, flags })
    }

    /// Reads until a request is whole. Its stream.
    pub(super) fn read_request(&mut self) -> io::Result<u32> {
        loop {
            let frame = self.read()?;
            if frame.ends_a_request() {
                return Ok(frame.stream);
            }
        }
    }

    /// Answers a stream with 200 and no body.
    pub(super) fn answer(&mut self, stream: u32) -> io::Result<()> {
        // `:status: 200` is number 8 of the static table (RFC 7541).
        self.write(HEADERS, END_STREAM | END_HEADERS, stream, &[0x88])
    }

    pub(super) fn reset(&mut self, stream: u32, reason: u32) -> io::Result<()> {
        self.write(RST_STREAM, 0, stream, &reason.to_be_bytes())
    }

    /// Says that this is the last stream that was taken.
    pub(super) fn go_away(&mut self, last: u32) -> io::Result<()> {
        let payload = [last.to_be_bytes(), NO_ERROR.to_be_bytes()].concat();
        self.write(GOAWAY, 0, 0, &payload)
    }

    fn write(&mut self, kind: u8, flags: u8, stream: u32, payload: &[u8]) -> io::Result<()> {
        let length = u32::try_from(payload.len()).map_err(io::Error::other)?.to_be_bytes();
        let mut frame = vec![length[1], length[2], length[3], kind, flags];
        frame.extend_from_slice(&stream.to_be_bytes());
        frame.extend_from_slice(payload);
        self.0.write(frame)
    }
}
