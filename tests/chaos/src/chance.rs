//! All the chance there is, from one seed.

use std::hash::{BuildHasher, RandomState};
use std::time::Duration;

/// A fixed sequence of numbers (splitmix64).
#[derive(Clone, Debug)]
pub(crate) struct Chance(u64);

impl Chance {
    /// The sequence of one part of a run: other parts have others, of the same seed.
    pub(crate) fn new(seed: u64, part: u64) -> Self {
        Self(mix(seed ^ mix(part)))
    }

    pub(crate) fn below(&mut self, limit: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        mix(self.0) % limit.max(1)
    }

    pub(crate) fn one_in(&mut self, count: u64) -> bool {
        self.below(count) == 0
    }

    /// So many milliseconds.
    pub(crate) fn between(&mut self, least: u64, most: u64) -> Duration {
        let microseconds = self.below((most - least) * 1000);
        Duration::from_millis(least) + Duration::from_micros(microseconds)
    }

    pub(crate) fn pick<T: Copy>(&mut self, all: &[T]) -> Option<T> {
        let place = usize::try_from(self.below(all.len() as u64)).ok()?;
        all.get(place).copied()
    }
}

/// A random seed, if none is given.
pub(crate) fn seed() -> u64 {
    // Short enough to be read out.
    RandomState::new().hash_one("chaos") % 1_000_000_000
}

fn mix(number: u64) -> u64 {
    let mut mixed = number;
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    mixed ^ (mixed >> 31)
}
