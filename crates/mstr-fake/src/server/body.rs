//! What a reply carries.

use std::io::Write;
use std::time::Duration;

use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;
use http::Response;
use http::header::{ACCEPT_ENCODING, CONTENT_ENCODING, HeaderValue};

use super::incoming::Incoming;

/// The body of a reply.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum ReplyBody {
    /// All at once.
    Bytes(Bytes),
    /// So many bytes, generated as they are sent; see [`ReplyBody::generate`].
    Generated(u64),
    /// In pieces, with a pause before each.
    Trickle(Vec<Bytes>, Duration),
}

impl ReplyBody {
    /// The length in bytes.
    #[must_use]
    pub fn len(&self) -> u64 {
        match self {
            Self::Bytes(bytes) => bytes.len() as u64,
            Self::Generated(length) => *length,
            Self::Trickle(pieces, _) => pieces.iter().map(|piece| piece.len() as u64).sum(),
        }
    }

    /// Whether there are no bytes.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The bytes of a generated body from `offset` on, at most `limit` of them: each is its own
    /// position modulo 251.
    #[must_use]
    pub fn generate(offset: u64, limit: usize) -> Bytes {
        (offset..offset + limit as u64).map(|position| (position % 251) as u8).collect()
    }
}

/// Compresses an answer with gzip, if the request accepts that and there is anything to compress.
pub(super) fn compress(incoming: &Incoming, response: &mut Response<ReplyBody>) {
    let accepted = incoming.headers.get_all(ACCEPT_ENCODING).into_iter();
    let mut accepted = accepted.filter_map(|value| value.to_str().ok());
    if !accepted.any(|value| value.contains("gzip")) || response.body().is_empty() {
        return;
    }
    let body = std::mem::replace(response.body_mut(), ReplyBody::Bytes(Bytes::new()));
    *response.body_mut() = match body {
        ReplyBody::Bytes(bytes) => ReplyBody::Bytes(gzip([bytes]).concat().into()),
        ReplyBody::Generated(length) => {
            let limit = 64 * 1024;
            let pieces = (0..length).step_by(limit).map(|offset| {
                let left = usize::try_from(length - offset).unwrap_or(usize::MAX);
                ReplyBody::generate(offset, limit.min(left))
            });
            ReplyBody::Bytes(gzip(pieces).concat().into())
        }
        ReplyBody::Trickle(pieces, pause) => {
            let pieces = gzip(pieces).into_iter().map(Bytes::from);
            ReplyBody::Trickle(pieces.collect(), pause)
        }
    };
    response.headers_mut().insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
}

/// One gzip stream, in a piece for each one that is given and one for its end.
fn gzip(pieces: impl IntoIterator<Item = Bytes>) -> Vec<Vec<u8>> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    let mut compressed = Vec::new();
    for piece in pieces {
        // Writing to memory does not fail.
        drop(encoder.write_all(&piece).and_then(|()| encoder.flush()));
        compressed.push(std::mem::take(encoder.get_mut()));
    }
    compressed.push(encoder.finish().unwrap_or_default());
    compressed
}
