//! Numbers that spread waits: from splitmix64, and repeatable.

use std::fmt;

/// By how much the seeds of splitmix64 go on.
const GAMMA: u64 = 0x9E37_79B9_7F4A_7C15;

/// The number that splitmix64 makes of a seed.
const fn mixed(seed: u64) -> u64 {
    let mixed = (seed ^ (seed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    mixed ^ (mixed >> 31)
}

/// A seed of its own for each of many: neighbouring seeds do not share numbers.
pub(crate) const fn seed_of(seed: u64, number: u64) -> u64 {
    mixed(seed.wrapping_add(number.wrapping_mul(GAMMA)))
}

/// A seed that prints nothing: a session's also keys the fingerprints of its credentials.
#[derive(Clone, Copy)]
pub(crate) struct Seed(pub(crate) u64);

impl Seed {
    /// A number from 0 to 1, and another one the next time.
    pub(crate) fn fraction(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(GAMMA);
        let mixed = mixed(self.0);
        // 53 bits are what a double holds exactly.
        (mixed >> 11) as f64 / (1_u64 << 53) as f64
    }
}

impl fmt::Debug for Seed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Seed(..)")
    }
}
