//! What a reply carries.

use std::time::Duration;

use bytes::Bytes;

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
