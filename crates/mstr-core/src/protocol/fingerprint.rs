//! Digests that distinguish credentials without keeping them.

use std::fmt;
use std::hash::Hasher;

use siphasher::sip128::{Hasher128, SipHasher24};
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

/// A keyed digest of credentials: equal for equal ones, and of no use without the key. Wiped when
/// it is dropped.
#[derive(Clone)]
pub(crate) struct Fingerprint(Zeroizing<[u8; 16]>);

impl Fingerprint {
    /// The digest of what a login with them sends.
    pub(super) fn of(sent: &[u8], key: u64) -> Self {
        let mut hasher = SipHasher24::new_with_keys(key, !key);
        hasher.write(sent);
        Self(Zeroizing::new(hasher.finish128().as_bytes()))
    }

    /// Whether both are of the same credentials. How long it takes does not depend on them.
    pub(crate) fn is_same_as(&self, other: &Self) -> bool {
        self.0.ct_eq(&*other.0).into()
    }
}

impl fmt::Debug for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Fingerprint")
    }
}
