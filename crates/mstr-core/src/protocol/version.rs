//! Server versions.

use std::cmp::Ordering;
use std::error::Error as StdError;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A server version such as `11.3.0000.14308J`.
///
/// All parts are kept and compared as numbers: `11.10` is newer than `11.9`, and a missing part counts
/// as 0. The letter at the end of some builds is ignored in comparisons.
#[derive(Clone, Debug)]
pub struct Version {
    parts: Box<[u64]>,
    text: Box<str>,
}

impl Version {
    /// The oldest Intelligence Server this library talks to; the vendor's client draws the same
    /// line.
    pub(crate) const OLDEST: [u64; 3] = [11, 1, 400];
    /// From here on the server knows the application type that stands for Python clients.
    pub(crate) const KNOWS_APPLICATION_TYPE_76: [u64; 3] = [11, 5, 600];
    /// From here on a login may name the application it belongs to.
    pub(crate) const KNOWS_APPLICATION_ID: [u64; 3] = [11, 3, 1200];

    /// The numbers between the dots.
    #[must_use]
    pub fn parts(&self) -> &[u64] {
        &self.parts
    }

    /// Whether this is at least the version with these parts.
    ///
    /// ```
    /// # use mstr_core as mstr;
    /// let version: mstr::Version = "11.10.0100.00012".parse()?;
    /// assert!(version.is_at_least(&[11, 3, 1200]));
    /// # Ok::<_, mstr::ParseVersionError>(())
    /// ```
    #[must_use]
    pub fn is_at_least(&self, parts: &[u64]) -> bool {
        compare(&self.parts, parts) != Ordering::Less
    }
}

fn compare(left: &[u64], right: &[u64]) -> Ordering {
    (0..left.len().max(right.len()))
        .map(|index| {
            let part = |parts: &[u64]| parts.get(index).copied().unwrap_or(0);
            part(left).cmp(&part(right))
        })
        .find(|order| order.is_ne())
        .unwrap_or(Ordering::Equal)
}

impl FromStr for Version {
    type Err = ParseVersionError;

    fn from_str(text: &str) -> Result<Self, ParseVersionError> {
        let refuse = || ParseVersionError(text.chars().take(64).collect());
        let trimmed = text.trim();
        let numbers = trimmed.trim_end_matches(|last: char| last.is_ascii_alphabetic());
        let parts: Result<Box<[u64]>, _> = numbers.split('.').map(str::parse).collect();
        let parts = parts.map_err(|_| refuse())?;
        // One number alone is not a version of this product.
        if parts.len() < 2 {
            return Err(refuse());
        }
        Ok(Self { parts, text: trimmed.into() })
    }
}

/// As the server writes it.
impl Serialize for Version {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.text)
    }
}

impl<'de> Deserialize<'de> for Version {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl PartialEq for Version {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Version {}

impl Ord for Version {
    fn cmp(&self, other: &Self) -> Ordering {
        compare(&self.parts, &other.parts)
    }
}

impl PartialOrd for Version {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// The text is not a server version.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ParseVersionError(String);

impl fmt::Display for ParseVersionError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{}\" is not a version: numbers with dots between are expected", self.0)
    }
}

impl StdError for ParseVersionError {}

#[cfg(test)]
mod tests {
    use super::*;

    fn version(text: &str) -> Version {
        text.parse().expect(text)
    }

    #[test]
    fn versions_compare_by_number() {
        assert!(version("11.10.0100") > version("11.9.9999"));
        assert!(version("11.3.0000.14308J") < version("11.3.1200"));
        assert_eq!(version("11.1.0400"), version("11.1.400.0"));
        assert_eq!(version("11.3.0000.14308J").to_string(), "11.3.0000.14308J");
        assert!(version("11.1.0300.00001") < version("11.1.0400.00000"));
    }

    #[test]
    fn garbage_is_refused_with_the_text() {
        for bad in ["", "eleven", "11", "11..3", "11.x.3", "11.3.99999999999999999999999"] {
            let error = bad.parse::<Version>().expect_err(bad).to_string();
            assert!(error.contains(bad), "{error}");
        }
    }
}
